//! Work beside the calls: what is told to others over HTTP once it is stored.

mod retry;
mod signature;
mod status_event;
mod transfer_fields;

pub use retry::{Attempt, Next, Obstacle, RETRY_AFTER_MAX};
pub use signature::Signed;
pub use status_event::{EventName, StatusEvent, TransferResult};
pub use transfer_fields::{LegFields, TransferFields};
