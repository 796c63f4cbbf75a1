//! Moves finished recordings to the bucket, one after the other, however often that takes: what is not there yet stands
//! in the catalogue, so a restart goes on where the last process ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::catalogue::{Catalogue, FileNote, Place};
use super::s3_client::{Bucket, S3Error};
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
) -> Result<(), S3Error> {
    let reader = catalogue.clone();
    let left = blocking(move || still_here(&reader)).await.unwrap_or_else(|| Ok(Vec::new()))?;
    for (call_id, note) in left {
        tokio::select! {
            moved = move_one(catalogue, bucket, &call_id, &note) => moved?,
            () = stop.cancelled() => return Ok(()),
        }
        info!(call_id, bytes = note.bytes, "recording moved to the bucket");
    }
    Ok(())
}

async fn move_one(
    catalogue: &Arc<Catalogue>,
    bucket: &Bucket,
    call_id: &str,
    note: &FileNote,
) -> Result<(), S3Error> {
    let path = catalogue.path_of(note);
    if !tokio::fs::try_exists(&path).await? {
        return Ok(());
    }
    bucket.put(&note.file, &path, note.media_type()).await?;
    let (catalogue, call_id, file) = (catalogue.clone(), call_id.to_owned(), note.file.clone());
    let noted =
        blocking(move || catalogue.change_file(&call_id, &file, |note| note.place = Place::Bucket)).await;
    noted.ok_or_else(|| io::Error::other("the notes could not be changed"))?.map_err(io::Error::other)?;
    tokio::fs::remove_file(&path).await?;
    Ok(())
}

/// Recordings that stand in the folder, as many as are moved in one go.
fn still_here(catalogue: &Catalogue) -> io::Result<Vec<(String, FileNote)>> {
    let mut left = Vec::new();
    for call_id in catalogue.calls()? {
        let Ok(Some(call)) = catalogue.find(&call_id) else { continue };
        let here =
            call.files.into_iter().filter(|note| note.place == Place::Folder && note.deletion.is_none());
        left.extend(here.map(|note| (call_id.clone(), note)));
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
