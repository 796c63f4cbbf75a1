//! Orders: to record a call that is up, and to delete what was recorded.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use patchcord_core::call::RecordingOrder;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::api::Api;
use super::super::body::RawJson;
use super::super::calls::commands::{Accepted, Asked};
use super::super::openapi::{CommandProblems, KeyProblems};
use super::super::problem::{Problem, ProblemBody};
use super::unreadable;
use crate::recording::{CatalogueError, DeleteError, delete_call};

/// What is wanted of a recording.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordingWish {
    /// What to do.
    action: RecordingAction,
}

/// What can be wanted of a recording.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
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

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingsDeleted {
    /// The call.
    call_id: String,
    /// Files that were there.
    deleted: usize,
}

/// Start, stop, pause or resume the recording of a call
///
/// What the recording is not in a state for changes nothing.
#[utoipa::path(
    post,
    path = "/calls/{call_id}/recording",
    operation_id = "order_recording",
    tag = "recordings",
    params(
        ("call_id" = String, Path, description = "The call's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key is carried out once and answered alike, for 24 hours", pattern = "^[!-~]{1,255}$"),
    ),
    request_body = RecordingWish,
    responses((status = 202, description = "The call was told", body = Accepted), CommandProblems),
)]
pub async fn order(asked: Asked, body: RawJson) -> Result<Response, Problem> {
    let RecordingWish { action } = body.parse()?;
    let order = match action {
        RecordingAction::Start => RecordingOrder::Start,
        RecordingAction::Stop => RecordingOrder::Stop,
        RecordingAction::Pause => RecordingOrder::Pause,
        RecordingAction::Resume => RecordingOrder::Resume,
    };
    asked.carry_out("recording", &body, move |handle| async move { handle.record(order) }).await
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
