//! What the shell tells a call.

use std::net::SocketAddr;

use crate::dialect::Wire;
use crate::vocabulary::{DialRefusal, DigitPress, FlowEvent, Reason, ToolResult};

use super::{FoundBot, LegNews, LegNo, NextBot, NextBotError, Order, PhoneMedia, RecordingOrder};

/// One thing that happened outside. Bytes are borrowed: what the call keeps, it copies.
#[derive(Debug)]
pub enum Input<'a> {
    /// The id of the phone leg on its own wire (SIP Call-ID), of a phone that we dialled.
    PhoneLegId(Box<str>),
    /// The phone that we dialled rings.
    PhoneRinging,
    /// The phone that we dialled lets us hear something before it answers.
    PhoneProgress(PhoneMedia),
    /// The phone that we dialled answered.
    PhoneAnswered(PhoneMedia),
    /// The phone that we dialled was not reached, or refused; nothing follows of it.
    PhoneFailed(DialRefusal),
    /// The phone's audio was agreed on or changed (answer to our offer, re-INVITE).
    PhoneMedia(PhoneMedia),
    /// The phone pressed a key outside the audio (SIP INFO).
    PhoneDigit(DigitPress),
    /// The phone is gone, for that reason: CANCEL, BYE, no ACK. [`Reason::Canceled`] says that it was never
    /// answered, whatever was asked for.
    PhoneGone(Reason),
    /// A datagram came to our RTP port.
    Rtp {
        /// Where from.
        source: SocketAddr,
        /// Its bytes; they need not be RTP.
        packet: &'a [u8],
    },
    /// A datagram came to our RTCP port.
    Rtcp {
        /// Where from.
        source: SocketAddr,
        /// Its bytes; they need not be RTCP.
        packet: &'a [u8],
    },
    /// A message of the vendor.
    PhoneWire(Wire<'a>),
    /// The vendor's socket ended.
    PhoneClosed(SocketEnd),
    /// The bot that [`Output::FindBot`](super::Output::FindBot) asked for.
    BotFound(Box<FoundBot>),
    /// The WebSocket to the bot is open.
    BotConnected,
    /// The bot could not be found or reached, or does not read, or does not answer pings.
    BotFailed(Reason),
    /// A message of the bot.
    BotWire(Wire<'a>),
    /// The bot's socket ended.
    BotClosed(SocketEnd),
    /// The bot of [`Output::ReachNextBot`](super::Output::ReachNextBot) can be talked to.
    NextBot(Box<NextBot>),
    /// It cannot.
    NextBotFailed(NextBotError),
    /// Something happened on a leg that [`Output::Leg`](super::Output::Leg) dialled.
    Leg(LegNo, LegNews<'a>),
    /// An audio message to the bot or to the vendor was dropped because that end reads too slowly.
    AudioDropped,
    /// Somebody wants a recording, or no more of it.
    Recording(RecordingOrder),
    /// Somebody other than the bot wants something of the call that is up; see
    /// [`Call::take_refusal`](super::Call::take_refusal).
    Order(Order),
    /// The line moved in which the caller stands since [`QueueOrder::Join`](super::QueueOrder::Join).
    Queue(FlowEvent),
    /// What became of [`Output::RunTool`](super::Output::RunTool).
    ToolDone(Box<ToolResult>),
    /// Somebody wants the call to end: the API, the drain.
    HangUp(Reason),
}

/// How a WebSocket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketEnd {
    /// A close frame with that code came (1005 if it carried none).
    Closed(u16),
    /// The connection broke without one (RFC 6455 §7.1.5 calls it 1006).
    Reset,
}
