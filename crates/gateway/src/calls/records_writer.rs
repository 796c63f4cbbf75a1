//! The thread that appends to the file of ended calls.
//!
//! It writes what waits in one go and syncs once. When the disk refuses, one line is logged, the lines wait, and it is
//! tried again every second. The file never keeps half a line, and no line twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use tracing::{error, info, warn};

/// What waits for the thread.
#[derive(Debug)]
pub(super) enum Entry {
    Line(String),
    Stop,
}

/// How it goes.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) written: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) failing: AtomicBool,
    /// Lines that are handed over and not on the disk.
    waiting: AtomicUsize,
}

impl Health {
    /// Takes one of the places of lines that wait, if one is free.
    pub(super) fn take_place(&self) -> bool {
        let one_more = |waiting: usize| (waiting < RECORDS_WAITING_MAX).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Whether lines wait that the disk refused, or that left no room for another.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// The thread's own.
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    health: Arc<Health>,
    /// What the disk has not taken yet.
    lines: Vec<u8>,
    count: usize,
    /// When the disk, which refused them, is asked again.
    due: Option<Instant>,
    /// Which file was whole up to which length, if what was begun behind it could not be taken back.
    torn: Option<(u64, u64)>,
}

impl Writer {
    /// Opens or creates the file, and cuts off a line that a crash cut short.
    pub(super) fn open(path: &Path, health: Arc<Health>) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = open_file(path)?;
        cut_torn_line(&file)?;
        Ok(Self { path: path.to_owned(), file, health, lines: Vec::new(), count: 0, due: None, torn: None })
    }

    /// Writes what comes until it is over.
    pub(super) fn run(mut self, entries: &Receiver<Entry>) {
        let mut is_over = false;
        while !is_over {
            let first = match self.due {
                Some(due) => entries.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => entries.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            is_over = matches!(first, Err(RecvTimeoutError::Disconnected));
            for entry in first.into_iter().chain(entries.try_iter()) {
                match entry {
                    Entry::Line(line) => {
                        self.lines.extend_from_slice(line.as_bytes());
                        self.lines.push(b'\n');
                        self.count += 1;
                    }
                    Entry::Stop => is_over = true,
                }
            }
            let is_due = self.due.is_none_or(|due| Instant::now() >= due);
            if self.count > 0 && (is_due || is_over) {
                self.append();
            }
        }
        if self.count > 0 {
            error!(
                lines = self.count,
                "call records were never written; the next start takes them from the database"
            );
        }
    }

    fn append(&mut self) {
        match self.try_append() {
            Ok(()) => {
                self.health.written.fetch_add(self.count as u64, Ordering::Relaxed);
                self.health.waiting.fetch_sub(self.count, Ordering::Relaxed);
                (self.lines, self.count, self.due) = (Vec::new(), 0, None);
                if self.health.failing.swap(false, Ordering::Relaxed) {
                    info!(path = %self.path.display(), "call records are written again");
                }
            }
            Err(error) => {
                self.due = Some(Instant::now() + RETRY);
                if !self.health.failing.swap(true, Ordering::Relaxed) {
                    error!(path = %self.path.display(), %error, "call records cannot be written; they wait");
                }
            }
        }
    }

    fn try_append(&mut self) -> io::Result<()> {
        if self.due.is_some() {
            // Somebody may have put another file or disk in the place of the one that refuses.
            self.file = open_file(&self.path)?;
        }
        let file = self.file.metadata()?;
        if let Some((_, whole)) =
            self.torn.filter(|(inode, whole)| *inode == file.ino() && *whole < file.len())
        {
            self.file.set_len(whole)?;
        }
        self.torn = None;
        let before = self.file.seek(SeekFrom::End(0))?;
        if !ends_line(&self.file, before)? {
            self.lines.insert(0, b'\n');
        }
        let written = self.file.write_all(&self.lines).and_then(|()| self.file.sync_data());
        if written.is_err() && self.file.set_len(before).is_err() {
            // Half a line would spoil the next one too.
            self.torn = Some((file.ino(), before));
        }
        if written.is_err() && self.lines.first() == Some(&b'\n') {
            self.lines.remove(0);
        }
        written
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).read(true).append(true).open(path)
}

fn ends_line(file: &File, length: u64) -> io::Result<bool> {
    let Some(last_at) = length.checked_sub(1) else { return Ok(true) };
    let mut last = [0];
    file.read_exact_at(&mut last, last_at)?;
    Ok(last == *b"\n")
}

/// Cuts off what a crash left of a last line; its record comes from the database again. A whole record without the end
/// of its line stays, as does what is too long to be one.
fn cut_torn_line(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TORN_BYTES_MAX);
    let mut end = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut end, from)?;
    let newline = end.iter().rposition(|byte| *byte == b'\n');
    if newline.is_none() && from > 0 {
        return Ok(());
    }
    let whole = newline.map_or(0, |at| at + 1);
    let rest = end.get(whole..).unwrap_or_default();
    if rest.is_empty() || serde_json::from_slice::<IgnoredAny>(rest).is_ok() {
        return Ok(());
    }
    warn!(bytes = rest.len(), "a line of calls.jsonl that a crash cut short is cut off");
    file.set_len(from + whole as u64)
}

/// Records that may wait for the disk.
pub(super) const RECORDS_WAITING_MAX: usize = 1_024;

/// How far back the beginning of a line that was cut short is looked for.
const TORN_BYTES_MAX: u64 = 1 << 20;

/// How soon a disk that refused is asked again.
const RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "records_writer_tests.rs"]
mod tests;
