//! What the agent counts: relaxed atomics where sockets are read, one copy of the machine's own counts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::machine::Counts;

/// A snapshot of every counter since the start; `…_open`, `legs` and `transactions` are levels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SipCounters {
    /// UDP datagrams received.
    pub datagrams: u64,
    /// Messages received over TCP.
    pub stream_messages: u64,
    /// Keep-alives received.
    pub keep_alives: u64,
    /// Messages answered with nothing: broken responses and ACKs, and what is no SIP.
    pub silenced: u64,
    /// Requests of strangers: refused, or met with silence.
    pub strangers: u64,
    /// Requests refused before any state, by status code.
    pub refused: Vec<(u16, u64)>,
    /// Datagrams dropped because the agent was behind.
    pub dropped_in: u64,
    /// Messages that could not be sent: full socket buffers, unreachable or closed peers.
    pub dropped_out: u64,
    /// TCP connections accepted or dialled.
    pub connections: u64,
    /// TCP connections that are open.
    pub connections_open: u64,
    /// TCP connections closed for a reason: too many, too slow, a peer that does not read, a source that is
    /// not accepted.
    pub connections_refused: u64,
    /// Legs ended because their user took no events.
    pub stuck_legs: u64,
    /// The state machine's counts.
    pub machine: Counts,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) datagrams: AtomicU64,
    pub(crate) stream_messages: AtomicU64,
    pub(crate) keep_alives: AtomicU64,
    pub(crate) silenced: AtomicU64,
    pub(crate) strangers: AtomicU64,
    refused: [AtomicU64; REFUSALS.len()],
    pub(crate) dropped_in: AtomicU64,
    pub(crate) dropped_out: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) stuck_legs: AtomicU64,
    machine: Mutex<Counts>,
}

impl Tally {
    pub(crate) fn refused(&self, code: u16) {
        if let Some(counter) = REFUSALS.iter().position(|c| *c == code).and_then(|at| self.refused.get(at)) {
            bump(counter);
        }
    }

    pub(crate) fn publish(&self, counts: Counts) {
        if let Ok(mut machine) = self.machine.lock() {
            *machine = counts;
        }
    }

    pub(crate) fn snapshot(&self) -> SipCounters {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        SipCounters {
            datagrams: read(&self.datagrams),
            stream_messages: read(&self.stream_messages),
            keep_alives: read(&self.keep_alives),
            silenced: read(&self.silenced),
            strangers: read(&self.strangers),
            refused: REFUSALS.iter().copied().zip(self.refused.iter().map(read)).collect(),
            dropped_in: read(&self.dropped_in),
            dropped_out: read(&self.dropped_out),
            connections: read(&self.connections),
            connections_open: read(&self.connections_open),
            connections_refused: read(&self.connections_refused),
            stuck_legs: read(&self.stuck_legs),
            machine: self.machine.lock().map(|m| *m).unwrap_or_default(),
        }
    }
}

pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// Codes that the front refuses with.
const REFUSALS: [u16; 10] = [400, 403, 405, 406, 415, 416, 420, 501, 505, 513];
