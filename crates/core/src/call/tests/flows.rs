//! Flows that take a call: at its beginning, from a bot, and after a bot that failed.

use super::*;
use crate::flow::{Clip, FlowBook, FlowBot, HouseClips, Script, Spot, Step, Target};
use crate::vocabulary::BotSession;

/// A flow that says a second of `byte`s and hangs up.
pub(super) fn saying(byte: u8) -> BotSettings {
    flow(vec![Step::Play(Clip::new(vec![byte; 8_000], MediaFormat::PCMU_8K)), Step::HangUp])
}

pub(super) fn flow(steps: Vec<Step>) -> BotSettings {
    let clip = Clip::new(vec![0x33; 800], MediaFormat::PCMU_8K);
    let house = HouseClips {
        unavailable: clip.clone(),
        goodbye: clip.clone(),
        tone: clip.clone(),
        thanks: clip.clone(),
        place: clip.clone(),
        places: vec![clip.clone()],
        further: clip,
    };
    let book = FlowBook { scripts: vec![Script { name: "night".into(), steps }], house };
    let side = FlowBot::new(Arc::new(book), Spot { flow: 0, step: 0 }, MediaFormat::PCMU_8K);
    BotSettings { name: "flow:night".into(), ..built_in(Box::new(side)) }
}

pub(super) fn next(settings: BotSettings) -> Input<'static> {
    Input::NextBot(Box::new(NextBot { settings, stream_id: StreamId::new(1_707_204_900, 124) }))
}

pub(super) fn heard_ms(desk: &Desk, byte: u8) -> usize {
    let frames = desk.heard_since(Moment::START);
    frames.iter().filter(|(_, audio)| audio.iter().all(|sample| *sample == byte)).count() * 20
}

#[test]
fn a_flow_answers_when_it_has_something_to_say_and_hangs_up_when_it_was_heard() {
    let mut desk = Desk::sip(saying(0x21), Fallback::Sorry);
    assert!(desk.saw(&Seen::Ring) && desk.saw(&Seen::Answer));
    desk.pass(Duration::from_secs(2));
    assert_eq!(heard_ms(&desk, 0x21), 1_000);
    assert_eq!(cause_of(&desk).reason(), Reason::BotHungUp);
}

#[test]
fn a_flow_that_says_nothing_leaves_the_call_unanswered() {
    let desk = Desk::sip(flow(vec![Step::HangUp]), Fallback::Sorry);
    assert!(!desk.saw(&Seen::Answer));
    assert_eq!(cause_of(&desk).reason(), Reason::BotHungUp);
    assert!(desk.seen.iter().any(|(_, seen)| matches!(seen, Seen::Reject(_))), "{:?}", desk.seen);
}

#[test]
fn a_bot_gives_the_call_to_a_flow() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.bot_says(r#"{"type":"session.flow_transfer","flow_id":"night"}"#);
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::Flow("night".into()))), "{:?}", desk.seen);
    desk.input(next(saying(0x21)));
    assert!(desk.to_bot().last().unwrap().contains("stopped"), "{:?}", desk.to_bot());
    desk.pass(Duration::from_secs(2));
    assert_eq!(heard_ms(&desk, 0x21), 1_000);
    let record = desk.ended();
    let first = BotSession { bot: "bot".into(), stream_id: StreamId::new(1_707_204_900, 123) };
    assert_eq!((&*record.earlier_bots, &*record.bot), ([first].as_slice(), "flow:night"));
}

#[test]
fn a_bot_that_names_a_flow_which_does_not_exist_is_told() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.bot_says(r#"{"type":"session.flow_transfer","flow_id":"day"}"#);
    desk.input(Input::NextBotFailed(NextBotError::UnknownFlow));
    assert!(desk.to_bot().last().unwrap().contains("unknown_flow"), "{:?}", desk.to_bot());
    assert_eq!(desk.call.state(), StateName::Talking);
}

#[test]
fn a_flow_takes_the_place_of_a_bot_that_was_not_reached_and_answers_itself() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Flow("night".into()));
    desk.input(Input::BotFailed(Reason::BotDns));
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::Flow("night".into()))));
    assert!(!desk.saw(&Seen::Answer), "it rings on");
    desk.input(next(saying(0x21)));
    assert!(desk.saw(&Seen::NextBotTakesOver) && desk.saw(&Seen::Answer));
    desk.pass(Duration::from_secs(2));
    assert_eq!(heard_ms(&desk, 0x21), 1_000);
    assert!(desk.ended().bot_failed_at.is_some());
}

#[test]
fn a_flow_takes_the_place_of_a_bot_that_fails_in_the_midst_of_a_call() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Flow("night".into()));
    desk.input(Input::BotConnected);
    desk.bot_sends(&[0x10; 16_000]);
    desk.talk(Duration::from_millis(200));
    desk.input(Input::BotClosed(SocketEnd::Reset));
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::Flow("night".into()))));
    desk.input(next(saying(0x21)));
    desk.talk(Duration::from_millis(1_200));
    assert_eq!(heard_ms(&desk, 0x21), 1_000);
    desk.pass(Duration::from_secs(1));
    assert_eq!(cause_of(&desk).reason(), Reason::BotHungUp);
}

