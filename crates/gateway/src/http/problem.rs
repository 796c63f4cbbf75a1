//! Errors as HTTP says them: RFC 9457, with a stable `code` for programs and the fields that are wrong.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// One problem. Details name fields and rules, never a value that somebody sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable word.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// What is wrong where.
    pub errors: Vec<FieldError>,
    retry_after_s: Option<u32>,
    header: Option<(&'static str, &'static str)>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A sentence for people.
    pub detail: String,
    /// The field of the body as a JSON pointer (RFC 6901) in a fragment: `#/audioFormat/sampleRate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<&'static str>,
}

/// A problem as it travels, `application/problem+json` (RFC 9457 §3).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// What kind of problem it is: `about:blank`, the status says it.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    #[schema(example = "Bad Request")]
    title: &'static str,
    /// The status.
    #[schema(minimum = 400, maximum = 599, example = 400)]
    status: u16,
    /// The stable word for programs.
    #[schema(example = "bad_field")]
    code: &'static str,
    /// A sentence for people.
    detail: String,
    /// What is wrong where, if it is a matter of fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, code, detail, errors: Vec::new(), retry_after_s: None, header: None }
    }

    /// 400 for one field of the body; `pointer` begins with `/`, or is empty for the body itself.
    pub fn field(code: &'static str, pointer: &str, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: Some(format!("#{pointer}")), ..FieldError::new(detail) };
        Self::of_error(code, error)
    }

    /// 400 for one parameter of the query.
    pub fn parameter(code: &'static str, name: &str, detail: impl Into<String>) -> Self {
        Self::of_error(code, FieldError { parameter: Some(name.to_owned()), ..FieldError::new(detail) })
    }

    /// 400 for a header.
    pub fn request_header(code: &'static str, name: &'static str, detail: impl Into<String>) -> Self {
        Self::of_error(code, FieldError { header: Some(name), ..FieldError::new(detail) })
    }

    /// Says when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds a header that goes with the status; `name` in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    fn of_error(code: &'static str, error: FieldError) -> Self {
        let place = error.pointer.as_deref().or(error.parameter.as_deref()).or(error.header);
        let detail = match place {
            Some("#") | None => error.detail.clone(),
            Some(place) => format!("{}: {}", place.trim_start_matches("#/"), error.detail),
        };
        Self { errors: vec![error], ..Self::new(StatusCode::BAD_REQUEST, code, detail) }
    }
}

impl FieldError {
    fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), pointer: None, parameter: None, header: None }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
