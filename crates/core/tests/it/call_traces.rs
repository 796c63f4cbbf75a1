//! The laws of all calls over random courses: every phone meets every bot, and everything happens in any order.

use std::time::Duration;

use patchcord_core::call::{NextBotError, RecordingOrder, SocketEnd};
use patchcord_core::vocabulary::{Digit, Reason};
use patchcord_testkit::call::{LawfulCall, LegStep, Step};
use proptest::prelude::*;

/// What bots say, whatever they speak.
const BOT_TEXTS: &[&str] = &[
    r#"{"event":"answer"}"#,
    r#"{"event":"hangup"}"#,
    r#"{"event":"dtmf","digit":"1","duration":200}"#,
    r#"{"type":"session.hangup"}"#,
    r#"{"type":"session.dtmf","dtmf":"1,2"}"#,
    r#"{"type":"session.transfer","destination":"09876543210"}"#,
    r#"{"type":"session.transfer","destination":["1","2","3","4","5","6","7","8","9","10"]}"#,
    r#"{"type":"session.transfer","destination":["1","2","3"],"strategy":"sequential"}"#,
    r#"{"type":"session.transfer_extension","extension":"101"}"#,
    r#"{"type":"session.flow_transfer","flow_id":"sales"}"#,
    r#"{"event":"media","media":{"payload":"EBAQEBAQ"}}"#,
    r#"{"event":"clear"}"#,
    r#"{"command":"callDisconnect"}"#,
    r#"{"command":"clearBuffer"}"#,
    r#"{"event":"playAudio","media":{"payload":"EBAQ"}}"#,
    r#"{"event":"nothing we know"}"#,
    "{",
];

/// What vendors say, whatever they speak.
const VENDOR_TEXTS: &[&str] = &[
    r#"{"event":"start","ucid":"u","type":"text"}"#,
    r#"{"event":"stop","ucid":"u","type":"text"}"#,
    r#"{"event":"incoming_call","callerId":"1","didNumber":"2","sessionId":"s"}"#,
    r#"{"event":"dtmf","digit":"5","duration":100}"#,
    r#"{"event":"hangup"}"#,
    r#"{"event":"cdr","sessionId":"s","duration":1}"#,
    r#"{"event":"start","sequence_number":1,"stream_sid":"1.1","start":{"stream_sid":"1.1","call_sid":"c","from":"1","to":"2","media_format":{"encoding":"raw/slin","sample_rate":8000}}}"#,
    r#"{"event":"stop","sequence_number":2,"stream_sid":"1.1","stop":{"call_sid":"c","reason":"callended"}}"#,
    r#"{"event":"mark","stream_sid":"1.1","mark":{"name":"0"}}"#,
    r#"{"event":"clear","stream_sid":"1.1"}"#,
    r#"{"event":"start","start":{"callId":"c","otherLegCallId":"o","callerIdNumber":"+1","calleeIdNumber":"+2","accountId":"a","mediaFormat":{"encoding":"pcm16","sampleRate":24000}}}"#,
    r#"{"event":"media","media":{"payload":"EBAQEBAQ"}}"#,
    "[]",
];

/// What brings a call up: every vendor's start, a bot that is found, connected, and answers.
fn set_up() -> Vec<Step> {
    let starts =
        VENDOR_TEXTS.iter().filter(|text| text.contains("start\"") || text.contains("incoming_call"));
    let mut steps: Vec<Step> = starts.map(|text| Step::VendorSays((*text).to_owned())).collect();
    steps.extend([Step::PhoneRings, Step::PhoneAnswers(0)]);
    steps.extend([Step::BotFound(0), Step::BotConnected, Step::BotSays(r#"{"event":"answer"}"#.to_owned())]);
    steps
}

fn socket_end() -> impl Strategy<Value = SocketEnd> {
    prop_oneof![
        2 => Just(SocketEnd::Closed(1000)),
        1 => Just(SocketEnd::Closed(1005)),
        1 => Just(SocketEnd::Closed(1011)),
        1 => Just(SocketEnd::Reset),
    ]
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

/// Linear audio of that many bytes, which is a sample too short for some.
fn audio(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![(0..most).prop_map(|length| vec![0x10; length]), Just(vec![0x10; 3_200])]
}

fn text(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    (0..of.len()).prop_map(|at| of[at].to_owned())
}

fn time() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0u64..120).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        2 => (0u64..1_200).prop_map(|ms| Step::Pass(Duration::from_millis(ms))),
        1 => Just(Step::Pass(Duration::from_millis(2_500))),
        1 => (0u64..3_000).prop_map(|ms| Step::Standstill(Duration::from_millis(ms))),
        1 => Just(Step::Standstill(Duration::from_secs(5 * 3_600))),
    ]
}

/// The phone, and whoever else sends to it.
fn of_the_phone() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<u8>().prop_map(|byte| Step::Speak(vec![byte])),
        1 => bytes(200).prop_map(Step::PhoneDatagram),
        1 => bytes(60).prop_map(Step::StrangerDatagram),
        1 => bytes(60).prop_map(Step::Report),
        2 => any::<u16>().prop_map(Step::PhoneMedia),
        2 => of_a_dialled_phone(),
        3 => (0usize..16).prop_map(|at| Step::PhoneKey(Digit::ALL[at])),
        5 => text(VENDOR_TEXTS).prop_map(Step::VendorSays),
        2 => audio(2_000).prop_map(Step::VendorSends),
    ]
}

/// What only a phone that we call does.
fn of_a_dialled_phone() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::PhoneRings),
        1 => any::<u16>().prop_map(Step::PhoneProgresses),
        2 => any::<u16>().prop_map(Step::PhoneAnswers),
        1 => (300u16..700).prop_map(Step::PhoneRefuses),
    ]
}

