//! One recording as the writing thread has it: what waits for its file, and the file.
//!
//! What the disk refuses waits here, and takes the room that the call has for it: beyond that the call itself hands
//! nothing over, and counts it as lost. So memory is bounded, and the time stays.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use patchcord_core::call::TapeKind;

use super::catalogue::{FileNote, Part};
use super::day_of;
use super::disk::{Finish, Job};
use super::sink::{NO_END, Take};
use super::tape_file::TapeFile;
use crate::config::RecordingFormat;
use crate::hex::hex;

/// A recording that is not finished.
pub(super) struct Tape {
    take: Arc<Take>,
    /// Nothing until the disk took the first sound.
    growing: Option<Growing>,
    pieces: VecDeque<Piece>,
    /// Samples of the pieces.
    held: u64,
    /// The silence at the very end is among the pieces.
    tail_is_here: bool,
    bot_part_is_cut: bool,
}

struct Growing {
    file: TapeFile,
    path: PathBuf,
    /// Its name for good.
    to: PathBuf,
    /// What its temporary name tells.
    told_lost_ms: u64,
}

struct Piece {
    /// Silence before it.
    gap: u64,
    samples: Vec<i16>,
}

/// How far a recording is.
pub(super) enum Progress {
    /// It grows; the file, if it holds more than it did.
    Grows(Option<Arc<File>>),
    /// There was more silence to write than fits into one step.
    Lags,
    /// It is over and handed on, or nobody wants to keep it.
    Over,
}

impl Tape {
    pub(super) fn new(take: Arc<Take>) -> Self {
        Self {
            take,
            growing: None,
            pieces: VecDeque::new(),
            held: 0,
            tail_is_here: false,
            bot_part_is_cut: false,
        }
    }

    /// When it began, ms since 1970.
    pub(super) fn started_ms(&self) -> u64 {
        self.take.started_ms
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) {
        self.take.is_over.store(true, Ordering::Release);
    }

    /// Whether all of it is here.
    pub(super) fn is_complete(&self) -> bool {
        self.take.is_over.load(Ordering::Acquire) && self.take.waiting.load(Ordering::Relaxed) == self.held
    }

    /// Takes what came, to be written with the next [`Tape::write`].
    pub(super) fn push(&mut self, gap: u64, samples: Vec<i16>) {
        self.held += samples.len() as u64;
        self.pieces.push_back(Piece { gap, samples });
    }

    /// Writes what waits, has the file say what it holds, and ends it if it is over.
    ///
    /// # Errors
    /// The system's; what was not written waits.
    pub(super) fn step(&mut self, folder: &Path, jobs: &mut VecDeque<Job>) -> io::Result<Progress> {
        if self.take.is_dropped.load(Ordering::Acquire) && self.is_complete() {
            return self
                .growing
                .as_ref()
                .map_or(Ok(()), |growing| std::fs::remove_file(&growing.path))
                .map(|()| Progress::Over);
        }
        self.tell_lost(0);
        let is_complete = self.is_complete();
        if is_complete && !std::mem::replace(&mut self.tail_is_here, true) {
            self.push(self.take.tail.load(Ordering::Relaxed), Vec::new());
        }
        if !self.write(folder, jobs)? {
            return Ok(Progress::Lags);
        }
        if is_complete {
            return self.finish(jobs);
        }
        let Some(growing) = &mut self.growing else { return Ok(Progress::Grows(None)) };
        growing.file.settle().map(Progress::Grows)
    }

    /// Writes what waits; gives the bot's part where it ends among that. Returns whether that was all.
    ///
    /// # Errors
    /// The system's; what was not written waits. [`io::ErrorKind::Unsupported`] if there is no such file.
    pub(super) fn write(&mut self, folder: &Path, jobs: &mut VecDeque<Job>) -> io::Result<bool> {
        if self.growing.is_none() {
            self.growing = Some(self.create(folder)?);
        }
        let Some(growing) = &mut self.growing else { return Ok(true) };
        let (take, file) = (&self.take, &mut growing.file);
        let channels = take.kind.channels();
        while let Some(piece) = self.pieces.front_mut() {
            let end = take.bot_part.load(Ordering::Relaxed);
            let until_end = end.saturating_sub(file.frames());
            if !self.bot_part_is_cut && end != NO_END && until_end < piece.gap {
                piece.gap -= until_end;
                self.pieces.push_front(Piece { gap: until_end, samples: Vec::new() });
                continue;
            }
            file.write_silence(&mut piece.gap)?;
            if piece.gap > 0 {
                return Ok(false);
            }
            let frames = (piece.samples.len() / channels) as u64;
            if !self.bot_part_is_cut && end != NO_END && end <= file.frames() + frames {
                let cut = usize::try_from(end.saturating_sub(file.frames())).unwrap_or(0) * channels;
                let rest = piece.samples.split_off(cut.min(piece.samples.len()));
                let written = file.write(&piece.samples);
                if written.is_ok() {
                    written_off(take, &mut self.held, piece.samples.len());
                    piece.samples = rest;
                } else {
                    piece.samples.extend(rest);
                }
                written?;
                if let Some(whole) = file.settle()? {
                    let size = (file.frames(), file.length());
                    let finish = finish(take, &growing.to, Part::Bot, size);
                    jobs.push_back(Job::BotPart { whole, bytes: size.1, finish });
                }
                self.bot_part_is_cut = true;
            }
            file.write(&piece.samples)?;
            written_off(take, &mut self.held, piece.samples.len());
            self.pieces.pop_front();
        }
        Ok(true)
    }

