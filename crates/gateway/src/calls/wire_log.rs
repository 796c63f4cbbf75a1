//! The wire log: what a call's wires carried, redacted, in `{data_dir}/wire/{call_id}.jsonl`, when `log.wire` asks.
//!
//! It stands beside the media path: a message is copied into a bounded queue, a thread of its own redacts and writes.
//! What finds no room is counted as dropped. The folder is bounded: the oldest calls give way. `read` and `ladder` are
//! the other side, for whoever looks at a call afterwards.

mod ladder;
mod lines;
mod redaction;
mod sip_redaction;
mod writer;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use patchcord_core::dialect::Wire;
use patchcord_core::vocabulary::CallId;
use patchcord_sip::SipTrace;

pub use self::ladder::ladder;
pub use self::lines::{Flow, WireLine, WireName, file_of, read};
pub use self::redaction::{masked, shape_of_text, without_numbers};
use self::writer::{Captured, Entry, Writer};
use crate::clock::unix_ms;
use crate::tasks::spawn_thread;

/// Where messages are left to be logged.
#[derive(Clone)]
pub struct WireLog {
    queue: SyncSender<Entry>,
    tally: Arc<Tally>,
}

/// The place where one call leaves the messages of its WebSockets.
#[derive(Debug, Clone)]
pub struct WireTap {
    log: WireLog,
    call: Arc<str>,
}

/// The thread that writes, joined at the very end.
#[derive(Debug)]
pub struct WireLogThread {
    queue: SyncSender<Entry>,
    thread: JoinHandle<()>,
}

/// What became of messages.
#[derive(Debug, Default)]
struct Tally {
    waiting_bytes: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
}

impl WireLog {
    /// Opens (or creates) the folder in `data_dir` and starts the thread.
    ///
    /// # Errors
    /// The system's, with the path in its text.
    pub fn open(data_dir: &Path) -> io::Result<(Self, WireLogThread)> {
        let folder = lines::folder(data_dir);
        std::fs::create_dir_all(&folder)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        let (queue, entries) = sync_channel(LINES_WAITING_MAX);
        let tally = Arc::<Tally>::default();
        let writer = Writer::new(folder, tally.clone());
        let thread = spawn_thread("wire log", move || writer.run(&entries))?;
        Ok((Self { queue: queue.clone(), tally }, WireLogThread { queue, thread }))
    }

    /// The place of a call.
    pub fn tap(&self, call: &CallId) -> WireTap {
        WireTap { log: self.clone(), call: call.as_str().into() }
    }

    /// The messages of the SIP leg with the Call-ID `sip` are those of `call`, from the first on.
    pub fn claim(&self, call: &CallId, sip: &str) {
        self.leave(Entry::Bind { sip: sip.into(), call: call.as_str().into() }, sip.len());
    }

    /// Leaves a SIP message; it waits until its Call-ID is [claimed](WireLog::claim).
    pub fn sip(&self, trace: &SipTrace<'_>) {
        let captured = Captured {
            unix_ms: unix_ms(),
            wire: WireName::Sip,
            flow: if trace.is_incoming { Flow::In } else { Flow::Out },
            peer: format!("{} {}", trace.transport.name().to_lowercase(), trace.peer).into(),
            message: writer::Message::Sip(Bytes::copy_from_slice(trace.octets)),
        };
        self.leave(Entry::Sip(trace.call_id.into(), captured), trace.octets.len());
    }

    /// Lines in files.
    pub fn written(&self) -> u64 {
        self.tally.written.load(Ordering::Relaxed)
    }

    /// Messages that found no room: too many waited, their call had its share, or the disk refused.
    pub fn dropped(&self) -> u64 {
        self.tally.dropped.load(Ordering::Relaxed)
    }

    fn leave(&self, entry: Entry, bytes: usize) {
        let bytes = bytes + ENTRY_BYTES;
        let fits = self.tally.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES_MAX;
        if !fits || self.queue.try_send(entry).is_err() {
            self.tally.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl WireTap {
    /// Leaves a message of the bot's or the vendor's WebSocket, `peer` being its dialect.
    pub fn message(&self, name: WireName, flow: Flow, peer: &str, wire: Wire<'_>) {
        let (message, bytes) = match wire {
            Wire::Text(text) => (writer::Message::Text(text.into()), text.len()),
            Wire::Binary(bytes) => (writer::Message::Binary(bytes.len()), 0),
        };
        let captured = Captured { unix_ms: unix_ms(), wire: name, flow, peer: peer.into(), message };
        self.log.leave(Entry::Message(self.call.clone(), captured), bytes);
    }
}

impl WireLogThread {
    /// Writes what still waits and ends.
    pub fn join(self) {
        // A thread that is gone has nothing left to write.
        let _ = self.queue.send(Entry::Stop);
        let _ = self.thread.join();
    }
}

impl fmt::Debug for WireLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireLog").field("tally", &self.tally).finish_non_exhaustive()
    }
}

/// Messages that wait to be written.
const LINES_WAITING_MAX: usize = 8_192;
/// Bytes of the messages that wait.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// What an entry weighs beside its message.
const ENTRY_BYTES: usize = 128;

#[cfg(test)]
#[path = "wire_log/tests.rs"]
mod tests;
