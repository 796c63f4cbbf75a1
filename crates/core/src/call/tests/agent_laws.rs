//! Whatever an engine says in whatever order: the call lives or ends properly, no utterance is told twice, and of no item
//! more is told as heard than came.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::agent::{agent, talking, utterances};
use super::*;
use crate::agent::{Abilities, AgentTerms};

#[derive(Debug, Clone)]
enum Step {
    Item(u8),
    Audio(u64),
    Line(bool, bool, u8),
    BargeIn,
    Stopped,
    HangUp,
    SaveFields,
    Lost,
    Next,
    Speak(u64),
    Silence(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..5).prop_map(Step::Item),
        4 => (1u64..900).prop_map(Step::Audio),
        4 => (any::<bool>(), any::<bool>(), 0u8..5).prop_map(|(bot, last, item)| Step::Line(bot, last, item)),
        2 => Just(Step::BargeIn),
        2 => Just(Step::Stopped),
        1 => Just(Step::HangUp),
        1 => Just(Step::SaveFields),
        1 => Just(Step::Lost),
        2 => Just(Step::Next),
        3 => (1u64..60).prop_map(Step::Speak),
        3 => (1u64..60).prop_map(Step::Silence),
    ]
}

/// What the engine has sent of each item, in milliseconds.
#[derive(Default)]
struct Sent {
    item: Option<String>,
    ms: BTreeMap<String, u64>,
}

fn take(desk: &mut Desk, step: Step, sent: &mut Sent) {
    match step {
        Step::Item(item) => {
            desk.bot_says(&format!("item b{item}"));
            sent.item = Some(format!("b{item}"));
        }
        Step::Audio(ms) => {
            desk.bot_sends(&vec![0x10; ms as usize * 8]);
            if let Some(item) = &sent.item {
                *sent.ms.entry(item.clone()).or_default() += ms;
            }
        }
        Step::Line(bot, last, item) => {
            let (role, stage) = (if bot { "bot" } else { "caller" }, if last { "final" } else { "delta" });
            desk.bot_says(&format!("line {role} {stage} b{item}|some words "));
        }
        Step::BargeIn => {
            desk.bot_says("caller started");
            desk.bot_says("clear");
        }
        Step::Stopped => desk.bot_says("caller stopped"),
        Step::HangUp => desk.bot_says("tool h hang_up {}"),
        Step::SaveFields => desk.bot_says(r#"tool s save_fields {"a":1}"#),
        Step::Lost => desk.input(Input::BotClosed(SocketEnd::Reset)),
        Step::Next => {
            let settings = agent(MediaFormat::PCMU_8K, AgentTerms::default());
            desk.input(Input::NextBot(Box::new(NextBot { settings, stream_id: StreamId::new(1, 2) })));
        }
        Step::Speak(frames) => desk.talk(FRAME * frames as u32),
        Step::Silence(frames) => {
            for _ in 0..frames {
                desk.phone_speaks(0xFF);
                desk.pass(FRAME);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_an_engine_says_nothing_is_told_twice_and_no_more_is_heard_than_came(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let may = Abilities { save_fields: true, ..Abilities::default() };
        let mut desk = talking(AgentTerms { may, ..AgentTerms::default() });
        let mut sent = Sent::default();
        for step in steps {
            take(&mut desk, step, &mut sent);
        }
        desk.input(Input::PhoneGone(Reason::CallerHungUp));
        desk.pass(Duration::from_secs(20));
        prop_assert_eq!(desk.records.len(), 1);
        let all = utterances(&desk);
        let mut names: Vec<_> = all.iter().filter(|one| !one.item.is_empty()).map(|one| (one.role as u8, one.item.clone())).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), count);
        for told in desk.to_bot().iter().filter_map(|text| text.strip_prefix("interrupted ")) {
            let (item, ms) = told.split_once(' ').unwrap();
            let came = sent.ms.get(item).copied().unwrap_or_default();
            prop_assert!(ms.parse::<u64>().unwrap() <= came, "{told} of {came}");
        }
        prop_assert!(all.iter().all(|one| one.start <= one.end));
    }
}
