//! What a call wants the shell to do. Drain completely after every input.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use crate::dialect::{Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{CallRecord, Cause};

use super::BotWish;

/// One thing to do outside.
#[derive(Debug)]
pub enum Output<'a> {
    /// Tell the SIP phone that it rings (180).
    Ring,
    /// Let the SIP phone hear us before the answer (183 with our SDP).
    Progress,
    /// Answer the SIP phone (200 with our SDP).
    Answer,
    /// Refuse the unanswered SIP call with that status.
    Reject {
        /// SIP status code.
        status: u16,
        /// Why, for the `Reason` header.
        cause: Cause,
    },
    /// End the answered SIP call (BYE).
    HangUpPhone(Cause),
    /// Send a datagram from our RTP port.
    Rtp {
        /// Where to.
        to: SocketAddr,
        /// The packet.
        packet: &'a [u8],
    },
    /// Send a datagram from our RTCP port.
    Rtcp {
        /// Where to.
        to: SocketAddr,
        /// The compound packet.
        packet: &'a [u8],
    },
    /// Send a message to the vendor.
    PhoneWire(WireClass, Wire<'a>),
    /// Close the vendor's WebSocket with that code, after what was sent.
    ClosePhone(u16),
    /// Find out which bot takes the call; answer by `BotFound` or `BotFailed`.
    FindBot,
    /// Dial the bot; answer by `BotConnected` or `BotFailed`.
    ConnectBot,
    /// Send a message to the bot.
    BotWire(WireClass, Wire<'a>),
    /// Close the bot's WebSocket with that code, after what was sent; give up what was asked of it before.
    CloseBot(u16),
    /// Reach another bot, which is to take the call over, for a phone that speaks `phone`; answer by `NextBot` or
    /// `NextBotFailed`.
    ReachNextBot {
        /// Which one.
        wish: BotWish,
        /// The phone's audio.
        phone: MediaFormat,
    },
    /// The bot that was reached is the call's bot from now on; the one before it was told and closed.
    NextBotTakesOver,
    /// Give up the bot that is being reached, or was.
    DropNextBot,
    /// Stop reading the bot's socket until [`Output::ResumeBot`]: its dialect has no clear, so what waits is kept short.
    PauseBot,
    /// Read the bot's socket again.
    ResumeBot,
    /// The call was answered: what the media path is, for the log.
    Answered,
    /// The call is over; nothing follows.
    Ended(Box<CallRecord>),
}

/// Waiting outputs, with their bytes in one reused buffer.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    waiting: VecDeque<Waiting>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Waiting {
    Plain(PlainOutput),
    Datagram(Port, SocketAddr, Range<usize>),
    Wire { to: Leg, class: WireClass, binary: bool, span: Range<usize> },
    ReachNextBot(BotWish, MediaFormat),
    Ended(Box<CallRecord>),
}

/// Outputs without bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlainOutput {
    Ring,
    Progress,
    Answer,
    Reject(u16, Cause),
    HangUpPhone(Cause),
    ClosePhone(u16),
    FindBot,
    ConnectBot,
    CloseBot(u16),
    NextBotTakesOver,
    DropNextBot,
    PauseBot,
    ResumeBot,
    Answered,
}

/// One of the two ports of an RTP leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Rtp,
    Rtcp,
}

/// One of the two ends of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    Phone,
    Bot,
}

impl Outputs {
    pub(super) fn plain(&mut self, output: PlainOutput) {
        self.waiting.push_back(Waiting::Plain(output));
    }

    pub(super) fn reach_next_bot(&mut self, wish: BotWish, phone: MediaFormat) {
        self.waiting.push_back(Waiting::ReachNextBot(wish, phone));
    }

    pub(super) fn ended(&mut self, record: Box<CallRecord>) {
        self.waiting.push_back(Waiting::Ended(record));
    }

    /// Queues one datagram; `write` appends it.
    pub(super) fn datagram(&mut self, port: Port, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.waiting.push_back(Waiting::Datagram(port, to, start..self.bytes.len()));
    }

    pub(super) fn wire(&mut self, to: Leg, class: WireClass, wire: Wire<'_>) {
        let (binary, bytes) = match wire {
            Wire::Text(text) => (false, text.as_bytes()),
            Wire::Binary(bytes) => (true, bytes),
        };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.waiting.push_back(Waiting::Wire { to, class, binary, span: start..self.bytes.len() });
    }

    pub(super) fn poll(&mut self) -> Option<Output<'_>> {
        let Some(next) = self.waiting.pop_front() else {
            self.bytes.clear();
            self.bytes.shrink_to(OUTPUT_BYTES_KEPT_MAX);
            return None;
        };
        Some(match next {
            Waiting::Plain(plain) => plain.into(),
            Waiting::ReachNextBot(wish, phone) => Output::ReachNextBot { wish, phone },
            Waiting::Ended(record) => Output::Ended(record),
            Waiting::Datagram(Port::Rtp, to, span) => Output::Rtp { to, packet: &self.bytes[span] },
            Waiting::Datagram(Port::Rtcp, to, span) => Output::Rtcp { to, packet: &self.bytes[span] },
            Waiting::Wire { to, class, binary, span } => {
                let bytes = &self.bytes[span];
                let wire = match std::str::from_utf8(bytes) {
                    Ok(text) if !binary => Wire::Text(text),
                    _ => Wire::Binary(bytes),
                };
                match to {
                    Leg::Phone => Output::PhoneWire(class, wire),
                    Leg::Bot => Output::BotWire(class, wire),
                }
            }
        })
    }
}

impl From<PlainOutput> for Output<'_> {
    fn from(plain: PlainOutput) -> Self {
        match plain {
            PlainOutput::Ring => Self::Ring,
            PlainOutput::Progress => Self::Progress,
            PlainOutput::Answer => Self::Answer,
            PlainOutput::Reject(status, cause) => Self::Reject { status, cause },
            PlainOutput::HangUpPhone(cause) => Self::HangUpPhone(cause),
            PlainOutput::ClosePhone(code) => Self::ClosePhone(code),
            PlainOutput::FindBot => Self::FindBot,
            PlainOutput::ConnectBot => Self::ConnectBot,
            PlainOutput::CloseBot(code) => Self::CloseBot(code),
            PlainOutput::NextBotTakesOver => Self::NextBotTakesOver,
            PlainOutput::DropNextBot => Self::DropNextBot,
            PlainOutput::PauseBot => Self::PauseBot,
            PlainOutput::ResumeBot => Self::ResumeBot,
            PlainOutput::Answered => Self::Answered,
        }
    }
}

/// Bytes that the reused buffer keeps when it is drained.
const OUTPUT_BYTES_KEPT_MAX: usize = 8_192;
