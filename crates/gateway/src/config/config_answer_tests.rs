//! Answers of CONFIG_APIs: the seed's own, those that people write, those that nobody should, and any JSON at all.

use patchcord_core::dialect::Mapping;
use patchcord_core::media::MediaFormat;
use proptest::prelude::*;

use super::super::headers::HEADERS_MAX;
use super::*;

fn config() -> Config {
    Config::parse("[bots.sales]\nurl = \"ws://10.0.0.1/\"\ndialect = \"smartpbx\"\n").unwrap()
}

fn described(text: &str) -> Bot {
    let config = config();
    match ConfigAnswer::parse(text.as_bytes(), &config).unwrap().bot {
        AnsweredBot::Described(bot) => *bot,
        AnsweredBot::Named(bot) => panic!("{bot:?}"),
    }
}

fn refused(text: &str) -> String {
    ConfigAnswer::parse(text.as_bytes(), &config()).expect_err(text).0
}

#[test]
fn the_seeds_answer_is_a_bot_with_its_address_headers_and_audio() {
    let bot = described(
        r#"{"url": "wss://your-bot.example.com/voice",
            "wsHeaders": {"Authorization": "Bearer YOUR_TOKEN"},
            "audioFormat": {"encoding": "pcm", "sampleRate": 8000}}"#,
    );
    assert_eq!((bot.url.host(), bot.url.port(), bot.url.is_tls()), ("your-bot.example.com", 443, true));
    assert_eq!(bot.headers["authorization"], "Bearer YOUR_TOKEN");
    assert_eq!(bot.audio.format, MediaFormat::linear16(8_000));
    assert_eq!((bot.name.as_str(), bot.dialect.as_str()), (CONFIG_API_BOT, "ivr-solutions"));
}

#[test]
fn a_byte_order_mark_before_an_answer_is_passed_over() {
    let bot = described("\u{FEFF}{\"url\":\"wss://bot.example.com/voice\"}");
    assert_eq!(bot.url.host(), "bot.example.com");
}

