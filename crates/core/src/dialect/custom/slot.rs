//! The placeholders of a template, and the values that are put in their places.

use crate::dialect::envelope::destination::write_phones;
use crate::dialect::json::{write_base64, write_escaped, write_string, write_u64};
use crate::vocabulary::{CallStart, PhoneNumber};

/// A placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A frame of audio in base64.
    Audio,
    /// The number that calls.
    Caller,
    /// The number that is called.
    Did,
    /// The id of the media stream.
    SessionId,
    /// The id of the call.
    CallId,
    /// The number of this message, from 1.
    Sequence,
    /// Milliseconds of audio before this message.
    Timestamp,
    /// The number of this message of audio, from 1.
    Chunk,
    /// The name of a mark.
    Name,
    /// A key; towards the phone, keys.
    Digit,
    /// Milliseconds for which a key was held.
    Duration,
    /// The word for the end of the call.
    Reason,
    /// Where a transfer goes; stands in no template that a user writes.
    Destination,
}

/// The ids and numbers of a call as they stand between the quotes of a JSON string.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    caller: Box<[u8]>,
    did: Box<[u8]>,
    session_id: Box<[u8]>,
    call_id: Box<[u8]>,
}

/// What one message says beside the call's identity.
#[derive(Debug, Clone, Copy)]
pub enum Matter<'a> {
    /// Nothing.
    None,
    /// A frame of audio.
    Audio(&'a [u8]),
    /// A name of a mark, or a reason.
    Word(&'a str),
    /// A key, or keys, and for how long.
    Keys(&'a str, u64),
    /// Telephone numbers; one stands alone.
    Phones(&'a [PhoneNumber]),
}

/// Where in the stream a message stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Position {
    /// The number of the message.
    pub sequence: u64,
    /// Milliseconds of audio before it.
    pub timestamp_ms: u64,
    /// The number of the message of audio.
    pub chunk: u64,
}

impl Slot {
    /// The placeholder of that name.
    pub fn find(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, slot)| *slot)
    }

    /// The name between the braces.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, slot)| *slot == self).map_or("", |(name, _)| name)
    }

    /// Whether its value stands without quotes where nothing else is in its string.
    pub fn is_bare(self) -> bool {
        matches!(self, Self::Sequence | Self::Timestamp | Self::Chunk | Self::Duration | Self::Destination)
    }

    /// The most bytes that its value takes.
    pub fn bytes_max(self) -> usize {
        match self {
            Self::Audio => AUDIO_BYTES_MAX,
            Self::Caller | Self::Did | Self::SessionId | Self::CallId => 128 * ESCAPE_BYTES_MAX,
            Self::Sequence | Self::Timestamp | Self::Chunk | Self::Duration => 20,
            Self::Name => super::MARK_NAME_BYTES_MAX * ESCAPE_BYTES_MAX,
            Self::Digit | Self::Reason | Self::Destination => 64,
        }
    }

    /// Appends its value as it stands between quotes, or a number.
    pub fn write(self, to: &mut Vec<u8>, of: &Identity, at: Position, matter: Matter<'_>) {
        match (self, matter) {
            (Self::Audio, Matter::Audio(audio)) => write_base64(to, audio),
            (Self::Caller, _) => to.extend_from_slice(&of.caller),
            (Self::Did, _) => to.extend_from_slice(&of.did),
            (Self::SessionId, _) => to.extend_from_slice(&of.session_id),
            (Self::CallId, _) => to.extend_from_slice(&of.call_id),
            (Self::Sequence, _) => write_u64(to, at.sequence),
            (Self::Timestamp, _) => write_u64(to, at.timestamp_ms),
            (Self::Chunk, _) => write_u64(to, at.chunk),
            (Self::Name | Self::Reason, Matter::Word(word)) => write_escaped(to, word),
            (Self::Destination, Matter::Word(word)) => write_string(to, word),
            (Self::Digit, Matter::Keys(keys, _)) => write_escaped(to, keys),
            (Self::Duration, Matter::Keys(_, ms)) => write_u64(to, ms),
            (Self::Destination, Matter::Phones(phones)) => write_phones(to, phones),
            // A template holds only what its message says (`Template::parse` is told which).
            (
                Self::Audio | Self::Name | Self::Digit | Self::Duration | Self::Reason | Self::Destination,
                _,
            ) => {}
        }
    }
}

impl Identity {
    /// The identity of a call that begins.
    pub fn of(start: &CallStart) -> Self {
        Self {
            caller: escaped(start.from.as_str()),
            did: escaped(start.to.as_str()),
            session_id: escaped(start.stream_id.as_str()),
            call_id: escaped(start.call_id.as_str()),
        }
    }
}

fn escaped(text: &str) -> Box<[u8]> {
    let mut to = Vec::with_capacity(text.len());
    write_escaped(&mut to, text);
    to.into()
}

const NAMES: [(&str, Slot); 13] = [
    ("audio", Slot::Audio),
    ("caller", Slot::Caller),
    ("did", Slot::Did),
    ("sessionId", Slot::SessionId),
    ("callId", Slot::CallId),
    ("sequence", Slot::Sequence),
    ("timestamp", Slot::Timestamp),
    ("chunk", Slot::Chunk),
    ("name", Slot::Name),
    ("digit", Slot::Digit),
    ("duration", Slot::Duration),
    ("reason", Slot::Reason),
    ("destination", Slot::Destination),
];

/// Base64 of the longest frame, 200 ms at 24 kHz.
const AUDIO_BYTES_MAX: usize = 12_800;

/// Bytes of one character that is escaped as `\u0000`.
const ESCAPE_BYTES_MAX: usize = 6;
