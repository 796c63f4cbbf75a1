//! How calls end, from each side and by each failure.

use super::bots::Echo;
use super::*;

fn talking(fallback: Fallback) -> Desk {
    let mut desk = Desk::sip(remote("ivr-solutions"), fallback);
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_millis(200));
    desk
}

fn second_of_audio() -> String {
    format!(r#"{{"type":"response.audio.delta","delta":"{}"}}"#, "EBAQ".repeat(5_333))
}

#[test]
fn a_caller_who_hangs_up_ends_the_stream_and_closes_the_bot_normally() {
    let mut desk = talking(Fallback::Sorry);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let stop = desk.to_bot().last().copied().unwrap();
    assert!(stop.contains(r#""event":"stop""#) && stop.contains(r#""reason":"callended""#), "{stop}");
    assert!(desk.saw(&Seen::CloseBot(1000)));
    assert!(!desk.saw(&Seen::HangUpPhone(Reason::CallerHungUp)), "the phone is gone already");
    assert_eq!(cause_of(&desk).to_string(), "completed/caller_hung_up");
}

#[test]
fn a_bot_that_hangs_up_is_heard_to_its_last_word() {
    for hang_up in ["message", "close"] {
        let mut desk = talking(Fallback::Sorry);
        let from = desk.now;
        desk.bot_says(&second_of_audio());
        match hang_up {
            "message" => desk.bot_says(r#"{"type":"session.hangup"}"#),
            _ => desk.input(Input::BotClosed(SocketEnd::Closed(1000))),
        }
        assert!(desk.records.is_empty());
        desk.talk(Duration::from_millis(1_500));
        let loud =
            desk.heard_since(from).iter().flat_map(|(_, audio)| *audio).filter(|byte| **byte != 0xFF).count();
        assert!((7_990..=8_010).contains(&loud), "{hang_up}: {loud} samples");
        assert!(desk.saw(&Seen::HangUpPhone(Reason::BotHungUp)));
        assert_eq!(cause_of(&desk).to_string(), "completed/bot_hung_up");
    }
}

#[test]
fn a_bot_that_speaks_on_after_its_hang_up_does_not_prolong_the_call() {
    let mut desk = talking(Fallback::Sorry);
    desk.bot_says(r#"{"type":"session.hangup"}"#);
    for _ in 0..10 {
        desk.bot_says(&second_of_audio());
        desk.pass(Duration::from_millis(50));
    }
    assert_eq!(cause_of(&desk).to_string(), "completed/bot_hung_up");
    assert!(desk.ended().counters.played_ms < 100);
}

#[test]
fn a_bot_that_fails_in_the_middle_gives_the_caller_the_fallback_at_once() {
    let ends = [
        (Input::BotClosed(SocketEnd::Reset), "bot/reset"),
        (Input::BotClosed(SocketEnd::Closed(1011)), "bot/closed_with_error"),
        (Input::BotFailed(Reason::BotStalled), "bot/stalled"),
    ];
    for (end, cause) in ends {
        let mut desk = talking(Fallback::Sorry);
        desk.bot_says(&second_of_audio());
        desk.talk(Duration::from_millis(100));
        desk.input(end);
        let failed = desk.now;
        desk.pass(Duration::from_secs(3));
        let heard = desk.heard_since(failed);
        let apology = crate::media::g711::Law::Mu.encode_sample(3_000);
        let (first, _) = heard.iter().find(|(_, audio)| audio.contains(&apology)).expect("an apology");
        assert!(*first - failed <= Duration::from_millis(500), "{cause}: {:?}", *first - failed);
        assert_eq!(desk.ended().bot_failed_at, Some(failed));
        assert_eq!(cause_of(&desk).to_string(), cause);
    }
}

#[test]
fn a_flood_of_messages_or_of_audio_ends_the_bot() {
    let mut desk = talking(Fallback::Busy);
    for _ in 0..1_001 {
        desk.bot_says(r#"{"type":"noise"}"#);
    }
    desk.pass(Duration::from_secs(6));
    assert_eq!(cause_of(&desk).to_string(), "bot/flooded");
    let mut desk = talking(Fallback::Busy);
    for _ in 0..312 {
        desk.bot_says(&second_of_audio());
    }
    desk.pass(Duration::from_secs(6));
    assert_eq!(cause_of(&desk).to_string(), "bot/flooded");
}

#[test]
fn a_call_may_not_last_for_ever() {
    let mut desk = Desk::sip(built_in(Box::new(Echo)), Fallback::Sorry);
    for _ in 0..4 * 3_600 / 20 {
        desk.phone_speaks(0xFF);
        desk.pass(Duration::from_secs(20));
        desk.seen.clear();
    }
    assert_eq!(cause_of(&desk).to_string(), "us/max_duration");
}

#[test]
fn a_drain_ends_the_call_with_its_own_cause() {
    let mut desk = talking(Fallback::Sorry);
    desk.input(Input::HangUp(Reason::Drained));
    assert!(desk.saw(&Seen::HangUpPhone(Reason::Drained)) && desk.saw(&Seen::CloseBot(1000)));
    assert_eq!(cause_of(&desk).to_string(), "us/drained");
}

#[test]
fn an_incoming_call_bot_gets_hangup_and_cdr_from_the_caller_but_only_cdr_after_its_own() {
    let up = || {
        let mut desk = Desk::sip(remote("incoming-call"), Fallback::Sorry);
        desk.input(Input::BotConnected);
        desk.bot_says(r#"{"event":"answer"}"#);
        desk.talk(Duration::from_secs(2));
        desk
    };
    let mut desk = up();
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let told = desk.to_bot();
    assert_eq!(told[1], r#"{"event":"hangup"}"#);
    assert!(
        told[2].contains(r#""event":"cdr""#) && told[2].contains(r#""hangupBy":"caller""#),
        "{}",
        told[2]
    );
    let mut desk = up();
    desk.bot_says(r#"{"event":"hangup"}"#);
    desk.talk(Duration::from_secs(1));
    let told = desk.to_bot();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[1].contains(r#""disposition":"ANSWERED""#) && told[1].contains(r#""hangupBy":"callee""#),
        "{}",
        told[1]
    );
}
