//! HTTP: health, metrics, and the doors through which vendors' WebSockets come in.

mod metrics;
mod problem;
mod router;
mod server;
mod upgrade;

pub use problem::Problem;
pub use router::{SipView, listener_router, main_router};
pub use server::serve;
