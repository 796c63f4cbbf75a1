//! Mappings: what is refused and where, and laws that hold for any mapping that is taken.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{MAPPING_EXAMPLE, MAPPING_KEYS, Mapping, ROW};
use crate::dialect::laws::{Part, any_near_message, carry, feed_both_ends, start};
use crate::dialect::registry::{BotSideSettings, PhoneSideSettings, RecordWish, RefusalWish};
use crate::dialect::{BotSide, Heard, Out, PhoneSide, Wire};
use crate::vocabulary::{
    CallCommand, CallEvent, CallStart, Cause, DialDigits, Digit, DigitPress, EndedStream, HangUpWhen,
    MarkOutcome, Moment, PhoneNumber, Reason, WallClock,
};

fn keys(value: Value) -> Map<String, Value> {
    let Value::Object(keys) = value else { panic!("{value}") };
    keys
}

/// The problems of a mapping as sentences.
fn problems(value: Value) -> Vec<String> {
    let problems = Mapping::from_json(&keys(value)).expect_err("the mapping is taken");
    problems.iter().map(|problem| problem.to_string().split(" (").next().unwrap().to_owned()).collect()
}

fn ends(mapping: &Arc<Mapping>) -> (Box<BotSide>, Box<PhoneSide>) {
    let (audio, mapping) = (ROW.default_audio, Some(mapping.clone()));
    let clock = WallClock::new(1_707_204_900_000, Moment::START);
    let (record, refusals) = (RecordWish::Send, RefusalWish::Tell);
    let phone_side = PhoneSideSettings { audio, seed: 1, clock, mapping: mapping.clone() };
    (
        (ROW.bot_side)(&BotSideSettings { audio, record, refusals, mapping, engine: None }),
        (ROW.phone_side)(&phone_side),
    )
}

#[test]
fn every_problem_is_told_at_once_with_its_key_and_place() {
    let found = problems(json!({
        "messageType": "xml",
        "inputTemplate": "{\"a\":\"{{audoi}}\",\n \"é\": \"{{name}}\", \"c\": \"{{ audio",
        "outputMessageType": "x",
        "sessionStartMessage": "{\"a\":\n [1,]}",
        "inputDtmf": "[\"{{digit}}\"]",
        "outputClear": {"match": ""},
        "outputMark": {"match": "m"},
        "outputDtmf": {"match": "m", "path": "a..b"},
        "outputHangup": {"match": "m", "when": "now"},
        "outputTransfer": 7,
    }));
    assert_eq!(
        found,
        [
            "messageType: an unknown word",
            "inputTemplate: column 7: unknown placeholder {{audoi}}",
            "inputTemplate: line 2, column 8: {{name}} has no value in this message",
            "inputTemplate: line 2, column 25: a placeholder is not closed by }}",
            "outputAudioPath: the key is missing beside outputMessageType",
            "sessionStartMessage: line 2, column 5: not JSON: expected value",
            "inputDtmf: not a JSON object",
            "outputClear.match: the message's type or event is missing",
            "outputHangup.when: the key is not known here",
            "outputMark.path: the path to the value is missing",
            "outputDtmf.path: column 3: a name is missing in the path",
            "outputTransfer.match: the message's type or event is missing",
        ]
    );
    assert_eq!(
        problems(json!({})),
        [
            "messageType: the key is missing",
            "inputTemplate: the key is missing, which says how audio is sent"
        ]
    );
}

