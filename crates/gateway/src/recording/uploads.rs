//! Moves finished recordings to the bucket, one after the other, however often that takes: what is not there yet stands
//! in the catalogue, so a restart goes on where the last process ended.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::catalogue::{Catalogue, Deletion, FileNote, Place};
use super::retention::{DeleteError, delete_leftover};
use super::s3_client::Bucket;
use crate::clock::unix_ms;
use crate::tasks::blocking;

/// Moves recordings until `stop`; `wake` says that another one is ready.
pub async fn upload(catalogue: Arc<Catalogue>, bucket: Bucket, wake: Arc<Notify>, stop: CancellationToken) {
    let mut wait = FIRST_WAIT;
    let mut troubled = HashSet::new();
    loop {
        let woken = wake.notified();
        let failed = match move_all(&catalogue, &bucket, &mut troubled, &stop).await {
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
    troubled: &mut HashSet<String>,
    stop: &CancellationToken,
) -> Result<(), DeleteError> {
    let reader = catalogue.clone();
    let mut left = blocking(move || still_here(&reader)).await.unwrap_or_else(|| Ok(Vec::new()))?;
    // What could not be moved the last time holds up nothing that can.
    left.sort_by_key(|(_, note)| troubled.contains(&note.file));
    troubled.clear();
    let (mut outcome, mut in_a_row) = (Ok(()), 0);
    for (call_id, note) in left {
        tokio::select! {
            moved = move_one(catalogue, bucket, &call_id, &note) => match moved {
                Ok(()) => in_a_row = 0,
                Err(error) => {
                    outcome = Err(error);
                    // Whoever may only write into the bucket goes on writing.
                    in_a_row += u32::from(note.place != Place::Leftover);
                    troubled.insert(note.file);
                }
            },
            () = stop.cancelled() => return Ok(()),
        }
        if in_a_row >= FAILURES_IN_A_ROW_MAX {
            break;
        }
    }
    outcome
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
        return note_vanished(catalogue, call_id, &note.file).await;
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

/// Somebody took the file away by hand: it is not looked for again.
async fn note_vanished(catalogue: &Arc<Catalogue>, call_id: &str, file: &str) -> Result<(), DeleteError> {
    let (changing, id, file) = (catalogue.clone(), call_id.to_owned(), file.to_owned());
    let noted = blocking(move || {
        changing.change_file(&id, &file, |note| {
            note.deletion.get_or_insert_with(|| Deletion { at_ms: unix_ms(), why: "vanished".to_owned() });
        })
    });
    noted.await.ok_or(DeleteError::GivenUp)??;
    warn!(call_id, "a recording is not in its folder any more");
    Ok(())
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

/// Recordings in a row that could not be moved before the bucket itself is taken for the cause.
const FAILURES_IN_A_ROW_MAX: u32 = 8;

/// How long a store that refuses is left alone.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
