//! What may be kept of a wire message: its shape. The one place of these rules.
//!
//! Nothing is kept unless a rule allows it: names of fields, words of a protocol, formats, counts. Audio becomes its
//! length; numbers, keys, texts, addresses, tokens and whatever nobody thought of become what they are and how long.
//! Ids become tokens that are equal where the ids are, and mean nothing outside this process.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// What is left of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Redacted {
    /// Its shape: a JSON value for JSON, else a text.
    pub shown: Value,
    /// Whether it carried audio.
    pub audio: bool,
}

/// The shape of a WebSocket's text message.
pub fn text(message: &str) -> Redacted {
    let mut audio = false;
    let shown = match serde_json::from_str::<Value>(message) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => shape("", value, &mut audio),
        _ => Value::String(masked(message)),
    };
    Redacted { shown, audio }
}

/// What may be shown of a text that is a message, or is to become one.
pub fn shape_of_text(message: &str) -> Value {
    text(message).shown
}

/// The shape of a WebSocket's binary message.
pub fn binary(bytes: usize) -> Redacted {
    Redacted { shown: Value::String(format!("<{bytes} bytes>")), audio: true }
}

/// A text as what it is and how long: `<10 digits>`, `<23 characters>`.
pub fn masked(text: &str) -> String {
    let (characters, digits) = (text.chars().count(), text.chars().filter(char::is_ascii_digit).count());
    match characters {
        0 => String::new(),
        _ if digits == characters => format!("<{digits} digits>"),
        _ => format!("<{characters} characters>"),
    }
}

/// `text` with every run of digits that could be a number of somebody masked.
pub fn without_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut digits = String::new();
    for character in text.chars().map(Some).chain([None]) {
        match character {
            Some(digit) if digit.is_ascii_digit() => digits.push(digit),
            other => {
                if digits.len() > DIGITS_SHOWN {
                    kept.push_str(&masked(&digits));
                } else {
                    kept.push_str(&digits);
                }
                digits.clear();
                kept.extend(other);
            }
        }
    }
    kept
}

fn shape(key: &str, value: Value, audio: &mut bool) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value,
        Value::Number(ref number) if CODES.contains(&key) => {
            if number.as_u64().is_some_and(|code| code <= CODE_SHOWN) {
                value
            } else {
                Value::from("<number>")
            }
        }
        Value::Number(_) if COUNTS.contains(&key) => value,
        Value::Number(_) => Value::from("<number>"),
        Value::String(text) => Value::String(shape_of_value(key, &text, audio)),
        Value::Array(list) if list.len() >= SAMPLES_FEWEST && list.iter().all(Value::is_number) => {
            *audio = true;
            Value::String(format!("<{} numbers>", list.len()))
        }
        Value::Array(list) => {
            let more = list.len().saturating_sub(ITEMS_SHOWN);
            let mut shown: Vec<_> =
                list.into_iter().take(ITEMS_SHOWN).map(|item| shape(key, item, audio)).collect();
            if more > 0 {
                shown.push(Value::String(format!("<{more} more>")));
            }
            Value::Array(shown)
        }
        Value::Object(fields) => {
            let mut shown = Map::new();
            for (name, value) in fields {
                let known = plain_key(&name);
                let value = shape(&known, value, audio);
                shown.insert(name_shown(&name), value);
            }
            Value::Object(shown)
        }
    }
}

fn shape_of_value(key: &str, text: &str, audio: &mut bool) -> String {
    if WORDS.contains(&key) && is_word(text) {
        return text.to_owned();
    }
    if text.len() >= BASE64_FEWEST && is_base64(text) {
        *audio = true;
        let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
        return format!("<{} bytes>", (text.len() * 3 / 4).saturating_sub(padding));
    }
    if (key.ends_with("id") || key == "name") && text.chars().any(char::is_alphabetic) {
        return format!("<{} {:08x}>", if key == "name" { "name" } else { "id" }, token(text));
    }
    masked(text)
}

