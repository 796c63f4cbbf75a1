//! Who writes the files: one task that takes what calls hand over, a few at a time, and knows when they are durable.
//!
//! Nothing is lost with the queue: what is to be written, for the first time or anew, stands in the store, and the desk
//! looks there at the start, and again while something has failed or found no room.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span};

use super::call_file::CallFile;
use super::names::Folders;
use super::{Found, Transcript, find, ucid};
use crate::clock::unix_ms;
use crate::durable::replace;
use crate::store::{Beside, CallFileNames, Store, StoreError};
use crate::tasks::blocking;

/// Where calls hand over what they leave; clones share it.
#[derive(Debug, Clone)]
pub struct Leavings {
    queue: mpsc::Sender<Job>,
    open: Arc<watch::Sender<usize>>,
    figures: Arc<LeavingsFigures>,
}

/// What is counted of the files.
#[derive(Debug, Default)]
pub struct LeavingsFigures {
    /// Calls whose two files are durable.
    pub written: AtomicU64,
    /// Attempts at them that failed; each is made again.
    pub failed: AtomicU64,
    /// The last attempt failed.
    pub failing: AtomicBool,
    /// Something found no room in the queue: it is found in the store.
    overdue: AtomicBool,
}

/// The task's side.
#[derive(Debug)]
pub struct Desk {
    store: Store,
    folders: Arc<Folders>,
    jobs: mpsc::Receiver<Job>,
    figures: Arc<LeavingsFigures>,
    backlog: VecDeque<Job>,
    /// What came for a call whose files are being written.
    behind: HashMap<Box<str>, Vec<Job>>,
    busy: HashSet<Box<str>>,
    sweep_at: Option<Instant>,
}

#[derive(Debug)]
struct Job {
    call_id: Box<str>,
    kind: Kind,
    done: Option<oneshot::Sender<()>>,
    _open: Option<Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Both files, for the first time.
    Leave,
    /// The call file anew.
    Rewrite,
}

/// Something that was handed over and is not over.
#[derive(Debug)]
struct Open(Arc<watch::Sender<usize>>);

enum Outcome {
    Wrote { job: Job, result: Result<(), Trouble> },
    Swept(Result<Due, StoreError>),
}

/// What the store says is still to be written.
struct Due {
    first: Vec<String>,
    anew: Vec<String>,
}

type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Why files were not written.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Disk(#[from] io::Error),
    #[error("the store does not know the call, or not its end")]
    NoCall,
    #[error("the writer has failed")]
    Panicked,
}

impl Leavings {
    /// The two sides, for files below `data_dir`.
    pub fn new(data_dir: &Path, store: Store) -> (Self, Desk) {
        let (queue, jobs) = mpsc::channel(JOBS_WAITING_MAX);
        let figures = Arc::<LeavingsFigures>::default();
        let open = Arc::new(watch::Sender::new(0));
        let desk = Desk {
            store,
            folders: Folders::of(data_dir).into(),
            jobs,
            figures: figures.clone(),
            backlog: VecDeque::new(),
            behind: HashMap::new(),
            busy: HashSet::new(),
            sweep_at: Some(Instant::now()),
        };
        (Self { queue, open, figures }, desk)
    }

