//! What happened on a call and when: the short history from which a person sees afterwards how it went.
//!
//! Edges only, never frames; what is said and what it sounded like stand elsewhere.

use super::{Digit, MarkOutcome};

/// The history of one call, in the order in which things were noticed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    /// At most [`TIMELINE_MAX`].
    pub entries: Vec<TimelineEntry>,
    /// Entries for which there was no room.
    pub left_out: u64,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// Milliseconds since the call's first sign.
    pub at_ms: u32,
    /// What.
    pub what: Happening,
}

/// What can happen on a call, beside what its record and its transfers tell. Lengths are milliseconds; a span that the
/// call's end cut has the length until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Sound flows from here on: the beginning of the loudness curve.
    SoundBegan,
    /// Messages can be exchanged with a bot: the first, or one that took over.
    BotConnected,
    /// The bot was found to have failed; the reason's word.
    BotFailed(&'static str),
    /// The caller spoke.
    CallerSpoke {
        /// How long.
        for_ms: u32,
    },
    /// Speech was heard by the caller.
    Heard {
        /// How long.
        for_ms: u32,
    },
    /// Audio of the bot arrived, however fast.
    BotSent {
        /// From the first to the last of it.
        for_ms: u32,
        /// How long it sounds.
        audio_ms: u32,
    },
    /// The bot's answer began; the caller had waited so long for it.
    Answered {
        /// From the end of the caller's speech.
        after_ms: u32,
    },
    /// The caller began to speak while the bot was heard.
    BargeIn,
    /// A mark of the bot was reached.
    Mark {
        /// Its beginning, at most [`TIMELINE_NAME_BYTES_MAX`] bytes.
        name: Box<str>,
        /// Whether the audio before it was heard.
        outcome: MarkOutcome,
    },
    /// What waited for the caller was dropped.
    Cleared {
        /// How much of it.
        dropped_ms: u32,
    },
    /// The caller pressed a key.
    DigitIn(Digit),
    /// A key was sent to the caller.
    DigitOut(Digit),
}

/// Entries of one call's history.
pub const TIMELINE_MAX: usize = 2_000;

/// Bytes of a mark's name in it.
pub const TIMELINE_NAME_BYTES_MAX: usize = 64;
