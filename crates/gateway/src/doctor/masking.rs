//! What an archive may show of texts that were written for people: no number, no secret part of an address.

use serde_json::Value;

use crate::calls::wire_log::{masked, without_numbers};
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
        key
    };
    shown.iter().map(mask).collect()
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
const IDS: &[&str] = &["call_id", "stream_id"];

/// Keys of the configuration that hold numbers, short ones too.
const NUMBERS: &[&str] = &["number", "username", "caller_ids"];

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
        });
        assert_eq!(
            record(&call),
            json!({
                "call_id": "call_1707204900000_aa", "stream_id": "1707204900.1", "from": "<4 digits>",
                "to": "<13 characters>", "phone_leg_id": "<14 characters>", "bot": "sales",
                "ended_at": "2024-02-06T07:35:01.500Z", "counters": {"played_ms": 12345678},
                "note": "rang <12 digits>", "legs": [{"to": "<3 digits>"}],
            })
        );
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