    /// Has the files of a call written whose end was just told to the store. The receiver resolves when both are
    /// durable, or with an error when that could not be done at once.
    pub fn leave(&self, call_id: &str) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        self.offer(call_id, Kind::Leave, Some(done));
        is_done
    }

    /// As [`Leavings::rewrite_call_file`]; the receiver resolves when it is durable, or with an error when that could not be
    /// done at once.
    pub fn rewritten(&self, call_id: &str) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        self.offer(call_id, Kind::Rewrite, Some(done));
        is_done
    }

    /// Has the call file written anew, atomically, from what the store holds: after an extraction is final, or a
    /// delivery over. A call whose files are not there yet gets what is new with them.
    pub fn rewrite_call_file(&self, call_id: &str) {
        self.offer(call_id, Kind::Rewrite, None);
    }

    /// Resolves when everything that was handed over is written or has failed.
    pub async fn idle(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    /// What was counted.
    pub fn figures(&self) -> &LeavingsFigures {
        &self.figures
    }

    fn offer(&self, call_id: &str, kind: Kind, done: Option<oneshot::Sender<()>>) {
        self.open.send_modify(|open| *open += 1);
        let open = Some(Open(self.open.clone()));
        let job = Job { call_id: call_id.into(), kind, done, _open: open };
        if self.queue.try_send(job).is_err() {
            self.figures.overdue.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Desk {
    /// Writes what is handed over, and what an earlier process left unwritten, until `stop` and then what waits.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut under_way = FuturesUnordered::<Work>::new();
        let (mut is_stopping, mut is_closed) = (false, false);
        loop {
            while under_way.len() < UNDER_WAY_MAX
                && let Some(job) = self.backlog.pop_front()
            {
                under_way.extend(self.begin(job));
            }
            let has_room = self.backlog.len() < UNDER_WAY_MAX;
            let sweep_at = self.sweep_at;
            tokio::select! {
                biased;
                Some(outcome) = under_way.next() => self.finish(outcome),
                job = self.jobs.recv(), if has_room && !is_closed => match job {
                    Some(job) => self.backlog.push_back(job),
                    None => is_closed = true,
                },
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    self.sweep_at = None;
                    self.jobs.close();
                }
                () = wait_until(sweep_at), if sweep_at.is_some() => {
                    self.sweep_at = None;
                    self.figures.overdue.store(false, Ordering::Relaxed);
                    let store = self.store.clone();
                    under_way.push(Box::pin(async move { Outcome::Swept(sweep(&store).await) }));
                }
            }
            if is_closed && under_way.is_empty() && self.backlog.is_empty() {
                return;
            }
            if !is_stopping && self.sweep_at.is_none() && self.figures.overdue.load(Ordering::Relaxed) {
                self.sweep_at = Some(Instant::now() + SWEEP_PAUSE);
            }
        }
    }

    /// Begins a job, unless one for the same call is under way: then it stands behind that one.
    fn begin(&mut self, job: Job) -> Option<Work> {
        if !self.busy.insert(job.call_id.clone()) {
            let behind = self.behind.entry(job.call_id.clone()).or_default();
            // A file that is to be written anew is so once, however often it is asked for, unless somebody waits for it.
            if job.done.is_some() || behind.iter().all(|other| other.kind != job.kind) {
                behind.push(job);
            }
            return None;
        }
        let (store, folders) = (self.store.clone(), self.folders.clone());
        let span = info_span!("call", call_id = %job.call_id);
        let work = async move {
            let result = write(&store, &folders, &job.call_id, job.kind).await;
            Outcome::Wrote { job, result }
        };
        Some(Box::pin(work.instrument(span)))
    }

    fn finish(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Wrote { job, result } => {
                self.busy.remove(&job.call_id);
                self.backlog.extend(self.behind.remove(&job.call_id).into_iter().flatten());
                if self.count(&job, result) {
                    job.over();
                }
            }
            Outcome::Swept(Ok(Due { first, anew })) => {
                if first.len() == SWEPT_MAX || anew.len() == SWEPT_MAX {
                    self.sweep_at = Some(Instant::now() + SWEEP_PAUSE);
                }
                self.backlog.extend(first.into_iter().map(|call_id| Job::found(call_id, Kind::Leave)));
                self.backlog.extend(anew.into_iter().map(|call_id| Job::found(call_id, Kind::Rewrite)));
            }
            Outcome::Swept(Err(error)) => self.fail(&error),
        }
    }

    /// Returns whether it is done.
    fn count(&mut self, job: &Job, result: Result<(), Trouble>) -> bool {
        match &result {
            Ok(()) => {
                self.figures.written.fetch_add(u64::from(job.kind == Kind::Leave), Ordering::Relaxed);
                if self.figures.failing.swap(false, Ordering::Relaxed) {
                    info!("files of calls are written again");
                }
            }
            Err(Trouble::NoCall) => {
                error!(call_id = %job.call_id, error = %Trouble::NoCall, "a call leaves no files");
            }
            Err(trouble) => self.fail(trouble),
        }
        result.is_ok()
    }

    fn fail(&mut self, error: &dyn std::fmt::Display) {
        self.figures.failed.fetch_add(1, Ordering::Relaxed);
        self.figures.overdue.store(true, Ordering::Relaxed);
        if !self.figures.failing.swap(true, Ordering::Relaxed) {
            error!(%error, "files of calls cannot be written; they are tried again");
        }
    }
}

impl Job {
    /// One that the store told of: nobody waits for it.
    fn found(call_id: String, kind: Kind) -> Self {
        Self { call_id: call_id.into(), kind, done: None, _open: None }
    }