#[test]
fn the_apology_is_heard_when_the_flow_cannot_take_the_place_either() {
    for talking in [false, true] {
        let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Flow("night".into()));
        if talking {
            desk.input(Input::BotConnected);
        }
        desk.input(Input::BotFailed(Reason::BotDns));
        desk.input(Input::NextBotFailed(NextBotError::UnknownFlow));
        desk.pass(Duration::from_secs(4));
        assert!(!desk.heard_since(Moment::START).is_empty(), "the apology");
        assert_eq!(cause_of(&desk).reason(), Reason::BotRefused, "{talking}");
    }
}

#[test]
fn a_caller_who_hangs_up_while_the_flow_is_being_fetched_ends_the_call() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Flow("night".into()));
    desk.input(Input::BotFailed(Reason::BotDns));
    desk.input(Input::PhoneGone(Reason::Canceled));
    assert_eq!(cause_of(&desk).reason(), Reason::Canceled);
    desk.input(next(saying(0x21)));
    assert!(!desk.saw(&Seen::Answer));
}

#[test]
fn what_a_caller_keyed_in_goes_along_to_the_next_bot() {
    use crate::flow::{Ask, Gather};
    let silent = Clip::new(vec![0xFF; 160], MediaFormat::PCMU_8K);
    let ask = Ask { prompt: silent.clone(), invalid: silent, timeout: Duration::from_secs(5), retries: 0 };
    let name = "account".into();
    let gather = Gather { ask, name, min: 1, max: 3, terminator: None, otherwise: Target::Next };
    let mut desk = Desk::sip(flow(vec![Step::Gather(gather), Step::Bot("sales".into())]), Fallback::Sorry);
    for key in ['4', '2', '7'] {
        let digit = Digit::try_from(key).unwrap();
        desk.input(Input::PhoneDigit(crate::vocabulary::DigitPress { digit, duration: None }));
    }
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::Named("sales".into()))));
    desk.input(next(remote("ivr-solutions")));
    let start =
        desk.to_bot().into_iter().find(|text| text.contains(r#""event":"start""#)).unwrap().to_owned();
    assert!(start.contains(r#""account":"427""#), "{start}");
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
}

/// A voicemail whose greeting lasts 100 ms and whose shortest message a second.
fn mailbox() -> BotSettings {
    let greeting = Clip::new(vec![0x33; 800], MediaFormat::PCMU_8K);
    let (max, min, silence) = (Duration::from_secs(20), Duration::from_secs(1), Duration::from_secs(3));
    flow(vec![Step::Voicemail(crate::flow::Voicemail { greeting, max, min, silence })])
}

#[test]
fn a_message_is_on_a_tape_of_its_own_when_the_caller_hangs_up_behind_it() {
    let mut desk = Desk::sip(mailbox(), Fallback::Sorry);
    desk.pass(Duration::from_millis(400));
    desk.talk(Duration::from_millis(2_000));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!(desk.taped.began, [(TapeKind::Voicemail, 8_000)]);
    assert!((16_000..18_500).contains(&desk.taped.voicemail.len()), "{}", desk.taped.voicemail.len());
    assert_eq!((desk.taped.ended, desk.taped.dropped), (1, 0));
}

#[test]
fn a_message_of_a_moment_is_dropped() {
    let mut desk = Desk::sip(mailbox(), Fallback::Sorry);
    desk.pass(Duration::from_millis(400));
    desk.talk(Duration::from_millis(400));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!((desk.taped.began.len(), desk.taped.ended, desk.taped.dropped), (1, 0, 1));
}

#[test]
fn a_caller_stands_in_line_until_it_hangs_up() {
    let clip = Clip::new(vec![0x33; 8_000], MediaFormat::PCMU_8K);
    let queue = crate::flow::Queue {
        name: "sales".into(),
        greeting: clip.clone(),
        music: clip,
        announce: None,
        ring: Duration::from_secs(20),
        max_wait: Duration::from_secs(600),
        overflow: Target::HangUp,
    };
    let mut desk = Desk::sip(flow(vec![Step::Queue(queue)]), Fallback::Sorry);
    assert!(desk.saw(&Seen::Queue(QueueOrder::Join("sales".into()))));
    desk.talk(Duration::from_secs(5));
    assert!(heard_ms(&desk, 0x33) > 4_800, "the music has no holes: {} ms", heard_ms(&desk, 0x33));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert!(desk.saw(&Seen::Queue(QueueOrder::Leave)));
    assert_eq!(cause_of(&desk).reason(), Reason::CallerHungUp);
}
