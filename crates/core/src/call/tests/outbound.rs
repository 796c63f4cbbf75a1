//! Calls that we place: from the first INVITE to exactly one end.

use super::bots::Echo;
use super::*;
use crate::vocabulary::{CallOutcome, DialRefusal, HungUpBy};

/// A phone that we call, and a bot.
fn dial(bot: BotSettings, joins: BotJoins, fallback: Fallback) -> Desk {
    let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    let desk = Desk::new(PhoneSettings::Dialled { rtp, joins }, bot, fallback);
    assert_eq!(desk.seen.len(), 1);
    assert!(desk.saw(&Seen::DialPhone));
    desk
}

fn dial_for(dialect: &str) -> Desk {
    dial(remote(dialect), BotJoins::AtTheAnswer, Fallback::HangUp)
}

/// How the call ended: status, Q.850, SIP status, who, and the cause.
fn end_of(desk: &Desk) -> (CallOutcome, u8, Option<u16>, HungUpBy, String) {
    let record = desk.ended();
    let sip_status = record.far_end.and_then(|far_end| far_end.sip_status);
    (record.outcome(), record.q850(), sip_status, record.hung_up_by, record.cause.to_string())
}

#[test]
fn the_bot_is_dialled_at_the_answer_and_learns_of_an_outbound_call() {
    let mut desk = dial_for("smartpbx");
    desk.input(Input::PhoneLegId("leg-1".into()));
    desk.input(Input::PhoneRinging);
    desk.input(Input::PhoneRinging);
    assert!(desk.saw(&Seen::Report(CallFact::Ringing)) && !desk.saw(&Seen::ConnectBot));
    desk.pass(Duration::from_secs(10));
    desk.input(Input::PhoneAnswered(media()));
    assert!(desk.saw(&Seen::Report(CallFact::InProgress)) && desk.saw(&Seen::ConnectBot));
    assert!(desk.to_bot().is_empty());
    desk.pass(Duration::from_millis(200));
    // The phone hears silence until the bot is there, so that it is not taken for a dead call.
    assert!(desk.heard_since(Moment::START).len() >= 9);
    desk.input(Input::BotConnected);
    assert_eq!(desk.call.state(), StateName::Talking);
    assert!(desk.to_bot()[0].contains(r#""callerIdNumber":"9876543210""#), "{:?}", desk.to_bot());
    desk.talk(Duration::from_millis(200));
    assert!(desk.to_bot().len() > 9);
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let ringing = |seen: &&(Moment, Seen)| seen.1 == Seen::Report(CallFact::Ringing);
    assert_eq!(desk.seen.iter().filter(ringing).count(), 1);
    let completed = "completed/caller_hung_up".to_owned();
    assert_eq!(end_of(&desk), (CallOutcome::Completed, 16, None, HungUpBy::Caller, completed));
    let record = desk.ended();
    assert_eq!((record.direction, &*record.phone_leg_id), (Direction::Outbound, "leg-1"));
    assert_eq!(record.billable_s(), 0);
    assert_eq!(record.duration_s(), 10);
}

#[test]
fn every_refusal_of_the_far_end_has_its_one_end() {
    for (status, q850, wanted) in [
        (486, None, (CallOutcome::Busy, 17, HungUpBy::Caller, "caller/busy")),
        (600, None, (CallOutcome::Busy, 17, HungUpBy::Caller, "caller/busy")),
        (603, None, (CallOutcome::Busy, 21, HungUpBy::Caller, "caller/declined")),
        (480, None, (CallOutcome::NoAnswer, 18, HungUpBy::System, "caller/unanswered")),
        (408, None, (CallOutcome::NoAnswer, 18, HungUpBy::System, "caller/unanswered")),
        (480, Some(19), (CallOutcome::NoAnswer, 19, HungUpBy::System, "caller/unanswered")),
        (404, None, (CallOutcome::Failed, 1, HungUpBy::System, "upstream/not_connected")),
        (403, None, (CallOutcome::Failed, 21, HungUpBy::System, "upstream/not_connected")),
        (503, None, (CallOutcome::Failed, 41, HungUpBy::System, "upstream/not_connected")),
        (503, Some(17), (CallOutcome::Busy, 17, HungUpBy::Caller, "caller/busy")),
    ] {
        let mut desk = dial_for("ivr-solutions");
        desk.input(Input::PhoneRinging);
        desk.input(Input::PhoneFailed(DialRefusal::of_status(status, q850)));
        let (state, q850, by, cause) = wanted;
        assert_eq!(end_of(&desk), (state, q850, Some(status), by, cause.to_owned()), "{status}");
        assert!(
            !desk.seen.iter().any(|(_, seen)| matches!(seen, Seen::CancelPhone(_) | Seen::HangUpPhone(_)))
        );
        // What comes late changes nothing.
        desk.input(Input::PhoneAnswered(media()));
        assert_eq!(desk.records.len(), 1);
    }
    let mut silent = dial_for("ivr-solutions");
    silent.input(Input::PhoneFailed(DialRefusal::of_reason(Reason::CarrierUnreachable)));
    let unreachable = "upstream/carrier_unreachable".to_owned();
    assert_eq!(end_of(&silent), (CallOutcome::Failed, 38, None, HungUpBy::System, unreachable));
}

#[test]
fn a_phone_that_rings_as_long_as_it_may_is_given_up_as_not_answered() {
    let mut desk = dial_for("ivr-solutions");
    desk.input(Input::PhoneRinging);
    desk.pass(Duration::from_millis(29_999));
    assert!(desk.records.is_empty());
    desk.pass(Duration::from_millis(1));
    assert!(desk.saw(&Seen::CancelPhone(Reason::Unanswered)) && !desk.saw(&Seen::ConnectBot));
    let unanswered = "caller/unanswered".to_owned();
    assert_eq!(end_of(&desk), (CallOutcome::NoAnswer, 19, None, HungUpBy::System, unanswered.clone()));
    // The 200 that crossed the CANCEL is the agent's to end.
    desk.input(Input::PhoneAnswered(media()));
    assert_eq!(desk.records.len(), 1);

    let mut never_rang = dial_for("ivr-solutions");
    never_rang.pass(Duration::from_secs(30));
    assert_eq!(end_of(&never_rang), (CallOutcome::NoAnswer, 18, None, HungUpBy::System, unanswered));
}

#[test]
fn an_answer_at_the_moment_of_the_ring_timeout_counts_if_it_comes_first() {
    let mut desk = dial_for("ivr-solutions");
    desk.now = desk.now + Duration::from_secs(30);
    desk.input(Input::PhoneAnswered(media()));
    desk.pass(Duration::ZERO);
    assert!(desk.records.is_empty() && desk.saw(&Seen::ConnectBot));
    desk.input(Input::HangUp(Reason::Asked));
    assert!(desk.saw(&Seen::HangUpPhone(Reason::Asked)));
    assert_eq!(desk.ended().outcome(), CallOutcome::Completed);
}

#[test]
fn a_call_that_is_hung_up_before_the_answer_is_canceled() {
    let mut desk = dial_for("ivr-solutions");
    desk.input(Input::PhoneRinging);
    desk.input(Input::HangUp(Reason::Asked));
    assert!(desk.saw(&Seen::CancelPhone(Reason::Asked)));
    let asked = "completed/asked".to_owned();
    assert_eq!(end_of(&desk), (CallOutcome::Canceled, 16, None, HungUpBy::System, asked));
    let mut drained = dial_for("ivr-solutions");
    drained.input(Input::HangUp(Reason::Drained));
    assert_eq!(drained.ended().outcome(), CallOutcome::Failed);
}

#[test]
fn a_bye_right_behind_the_answer_ends_a_completed_call_once() {
    let mut desk = dial_for("ivr-solutions");
    desk.input(Input::PhoneAnswered(media()));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert!(desk.saw(&Seen::CloseBot(1000)) && !desk.saw(&Seen::HangUpPhone(Reason::CallerHungUp)));
    desk.input(Input::BotConnected);
    assert!(desk.to_bot().is_empty());
    assert_eq!(desk.ended().outcome(), CallOutcome::Completed);
}

#[test]
fn a_bot_that_is_not_there_after_the_answer_is_the_cause_and_the_phone_hears_what_was_configured() {
    let mut desk = dial_for("ivr-solutions");
    desk.input(Input::PhoneAnswered(media()));
    desk.input(Input::BotFailed(Reason::BotRefused));
    assert!(desk.saw(&Seen::HangUpPhone(Reason::BotRefused)));
    assert_eq!(
        (desk.ended().outcome(), desk.ended().cause.to_string()),
        (CallOutcome::Completed, "bot/refused".into())
    );

    let mut sorry = dial(remote("ivr-solutions"), BotJoins::AtTheAnswer, Fallback::Sorry);
    sorry.input(Input::PhoneAnswered(media()));
    sorry.pass(Duration::from_secs(5));
    let answered = sorry.now;
    sorry.pass(Duration::from_secs(3));
    let apology = sorry.heard_since(answered);
    let loud = apology.iter().flat_map(|(_, audio)| *audio).filter(|b| **b != 0xFF).count();
    assert!((7_900..=8_000).contains(&loud), "{loud} samples");
    assert_eq!(sorry.ended().cause.to_string(), "bot/no_handshake");
}

#[test]
fn a_bot_with_an_answer_gate_joins_without_an_answer_of_its_own() {
    let mut desk = dial_for("incoming-call");
    desk.input(Input::PhoneAnswered(media()));
    desk.input(Input::BotConnected);
    assert_eq!(desk.call.state(), StateName::Talking);
    desk.talk(Duration::from_millis(200));
    let frames = |desk: &Desk| desk.seen.iter().filter(|(_, seen)| *seen == Seen::ToBotBinary(320)).count();
    assert!(frames(&desk) >= 9, "{}", frames(&desk));
    desk.bot_says(r#"{"event":"answer"}"#);
    assert_eq!(desk.call.counters().malformed_messages, 0);
    desk.pass(Duration::from_secs(35));
    assert!(!desk.saw(&Seen::Answer));
}

#[test]
fn a_bot_that_joins_while_it_rings_hears_the_early_media_and_is_heard_from_the_answer_on() {
    let mut desk = dial(remote("ivr-solutions"), BotJoins::WhileItRings, Fallback::HangUp);
    assert!(!desk.saw(&Seen::ConnectBot));
    desk.input(Input::PhoneProgress(media()));
    assert!(desk.saw(&Seen::Report(CallFact::Ringing)) && desk.saw(&Seen::ConnectBot));
    desk.input(Input::BotConnected);
    assert!(desk.to_bot()[1].contains(r#""event":"start""#));
    desk.talk(Duration::from_millis(200));
    assert!(desk.to_bot().iter().filter(|text| text.contains(r#""event":"media""#)).count() >= 9);
    desk.bot_says(&format!(r#"{{"type":"response.audio.delta","delta":"{}"}}"#, "EBAQ".repeat(5_333)));
    desk.talk(Duration::from_secs(2));
    assert!(desk.heard_since(Moment::START).is_empty(), "nobody listens yet");
    desk.input(Input::PhoneAnswered(media()));
    desk.talk(Duration::from_millis(1_200));
    let audio = desk.heard_since(Moment::START);
    let loud = audio.iter().flat_map(|(_, audio)| *audio).filter(|b| **b != 0xFF).count();
    assert!((7_990..=8_010).contains(&loud), "{loud} samples");
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!(desk.ended().outcome(), CallOutcome::Completed);
}

#[test]
fn a_bot_that_fails_or_leaves_while_it_rings_gives_the_call_up() {
    let ringing = || {
        let mut desk = dial(remote("ivr-solutions"), BotJoins::WhileItRings, Fallback::Sorry);
        desk.input(Input::PhoneRinging);
        desk
    };
    let mut unreached = ringing();
    unreached.pass(Duration::from_secs(5));
    assert!(unreached.saw(&Seen::CancelPhone(Reason::BotNoHandshake)));
    assert_eq!(unreached.ended().outcome(), CallOutcome::Failed);
    let mut left = ringing();
    left.input(Input::BotConnected);
    left.bot_says(r#"{"type":"session.hangup"}"#);
    assert!(left.saw(&Seen::CancelPhone(Reason::BotHungUp)));
    assert_eq!(left.ended().outcome(), CallOutcome::Canceled);
}

#[test]
fn a_built_in_bot_talks_from_the_answer_on() {
    let mut desk = dial(built_in(Box::new(Echo)), BotJoins::AtTheAnswer, Fallback::HangUp);
    desk.input(Input::PhoneRinging);
    desk.input(Input::PhoneAnswered(media()));
    assert_eq!(desk.call.state(), StateName::Talking);
    desk.talk(Duration::from_millis(400));
    let echoed = desk.heard_since(Moment::START);
    assert!(echoed.iter().filter(|(_, audio)| audio.iter().all(|b| *b == 0x20)).count() >= 15);
}

#[test]
fn a_call_of_ours_lasts_no_longer_than_calls_may_from_its_answer_on() {
    let mut desk = dial_for("ivr-solutions");
    desk.pass(Duration::from_secs(20));
    desk.input(Input::PhoneAnswered(PhoneMedia { direction: MediaDirection::SendOnly, ..media() }));
    let answered = desk.now;
    desk.pass(Duration::from_secs(1));
    desk.input(Input::BotConnected);
    desk.pass(Duration::from_secs(4 * 3_600));
    assert_eq!(desk.ended().cause.to_string(), "us/max_duration");
    assert_eq!(desk.ended().ended_at, answered + Duration::from_secs(4 * 3_600));
}
