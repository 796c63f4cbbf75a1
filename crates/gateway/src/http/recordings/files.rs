//! The files themselves: whole or a range of them, from the folder or by a link into the bucket.

use std::io::SeekFrom;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION,
    RANGE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use patchcord_core::vocabulary::{CallId, iso8601};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use utoipa::IntoResponses;

use super::super::api::Api;
use super::super::openapi::KeyProblems;
use super::super::problem::{Problem, ProblemBody};
use super::range::{Wanted, read};
use super::{find, unreadable};
use crate::recording::{FileNote, Place, RecordedCall};

/// A recording, or what keeps it from whoever asks for it.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it describes answers that are made elsewhere")]
pub enum FileAnswers {
    /// The file, `audio/wav` or `audio/ogg`
    #[response(status = 200, content_type = "audio/wav")]
    Whole(Vec<u8>),
    /// The range that was asked for
    #[response(status = 206, content_type = "audio/wav")]
    Range(Vec<u8>),
    /// The file is in a bucket; the address is good for some minutes
    #[response(status = 307)]
    Elsewhere,
    /// The call has no recording, or it is not finished
    #[response(status = 404, content_type = "application/problem+json")]
    NotThere(ProblemBody),
    /// The recording was deleted; `detail` says when and why
    #[response(status = 410, content_type = "application/problem+json")]
    Deleted(ProblemBody),
    /// The file has no such range
    #[response(status = 416, content_type = "application/problem+json")]
    NoRange(ProblemBody),
}

/// The recording of the bot's part
///
/// The call until a person had it; the whole call if nobody but the bot had. A signed link needs no key.
#[utoipa::path(
    get,
    path = "/calls/{call_id}/recording",
    operation_id = "get_recording",
    tag = "recordings",
    params(("call_id" = String, Path, description = "The call")),
    responses(FileAnswers, KeyProblems),
)]
pub async fn recording(State(api): State<Api>, Path(call_id): Path<String>, headers: HeaderMap) -> Response {
    serve(&api, call_id, &headers, |call| call.bot_part()).await.unwrap_or_else(IntoResponse::into_response)
}

/// The recording of the whole call
///
/// With what a person said after a transfer. A signed link needs no key.
#[utoipa::path(
    get,
    path = "/calls/{call_id}/full-recording",
    operation_id = "get_full_recording",
    tag = "recordings",
    params(("call_id" = String, Path, description = "The call")),
    responses(FileAnswers, KeyProblems),
)]
pub async fn full_recording(
    State(api): State<Api>,
    Path(call_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    serve(&api, call_id, &headers, |call| call.whole()).await.unwrap_or_else(IntoResponse::into_response)
}

/// One of the recordings of a call
///
/// The list of the call's recordings says which there are. A signed link needs no key.
#[utoipa::path(
    get,
    path = "/calls/{call_id}/recordings/{take}/{part}",
    operation_id = "get_recording_piece",
    tag = "recordings",
    params(
        ("call_id" = String, Path, description = "The call"),
        ("take" = String, Path, description = "Which recording of the call, from 1"),
        ("part" = String, Path, description = "`call`, `bot` or `voicemail`"),
    ),
    responses(FileAnswers, KeyProblems),
)]
pub async fn piece(
    State(api): State<Api>,
    Path((call_id, take, part)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let served = serve(&api, call_id, &headers, |call| call.piece(&take, &part)).await;
    served.unwrap_or_else(IntoResponse::into_response)
}

async fn serve(
    api: &Api,
    call_id: String,
    headers: &HeaderMap,
    choose: impl Fn(&RecordedCall) -> Option<&FileNote>,
) -> Result<Response, Problem> {
    let is_up = api.exchange.registry.find(&CallId::from_wire(&call_id)).is_some();
    let not_yet = || {
        Problem::new(StatusCode::NOT_FOUND, "not_finished", "the recording is not finished: the call is up")
            .with_retry_after(5)
    };
    let call = match find(api, call_id).await {
        Err(problem) if problem.code == "no_recording" && is_up => return Err(not_yet()),
        found => found?,
    };
    let note = choose(&call).cloned().ok_or_else(|| {
        if is_up {
            not_yet()
        } else {
            Problem::new(StatusCode::NOT_FOUND, "no_recording", "there is no such part")
        }
    })?;
    if let Some(deletion) = &note.deletion {
        let detail = format!("the recording was deleted at {}: {}", iso8601(deletion.at_ms), deletion.why);
        return Err(Problem::new(StatusCode::GONE, "recording_deleted", detail));
    }
    if note.place == Place::Bucket {
        let bucket = api.exchange.studio.bucket.as_ref();
        let link = bucket.ok_or_else(|| unreadable(&"its bucket is not configured"))?.link(&note.file);
        return Ok((StatusCode::TEMPORARY_REDIRECT, [(LOCATION, link), (CACHE_CONTROL, PRIVATE.to_owned())])
            .into_response());
    }
    send(api, &call.call_id, &note, headers).await
}

async fn send(api: &Api, call_id: &str, note: &FileNote, headers: &HeaderMap) -> Result<Response, Problem> {
    let path = api.exchange.studio.recorder.catalogue().path_of(note);
    let mut file = tokio::fs::File::open(&path).await.map_err(|error| unreadable(&error))?;
    let length = file.metadata().await.map_err(|error| unreadable(&error))?.len();
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let (status, first, last) = match read(range, length) {
        Wanted::Whole => (StatusCode::OK, 0, length.saturating_sub(1)),
        Wanted::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last),
        Wanted::Nothing => {
            let detail = format!("the file has {length} bytes");
            return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "no_such_range", detail));
        }
    };
    file.seek(SeekFrom::Start(first)).await.map_err(|error| unreadable(&error))?;
    let count = if length == 0 { 0 } else { last - first + 1 };
    let pieces = try_unfold(file.take(count), async |mut file| {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let length = file.read_buf(&mut piece).await?;
        std::io::Result::Ok((length > 0).then(|| (Bytes::from(piece), file)))
    });
    let extension = if note.format == "opus" { "ogg" } else { "wav" };
    let mut response = (
        status,
        [
            (CONTENT_TYPE, note.media_type().to_owned()),
            (CONTENT_LENGTH, count.to_string()),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (CACHE_CONTROL, PRIVATE.to_owned()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (CONTENT_DISPOSITION, format!("inline; filename=\"{call_id}.{extension}\"")),
        ],
        Body::from_stream(pieces),
    )
        .into_response();
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = format!("bytes {first}-{last}/{length}").parse()
    {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    Ok(response)
}

/// Nobody between keeps it.
const PRIVATE: &str = "private, no-store";
/// What is read of a file at once.
const PIECE_BYTES: usize = 64 << 10;
