//! The thread that waits for the disk: syncs growing recordings, and gives finished ones their names for good. What the
//! disk refuses is tried again every second.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::catalogue::{Catalogue, FileNote};
use super::recorder::{JOBS_MAX, Ready, RecorderFigures};
use super::repair::repair_file;
use super::tape::GROWING;
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
    /// An earlier process left this one behind.
    Repair(PathBuf),
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
    catalogue: Arc<Catalogue>,
    figures: Arc<RecorderFigures>,
    tell: Box<dyn Fn(Ready) + Send>,
    /// What the disk refused, in order.
    refused: VecDeque<Job>,
    /// When that is tried again.
    due: Instant,
}

impl Disk {
    /// With the files of an earlier process that could not be put right yet.
    pub(super) fn new(
        catalogue: Arc<Catalogue>,
        figures: Arc<RecorderFigures>,
        tell: Box<dyn Fn(Ready) + Send>,
        unrepaired: Vec<PathBuf>,
    ) -> Self {
        let refused = unrepaired.into_iter().map(Job::Repair).collect();
        Self { catalogue, figures, tell, refused, due: Instant::now() + RETRY }
    }

    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = if self.refused.is_empty() {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                jobs.recv_timeout(self.due.saturating_duration_since(Instant::now()))
            };
            match job {
                Ok(job) => self.take(job),
                Err(RecvTimeoutError::Timeout) => {}
                // What is refused once more is found by the next start.
                Err(RecvTimeoutError::Disconnected) => return self.try_again(),
            }
            if !self.refused.is_empty() && Instant::now() >= self.due {
                self.try_again();
            }
        }
    }

    fn take(&mut self, job: Job) {
        if let Job::Sync(files) = &job {
            if let Err(error) = files.iter().try_for_each(|file| file.sync_data()) {
                self.fail(&error);
            }
            return;
        }
        // The parts of a call become known in their order.
        if !self.refused.is_empty() || !self.is_done(&job) {
            self.refused.push_back(job);
        }
        if self.refused.len() > JOBS_MAX {
            error!("a recording that cannot be made durable is left to the next start");
            self.refused.pop_front();
        }
    }

    fn try_again(&mut self) {
        for job in std::mem::take(&mut self.refused) {
            if !self.is_done(&job) {
                self.refused.push_back(job);
            }
        }
        if self.refused.is_empty() && self.figures.failing.swap(false, Ordering::Relaxed) {
            info!("recordings are made durable again");
        }
    }

    fn is_done(&mut self, job: &Job) -> bool {
        let done = match job {
            Job::Sync(_) => Ok(()),
            Job::BotPart { whole, bytes, finish } => self.copy(whole, *bytes, finish),
            Job::Finish { file, from, finish } => self.finish(file, from, finish),
            Job::Repair(path) => repair_file(&self.catalogue, path, &*self.tell),
        };
        if let Err(error) = &done {
            if error.kind() == io::ErrorKind::NotFound {
                error!("a recording that was to be made durable was taken away");
                return true;
            }
            self.due = Instant::now() + RETRY;
            self.fail(error);
        }
        done.is_ok()
    }

    fn fail(&self, error: &io::Error) {
        if !self.figures.failing.swap(true, Ordering::Relaxed) {
            error!(%error, "recordings cannot be made durable; they are tried again");
        }
    }

    fn copy(&self, whole: &File, bytes: u64, finish: &Finish) -> io::Result<()> {
        let growing = finish.to.with_added_extension(GROWING);
        let copied = copy_beginning(whole, bytes, (&growing, &finish.to));
        let noted = copied.and_then(|()| self.note(finish));
        if noted.is_err() {
            // Whichever there is: the disk has better use for the room.
            let _ = std::fs::remove_file(&growing);
            let _ = std::fs::remove_file(&finish.to);
        }
        noted
    }

    fn finish(&self, file: &File, from: &Path, finish: &Finish) -> io::Result<()> {
        file.sync_all()?;
        rename_noted((from, &finish.to), || self.note(finish))
    }

    fn note(&self, finish: &Finish) -> io::Result<()> {
        let Finish { call_id, note, .. } = finish;
        self.catalogue.add(call_id, note.clone()).map_err(io::Error::other)?;
        self.figures.finished.fetch_add(1, Ordering::Relaxed);
        self.figures.lost_ms.fetch_add(note.lost_ms, Ordering::Relaxed);
        if note.lost_ms > 0 {
            self.figures.damaged.fetch_add(1, Ordering::Relaxed);
            warn!(
                call_id = &**call_id,
                lost_ms = note.lost_ms,
                "a recording is damaged: the disk was too slow"
            );
        }
        info!(
            call_id = &**call_id,
            part = note.part.word(),
            duration_ms = note.duration_ms,
            bytes = note.bytes,
            "recording saved"
        );
        (self.tell)(Ready::of(&self.catalogue, call_id, note.clone()));
        Ok(())
    }
}

/// Gives a recording its name for good, if it comes to be noted under it: without a note nobody finds it.
pub(super) fn rename_noted(
    (from, to): (&Path, &Path),
    note: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    rename(from, to)?;
    let noted = note();
    if noted.is_err() {
        std::fs::rename(to, from)?;
    }
    noted
}

/// Copies the first bytes of a recording that grows on, and closes the copy.
fn copy_beginning(whole: &File, bytes: u64, (growing, to): (&Path, &Path)) -> io::Result<()> {
    let mut copy = File::options().read(true).write(true).create(true).truncate(true).open(growing)?;
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
    rename(growing, to)
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

/// How soon a disk that refused is asked again.
const RETRY: Duration = Duration::from_secs(1);
