//! A call's history as it is stored, and as the API reads it again: one JSON list, in the words of core.

use patchcord_core::vocabulary::{Happening, MarkOutcome, Timeline};
use serde::{Deserialize, Serialize};

/// The history of a call. Times are milliseconds since its first sign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoredHistory {
    /// In the order in which things were noticed.
    pub entries: Vec<HistoryEntry>,
    /// Entries for which there was no room.
    pub left_out: u64,
    /// The ways that the sound took, bot after bot.
    #[serde(default)]
    pub media: Vec<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    #[serde(rename = "at")]
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub what: StoredHappening,
}

/// What can have happened: see [`Happening`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of core, which explains them")]
pub enum StoredHappening {
    SoundBegan,
    BotConnected,
    BotFailed { why: String },
    CallerSpoke { for_ms: u64 },
    Heard { for_ms: u64 },
    BotSent { for_ms: u64, audio_ms: u64 },
    Answered { after_ms: u64 },
    BargeIn,
    Mark { name: String, played: bool },
    Cleared { dropped_ms: u64 },
    DigitIn { key: char },
    DigitOut { key: char },
}

impl StoredHistory {
    /// The form in which a history is stored.
    pub fn of(timeline: &Timeline) -> Self {
        let entries = timeline
            .entries
            .iter()
            .map(|entry| HistoryEntry { at_ms: entry.at_ms.into(), what: StoredHappening::of(&entry.what) });
        Self { entries: entries.collect(), left_out: timeline.left_out, media: Vec::new() }
    }

    /// The text that is stored.
    pub fn format(&self) -> String {
        // Numbers and words: serialisation into memory has nothing to fail at.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what was stored.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl StoredHappening {
    fn of(what: &Happening) -> Self {
        match what {
            Happening::SoundBegan => Self::SoundBegan,
            Happening::BotConnected => Self::BotConnected,
            Happening::BotFailed(why) => Self::BotFailed { why: (*why).to_owned() },
            Happening::CallerSpoke { for_ms } => Self::CallerSpoke { for_ms: (*for_ms).into() },
            Happening::Heard { for_ms } => Self::Heard { for_ms: (*for_ms).into() },
            Happening::BotSent { for_ms, audio_ms } => {
                Self::BotSent { for_ms: (*for_ms).into(), audio_ms: (*audio_ms).into() }
            }
            Happening::Answered { after_ms } => Self::Answered { after_ms: (*after_ms).into() },
            Happening::BargeIn => Self::BargeIn,
            Happening::Mark { name, outcome } => {
                Self::Mark { name: name.to_string(), played: *outcome == MarkOutcome::Played }
            }
            Happening::Cleared { dropped_ms } => Self::Cleared { dropped_ms: (*dropped_ms).into() },
            Happening::DigitIn(digit) => Self::DigitIn { key: digit.as_char() },
            Happening::DigitOut(digit) => Self::DigitOut { key: digit.as_char() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::vocabulary::{Digit, TimelineEntry};

    #[test]
    fn a_history_reads_back_as_it_was_written_whatever_happened() {
        let name = "<b>\"mark\"".into();
        let whats = [
            Happening::SoundBegan,
            Happening::BotConnected,
            Happening::BotFailed("bot_reset"),
            Happening::CallerSpoke { for_ms: 1 },
            Happening::Heard { for_ms: 2 },
            Happening::BotSent { for_ms: 3, audio_ms: 4 },
            Happening::Answered { after_ms: 5 },
            Happening::BargeIn,
            Happening::Mark { name, outcome: MarkOutcome::Cleared },
            Happening::Cleared { dropped_ms: 6 },
            Happening::DigitIn(Digit::STAR),
            Happening::DigitOut(Digit::HASH),
        ];
        let entries = whats.into_iter().zip(0..).map(|(what, at_ms)| TimelineEntry { at_ms, what });
        let stored = StoredHistory::of(&Timeline { entries: entries.collect(), left_out: 7 });
        assert_eq!(StoredHistory::parse(&stored.format()), Some(stored));
        assert_eq!(StoredHistory::parse("{\"entries\":[{\"at\":1,\"is\":\"new\"}]}"), None);
    }
}
