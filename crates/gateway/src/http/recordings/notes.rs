//! What is known of a call's recordings, and its loudness curve.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::api::Api;
use super::super::openapi::KeyProblems;
use super::super::problem::{Problem, ProblemBody};
use super::{find, unreadable};
use crate::recording::{FileNote, Place};
use crate::tasks::blocking;

/// The recordings of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingList {
    /// The call.
    call_id: String,
    /// Each file, deleted ones included.
    data: Vec<ShownRecording>,
}

/// A recording.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recording)]
pub struct ShownRecording {
    /// Which recording of the call it belongs to, from 1.
    take: u32,
    /// `call` (all of it), `bot` (until a person had the call) or `voicemail` (the caller alone).
    part: &'static str,
    /// Where it can be fetched with a key.
    #[schema(example = "/calls/call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3/recordings/1/call")]
    path: String,
    /// `wav` or `opus`.
    format: String,
    /// Samples per second of each channel.
    sample_rate: u32,
    /// Two: the caller left, what the caller heard right. One: the caller.
    channels: u16,
    /// Its length in bytes.
    bytes: u64,
    /// When it began, ms since 1970.
    started_ms: u64,
    /// How long it plays.
    duration_ms: u64,
    /// What of it is silence because the disk was too slow.
    lost_ms: u64,
    /// The process that wrote it was killed.
    is_cut: bool,
    /// `folder` or `bucket`.
    place: &'static str,
    /// When it was deleted, ms since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at_ms: Option<u64>,
    /// Why: `retention` or `asked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_why: Option<String>,
}

/// The loudness curve of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct Loudness {
    /// The call.
    call_id: String,
    /// The length of one step.
    step_ms: u64,
    /// The peak of what the caller said, step by step from the first sound on: 0 is silence, 127 full scale, a decibel a step.
    caller: Vec<u8>,
    /// The same of what the caller heard.
    heard: Vec<u8>,
}

/// The recordings of a call
#[utoipa::path(
    get,
    path = "/calls/{call_id}/recordings",
    operation_id = "list_recordings",
    tag = "recordings",
    params(("call_id" = String, Path, description = "The call")),
    responses(
        (status = 200, description = "Every file, deleted ones included", body = RecordingList),
        (status = 404, description = "The call has none", body = ProblemBody, content_type = "application/problem+json"),
        KeyProblems,
    ),
)]
pub async fn recordings(
    State(api): State<Api>,
    Path(call_id): Path<String>,
) -> Result<Json<RecordingList>, Problem> {
    let call = find(&api, call_id).await?;
    let data = call.files.into_iter().map(|file| ShownRecording::of(&call.call_id, file)).collect();
    Ok(Json(RecordingList { call_id: call.call_id, data }))
}

/// The loudness curve of a call
///
/// Every call has one, recorded or not. While the call is up, the last seconds are missing.
#[utoipa::path(
    get,
    path = "/calls/{call_id}/loudness",
    operation_id = "get_loudness",
    tag = "recordings",
    params(("call_id" = String, Path, description = "The call")),
    responses(
        (status = 200, description = "The curve", body = Loudness),
        (status = 404, description = "There is none", body = ProblemBody, content_type = "application/problem+json"),
        KeyProblems,
    ),
)]
pub async fn loudness(
    State(api): State<Api>,
    Path(call_id): Path<String>,
) -> Result<Json<Loudness>, Problem> {
    let (curves, id) = (api.exchange.studio.recorder.curves().clone(), call_id.clone());
    let levels = match blocking(move || curves.read(&id)).await {
        Some(Ok(Some(levels))) => levels,
        Some(Ok(None)) => {
            return Err(Problem::new(StatusCode::NOT_FOUND, "no_curve", "no sound of this call is kept"));
        }
        Some(Err(error)) => return Err(unreadable(&error)),
        None => return Err(unreadable(&"the reader has failed")),
    };
    let side = |side: usize| levels.iter().skip(side).step_by(2).copied().collect();
    let step_ms = u64::try_from(patchcord_core::call::LOUDNESS_STEP.as_millis()).unwrap_or(0);
    Ok(Json(Loudness { call_id, step_ms, caller: side(0), heard: side(1) }))
}

impl ShownRecording {
    /// When it began, ms since 1970.
    pub fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// What is noted of a file of the call.
    pub fn of(call_id: &str, note: FileNote) -> Self {
        let (deleted_at_ms, deleted_why) =
            note.deletion.map(|deletion| (deletion.at_ms, deletion.why)).unzip();
        Self {
            take: note.take,
            part: note.part.word(),
            path: format!("/calls/{call_id}/recordings/{}/{}", note.take, note.part.word()),
            format: note.format,
            sample_rate: note.sample_rate,
            channels: note.channels,
            bytes: note.bytes,
            started_ms: note.started_ms,
            duration_ms: note.duration_ms,
            lost_ms: note.lost_ms,
            is_cut: note.is_cut,
            place: match note.place {
                Place::Folder => "folder",
                Place::Bucket | Place::Leftover => "bucket",
            },
            deleted_at_ms,
            deleted_why,
        }
    }
}
