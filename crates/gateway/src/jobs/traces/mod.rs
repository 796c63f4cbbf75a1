//! One trace per call, by OpenTelemetry: made of the call's record and history when it is over, sent as OTLP/JSON over the
//! program's own HTTP client. Source: OTLP 1.x, "OTLP/HTTP", JSON Protobuf encoding.
//!
//! A call hands its record over and never waits; what finds no room, or no receiver, is counted and gone.

mod attributes;
mod exporter;
mod spans;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use patchcord_core::vocabulary::{CallRecord, Timeline};
use tokio::sync::mpsc;

pub use exporter::TraceExporter;

/// What is left of a call, to make a trace of.
#[derive(Debug)]
pub struct EndedTrace {
    /// Its record.
    pub record: Box<CallRecord>,
    /// What happened during it.
    pub timeline: Option<Box<Timeline>>,
}

/// Where calls leave what traces are made of, and what became of them.
#[derive(Debug)]
pub struct Traces {
    queue: mpsc::Sender<EndedTrace>,
    waiting: Mutex<Option<mpsc::Receiver<EndedTrace>>>,
    exported: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
}

impl Default for Traces {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(TRACES_WAITING_MAX);
        Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
            exported: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }
}

impl Traces {
    /// Takes what is left of a call; if too many wait, it is counted and gone.
    pub fn offer(&self, ended: EndedTrace) {
        if self.queue.try_send(ended).is_err() {
            self.count_dropped(1);
        }
    }

    /// Traces by what became of them: `exported`, `refused` by the receiver, `dropped` for want of room or of a receiver.
    pub fn outcomes(&self) -> [(&'static str, u64); 3] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("exported", read(&self.exported)),
            ("refused", read(&self.refused)),
            ("dropped", read(&self.dropped)),
        ]
    }

    /// The other end of the queue, for the one that sends.
    fn take_waiting(&self) -> Option<mpsc::Receiver<EndedTrace>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn count_exported(&self, traces: usize) {
        self.exported.fetch_add(traces as u64, Ordering::Relaxed);
    }

    fn count_refused(&self, traces: usize) {
        self.refused.fetch_add(traces as u64, Ordering::Relaxed);
    }

    fn count_dropped(&self, traces: usize) {
        self.dropped.fetch_add(traces as u64, Ordering::Relaxed);
    }
}

/// Ended calls whose traces may wait for the exporter.
const TRACES_WAITING_MAX: usize = 1_024;