    fn over(self) {
        if let Some(done) = self.done {
            // The call may have lost patience.
            let _ = done.send(());
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

async fn sweep(store: &Store) -> Result<Due, StoreError> {
    Ok(Due { first: store.files_due(SWEPT_MAX).await?, anew: store.files_stale(SWEPT_MAX).await? })
}

/// Writes the files of a call from what the store holds.
async fn write(store: &Store, folders: &Arc<Folders>, call_id: &str, kind: Kind) -> Result<(), Trouble> {
    if kind == Kind::Leave {
        info!("saving transcript");
        // It is committed behind everything that the call told.
        store.add_acknowledged(call_id, Beside::LeavesFiles, unix_ms()).await?;
    }
    // Before what they tell is read: what changes behind this is not taken for written.
    let Some(files) = store.files_of(call_id).await? else {
        return if kind == Kind::Leave { Err(Trouble::NoCall) } else { Ok(()) };
    };
    let (is_written, is_stale) = (files.written_ms.is_some(), files.changes > files.changes_written);
    if kind == Kind::Leave && is_written && !is_stale {
        return Ok(());
    }
    let found = find(store, call_id).await?.ok_or(Trouble::NoCall)?;
    let (names, is_first) = match (files.names, kind) {
        (Some(names), kind) => (names, kind == Kind::Leave && !is_written),
        (None, Kind::Leave) => (name(store, folders, &found).await?, true),
        // Its files are to come.
        (None, Kind::Rewrite) => return Ok(()),
    };
    let found = Found { names: Some(names.clone()), ..found };
    folders.keep(&names);
    let place = folders.clone();
    let (call_id, kept) = (call_id.to_owned(), names.clone());
    let written = blocking(move || put(&place, &kept, &found, is_first)).await.ok_or(Trouble::Panicked)?;
    written?;
    folders.filled(&names);
    if is_first {
        store.add(&call_id, Beside::FilesWritten(files.changes), unix_ms());
        info!(file = %names.transcript, "transcript saved");
    } else if is_stale {
        store.add(&call_id, Beside::FileRewritten(files.changes), unix_ms());
    }
    Ok(())
}

/// Chooses the names of a call's files, for good: a process that dies here leaves them to the next one.
async fn name(store: &Store, folders: &Arc<Folders>, found: &Found) -> Result<CallFileNames, Trouble> {
    let call_id = found.call.call_id.clone();
    let ended_ms = found.call.ended_ms.ok_or(Trouble::NoCall)?;
    let (place, ucid) = (folders.clone(), ucid(&found.call).to_owned());
    let names = blocking(move || place.choose(&ucid, ended_ms)).await.ok_or(Trouble::Panicked)?;
    if store.add_acknowledged(&call_id, Beside::FilesNamed(names.clone()), unix_ms()).await? {
        Ok(names)
    } else {
        Err(Trouble::NoCall)
    }
}

/// Makes the files durable: the transcript first, so that a call file never names one that is not there.
fn put(folders: &Folders, names: &CallFileNames, found: &Found, is_first: bool) -> io::Result<()> {
    let growing = |folder: &Path, name: &str| folder.join(format!(".{name}.part"));
    if is_first {
        std::fs::create_dir_all(&folders.transcripts)?;
        std::fs::create_dir_all(&folders.calls)?;
        let transcript = Transcript::of(&found.call, found.utterances.clone());
        let json = serde_json::to_string_pretty(&transcript).map_err(io::Error::other)?;
        let growing = growing(&folders.transcripts, &names.transcript);
        replace(&growing, &folders.transcript(names), json.as_bytes())?;
    }
    let json = CallFile::of(found).json();
    replace(&growing(&folders.calls, &names.record), &folders.call(names), json.as_bytes())
}

/// Calls whose files wait to be written: one more is found in the store later.
const JOBS_WAITING_MAX: usize = 1_024;

/// Calls whose files are written at a time.
const UNDER_WAY_MAX: usize = 8;

/// Calls that one look into the store finds.
const SWEPT_MAX: usize = 256;

/// Between two looks into the store while something has failed.
const SWEEP_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Database;

    #[tokio::test]
    async fn behind_a_call_that_is_being_written_stands_one_job_of_each_kind() {
        let folder = std::env::temp_dir().join(format!("patchcord-desk-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let (store, thread) =
            Store::open(&Database::in_folder(&folder), "here", |_, _, _| String::new()).await.unwrap();
        let (_leavings, mut desk) = Leavings::new(&folder, store.clone());
        let found = |kind| Job::found("call_1".to_owned(), kind);
        assert!(desk.begin(found(Kind::Rewrite)).is_some());
        for kind in [Kind::Leave, Kind::Rewrite, Kind::Rewrite, Kind::Leave] {
            assert!(desk.begin(found(kind)).is_none());
        }
        let behind: Vec<_> = desk.behind["call_1"].iter().map(|job| job.kind).collect();
        assert_eq!(behind, [Kind::Leave, Kind::Rewrite]);
        store.close_readers().await;
        drop((store, desk));
        tokio::task::spawn_blocking(|| thread.join()).await.unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
