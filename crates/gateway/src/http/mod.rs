//! HTTP: the API with its keys and its description, the dashboard, health, metrics, and the doors of vendors' WebSockets.
//!
//! One file a resource. A handler reads snapshots and the store or sends an order through a `CallHandle`; it never
//! holds a call.

mod access;
mod api;
mod body;
mod bots;
mod callbacks;
mod calls;
mod connections;
mod dashboard;
mod events;
mod explorer;
mod extensions;
mod idempotency;
mod limits;
mod live;
mod metrics;
mod numbers;
mod openapi;
mod overview;
mod pass;
mod problem;
mod query;
mod recordings;
mod router;
mod server;
mod sessions;
mod talk;
mod time;
mod tls_door;
mod trunks;
mod upgrade;
mod vendors;
mod watch;
mod wish;

pub use problem::{FieldError, Problem, ProblemBody};
pub use router::{SipView, listener_router, main_router};
pub use server::serve;
pub use tls_door::TlsDoor;
