//! The line of writes that wait for the one writer. Whoever stands in it never waits for the disk to get in.
//!
//! It is bounded by who may come in: admission is refused while it is long, and each admitted call has few facts to
//! tell, so none of them is ever dropped.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::StoreError;
use super::health::{Health, StoreFigures};
use super::work::{Done, Work};

/// One write.
pub(super) struct Entry {
    pub(super) work: Work,
    /// When what it tells happened, ms since 1970.
    pub(super) at_ms: u64,
    /// Where it is acknowledged, if somebody waits for that.
    pub(super) done: Option<oneshot::Sender<Result<Done, StoreError>>>,
    pub(super) since: Instant,
}

/// The line.
#[derive(Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    arrived: Notify,
    pub(super) health: Health,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Entry>,
    /// Taken by the writer and not committed yet.
    in_hand: usize,
    closed: bool,
}

impl Entry {
    pub(super) fn new(work: Work, at_ms: u64) -> Self {
        Self { work, at_ms, done: None, since: Instant::now() }
    }
}

impl Queue {
    /// Puts a write at the end.
    pub(super) fn push(&self, entry: Entry) {
        self.line().waiting.push_back(entry);
        self.arrived.notify_one();
    }

    /// The next writes, at most [`BATCH_MAX`]; `None` when the line is closed and empty.
    ///
    /// Where nobody waits for the commit, it lingers a moment: one commit for many facts.
    pub(super) async fn take(&self) -> Option<Vec<Entry>> {
        loop {
            let arrived = self.arrived.notified();
            let wait = {
                let line = self.line();
                match line.waiting.front() {
                    None if line.closed => return None,
                    None => None,
                    Some(first) => {
                        let hurried = line.closed || line.waiting.iter().any(|entry| entry.done.is_some());
                        let full = line.waiting.len() >= BATCH_MAX;
                        Some(if hurried || full {
                            Duration::ZERO
                        } else {
                            LINGER.saturating_sub(first.since.elapsed())
                        })
                    }
                }
            };
            match wait {
                None => arrived.await,
                Some(Duration::ZERO) => return Some(self.take_now()),
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, arrived).await;
                }
            }
        }
    }

    fn take_now(&self) -> Vec<Entry> {
        let mut line = self.line();
        let count = line.waiting.len().min(BATCH_MAX);
        let batch: Vec<_> = line.waiting.drain(..count).collect();
        line.in_hand = batch.len();
        if let Some(first) = batch.first() {
            self.health.began(first.since);
        }
        batch
    }

    /// What was taken is over and done with.
    pub(super) fn put_away(&self) {
        self.line().in_hand = 0;
        self.health.done();
    }

    /// Lets the writer end once everything is written.
    pub(super) fn close(&self) {
        self.line().closed = true;
        self.arrived.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.line().closed
    }

    /// The figures of this moment.
    pub(super) fn figures(&self) -> StoreFigures {
        let (waiting, oldest) = {
            let line = self.line();
            let oldest = self.health.busy_since().or_else(|| line.waiting.front().map(|entry| entry.since));
            (line.waiting.len() + line.in_hand, oldest.map_or(Duration::ZERO, |since| since.elapsed()))
        };
        self.health.figures(waiting, oldest)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // A panic elsewhere left a whole line behind: nothing in it is changed in two steps.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes of one commit.
pub const BATCH_MAX: usize = 256;

/// How long facts that nobody waits for stand for company.
const LINGER: Duration = Duration::from_millis(10);