fn of_the_bot() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0usize..8).prop_map(Step::BotFound),
        2 => Just(Step::BotConnected),
        8 => text(BOT_TEXTS).prop_map(Step::BotSays),
        4 => (0u8..3).prop_map(mark),
        2 => Just(Step::BotSays(r#"{"type":"audio.clear"}"#.to_owned())),
        4 => audio(8_000).prop_map(Step::BotSends),
        3 => Just(transfer()),
        3 => (0usize..8).prop_map(Step::NextBot),
        1 => prop_oneof![
            Just(NextBotError::Unknown),
            Just(NextBotError::Unreached(Reason::BotForbidden)),
            Just(NextBotError::Unreached(Reason::BotTls)),
        ]
        .prop_map(Step::NextBotFailed),
        1 => Just(Step::AudioDropped),
        3 => recording().prop_map(Step::Recording),
    ]
}

fn recording() -> impl Strategy<Value = RecordingOrder> {
    prop_oneof![
        4 => Just(RecordingOrder::Start),
        1 => Just(RecordingOrder::Stop),
        1 => Just(RecordingOrder::Pause),
        1 => Just(RecordingOrder::Resume),
        1 => Just(RecordingOrder::StartVoicemail),
        1 => Just(RecordingOrder::StopVoicemail),
        2 => Just(RecordingOrder::StartListening),
        1 => Just(RecordingOrder::StopListening),
    ]
}

/// What ends a call.
fn end() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => prop_oneof![Just(Reason::CallerHungUp), Just(Reason::Canceled), Just(Reason::NoAck)]
            .prop_map(Step::PhoneGone),
        2 => socket_end().prop_map(Step::VendorLeaves),
        3 => socket_end().prop_map(Step::BotLeaves),
        2 => prop_oneof![Just(Reason::BotRefused), Just(Reason::BotStalled), Just(Reason::ConfigApiStatus)]
            .prop_map(Step::BotFailed),
        1 => prop_oneof![Just(Reason::Asked), Just(Reason::Drained)].prop_map(Step::HangUp),
    ]
}

/// What those do to whom a transfer would give the call.
fn of_a_leg() -> impl Strategy<Value = Step> {
    let step = prop_oneof![
        1 => Just(LegStep::Refused),
        4 => Just(LegStep::Dialled),
        3 => Just(LegStep::Rings),
        2 => (0u16..128).prop_map(LegStep::Media),
        5 => (0u16..128).prop_map(LegStep::Answers),
        2 => prop_oneof![Just(17u8), Just(21), Just(19), Just(1)].prop_map(LegStep::Fails),
        1 => Just(LegStep::HangsUp),
        2 => (0usize..16).prop_map(|at| LegStep::Key(Digit::ALL[at])),
        2 => Just(LegStep::Key(Digit::ALL[1])),
        8 => any::<u8>().prop_map(LegStep::Speaks),
    ];
    (0usize..12, step).prop_map(|(leg, step)| Step::Leg(leg, step))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![30 => time(), 40 => of_the_phone(), 40 => of_the_bot(), 30 => of_a_leg(), 4 => end()]
}

/// What belongs together: speech with a mark behind it, and a hand-over.
fn scene() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        12 => step().prop_map(|step| vec![step]),
        1 => (0u8..3).prop_map(|name| vec![Step::BotSends(vec![0x10; 8_000]), mark(name)]),
        1 => (time(), 0usize..8).prop_map(|(time, bot)| vec![transfer(), time, Step::NextBot(bot)]),
        2 => (0usize..3, proptest::collection::vec(of_a_leg(), 0..12)).prop_map(|(command, legs)| {
            let command = BOT_TEXTS.iter().filter(|text| text.contains("destination")).nth(command);
            let begin = Step::BotSays(command.copied().unwrap_or("{").to_owned());
            std::iter::once(begin).chain(legs).collect()
        }),
    ]
}

/// Scenes in any order; most courses begin with what brings a call up.
fn course() -> impl Strategy<Value = Vec<Step>> {
    let scenes = proptest::collection::vec(scene(), 0..50);
    (proptest::bool::weighted(0.8), scenes).prop_map(|(up, scenes)| {
        let set_up = if up { set_up() } else { Vec::new() };
        set_up.into_iter().chain(scenes.into_iter().flatten()).collect()
    })
}

/// Any bot, and more often one of the dialect that can do the most.
fn bot() -> impl Strategy<Value = usize> {
    let whom = prop_oneof![1 => Just(0), 3 => 0usize..8];
    // The higher ones wait during transfers, ask agents to accept, fall back to a number.
    (whom, 0usize..8).prop_map(|(bot, manner)| bot + 8 * manner)
}

fn mark(name: u8) -> Step {
    Step::BotSays(format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#))
}

fn transfer() -> Step {
    Step::BotSays(r#"{"type":"session.transfer_ws","url":"wss://next.example.com/"}"#.to_owned())
}

/// So many courses in every run; `PROPTEST_CASES` asks for another number.
fn cases() -> ProptestConfig {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default()
    } else {
        ProptestConfig::with_cases(2_000)
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_course_keeps_the_laws_and_ends_in_one_record_and_silence(
        phone in prop_oneof![8 => 0usize..24, 1 => 64usize..88, 3 => 128usize..160],
        bot in bot(),
        steps in course(),
    ) {
        let mut call = LawfulCall::new(phone, bot);
        for step in &steps {
            call.step(step);
        }
        call.finish(&steps);
    }
}
