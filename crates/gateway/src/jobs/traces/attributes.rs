//! Attributes as OTLP's JSON has them: whole numbers are strings there.

use serde_json::{Value, json};

/// The attributes of a span, a resource or an event.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<Value>);

impl Attributes {
    pub(super) fn text(mut self, key: &str, value: &str) -> Self {
        self.0.push(json!({ "key": key, "value": { "stringValue": value } }));
        self
    }

    pub(super) fn whole(mut self, key: &str, value: u64) -> Self {
        self.0.push(json!({ "key": key, "value": { "intValue": value.to_string() } }));
        self
    }

    pub(super) fn number(mut self, key: &str, value: f64) -> Self {
        self.0.push(json!({ "key": key, "value": { "doubleValue": value } }));
        self
    }

    /// What somebody said, or who it was: only where the operator wants that.
    pub(super) fn pii(self, content: Content, key: &str, value: &str) -> Self {
        match content {
            Content::Left => self,
            Content::Told => self.text(&format!("pii.{key}"), value),
        }
    }

    pub(super) fn into_json(self) -> Value {
        Value::Array(self.0)
    }
}

/// Whether numbers and words are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// They are left out.
    Left,
    /// They are told, under `pii.`.
    Told,
}
