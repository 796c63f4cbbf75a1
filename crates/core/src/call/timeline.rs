//! Writes the history of a call while it happens: an entry for every edge, nothing for a frame.
//!
//! A span is entered when it begins and grows in its place; when there is no room, only the count goes on.

use std::time::Duration;

use crate::vocabulary::{
    CallFact, DialDigits, DigitPress, Happening, MarkOutcome, Moment, Reason, TIMELINE_MAX,
    TIMELINE_NAME_BYTES_MAX, Timeline, TimelineEntry,
};

use super::Call;
use super::voice::VoiceEdge;

/// The history of one call.
#[derive(Debug)]
pub(super) struct History {
    began: Moment,
    kept: Timeline,
    /// The places of the spans that are open.
    caller: Option<usize>,
    heard: Option<usize>,
    /// The last stretch of the bot's audio, with the moment of its last piece.
    sent: Option<(usize, Moment)>,
    has_sound: bool,
}

impl History {
    pub(super) fn new(began: Moment) -> Self {
        let (caller, heard, sent) = (None, None, None);
        Self { began, kept: Timeline::default(), caller, heard, sent, has_sound: false }
    }

    /// Sound flows; a second beginning changes nothing.
    pub(super) fn sound_begins(&mut self, now: Moment) {
        if !std::mem::replace(&mut self.has_sound, true) {
            self.note(now, Happening::SoundBegan);
        }
    }

    pub(super) fn bot_connected(&mut self, now: Moment) {
        self.sent = None;
        self.note(now, Happening::BotConnected);
    }

    pub(super) fn bot_failed(&mut self, reason: Reason, now: Moment) {
        self.note(now, Happening::BotFailed(crate::vocabulary::Cause::new(reason).row().word));
    }

    /// The caller's voice has an edge; the bot's answer had come `after` the one before, if this tells it.
    pub(super) fn caller(&mut self, edge: VoiceEdge, after: Option<Duration>) {
        match edge {
            VoiceEdge::Started(at) => {
                if self.heard.is_some() {
                    self.note(at, Happening::BargeIn);
                }
                self.caller = self.note(at, Happening::CallerSpoke { for_ms: 0 });
            }
            VoiceEdge::Stopped(at) => {
                let open = self.caller.take();
                self.close(open, at);
                if let Some(after) = after {
                    self.note(at + after, Happening::Answered { after_ms: millis(after) });
                }
            }
        }
    }

    /// What the caller hears has an edge; with it the bot answered `after` so long, if it did.
    pub(super) fn heard(&mut self, edge: VoiceEdge, after: Option<Duration>) {
        match edge {
            VoiceEdge::Started(at) => {
                if let Some(after) = after {
                    self.note(at, Happening::Answered { after_ms: millis(after) });
                }
                self.heard = self.note(at, Happening::Heard { for_ms: 0 });
            }
            VoiceEdge::Stopped(at) => {
                let open = self.heard.take();
                self.close(open, at);
            }
        }
    }

    /// Audio of the bot came.
    pub(super) fn sent(&mut self, audio: Duration, now: Moment) {
        let place = match self.sent {
            Some((place, last)) if now - last < SENT_PAUSE => Some(place),
            _ => self.note(now, Happening::BotSent { for_ms: 0, audio_ms: 0 }),
        };
        self.sent = place.map(|place| (place, now));
        let began = self.began;
        if let Some(entry) = place.and_then(|place| self.kept.entries.get_mut(place))
            && let Happening::BotSent { for_ms, audio_ms } = &mut entry.what
        {
            *for_ms = millis(now - began).saturating_sub(entry.at_ms);
            *audio_ms = audio_ms.saturating_add(millis(audio));
        }
    }

    pub(super) fn mark(&mut self, name: &str, outcome: MarkOutcome, now: Moment) {
        if self.kept.entries.len() < TIMELINE_MAX {
            let name = name.get(..name.floor_char_boundary(TIMELINE_NAME_BYTES_MAX)).unwrap_or(name);
            self.note(now, Happening::Mark { name: name.into(), outcome });
        } else {
            self.kept.left_out += 1;
        }
    }

    /// So much of what waited was dropped.
    pub(super) fn cleared(&mut self, dropped: Duration, now: Moment) {
        self.note(now, Happening::Cleared { dropped_ms: millis(dropped) });
    }

    pub(super) fn pressed(&mut self, press: DigitPress, now: Moment) {
        self.note(now, Happening::DigitIn(press.digit));
    }

    pub(super) fn dialled(&mut self, digits: &DialDigits, now: Moment) {
        for digit in digits.steps().iter().flatten() {
            self.note(now, Happening::DigitOut(*digit));
        }
    }

    /// The history until `now`, with nothing left open; `None` if nothing happened.
    pub(super) fn end(&mut self, now: Moment) -> Option<Timeline> {
        for open in [self.caller.take(), self.heard.take()] {
            self.close(open, now);
        }
        let kept = std::mem::take(&mut self.kept);
        (!kept.entries.is_empty()).then_some(kept)
    }

