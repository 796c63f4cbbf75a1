//! The thread that waits for the disk: syncs growing recordings, and gives finished ones their names for good.

use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use tracing::{error, info, warn};

use super::catalogue::{Catalogue, FileNote};
use super::recorder::{Ready, RecorderFigures};
use super::{ogg, wav};
use crate::durable::rename;

/// What waits for the disk.
#[derive(Debug)]
pub(super) enum Job {
    /// These grow.
    Sync(Vec<Arc<File>>),
    /// The beginning of a recording that grows on is one of its own.
    BotPart { whole: Arc<File>, bytes: u64, finish: Finish },
    /// This one is over.
    Finish { file: Arc<File>, from: PathBuf, finish: Finish },
}

/// How a recording ends.
#[derive(Debug)]
pub(super) struct Finish {
    pub(super) to: PathBuf,
    pub(super) call_id: Arc<str>,
    pub(super) note: FileNote,
}

/// The thread's own.
pub(super) struct Disk {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) figures: Arc<RecorderFigures>,
    pub(super) tell: Box<dyn Fn(Ready) + Send>,
}

impl Disk {
    pub(super) fn run(self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let done = match job {
                Job::Sync(files) => files.iter().try_for_each(|file| file.sync_data()),
                Job::BotPart { whole, bytes, finish } => {
                    copy_beginning(&whole, bytes, &finish.to).and_then(|()| self.note(finish))
                }
                Job::Finish { file, from, finish } => {
                    file.sync_all().and_then(|()| rename(&from, &finish.to)).and_then(|()| self.note(finish))
                }
            };
            if let Err(error) = done
                && !self.figures.failing.swap(true, Ordering::Relaxed)
            {
                error!(%error, "recordings cannot be made durable");
            }
        }
    }

    fn note(&self, finish: Finish) -> io::Result<()> {
        let Finish { call_id, note, .. } = finish;
        self.catalogue.add(&call_id, note.clone()).map_err(io::Error::other)?;
        self.figures.finished.fetch_add(1, Ordering::Relaxed);
        self.figures.lost_ms.fetch_add(note.lost_ms, Ordering::Relaxed);
        if note.lost_ms > 0 {
            self.figures.damaged.fetch_add(1, Ordering::Relaxed);
            warn!(
                call_id = &*call_id,
                lost_ms = note.lost_ms,
                "a recording is damaged: the disk was too slow"
            );
        }
        info!(
            call_id = &*call_id,
            part = note.part.word(),
            duration_ms = note.duration_ms,
            bytes = note.bytes,
            "recording saved"
        );
        (self.tell)(Ready::of(&self.catalogue, &call_id, note));
        Ok(())
    }
}

/// Copies the first bytes of a recording that grows on, and closes the copy.
fn copy_beginning(whole: &File, bytes: u64, to: &Path) -> io::Result<()> {
    let growing = to.with_added_extension(super::recorder::GROWING);
    let mut copy = File::options().read(true).write(true).create(true).truncate(true).open(&growing)?;
    // Writers of the whole name their places, so the file's own does not matter to them.
    let mut from = whole.try_clone()?;
    from.rewind()?;
    io::copy(&mut io::Read::take(&mut from, bytes), &mut copy)?;
    if to.extension().is_some_and(|end| end == "wav") {
        wav::put_right(&copy)?;
    } else {
        close_ogg(&copy)?;
    }
    copy.sync_all()?;
    rename(&growing, to)
}

/// Cuts an Ogg file behind its last whole page and marks that as the last; gives its granule.
pub(super) fn close_ogg(file: &File) -> io::Result<u64> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    let Some((at, end, granule)) = ogg::last_whole_page(&bytes) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no Ogg file of ours"));
    };
    if let Some(page) = bytes.get_mut(at..end) {
        ogg::close(page);
        file.write_all_at(page, at as u64)?;
    }
    file.set_len(end as u64)?;
    Ok(granule)
}
