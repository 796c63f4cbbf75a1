//! One bot gives the call to another.

use super::bots::Echo;
use super::*;
use crate::vocabulary::BotSession;

const TRANSFER: &str = r#"{"type":"session.transfer_ws","url":"wss://next.example.com/voice"}"#;

/// A call that talks to `ivr-solutions`, which has said a second of audio with a mark behind it and then asked for
/// another bot.
fn asked() -> Desk {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_millis(200));
    desk.input(Input::BotWire(Wire::Binary(&[0x10; 16_000])));
    desk.bot_says(r#"{"event":"mark","mark":{"name":"end"}}"#);
    desk.bot_says(TRANSFER);
    desk
}

fn next(settings: BotSettings) -> Input<'static> {
    let settings = BotSettings { name: "second".into(), ..settings };
    Input::NextBot(Box::new(NextBot { settings, stream_id: StreamId::new(1_707_204_900, 124) }))
}

fn loud_ms(desk: &Desk, from: Moment) -> usize {
    desk.heard_since(from).iter().filter(|(_, audio)| audio.iter().any(|byte| *byte != 0xFF)).count() * 20
}

#[test]
fn the_next_bot_is_reached_while_the_first_stays_and_then_takes_its_place() {
    let mut desk = asked();
    assert!(desk.saw(&Seen::ReachNextBot(BotWish::At("wss://next.example.com/voice".into()))));
    let before = desk.to_bot().len();
    desk.talk(Duration::from_millis(100));
    assert!(desk.to_bot().len() >= before + 4, "the first bot hears on");
    let from = desk.seen.len();
    desk.input(next(remote("ivr-solutions")));
    let told: Vec<&Seen> = desk.seen[from..].iter().map(|(_, seen)| seen).collect();
    let [
        Seen::ToBot(mark),
        Seen::ToBot(stop),
        Seen::CloseBot(1000),
        Seen::NextBotTakesOver,
        Seen::ToBot(connected),
        Seen::ToBot(start),
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert!(mark.contains(r#""mark":{"name":"end"}"#), "{mark}");
    assert!(stop.contains(r#""reason":"stopped""#) && stop.contains("1707204900.123"), "{stop}");
    assert!(connected.contains("connected") && start.contains(r#""stream_sid":"1707204900.124""#), "{start}");
    assert!(start.contains(desk.call.call_id().as_str()), "{start}");
}

#[test]
fn the_caller_hears_the_first_bot_to_its_end_and_then_the_second_and_both_are_in_the_record() {
    let mut desk = asked();
    let from = desk.now;
    desk.input(next(built_in(Box::new(Echo))));
    desk.pass(Duration::from_millis(1_200));
    assert_eq!(loud_ms(&desk, from), 1_000);
    let from = desk.now;
    desk.talk(Duration::from_millis(400));
    assert!(loud_ms(&desk, from) >= 360, "the echo answers");
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let record = desk.ended();
    let first = BotSession { bot: "bot".into(), stream_id: StreamId::new(1_707_204_900, 123) };
    assert_eq!((&*record.earlier_bots, &*record.bot), ([first].as_slice(), "second"));
    assert_eq!((record.counters.marks_cleared, record.counters.marks_played), (1, 0));
}

#[test]
fn the_new_bot_hears_the_frame_after_the_one_that_the_old_bot_heard_last() {
    let mut desk = asked();
    let heard = |desk: &Desk| desk.to_bot().iter().filter(|text| text.contains(r#""event":"media""#)).count();
    desk.talk(Duration::from_millis(100));
    let before = heard(&desk);
    desk.input(next(remote("ivr-solutions")));
    desk.talk(Duration::from_millis(100));
    assert_eq!(heard(&desk), before + 5);
    assert!(desk.to_bot().last().unwrap().contains(r#""chunk":5"#), "{:?}", desk.to_bot().last());
}

#[test]
fn a_next_bot_that_cannot_be_reached_leaves_the_first_one_talking_and_told() {
    let cases = [
        (NextBotError::Unknown, "unknown_bot"),
        (NextBotError::Unreached(Reason::BotForbidden), "not_allowed"),
        (NextBotError::Unreached(Reason::BotTls), "not_reached"),
    ];
    for (error, code) in cases {
        let mut desk = asked();
        desk.input(Input::NextBotFailed(error));
        let told = desk.to_bot().last().unwrap().to_string();
        assert!(told.contains(code) && told.contains(r#""command":"session.transfer_ws""#), "{told}");
        assert_eq!(desk.call.state(), StateName::Talking);
        desk.bot_says(TRANSFER);
        desk.input(next(built_in(Box::new(Echo))));
        assert!(desk.saw(&Seen::NextBotTakesOver), "it may ask again");
    }
}

#[test]
fn a_next_bot_that_takes_too_long_is_dropped_and_comes_too_late() {
    let mut desk = asked();
    desk.talk(Duration::from_millis(5_100));
    assert!(desk.saw(&Seen::DropNextBot));
    assert!(desk.to_bot().iter().any(|text| text.contains("not_reached")), "{:?}", desk.to_bot().last());
    desk.input(next(built_in(Box::new(Echo))));
    assert!(!desk.saw(&Seen::NextBotTakesOver));
}

#[test]
fn a_second_wish_is_refused_while_the_first_is_under_way() {
    let mut desk = asked();
    desk.bot_says(TRANSFER);
    assert!(desk.to_bot().last().unwrap().contains("transfer_pending"));
    desk.input(next(built_in(Box::new(Echo))));
    assert!(desk.saw(&Seen::NextBotTakesOver));
}

#[test]
fn a_bot_that_leaves_or_breaks_after_its_wish_leaves_the_caller_to_the_next() {
    for end in [SocketEnd::Closed(1000), SocketEnd::Closed(1011), SocketEnd::Reset] {
        let mut desk = asked();
        desk.input(Input::BotClosed(end));
        assert_eq!(desk.call.state(), StateName::Talking);
        desk.input(next(built_in(Box::new(Echo))));
        let from = desk.now;
        desk.pass(Duration::from_millis(1_200));
        assert_eq!(loud_ms(&desk, from), 1_000, "what the first one said is heard");
    }
}

#[test]
fn the_caller_gets_the_fallback_when_the_first_bot_has_left_and_the_next_is_not_there() {
    let mut desk = asked();
    desk.input(Input::BotClosed(SocketEnd::Closed(1000)));
    desk.input(Input::NextBotFailed(NextBotError::Unreached(Reason::BotDns)));
    let from = desk.now;
    desk.pass(Duration::from_secs(3));
    assert_eq!(loud_ms(&desk, from), 1_000, "the apology");
    assert_eq!(cause_of(&desk).reason(), Reason::BotDns);
}

#[test]
fn a_call_that_ends_meanwhile_drops_the_next_bot() {
    let mut desk = asked();
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert!(desk.saw(&Seen::DropNextBot));
    assert_eq!(cause_of(&desk).reason(), Reason::CallerHungUp);
}

#[test]
fn a_call_is_handed_over_sixteen_times_and_no_more() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    for _ in 0..EARLIER_BOTS_MAX {
        desk.bot_says(TRANSFER);
        desk.input(next(remote("ivr-solutions")));
    }
    desk.bot_says(TRANSFER);
    assert!(desk.to_bot().last().unwrap().contains("too_many_transfers"));
    let taken = desk.seen.iter().filter(|(_, seen)| *seen == Seen::NextBotTakesOver).count();
    assert_eq!(taken, EARLIER_BOTS_MAX);
}

#[test]
fn a_bot_of_another_format_takes_over_in_its_own() {
    let mut desk = asked();
    desk.pass(Duration::from_millis(1_200));
    desk.input(next(remote("ozonetel")));
    let from = desk.now;
    let samples = "5000,".repeat(799) + "5000";
    desk.bot_says(&format!(
        r#"{{"event":"media","type":"media","ucid":"u","data":{{"samples":[{samples}],"bitsPerSample":16,"sampleRate":8000,"channelCount":1,"numberOfFrames":800,"type":"data"}}}}"#
    ));
    desk.pass(Duration::from_millis(300));
    assert_eq!(loud_ms(&desk, from), 100);
}