#[test]
fn a_mapping_that_cannot_work_is_refused() {
    let with = |key: &str, value: Value| {
        let mut keys = keys(serde_json::from_str(MAPPING_EXAMPLE).unwrap());
        keys.insert(key.to_owned(), value);
        problems(Value::Object(keys))
    };
    for (key, value, sentence) in [
        ("inputTemplate", json!("{\"a\":1}"), "inputTemplate: {{audio}} is not in the template"),
        ("outputMark", json!({"match": "speech", "path": "data.0.audio"}), "outputMark: the same messages"),
        ("outputClear", json!("bye"), "outputHangup: the same messages as those of outputClear"),
        ("outputAudioPath", json!("type"), "outputAudioPath: the path leads to what tells"),
        ("outputClear", json!({"match": "x", "path": 5}), "outputClear.path: the value is not a text"),
        ("outputAudioPath", json!("a.99"), "outputAudioPath: column 3: the path asks for an item"),
        ("outputHangup", json!("{{x}}"), "outputHangup: {{…}} cannot stand here"),
        ("inputStop", json!(format!("{{\"a\":\"{}\"}}", "x".repeat(65_600))), "inputStop: the message could"),
        ("inputMark", json!(format!("{{\"a\":[{}0]}}", "\"{{caller}}\",".repeat(25))), "inputMark: column"),
        ("inputMark", json!(format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32))), "inputMark: nested"),
    ] {
        let found = with(key, value);
        assert!(found.len() == 1 && found[0].starts_with(sentence), "{key}: {found:?}");
    }
}

