//! Everything that can happen to a call, as data.

use std::time::Duration;

use patchcord_core::call::{NextBotError, RecordingOrder, SocketEnd};
use patchcord_core::vocabulary::{Digit, Reason};

use super::LegStep;

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// Time passes and every deadline on the way is served.
    Pass(Duration),
    /// Time passes while the process stands still: deadlines come all at once, with the next step that serves them.
    Standstill(Duration),
    /// The phone sends the next packet of its stream, filled with these bytes; an empty one without any.
    Speak(Vec<u8>),
    /// A datagram comes to the RTP port from the phone.
    PhoneDatagram(Vec<u8>),
    /// The same from somebody else.
    StrangerDatagram(Vec<u8>),
    /// A datagram comes to the RTCP port.
    Report(Vec<u8>),
    /// The phone's audio is agreed on, as [`media`](super::media) numbers it.
    PhoneMedia(u16),
    /// The phone that we call rings.
    PhoneRings,
    /// It lets us hear something before it answers, as [`media`](super::media) numbers it.
    PhoneProgresses(u16),
    /// It answers, likewise.
    PhoneAnswers(u16),
    /// It is not reached, with that SIP status.
    PhoneRefuses(u16),
    /// A key by SIP INFO.
    PhoneKey(Digit),
    /// The SIP phone is gone.
    PhoneGone(Reason),
    /// A text message of the vendor.
    VendorSays(String),
    /// A binary message of the vendor.
    VendorSends(Vec<u8>),
    /// The vendor's socket ends.
    VendorLeaves(SocketEnd),
    /// The bot is found, as [`bot`](super::bot) numbers it.
    BotFound(usize),
    /// The bot's WebSocket opens.
    BotConnected,
    /// The bot fails.
    BotFailed(Reason),
    /// A text message of the bot.
    BotSays(String),
    /// A binary message of the bot.
    BotSends(Vec<u8>),
    /// The bot's socket ends.
    BotLeaves(SocketEnd),
    /// A bot that is to take over can be talked to.
    NextBot(usize),
    /// It cannot.
    NextBotFailed(NextBotError),
    /// A leg of a transfer does something.
    Leg(usize, LegStep),
    /// The shell dropped audio.
    AudioDropped,
    /// Somebody wants a recording, or no more of it.
    Recording(RecordingOrder),
    /// Somebody ends the call.
    HangUp(Reason),
}
