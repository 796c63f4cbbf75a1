//! `/calls/{call_id}/fields` and `/extraction`: what is known from a call, and having it looked for once more.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use patchcord_core::vocabulary::iso8601;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{CALL_ID_BYTES_MAX, CallName, find, unavailable};
use crate::clock::unix_ms;
use crate::http::api::Api;
use crate::http::openapi::{CallProblems, CommandProblems, ReadProblems};
use crate::http::problem::Problem;
use crate::http::query::Parameters;
use crate::jobs::agent_of;
use crate::leavings::learned;
use crate::store::{ExtractionKind, ExtractionState, StoredExtraction};

/// What is known from a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallFields)]
pub struct FieldsView {
    /// The call's id.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    call_id: String,
    /// `none` where nothing is extracted, `live` while the call is up, and then of the whole call: `pending`, `done` or
    /// `dead`.
    #[schema(example = "done")]
    state: &'static str,
    /// Every field, `null` where nothing is known of it.
    #[schema(value_type = Object, example = json!({"name": "Gulshan Mehta", "model": null}))]
    fields: Map<String, Value>,
    /// Why a field is `null`, by its name.
    #[schema(value_type = Object, example = json!({"model": "not said"}))]
    reasons: Map<String, Value>,
    /// Attempts at the extraction so far.
    attempts: u32,
    /// What went wrong last.
    #[schema(example = "the service answered 503")]
    last_error: Option<String>,
    /// When it was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_attempt_at: Option<String>,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
}

/// A page of extractions.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExtractionPage {
    /// Of the newest calls first.
    data: Vec<ExtractionView>,
    /// Where the next page begins; none on the last one.
    next_cursor: Option<String>,
}

/// The extraction of a whole call, without what was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Extraction)]
pub struct ExtractionView {
    /// The call's id.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    call_id: String,
    /// `pending`, `done`, `dead`, or `off` where its bot has nothing extracted.
    #[schema(example = "dead")]
    state: &'static str,
    /// Attempts so far.
    attempts: u32,
    /// What went wrong last.
    #[schema(example = "the service answered 401")]
    last_error: Option<String>,
    /// When it was tried last.
    #[schema(format = DateTime)]
    last_attempt_at: Option<String>,
    /// When it is tried next.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
}

/// What was taken from a call's conversation
#[utoipa::path(
    get,
    path = "/calls/{call_id}/fields",
    operation_id = "show_call_fields",
    tag = "calls",
    params(("call_id" = String, Path, description = "The call's id")),
    responses((status = 200, description = "What is known, and why the rest is not", body = FieldsView), CallProblems),
)]
pub async fn show(State(api): State<Api>, CallName(call_id): CallName) -> Result<Json<FieldsView>, Problem> {
    let call = find(&api, &call_id).await?;
    let (whole, live) = tokio::try_join!(
        api.exchange.store.find_extraction(&call.call_id, ExtractionKind::Final),
        api.exchange.store.find_extraction(&call.call_id, ExtractionKind::Live),
    )
    .map_err(unavailable)?;
    let known = api.exchange.store.fields_of(&call.call_id).await.map_err(unavailable)?;
    let (fields, reasons, _) = learned(known.as_ref());
    let state = match (&whole, &live) {
        (Some(whole), _) if whole.state != ExtractionState::Off => whole.state.word(),
        (None, Some(live)) if live.state != ExtractionState::Off => "live",
        _ => "none",
    };
    let shown = whole.or(live);
    let time = |at: fn(&StoredExtraction) -> Option<u64>| shown.as_ref().and_then(at).map(iso8601);
    Ok(Json(FieldsView {
        call_id: call.call_id,
        state,
        fields,
        reasons,
        attempts: shown.as_ref().map_or(0, |shown| shown.attempts),
        last_attempt_at: time(|shown| shown.last_at_ms),
        next_attempt_at: time(StoredExtraction::next_attempt_ms),
        last_error: shown.and_then(|shown| shown.last_error),
    }))
}

/// Take the fields from a call's conversation once more
///
/// For a call that is over. When it is done, the call's data is written anew and its agent's webhook gets a new message
/// with an id of its own.
#[utoipa::path(
    post,
    path = "/calls/{call_id}/extraction",
    operation_id = "extract_call",
    tag = "calls",
    params(("call_id" = String, Path, description = "The call's id")),
    responses((status = 202, description = "It is under way", body = ExtractionView), CommandProblems),
)]
pub async fn extract(
    State(api): State<Api>,
    CallName(call_id): CallName,
) -> Result<(StatusCode, Json<ExtractionView>), Problem> {
    let call = find(&api, &call_id).await?;
    let store = &api.exchange.store;
    let conflict = |code, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail);
    if call.ended_ms.is_none() {
        return Err(conflict("call_up", "the call is still up: the whole is extracted when it is over"));
    }
    let config = api.exchange.config();
    if agent_of(&config, &call).is_none_or(|agent| agent.extract.is_none()) {
        return Err(conflict("nothing_to_extract", "its bot has no `extract` in the configuration"));
    }
    let is_ordered = store.extract_again(&call.call_id, unix_ms()).await.map_err(unavailable)?;
    let extraction =
        store.find_extraction(&call.call_id, ExtractionKind::Final).await.map_err(unavailable)?;
    match extraction {
        Some(extraction) if is_ordered => Ok((StatusCode::ACCEPTED, Json(ExtractionView::of(extraction)))),
        Some(_) => Err(conflict("extraction_under_way", "an extraction of this call is under way")),
        None => Err(conflict("nothing_to_extract", "this call left no conversation")),
    }
}

/// Extractions of whole calls, newest first
#[utoipa::path(
    get,
    path = "/extractions",
    operation_id = "list_extractions",
    tag = "calls",
    params(
        ("state" = Option<String>, Query, description = "In that state", pattern = "^(pending|done|dead|off)$"),
        ("limit" = Option<u32>, Query, description = "Extractions of a page, 50 if not given", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", min_length = 1, max_length = 128),
    ),
    responses((status = 200, description = "A page of extractions", body = ExtractionPage), ReadProblems),
)]
pub async fn list(State(api): State<Api>, mut query: Parameters) -> Result<Json<ExtractionPage>, Problem> {
    let state = query.parsed("state", "one of pending, done, dead, off", ExtractionState::find)?;
    let limit = query.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE);
    let behind = query.text("cursor", CALL_ID_BYTES_MAX)?;
    query.finish()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // One more than asked for says whether there is another page.
    let listed = api.exchange.store.list_extractions(state, behind.as_deref(), limit + 1).await;
    let mut extractions = listed.map_err(unavailable)?;
    let is_more = extractions.len() > limit;
    extractions.truncate(limit);
    let next_cursor = extractions.last().filter(|_| is_more).map(|last| last.call_id.clone());
    Ok(Json(ExtractionPage { data: extractions.into_iter().map(ExtractionView::of).collect(), next_cursor }))
}

impl ExtractionView {
    fn of(extraction: StoredExtraction) -> Self {
        Self {
            state: extraction.state.word(),
            attempts: extraction.attempts,
            last_attempt_at: extraction.last_at_ms.map(iso8601),
            next_attempt_at: extraction.next_attempt_ms().map(iso8601),
            last_error: extraction.last_error,
            call_id: extraction.call_id,
        }
    }
}

/// Extractions of a page where nobody says how many.
const PAGE: u64 = 50;
/// Extractions of a page.
const PAGE_MAX: u64 = 200;
