//! The thread of the wire log: gives SIP messages to their calls, redacts, appends, keeps the folder within bounds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::Value;
use tracing::error;

use super::lines::{EXTENSION, Flow, WireLine, WireName};
use super::redaction::{self, Redacted};
use super::sip_redaction;
use super::{ENTRY_BYTES, LINES_WAITING_MAX, Tally};

/// What is handed to the thread.
pub enum Entry {
    /// A message of a call's WebSocket.
    Message(Arc<str>, Captured),
    /// A SIP message under its Call-ID.
    Sip(Box<str>, Captured),
    /// The SIP messages of that Call-ID belong to that call.
    Bind {
        /// The Call-ID.
        sip: Box<str>,
        /// The call's file.
        call: Arc<str>,
    },
    /// No more will come.
    Stop,
}

/// A message as it was, and the circumstances.
pub struct Captured {
    pub unix_ms: u64,
    pub wire: WireName,
    pub flow: Flow,
    pub peer: Box<str>,
    pub message: Message,
}

/// The bytes of a message, as far as they are wanted.
pub enum Message {
    Sip(Bytes),
    Text(Box<str>),
    /// Its length.
    Binary(usize),
}

/// The thread's own.
pub struct Writer {
    folder: PathBuf,
    tally: Arc<Tally>,
    /// Which call a Call-ID belongs to, oldest first.
    bindings: VecDeque<(Box<str>, Arc<str>)>,
    /// SIP messages that no call has claimed, oldest Call-ID first.
    unclaimed: VecDeque<(Box<str>, Vec<WireLine>)>,
    /// What they have on the wire.
    unclaimed_bytes: usize,
    /// Calls that began while others had all the room.
    left_out: BTreeSet<Arc<str>>,
    is_failing: bool,
}

/// What one look at the queue brought, by call.
type Batch = BTreeMap<Arc<str>, (Vec<u8>, u64)>;

impl Writer {
    pub fn new(folder: PathBuf, tally: Arc<Tally>) -> Self {
        Self {
            folder,
            tally,
            bindings: VecDeque::new(),
            unclaimed: VecDeque::new(),
            unclaimed_bytes: 0,
            left_out: BTreeSet::new(),
            is_failing: false,
        }
    }

    pub fn run(mut self, entries: &Receiver<Entry>) {
        let mut batch = Batch::new();
        while let Ok(first) = entries.recv() {
            let mut stop = false;
            for entry in std::iter::once(first).chain(entries.try_iter().take(LINES_WAITING_MAX)) {
                stop |= matches!(entry, Entry::Stop);
                self.take(entry, &mut batch);
            }
            for (call, (lines, count)) in std::mem::take(&mut batch) {
                self.append(&call, &lines, count);
            }
            if stop {
                return;
            }
        }
    }

    fn take(&mut self, entry: Entry, batch: &mut Batch) {
        let weight = ENTRY_BYTES
            + match &entry {
                Entry::Message(_, captured) | Entry::Sip(_, captured) => captured.message.weight(),
                Entry::Bind { sip, .. } => sip.len(),
                Entry::Stop => return,
            };
        self.tally.waiting_bytes.fetch_sub(weight, Ordering::Relaxed);
        match entry {
            Entry::Message(call, captured) => note(batch, &call, &captured.redact()),
            Entry::Sip(sip, captured) => {
                let line = captured.redact();
                match self.bindings.iter().rev().find(|(bound, _)| *bound == sip) {
                    Some((_, call)) => note(batch, call, &line),
                    None => self.keep_unclaimed(sip, line),
                }
            }
            Entry::Bind { sip, call } => {
                if let Some(at) = self.unclaimed.iter().position(|(kept, _)| *kept == sip) {
                    let lines = self.unclaimed.remove(at).map(|(_, lines)| lines).unwrap_or_default();
                    self.unclaimed_bytes -= weight_of(&lines);
                    lines.iter().for_each(|line| note(batch, &call, line));
                }
                if self.bindings.len() >= BINDINGS_MAX {
                    self.bindings.pop_front();
                }
                self.bindings.push_back((sip, call));
            }
            Entry::Stop => {}
        }
    }

