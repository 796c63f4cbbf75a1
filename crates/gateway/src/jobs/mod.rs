//! Work beside the calls: what is told to others over HTTP once it is stored.

mod callback_meter;
mod due_work;
mod extraction;
mod retry;
mod signature;
mod status_callback;
mod status_event;
mod stored_event;
#[cfg(feature = "otel")]
mod traces;
mod transfer_fields;

pub use callback_meter::CallbackMeter;
pub use extraction::{
    EXTRACTIONS_MAX, EXTRACTIONS_PER_SERVICE_MAX, ExtractionMeter, Extractor, ResultWriter, Setback,
    TELLINGS_MAX, Writing, agent_of,
};
pub use retry::{Attempt, Next, Obstacle, RETRY_AFTER_MAX};
pub use signature::Signed;
pub use status_callback::{Courier, UNDER_WAY_MAX, UNDER_WAY_PER_RECEIVER_MAX, callback_trust};
pub use status_event::{StatusEvent, TransferResult};
pub use stored_event::body as event_body;
#[cfg(feature = "otel")]
pub use traces::{EndedTrace, TraceExporter, Traces};
pub use transfer_fields::{LegFields, TransferFields};
