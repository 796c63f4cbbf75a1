//! Turns, cuts and ends: what is told of them, once each.

use super::*;
use proptest::prelude::*;

fn at(ms: u64) -> Moment {
    Moment::from_millis(1_000 + ms)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn line(role: Role, item: &str, text: &str, stage: LineStage) -> TranscriptLine {
    TranscriptLine { role, item: item.into(), text: text.into(), stage }
}

fn conversation() -> Conversation {
    Conversation::new(at(0))
}

fn told(conversation: &mut Conversation) -> Vec<Utterance> {
    std::iter::from_fn(|| conversation.poll()).collect()
}

#[test]
fn a_turn_and_its_answer_are_told_when_they_are_over_and_their_words_are_known() {
    let mut talk = conversation();
    talk.caller_began(None, at(100));
    talk.caller_ended(at(900));
    assert!(told(&mut talk).is_empty(), "its words are not known");
    talk.line(&line(Role::Bot, "b", "Good ", LineStage::Delta), at(1_100));
    talk.bot_began("b", at(1_200));
    talk.answered(at(1_200), ms(300));
    talk.line(&line(Role::Caller, "a", "hello", LineStage::Final), at(1_300));
    talk.line(&line(Role::Bot, "b", "Good day", LineStage::Final), at(1_300));
    let [caller] = told(&mut talk).try_into().unwrap();
    assert_eq!((caller.start, caller.end, &*caller.text, &*caller.item), (ms(100), ms(900), "hello", "a"));
    talk.bot_heard("b", ms(700), at(2_000));
    let [bot] = told(&mut talk).try_into().unwrap();
    assert_eq!((bot.start, bot.end, bot.heard), (ms(1_200), ms(2_000), HeardPart::All));
    assert_eq!(bot.played, Some(ms(700)), "it paused");
    assert_eq!((&*bot.text, bot.response), ("Good day", Some(ms(300))));
    talk.line(&line(Role::Bot, "b", "again", LineStage::Final), at(2_100));
    talk.bot_was_cut("b", ms(1), ms(2), at(2_100));
    talk.end(at(3_000), |_| None);
    assert!(told(&mut talk).is_empty(), "nothing is told twice");
}

#[test]
fn a_turn_keeps_its_own_words_when_those_of_the_next_one_are_known_before() {
    let mut talk = conversation();
    talk.caller_began(Some("long"), at(100));
    talk.caller_ended(at(9_000));
    talk.caller_began(Some("short"), at(9_400));
    talk.caller_ended(at(9_800));
    talk.line(&line(Role::Caller, "short", "yes", LineStage::Final), at(10_000));
    talk.line(&line(Role::Caller, "long", "I would like", LineStage::Delta), at(10_050));
    talk.line(&line(Role::Caller, "long", "I would like to buy a car", LineStage::Final), at(10_100));
    let all = told(&mut talk);
    let found: Vec<_> = all.iter().map(|one| (&*one.item, &*one.text, one.start, one.end)).collect();
    let short = ("short", "yes", ms(9_400), ms(9_800));
    assert_eq!(found, [short, ("long", "I would like to buy a car", ms(100), ms(9_000))]);
}

#[test]
fn speech_that_is_named_late_or_by_no_edge_has_the_words_of_the_first_name() {
    let mut talk = conversation();
    talk.caller_began(None, at(100));
    talk.caller_began(Some("a"), at(140));
    talk.caller_began(Some("b"), at(1_000));
    talk.caller_ended(at(1_500));
    talk.line(&line(Role::Caller, "b", "two", LineStage::Final), at(1_600));
    talk.line(&line(Role::Caller, "a", "one", LineStage::Final), at(1_700));
    talk.caller_began(None, at(2_000));
    talk.caller_ended(at(2_500));
    talk.line(&line(Role::Caller, "c", "three", LineStage::Final), at(2_600));
    talk.caller_began(Some("d"), at(3_000));
    talk.caller_ended(at(3_500));
    talk.line(&line(Role::Caller, "", "four", LineStage::Final), at(3_600));
    let all = told(&mut talk);
    let found: Vec<_> = all.iter().map(|one| (&*one.text, one.start, one.end)).collect();
    let (one, two) = (("one", ms(100), ms(1_000)), ("two", ms(1_000), ms(1_500)));
    assert_eq!(found, [two, one, ("three", ms(2_000), ms(2_500)), ("four", ms(3_000), ms(3_500))]);
}

#[test]
fn a_bot_that_is_cut_off_has_the_words_that_were_whole_by_then() {
    let text = "one two three four";
    for (heard, expected) in
        [(0, None), (250, Some("one")), (500, Some("one two")), (999, Some("one two three"))]
    {
        let mut talk = conversation();
        talk.bot_began("b", at(10));
        talk.line(&line(Role::Bot, "b", text, LineStage::Final), at(20));
        talk.bot_was_cut("b", ms(heard), ms(1_000), at(500));
        let [bot] = told(&mut talk).try_into().unwrap();
        let words = match bot.heard {
            HeardPart::First { audio, text_bytes } => {
                assert_eq!(audio, ms(heard));
                Some(&bot.text[..text_bytes])
            }
            HeardPart::Nothing => None,
            HeardPart::All => panic!("it was cut"),
        };
        assert_eq!(words, expected, "{heard}");
        let remembered: Vec<_> = talk.history().iter().map(|line| line.text.to_string()).collect();
        assert_eq!(remembered, expected.map(str::to_owned).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn words_that_never_come_are_waited_for_no_longer_than_a_moment() {
    let mut talk = conversation();
    talk.bot_began("b", at(0));
    talk.bot_heard("b", ms(1_000), at(1_000));
    assert_eq!(talk.poll_timeout(), Some(at(3_000)));
    talk.handle_timeout(at(3_000));
    assert_eq!(told(&mut talk)[0].heard, HeardPart::All);
}

#[test]
fn the_end_of_a_call_tells_what_was_not_over() {
    let mut talk = conversation();
    talk.caller_began(None, at(0));
    talk.line(&line(Role::Bot, "b", "half heard", LineStage::Delta), at(10));
    talk.line(&line(Role::Bot, "c", "never heard", LineStage::Final), at(10));
    talk.bot_began("b", at(20));
    talk.end(at(500), |item| (item == "b").then_some((ms(450), ms(900))));
    let all = told(&mut talk);
    let heard: Vec<_> = all.iter().map(|utterance| (utterance.role, utterance.heard)).collect();
    let first = HeardPart::First { audio: ms(450), text_bytes: 4 };
    assert_eq!(heard, [(Role::Caller, HeardPart::All), (Role::Bot, first), (Role::Bot, HeardPart::Nothing)]);
    assert!(all.iter().all(|utterance| utterance.end == ms(500)));
}

#[test]
fn a_flood_of_items_is_kept_within_bounds() {
    let mut talk = conversation();
    for item in 0..1_000 {
        let text = "é".repeat(UTTERANCE_BYTES_MAX);
        talk.line(&line(Role::Bot, &item.to_string(), &text, LineStage::Delta), at(item));
    }
    assert_eq!(told(&mut talk).len(), 1_000 - UTTERANCES_OPEN_MAX);
    assert!(talk.open.iter().all(|entry| entry.text.len() <= UTTERANCE_BYTES_MAX));
}

#[derive(Debug, Clone)]
enum Step {
    Began(Option<u8>),
    Ended,
    Line(Role, u8, LineStage, String),
    BotBegan(u8),
    BotHeard(u8),
    Cut(u8, u64, u64),
    Answered,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let role = prop_oneof![Just(Role::Caller), Just(Role::Bot)];
    let stage = prop_oneof![Just(LineStage::Delta), Just(LineStage::Final)];
    prop_oneof![
        proptest::option::of(0u8..6).prop_map(Step::Began),
        Just(Step::Ended),
        (role, 0u8..6, stage, "[a-zé ]{0,12}")
            .prop_map(|(role, item, stage, text)| Step::Line(role, item, stage, text)),
        (0u8..6).prop_map(Step::BotBegan),
        (0u8..6).prop_map(Step::BotHeard),
        (0u8..6, 0u64..2_000, 0u64..2_000).prop_map(|(item, a, b)| Step::Cut(item, a.min(b), a.max(b))),
        Just(Step::Answered),
        (0u64..20_000).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_the_order_nothing_is_told_twice_and_no_more_is_heard_than_was_said(
        steps in proptest::collection::vec(step(), 0..80)
    ) {
        let (mut talk, mut now) = (conversation(), 0);
        let mut all = Vec::new();
        for step in steps {
            match step {
                Step::Began(item) => {
                    talk.caller_began(item.map(|item| item.to_string()).as_deref(), at(now));
                }
                Step::Ended => talk.caller_ended(at(now)),
                Step::Line(role, item, stage, text) => {
                    talk.line(&line(role, &item.to_string(), &text, stage), at(now));
                }
                Step::BotBegan(item) => talk.bot_began(&item.to_string(), at(now)),
                Step::BotHeard(item) => talk.bot_heard(&item.to_string(), ms(20), at(now)),
                Step::Cut(item, heard, pushed) => {
                    talk.bot_was_cut(&item.to_string(), ms(heard), ms(pushed), at(now));
                }
                Step::Answered => talk.answered(at(now), ms(5)),
                Step::Wait(pause) => {
                    now += pause;
                    talk.handle_timeout(at(now));
                }
            }
            all.extend(told(&mut talk));
        }
        talk.end(at(now), |_| Some((ms(10), ms(20))));
        all.extend(told(&mut talk));
        let mut names: Vec<_> = all.iter().filter(|one| !one.item.is_empty()).map(|one| (one.role, one.item.clone())).collect();
        let count = names.len();
        names.sort_by_key(|(role, item)| (*role == Role::Bot, item.clone()));
        names.dedup();
        prop_assert_eq!(names.len(), count);
        for one in &all {
            prop_assert!(one.start <= one.end);
            if let HeardPart::First { text_bytes, .. } = one.heard {
                prop_assert!(one.text.is_char_boundary(text_bytes));
            }
        }
        prop_assert!(talk.open.is_empty());
    }
}
