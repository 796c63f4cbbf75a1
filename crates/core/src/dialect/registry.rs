//! The only list of dialects: what is not here does not exist.

use std::sync::Arc;
use std::time::Duration;

use super::{BotSide, Capability, EngineSettings, Mapping, PhoneSide, WireAudio};
use crate::media::MediaFormat;

/// All dialects, in the order in which they are shown.
pub const DIALECTS: &[&DialectRow] = &[
    &super::ivr_solutions::ROW,
    &super::smartpbx::ROW,
    &super::incoming_call::ROW,
    &super::ozonetel::ROW,
    &super::custom::ROW,
    &super::openai_realtime::ROW,
];

/// One dialect: its name, its audio and how to make its two ends.
#[derive(Debug)]
pub struct DialectRow {
    /// The name in configuration, URLs and records.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The audio when nothing is configured.
    pub default_audio: WireAudio,
    /// How much audio one message carries where the wire fixes it, whatever the frame.
    pub message_audio: Option<Duration>,
    /// Where the wire takes several formats alike, the one for a phone's audio when nothing is configured.
    pub audio_for_phone: Option<fn(MediaFormat) -> MediaFormat>,
    /// What the wire can carry.
    pub capabilities: &'static [Capability],
    /// Its messages: who sends them, what they are called, what they mean.
    pub messages: &'static [MessageRow],
    /// Checks a configured audio format.
    ///
    /// # Errors
    /// A sentence that names what is possible.
    pub audio: fn(&AudioWish) -> Result<WireAudio, String>,
    /// Makes the end that faces a bot.
    pub bot_side: fn(&BotSideSettings) -> Box<BotSide>,
    /// Makes the end that faces a vendor.
    pub phone_side: fn(&PhoneSideSettings) -> Box<PhoneSide>,
}

/// One kind of message of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRow {
    /// `phone → bot` or `bot → phone`.
    pub to_bot: bool,
    /// Its name on the wire.
    pub name: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
}

/// An audio format as somebody wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AudioWish {
    /// The encoding's name as the dialect's seed spells it, or a common alias.
    pub encoding: Option<String>,
    /// Samples per second.
    pub sample_rate: Option<u32>,
    /// Audio per message.
    pub frame: Option<Duration>,
}

/// What the end that faces a bot has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotSideSettings {
    /// The wire's audio.
    pub audio: WireAudio,
    /// Whether the record goes to the bot after the end (seed 002) or not (seed 003).
    pub record: RecordWish,
    /// Whether the bot is told about refused commands.
    pub refusals: RefusalWish,
    /// `custom`: which messages mean what; without one, raw binary audio. Other dialects have none.
    pub mapping: Option<Arc<Mapping>>,
    /// `openai-realtime`: what the engine is to be; without one, an engine that is left as it is. Other dialects have
    /// none.
    pub engine: Option<Arc<EngineSettings>>,
}

/// What the end that faces a vendor has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneSideSettings {
    /// The wire's audio until the vendor's start says otherwise.
    pub audio: WireAudio,
    /// Unique part of the ids that this end must make itself (such as seed 001's `seqid`).
    pub seed: u64,
    /// Wall time, for wires that carry time of day.
    pub clock: crate::vocabulary::WallClock,
    /// `custom`: which messages mean what; without one, raw binary audio. Other dialects have none.
    pub mapping: Option<Arc<Mapping>>,
}

/// Whether the record goes to the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordWish {
    /// It does.
    Send,
    /// The connection is closed at once.
    Omit,
}

/// Whether refused commands are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalWish {
    /// They are.
    Tell,
    /// They are only counted.
    Quiet,
}

impl DialectRow {
    /// How much audio one message carries when `frame` was agreed on.
    pub fn message_audio(&self, frame: Duration) -> Duration {
        self.message_audio.unwrap_or(frame)
    }
}

/// Finds a dialect by name.
pub fn find(name: &str) -> Option<&'static DialectRow> {
    DIALECTS.iter().copied().find(|row| row.name == name)
}
