//! What became of the attempts to deliver callbacks: a closed set of outcomes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::retry::Attempt;

/// Counts of all attempts of this process.
#[derive(Debug, Default)]
pub struct CallbackMeter {
    outcomes: [AtomicU64; Attempt::WORDS.len()],
    dead: AtomicU64,
    under_way: AtomicU64,
}

impl CallbackMeter {
    /// Every outcome with its count.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Attempt::WORDS.into_iter().zip(self.outcomes.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Deliveries that were given up.
    pub fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    /// Attempts at this moment.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, attempt: Attempt) {
        let index = Attempt::WORDS.iter().position(|word| *word == attempt.word());
        if let Some(count) = index.and_then(|index| self.outcomes.get(index)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count_dead(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn show_under_way(&self, attempts: usize) {
        self.under_way.store(attempts as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Obstacle;

    #[test]
    fn every_attempt_is_counted_under_its_own_word() {
        let meter = CallbackMeter::default();
        let attempts = [
            Attempt::Delivered { status: 204 },
            Attempt::Gone,
            Attempt::Refused { status: 500, after: None },
            Attempt::Unanswered(Obstacle::Forbidden),
            Attempt::Unanswered(Obstacle::Dns),
            Attempt::Unanswered(Obstacle::Unreachable),
            Attempt::Unanswered(Obstacle::Tls),
            Attempt::Unanswered(Obstacle::Timeout),
            Attempt::Unanswered(Obstacle::Broken),
        ];
        attempts.into_iter().for_each(|attempt| meter.count(attempt));
        assert!(meter.outcomes().all(|(_, count)| count == 1), "{meter:?}");
    }
}
