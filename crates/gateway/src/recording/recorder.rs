//! The thread that writes: one for all calls, fed through one bounded queue, never waiting for the disk to be sure.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::Folders;
use super::catalogue::{Catalogue, FileNote, Part};
use super::curves::Curves;
use super::disk::{Disk, Job};
use super::repair::repair;
use super::sink::{Sink, Take};
use super::tape::{Progress, Tape};
use crate::config::RecordingFormat;
use crate::tasks::spawn_thread;

/// The way to the recorder; clones share it.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: SyncSender<Entry>,
    pub(super) figures: Arc<RecorderFigures>,
    catalogue: Arc<Catalogue>,
    curves: Curves,
}

/// What is counted of recordings.
#[derive(Debug, Default)]
pub struct RecorderFigures {
    /// Recordings that are durable.
    pub finished: AtomicU64,
    /// Of them, those in which something became silence.
    pub damaged: AtomicU64,
    /// Milliseconds that became silence because they could not be written in time.
    pub lost_ms: AtomicU64,
    /// Recordings beyond those that one call may have.
    pub refused: AtomicU64,
    /// Stretches of loudness curves that could not be written.
    pub levels_lost: AtomicU64,
    /// The disk refused the last write.
    pub failing: AtomicBool,
}

/// The threads, joined at the very end.
#[derive(Debug)]
pub struct RecorderThreads {
    queue: SyncSender<Entry>,
    threads: Vec<JoinHandle<()>>,
}

/// A recording that is durable.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Whose it is.
    pub call_id: Arc<str>,
    /// What it is.
    pub note: FileNote,
    /// The bot's part is a file of its own: this one holds an agent's as well.
    pub is_second_part: bool,
    /// No earlier recording of the call has this part.
    pub is_first: bool,
}

impl Ready {
    pub(super) fn of(catalogue: &Catalogue, call_id: &str, note: FileNote) -> Self {
        let call = catalogue.find(call_id).ok().flatten();
        let files = call.as_ref().map(|call| call.files.as_slice()).unwrap_or_default();
        let is_first = !files.iter().any(|file| file.part == note.part && file.take < note.take);
        let is_second_part = note.part == Part::Whole && call.is_some_and(|call| call.has_agent_part());
        Self { call_id: call_id.into(), note, is_second_part, is_first }
    }
}

/// What waits for the recorder.
#[derive(Debug)]
pub(super) enum Entry {
    Sound { take: Arc<Take>, gap: u64, samples: Vec<i16> },
    Levels { call_id: Arc<str>, at: u64, levels: Vec<u8> },
    Stop,
}

impl Recorder {
    /// Makes the folders, puts right what an earlier process left behind, and starts the threads. `tell` hears of every
    /// recording that is durable, on a thread where it may wait.
    ///
    /// # Errors
    /// The system's, with the path in its text.
    pub fn open(
        folders: &Folders,
        tell: impl Fn(Ready) + Send + 'static,
    ) -> io::Result<(Self, RecorderThreads)> {
        for folder in [&folders.recordings, &folders.catalogue, &folders.curves] {
            std::fs::create_dir_all(folder)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        }
        let (queue, entries) = sync_channel(ENTRIES_MAX);
        let (jobs, waiting_jobs) = sync_channel(JOBS_MAX);
        let figures = Arc::<RecorderFigures>::default();
        let catalogue = Arc::new(Catalogue::new(folders));
        let unrepaired = repair(&catalogue, &tell)?;
        let curves = Curves::new(folders.curves.clone());
        let disk = Disk::new(catalogue.clone(), figures.clone(), Box::new(tell), unrepaired);
        let writer = Writer {
            folder: folders.recordings.clone(),
            curves: curves.clone(),
            figures: figures.clone(),
            jobs,
            tapes: HashMap::new(),
            finishing: VecDeque::new(),
        };
        let threads = vec![
            spawn_thread("recorder", move || writer.run(&entries))?,
            spawn_thread("recorder-disk", move || disk.run(&waiting_jobs))?,
        ];
        Ok((Self { queue: queue.clone(), figures, catalogue, curves }, RecorderThreads { queue, threads }))
    }

    /// A call's end of its recordings.
    pub fn sink(&self, call_id: &str, format: RecordingFormat) -> Sink {
        Sink::new(self.clone(), call_id, format)
    }

    /// What is known of recordings.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// The loudness curves.
    pub fn curves(&self) -> &Curves {
        &self.curves
    }

    /// What was counted.
    pub fn figures(&self) -> &RecorderFigures {
        &self.figures
    }

    pub(super) fn offer(&self, entry: Entry) -> Result<(), TrySendError<Entry>> {
        self.queue.try_send(entry)
    }
}

impl RecorderThreads {
    /// Writes and finishes what is left, and ends.
    pub fn join(self) {
        let _ = self.queue.send(Entry::Stop);
        for thread in self.threads {
            // A thread that panicked has logged it.
            let _ = thread.join();
        }
    }
}

