//! The thread that writes: one for all calls, fed through one bounded queue, never waiting for the disk to be sure.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use patchcord_core::call::TapeKind;
use tracing::{error, info};

use super::catalogue::{Catalogue, FileNote, Part};
use super::curves::Curves;
use super::disk::{Disk, Finish, Job};
use super::repair::repair;
use super::sink::{NO_END, Sink, Take};
use super::tape_file::TapeFile;
use super::{Folders, day_of};
use crate::config::RecordingFormat;
use crate::hex::hex;
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
        repair(&catalogue, &tell)?;
        let curves = Curves::new(folders.curves.clone());
        let disk = Disk { catalogue: catalogue.clone(), figures: figures.clone(), tell: Box::new(tell) };
        let writer = Writer {
            folder: folders.recordings.clone(),
            curves: curves.clone(),
            figures: figures.clone(),
            jobs,
            tapes: HashMap::new(),
            finishing: Vec::new(),
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
    /// The recordings that grow, by the address of what they share with their call.
    tapes: HashMap<usize, Tape>,
    /// What found no room in the other thread's queue.
    finishing: Vec<Job>,
}

struct Tape {
    take: Arc<Take>,
    /// Nothing until the first sound was written.
    file: Option<(TapeFile, PathBuf)>,
    /// What could not be written, as silence before what comes next.
    gap: u64,
    bot_part_is_cut: bool,
}

impl Writer {
    fn run(mut self, entries: &Receiver<Entry>) {
        let mut due = Instant::now() + STEP;
        loop {
            match entries.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Entry::Sound { take, gap, samples }) => self.sound(take, gap, &samples),
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
        self.tapes.values().for_each(|tape| tape.take.is_over.store(true, Ordering::Release));
        self.step();
        for job in std::mem::take(&mut self.finishing) {
            let _ = self.jobs.send(job);
        }
    }

    fn sound(&mut self, take: Arc<Take>, gap: u64, samples: &[i16]) {
        take.waiting.fetch_sub(samples.len() as u64, Ordering::Relaxed);
        let key = Arc::as_ptr(&take) as usize;
        let tape = self.tapes.entry(key).or_insert_with(|| Tape {
            take,
            file: None,
            gap: 0,
            bot_part_is_cut: false,
        });
        tape.gap += gap;
        let frames = samples.len() as u64 / tape.take.kind.channels() as u64;
        match tape.write(samples, &self.folder) {
            Ok(cut) => {
                if self.figures.failing.swap(false, Ordering::Relaxed) {
                    info!("recordings are written again");
                }
                self.finishing.extend(cut);
                self.hand_over();
            }
            Err(error) => {
                tape.gap += frames;
                tape.take.lost.fetch_add(frames, Ordering::Relaxed);
                self.fail(&error);
            }
        }
    }

    /// Has every file say what it holds, and ends those that are over.
    fn step(&mut self) {
        let mut changed: Vec<Arc<File>> = Vec::new();
        let mut over = Vec::new();
        let mut failed = None;
        for (key, tape) in &mut self.tapes {
            if tape.take.is_over.load(Ordering::Acquire) && tape.take.waiting.load(Ordering::Relaxed) == 0 {
                over.push(*key);
            } else if let Some((file, _)) = &mut tape.file {
                match file.settle() {
                    Ok(file) => changed.extend(file),
                    Err(error) => failed = Some(error),
                }
            }
        }
        if let Some(error) = failed {
            self.fail(&error);
        }
        for key in over {
            let Some(tape) = self.tapes.remove(&key) else { continue };
            match tape.finish() {
                Ok(job) => self.finishing.extend(job),
                Err(error) => self.fail(&error),
            }
        }
        self.hand_over();
        if !changed.is_empty() {
            // While the other thread waits for the disk there is nothing to add: the next step says more.
            let _ = self.jobs.try_send(Job::Sync(changed));
        }
    }

    fn hand_over(&mut self) {
        while let Some(job) = self.finishing.pop() {
            if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.jobs.try_send(job) {
                self.finishing.push(job);
                return;
            }
        }
    }

    fn fail(&self, error: &io::Error) {
        if !self.figures.failing.swap(true, Ordering::Relaxed) {
            error!(%error, "recordings cannot be written");
        }
    }
}

