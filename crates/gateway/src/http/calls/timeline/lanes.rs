//! A call's history sorted into lanes, one for each kind of thing, and its SIP messages beside them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::calls::{SipDialog, SipLadder, SipRung, StoredHappening, StoredHistory};

/// What happened, lane by lane.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineLanes)]
pub struct Lanes {
    /// When the caller spoke.
    caller: Vec<Span>,
    /// When the caller heard speech.
    heard: Vec<Span>,
    /// When audio of the bot arrived: `audio_ms` of it, often faster than it sounds.
    sent: Vec<SentSpan>,
    /// The bot's answers: `at_ms` is where one began, after the caller had waited `after_ms`.
    responses: Vec<Response>,
    /// When the caller began to speak while the bot was heard.
    barge_ins: Vec<Instant>,
    /// Marks that the bot had set.
    marks: Vec<Mark>,
    /// Keys.
    digits: Vec<Key>,
    /// When what waited for the caller was dropped.
    clears: Vec<Clear>,
    /// What became of bots.
    bots: Vec<BotStep>,
    /// Entries for which there was no room.
    left_out: u64,
}

/// A stretch of time.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineSpan)]
pub struct Span {
    at_ms: u64,
    for_ms: u64,
}

/// A stretch in which audio arrived.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineSentSpan)]
pub struct SentSpan {
    at_ms: u64,
    for_ms: u64,
    /// How long it sounds.
    audio_ms: u64,
}

/// An answer.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineResponse)]
pub struct Response {
    at_ms: u64,
    /// From the end of the caller's speech to the beginning of the bot's.
    after_ms: u64,
}

/// A moment.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineInstant)]
pub struct Instant {
    at_ms: u64,
}

/// A mark that was reached.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineMark)]
pub struct Mark {
    at_ms: u64,
    /// Its beginning.
    name: String,
    /// `played`, or `cleared` where the audio before it was dropped.
    outcome: &'static str,
}

/// A key.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineKey)]
pub struct Key {
    at_ms: u64,
    /// `in` from the caller, `out` to it.
    direction: &'static str,
    /// Which, for those who may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<char>,
}

/// A clear.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineClear)]
pub struct Clear {
    at_ms: u64,
    /// How much was dropped.
    dropped_ms: u64,
}

/// What became of a bot.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineBotStep)]
pub struct BotStep {
    at_ms: u64,
    /// `connected` or `failed`.
    step: &'static str,
    /// The reason of a failure, as in causes.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The SIP messages of a call.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineSip)]
pub struct SipView {
    /// The caller's dialog first, then those of transfers.
    dialogs: Vec<DialogView>,
}

/// The messages of one dialog.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineDialog)]
pub struct DialogView {
    /// Transport and address of the other end.
    #[schema(example = "udp 192.0.2.9:5062")]
    peer: String,
    /// First to last.
    messages: Vec<MessageView>,
    /// Messages for which there was no room.
    left_out: u64,
}

/// A SIP message.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineMessage)]
pub struct MessageView {
    at_ms: u64,
    /// `in` to us, `out` from us.
    direction: &'static str,
    /// The method: its own, or that of the request that it answers.
    #[schema(example = "INVITE")]
    method: String,
    /// The status of a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Whether it describes media.
    sdp: bool,
    /// How often it came again.
    repeats: u32,
}

impl Lanes {
    /// Sorts a history; keys are named only if they may be.
    pub(super) fn of(history: StoredHistory, names_keys: bool) -> Self {
        let mut lanes = Self { left_out: history.left_out, ..Self::default() };
        for entry in history.entries {
            lanes.put(entry.at_ms, entry.what, names_keys);
        }
        lanes.sort();
        lanes
    }

