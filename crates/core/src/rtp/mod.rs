//! RTP and RTCP of one audio stream each way (RFC 3550, 3551, 4733, 5761), without sockets or clocks.
//!
//! [`RtpReceiver`] is what a call hears through, [`RtpSender`] what it speaks through; the rest are their parts.
//! Anybody may send anything to an open port: every byte here is foreign until it has been checked.

mod latch;
mod packet;
mod receiver;
mod remote_reports;
mod reorder;
pub mod rtcp;
mod sender;
mod srtp;
mod statistics;
mod telephone_event;

pub use latch::{Admission, Latch};
pub use packet::{RtpError, RtpHeader, RtpPacket, is_rtcp};
pub use receiver::{RtpEvent, RtpReceiveSettings, RtpReceiver};
pub use remote_reports::RemoteReports;
pub use reorder::{Arrival, Released, Reorder};
pub use sender::{EventFrame, RtpSendSettings, RtpSender};
pub use srtp::{MasterKey, Mki, OurStream, SRTP_SOURCES_MAX, SrtpCounts, SrtpKeys, SrtpSession, SrtpSuite};
pub use statistics::{RtpCounts, RtpStatistics};
pub use telephone_event::{EventPayload, EventReceiver};
