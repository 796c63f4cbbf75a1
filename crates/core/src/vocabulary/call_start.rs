//! What is known of a call when it reaches a bot: who, to whom, under which names, in which format.

use crate::media::MediaFormat;

use super::{CallId, PhoneNumber, StreamId, WallClock};

/// Who began the call, seen from the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A phone called us.
    Inbound,
    /// We called a phone.
    Outbound,
}

/// The identity of a call, told to the bot before anything else.
#[derive(Debug, Clone, PartialEq)]
pub struct CallStart {
    /// Our id of the call; as heard from a vendor, the vendor's.
    pub call_id: CallId,
    /// Our id of the stream; as heard from a vendor, the vendor's.
    pub stream_id: StreamId,
    /// The id of our other leg, never empty.
    pub other_leg_id: String,
    /// The account that the call belongs to.
    pub account: String,
    /// Who calls.
    pub from: PhoneNumber,
    /// Who is called.
    pub to: PhoneNumber,
    /// The calling code by which numbers become E.164, such as `91`.
    pub country: Option<String>,
    /// Who began the call.
    pub direction: Direction,
    /// The audio on this wire, both ways.
    pub format: MediaFormat,
    /// Free names and values that go along.
    pub custom: Vec<(String, String)>,
    /// The vendor's own start message, word for word.
    pub raw: Option<Box<str>>,
    /// Wall time, for wires that carry time of day.
    pub clock: WallClock,
}
