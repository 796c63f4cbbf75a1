//! What became of the attempts at extractions: closed sets of words.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::setback::Setback;
use crate::store::ExtractionKind;

/// Counts of all attempts of this process.
#[derive(Debug, Default)]
pub struct ExtractionMeter {
    live: [AtomicU64; OUTCOMES],
    of_whole_calls: [AtomicU64; OUTCOMES],
    took_ms: AtomicU64,
    dead: AtomicU64,
    under_way: AtomicU64,
}

impl ExtractionMeter {
    /// Every kind and outcome with its count.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let words = || std::iter::once(DONE).chain(Setback::WORDS);
        [ExtractionKind::Live, ExtractionKind::Final].into_iter().flat_map(move |kind| {
            let counts = self.counts(kind).iter().map(|count| count.load(Ordering::Relaxed));
            words().zip(counts).map(move |(word, count)| (kind.word(), word, count))
        })
    }

    /// How long services took, all attempts together.
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.took_ms.load(Ordering::Relaxed))
    }

    /// Extractions that were given up.
    pub fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    /// Calls at whose extraction somebody works at this moment.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, kind: ExtractionKind, setback: Option<&Setback>, took: Duration) {
        let word = setback.map_or(DONE, Setback::word);
        let index = std::iter::once(DONE).chain(Setback::WORDS).position(|known| known == word);
        if let Some(count) = index.and_then(|index| self.counts(kind).get(index)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.took_ms.fetch_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn count_dead(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn show_under_way(&self, calls: usize) {
        self.under_way.store(calls as u64, Ordering::Relaxed);
    }

    fn counts(&self, kind: ExtractionKind) -> &[AtomicU64; OUTCOMES] {
        match kind {
            ExtractionKind::Live => &self.live,
            ExtractionKind::Final => &self.of_whole_calls,
        }
    }
}

const DONE: &str = "done";
const OUTCOMES: usize = 1 + Setback::WORDS.len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_counted_once_under_its_kind_and_outcome() {
        let meter = ExtractionMeter::default();
        let took = Duration::from_millis(1_500);
        meter.count(ExtractionKind::Live, None, took);
        meter.count(ExtractionKind::Final, Some(&Setback::Misfit(None)), took);
        let counted: Vec<_> = meter.outcomes().filter(|(.., count)| *count > 0).collect();
        assert_eq!(counted, [("live", "done", 1), ("final", "misfit", 1)]);
        assert_eq!((meter.took().as_secs(), meter.outcomes().count()), (3, 34));
    }
}
