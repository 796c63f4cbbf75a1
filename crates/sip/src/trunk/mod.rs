//! Our line to a carrier: where it is (RFC 3263), whether it is there (OPTIONS), whether it knows us (REGISTER), and
//! calls that go out by it.
//!
//! `registration`, `keep_alive` and `targets` decide, without IO; [`TrunkLine`] asks and sends. Which numbers may go
//! out is its user's to know.

mod keep_alive;
mod line;
mod registration;
mod targets;

pub use keep_alive::{KeepAlive, Reach};
pub use line::{LineSettings, LineStatus, TrunkCall, TrunkLine};
pub use registration::{RegisterAnswer, Registration, RegistrationState};
pub use targets::{Looking, NameServer, Place, SrvRecord, Target, Unresolved, locate};