    /// Has the temporary name say what is lost, with so many samples that nobody will write: a process that is killed
    /// can tell it no other way, least of all on a full disk.
    pub(super) fn tell_lost(&mut self, unwritten: u64) {
        let frames = self.take.lost.load(Ordering::Relaxed) + unwritten / self.take.kind.channels() as u64;
        let lost_ms = ms(&self.take, frames);
        let Some(growing) = self.growing.as_mut().filter(|growing| growing.told_lost_ms != lost_ms) else {
            return;
        };
        let path = growing_path(&growing.to, self.take.started_ms, lost_ms);
        if std::fs::rename(&growing.path, &path).is_ok() {
            (growing.path, growing.told_lost_ms) = (path, lost_ms);
        }
    }

    /// Leaves it to the next start, which finds what the file holds.
    pub(super) fn leave(&mut self) {
        self.tell_lost(self.take.waiting.load(Ordering::Relaxed));
    }

    fn create(&self, folder: &Path) -> io::Result<Growing> {
        let take = &self.take;
        let folder = folder.join(day_of(&take.call_id));
        std::fs::create_dir_all(&folder)?;
        let to = folder.join(file_name(&take.call_id, take.number, self.part(), take.format)?);
        let path = growing_path(&to, take.started_ms, 0);
        let channels = take.kind.channels() as u16;
        let file = TapeFile::create(&path, take.format, take.sample_rate, channels)?;
        Ok(Growing { file, path, to, told_lost_ms: 0 })
    }

    fn finish(&mut self, jobs: &mut VecDeque<Job>) -> io::Result<Progress> {
        let part = self.part();
        let Some(Growing { file, path, to, .. }) = &mut self.growing else { return Ok(Progress::Over) };
        let whole = file.finish()?;
        let finish = finish(&self.take, to, part, (file.frames(), file.length()));
        jobs.push_back(Job::Finish { file: whole, from: path.clone(), finish });
        Ok(Progress::Over)
    }

    fn part(&self) -> Part {
        match self.take.kind {
            TapeKind::Call => Part::Whole,
            TapeKind::Voicemail => Part::Voicemail,
        }
    }
}

/// So many samples wait no more.
fn written_off(take: &Take, held: &mut u64, samples: usize) {
    *held -= samples as u64;
    take.waiting.fetch_sub(samples as u64, Ordering::Relaxed);
}

/// What is left to do for a file of `frames` and `bytes`; `to` is its name for good, or that of the whole.
fn finish(take: &Arc<Take>, to: &Path, part: Part, (frames, bytes): (u64, u64)) -> Finish {
    let name = to.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.replace(&format!("-{}-", Part::Whole.word()), &format!("-{}-", part.word()));
    Finish {
        to: to.with_file_name(&name),
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
            duration_ms: ms(take, frames),
            lost_ms: ms(take, take.lost.load(Ordering::Relaxed)),
            ..FileNote::default()
        },
    }
}

fn ms(take: &Take, frames: u64) -> u64 {
    frames * 1_000 / u64::from(take.sample_rate.max(1))
}

/// A name that nobody guesses.
fn file_name(call_id: &str, take: u32, part: Part, format: RecordingFormat) -> io::Result<String> {
    let mut random = [0; RANDOM_CHARS / 2];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    let random = hex(&random);
    Ok(format!("{call_id}-{take}-{}-{random}.{}", part.word(), format.extension()))
}

/// The temporary path of a file that began then and has lost so much: `….wav.1707204900000-1200.part`.
pub(super) fn growing_path(to: &Path, started_ms: u64, lost_ms: u64) -> PathBuf {
    let facts = if lost_ms == 0 { started_ms.to_string() } else { format!("{started_ms}-{lost_ms}") };
    to.with_added_extension(facts).with_added_extension(GROWING)
}

/// What a temporary path tells: the path for good, when it began if it says so, and what was lost.
pub(super) fn parse_growing_path(path: &Path) -> Option<(PathBuf, Option<u64>, u64)> {
    path.extension().filter(|end| *end == GROWING)?;
    let named = path.with_extension("");
    let facts = named.extension().and_then(|facts| facts.to_str()).unwrap_or_default();
    let (started, lost) = facts.split_once('-').unwrap_or((facts, "0"));
    match (started.parse(), lost.parse()) {
        (Ok(started_ms), Ok(lost_ms)) => Some((named.with_extension(""), Some(started_ms), lost_ms)),
        // Of a version that did not say it, or a copy of the bot's part.
        _ => Some((named, None, 0)),
    }
}

/// Characters of a name that nobody guesses.
pub(super) const RANDOM_CHARS: usize = 32;

/// The ending of files that grow.
pub(super) const GROWING: &str = "part";
