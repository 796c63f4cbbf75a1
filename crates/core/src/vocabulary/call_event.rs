//! Everything that a phone tells a bot, but audio, which travels beside (see [`crate::dialect::Heard`]).

use std::time::Duration;

use super::{CallRecord, CallStart, Cause, Digit, FlowEvent, SpeechEvent};

/// What a phone tells a bot.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEvent {
    /// The call is there; with a dialect that has an answer gate it rings until the bot answers.
    Started(Box<CallStart>),
    /// The caller pressed a key.
    Digit(DigitPress),
    /// A mark was reached.
    Mark {
        /// The name as the bot gave it; names may repeat.
        name: Box<str>,
        /// Whether the audio before it was heard.
        outcome: MarkOutcome,
    },
    /// Audio that waited was dropped, at the bot's wish or because the caller spoke.
    Cleared,
    /// A command was not carried out.
    Refused(CommandRefusal),
    /// The stream ends; nothing but [`CallEvent::Record`] follows.
    Ended(EndedStream),
    /// What the call was, after its end.
    Record(Box<CallRecord>),
    /// What only flows are told; no wire carries it.
    Flow(FlowEvent),
    /// What it is told of the conversation; wires without words for it leave it out.
    Speech(SpeechEvent),
    /// A message that this dialect does not know, kept and counted.
    Unknown(RawMessage),
}

/// A pressed key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitPress {
    /// The key.
    pub digit: Digit,
    /// How long it was held; wires without a duration leave it out.
    pub duration: Option<Duration>,
}

/// How a mark ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkOutcome {
    /// All audio before it was played.
    Played,
    /// Audio before it was cleared.
    Cleared,
}

/// Why a bot's command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRefusal {
    /// A stable word for programs, such as `not_supported`.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// The command's name on the wire.
    pub command: Box<str>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedStream {
    /// The call is over.
    CallEnded(Cause),
    /// The call goes on without this bot.
    Handed,
}

/// A message that nobody here understands, at most [`RAW_MESSAGE_BYTES_MAX`] bytes of it.
#[derive(Clone, PartialEq, Eq)]
pub struct RawMessage(Box<str>);

impl RawMessage {
    /// Keeps the beginning of a text message.
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(RAW_MESSAGE_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].into())
    }

    /// The kept text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for RawMessage {
    /// Shows the length only: messages may carry numbers, digits and words of the caller.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawMessage({} bytes)", self.0.len())
    }
}

/// Bytes of an unknown message that are kept.
pub const RAW_MESSAGE_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_message_is_kept_up_to_its_bound_and_never_shown() {
        let long = "é".repeat(RAW_MESSAGE_BYTES_MAX);
        let raw = RawMessage::new(&format!("x{long}"));
        assert_eq!(raw.as_str().len(), RAW_MESSAGE_BYTES_MAX - 1);
        assert_eq!(format!("{raw:?}"), format!("RawMessage({} bytes)", RAW_MESSAGE_BYTES_MAX - 1));
    }
}