#[test]
fn what_is_null_empty_or_another_key_is_absent_and_an_object_is_a_template_too() {
    let mapping = Mapping::from_json(&keys(json!({
        "url": 7, "inputTemplate": {"audio": "{{audio}}"}, "outputMessageType": "", "outputClear": null, "outputHangup": "",
    })));
    let (mut bot, _) = ends(&Arc::new(mapping.unwrap()));
    let mut out = Out::new();
    bot.encode(&CallEvent::Started(Box::new(nasty_start())), Moment::START, &mut out);
    bot.encode_audio(&[1, 2], Moment::START, &mut out);
    assert_eq!(out.messages().map(|(_, wire)| wire).collect::<Vec<_>>(), [Wire::Text(r#"{"audio":"AQI="}"#)]);
    let mapping = Mapping::from_json(&keys(json!({"messageType": "binary", "inputTemplate": null})));
    let mapping = mapping.unwrap();
    assert!(mapping.input_audio.is_none() && mapping.answers.is_empty());
}

#[test]
fn the_example_has_every_key_and_carries_all_that_the_dialect_can() {
    let example = keys(serde_json::from_str(MAPPING_EXAMPLE).unwrap());
    assert_eq!(example.len(), MAPPING_KEYS.len());
    assert!(MAPPING_KEYS.iter().all(|key| example.contains_key(*key)));
    assert_eq!(&*Mapping::example().capabilities, ROW.capabilities);
}

/// The commands and audio that a bot's message means.
fn heard(mapping: Value, text: &str) -> Vec<Part<CallCommand>> {
    let mapping = Arc::new(Mapping::from_json(&keys(mapping)).unwrap());
    let (mut bot, mut out) = (ends(&mapping).0, Out::new());
    bot.encode(&CallEvent::Started(Box::new(nasty_start())), Moment::START, &mut out);
    bot.decode(Wire::Text(text), Moment::START, &mut out).unwrap();
    let part = |heard: &Heard<CallCommand>| match heard {
        Heard::Audio(span) => Part::Audio(out.audio(span).to_vec()),
        Heard::Item(command) => Part::Item(command.clone()),
    };
    out.heard().iter().map(part).collect()
}

#[test]
fn a_placeholder_that_is_a_name_of_an_object_is_text() {
    let template = r#"{"a":"{{audio}}", {{sequence}} : {"{{chunk}}":1, "{{caller}}" :2}}"#;
    let mapping = Mapping::from_json(&keys(json!({ "inputTemplate": template }))).unwrap();
    let (mut bot, mut out) = (ends(&Arc::new(mapping)).0, Out::new());
    bot.encode(&CallEvent::Started(Box::new(nasty_start())), Moment::START, &mut out);
    bot.encode_audio(&[1, 2], Moment::START, &mut out);
    let Some((_, Wire::Text(text))) = out.messages().next() else { panic!("no message") };
    let caller = nasty_start().from;
    let expected = json!({ "a": "AQI=", "1": { "1": 1, caller.as_str(): 2 } });
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected, "{text}");
}

#[test]
fn audio_without_a_kind_leaves_the_messages_that_have_one_to_their_meaning() {
    let mapping = || {
        json!({
            "messageType": "binary", "outputAudioPath": "data",
            "outputMark": { "match": "mark", "path": "data" }, "outputHangup": "bye",
        })
    };
    assert_eq!(heard(mapping(), r#"{"type":"speech","data":"AQI="}"#), [Part::Audio(vec![1, 2])]);
    let mark = Part::Item(CallCommand::Mark { name: "m 1".into() });
    assert_eq!(heard(mapping(), r#"{"type":"mark","data":"m 1"}"#), [mark]);
    let bye = Part::Item(CallCommand::HangUp(HangUpWhen::AfterPlayout));
    assert_eq!(heard(mapping(), r#"{"event":"bye","data":"AQI="}"#), [bye]);
}

#[test]
fn a_path_may_lead_through_an_object_that_is_called_event() {
    let mapping = json!({
        "inputTemplate": "{\"event\":{\"in\":\"{{audio}}\"}}", "outputAudioPath": "event.out.content",
        "outputClear": { "match": "x", "path": "event.stop" },
    });
    assert_eq!(heard(mapping, r#"{"event":{"out":{"content":"AQI="}}}"#), [Part::Audio(vec![1, 2])]);
    let taken = json!({
        "inputTemplate": "{\"event\":\"in\",\"a\":\"{{audio}}\"}", "outputAudioPath": "event.out",
        "outputMessageType": "speech",
    });
    let mapping = Arc::new(Mapping::from_json(&keys(taken)).unwrap());
    let (mut bot, mut phone) = ends(&mapping);
    let started = CallEvent::Started(Box::new(nasty_start()));
    carry(&mut *bot, &mut *phone, &[Part::Item(started), Part::Audio(vec![1, 2])]);
    let said = carry(&mut *phone, &mut *bot, &[Part::Audio(vec![3, 4])]);
    assert_eq!(said, [Part::Audio(vec![3, 4])]);
}

#[test]
fn a_start_and_a_stop_of_one_kind_are_told_apart_by_what_is_constant_in_them() {
    let mapping = json!({
        "inputTemplate": "{\"type\":\"audio\",\"data\":\"{{audio}}\"}",
        "sessionStartMessage": "{\"type\":\"call\",\"state\":\"begins\",\"id\":\"{{callId}}\"}",
        "inputStop": "{\"type\":\"call\",\"state\":\"ends\",\"why\":\"{{reason}}\"}",
    });
    let mapping = Arc::new(Mapping::from_json(&keys(mapping)).unwrap());
    let (mut bot, mut phone) = ends(&mapping);
    let end = CallEvent::Ended(EndedStream::CallEnded(Cause::new(Reason::BotHungUp)));
    let said = [CallEvent::Started(Box::new(nasty_start())), end.clone()].map(Part::Item);
    let heard = carry(&mut *bot, &mut *phone, &said);
    assert!(
        matches!(&heard[0], Part::Item(CallEvent::Started(start)) if start.call_id == nasty_start().call_id)
    );
    assert_eq!(heard[1..], [Part::Item(end)]);
}

/// A start whose number tries to leave its string.
fn nasty_start() -> CallStart {
    let from = PhoneNumber::new("\",\"x\":{{did}}\\");
    CallStart { from, ..start(ROW.default_audio.format) }
}

/// One placeholder in one of the ways in which it may be written, with the names above it.
fn any_field(slot: &'static str) -> impl Strategy<Value = (Vec<String>, String)> {
    let form = prop_oneof![
        Just(format!("{{{{{slot}}}}}")),
        Just(format!("{{{{ {slot}:string }}}}")),
        ("[a-z\"\\\\é: ]{0,4}", "[a-z\"\\\\é: ]{0,4}")
            .prop_map(move |(before, behind)| format!("{before}{{{{{slot}}}}}{behind}")),
    ];
    (proptest::collection::vec("[a-zA-Z\"\\\\é. ]{1,6}", 1..4), form)
}

/// A template of that kind with all those placeholders somewhere in it.
fn any_template(kind: &'static str, slots: &'static [&'static str]) -> impl Strategy<Value = String> {
    let fields: Vec<_> = slots.iter().map(|slot| any_field(slot)).collect();
    (any::<bool>(), any::<bool>(), fields).prop_map(move |(event, pretty, fields)| {
        let mut object = json!({ if event { "event" } else { "type" }: kind, "n": [null, 1.5, true] });
        for (at, (names, text)) in fields.into_iter().enumerate() {
            // A name of its own at the top keeps one field from standing in the place of another.
            let field = names.into_iter().rev().fold(Value::from(text), |inner, name| json!({ name: inner }));
            object[format!("field {at}")] = json!([field]);
        }
        if pretty { format!("{object:#}") } else { object.to_string() }
    })
}

fn any_mapping() -> impl Strategy<Value = Arc<Mapping>> {
    let optional = |template: BoxedStrategy<String>| proptest::option::of(template);
    let templates = (
        any_template("a", &["audio", "sequence", "timestamp", "chunk"]),
        optional(any_template("s", &["callId", "sessionId", "caller", "did"]).boxed()),
        optional(any_template("d", &["digit", "duration"]).boxed()),
        optional(any_template("m", &["name"]).boxed()),
        optional(any_template("e", &["reason"]).boxed()),
    );
    let answers = (any::<[bool; 5]>(), "[a-z]{1,3}(\\.[a-z0-9]{1,2}){0,3}", any::<bool>(), any::<bool>());
    (templates, answers).prop_filter_map("a path asks for a far item", |(templates, answers)| {
        let (audio, start, digit, mark, stop) = templates;
        let (has, path, binary, kindless) = answers;
        let answer = |at: usize, kind: &str| has[at].then(|| json!({ "match": kind, "path": format!("p.{path}") }));
        Mapping::from_json(&keys(json!({
            "messageType": if binary { "binary" } else { "json" }, "inputTemplate": audio,
            "sessionStartMessage": start, "inputDtmf": digit, "inputMark": mark, "inputStop": stop,
            "outputMessageType": if kindless { "" } else { "speech" }, "outputAudioPath": format!("q.{path}"),
            "outputClear": answer(0, "clear").map(|_| "clear"), "outputHangup": answer(1, "bye").map(|_| "bye"),
            "outputMark": answer(2, "mark"), "outputDtmf": answer(3, "keys"), "outputTransfer": answer(4, "go"),
        })))
        .ok()
        .map(Arc::new)
    })
}

proptest! {
    #[test]
    fn what_is_said_by_any_mapping_is_heard_at_its_other_end(mapping in any_mapping(), ms in 1..2_000_u64) {
        let (mut bot, mut phone) = ends(&mapping);
        let digit = CallEvent::Digit(DigitPress {
            digit: Digit::ALL[7],
            duration: Some(std::time::Duration::from_millis(ms)),
        });
        let mark = CallEvent::Mark { name: "m \"{{name}}\\".into(), outcome: MarkOutcome::Played };
        let end = CallEvent::Ended(EndedStream::CallEnded(Cause::new(Reason::BotHungUp)));
        let said = [CallEvent::Started(Box::new(nasty_start())), digit, mark, end].map(Part::Item);
        let [started, digit, mark, end] = said;
        let audio = Part::Audio((0..=255).collect());
        let events = [started, audio.clone(), digit.clone(), mark.clone(), end.clone()];
        let mut heard = carry(&mut *bot, &mut *phone, &events).into_iter();
        let Some(Part::Item(CallEvent::Started(start))) = heard.next() else { panic!("no start") };
        if mapping.start.is_some() {
            let nasty = nasty_start();
            prop_assert_eq!((start.call_id, start.stream_id), (nasty.call_id, nasty.stream_id));
            prop_assert_eq!((start.from, start.to), (nasty.from, nasty.to));
        }
        let mut expected = vec![audio.clone()];
        expected.extend(mapping.input_digit.is_some().then_some(digit));
        expected.extend(mapping.input_mark.is_some().then_some(mark));
        expected.extend(mapping.input_stop.is_some().then_some(end));
        prop_assert_eq!(heard.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_asked_by_any_mapping_arrives_at_its_other_end(mapping in any_mapping()) {
        let (mut bot, mut phone) = ends(&mapping);
        let (started, audio) = (CallEvent::Started(Box::new(nasty_start())), Part::Audio((0..=255).collect()));
        carry(&mut *bot, &mut *phone, &[Part::Item(started), Part::Audio(vec![0; 320])]);
        let has = |what| mapping.answer(what).is_some();
        let keys = DialDigits::parse("1,#", std::time::Duration::from_millis(100)).unwrap();
        let asked = [
            (has(super::mapping::Meaning::Mark), CallCommand::Mark { name: "m \"{{name}}\\".into() }),
            (has(super::mapping::Meaning::Clear), CallCommand::Clear),
            (has(super::mapping::Meaning::Digits), CallCommand::Digits(keys)),
            (has(super::mapping::Meaning::HangUp), CallCommand::HangUp(HangUpWhen::AfterPlayout)),
        ];
        let said: Vec<_> = asked.iter().map(|(_, command)| Part::Item(command.clone())).collect();
        let heard = carry(&mut *phone, &mut *bot, &[vec![audio.clone()], said].concat());
        let arrives = asked.into_iter().filter(|(has, _)| *has).map(|(_, command)| Part::Item(command));
        prop_assert_eq!(heard, std::iter::once(audio).chain(arrives).collect::<Vec<_>>());
    }

    #[test]
    fn any_keys_are_taken_or_refused_without_a_panic(
        which in 0..MAPPING_KEYS.len(), text in any_near_message(PIECES), path in any::<bool>()
    ) {
        let mut keys = keys(serde_json::from_str(MAPPING_EXAMPLE).unwrap());
        let value = if path { json!({ "match": "x", "path": text }) } else { text.into() };
        keys.insert(MAPPING_KEYS[which].to_owned(), value);
        for problem in Mapping::from_json(&keys).err().into_iter().flatten() {
            prop_assert!(problem.line >= 1 && problem.column >= 1);
        }
    }

    #[test]
    fn nearly_right_messages_are_heard_or_malformed(text in any_near_message(PIECES)) {
        feed_both_ends(&ROW, Wire::Text(&text));
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ":",
    ",",
    "{{",
    "}}",
    "{{audio}}",
    "\"{{caller}}\"",
    "{{ sequence:string }}",
    "\"type\":",
    "\"event\":\"start\"",
    "\"audio\"",
    "\"speech\"",
    "\"data\":[{\"audio\":\"AAAA\"}]",
    "null",
    "a.0.b",
    "\u{e9}",
    "\n",
];

#[test]
fn a_text_that_is_nothing_but_mistakes_is_refused_by_its_first_ones() {
    let many = |text: &str| text.repeat(60_000 / text.len());
    for template in [
        many("{{"),
        many("{{x}}"),
        many("\n{{x}}"),
        format!("[\"{{{{audio}}}}\"{}]", many(",\"{{chunk}}\"")),
        format!("{{\"a\":\"{{{{audio}}}}\",\"b\":[0{}]}}", many(",\"{{timestamp}}\"")),
    ] {
        let keys = json!({ "messageType": "json", "inputTemplate": template });
        let problems = Mapping::from_json(keys.as_object().unwrap()).unwrap_err();
        assert!((1..=16).contains(&problems.len()), "{}", problems.len());
    }
}
