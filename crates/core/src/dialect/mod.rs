//! Dialects: the WebSocket languages of bots and vendors, each as two translations without IO.
//!
//! A dialect is spoken from both ends. [`BotSide`]: we hold the phone, the other end is a bot; it says
//! [`CallEvent`]s and hears [`CallCommand`]s. [`PhoneSide`]: the other end holds the phone; the mirror. Bytes
//! come in and go out as [`Wire`] messages; audio is in the [`MediaFormat`] that the two sides agreed on.

mod custom;
mod envelope;
mod incoming_call;
mod ivr_solutions;
pub mod json;
#[cfg(test)]
mod laws;
mod length;
mod openai_realtime;
mod out;
mod ozonetel;
pub mod registry;
mod smartpbx;

pub use custom::{MAPPING_EXAMPLE, MAPPING_KEYS, Mapping, MappingProblem};
pub use openai_realtime::{
    BargeIn, DEFAULT_MODEL, DEFAULT_TRANSCRIBER, DigitWish, Eagerness, EngineSettings, Hundredths, Naming,
    NoiseReduction, ServerVad, ToolSpec, Transcription, TurnAnswer, TurnDetection, Turns,
};
pub use out::{AudioSpan, Heard, OUT_BUFFER_BYTES_KEPT_MAX, Out, Wire, WireClass};

use std::time::Duration;

use crate::media::MediaFormat;
use crate::vocabulary::{CallCommand, CallEvent, Moment, TranscriptLine};

/// One end of a dialect: translates what is said to the wire and what comes from the wire to what is heard.
pub trait Dialect: Send {
    /// What this end says.
    type Say;
    /// What this end hears.
    type Hear;

    /// The audio on this wire. A phone side knows it once the vendor's start was heard.
    fn format(&self) -> MediaFormat;

    /// Writes one thing said. What the wire cannot carry is left out; [`Dialect::capabilities`] says what.
    fn encode(&mut self, say: &Self::Say, now: Moment, out: &mut Out<Self::Hear>);

    /// Writes one frame of audio in [`Dialect::format`], of at most the frame's length.
    fn encode_audio(&mut self, audio: &[u8], now: Moment, out: &mut Out<Self::Hear>);

    /// Reads one message.
    ///
    /// # Errors
    /// [`Malformed`] says what broke the protocol; the call goes on without that message.
    fn decode(&mut self, wire: Wire<'_>, now: Moment, out: &mut Out<Self::Hear>) -> Result<(), Malformed>;

    /// When [`Dialect::handle_timeout`] wants to be called.
    fn poll_timeout(&self) -> Option<Moment> {
        None
    }

    /// The moment of [`Dialect::poll_timeout`] has come.
    fn handle_timeout(&mut self, _now: Moment, _out: &mut Out<Self::Hear>) {}

    /// What was said before, for a session that takes a conversation over; told to the other end before anything else.
    /// Wires without words for it forget it.
    fn remember(&mut self, _history: &[TranscriptLine]) {}

    /// The caller has left: the other end is to write down what it has said, the speech under way included, and to say
    /// nothing more. Returns whether words may come; on wires without a transcript there are none.
    fn ask_last_words(&mut self, _is_speaking: bool, _out: &mut Out<Self::Hear>) -> bool {
        false
    }

    /// What this wire can carry; the call machine does the rest itself.
    fn capabilities(&self) -> &[Capability];
}

/// The end that holds the phone, facing a bot.
pub type BotSide = dyn Dialect<Say = CallEvent, Hear = CallCommand>;

/// The end that is the bot, facing a vendor that holds the phone.
pub type PhoneSide = dyn Dialect<Say = CallCommand, Hear = CallEvent>;

/// Something that a wire can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Marks come from the bot and go back to it.
    Marks,
    /// The bot can drop the audio that waits at the phone.
    Clear,
    /// Keys go from the phone to the bot.
    DigitsToBot,
    /// Keys go from the bot to the phone.
    DigitsToPhone,
    /// The bot can ask to hang up by a message.
    HangUp,
    /// The bot can ask for a transfer.
    Transfer,
    /// The call rings until the bot answers.
    AnswerGate,
    /// The record of the call goes to the bot after its end.
    Record,
    /// The bot has to be told when the caller begins and ceases to speak.
    TurnsToBot,
}

/// The audio of a wire: its format and the length of the messages we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireAudio {
    /// Encoding and rate.
    pub format: MediaFormat,
    /// Audio per message.
    pub frame: Duration,
}

/// What broke the protocol in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The text is no JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// The text is nested deeper than any dialect needs.
    #[error("nested deeper than 32 levels")]
    TooDeep,
    /// A field that must be there is missing.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field has the wrong type or an impossible value.
    #[error("field `{0}` has a wrong type or value")]
    Field(&'static str),
    /// The audio is no base64 (RFC 4648 §4).
    #[error("field `{0}` is not base64")]
    Base64(&'static str),
    /// The audio is in a container or encoding that was not agreed on.
    #[error("audio in {0}, which was not agreed on")]
    Audio(&'static str),
    /// The message cannot come at this point, or from this side.
    #[error("`{0}` cannot come at this point")]
    Unexpected(&'static str),
    /// The other end refused a message of ours, or we one of its own, by a code.
    #[error("refused: {0}")]
    Refused(&'static str),
}
