//! The end of recordings: after the time for which they are kept, or because somebody asks for it. What was deleted
//! leaves its note, with the moment and the reason.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::catalogue::{Catalogue, CatalogueError, Deletion, FileNote, Place, RecordedCall};
use super::curves::Curves;
use super::day_of_ms;
use super::s3_client::{Bucket, S3Error};
use crate::clock::unix_ms;
use crate::tasks::blocking;

/// Why a recording was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// What is known of it.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The bucket that holds it.
    #[error(transparent)]
    Bucket(#[from] S3Error),
    /// It is in a bucket that this process does not know.
    #[error("the recording is in a bucket that is not configured")]
    NoBucket,
    /// The file.
    #[error("the file: {0}")]
    Io(#[from] std::io::Error),
    /// The work was given up.
    #[error("the work was given up")]
    GivenUp,
}

/// Deletes what is older than `keep` says, once an hour, until `stop`.
pub async fn retain(
    catalogue: Arc<Catalogue>,
    curves: Curves,
    bucket: Option<Bucket>,
    keep: impl Fn() -> Option<Duration> + Send,
    stop: CancellationToken,
) {
    loop {
        if let Some(keep) = keep() {
            let before_ms = unix_ms().saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
            if let Err(error) = delete_before(&catalogue, &curves, bucket.as_ref(), before_ms).await {
                warn!(%error, "old recordings cannot be deleted; they are tried again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Deletes what ended before `before_ms`; one that cannot be deleted does not keep the others.
pub(super) async fn delete_before(
    catalogue: &Arc<Catalogue>,
    curves: &Curves,
    bucket: Option<&Bucket>,
    before_ms: u64,
) -> Result<usize, DeleteError> {
    let (day, curves) = (day_of_ms(before_ms), curves.clone());
    let (reader, last_day) = (catalogue.clone(), day.clone());
    let old = blocking(move || {
        curves.delete_before(&last_day)?;
        let calls = reader.calls()?;
        let is_old = |call: &String| super::day_of(call) <= last_day;
        let read = calls.into_iter().filter(is_old).filter_map(|call| reader.find(&call).ok().flatten());
        std::io::Result::Ok(read.collect::<Vec<_>>())
    });
    let old = old.await.ok_or(DeleteError::GivenUp)??;
    let (mut deleted, mut calls_left, mut first_error) = (0, 0_usize, None);
    for call in old {
        let ended = |note: &FileNote| note.started_ms + note.duration_ms < before_ms;
        let (files, failed) = delete_files(catalogue, bucket, &call, "retention", ended).await;
        deleted += files;
        calls_left += usize::from(failed.is_some());
        first_error = first_error.or(failed);
    }
    if deleted > 0 {
        info!(deleted, "old recordings deleted");
    }
    if let Some(error) = first_error {
        warn!(calls_left, %error, "old recordings of some calls cannot be deleted; they are tried again");
    }
    Ok(deleted)
}

/// Deletes the recordings of a call; says how many, or nothing if it has none.
///
/// # Errors
/// [`DeleteError`]; what was deleted before stays deleted and noted.
pub async fn delete_call(
    catalogue: &Arc<Catalogue>,
    bucket: Option<&Bucket>,
    call_id: &str,
) -> Result<Option<usize>, DeleteError> {
    let Some(call) = catalogue.find(call_id)? else { return Ok(None) };
    match delete_files(catalogue, bucket, &call, "asked", |_| true).await {
        (deleted, None) => Ok(Some(deleted)),
        (_, Some(error)) => Err(error),
    }
}

/// Deletes in the bucket what arrived there after it was deleted here.
pub(super) async fn delete_leftover(
    catalogue: &Arc<Catalogue>,
    bucket: &Bucket,
    call_id: &str,
    file: &str,
) -> Result<(), DeleteError> {
    bucket.delete(file).await?;
    let (catalogue, call_id, file) = (catalogue.clone(), call_id.to_owned(), file.to_owned());
    let noted =
        blocking(move || catalogue.change_file(&call_id, &file, |note| note.place = Place::Bucket)).await;
    noted.ok_or(DeleteError::GivenUp)?.map_err(DeleteError::from)
}

/// Says how many it deleted, and why it could not delete another one.
pub(super) async fn delete_files(
    catalogue: &Arc<Catalogue>,
    bucket: Option<&Bucket>,
    call: &RecordedCall,
    why: &'static str,
    wanted: impl Fn(&FileNote) -> bool,
) -> (usize, Option<DeleteError>) {
    let (mut deleted, mut first_error) = (0, None);
    for note in call.files.iter().filter(|note| note.deletion.is_none() && wanted(note)) {
        match delete_file(catalogue, bucket, &call.call_id, note, why).await {
            Ok(()) => deleted += 1,
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    (deleted, first_error)
}

async fn delete_file(
    catalogue: &Arc<Catalogue>,
    bucket: Option<&Bucket>,
    call_id: &str,
    note: &FileNote,
    why: &'static str,
) -> Result<(), DeleteError> {
    if note.place == Place::Bucket {
        bucket.ok_or(DeleteError::NoBucket)?.delete(&note.file).await?;
    }
    let (changing, known, id) = (catalogue.clone(), note.clone(), call_id.to_owned());
    let done = blocking(move || {
        // A crash between the file and its note leaves a note of nothing, which is deleted again.
        let path = changing.path_of(&known);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DeleteError::Io(error));
            }
            Ok(()) => crate::durable::sync_folder_of(&path)?,
            Err(_) => {}
        }
        let deletion = Deletion { at_ms: unix_ms(), why: why.to_owned() };
        let mut has_moved = false;
        changing.change_file(&id, &known.file, |note| {
            has_moved = note.place != known.place;
            if has_moved {
                note.place = Place::Leftover;
            }
            note.deletion = Some(deletion);
        })?;
        Ok(has_moved)
    });
    let has_moved = done.await.ok_or(DeleteError::GivenUp)??;
    match bucket {
        Some(bucket) if has_moved => delete_leftover(catalogue, bucket, call_id, &note.file).await,
        _ => Ok(()),
    }
}

/// How often it is looked for what is old.
const INTERVAL: Duration = Duration::from_secs(3_600);