impl Tape {
    /// Writes what waits and `samples`; gives the bot's part where it ends among them.
    fn write(&mut self, samples: &[i16], folder: &std::path::Path) -> io::Result<Option<Job>> {
        if self.file.is_none() {
            self.file = Some(self.create(folder)?);
        }
        let (take, gap) = (&self.take, std::mem::take(&mut self.gap));
        let Some((file, path)) = &mut self.file else { return Ok(None) };
        let silent = file.write_silence(gap);
        if silent.is_err() {
            self.gap = gap;
        }
        silent?;
        let end = take.bot_part.load(Ordering::Relaxed);
        let channels = take.kind.channels();
        let before = file.frames();
        if self.bot_part_is_cut || end == NO_END || end > before + (samples.len() / channels) as u64 {
            return file.write(samples).map(|()| None);
        }
        self.bot_part_is_cut = true;
        let cut = usize::try_from(end.saturating_sub(before)).unwrap_or(0) * channels;
        let (bot, agent) = samples.split_at(cut.min(samples.len()));
        file.write(bot)?;
        let whole = file.settle()?;
        let job = whole.map(|whole| {
            let bytes = file.length();
            Job::BotPart { whole, bytes, finish: finish(take, path, Part::Bot, (file.frames(), bytes)) }
        });
        file.write(agent)?;
        Ok(job)
    }

    fn create(&self, folder: &std::path::Path) -> io::Result<(TapeFile, PathBuf)> {
        let take = &self.take;
        let folder = folder.join(day_of(&take.call_id));
        std::fs::create_dir_all(&folder)?;
        let part = match take.kind {
            TapeKind::Call => Part::Whole,
            TapeKind::Voicemail => Part::Voicemail,
        };
        let name = file_name(&take.call_id, take.number, part, take.format)?;
        let path = folder.join(format!("{name}.{GROWING}"));
        let channels = take.kind.channels() as u16;
        let file = TapeFile::create(&path, take.format, take.sample_rate, channels)?;
        Ok((file, path))
    }

    /// Ends the file; nothing if there never was a sound, or nobody wants to keep it.
    fn finish(mut self) -> io::Result<Option<Job>> {
        let Some((file, path)) = &mut self.file else { return Ok(None) };
        if self.take.is_dropped.load(Ordering::Acquire) {
            return std::fs::remove_file(path).map(|()| None);
        }
        file.write_silence(self.gap + self.take.tail.load(Ordering::Relaxed))?;
        let whole = file.finish()?;
        let part = match self.take.kind {
            TapeKind::Call => Part::Whole,
            TapeKind::Voicemail => Part::Voicemail,
        };
        let finish = finish(&self.take, path, part, (file.frames(), file.length()));
        Ok(Some(Job::Finish { file: whole, from: path.clone(), finish }))
    }
}

/// What is left to do for a file of `frames` and `bytes`; `growing` is its temporary path, or that of the whole.
fn finish(take: &Arc<Take>, growing: &std::path::Path, part: Part, (frames, bytes): (u64, u64)) -> Finish {
    let name = growing.with_extension("");
    let name = name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.replace(&format!("-{}-", Part::Whole.word()), &format!("-{}-", part.word()));
    let ms = |frames: u64| frames * 1_000 / u64::from(take.sample_rate.max(1));
    Finish {
        to: growing.with_file_name(&name),
        call_id: take.call_id.clone(),
        note: FileNote {
            file: format!("{}/{name}", day_of(&take.call_id)),
            take: take.number,
            part,
            format: take.format.word().to_owned(),
            sample_rate: take.sample_rate,
            channels: take.kind.channels() as u16,
            bytes,
            started_ms: take.started_ms,
            duration_ms: ms(frames),
            lost_ms: ms(take.lost.load(Ordering::Relaxed)),
            ..FileNote::default()
        },
    }
}

/// A name that nobody guesses.
fn file_name(call_id: &str, take: u32, part: Part, format: RecordingFormat) -> io::Result<String> {
    let mut random = [0; RANDOM_CHARS / 2];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let random = hex(&random);
    Ok(format!("{call_id}-{take}-{}-{random}.{}", part.word(), format.extension()))
}

/// Characters of a name that nobody guesses.
pub(super) const RANDOM_CHARS: usize = 32;

/// The ending of files that grow.
pub(super) const GROWING: &str = "part";

/// How often files are made to say what they hold, and the disk is waited for: with the 490 ms that a call holds back, a
/// power cut takes less than a second.
const STEP: Duration = Duration::from_millis(400);

/// Stretches of all calls that may wait for the recorder.
const ENTRIES_MAX: usize = 8_192;

/// Files that may wait for the disk.
const JOBS_MAX: usize = 1_024;
