//! The law of all calls: whatever comes in whatever order, a call ends in exactly one record and then stays silent.

use proptest::prelude::*;

use super::bots::Echo;
use super::*;

/// One step of a trace.
#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Speak,
    Noise(Vec<u8>),
    BotFound(usize),
    BotConnected,
    BotFailed,
    BotText(usize),
    BotBinary(usize),
    BotClosed(u16),
    BotReset,
    VendorText(usize),
    VendorClosed(u16),
    PhoneGone,
    Hold,
    Resume,
    HangUp,
}

const BOT_TEXTS: &[&str] = &[
    r#"{"event":"answer"}"#,
    r#"{"event":"hangup"}"#,
    r#"{"event":"dtmf","digit":"1","duration":200}"#,
    r#"{"type":"session.hangup"}"#,
    r#"{"type":"audio.clear"}"#,
    r#"{"type":"session.dtmf","dtmf":"1,2"}"#,
    r#"{"type":"response.audio.delta","delta":"EBAQEBAQ"}"#,
    r#"{"event":"mark","mark":{"name":"m"}}"#,
    r#"{"event":"media","media":{"payload":"EBAQEBAQ"}}"#,
    r#"{"command":"callDisconnect"}"#,
    "{",
];

const VENDOR_TEXTS: &[&str] = &[
    r#"{"event":"start","ucid":"u","type":"text"}"#,
    r#"{"event":"stop","ucid":"u","type":"text"}"#,
    r#"{"event":"incoming_call","callerId":"1","didNumber":"2","sessionId":"s"}"#,
    r#"{"event":"hangup"}"#,
    r#"{"event":"start","sequence_number":1,"stream_sid":"1.1","start":{"stream_sid":"1.1","call_sid":"c","from":"1","to":"2","media_format":{"encoding":"raw/slin","sample_rate":8000}}}"#,
    r#"{"event":"stop","sequence_number":2,"stream_sid":"1.1","stop":{"call_sid":"c","reason":"callended"}}"#,
    r#"{"event":"clear","stream_sid":"1.1"}"#,
    "[]",
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..9_000).prop_map(Step::Pass),
        4 => Just(Step::Speak),
        1 => proptest::collection::vec(any::<u8>(), 0..200).prop_map(Step::Noise),
        2 => (0usize..3).prop_map(Step::BotFound),
        2 => Just(Step::BotConnected),
        1 => Just(Step::BotFailed),
        4 => (0..BOT_TEXTS.len()).prop_map(Step::BotText),
        1 => (0usize..5_000).prop_map(Step::BotBinary),
        1 => prop_oneof![Just(1000u16), Just(1011), Just(1005)].prop_map(Step::BotClosed),
        1 => Just(Step::BotReset),
        4 => (0..VENDOR_TEXTS.len()).prop_map(Step::VendorText),
        1 => Just(Step::VendorClosed(1000)),
        1 => Just(Step::PhoneGone),
        1 => Just(Step::Hold),
        1 => Just(Step::Resume),
        1 => Just(Step::HangUp),
    ]
}

fn take(desk: &mut Desk, step: &Step) {
    match step {
        Step::Pass(ms) => desk.pass(Duration::from_millis(*ms)),
        Step::Speak => desk.phone_speaks(0x20),
        Step::Noise(bytes) => {
            desk.input(Input::Rtp { source: phone(), packet: bytes });
            desk.input(Input::Rtcp { source: phone(), packet: bytes });
            desk.input(Input::PhoneWire(Wire::Binary(bytes)));
        }
        Step::BotFound(kind) => {
            let bot = match kind {
                0 => built_in(Box::new(Echo)),
                1 => remote("incoming-call"),
                _ => remote("ivr-solutions"),
            };
            desk.input(Input::BotFound(Box::new(FoundBot { bot, custom: Vec::new() })));
        }
        Step::BotConnected => desk.input(Input::BotConnected),
        Step::BotFailed => desk.input(Input::BotFailed(Reason::BotRefused)),
        Step::BotText(at) => desk.bot_says(BOT_TEXTS[*at]),
        Step::BotBinary(bytes) => desk.input(Input::BotWire(Wire::Binary(&vec![0x10; *bytes]))),
        Step::BotClosed(code) => desk.input(Input::BotClosed(SocketEnd::Closed(*code))),
        Step::BotReset => desk.input(Input::BotClosed(SocketEnd::Reset)),
        Step::VendorText(at) => desk.vendor_says(VENDOR_TEXTS[*at]),
        Step::VendorClosed(code) => desk.input(Input::PhoneClosed(SocketEnd::Closed(*code))),
        Step::PhoneGone => desk.input(Input::PhoneGone(Reason::CallerHungUp)),
        Step::Hold => {
            desk.input(Input::PhoneMedia(PhoneMedia { direction: MediaDirection::Inactive, ..media() }))
        }
        Step::Resume => desk.input(Input::PhoneMedia(media())),
        Step::HangUp => desk.input(Input::HangUp(Reason::Asked)),
    }
}

fn desk(kind: usize) -> Desk {
    match kind {
        0 => Desk::sip(built_in(Box::new(Echo)), Fallback::Sorry),
        1 => Desk::sip(remote("ivr-solutions"), Fallback::Sorry),
        2 => Desk::sip(remote("incoming-call"), Fallback::Busy),
        3 => Desk::sip(remote("smartpbx"), Fallback::Unavailable),
        4 => Desk::vendor("ozonetel", remote("incoming-call")),
        5 => Desk::vendor("incoming-call", remote("smartpbx")),
        6 => Desk::vendor("ivr-solutions", remote("ozonetel")),
        7 => Desk::sip(BotSettings::unknown("config_api"), Fallback::Sorry),
        8 => Desk::vendor("ozonetel", BotSettings::unknown("config_api")),
        _ => Desk::vendor("smartpbx", built_in(Box::new(Echo))),
    }
}

proptest! {
    #[test]
    fn every_trace_ends_in_one_record_and_silence(kind in 0usize..10, steps in proptest::collection::vec(step(), 0..60)) {
        let mut desk = desk(kind);
        for step in &steps {
            take(&mut desk, step);
        }
        desk.input(Input::HangUp(Reason::Drained));
        desk.pass(Duration::from_secs(10));
        prop_assert_eq!(desk.records.len(), 1);
        prop_assert_eq!(desk.call.state(), StateName::Ended);
        prop_assert_eq!(desk.call.poll_timeout(), None);
        let said = desk.seen.len();
        for step in &steps {
            take(&mut desk, step);
        }
        prop_assert_eq!(desk.seen.len(), said, "something came after the end");
        let counters = desk.ended().counters;
        let accounted = counters.played_ms + counters.cleared_ms + counters.trimmed_ms;
        prop_assert!(accounted <= counters.pushed_ms + 2, "played more than was pushed");
    }
}
