//! Orders: to record a call that is up, and to delete what was recorded.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use patchcord_core::call::RecordingOrder;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::api::Api;
use super::super::openapi::KeyProblems;
use super::super::problem::{Problem, ProblemBody};
use super::{find_up, unreadable};
use crate::calls::CallOrder;
use crate::recording::{CatalogueError, DeleteError, delete_call};

/// What is wanted of a recording.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordingWish {
    /// What to do.
    action: RecordingAction,
}

/// What can be wanted of a recording.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordingAction {
    /// Record the call; it begins when a configured consent clip was heard.
    Start,
    /// The recording is over.
    Stop,
    /// Keep silence on both sides.
    Pause,
    /// Record both sides again.
    Resume,
}

/// What was passed on.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingOrdered {
    /// The call.
    call_id: String,
    /// What it was told.
    action: RecordingAction,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingsDeleted {
    /// The call.
    call_id: String,
    /// Files that were there.
    deleted: usize,
}

/// Start, stop, pause or resume the recording of a call
#[utoipa::path(
    post,
    path = "/calls/{call_id}/recording",
    operation_id = "order_recording",
    tag = "recordings",
    params(("call_id" = String, Path, description = "The call")),
    request_body = RecordingWish,
    responses(
        (status = 202, description = "The call was told; what it is not in a state for changes nothing", body = RecordingOrdered),
        (status = 400, description = "The body is wrong", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No call of this id is up", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 503, description = "The call has too much to do", body = ProblemBody,
            content_type = "application/problem+json"),
        KeyProblems,
    ),
)]
pub async fn order(
    State(api): State<Api>,
    Path(call_id): Path<String>,
    body: Bytes,
) -> Result<(StatusCode, Json<RecordingOrdered>), Problem> {
    let RecordingWish { action } = serde_json::from_slice(&body).map_err(|_| {
        let detail = "send {\"action\": \"start\"}, or stop, pause or resume";
        Problem::new(StatusCode::BAD_REQUEST, "bad_field", detail)
    })?;
    let handle = find_up(&api, &call_id)?;
    let order = match action {
        RecordingAction::Start => RecordingOrder::Start,
        RecordingAction::Stop => RecordingOrder::Stop,
        RecordingAction::Pause => RecordingOrder::Pause,
        RecordingAction::Resume => RecordingOrder::Resume,
    };
    handle.mailbox.try_send(CallOrder::Recording(order)).map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "call_busy", "the call has too much to do")
            .with_retry_after(1)
    })?;
    Ok((StatusCode::ACCEPTED, Json(RecordingOrdered { call_id, action })))
}

/// Delete the recordings of a call
///
/// What was deleted leaves its note, with the moment and the reason.
#[utoipa::path(
    delete,
    path = "/calls/{call_id}/recording",
    operation_id = "delete_recordings",
    tag = "recordings",
    params(("call_id" = String, Path, description = "The call")),
    responses(
        (status = 200, description = "They are gone", body = RecordingsDeleted),
        (status = 404, description = "The call has none", body = ProblemBody, content_type = "application/problem+json"),
        KeyProblems,
    ),
)]
pub async fn delete(
    State(api): State<Api>,
    Path(call_id): Path<String>,
) -> Result<Json<RecordingsDeleted>, Problem> {
    let studio = &api.exchange.studio;
    match delete_call(studio.recorder.catalogue(), studio.bucket.as_ref(), &call_id).await {
        Ok(Some(deleted)) => Ok(Json(RecordingsDeleted { call_id, deleted })),
        Ok(None) | Err(DeleteError::Catalogue(CatalogueError::NoCall)) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "no_recording", "this call has no recording"))
        }
        Err(error) => Err(unreadable(&error)),
    }
}
