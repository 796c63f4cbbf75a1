//! Moves finished recordings to the bucket, one after the other, however often that takes: what is not there yet stands
//! in the catalogue, so a restart goes on where the last process ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::catalogue::{Catalogue, FileNote, Place};
use super::retention::{DeleteError, delete_leftover};
use super::s3_client::Bucket;
use crate::tasks::blocking;

/// Moves recordings until `stop`; `wake` says that another one is ready.
pub async fn upload(catalogue: Arc<Catalogue>, bucket: Bucket, wake: Arc<Notify>, stop: CancellationToken) {
    let mut wait = FIRST_WAIT;
    loop {
        let woken = wake.notified();
        let failed = match move_all(&catalogue, &bucket, &stop).await {
            Ok(()) => {
                wait = FIRST_WAIT;
                false
            }
            Err(error) => {
                warn!(%error, "recordings cannot be moved to the bucket; they stay here and are tried again");
                true
            }
        };
        let again = async {
            if failed {
                tokio::time::sleep(wait).await;
            } else {
                woken.await;
            }
        };
        tokio::select! {
            () = again => {}
            () = stop.cancelled() => return,
        }
        if failed {
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

async fn move_all(
    catalogue: &Arc<Catalogue>,
    bucket: &Bucket,
    stop: &CancellationToken,
) -> Result<(), DeleteError> {
    let reader = catalogue.clone();
    let left = blocking(move || still_here(&reader)).await.unwrap_or_else(|| Ok(Vec::new()))?;
    let mut left_over = Ok(());
    for (call_id, note) in left {
        tokio::select! {
            moved = move_one(catalogue, bucket, &call_id, &note) => match moved {
                // Whoever may only write into the bucket goes on writing.
                Err(error) if note.place == Place::Leftover => left_over = Err(error),
                moved => moved?,
            },
            () = stop.cancelled() => return Ok(()),
        }
    }
    left_over
}

async fn move_one(
    catalogue: &Arc<Catalogue>,
    bucket: &Bucket,
    call_id: &str,
    note: &FileNote,
) -> Result<(), DeleteError> {
    if note.place == Place::Leftover {
        return delete_leftover(catalogue, bucket, call_id, &note.file).await;
    }
    let path = catalogue.path_of(note);
    if !tokio::fs::try_exists(&path).await? {
        return Ok(());
    }
    bucket.put(&note.file, &path, note.media_type()).await?;
    let (changing, id, file) = (catalogue.clone(), call_id.to_owned(), note.file.clone());
    let noted = blocking(move || {
        let mut is_deleted = false;
        changing.change_file(&id, &file, |note| {
            is_deleted = note.deletion.is_some();
            note.place = if is_deleted { Place::Leftover } else { Place::Bucket };
        })?;
        Ok::<_, DeleteError>(is_deleted)
    });
    if noted.await.ok_or(DeleteError::GivenUp)?? {
        return delete_leftover(catalogue, bucket, call_id, &note.file).await;
    }
    info!(call_id, bytes = note.bytes, "recording moved to the bucket");
    match tokio::fs::remove_file(&path).await {
        // Somebody deleted it in between, and in the bucket as well.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}

/// Recordings that stand in the folder, and what is left in the bucket of deleted ones; as many as go at a time.
fn still_here(catalogue: &Catalogue) -> io::Result<Vec<(String, FileNote)>> {
    let mut left = Vec::new();
    for call_id in catalogue.calls()? {
        let Ok(Some(call)) = catalogue.find(&call_id) else { continue };
        let due = call.files.into_iter().filter(|note| match note.place {
            Place::Folder => note.deletion.is_none(),
            Place::Bucket => false,
            Place::Leftover => true,
        });
        left.extend(due.map(|note| (call_id.clone(), note)));
        if left.len() >= AT_ONCE_MAX {
            break;
        }
    }
    Ok(left)
}

impl FileNote {
    /// The file's media type (RFC 6838).
    pub fn media_type(&self) -> &'static str {
        if self.format == "opus" { "audio/ogg" } else { "audio/wav" }
    }
}

/// Recordings that are moved before it is looked which are left.
const AT_ONCE_MAX: usize = 1_000;

/// How long a store that refuses is left alone.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
