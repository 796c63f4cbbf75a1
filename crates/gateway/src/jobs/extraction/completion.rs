//! The answer of a chat completions endpoint: the fields that it found, or what is wrong with it.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::setback::Setback;
use crate::config::{ExtractionSchema, unfenced};
use crate::jobs::retry::retry_after;
use crate::net::HttpAnswer;

/// The fields in `answer`, as the schema wants them.
///
/// # Errors
/// [`Setback`], which holds nothing of the answer.
pub(super) fn read(answer: &HttpAnswer, schema: &ExtractionSchema) -> Result<Map<String, Value>, Setback> {
    if answer.status != StatusCode::OK {
        return Err(Setback::Status { status: answer.status, after: retry_after(&answer.headers) });
    }
    let completion: Completion = serde_json::from_slice(&answer.body).map_err(|_| Setback::NoCompletion)?;
    let Some(Choice { message, finish_reason }) = completion.choices.into_iter().next() else {
        return Err(Setback::NoCompletion);
    };
    if message.refusal.is_some_and(|refusal| !refusal.is_empty()) {
        return Err(Setback::Declined);
    }
    if finish_reason.as_deref().is_some_and(|reason| reason == "length" || reason == "content_filter") {
        return Err(Setback::CutOff);
    }
    let text = message.content.ok_or(Setback::NoCompletion)?;
    let fields: Value = serde_json::from_str(unfenced(&text)).map_err(|_| Setback::NotJson)?;
    schema.admit(fields).map_err(|misfit| Setback::Misfit(misfit.field))
}

/// What is read of a completion; anything else in it is left where it is.
#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::json;

    use super::*;

    fn schema() -> ExtractionSchema {
        let text = r#"{"type": "object", "properties": {"name": {"type": "string"}, "budget": {"type": "integer"}}}"#;
        ExtractionSchema::parse(text).unwrap()
    }

    fn answered(status: u16, body: impl Into<String>) -> Result<Map<String, Value>, Setback> {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = HttpAnswer { status, headers: HeaderMap::new(), body: body.into().into() };
        read(&answer, &schema())
    }

    fn completion(message: &Value, finish_reason: &str) -> String {
        json!({ "id": "x", "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }] })
            .to_string()
    }

    #[test]
    fn the_fields_are_taken_as_they_are_markup_and_all() {
        let content =
            json!({ "name": "<script>alert(1)</script> & \"Gulshan\"", "budget": null }).to_string();
        let fields =
            answered(200, completion(&json!({ "content": content, "refusal": null }), "stop")).unwrap();
        assert_eq!(fields["name"], "<script>alert(1)</script> & \"Gulshan\"");
        assert_eq!(fields["budget"], Value::Null);
    }

    #[test]
    fn a_service_without_structured_output_may_fence_its_answer_and_leave_out_what_was_not_said() {
        for content in
            ["```json\n{\"name\": \"Gulshan\"}\n```", "{\"name\": \"Gulshan\", \"mood\": \"good\"}"]
        {
            let fields = answered(200, completion(&json!({ "content": content }), "stop")).unwrap();
            assert_eq!(Value::from(fields), json!({ "name": "Gulshan", "budget": null }), "{content}");
        }
    }

    #[test]
    fn everything_else_has_its_name_and_holds_nothing_of_the_answer() {
        let said = |content: &str| json!({ "content": content });
        let whole = r#"{"name": "secret-7", "budget": 1}"#;
        for (body, setback) in [
            ("secret-7".to_owned(), Setback::NoCompletion),
            ("{}".to_owned(), Setback::NoCompletion),
            (r#"{"choices": []}"#.to_owned(), Setback::NoCompletion),
            (completion(&json!({}), "stop"), Setback::NoCompletion),
            (completion(&json!({ "content": null, "refusal": "secret-7" }), "stop"), Setback::Declined),
            (completion(&said(whole), "length"), Setback::CutOff),
            (completion(&said(whole), "content_filter"), Setback::CutOff),
            (completion(&said("secret-7"), "stop"), Setback::NotJson),
            (completion(&said(r#"["secret-7"]"#), "stop"), Setback::Misfit(None)),
            (
                completion(&said(r#"{"name": "x", "budget": "secret-7"}"#), "stop"),
                Setback::Misfit(Some("budget".to_owned())),
            ),
            (completion(&said(&"[".repeat(100_000)), "stop"), Setback::NotJson),
        ] {
            let found = answered(200, body).unwrap_err();
            assert_eq!(found, setback);
            assert!(!format!("{found} {found:?}").contains("secret-7"), "{found:?}");
        }
        assert!(matches!(answered(201, "{}"), Err(Setback::Status { .. })));
    }
}
