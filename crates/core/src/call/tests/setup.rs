//! From the ring to the answer.

use super::bots::Echo;
use super::*;

#[test]
fn a_call_to_a_built_in_bot_rings_and_is_answered_at_once() {
    let desk = Desk::sip(built_in(Box::new(Echo)), Fallback::Sorry);
    let seen: Vec<_> = desk.seen.iter().map(|(_, seen)| seen.clone()).collect();
    let ringing = [Seen::Ring, Seen::Report(CallFact::Ringing)];
    let answered = [Seen::Answer, Seen::Report(CallFact::InProgress), Seen::Answered];
    assert_eq!(seen, [&ringing[..], &answered[..]].concat());
}

#[test]
fn a_remote_bot_is_connected_before_the_answer_and_learns_of_the_call_first() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    assert!(desk.saw(&Seen::ConnectBot) && !desk.saw(&Seen::Answer));
    desk.pass(Duration::from_millis(300));
    desk.input(Input::BotConnected);
    assert!(desk.saw(&Seen::Answer));
    assert_eq!(desk.to_bot()[0], r#"{"event":"connected"}"#);
    assert!(desk.to_bot()[1].starts_with(r#"{"event":"start","sequence_number":1,"#));
    desk.talk(Duration::from_millis(40));
    assert!(desk.to_bot()[2].starts_with(r#"{"event":"media","#));
}

#[test]
fn an_answer_gate_rings_until_the_bot_answers_and_audio_flows_only_then() {
    let mut desk = Desk::sip(remote("incoming-call"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_secs(2));
    assert!(!desk.saw(&Seen::Answer));
    assert_eq!(desk.seen.iter().filter(|(_, seen)| matches!(seen, Seen::ToBotBinary(_))).count(), 0);
    desk.bot_says(r#"{"event":"answer"}"#);
    assert!(desk.saw(&Seen::Answer));
    desk.talk(Duration::from_millis(200));
    assert!(desk.seen.iter().filter(|(_, seen)| *seen == Seen::ToBotBinary(320)).count() >= 10);
    desk.bot_says(r#"{"event":"answer"}"#);
    assert_eq!(desk.seen.iter().filter(|(_, seen)| *seen == Seen::Answer).count(), 1);
}

/// A phone whose number has early media, and a bot that has to answer.
fn early(fallback: Fallback) -> Desk {
    let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    let phone = PhoneSettings::Sip { rtp, media: Some(media()), early_media: true };
    let mut desk = Desk::new(phone, remote("incoming-call"), fallback);
    assert!(!desk.saw(&Seen::Progress));
    desk.input(Input::BotConnected);
    assert!(desk.saw(&Seen::Progress) && !desk.saw(&Seen::Answer));
    desk
}

#[test]
fn with_early_media_the_caller_hears_the_bot_before_it_answers_and_the_stream_goes_on() {
    let mut desk = early(Fallback::Sorry);
    let loud = |desk: &Desk| {
        let audio = desk.heard_since(Moment::START);
        audio.iter().flat_map(|(_, audio)| *audio).filter(|b| **b != 0xFF).count()
    };
    desk.bot_sends(&[0x10, 0x20].repeat(1_600));
    desk.talk(Duration::from_millis(600));
    assert!((1_590..=1_610).contains(&loud(&desk)), "{}", loud(&desk));
    assert!(!desk.saw(&Seen::ToBotBinary(320)), "this dialect has audio for the bot after the answer only");
    assert!(!desk.saw(&Seen::Answer));
    let packets = desk.heard_since(Moment::START).len();
    desk.bot_says(r#"{"event":"answer"}"#);
    assert!(desk.saw(&Seen::Answer) && desk.records.is_empty());
    desk.talk(Duration::from_millis(200));
    assert!((9..=11).contains(&(desk.heard_since(Moment::START).len() - packets)), "one stream");
    assert!(desk.saw(&Seen::ToBotBinary(320)));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert!(desk.ended().answered_at.is_some());
}

#[test]
fn a_bot_that_hangs_up_before_its_answer_is_heard_out_where_media_is_early() {
    let mut desk = early(Fallback::Busy);
    desk.bot_sends(&[0x10, 0x20].repeat(8_000));
    desk.bot_says(r#"{"event":"hangup"}"#);
    assert!(!desk.saw(&Seen::Reject(603)));
    desk.talk(Duration::from_millis(900));
    assert!(!desk.saw(&Seen::Reject(603)), "half a word");
    desk.talk(Duration::from_millis(500));
    assert!(desk.saw(&Seen::Reject(603)) && !desk.saw(&Seen::Answer));
    assert_eq!(desk.ended().answered_at, None);
    // The bot fails meanwhile: the refusal is the configured one.
    let mut failed = early(Fallback::Busy);
    failed.talk(Duration::from_secs(1));
    failed.input(Input::BotClosed(SocketEnd::Reset));
    assert!(failed.saw(&Seen::Reject(486)));
}

#[test]
fn a_bot_that_does_not_answer_within_the_ring_time_gets_the_fallback() {
    let mut desk = Desk::sip(remote("incoming-call"), Fallback::Unavailable);
    desk.input(Input::BotConnected);
    desk.pass(Duration::from_secs(31));
    assert!(desk.saw(&Seen::Reject(503)) && desk.saw(&Seen::CloseBot(1011)));
    assert_eq!(cause_of(&desk).to_string(), "bot/no_answer");
}

#[test]
fn each_fallback_of_an_unreachable_bot_is_what_was_configured() {
    for (fallback, status) in [(Fallback::Busy, 486), (Fallback::Unavailable, 503)] {
        let mut desk = Desk::sip(remote("ivr-solutions"), fallback);
        desk.input(Input::BotFailed(Reason::BotRefused));
        assert!(desk.saw(&Seen::Reject(status)) && !desk.saw(&Seen::Answer));
        assert_eq!(cause_of(&desk).to_string(), "bot/refused");
        assert_eq!(desk.ended().answered_at, None);
    }
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotFailed(Reason::BotDns));
    assert!(desk.saw(&Seen::Answer));
    let answered = desk.now;
    desk.pass(Duration::from_secs(3));
    let apology: usize =
        desk.heard_since(answered).iter().flat_map(|(_, audio)| *audio).filter(|b| **b != 0xFF).count();
    assert!((7_900..=8_000).contains(&apology), "{apology} samples");
    assert!(desk.saw(&Seen::HangUpPhone(Reason::BotDns)));
    assert_eq!(cause_of(&desk).to_string(), "bot/dns");
}

#[test]
fn a_handshake_that_never_ends_is_given_up_after_five_seconds() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Busy);
    desk.pass(Duration::from_millis(4_999));
    assert!(desk.records.is_empty());
    desk.pass(Duration::from_millis(1));
    assert_eq!(cause_of(&desk).to_string(), "bot/no_handshake");
}

#[test]
fn a_caller_who_gives_up_while_it_rings_leaves_a_canceled_call_and_no_answer() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::PhoneGone(Reason::Canceled));
    assert_eq!(cause_of(&desk).to_string(), "caller/canceled");
    assert!(desk.saw(&Seen::CloseBot(1000)));
    desk.input(Input::BotConnected);
    assert!(!desk.saw(&Seen::Answer));
    assert_eq!(desk.records.len(), 1);
}

#[test]
fn a_cancel_that_was_faster_than_our_answer_leaves_no_answer_in_the_record() {
    let mut desk = Desk::sip(built_in(Box::new(Echo)), Fallback::Sorry);
    assert!(desk.saw(&Seen::Answer));
    desk.input(Input::PhoneGone(Reason::Canceled));
    assert_eq!(cause_of(&desk).to_string(), "caller/canceled");
    assert_eq!(desk.ended().answered_at, None);

    let mut answered = Desk::sip(built_in(Box::new(Echo)), Fallback::Sorry);
    answered.input(Input::PhoneGone(Reason::CallerHungUp));
    assert!(answered.ended().answered_at.is_some());
}

#[test]
fn a_delayed_offer_is_answered_and_speaks_when_the_phone_has_agreed() {
    let identity = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    let phone = PhoneSettings::Sip { rtp: identity, media: None, early_media: false };
    let mut desk = Desk::new(phone, built_in(Box::new(Echo)), Fallback::Sorry);
    assert!(desk.saw(&Seen::Answer));
    desk.pass(Duration::from_millis(200));
    assert!(desk.heard_since(Moment::START).is_empty());
    desk.input(Input::PhoneMedia(media()));
    desk.pass(Duration::from_millis(200));
    assert!(desk.heard_since(Moment::START).len() >= 9);
}

#[test]
fn what_a_bot_says_before_a_delayed_offer_is_agreed_is_heard_whole() {
    let identity = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    let phone = PhoneSettings::Sip { rtp: identity, media: None, early_media: false };
    let mut desk = Desk::new(phone, remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.bot_says(&format!(r#"{{"type":"response.audio.delta","delta":"{}"}}"#, "EBAQ".repeat(5_333)));
    desk.pass(Duration::from_millis(300));
    desk.input(Input::PhoneMedia(PhoneMedia { codec: LineCodec::Pcma, payload_type: 0, ..media() }));
    desk.pass(Duration::from_millis(1_500));
    let loud: usize =
        desk.heard_since(Moment::START).iter().flat_map(|(_, audio)| *audio).filter(|b| **b != 0xD5).count();
    assert!((7_990..=8_010).contains(&loud), "{loud} samples");
}

#[test]
fn a_vendor_whose_start_is_not_understood_is_told_from_one_that_says_nothing() {
    let mut desk = Desk::vendor("smartpbx", built_in(Box::new(Echo)));
    let start =
        r#"{"event":"start","start":{"callId":"c","mediaFormat":{"encoding":"g729","sampleRate":8000}}}"#;
    desk.vendor_says(start);
    desk.vendor_says(start);
    let is_told = |(_, seen): &&(Moment, Seen)| matches!(seen, Seen::Report(CallFact::Misread("vendor", why)) if why.contains("encoding"));
    assert_eq!(desk.seen.iter().filter(is_told).count(), 1, "one line for many messages");
    desk.pass(Duration::from_millis(20_100));
    assert_eq!(cause_of(&desk).to_string(), "upstream/bad_start");
}

#[test]
fn a_vendor_that_never_starts_is_let_go_after_fifteen_seconds() {
    let mut desk = Desk::vendor("ozonetel", built_in(Box::new(Echo)));
    desk.pass(Duration::from_millis(20_100));
    assert_eq!(cause_of(&desk).to_string(), "upstream/vendor_silent");
    assert!(desk.saw(&Seen::ClosePhone(1000)));
}
