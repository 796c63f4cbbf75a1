//! `GET /calls/{call_id}` and what is behind it: transfers, events, the record, the ladder.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::{CallView, transfers};
use super::{CallName, find, unavailable};
use crate::calls::wire_log;
use crate::clock::unix_ms;
use crate::http::api::Api;
use crate::http::events::EventView;
use crate::http::openapi::CallProblems;
use crate::http::problem::Problem;
use crate::jobs::LegFields;
use crate::leavings::call_file;
use crate::tasks::blocking;

/// The legs of a call's transfers.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransferLegs {
    /// The call's id.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    call_id: String,
    /// How many legs there are.
    count: usize,
    /// Who answered and was joined to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<String>,
    /// That leg's own id at the carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_telephony_call_id: Option<String>,
    /// The legs, in the order in which they were dialled.
    transfer_legs: Vec<LegFields>,
}

/// The events of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// In their order.
    data: Vec<EventView>,
}

/// A call
#[utoipa::path(
    get,
    path = "/calls/{call_id}",
    operation_id = "show_call",
    tag = "calls",
    params(("call_id" = String, Path, description = "The call's id")),
    responses((status = 200, description = "The call as it stands", body = CallView), CallProblems),
)]
pub async fn show(State(api): State<Api>, CallName(call_id): CallName) -> Result<Json<CallView>, Problem> {
    let mut view = CallView::of(find(&api, &call_id).await?, &api.exchange.studio.call_links, unix_ms());
    let catalogue = api.exchange.studio.recorder.catalogue().clone();
    let noted = blocking(move || catalogue.find(&call_id)).await;
    if let Some(Ok(Some(noted))) = noted {
        let deleted = noted.files.iter().map(|note| note.deletion.as_ref().map(|deletion| deletion.at_ms));
        if let Some(at_ms) = deleted.collect::<Option<Vec<_>>>().and_then(|at| at.into_iter().max()) {
            view.recordings_are_deleted(at_ms);
        }
    }
    Ok(Json(view))
}

/// The legs of a call's transfers, while they go on and after
#[utoipa::path(
    get,
    path = "/calls/{call_id}/transfer-legs",
    operation_id = "show_transfer_legs",
    tag = "calls",
    params(("call_id" = String, Path, description = "The call's id")),
    responses((status = 200, description = "The legs as they stand", body = TransferLegs), CallProblems),
)]
pub async fn transfer_legs(
    State(api): State<Api>,
    CallName(call_id): CallName,
) -> Result<Json<TransferLegs>, Problem> {
    let call = find(&api, &call_id).await?;
    let fields = transfers(&call, unix_ms()).unwrap_or_default();
    Ok(Json(TransferLegs {
        call_id: call.call_id,
        count: fields.transfer_legs.len(),
        answered_by: fields.transfer_answered_by,
        answered_telephony_call_id: fields.answered_telephony_call_id,
        transfer_legs: fields.transfer_legs,
    }))
}

/// What was told of a call
#[utoipa::path(
    get,
    path = "/calls/{call_id}/events",
    operation_id = "list_call_events",
    tag = "calls",
    params(("call_id" = String, Path, description = "The call's id")),
    responses((status = 200, description = "Its events, in their order", body = EventList), CallProblems),
)]
pub async fn events(State(api): State<Api>, CallName(call_id): CallName) -> Result<Json<EventList>, Problem> {
    let call = find(&api, &call_id).await?;
    let events = api.exchange.store.events_of(&call.call_id).await.map_err(unavailable)?;
    Ok(Json(EventList { data: events.into_iter().map(EventView::of).collect() }))
}

/// The record of a call that is over
///
/// As it stands in `calls.jsonl`; of a call with an agent, its call file: the same fields, and what the conversation was.
#[utoipa::path(
    get,
    path = "/calls/{call_id}/record",
    operation_id = "show_record",
    tag = "calls",
    params(("call_id" = String, Path, description = "The call's id")),
    responses(
        (status = 200, description = "Its record: see records.md, agent-calls.md", body = Object, content_type = "application/json"),
        CallProblems,
    ),
)]
pub async fn record(State(api): State<Api>, CallName(call_id): CallName) -> Result<Response, Problem> {
    let call = find(&api, &call_id).await?;
    let Some(line) = call.record.clone() else {
        return Err(missing("no_record", "a call has a record once it is over"));
    };
    let record = call_file(&api.exchange.store, &call).await.map_err(unavailable)?.unwrap_or(line);
    Ok(([(CONTENT_TYPE, "application/json")], record).into_response())
}

/// The messages of a call's wires as a picture
#[utoipa::path(
    get,
    path = "/calls/{call_id}/ladder",
    operation_id = "show_ladder",
    tag = "calls",
    params(("call_id" = String, Path, description = "The call's id")),
    responses(
        (status = 200, description = "Phone, gateway and bot as three lines, each message an arrow", body = String,
            content_type = "text/plain"),
        CallProblems,
    ),
)]
pub async fn ladder(State(api): State<Api>, CallName(call_id): CallName) -> Result<Response, Problem> {
    let call = find(&api, &call_id).await?;
    let data_dir = api.exchange.config().server.data_dir.clone();
    let drawn =
        blocking(move || wire_log::read(&data_dir, &call.call_id).ok().map(|lines| wire_log::ladder(&lines)));
    match drawn.await.flatten() {
        Some(picture) => Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], picture).into_response()),
        None => {
            let detail = "this call left no messages: [log] wire was off, or newer calls took their place";
            Err(missing("no_wire_log", detail))
        }
    }
}

pub(super) fn missing(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, code, detail)
}
