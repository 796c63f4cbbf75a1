//! `GET /calls/{call_id}/transcript`: what was said with an agent, as JSON, as text, and as captions.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::show::missing;
use super::{CallName, find, unavailable};
use crate::http::api::Api;
use crate::http::openapi::CallProblems;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::Parameters;
use crate::leavings::{self, Transcript};

/// How a transcript is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Text,
    Captions,
}

/// What was said in a call with an agent
///
/// Every finished utterance, also while the call is up.
#[utoipa::path(
    get,
    path = "/calls/{call_id}/transcript",
    operation_id = "show_transcript",
    tag = "calls",
    params(
        ("call_id" = String, Path, description = "The call's id"),
        ("format" = Option<String>, Query, description = "`json` if not given, `text`, or `vtt`: captions (WebVTT) on the time axis of the call", pattern = "^(json|text|vtt)$"),
    ),
    responses(
        (status = 200, description = "The transcript", content(
            (Transcript = "application/json"),
            (String = "text/plain"),
            (String = "text/vtt"),
        )),
        (status = 400, description = "A parameter is wrong; `errors` says which", body = ProblemBody, content_type = "application/problem+json"),
        CallProblems,
    ),
)]
pub async fn transcript(
    State(api): State<Api>,
    CallName(call_id): CallName,
    mut query: Parameters,
) -> Result<Response, Problem> {
    let format = query.parsed("format", "json, text or vtt", Format::find)?.unwrap_or(Format::Json);
    query.finish()?;
    let call = find(&api, &call_id).await?;
    let Some(transcript) = leavings::transcript(&api.exchange.store, &call).await.map_err(unavailable)?
    else {
        let detail = format!("bots of the kind {} leave no transcript", call.bot_dialect);
        return Err(missing("no_transcript", &detail));
    };
    let written = |kind: &'static str, text: String| ([(CONTENT_TYPE, kind)], text).into_response();
    Ok(match format {
        Format::Json => Json(transcript).into_response(),
        Format::Text => written("text/plain; charset=utf-8", transcript.text()),
        Format::Captions => written("text/vtt; charset=utf-8", transcript.vtt()),
    })
}

impl Format {
    fn find(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::Json),
            "text" => Some(Self::Text),
            "vtt" => Some(Self::Captions),
            _ => None,
        }
    }
}
