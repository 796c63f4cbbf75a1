//! What a conversation was like, in figures: who talked how long, who answered whom and how fast, who cut whom off.
//!
//! Made from finished utterances alone, so that a call of which only these survived has the same figures.

use std::time::Duration;

use crate::vocabulary::{HeardPart, Role, Utterance};

/// The figures of one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Analytics {
    /// How long the caller talked.
    pub caller_talk: Duration,
    /// How much of the bot's speech the caller heard.
    pub bot_talk: Duration,
    /// How often the caller had the word.
    pub caller_turns: usize,
    /// How often the bot had it and was heard.
    pub bot_turns: usize,
    /// Every utterance that the other side answered, in order.
    pub pairs: Vec<Pair>,
    /// How often the caller cut the bot off.
    pub interruptions_by_caller: usize,
    /// How often the bot began while the caller talked.
    pub interruptions_by_bot: usize,
    /// How long the caller waited for the bot's answers.
    pub responses: ResponseTimes,
}

/// A question and its answer, as places in the list of utterances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Who asked.
    pub asked_by: Role,
    /// What was said last before the other side took the word.
    pub question: usize,
    /// What the other side said first.
    pub answer: usize,
}

/// Times from the end of the caller's speech to the bot's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseTimes {
    /// Each, in order.
    pub each: Vec<Duration>,
    /// Their mean; `None` where there are none, as below.
    pub mean: Option<Duration>,
    /// Half of them are not longer.
    pub p50: Option<Duration>,
    /// Nineteen of twenty are not longer.
    pub p95: Option<Duration>,
}

impl Analytics {
    /// The figures of `utterances`, which are in the order in which they ended.
    pub fn of(utterances: &[Utterance]) -> Self {
        let mut by_beginning: Vec<(usize, &Utterance)> =
            utterances.iter().enumerate().filter(|(_, utterance)| was_heard(utterance)).collect();
        by_beginning.sort_by_key(|(_, utterance)| utterance.start);
        let mut figures = Self { responses: ResponseTimes::of(utterances), ..Self::default() };
        let mut last: Option<(usize, Role)> = None;
        for (place, utterance) in by_beginning {
            let role = utterance.role;
            if last.is_none_or(|(_, before)| before != role) {
                match role {
                    Role::Caller => figures.caller_turns += 1,
                    Role::Bot => figures.bot_turns += 1,
                }
            }
            if let Some((question, asked_by)) = last.filter(|(_, before)| *before != role) {
                figures.pairs.push(Pair { asked_by, question, answer: place });
            }
            last = Some((place, role));
        }
        for utterance in utterances {
            match utterance.role {
                Role::Caller => figures.caller_talk += spoken(utterance),
                Role::Bot => figures.bot_talk += heard(utterance),
            }
        }
        let of = |role| utterances.iter().filter(move |utterance| utterance.role == role);
        let is_cut = |bot: &Utterance| {
            let barges_in =
                |caller: &Utterance| caller.start <= bot.end + BARGE_IN_LAG && caller.end > bot.start;
            bot.heard != HeardPart::All && of(Role::Caller).any(barges_in)
        };
        let cuts = |bot: &Utterance| {
            was_heard(bot)
                && of(Role::Caller).any(|caller| caller.start < bot.start && bot.start < caller.end)
        };
        figures.interruptions_by_caller = of(Role::Bot).filter(|bot| is_cut(bot)).count();
        figures.interruptions_by_bot = of(Role::Bot).filter(|bot| cuts(bot)).count();
        figures
    }
}

impl ResponseTimes {
    fn of(utterances: &[Utterance]) -> Self {
        let each: Vec<_> = utterances.iter().filter_map(|utterance| utterance.response).collect();
        let mut sorted = each.clone();
        sorted.sort();
        // The nearest rank: a time that was measured, never one between two.
        let rank = |percent: usize| {
            let place = (sorted.len() * percent).div_ceil(100);
            sorted.get(place.saturating_sub(1)).copied()
        };
        let count = u32::try_from(each.len()).unwrap_or(u32::MAX);
        let mean = each.iter().sum::<Duration>().checked_div(count);
        Self { mean, p50: rank(50), p95: rank(95), each }
    }
}

fn was_heard(utterance: &Utterance) -> bool {
    utterance.heard != HeardPart::Nothing
}

fn spoken(utterance: &Utterance) -> Duration {
    utterance.end.saturating_sub(utterance.start)
}

