//! What became of the questions to CONFIG_APIs, and how long they took: a closed set of outcomes and a histogram.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Counts of all questions.
#[derive(Debug, Default)]
pub struct ConfigApiMeter {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    total_ms: AtomicU64,
}

/// What became of one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A bot was named.
    Answered,
    /// There was no connection.
    Unreachable,
    /// There was no whole answer in time.
    Timeout,
    /// The status was not 200.
    Status,
    /// The answer was too large.
    TooLarge,
    /// The answer could not be used.
    BadAnswer,
    /// The call ended first.
    Abandoned,
}

/// One question under way; dropped, it was abandoned.
#[derive(Debug)]
pub struct Stopwatch {
    meter: Arc<ConfigApiMeter>,
    began: Instant,
    outcome: Outcome,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Answered,
        Self::Unreachable,
        Self::Timeout,
        Self::Status,
        Self::TooLarge,
        Self::BadAnswer,
        Self::Abandoned,
    ];

    /// The word in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::TooLarge => "too_large",
            Self::BadAnswer => "bad_answer",
            Self::Abandoned => "abandoned",
        }
    }
}

impl ConfigApiMeter {
    /// Every outcome with its count.
    pub fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.into_iter().zip(self.outcomes.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// How many questions took at most so long, in rising order; those that took longer are in none.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        BUCKETS.into_iter().zip(self.buckets.iter()).scan(0, |sum, (bound, count)| {
            *sum += count.load(Ordering::Relaxed);
            Some((bound, *sum))
        })
    }

    /// How long all questions took together.
    pub fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms.load(Ordering::Relaxed))
    }

    fn count(&self, outcome: Outcome, took: Duration) {
        if let Some(count) = self.outcomes.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let bucket = BUCKETS.iter().position(|bound| took <= *bound);
        if let Some(count) = bucket.and_then(|at| self.buckets.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.total_ms.fetch_add(millis(took), Ordering::Relaxed);
    }
}

impl Stopwatch {
    /// Begins.
    pub fn start(meter: &Arc<ConfigApiMeter>) -> Self {
        Self { meter: meter.clone(), began: Instant::now(), outcome: Outcome::Abandoned }
    }

    /// Ends with that outcome; gives the milliseconds it took.
    pub fn stop(mut self, outcome: Outcome) -> u64 {
        self.outcome = outcome;
        millis(self.began.elapsed())
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        self.meter.count(self.outcome, self.began.elapsed());
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The bounds of the histogram.
const BUCKETS: [Duration; 7] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_counted_under_its_own_word_and_a_dropped_question_is_abandoned() {
        let meter = Arc::<ConfigApiMeter>::default();
        for outcome in Outcome::ALL {
            Stopwatch::start(&meter).stop(outcome);
        }
        drop(Stopwatch::start(&meter));
        let counts: Vec<_> = meter.outcomes().map(|(outcome, count)| (outcome.word(), count)).collect();
        assert_eq!(counts[0], ("answered", 1));
        assert_eq!(counts[6], ("abandoned", 2));
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 8);
        meter.count(Outcome::Timeout, Duration::from_millis(5_001));
        meter.count(Outcome::Answered, Duration::from_millis(300));
        let buckets: Vec<_> = meter.buckets().map(|(_, count)| count).collect();
        assert_eq!((buckets[2], buckets[3], buckets[6]), (8, 9, 9));
        assert!(meter.total() >= Duration::from_millis(5_301));
    }
}
