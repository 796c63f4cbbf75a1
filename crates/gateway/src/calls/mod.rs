//! Calls: how they come in, the task that owns each, who is up, and what is left of them.

mod bot_end;
mod call_task;
mod chronicle;
mod config_api;
mod config_api_meter;
mod dial_routes;
mod dialled_end;
mod dialled_leg;
mod directory;
mod ends;
mod exchange;
pub mod inbound;
mod locations;
mod occupied;
mod outbound;
mod phone_end;
mod portion;
mod quality_fields;
mod quality_totals;
mod queue_seat;
mod queues;
mod records;
mod recovery;
mod registry;
mod routing;
mod session;
mod sip_end;
mod sip_leg;
mod succession;
mod toll_guard;
mod transfer_legs;
mod trunk_lines;
pub mod vendor;
pub mod wire_log;

pub use chronicle::{CallPage, Chronicle};
pub use config_api_meter::{ConfigApiMeter, Outcome};
pub use dial_routes::{Destination, DialWish, Shown};
pub use dialled_leg::DialledLeg;
pub use directory::Phonebook;
pub use exchange::{CallNames, Exchange, Parties};
pub use locations::Locations;
pub use occupied::{Occupation, Occupied};
pub use outbound::{PlaceCall, PlaceError, PlacedBot};
pub use quality_totals::{Histogram, QualityTotals};
pub use queues::{LineFigures, Queues, attend as attend_queues};
pub use records::{Labels, Records, RecordsThread};
pub use recovery::recover;
pub use registry::{CALLS_MAX, CallHandle, CallOrder, OrderError, Registry, Seat, Snapshot, Totals};
pub use sip_leg::LegNews;
pub use toll_guard::{TollGuard, TollLimits, TollPass, TollRefusal};
pub use trunk_lines::{TrunkLines, TrunkReach, TrunkRegistration, TrunkStatus, line_settings, metric_label};
pub use wire_log::{WireLog, WireLogThread};

/// What a refused caller is told to wait, in seconds.
pub const RETRY_AFTER_S: u32 = 5;