    fn keep_unclaimed(&mut self, sip: Box<str>, line: WireLine) {
        let bytes = weight_of(std::slice::from_ref(&line));
        match self.unclaimed.iter_mut().find(|(kept, _)| *kept == sip) {
            Some((_, lines)) if lines.len() < UNCLAIMED_LINES_MAX => lines.push(line),
            Some(_) => {
                self.tally.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            None => self.unclaimed.push_back((sip, vec![line])),
        }
        self.unclaimed_bytes += bytes;
        while self.unclaimed.len() > UNCLAIMED_MAX || self.unclaimed_bytes > UNCLAIMED_BYTES_MAX {
            let Some((_, lines)) = self.unclaimed.pop_front() else { return };
            self.unclaimed_bytes -= weight_of(&lines);
        }
    }

    fn append(&mut self, call: &Arc<str>, lines: &[u8], count: u64) {
        match self.try_append(call, lines) {
            Ok(true) => {
                self.tally.written.fetch_add(count, Ordering::Relaxed);
                self.is_failing = false;
            }
            Ok(false) => drop(self.tally.dropped.fetch_add(count, Ordering::Relaxed)),
            Err(error) => {
                self.tally.dropped.fetch_add(count, Ordering::Relaxed);
                if !std::mem::replace(&mut self.is_failing, true) {
                    error!(path = %self.folder.display(), %error, "the wire log cannot be written");
                }
            }
        }
    }

    /// Returns whether the call's file had room.
    fn try_append(&mut self, call: &Arc<str>, lines: &[u8]) -> io::Result<bool> {
        let path = self.folder.join(format!("{call}.{EXTENSION}"));
        let room = match fs::metadata(&path) {
            Ok(known) => CALL_BYTES_MAX.saturating_sub(known.len()),
            Err(_) if self.left_out.contains(call) => 0,
            Err(_) if self.make_room()? => CALL_BYTES_MAX,
            Err(_) => {
                if self.left_out.len() >= LEFT_OUT_MAX {
                    self.left_out.clear();
                }
                self.left_out.insert(call.clone());
                0
            }
        };
        if lines.len() as u64 > room {
            return Ok(false);
        }
        OpenOptions::new().create(true).append(true).open(path)?.write_all(lines)?;
        Ok(true)
    }

    /// Removes the oldest files until another call fits; false where all that is left is being written: half of
    /// every call helps nobody.
    fn make_room(&self) -> io::Result<bool> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let (path, known) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push((known.modified().unwrap_or(SystemTime::UNIX_EPOCH), known.len(), path));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|file| file.1).sum();
        let mut count = files.len();
        let quiet_since = SystemTime::now() - QUIET_BEFORE_REMOVAL;
        for (written, length, path) in files {
            if count < CALLS_KEPT_MAX && bytes + CALL_BYTES_MAX <= BYTES_KEPT_MAX {
                break;
            }
            if written > quiet_since {
                return Ok(false);
            }
            fs::remove_file(path)?;
            (count, bytes) = (count - 1, bytes - length);
        }
        Ok(true)
    }
}

impl Captured {
    fn redact(self) -> WireLine {
        let (bytes, Redacted { shown, audio }) = match self.message {
            Message::Sip(octets) => {
                let shown = Value::String(sip_redaction::sip(&octets));
                (octets.len(), Redacted { shown, audio: false })
            }
            Message::Text(text) => (text.len(), redaction::text(&text)),
            Message::Binary(bytes) => (bytes, redaction::binary(bytes)),
        };
        let Self { unix_ms, wire, flow, peer, .. } = self;
        WireLine { unix_ms, wire, flow, peer: peer.into(), bytes, audio, message: shown }
    }
}

impl Message {
    fn weight(&self) -> usize {
        match self {
            Self::Sip(octets) => octets.len(),
            Self::Text(text) => text.len(),
            Self::Binary(_) => 0,
        }
    }
}

/// What lines have on the wire, and a little for each.
fn weight_of(lines: &[WireLine]) -> usize {
    lines.iter().map(|line| line.bytes + ENTRY_BYTES).sum()
}

fn note(batch: &mut Batch, call: &Arc<str>, line: &WireLine) {
    let (lines, count) = batch.entry(call.clone()).or_default();
    // Strings and numbers only: serialisation into memory has nothing to fail at.
    if serde_json::to_writer(&mut *lines, line).is_ok() {
        lines.push(b'\n');
        *count += 1;
    }
}

/// Calls whose files are kept; the oldest give way.
pub const CALLS_KEPT_MAX: usize = 200;
/// Bytes of all files together, the next call's share included.
pub const BYTES_KEPT_MAX: u64 = 512 << 20;
/// Bytes of one call's file; what comes then is dropped.
pub const CALL_BYTES_MAX: u64 = 16 << 20;
/// Call-IDs whose calls are remembered.
const BINDINGS_MAX: usize = 2_048;
/// Call-IDs whose messages wait for their call, and messages of each.
const UNCLAIMED_MAX: usize = 256;
const UNCLAIMED_LINES_MAX: usize = 16;
/// Bytes on the wire of all of them.
const UNCLAIMED_BYTES_MAX: usize = 4 << 20;
/// Calls that are remembered to have found no room.
const LEFT_OUT_MAX: usize = 2_048;
/// A call that has left no message for so long is over, or can spare what it has left.
const QUIET_BEFORE_REMOVAL: Duration = Duration::from_secs(60);
