//! Work beside the calls: what is told to others over HTTP once it is stored.

mod status_event;
mod transfer_fields;

pub use status_event::{EventName, StatusEvent, TransferResult};
pub use transfer_fields::{LegFields, TransferFields};
