//! JSON bodies: bounded in size, time and depth, read into their types, and refused by the field that is wrong.

use std::fmt::Write;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use super::problem::Problem;

/// The body of a request as it was sent, at most [`BODY_BYTES_MAX`].
#[derive(Debug)]
pub struct RawJson(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        // An empty body has no type to be wrong.
        if !bytes.is_empty() && !is_json(&parts.headers) {
            let detail = "send the body as application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail));
        }
        Ok(Self(bytes))
    }
}

impl RawJson {
    /// The body as `T`; nothing at all is `{}`.
    ///
    /// # Errors
    /// 400 that names the first wrong field by its JSON pointer and says what is expected there.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if self.0.is_empty() { parse(b"{}") } else { parse(&self.0) }
    }
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let whole = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let detail = format!("the body has more than {BODY_BYTES_MAX} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail))
        }
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "body_cut_short", "the body broke off")),
        Err(_) => {
            let detail = "the body took longer than 10 s";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail))
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad_json("the body is not UTF-8"))?;
    if depth(text) > DEPTH_MAX {
        return Err(bad_json(&format!("the body is nested deeper than {DEPTH_MAX}")));
    }
    // Derived types would take a list in the place of an object.
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(bad_json("the body is not a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().clone();
        refuse(&path, &error.into_inner())
    })?;
    json.end().map_err(|_| bad_json("something follows the JSON object"))?;
    Ok(value)
}

fn refuse(path: &Path, error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        let (line, column) = (error.line(), error.column());
        return bad_json(&format!("the body is not JSON: line {line}, column {column}"));
    }
    let text = error.to_string();
    // The place at its end is one in the text; the pointer says it better.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let named = |begin: &str| text.strip_prefix(begin)?.split('`').next();
    let pointer = pointer(path);
    if let Some(name) = named("unknown field `") {
        let name = &escaped(name);
        let known = text.rsplit_once(", expected ").map_or("nothing", |(_, known)| known);
        let pointer = pointer.strip_suffix(&format!("/{name}")).unwrap_or(&pointer);
        return Problem::field("unknown_field", &format!("{pointer}/{name}"), format!("expected {known}"));
    }
    if let Some(name) = named("missing field `") {
        return Problem::field("missing_field", &format!("{pointer}/{name}"), "this field is missing");
    }
    if let Some(name) = named("duplicate field `") {
        let pointer = pointer.strip_suffix(&format!("/{name}")).unwrap_or(&pointer);
        return Problem::field("bad_field", &format!("{pointer}/{name}"), "this field is there twice");
    }
    // Before the comma stands what was sent.
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => {
            Problem::field("bad_field", &pointer, format!("expected {}", in_words_of_json(expected)))
        }
        None => Problem::field("bad_field", &pointer, text),
    }
}

/// What is expected, for those who write JSON and know nothing of our types.
fn in_words_of_json(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "a list",
        "unit" => "null",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    }
}

fn bad_json(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_json", detail)
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let _ = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } => write!(pointer, "/{}", escaped(key)),
            Segment::Enum { .. } | Segment::Unknown => Ok(()),
        };
    }
    pointer
}

/// A name from outside as it may stand in a pointer and in a sentence (RFC 6901 §3).
pub fn escaped(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_SHOWN).collect();
    plain.replace('~', "~0").replace('/', "~1")
}

/// How deep lists and objects of a text stand in each other.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Bytes of a body.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How deep a body may be nested.
const DEPTH_MAX: usize = 32;
/// Characters of a field's name from outside that are shown.
const NAME_CHARS_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its refusals are looked at")]
    struct Order {
        count: u8,
        #[serde(default)]
        parts: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "lowercase")]
    #[allow(dead_code, reason = "only its refusals are looked at")]
    enum Kind {
        Bolt,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its refusals are looked at")]
    struct Part {
        kind: Kind,
    }

    #[test]
    fn a_wrong_field_is_named_and_its_value_is_not() {
        for (body, code, place) in [
            (r#"{"count":"secret-7"}"#, "bad_field", Some("#/count")),
            (r#"{"count":300}"#, "bad_field", Some("#/count")),
            (r#"{"count":1,"cuont":"secret-7"}"#, "unknown_field", Some("#/cuont")),
            (r#"{"count":1,"a/b":1}"#, "unknown_field", Some("#/a~1b")),
            (r#"{"parts":[]}"#, "missing_field", Some("#/count")),
            (r#"{"count":1,"count":2}"#, "bad_field", Some("#/count")),
            (
                r#"{"count":1,"parts":[{"kind":"bolt"},{"kind":"secret-7"}]}"#,
                "bad_field",
                Some("#/parts/1/kind"),
            ),
            (
                r#"{"count":1,"parts":[{"kind":"bolt","size":"secret-7"}]}"#,
                "unknown_field",
                Some("#/parts/0/size"),
            ),
            (r#"{"count":1,"parts":[{}]}"#, "missing_field", Some("#/parts/0/kind")),
            (r#"{"count":1,"parts":"secret-7"}"#, "bad_field", Some("#/parts")),
            (r#"{"count":1"#, "bad_json", None),
            (r#"{"count":1} {}"#, "bad_json", None),
            ("[1]", "bad_json", None),
            ("secret-7", "bad_json", None),
        ] {
            let problem = parse::<Order>(body.as_bytes()).unwrap_err();
            let found = problem.errors.first().and_then(|error| error.pointer.as_deref());
            assert_eq!((problem.code, found), (code, place), "{body}: {problem:?}");
            assert!(!format!("{problem:?}").contains("secret-7"), "{problem:?}");
        }
    }

    #[test]
    fn what_is_expected_is_said_in_the_words_of_json() {
        for (body, said) in [
            (r#"{"count":"5"}"#, "expected a whole number, not negative"),
            (r#"{"count":1,"parts":"x"}"#, "expected a list"),
            (r#"{"count":1,"parts":[5]}"#, "expected an object"),
        ] {
            let problem = parse::<Order>(body.as_bytes()).unwrap_err();
            assert!(format!("{problem:?}").contains(said), "{problem:?}");
        }
    }

    #[test]
    fn nothing_deeper_than_thirty_two_is_read_and_brackets_in_strings_are_no_depth() {
        let deep = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(parse::<Order>(deep(32).as_bytes()).unwrap_err().code, "bad_json");
        assert_eq!(parse::<Order>(deep(31).as_bytes()).unwrap_err().code, "unknown_field");
        assert_eq!(depth(r#"{"a":"[[[\"{{{"}"#), 1);
    }
}
