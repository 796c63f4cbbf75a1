//! How long the bot lets the caller wait: from the end of the caller's speech to the beginning of the bot's.
//!
//! Both edges are found in the sound itself (`VoiceActivity`), so that a bot that streams silence is not taken for one
//! that answers. A bot that speaks over the caller gives no time; nor does one whose caller goes on meanwhile.

use std::time::Duration;

use crate::vocabulary::{Moment, RESPONSES_KEPT, ResponseTimes};

use super::voice::VoiceEdge;

/// The turns of one call.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// When the caller stopped, while no answer has come.
    waits_since: Option<Moment>,
    /// When the bot began, while it speaks.
    bot_since: Option<Moment>,
    count: u64,
    unanswered: u64,
    sum_ms: u64,
    extremes_ms: Option<(u16, u16)>,
    kept_ms: Vec<u16>,
}

/// The beginning of an answer of the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// When it was heard.
    pub(super) began: Moment,
    /// So long after the caller's last sound.
    pub(super) after: Duration,
}

impl Turns {
    /// The caller began or ended; gives the answer that is known with this.
    pub(super) fn caller(&mut self, edge: VoiceEdge) -> Option<Answer> {
        match edge {
            VoiceEdge::Started(_) => {
                self.unanswered += u64::from(self.waits_since.take().is_some());
                None
            }
            VoiceEdge::Stopped(stopped) => match self.bot_since {
                // The answer began before the end was certain.
                Some(began) if began >= stopped => Some(self.answered(began, stopped)),
                // The bot has been speaking all along.
                Some(_) => None,
                None => {
                    self.waits_since = Some(stopped);
                    None
                }
            },
        }
    }

    /// The bot began to be heard, or ended; gives its answer, if it is one.
    pub(super) fn bot(&mut self, edge: VoiceEdge) -> Option<Answer> {
        match edge {
            VoiceEdge::Started(began) => {
                self.bot_since = Some(began);
                self.waits_since.take().map(|stopped| self.answered(began, stopped))
            }
            VoiceEdge::Stopped(_) => {
                self.bot_since = None;
                None
            }
        }
    }

    /// What was measured.
    pub(super) fn times(&self) -> ResponseTimes {
        let ms = |ms: u16| Duration::from_millis(ms.into());
        let mut kept: Vec<_> = self.kept_ms.iter().copied().map(ms).collect();
        kept.sort_unstable();
        ResponseTimes {
            count: self.count,
            kept,
            mean: Duration::from_millis(self.sum_ms.checked_div(self.count).unwrap_or(0)),
            extremes: self.extremes_ms.map(|(least, most)| (ms(least), ms(most))),
            unanswered: self.unanswered,
        }
    }

    /// The time of the last answer.
    pub(super) fn last(&self) -> Option<Duration> {
        let newest = usize::try_from(self.count.checked_sub(1)?).unwrap_or(0) % RESPONSES_KEPT;
        self.kept_ms.get(newest).map(|ms| Duration::from_millis(u64::from(*ms)))
    }

    fn answered(&mut self, began: Moment, stopped: Moment) -> Answer {
        let after = began - stopped;
        let after_ms = u16::try_from(after.as_millis()).unwrap_or(u16::MAX);
        self.sum_ms += u64::from(after_ms);
        let (least, most) = self.extremes_ms.unwrap_or((after_ms, after_ms));
        self.extremes_ms = Some((least.min(after_ms), most.max(after_ms)));
        let oldest = usize::try_from(self.count).unwrap_or(0) % RESPONSES_KEPT;
        match self.kept_ms.get_mut(oldest) {
            Some(place) => *place = after_ms,
            None => self.kept_ms.push(after_ms),
        }
        self.count += 1;
        Answer { began, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use VoiceEdge::{Started, Stopped};

    fn at(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn an_answer_is_measured_from_the_callers_end_to_the_bots_beginning() {
        let mut turns = Turns::default();
        turns.caller(Started(at(1_000)));
        turns.caller(Stopped(at(2_000)));
        turns.bot(Started(at(2_700)));
        turns.bot(Stopped(at(4_000)));
        // Faster than the end of the caller's speech is certain.
        turns.caller(Started(at(5_000)));
        turns.bot(Started(at(6_100)));
        turns.caller(Stopped(at(6_000)));
        let times = turns.times();
        assert_eq!((times.count, times.mean.as_millis(), times.unanswered), (2, 400, 0));
        assert_eq!((Turns::default().last(), turns.last()), (None, Some(Duration::from_millis(100))));
        assert_eq!(times.percentile(0.5), Some(Duration::from_millis(100)));
        assert_eq!(times.percentile(0.95), Some(Duration::from_millis(700)));
        assert_eq!(times.extremes, Some((Duration::from_millis(100), Duration::from_millis(700))));
    }

    #[test]
    fn a_bot_that_speaks_all_along_and_a_caller_who_goes_on_give_no_time() {
        let mut turns = Turns::default();
        turns.bot(Started(at(500)));
        turns.caller(Started(at(1_000)));
        turns.caller(Stopped(at(2_000)));
        turns.bot(Stopped(at(3_000)));
        turns.caller(Started(at(4_000)));
        turns.caller(Stopped(at(5_000)));
        turns.caller(Started(at(6_000)));
        turns.bot(Started(at(6_500)));
        let times = turns.times();
        assert_eq!((times.count, times.unanswered, times.percentile(0.5)), (0, 1, None));
    }

    #[test]
    fn the_times_of_a_long_call_take_no_more_than_their_room() {
        let mut turns = Turns::default();
        for turn in 0..1_000u64 {
            turns.caller(Stopped(at(turn * 10_000)));
            turns.bot(Started(at(turn * 10_000 + turn)));
            turns.bot(Stopped(at(turn * 10_000 + 5_000)));
        }
        let times = turns.times();
        assert_eq!((times.count, times.kept.len()), (1_000, RESPONSES_KEPT));
        assert_eq!(times.kept.first(), Some(&Duration::from_millis(1_000 - RESPONSES_KEPT as u64)));
        assert_eq!(times.extremes, Some((Duration::ZERO, Duration::from_millis(999))));
    }
}
