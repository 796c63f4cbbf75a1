//! Vendors that dial us, joined to bots of other dialects.

use super::bots::Echo;
use super::*;

const START: &str = r#"{"event":"start","ucid":"unique-call-id-123","type":"text"}"#;

/// 10 ms of an ozonetel vendor.
pub(super) fn samples(value: i16) -> String {
    let list = vec![value.to_string(); 80].join(",");
    format!(
        r#"{{"event":"media","type":"media","ucid":"unique-call-id-123","data":{{"samples":[{list}],"bitsPerSample":16,"sampleRate":8000,"channelCount":1,"numberOfFrames":80,"type":"data"}}}}"#
    )
}

#[test]
fn a_vendor_hears_its_echo_and_its_stop_ends_the_call() {
    let mut desk = Desk::vendor("ozonetel", built_in(Box::new(Echo)));
    desk.vendor_says(START);
    for _ in 0..100 {
        desk.vendor_says(&samples(1_000));
        desk.pass(Duration::from_millis(10));
    }
    let media = desk.to_phone().into_iter().filter(|text| text.contains(r#""numberOfFrames":80"#)).count();
    assert!((95..=100).contains(&media), "{media} packets");
    desk.vendor_says(r#"{"event":"stop","ucid":"another","type":"text"}"#);
    assert_eq!(cause_of(&desk).to_string(), "completed/caller_hung_up");
    assert!(desk.saw(&Seen::ClosePhone(1000)));
    assert_eq!(&*desk.ended().phone_leg_id, "unique-call-id-123");
}

#[test]
fn a_close_without_a_stop_is_a_hang_up_and_a_break_is_the_vendors_fault() {
    for (end, cause) in
        [(SocketEnd::Closed(1000), "completed/caller_hung_up"), (SocketEnd::Reset, "upstream/vendor_reset")]
    {
        let mut desk = Desk::vendor("ozonetel", built_in(Box::new(Echo)));
        desk.vendor_says(START);
        desk.input(Input::PhoneClosed(end));
        assert_eq!(cause_of(&desk).to_string(), cause);
        assert!(!desk.saw(&Seen::ClosePhone(1000)));
    }
}

#[test]
fn an_ozonetel_vendor_rings_at_an_incoming_call_bot_and_the_bots_hang_up_reaches_it() {
    let mut desk = Desk::vendor("ozonetel", remote("incoming-call"));
    desk.vendor_says(START);
    assert!(desk.saw(&Seen::ConnectBot));
    desk.input(Input::BotConnected);
    assert!(desk.to_bot()[0].starts_with(r#"{"event":"incoming_call","#));
    desk.bot_says(r#"{"event":"answer"}"#);
    for _ in 0..20 {
        desk.vendor_says(&samples(1_000));
        desk.pass(Duration::from_millis(10));
    }
    assert!(desk.saw(&Seen::ToBotBinary(320)));
    desk.input(Input::BotWire(Wire::Binary(&[0x10; 3_200])));
    desk.pass(Duration::from_millis(300));
    desk.bot_says(r#"{"event":"hangup"}"#);
    desk.pass(Duration::from_millis(500));
    assert!(desk.to_phone().contains(&r#"{"command":"callDisconnect"}"#), "{:?}", desk.to_phone().last());
    assert!(desk.records.is_empty(), "the vendor has a few seconds for its stop");
    desk.vendor_says(r#"{"event":"stop","ucid":"unique-call-id-123","type":"text"}"#);
    assert_eq!(cause_of(&desk).to_string(), "completed/bot_hung_up");
}

#[test]
fn a_vendor_that_says_nothing_after_our_hang_up_is_closed_after_five_seconds() {
    let mut desk = Desk::vendor("incoming-call", built_in(Box::new(Echo)));
    desk.vendor_says(r#"{"event":"incoming_call","callerId":"1","didNumber":"2","sessionId":"s"}"#);
    assert!(desk.to_phone().contains(&r#"{"event":"answer"}"#));
    desk.input(Input::HangUp(Reason::Asked));
    let asked = desk.now;
    assert!(desk.to_phone().contains(&r#"{"event":"hangup"}"#));
    desk.pass(Duration::from_secs(10));
    assert_eq!(desk.when(&Seen::ClosePhone(1000)) - asked, Duration::from_secs(5));
    assert_eq!(desk.records.len(), 1);
}

#[test]
fn an_incoming_call_vendor_may_send_its_cdr_after_its_hang_up() {
    let mut desk = Desk::vendor("incoming-call", built_in(Box::new(Echo)));
    desk.vendor_says(r#"{"event":"incoming_call","callerId":"1","didNumber":"2","sessionId":"s"}"#);
    desk.vendor_says(r#"{"event":"hangup"}"#);
    assert!(desk.records.is_empty());
    desk.vendor_says(
        r#"{"event":"cdr","sessionId":"s","destination":"2","startTime":"2026-01-07T06:15:49Z","answerTime":"2026-01-07T06:15:54Z","endTime":"2026-01-07T06:16:06Z","duration":17,"billableSeconds":12,"disposition":"ANSWERED","hangupBy":"caller","hangupCauseCode":"16","hangupCauseText":"Normal Clearing"}"#,
    );
    assert_eq!(cause_of(&desk).to_string(), "completed/caller_hung_up");
    assert!(desk.saw(&Seen::ClosePhone(1000)));
}

#[test]
fn keys_of_a_phone_become_tones_for_a_bot_that_has_no_digits() {
    let mut desk = Desk::sip(remote("ozonetel"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    let press = crate::vocabulary::DigitPress { digit: crate::vocabulary::Digit::ALL[5], duration: None };
    desk.input(Input::PhoneDigit(press));
    let before = desk.to_bot().len();
    for _ in 0..10 {
        desk.phone_speaks(0xFF);
        desk.pass(FRAME);
    }
    let told = desk.to_bot().split_off(before);
    assert!(!told.iter().any(|text| text.contains("dtmf")));
    assert!(told.iter().any(|text| text.contains(r#""samples":["#) && text.len() > 500), "no tone: {told:?}");
}

#[test]
fn keys_of_a_quiet_bot_reach_a_vendor_as_tones_at_once() {
    let mut desk = Desk::vendor("ozonetel", remote("ivr-solutions"));
    desk.vendor_says(START);
    desk.input(Input::BotConnected);
    desk.vendor_says(&samples(1_000));
    desk.bot_says(r#"{"type":"session.dtmf","dtmf":"512"}"#);
    let dialled = desk.now;
    for _ in 0..80 {
        desk.vendor_says(&samples(1_000));
        desk.pass(Duration::from_millis(10));
    }
    let tones = desk
        .seen
        .iter()
        .filter(|(at, seen)| {
            *at >= dialled && matches!(seen, Seen::ToPhone(text) if text.contains("samples"))
        })
        .count();
    assert!(tones >= 59, "{tones} packets of 10 ms for three keys of 200 ms");
}

#[test]
fn a_bot_that_hangs_up_on_a_quiet_vendor_does_so_without_delay() {
    let mut desk = Desk::vendor("ozonetel", remote("smartpbx"));
    desk.vendor_says(START);
    desk.input(Input::BotConnected);
    desk.pass(Duration::from_millis(300));
    desk.input(Input::BotClosed(SocketEnd::Closed(1000)));
    desk.pass(Duration::from_millis(300));
    assert!(desk.to_phone().contains(&r#"{"command":"callDisconnect"}"#), "{:?}", desk.to_phone());
}

#[test]
fn keys_before_a_hang_up_are_all_sent() {
    let mut desk = Desk::vendor("incoming-call", remote("ivr-solutions"));
    desk.vendor_says(r#"{"event":"incoming_call","callerId":"1","didNumber":"2","sessionId":"s"}"#);
    desk.input(Input::BotConnected);
    desk.bot_says(r#"{"type":"session.dtmf","dtmf":"512"}"#);
    desk.bot_says(r#"{"type":"session.hangup"}"#);
    desk.pass(Duration::from_secs(4));
    let keys = desk.to_phone().into_iter().filter(|text| text.contains("dtmf")).count();
    assert_eq!(keys, 3, "{:?}", desk.to_phone());
    assert_eq!(desk.to_phone().last(), Some(&r#"{"event":"hangup"}"#));
}

#[test]
fn a_message_with_a_minute_of_audio_is_taken_apart_in_linear_time_and_a_flood_is_not_heard() {
    let mut desk = Desk::vendor("incoming-call", remote("smartpbx"));
    desk.vendor_says(r#"{"event":"incoming_call","callerId":"1","didNumber":"2","sessionId":"s"}"#);
    desk.input(Input::BotConnected);
    let minute = vec![0x10; 960_000];
    desk.input(Input::PhoneWire(Wire::Binary(&minute)));
    assert_eq!(desk.to_bot().len(), 3_001, "a start and 3,000 frames of 20 ms");
    desk.input(Input::PhoneWire(Wire::Binary(&minute)));
    desk.input(Input::PhoneWire(Wire::Binary(&minute)));
    assert_eq!(desk.call.counters().phone_flood_bytes, 960_000);
}

#[test]
fn a_phone_that_floods_its_rtp_or_pauses_without_time_feeds_no_bot_faster_than_real_time() {
    // Ticks of each packet, and those by which the next one's clock is ahead of them.
    for (ticks, skipped) in [(160, 0), (8, 8_000)] {
        let mut desk = Desk::sip(remote("incoming-call"), Fallback::Sorry);
        desk.input(Input::BotConnected);
        desk.bot_says(r#"{"event":"answer"}"#);
        let began = desk.now;
        let mut number = 0u32;
        let mut send = |desk: &mut Desk, packets: u32, payload_type: u8, payload: &[u8]| {
            for _ in 0..packets {
                let mut packet = vec![0x80, payload_type];
                packet.extend_from_slice(&(number as u16).to_be_bytes());
                packet.extend_from_slice(&(number * (ticks + skipped)).to_be_bytes());
                packet.extend_from_slice(&99u32.to_be_bytes());
                packet.extend_from_slice(payload);
                number += 1;
                desk.input(Input::Rtp { source: phone(), packet: &packet });
            }
        };
        let fed = |desk: &Desk| {
            let frames = desk.seen.iter().filter(|(_, seen)| matches!(seen, Seen::ToBotBinary(_)));
            frames.count() as u32 * 20
        };
        let payload = vec![0x10; ticks as usize];
        send(&mut desk, 9_000, 0, &payload);
        assert!((60_000..=60_400).contains(&fed(&desk)), "{} ms", fed(&desk));
        let flood = desk.call.counters().phone_flood_bytes;
        assert!(flood > 5_900 * u64::from(ticks), "{flood} bytes");
        // Keys are heard all the same, and audio again as time passes.
        send(&mut desk, 1, 101, &[5, 0x8A, 3, 32]);
        assert_eq!(desk.call.counters().digits_in, 1);
        for _ in 0..100 {
            desk.pass(FRAME);
            send(&mut desk, 2, 0, &payload);
        }
        assert!((61_900..=62_400).contains(&fed(&desk)), "{} ms", fed(&desk));
        assert_eq!((desk.now - began).as_millis(), 2_000);
    }
}