/// Equal for equal texts, and drawn anew by every process: nobody can look up what it stands for.
pub fn token(text: &str) -> u32 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(text) as u32
}

/// A field's name without the case and the separators in which vendors differ.
fn plain_key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A field's name, unless it is one that says something about somebody.
pub fn name_shown(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.$".contains(c);
    if name.len() > NAME_BYTES_SHOWN || !name.chars().all(plain) {
        masked(name)
    } else {
        without_numbers(name)
    }
}

/// A word of a protocol: no blanks, and no more digits in a row than a sample rate has.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:;=".contains(c);
    text.len() <= WORD_BYTES_SHOWN
        && text.chars().all(plain)
        && without_numbers(text) == text
        && text.chars().any(char::is_alphabetic)
}

fn is_base64(text: &str) -> bool {
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
    text.bytes().all(symbol) && !text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Fields whose value is a word of the protocol.
const WORDS: &[&str] = &[
    "action",
    "audioformat",
    "cause",
    "class",
    "codec",
    "command",
    "contenttype",
    "direction",
    "encoding",
    "event",
    "eventtype",
    "format",
    "inputaudioformat",
    "kind",
    "mediaformat",
    "messagetype",
    "method",
    "mimetype",
    "modalities",
    "op",
    "outputaudioformat",
    "protocol",
    "reason",
    "role",
    "state",
    "status",
    "track",
    "tracks",
    "type",
    "version",
];

/// Fields whose value is a count, a rate or a time.
const COUNTS: &[&str] = &[
    "bitspersample",
    "bits",
    "bytes",
    "channelcount",
    "channels",
    "chunk",
    "contentindex",
    "duration",
    "durationms",
    "frames",
    "length",
    "numberofframes",
    "outputindex",
    "ptime",
    "rate",
    "samplerate",
    "seq",
    "sequence",
    "sequencenumber",
    "timestamp",
    "version",
];

/// Fields whose value is a protocol's code: of Q.850, SIP or HTTP, where it is small enough for one.
const CODES: &[&str] = &["code", "status"];
/// The largest code of these.
const CODE_SHOWN: u64 = 699;
/// Digits in a row that are shown: a sample rate, a port.
const DIGITS_SHOWN: usize = 5;
/// The shortest text that is taken for audio in base64, and the shortest list of numbers for samples.
const BASE64_FEWEST: usize = 64;
const SAMPLES_FEWEST: usize = 16;
/// Items of a list that are shown.
const ITEMS_SHOWN: usize = 16;
const NAME_BYTES_SHOWN: usize = 48;
const WORD_BYTES_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_keeps_its_shape_and_loses_everything_that_is_somebodys() {
        let message = json!({
            "event": "start", "sequenceNumber": 1, "callId": "call_17072", "from": "+919876543210", "to": 18001234567u64,
            "customParameters": {"pin": "4711", "name of user": "Asha", "9876543210": "x"},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
            "wsUrl": "wss://u:secret@bot.example.com/v1?token=abcdefabcdefabcdefabcdef",
            "digit": "5", "dtmf": {"digit": 5}, "text": "my card is 4111 1111 1111 1111", "ok": true, "none": null,
        });
        let Redacted { shown, audio } = text(&message.to_string());
        assert!(!audio);
        let told = shown.to_string();
        for secret in
            ["9876543210", "18001234567", "4711", "Asha", "secret", "abcdef", "4111", "card", "17072"]
        {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
        assert_eq!(
            (&shown["event"], &shown["sequenceNumber"], &shown["mediaFormat"]),
            (&json!("start"), &json!(1), &json!({"encoding": "audio/x-mulaw", "sampleRate": 8000}))
        );
        assert_eq!((&shown["from"], &shown["to"]), (&json!("<13 characters>"), &json!("<number>")));
        assert_eq!((&shown["digit"], &shown["dtmf"]["digit"]), (&json!("<1 digits>"), &json!("<number>")));
        assert_eq!((&shown["ok"], &shown["none"]), (&json!(true), &Value::Null));
    }

    #[test]
    fn a_secret_is_shown_in_no_place_of_a_message_whatever_the_field_is_called() {
        let secrets = ["9876543210", "+91 98765 43210", "sekret token", "sip:asha@example.com", "Asha", "5"];
        for secret in secrets {
            for key in WORDS.iter().chain(COUNTS).chain(&["id", "callId", "name", "digit", "text", "x"]) {
                // A single word in the place of a protocol's word cannot be told from one.
                if secret == "Asha" && WORDS.contains(key) {
                    continue;
                }
                let shapes = [
                    json!({ *key: secret }),
                    json!({ *key: [secret, {"a": secret}] }),
                    json!([[{ *key: secret }]]),
                ];
                for message in shapes {
                    let told = text(&message.to_string()).shown.to_string();
                    let is_id = key.ends_with("Id") || ["id", "name"].contains(key);
                    // A token of an id has digits of its own.
                    if !(secret == "5" && is_id) {
                        assert!(!told.contains(&format!("\"{secret}")), "{message}: {told}");
                    }
                    assert!(secret.len() < 4 || !told.contains(secret), "{message}: {told}");
                }
            }
        }
    }

    #[test]
    fn audio_becomes_its_length_in_every_way_to_write_it() {
        let base64 = "AAEC".repeat(106) + "AA==";
        let media = text(&json!({"event": "media", "media": {"payload": base64}}).to_string());
        assert_eq!((media.shown["media"]["payload"].as_str(), media.audio), (Some("<319 bytes>"), true));
        let samples = text(&json!({"data": {"samples": vec![-12; 80], "sampleRate": 8000}}).to_string());
        assert_eq!((samples.shown["data"]["samples"].as_str(), samples.audio), (Some("<80 numbers>"), true));
        assert_eq!(binary(320).shown, json!("<320 bytes>"));
    }

    #[test]
    fn a_pin_that_calls_itself_a_code_and_an_answer_of_one_word_are_masked() {
        let shown = text(r#"{"code":4711,"status":200,"hangup":{"code":16},"result":"Asha"}"#).shown;
        assert_eq!(
            shown,
            json!({"code": "<number>", "status": 200, "hangup": {"code": 16}, "result": "<4 characters>"})
        );
    }

    #[test]
    fn a_word_of_the_protocol_that_is_none_is_masked_too() {
        for (key, value) in [
            ("type", "9876543210"),
            ("event", "please call 112"),
            ("status", "sip:asha@example.com"),
            ("reason", "098765432"),
            ("type", "5"),
        ] {
            let shown = text(&json!({ key: value }).to_string()).shown;
            assert!(shown[key].as_str().unwrap().starts_with('<'), "{shown}");
        }
    }

    #[test]
    fn ids_and_names_of_marks_can_be_compared_and_not_read() {
        let shown = |value: Value| text(&value.to_string()).shown;
        let (one, two) =
            (shown(json!({"streamSid": "MZ98765"})), shown(json!({"mark": {"name": "MZ98765"}})));
        assert!(one["streamSid"].as_str().unwrap().starts_with("<id "), "{one}");
        assert_eq!(shown(json!({"streamSid": "MZ98765"})), one);
        assert_ne!(shown(json!({"streamSid": "MZ98766"})), one);
        assert!(two["mark"]["name"].as_str().unwrap().starts_with("<name "), "{two}");
        assert_eq!(shown(json!({"callerId": "9876543210"}))["callerId"], "<10 digits>");
    }

    #[test]
    fn what_is_no_json_is_told_by_its_length() {
        assert_eq!(text("hello, 9876543210").shown, json!("<17 characters>"));
        assert_eq!(text("42").shown, json!("<2 digits>"));
        let deep = "[".repeat(10_000);
        assert_eq!(text(&deep).shown, json!("<10000 characters>"));
    }
}
