//! How the store is doing: figures that `/metrics` and `/ready` show and that admission looks at.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The store's figures at a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreFigures {
    /// Writes that wait.
    pub waiting: usize,
    /// How long the oldest of them has waited.
    pub oldest: Duration,
    /// Whether the last commit failed.
    pub failing: bool,
    /// Commits.
    pub commits: u64,
    /// Writes in them.
    pub written: u64,
    /// Commits that failed and were tried again.
    pub failures: u64,
    /// Writes that the database refuses for ever.
    pub refused: u64,
    /// Facts of refused calls for which there was no room; they stand in `calls.jsonl`.
    pub skipped: u64,
    /// Facts of calls that have no row.
    pub strays: u64,
    /// Time in commits, all of them.
    pub commit_time: Duration,
    /// Commits that took at most the bound of [`COMMIT_BOUNDS_MS`] of the same index, and no smaller one.
    pub commits_within: [u64; COMMIT_BOUNDS_MS.len()],
}

/// What is counted; each figure by itself.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) failing: AtomicBool,
    commits: AtomicU64,
    written: AtomicU64,
    failures: AtomicU64,
    refused: AtomicU64,
    skipped: AtomicU64,
    strays: AtomicU64,
    commit_nanos: AtomicU64,
    commits_within: [AtomicU64; COMMIT_BOUNDS_MS.len()],
    /// Since when the writer has been at its present batch.
    busy_since: Mutex<Option<Instant>>,
}

impl Health {
    pub(super) fn began(&self, since: Instant) {
        *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(since);
    }

    pub(super) fn done(&self) {
        *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn busy_since(&self) -> Option<Instant> {
        *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn committed(&self, writes: usize, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.written.fetch_add(writes as u64, Ordering::Relaxed);
        self.commit_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let bucket = COMMIT_BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        if let Some(count) = bucket.and_then(|bucket| self.commits_within.get(bucket)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stray(&self) {
        self.strays.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn figures(&self, waiting: usize, oldest: Duration) -> StoreFigures {
        let count = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        StoreFigures {
            waiting,
            oldest,
            failing: self.failing.load(Ordering::Relaxed),
            commits: count(&self.commits),
            written: count(&self.written),
            failures: count(&self.failures),
            refused: count(&self.refused),
            skipped: count(&self.skipped),
            strays: count(&self.strays),
            commit_time: Duration::from_nanos(count(&self.commit_nanos)),
            commits_within: std::array::from_fn(|at| self.commits_within.get(at).map_or(0, count)),
        }
    }
}

/// The bounds of the histogram of commits, in milliseconds.
pub const COMMIT_BOUNDS_MS: [u64; 8] = [1, 2, 5, 10, 50, 200, 1_000, 5_000];
