//! Work beside the calls: what is told to others over HTTP once it is stored.

mod retry;
mod signature;
mod status_event;
mod stored_event;
mod transfer_fields;

pub use retry::{Attempt, Next, Obstacle, RETRY_AFTER_MAX};
pub use signature::Signed;
pub use status_event::{StatusEvent, TransferResult};
pub use stored_event::body as event_body;
pub use transfer_fields::{LegFields, TransferFields};