    fn put(&mut self, at_ms: u64, what: StoredHappening, names_keys: bool) {
        let key = |direction, key| Key { at_ms, direction, key: names_keys.then_some(key) };
        match what {
            StoredHappening::SoundBegan => {}
            StoredHappening::BotConnected => {
                self.bots.push(BotStep { at_ms, step: "connected", reason: None });
            }
            StoredHappening::BotFailed { why } => {
                self.bots.push(BotStep { at_ms, step: "failed", reason: Some(why) });
            }
            StoredHappening::CallerSpoke { for_ms } => self.caller.push(Span { at_ms, for_ms }),
            StoredHappening::Heard { for_ms } => self.heard.push(Span { at_ms, for_ms }),
            StoredHappening::BotSent { for_ms, audio_ms } => {
                self.sent.push(SentSpan { at_ms, for_ms, audio_ms });
            }
            StoredHappening::Answered { after_ms } => self.responses.push(Response { at_ms, after_ms }),
            StoredHappening::BargeIn => self.barge_ins.push(Instant { at_ms }),
            StoredHappening::Mark { name, played } => {
                let outcome = if played { "played" } else { "cleared" };
                self.marks.push(Mark { at_ms, name, outcome });
            }
            StoredHappening::Cleared { dropped_ms } => self.clears.push(Clear { at_ms, dropped_ms }),
            StoredHappening::DigitIn { key: pressed } => self.digits.push(key("in", pressed)),
            StoredHappening::DigitOut { key: sent } => self.digits.push(key("out", sent)),
        }
    }

    /// Edges are noticed a little after they were.
    fn sort(&mut self) {
        self.caller.sort_by_key(|span| span.at_ms);
        self.heard.sort_by_key(|span| span.at_ms);
        self.responses.sort_by_key(|response| response.at_ms);
        self.barge_ins.sort_by_key(|instant| instant.at_ms);
    }
}

/// When sound began to flow.
pub(super) fn sound_began(history: &StoredHistory) -> Option<u64> {
    let began = history.entries.iter().find(|entry| entry.what == StoredHappening::SoundBegan);
    began.map(|entry| entry.at_ms)
}

impl SipView {
    /// The ladder on the axis that begins at `started_ms` (ms since 1970).
    pub(super) fn of(ladder: SipLadder, started_ms: u64) -> Self {
        let dialog = |SipDialog { peer, rungs, left_out }: SipDialog| DialogView {
            peer,
            messages: rungs.into_iter().map(|rung| MessageView::of(rung, started_ms)).collect(),
            left_out,
        };
        Self { dialogs: ladder.dialogs.into_iter().map(dialog).collect() }
    }
}

impl MessageView {
    fn of(rung: SipRung, started_ms: u64) -> Self {
        let SipRung { at_ms, incoming, method, status, sdp, repeats, .. } = rung;
        let direction = if incoming { "in" } else { "out" };
        Self { at_ms: at_ms.saturating_sub(started_ms), direction, method, status, sdp, repeats }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::HistoryEntry;

    #[test]
    fn keys_are_named_to_those_who_may_know_and_shown_to_everybody() {
        let entry = |at_ms, what| HistoryEntry { at_ms, what };
        let history = StoredHistory {
            entries: vec![
                entry(5, StoredHappening::SoundBegan),
                entry(30, StoredHappening::Heard { for_ms: 3 }),
                entry(20, StoredHappening::Heard { for_ms: 2 }),
                entry(40, StoredHappening::DigitIn { key: '7' }),
                entry(50, StoredHappening::DigitOut { key: '#' }),
            ],
            left_out: 1,
            media: Vec::new(),
        };
        assert_eq!(sound_began(&history), Some(5));
        let named = Lanes::of(history.clone(), true);
        assert_eq!(named.heard, [Span { at_ms: 20, for_ms: 2 }, Span { at_ms: 30, for_ms: 3 }]);
        assert_eq!(named.digits[0], Key { at_ms: 40, direction: "in", key: Some('7') });
        let unnamed = serde_json::to_string(&Lanes::of(history, false)).unwrap();
        assert!(
            unnamed.contains(r#"{"at_ms":40,"direction":"in"},{"at_ms":50,"direction":"out"}"#),
            "{unnamed}"
        );
    }
}