struct Writer {
    folder: PathBuf,
    curves: Curves,
    figures: Arc<RecorderFigures>,
    jobs: SyncSender<Job>,
    /// The recordings that are not finished, by the address of what they share with their call.
    tapes: HashMap<usize, Tape>,
    /// What found no room in the other thread's queue.
    finishing: VecDeque<Job>,
}

impl Writer {
    fn run(mut self, entries: &Receiver<Entry>) {
        let mut due = Instant::now() + STEP;
        loop {
            match entries.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Entry::Sound { take, gap, samples }) => self.sound(take, gap, samples),
                Ok(Entry::Levels { call_id, at, levels }) => {
                    if let Err(error) = self.curves.write(&call_id, at, &levels) {
                        self.figures.levels_lost.fetch_add(1, Ordering::Relaxed);
                        self.fail(&error);
                    }
                }
                Ok(Entry::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= due {
                due = Instant::now() + STEP;
                self.step();
            }
        }
        self.tapes.values().for_each(Tape::end);
        while self.step() {}
        // The next start finds what the disk does not take now.
        self.tapes.values_mut().for_each(Tape::leave);
        for job in std::mem::take(&mut self.finishing) {
            let _ = self.jobs.send(job);
        }
    }

    fn sound(&mut self, take: Arc<Take>, gap: u64, samples: Vec<i16>) {
        let key = Arc::as_ptr(&take) as usize;
        let tape = self.tapes.entry(key).or_insert_with(|| Tape::new(take));
        tape.push(gap, samples);
        match tape.write(&self.folder, &mut self.finishing) {
            Ok(_) => self.hand_over(),
            Err(error) => self.fail(&error),
        }
    }

    /// Tries again what failed, has every file say what it holds, and ends those that are over. Returns whether some have
    /// more silence to write than fits into one step.
    fn step(&mut self) -> bool {
        let mut changed: Vec<Arc<File>> = Vec::new();
        let (mut over, mut unfinished, mut lags) = (Vec::new(), Vec::new(), false);
        let mut failed = None;
        for (key, tape) in &mut self.tapes {
            match tape.step(&self.folder, &mut self.finishing) {
                Ok(Progress::Grows(file)) => changed.extend(file),
                Ok(Progress::Lags) => lags = true,
                Ok(Progress::Over) => over.push(*key),
                Err(error) => {
                    if tape.is_complete() {
                        // No waiting brings about a form that does not exist.
                        let list = if error.kind() == io::ErrorKind::Unsupported {
                            &mut over
                        } else {
                            &mut unfinished
                        };
                        list.push(*key);
                    }
                    failed = Some(error);
                }
            }
        }
        let is_written = !changed.is_empty() || !over.is_empty();
        match failed {
            Some(error) => self.fail(&error),
            None if is_written && self.figures.failing.swap(false, Ordering::Relaxed) => {
                info!("recordings are written again");
            }
            None => {}
        }
        over.extend(self.given_up(unfinished));
        over.iter().for_each(|key| drop(self.tapes.remove(key)));
        self.hand_over();
        if !changed.is_empty() {
            // While the other thread waits for the disk there is nothing to add: the next step says more.
            let _ = self.jobs.try_send(Job::Sync(changed));
        }
        lags
    }

    /// Of the recordings that are over and cannot be finished, those for which there is no room: the oldest.
    fn given_up(&mut self, mut unfinished: Vec<usize>) -> Vec<usize> {
        let too_many = unfinished.len().saturating_sub(UNFINISHED_MAX);
        if too_many > 0 {
            unfinished.sort_by_key(|key| self.tapes.get(key).map(Tape::started_ms));
            error!(recordings = too_many, "recordings that cannot be finished are left to the next start");
        }
        unfinished.truncate(too_many);
        for key in &unfinished {
            self.tapes.get_mut(key).into_iter().for_each(Tape::leave);
        }
        unfinished
    }

    fn hand_over(&mut self) {
        while let Some(job) = self.finishing.pop_front() {
            if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.jobs.try_send(job) {
                self.finishing.push_front(job);
                return;
            }
        }
    }

    fn fail(&self, error: &io::Error) {
        if !self.figures.failing.swap(true, Ordering::Relaxed) {
            error!(%error, "recordings cannot be written; they are tried again");
        }
    }
}

/// How often files are made to say what they hold, and the disk is waited for: with the 490 ms that a call holds back, a
/// power cut takes less than a second.
const STEP: Duration = Duration::from_millis(400);

/// Stretches of all calls that may wait for the recorder.
const ENTRIES_MAX: usize = 8_192;

/// Files that may wait for the disk.
pub(super) const JOBS_MAX: usize = 1_024;

/// Recordings that are over and that the disk does not take, that are tried again: as many as there may be calls.
const UNFINISHED_MAX: usize = 1_000;