/// How much audio of an utterance its listener heard.
pub fn heard(utterance: &Utterance) -> Duration {
    match utterance.heard {
        HeardPart::All => utterance.played.unwrap_or_else(|| spoken(utterance)),
        HeardPart::First { audio, .. } => audio,
        HeardPart::Nothing => Duration::ZERO,
    }
}

/// How long after the bot fell silent the caller's speech may have begun that silenced it: an engine's ear is late.
const BARGE_IN_LAG: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn utterance(role: Role, span: (u64, u64), heard: HeardPart, response: Option<u64>) -> Utterance {
        Utterance {
            role,
            item: "item".into(),
            text: "words".into(),
            start: ms(span.0),
            end: ms(span.1),
            heard,
            played: None,
            response: response.map(ms),
        }
    }

    fn first(audio: u64) -> HeardPart {
        HeardPart::First { audio: ms(audio), text_bytes: 2 }
    }

    #[test]
    fn a_conversation_is_told_in_figures() {
        let talk = [
            utterance(Role::Bot, (0, 2_000), HeardPart::All, None),
            utterance(Role::Caller, (2_500, 4_000), HeardPart::All, None),
            utterance(Role::Bot, (4_300, 5_000), HeardPart::All, Some(300)),
            utterance(Role::Bot, (5_000, 6_000), first(900), None),
            utterance(Role::Caller, (5_900, 7_000), HeardPart::All, None),
            utterance(Role::Bot, (7_500, 8_000), HeardPart::All, Some(500)),
        ];
        let figures = Analytics::of(&talk);
        assert_eq!((figures.caller_talk, figures.bot_talk), (ms(2_600), ms(4_100)));
        assert_eq!((figures.caller_turns, figures.bot_turns), (2, 3));
        let pairs: Vec<_> = figures.pairs.iter().map(|pair| (pair.question, pair.answer)).collect();
        assert_eq!(pairs, [(0, 1), (1, 2), (3, 4), (4, 5)]);
        assert_eq!(figures.pairs[1].asked_by, Role::Caller);
        assert_eq!((figures.interruptions_by_caller, figures.interruptions_by_bot), (1, 0));
        let responses = &figures.responses;
        assert_eq!(
            (responses.mean, responses.p50, responses.p95),
            (Some(ms(400)), Some(ms(300)), Some(ms(500)))
        );
    }

    #[test]
    fn words_that_nobody_heard_take_no_turn_and_an_end_of_the_call_is_no_interruption() {
        let talk = [
            utterance(Role::Caller, (0, 1_000), HeardPart::All, None),
            utterance(Role::Bot, (1_000, 3_000), HeardPart::Nothing, None),
            utterance(Role::Caller, (1_100, 2_000), HeardPart::All, None),
            // The call ended in the middle of it.
            utterance(Role::Bot, (2_600, 3_600), first(300), Some(600)),
        ];
        let figures = Analytics::of(&talk);
        assert_eq!((figures.caller_turns, figures.bot_turns, figures.pairs.len()), (1, 1, 1));
        assert_eq!((figures.interruptions_by_caller, figures.bot_talk), (1, ms(300)));
        let holes =
            Utterance { played: Some(ms(800)), ..utterance(Role::Bot, (0, 2_000), HeardPart::All, None) };
        assert_eq!(Analytics::of(&[holes]).bot_talk, ms(800));
    }

    #[test]
    fn a_bot_that_begins_while_the_caller_talks_interrupts() {
        let talk = [
            utterance(Role::Bot, (500, 900), HeardPart::All, None),
            utterance(Role::Caller, (0, 1_000), HeardPart::All, None),
        ];
        let figures = Analytics::of(&talk);
        assert_eq!((figures.interruptions_by_caller, figures.interruptions_by_bot), (0, 1));
    }

    #[test]
    fn nothing_said_is_nothing_counted_and_percentiles_are_times_that_were_measured() {
        assert_eq!(Analytics::of(&[]), Analytics::default());
        let talk: Vec<_> = (1..=100)
            .map(|n| utterance(Role::Bot, (n * 1_000, n * 1_000 + 1), HeardPart::All, Some(101 - n)))
            .collect();
        let responses = Analytics::of(&talk).responses;
        assert_eq!((responses.p50, responses.p95, responses.each.len()), (Some(ms(50)), Some(ms(95)), 100));
    }
}
