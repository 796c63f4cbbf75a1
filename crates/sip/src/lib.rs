//! SIP and SDP for Patchcord: our sockets, our admission, our state machine.
//!
//! [`SipAgent`] listens on UDP, TCP and TLS, places and takes calls, and hands each leg to its user as a handle and
//! a bounded stream of events. It decides nothing about calls: no routing, no codecs, no media. It knows
//! nothing of the other crates. Inside: `net` reads, frames and judges octets, [`machine`] is the user agent
//! without IO, [`sdp`] reads and builds session descriptions. Sources: RFC 3261, 3262, 3264, 3311, 3326, 3581,
//! 4028, 4566, 4475, 4733, 5626 §3.5.1, 6026, 6086, 7433, 7616, 8760.

mod agent;
mod body;
mod call;
mod config;
mod counters;
pub mod digest;
pub mod frame;
mod gate;
mod handle;
pub mod machine;
pub mod message;
mod net;
pub mod registrar;
pub mod sdp;
mod subscriber;
mod tap;
pub mod trunk;
pub mod validate;

pub use agent::SipAgent;
pub use body::{InfoDigit, parse_info_digit};
pub use call::{
    EndedBy, FREE_FIELD_CHARS_MAX, FREE_FIELDS_MAX, Invitation, InviteRequest, LegEvent, ReferId,
    ReferTarget, Rejection, ReofferId, format_q850, parse_q850,
};
pub use config::{InvalidListenAddr, ListenAddr, SipConfig, SipLimits, SourceFilter};
pub use counters::SipCounters;
pub use gate::{Directory, Extension, Strangers};
pub use handle::{CallLeg, IncomingCall, LegEvents, OutgoingCall, SipError};
pub use machine::{CommandError, Flow, LegId, SHORTEST as SHORTEST_SESSION, SessionTimes, Transport};
pub use net::BindError;
pub use net::tls::SipTls;
pub use registrar::{Contact, Locations};
pub use subscriber::Subscriber;
pub use tap::{SipTap, SipTrace};
pub use trunk::{TrunkCall, TrunkLine};
