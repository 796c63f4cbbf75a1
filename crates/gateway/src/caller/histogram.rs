//! The spread of durations in fixed memory, exact to one part in 128: for percentiles over any number of frames.

use std::fmt;
use std::time::Duration;

/// Counts of durations, in microseconds, in buckets that grow with the value.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u32>,
    count: u64,
    min: u64,
    max: u64,
}

impl Histogram {
    /// Nothing counted.
    pub fn new() -> Self {
        Self { buckets: Vec::new(), count: 0, min: u64::MAX, max: 0 }
    }

    /// Counts one; what is longer than [`LONGEST`] counts as that.
    pub fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.min(LONGEST).as_micros()).unwrap_or(0);
        let bucket = bucket_of(micros);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.count += 1;
        self.min = self.min.min(micros);
        self.max = self.max.max(micros);
    }

    /// Adds all that another counted.
    pub fn merge(&mut self, other: &Self) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.saturating_add(*theirs);
        }
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest; `None` when nothing was counted.
    pub fn min(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.min))
    }

    /// The longest; `None` when nothing was counted.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_micros(self.max))
    }

    /// The duration that `share` (0 to 1) of all do not exceed, rounded up to its bucket's end.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut passed = 0;
        let bucket = self.buckets.iter().position(|count| {
            passed += u64::from(*count);
            passed >= rank
        })?;
        Some(Duration::from_micros(end_of(bucket).clamp(self.min, self.max)))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("p50", &self.quantile(0.5))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

/// Values below 2·[`STEPS`] have their own bucket; above, each doubling is cut into [`STEPS`].
fn bucket_of(micros: u64) -> usize {
    let doublings = (micros | 1).ilog2().saturating_sub(STEPS.ilog2());
    let step = micros >> doublings;
    usize::try_from(u64::from(doublings) * STEPS + step).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn end_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket / STEPS).saturating_sub(1);
    let step = bucket - doublings * STEPS;
    ((step + 1) << doublings) - 1
}

const STEPS: u64 = 128;

/// The longest that is told apart.
pub const LONGEST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_no_percentile() {
        let empty = Histogram::new();
        assert_eq!((empty.quantile(0.5), empty.min(), empty.max()), (None, None, None));
    }

    #[test]
    fn the_longest_of_all_fits_in_little_memory() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::MAX);
        assert_eq!(histogram.quantile(0.5), Some(LONGEST));
        assert!(histogram.buckets.len() < 4_096);
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_list_to_one_part_in_128(
            micros in proptest::collection::vec(0u64..100_000_000, 1..300),
            share in 0.0f64..=1.0,
            split in 0usize..300,
        ) {
            let (mut left, mut right) = (Histogram::new(), Histogram::new());
            for (n, micros) in micros.iter().enumerate() {
                let part = if n < split { &mut left } else { &mut right };
                part.add(Duration::from_micros(*micros));
            }
            left.merge(&right);
            let mut sorted = micros.clone();
            sorted.sort_unstable();
            let rank = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
            let exact = sorted[rank - 1];
            let told = left.quantile(share).unwrap().as_micros() as u64;
            prop_assert!(told >= exact && told <= exact + exact / 128 + 1, "{} for {}", told, exact);
            prop_assert_eq!(left.min(), sorted.first().map(|first| Duration::from_micros(*first)));
            prop_assert_eq!(left.max(), sorted.last().map(|last| Duration::from_micros(*last)));
        }
    }
}
