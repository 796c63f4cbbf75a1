//! What an extraction makes known of a call's fields: their values, and why the rest is missing.

use serde_json::{Map, Value};

use super::setback::Setback;
use crate::config::ExtractionSchema;
use crate::store::{ExtractedFields, ExtractionKind, FieldsState};

/// An extraction that found `fields`.
pub(super) fn found(fields: Map<String, Value>, kind: ExtractionKind) -> ExtractedFields {
    let state = match kind {
        ExtractionKind::Live => FieldsState::Live,
        ExtractionKind::Final => FieldsState::Final,
    };
    ExtractedFields { reasons: missing(&fields, NOT_SAID), fields, state }
}

/// The extraction of a call in which nothing was said.
pub(super) fn nothing(schema: &ExtractionSchema, kind: ExtractionKind) -> ExtractedFields {
    found(schema.fields().map(|name| (name.to_owned(), Value::Null)).collect(), kind)
}

/// An extraction that was given up: what was found before it stays, for the rest there is a reason.
pub(super) fn failed(
    schema: &ExtractionSchema,
    before: Option<Map<String, Value>>,
    setback: &Setback,
) -> ExtractedFields {
    let before = before.unwrap_or_default();
    let value = |name: &str| before.get(name).cloned().unwrap_or_default();
    let fields: Map<_, _> = schema.fields().map(|name| (name.to_owned(), value(name))).collect();
    let reasons = missing(&fields, &format!("extraction failed: {setback}"));
    ExtractedFields { fields, reasons, state: FieldsState::Failed }
}

fn missing(fields: &Map<String, Value>, reason: &str) -> Map<String, Value> {
    let missing = fields.iter().filter(|(_, value)| value.is_null());
    missing.map(|(name, _)| (name.clone(), reason.into())).collect()
}

/// Why a field is missing that was asked for.
const NOT_SAID: &str = "not said";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn schema() -> ExtractionSchema {
        let text =
            r#"{"type": "object", "properties": {"name": {"type": "string"}, "city": {"type": "string"}}}"#;
        ExtractionSchema::parse(text).unwrap()
    }

    #[test]
    fn a_field_without_a_value_has_a_reason_and_no_other_has_one() {
        let found = found(object(&json!({"name": "Gulshan", "city": null})), ExtractionKind::Live);
        assert_eq!((found.state, found.reasons), (FieldsState::Live, object(&json!({"city": "not said"}))));
        let nothing = nothing(&schema(), ExtractionKind::Final);
        assert_eq!(nothing.fields, object(&json!({"name": null, "city": null})));
        assert_eq!((nothing.state, nothing.reasons.len()), (FieldsState::Final, 2));
    }

    #[test]
    fn what_was_found_before_an_extraction_failed_stays_and_the_rest_says_why() {
        let before = object(&json!({"name": "Gulshan", "gone": 1}));
        let failed = failed(&schema(), Some(before), &Setback::NotJson);
        assert_eq!(failed.fields, object(&json!({"name": "Gulshan", "city": null})));
        let reason = json!({"city": "extraction failed: the model's answer is not JSON"});
        assert_eq!((failed.reasons, failed.state), (object(&reason), FieldsState::Failed));
    }
}
