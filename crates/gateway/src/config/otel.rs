//! `[otel]`: where a trace of every call is sent.

use http::HeaderMap;

use super::headers;
use super::problem::Refusal;
use super::section::Section;
use super::url::WebUrl;

/// The settings of `[otel]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otel {
    /// Where traces are posted: the endpoint with `/v1/traces`.
    pub traces_url: WebUrl,
    /// Headers of the request; their values do not print.
    pub headers: HeaderMap,
    /// Whether numbers and words go along, under `pii.`.
    pub content: bool,
}

impl Otel {
    /// Nothing without an endpoint.
    pub(super) fn read(section: &Section<'_>) -> Option<Option<Otel>> {
        let headers = headers::read(section, "headers");
        let content: Option<bool> = section.value("content");
        if !section.has("endpoint") {
            return content.map(|_| None);
        }
        let endpoint: WebUrl = section.value("endpoint")?;
        let text = endpoint.as_uri().to_string();
        let base = text.trim_end_matches('/').trim_end_matches(PATH);
        match WebUrl::parse(&format!("{base}{PATH}")) {
            Ok(traces_url) if endpoint.as_uri().query().is_none() => {
                Some(Some(Otel { traces_url, headers, content: content? }))
            }
            _ => {
                let what = "an endpoint is an address without a query";
                section.refuse("endpoint", Refusal::new(what, "write it as http://127.0.0.1:4318"));
                None
            }
        }
    }
}

/// Where a receiver takes traces (OTLP/HTTP, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";
