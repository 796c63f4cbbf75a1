//! A caller hangs up before its last words were written down.

use super::agent::{agent, talking, utterances};
use super::agent_tools::silence;
use super::*;
use crate::agent::AgentTerms;
use crate::vocabulary::Role;

/// A caller who has said something that the engine has heard, and may have heard the end of.
fn said(desk: &mut Desk, is_over: bool) {
    desk.bot_says("caller started u1");
    desk.talk(Duration::from_millis(1_000));
    if is_over {
        silence(desk, 500);
        desk.bot_says("caller stopped");
    }
}

fn callers_words(desk: &Desk) -> Vec<String> {
    utterances(desk).iter().filter(|one| one.role == Role::Caller).map(|one| one.text.to_string()).collect()
}

#[test]
fn what_a_caller_said_before_it_hung_up_is_in_the_transcript_and_the_call_is_no_longer_for_it() {
    for is_over in [true, false] {
        let mut desk = talking(AgentTerms::default());
        said(&mut desk, is_over);
        desk.input(Input::PhoneGone(Reason::CallerHungUp));
        let left = desk.now;
        assert!(desk.records.is_empty() && !desk.saw(&Seen::CloseBot(1000)));
        let asked = if is_over { "last words" } else { "last words, commit" };
        assert_eq!(desk.to_bot().last(), Some(&asked));
        desk.pass(Duration::from_millis(700));
        desk.bot_says("line caller delta u1|Saturday at five,");
        assert!(desk.records.is_empty());
        desk.bot_says("line caller final u1|Saturday at five, thank you");
        assert_eq!(callers_words(&desk), ["Saturday at five, thank you"]);
        assert_eq!(desk.when(&Seen::CloseBot(1000)), desk.now);
        assert_eq!(desk.to_bot().last(), Some(&"ended"));
        assert_eq!((desk.ended().ended_at, cause_of(&desk).reason()), (left, Reason::CallerHungUp));
        assert!(utterances(&desk).iter().all(|one| one.end <= left - settings_moment()));
        assert_eq!(desk.call.state(), StateName::Ended);
    }
}

#[test]
fn words_that_do_not_come_are_waited_for_for_two_seconds() {
    let mut desk = talking(AgentTerms::default());
    said(&mut desk, true);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let left = desk.now;
    desk.pass(Duration::from_secs(10));
    assert_eq!(desk.when(&Seen::CloseBot(1000)) - left, Duration::from_secs(2));
    assert_eq!(desk.when(&Seen::Ended(Reason::CallerHungUp)) - left, Duration::from_secs(2));
    assert_eq!((callers_words(&desk), desk.ended().ended_at), (vec![String::new()], left));
}

#[test]
fn what_only_our_ear_has_found_is_written_down_too_and_a_click_is_not() {
    for (ms, is_word) in [(800, true), (100, false)] {
        let mut desk = talking(AgentTerms::default());
        desk.bot_says("line caller final u0|hello");
        desk.talk(Duration::from_millis(ms));
        desk.input(Input::PhoneGone(Reason::CallerHungUp));
        assert_eq!(desk.records.is_empty(), is_word);
        desk.bot_says("line caller final u1|thank you");
        let expected = if is_word { vec!["hello", "thank you"] } else { vec!["hello"] };
        assert_eq!(callers_words(&desk), expected);
        assert_eq!(desk.records.len(), 1);
    }
}

#[test]
fn a_caller_whose_words_are_all_known_and_one_without_an_agent_are_waited_for_by_nobody() {
    let mut desk = talking(AgentTerms::default());
    said(&mut desk, true);
    desk.bot_says("line caller final u1|goodbye");
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!(cause_of(&desk).reason(), Reason::CallerHungUp);
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_secs(1));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!(cause_of(&desk).reason(), Reason::CallerHungUp);
}

#[test]
fn other_ends_wait_for_no_words() {
    for reason in [Reason::Drained, Reason::MaxDuration, Reason::MediaTimeout] {
        let mut desk = talking(AgentTerms::default());
        said(&mut desk, false);
        desk.input(Input::HangUp(reason));
        assert_eq!(cause_of(&desk).reason(), reason);
    }
}

#[test]
fn a_drain_an_engine_that_closes_and_one_that_floods_end_the_waiting_and_nothing_else() {
    let ends = [
        Input::HangUp(Reason::Drained),
        Input::BotClosed(SocketEnd::Closed(1000)),
        Input::BotClosed(SocketEnd::Reset),
        Input::BotFailed(Reason::BotStalled),
    ];
    for end in ends {
        let mut desk = talking(AgentTerms::default());
        said(&mut desk, true);
        desk.input(Input::PhoneGone(Reason::CallerHungUp));
        assert!(desk.records.is_empty());
        desk.input(end);
        assert_eq!((cause_of(&desk).reason(), desk.ended().bot_failed_at), (Reason::CallerHungUp, None));
        desk.pass(Duration::from_secs(10));
        assert_eq!(desk.records.len(), 1);
    }
}

#[test]
fn an_engine_that_goes_on_to_talk_is_heard_and_obeyed_by_nobody() {
    let mut desk = talking(AgentTerms::default());
    desk.bot_says("item a");
    desk.bot_says("line bot final a|shall I book it");
    desk.bot_sends(&[0x10; 8_000]);
    said(&mut desk, true);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let told = desk.to_bot().len();
    let left = desk.seen.len();
    desk.bot_says("item b");
    desk.bot_sends(&[0x10; 8_000]);
    desk.bot_says("line bot final b|it is booked");
    desk.bot_says("clear");
    desk.bot_says("tool c1 save_fields {}");
    desk.bot_says("caller started u2");
    desk.pass(Duration::from_millis(500));
    assert_eq!(desk.to_bot().len(), told);
    assert!(desk.seen[left..].is_empty(), "{:?}", &desk.seen[left..]);
    desk.bot_says("line caller final u1|yes");
    let words: Vec<_> = utterances(&desk).into_iter().map(|one| one.text).collect();
    assert_eq!(words, ["yes".into(), "shall I book it".into()] as [Box<str>; 2]);
    assert_eq!(desk.call.counters().clears, 0);
}

#[test]
fn a_vendor_is_closed_when_the_words_have_come_however_it_left() {
    for leaves in ["stop", "close", "reset", "stop and close"] {
        let format = MediaFormat::linear16(24_000);
        let mut desk = Desk::vendor("ozonetel", agent(format, AgentTerms::default()));
        desk.vendor_says(r#"{"event":"start","ucid":"u","type":"text"}"#);
        desk.input(Input::BotConnected);
        desk.bot_says("caller started u1");
        desk.pass(Duration::from_secs(1));
        desk.bot_says("caller stopped");
        let left = desk.now;
        if leaves.starts_with("stop") {
            desk.vendor_says(r#"{"event":"stop","ucid":"u","type":"text"}"#);
        }
        match leaves {
            "stop" => {}
            "reset" => desk.input(Input::PhoneClosed(SocketEnd::Reset)),
            _ => desk.input(Input::PhoneClosed(SocketEnd::Closed(1000))),
        }
        assert!(desk.records.is_empty(), "{leaves}");
        desk.pass(Duration::from_secs(1));
        desk.bot_says("line caller final u1|goodbye");
        assert_eq!((callers_words(&desk), desk.ended().ended_at), (vec!["goodbye".to_owned()], left));
        assert_eq!(desk.saw(&Seen::ClosePhone(1000)), leaves == "stop", "{leaves}");
    }
}
