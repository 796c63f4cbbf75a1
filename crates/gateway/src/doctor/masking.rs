//! What an archive may show of texts that were written for people: no number, no secret part of an address.

use serde_json::Value;

use crate::calls::wire_log::{masked, shape_of_text, without_numbers};
use crate::config::ShownKey;

/// A record without the numbers of its parties, and whatever else is somebody's.
pub fn record(value: &Value) -> Value {
    shape("", value)
}

fn shape(key: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if PRIVATE.contains(&key) => masked(text).into(),
        Value::String(_) if IDS.contains(&key) || key.ends_with("_at") => value.clone(),
        Value::String(text) => line(text).into(),
        Value::Array(items) => items.iter().map(|item| shape(key, item)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), shape(name, field))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Keys of the configuration without the numbers that stand in them; secrets are masked already.
pub fn keys(shown: &[ShownKey]) -> Vec<ShownKey> {
    let mask = |key: &ShownKey| {
        let mut key = key.clone();
        if NUMBERS.contains(&key.name.as_str()) {
            key.value = all_masked(&key.value);
        }
        if key.name == MAPPING {
            key.value = templates("", &key.value);
        }
        key
    };
    shown.iter().map(mask).collect()
}

/// A mapping with the shape of its templates: what they say to a bot is somebody's, and may hold a key of the engine.
fn templates(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), templates(name, field))).collect()
        }
        Value::String(text) if PLAIN.contains(&name) => text.as_str().into(),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(template) => {
                let mut shown = shape_of_text(text);
                show_placeholders(&mut shown, &template);
                shown.to_string().into()
            }
            Err(_) => masked(text).into(),
        },
        other => other.clone(),
    }
}

/// Puts back what only stands for something else.
fn show_placeholders(shown: &mut Value, template: &Value) {
    match (shown, template) {
        (Value::Object(shown), Value::Object(template)) => {
            for (name, value) in template {
                if let Some(shown) = shown.get_mut(name) {
                    show_placeholders(shown, value);
                }
            }
        }
        (shown @ Value::String(_), Value::String(text)) => {
            let name = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
            if name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphabetic())) {
                *shown = text.as_str().into();
            }
        }
        _ => {}
    }
}

fn all_masked(value: &Value) -> Value {
    match value {
        Value::String(text) => masked(text).into(),
        Value::Array(items) => items.iter().map(all_masked).collect(),
        other => other.clone(),
    }
}

/// A text of several lines without numbers, and with no more of a URL than its host.
pub fn text(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + "://".len());
        kept.push_str(before);
        let authority = url.find(ENDS_OF_AUTHORITY).unwrap_or(url.len());
        let end = url.find(ENDS_OF_URL).unwrap_or(url.len()).max(authority);
        let (authority, path) = (url.get(..authority).unwrap_or(url), url.get(authority..end).unwrap_or(""));
        kept.push_str(authority);
        kept.push_str(if path.len() > 1 { "/***" } else { path });
        rest = url.get(end..).unwrap_or("");
    }
    kept.push_str(rest);
    without_numbers(&kept)
}

/// Whose values are somebody's.
const PRIVATE: &[&str] =
    &["from", "to", "phone_leg_id", "digits", "text", "transcript", "custom", "headers", "caller", "callee"];

/// What the archive's reader compares, all of it our own.
const IDS: &[&str] = &["call_id", "stream_id", "stream_ids"];

/// Keys of the configuration that hold numbers, short ones too.
const NUMBERS: &[&str] = &["number", "username", "caller_ids"];

/// The key of the configuration that holds templates, and those of its keys that hold none.
const MAPPING: &str = "mapping";
const PLAIN: &[&str] = &["messageType", "outputMessageType", "outputAudioPath", "match", "path"];

const ENDS_OF_AUTHORITY: &[char] = &['/', '?', '#', ' ', '"', '\'', '\n', ')', ','];
const ENDS_OF_URL: &[char] = &[' ', '"', '\'', '\n', ')', ','];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_keeps_ids_times_and_counts_and_loses_numbers() {
        let call = json!({
            "call_id": "call_1707204900000_aa", "stream_id": "1707204900.1", "from": "1001", "to": "+919876543210",
            "phone_leg_id": "9876543210@pbx", "bot": "sales", "ended_at": "2024-02-06T07:35:01.500Z",
            "counters": {"played_ms": 12345678}, "note": "rang 919876543210", "legs": [{"to": "101"}],
            "stream_ids": ["1707204900.1", "1707204900.2"],
        });
        assert_eq!(
            record(&call),
            json!({
                "call_id": "call_1707204900000_aa", "stream_id": "1707204900.1", "from": "<4 digits>",
                "to": "<13 characters>", "phone_leg_id": "<14 characters>", "bot": "sales",
                "ended_at": "2024-02-06T07:35:01.500Z", "counters": {"played_ms": 12345678},
                "note": "rang <12 digits>", "legs": [{"to": "<3 digits>"}],
                "stream_ids": ["1707204900.1", "1707204900.2"],
            })
        );
    }

    #[test]
    fn a_mapping_keeps_its_paths_and_placeholders_and_loses_what_its_templates_say() {
        let mapping = json!({
            "messageType": "json", "outputMessageType": "response.audio.delta", "outputAudioPath": "delta",
            "inputTemplate": r#"{"type":"append","audio":"{{audio}}","n":"call {{sequence}}"}"#,
            "sessionStartMessage": r#"{"type":"setup","token":"hunter2","session":{"instructions":"You are Asha"}}"#,
            "outputHangup": {"match": "bye", "path": "a.b"}, "inputStop": "hunter2 {{callId}}",
        });
        let shown = templates("", &mapping);
        assert!(!shown.to_string().contains("hunter2") && !shown.to_string().contains("Asha"), "{shown}");
        for plain in ["messageType", "outputMessageType", "outputAudioPath", "outputHangup"] {
            assert_eq!(shown[plain], mapping[plain]);
        }
        let input: Value = serde_json::from_str(shown["inputTemplate"].as_str().unwrap()).unwrap();
        assert_eq!(input, json!({"type": "append", "audio": "{{audio}}", "n": "<17 characters>"}));
        let start = shown["sessionStartMessage"].as_str().unwrap();
        assert!(start.contains(r#""type":"setup""#) && start.contains("instructions"), "{start}");
    }

    #[test]
    fn no_more_of_a_url_is_shown_than_its_host() {
        for (url, shown) in [
            (
                "url = \"wss://h.example:8443/v1/hunter2?token=***\" # f:1:2",
                "url = \"wss://h.example:8443/***\" # f:1:2",
            ),
            ("ws://127.0.0.1:9001/ opens in 3 ms", "ws://127.0.0.1:9001/ opens in 3 ms"),
            ("http://h?hunter2 and http://g/a/b", "http://h/*** and http://g/***"),
            ("ws://[::1]:80/x", "ws://[::1]:80/***"),
            ("no address", "no address"),
        ] {
            assert_eq!(text(url), shown);
        }
        assert_eq!(text("a 18005550199\nws://h/p\n"), "a <11 digits>\nws://h/***\n");
    }
}