#[test]
fn names_are_read_as_people_write_them_and_what_is_empty_is_absent() {
    let bot = described(
        r#"{"WsUrl": "ws://h.example/", "ws_headers": {"X-Key": 7, "X-None": null}, "bot": null, "dialect": "",
            "AUDIO_FORMAT": {"Encoding": "ULAW", "sample_rate": "8000"}}"#,
    );
    assert_eq!((bot.headers.len(), &bot.headers["x-key"]), (1, &"7".parse().unwrap()));
    assert_eq!(bot.audio.format, MediaFormat::PCMU_8K);
    assert_eq!(described(r#"{"url":"ws://h/","dialect":"Incoming-Call"}"#).dialect.as_str(), "incoming-call");
}

#[test]
fn a_bot_of_the_configuration_is_chosen_by_its_name_and_nothing_of_it_is_changed() {
    let config = config();
    let parse = |text: &str| ConfigAnswer::parse(text.as_bytes(), &config);
    let answer = parse(r#"{"bot":"sales","url":"ws://evil.example/","wsHeaders":{"A":"b"}}"#).unwrap();
    let AnsweredBot::Named(BotChoice::Remote(bot)) = answer.bot else { panic!("{answer:?}") };
    assert_eq!((bot.url.host(), bot.headers.len(), answer.notes.len()), ("10.0.0.1", 0, 2));
    assert!(matches!(parse(r#"{"bot":"echo"}"#).unwrap().bot, AnsweredBot::Named(BotChoice::BuiltIn(_))));
}

/// Seed 000 §9's example of a mapping.
const MAPPED: &str = r#"{"url": "wss://engine.example.com/v1", "messageType": "json",
    "inputTemplate": "{\"type\":\"input_audio_buffer.append\",\"audio\":\"{{audio}}\"}",
    "outputMessageType": "response.audio.delta", "outputAudioPath": "delta",
    "sessionStartMessage": "{\"type\":\"session.update\",\"session\":{\"modalities\":[\"audio\"]}}",
    "output_clear": {"match": "input_audio_buffer.speech_started"}}"#;

#[test]
fn an_answer_with_the_keys_of_a_mapping_speaks_custom_by_it() {
    let bot = described(MAPPED);
    assert_eq!(bot.dialect.as_str(), "custom");
    let expected = r#"{"messageType": "json",
        "inputTemplate": "{\"type\":\"input_audio_buffer.append\",\"audio\":\"{{audio}}\"}",
        "outputMessageType": "response.audio.delta", "outputAudioPath": "delta",
        "sessionStartMessage": "{\"type\":\"session.update\",\"session\":{\"modalities\":[\"audio\"]}}",
        "outputClear": {"match": "input_audio_buffer.speech_started"}}"#;
    let expected = Mapping::from_json(&serde_json::from_str(expected).unwrap()).unwrap();
    assert_eq!(bot.mapping.as_deref(), Some(&expected));
    assert!(described(r#"{"url":"ws://h/","messageType":"","inputTemplate":null}"#).mapping.is_none());
}

#[test]
fn custom_parameters_are_texts_numbers_and_flags_within_their_bounds() {
    let config = config();
    let long = "x".repeat(CUSTOM_BYTES_MAX + 1);
    let text = format!(
        r#"{{"bot":"echo","custom_params":{{"a":"b","n":7.5,"f":true,"o":{{}},"l":"{long}","z":null}}}}"#
    );
    let answer = ConfigAnswer::parse(text.as_bytes(), &config).unwrap();
    let custom: Vec<_> = answer.custom.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(custom, [("a", "b"), ("f", "true"), ("n", "7.5")]);
    assert!(answer.notes[0].starts_with("2 of `custom_params`"), "{:?}", answer.notes);
    let many: Map<String, Value> = (0..100).map(|n| (format!("k{n}"), n.into())).collect();
    let text = serde_json::json!({"bot": "echo", "customParameters": many}).to_string();
    assert_eq!(ConfigAnswer::parse(text.as_bytes(), &config).unwrap().custom.len(), CUSTOM_MAX);
}

#[test]
fn what_changes_nothing_is_noted_by_its_name_only() {
    let config = config();
    let text = r#"{"bot":"echo","Secret":"hunter2","status_callback_url":"https://u:hunter2@h/"}"#;
    let answer = ConfigAnswer::parse(text.as_bytes(), &config).unwrap();
    assert_eq!(
        answer.notes,
        ["the unknown key `Secret` is ignored", "`status_callback_url` is no HTTP address"]
    );
    let good = r#"{"bot":"echo","callback_url":"https://h/cb"}"#;
    let answer = ConfigAnswer::parse(good.as_bytes(), &config).unwrap();
    let there = answer.callback.unwrap().as_uri().to_string();
    assert_eq!((there.as_str(), answer.notes.len()), ("https://h/cb", 0));
}

#[test]
fn what_an_answer_says_never_becomes_a_line_of_the_log() {
    let evil = "x\n2026-11-20T12:00:00Z ERROR 919876543210 ".repeat(100);
    let url = "ws://h/";
    for answer in [
        serde_json::json!({"url": url, "audioFormat": {"encoding": evil}}),
        serde_json::json!({"url": url, "dialect": "smartpbx", "audioFormat": {"encoding": evil}}),
        serde_json::json!({"url": url, "dialect": "ozonetel", "audioFormat": {"encoding": "919876543210"}}),
        serde_json::json!({"url": url, "wsHeaders": {format!("sec-{evil}"): "x"}}),
        serde_json::json!({"url": url, "wsHeaders": {evil.as_str(): "x"}}),
        serde_json::json!({"url": url, "wsHeaders": {"X-A": evil}}),
        serde_json::json!({"url": url, "dialect": evil}),
        serde_json::json!({"url": url, "messageType": "json", "inputTemplate": format!("{{{{{evil}}}}}")}),
        serde_json::json!({"url": evil}),
        serde_json::json!({"bot": evil}),
    ] {
        let told = refused(&answer.to_string());
        assert!(!told.contains('\n') && told.len() < 400, "{told}");
        assert!(answer["audioFormat"].is_null() || !told.contains("9876543210"), "{told}");
    }
}

#[test]
fn what_is_known_and_wrong_spoils_the_answer_without_being_repeated() {
    for (answer, word) in [
        ("hunter2", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("\"x\"", "not a JSON object"),
        ("", "not a JSON object"),
        ("{}", "neither"),
        (r#"{"url":7}"#, "not a string"),
        (r#"{"url":"hunter2"}"#, "`url`"),
        (r#"{"url":"http://h/"}"#, "ws://"),
        (r#"{"url":"ws://u:hunter2@h/"}"#, "user name"),
        (r#"{"url":"ws://h/","wsUrl":"ws://g/"}"#, "twice"),
        (r#"{"bot":"hunter2"}"#, "no bot of the configuration"),
        (r#"{"url":"ws://h/","dialect":"hunter2"}"#, "`dialect`"),
        (r#"{"url":"ws://h/","wsHeaders":"x"}"#, "not an object"),
        (r#"{"url":"ws://h/","wsHeaders":{"A":"x\r\nB: hunter2"}}"#, "line break"),
        (r#"{"url":"ws://h/","wsHeaders":{"A\r\nB":"hunter2"}}"#, "not the name of a header"),
        (r#"{"url":"ws://h/","wsHeaders":{"Host":"hunter2"}}"#, "belongs to the connection"),
        (r#"{"url":"ws://h/","wsHeaders":{"Sec-WebSocket-Protocol":"x"}}"#, "belongs to the connection"),
        (r#"{"url":"ws://h/","wsHeaders":{"A":[]}}"#, "not a string"),
        (r#"{"url":"ws://h/","audioFormat":{"encoding":"mp3"}}"#, "`audioFormat`"),
        (r#"{"url":"ws://h/","audioFormat":{"encoding":"pcm","sampleRate":44100}}"#, "`audioFormat`"),
        (r#"{"url":"ws://h/","audioFormat":{"sampleRate":"hunter2"}}"#, "not a number"),
        (r#"{"url":"ws://h/","audioFormat":"pcm"}"#, "not an object"),
        (r#"{"bot":"echo","custom_params":[]}"#, "not an object"),
        (r#"{"url":"ws://h/","dialect":"custom"}"#, "`messageType`"),
        (r#"{"url":"ws://h/","messageType":"json"}"#, "`inputTemplate`"),
        (r#"{"url":"ws://h/","messageType":"json","inputTemplate":"{\"a\":{{x}}}"}"#, "`inputTemplate`"),
        (r#"{"url":"ws://h/","messageType":"binary","dialect":"smartpbx"}"#, "custom and no other"),
        (r#"{"url":"ws://h/","messageType":"binary","message_type":"json"}"#, "twice"),
    ] {
        let sentence = refused(answer);
        assert!(sentence.contains(word) && !sentence.contains("hunter2"), "{answer}: {sentence}");
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[{}\\[\\]\",:a-z]{0,20}\\{\\{(audio|caller|x)\\}\\}[{}\"]{0,9}".prop_map(Value::from),
        "(ws|wss|http)://[a-z0-9.:@\\[\\]%/?#-]{0,30}".prop_map(Value::from),
        prop_oneof![Just("echo"), Just("sales"), Just("pcm"), Just("smartpbx"), Just("8000")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let known =
        KEYS.iter().flat_map(|(name, spellings)| std::iter::once(*name).chain(spellings.iter().copied()));
    let inner = ["encoding", "sampleRate", "Authorization", "Host", "match", "path"];
    let known: Vec<&'static str> = known.chain(MAPPING_KEYS).chain(inner).collect();
    prop_oneof![4 => proptest::sample::select(known).prop_map(str::to_owned), 1 => ".{0,60}"]
}

proptest! {
    #[test]
    fn any_json_is_an_answer_within_its_bounds_or_is_refused(
        pairs in proptest::collection::vec((key(), json()), 0..12)
    ) {
        let config = config();
        let text = Value::Object(pairs.into_iter().collect()).to_string();
        if let Ok(answer) = ConfigAnswer::parse(text.as_bytes(), &config) {
            prop_assert!(answer.custom.len() <= CUSTOM_MAX && answer.notes.len() <= NOTES_MAX);
            let fits = |text: &String| text.len() <= CUSTOM_BYTES_MAX;
            prop_assert!(answer.custom.iter().all(|(name, value)| fits(name) && fits(value)));
            if let AnsweredBot::Described(bot) = answer.bot {
                prop_assert!(bot.headers.len() <= HEADERS_MAX);
                prop_assert!(!bot.headers.contains_key("host"));
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = ConfigAnswer::parse(&bytes, &config());
    }
}