    /// Keeps what happened; gives its place.
    fn note(&mut self, at: Moment, what: Happening) -> Option<usize> {
        if self.kept.entries.len() >= TIMELINE_MAX {
            self.kept.left_out += 1;
            return None;
        }
        let at_ms = millis(at - self.began);
        self.kept.entries.push(TimelineEntry { at_ms, what });
        Some(self.kept.entries.len() - 1)
    }

    fn close(&mut self, open: Option<usize>, at: Moment) {
        let until = millis(at - self.began);
        if let Some(entry) = open.and_then(|place| self.kept.entries.get_mut(place))
            && let Happening::CallerSpoke { for_ms } | Happening::Heard { for_ms } = &mut entry.what
        {
            *for_ms = until.saturating_sub(entry.at_ms);
        }
    }
}

impl Call {
    /// The caller's voice has an edge.
    pub(super) fn caller_edge(&mut self, edge: VoiceEdge) {
        let answer = if self.is_with_bot() { self.turns.caller(edge) } else { None };
        self.history.caller(edge, answer.map(|answer| answer.after));
        self.caller_voice(edge, answer);
    }

    /// What the caller hears has an edge.
    pub(super) fn heard_edge(&mut self, edge: VoiceEdge) {
        let answer = if self.is_with_bot() { self.turns.bot(edge) } else { None };
        self.history.heard(edge, answer.map(|answer| answer.after));
        self.bot_voice(edge, answer);
    }

    /// Tells the history, once.
    pub(super) fn report_history(&mut self) {
        if let Some(timeline) = self.history.end(self.ended_at) {
            self.outputs.report(CallFact::Timeline(Box::new(timeline)));
        }
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Audio of a bot that comes later than this after the last begins another stretch.
const SENT_PAUSE: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;
    use VoiceEdge::{Started, Stopped};

    fn at(ms: u64) -> Moment {
        Moment::from_millis(10_000 + ms)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn entries(mut history: History, end: Moment) -> Vec<(u32, Happening)> {
        let kept = history.end(end).map_or_else(Vec::new, |timeline| timeline.entries);
        kept.into_iter().map(|entry| (entry.at_ms, entry.what)).collect()
    }

    #[test]
    fn spans_stand_where_they_began_and_a_caller_who_speaks_over_the_bot_is_a_barge_in() {
        let mut history = History::new(at(0));
        history.sound_begins(at(100));
        history.sound_begins(at(200));
        history.caller(Started(at(500)), None);
        history.caller(Stopped(at(1_500)), None);
        history.heard(Started(at(2_000)), Some(ms(500)));
        history.caller(Started(at(3_000)), None);
        history.heard(Stopped(at(3_100)), None);
        let expected = [
            (100, Happening::SoundBegan),
            (500, Happening::CallerSpoke { for_ms: 1_000 }),
            (2_000, Happening::Answered { after_ms: 500 }),
            (2_000, Happening::Heard { for_ms: 1_100 }),
            (3_000, Happening::BargeIn),
            (3_000, Happening::CallerSpoke { for_ms: 1_000 }),
        ];
        assert_eq!(entries(history, at(4_000)), expected);
    }

    #[test]
    fn an_answer_that_began_before_the_end_was_certain_stands_where_it_began() {
        let mut history = History::new(at(0));
        history.caller(Started(at(500)), None);
        history.heard(Started(at(1_100)), None);
        history.caller(Stopped(at(1_000)), Some(ms(100)));
        let answered = (1_100, Happening::Answered { after_ms: 100 });
        assert!(entries(history, at(2_000)).contains(&answered));
    }

    #[test]
    fn audio_of_the_bot_is_one_stretch_until_it_pauses() {
        let mut history = History::new(at(0));
        (0..50).for_each(|piece| history.sent(ms(200), at(1_000 + piece * 10)));
        history.sent(ms(20), at(5_000));
        let expected = [
            (1_000, Happening::BotSent { for_ms: 490, audio_ms: 10_000 }),
            (5_000, Happening::BotSent { for_ms: 0, audio_ms: 20 }),
        ];
        assert_eq!(entries(history, at(6_000)), expected);
    }

    #[test]
    fn a_call_without_end_keeps_its_beginning_and_counts_the_rest() {
        let mut history = History::new(at(0));
        let long = "é".repeat(TIMELINE_NAME_BYTES_MAX);
        (0..3_000).for_each(|count| history.mark(&long, MarkOutcome::Played, at(count)));
        history.caller(Started(at(4_000)), None);
        history.caller(Stopped(at(5_000)), None);
        history.sent(ms(20), at(5_000));
        let kept = history.end(at(6_000)).unwrap();
        assert_eq!((kept.entries.len(), kept.left_out), (TIMELINE_MAX, 1_002));
        let Some(TimelineEntry { what: Happening::Mark { name, .. }, .. }) = kept.entries.first() else {
            panic!("the first is no mark");
        };
        assert_eq!(name.len(), TIMELINE_NAME_BYTES_MAX);
        assert_eq!(history.end(at(7_000)), None);
    }
}
