//! How the ended calls sounded, summed up for the metrics: histograms with fixed buckets, in seconds, shares and scores.

use std::collections::BTreeMap;

use patchcord_core::vocabulary::{AudioVerdict, Quality};

/// The sums over ended calls.
#[derive(Debug, Clone)]
pub struct QualityTotals {
    /// Calls by who heard whom; those too short to tell are left out.
    pub verdicts: BTreeMap<AudioVerdict, u64>,
    /// One observation a call and way.
    pub loss: Ways,
    /// Mean jitter in seconds, one observation a call and way.
    pub jitter_s: Ways,
    /// Mean opinion score, one observation a call and way.
    pub mos: Ways,
    /// Mean round trip in seconds, one observation a call.
    pub round_trip_s: Histogram,
    /// Mean depth of playout in seconds, one observation a call.
    pub depth_s: Histogram,
    /// The bot's response in seconds, one observation an answer.
    pub response_s: Histogram,
    /// Holes in bots' speech.
    pub underruns: u64,
    /// Times that a caller had to begin again, because no answer came.
    pub unanswered: u64,
}

/// The same figure of both ways.
#[derive(Debug, Clone)]
pub struct Ways {
    /// From the phone to us.
    pub from_phone: Histogram,
    /// From us to the phone.
    pub to_phone: Histogram,
}

/// Observations by size.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// Upper bounds, ascending.
    pub bounds: &'static [f64],
    /// Observations up to each bound and above the one before it.
    pub counts: Vec<u64>,
    /// All observations.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Default for QualityTotals {
    fn default() -> Self {
        let ways = |bounds| Ways { from_phone: Histogram::new(bounds), to_phone: Histogram::new(bounds) };
        Self {
            verdicts: BTreeMap::new(),
            loss: ways(LOSS),
            jitter_s: ways(JITTER_S),
            mos: ways(MOS),
            round_trip_s: Histogram::new(ROUND_TRIP_S),
            depth_s: Histogram::new(DEPTH_S),
            response_s: Histogram::new(RESPONSE_S),
            underruns: 0,
            unanswered: 0,
        }
    }
}

impl QualityTotals {
    /// Adds an ended call.
    pub fn add(&mut self, quality: &Quality) {
        if let Some(verdict) = quality.audio {
            *self.verdicts.entry(verdict).or_default() += 1;
        }
        if let Some(figures) = &quality.from_phone {
            self.loss.from_phone.observe_some(figures.packets.map(|packets| packets.loss()));
            self.jitter_s.from_phone.observe_some(figures.jitter.map(|jitter| jitter.mean.as_secs_f64()));
            self.mos.from_phone.observe_some(figures.mos);
        }
        if let Some(figures) = &quality.to_phone {
            self.loss.to_phone.observe_some(figures.loss);
            self.jitter_s.to_phone.observe_some(figures.jitter.map(|jitter| jitter.mean.as_secs_f64()));
            self.mos.to_phone.observe_some(figures.mos);
            self.round_trip_s.observe_some(figures.round_trip.map(|trip| trip.mean.as_secs_f64()));
        }
        self.depth_s.observe_some(quality.playout.depth.map(|depth| depth.mean.as_secs_f64()));
        quality.response.kept.iter().for_each(|time| self.response_s.observe(time.as_secs_f64()));
        self.underruns += quality.playout.underruns;
        self.unanswered += quality.response.unanswered;
    }
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len()], count: 0, sum: 0.0 }
    }

    fn observe_some(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.observe(value);
        }
    }

    fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.sum += value;
    }
}

const LOSS: &[f64] = &[0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
const JITTER_S: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1];
const MOS: &[f64] = &[1.5, 2.0, 2.5, 3.0, 3.5, 3.8, 4.0, 4.2, 4.4];
const ROUND_TRIP_S: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0];
const DEPTH_S: &[f64] = &[0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0];
const RESPONSE_S: &[f64] = &[0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_the_first_bucket_that_holds_it_and_beyond_all_in_the_sum() {
        let mut histogram = Histogram::new(&[0.0, 0.1, 0.2]);
        [0.0, 0.05, 0.1, 0.15, 9.0].iter().for_each(|value| histogram.observe(*value));
        assert_eq!((histogram.counts, histogram.count), (vec![1, 2, 1], 5));
        assert!((histogram.sum - 9.3).abs() < 1e-9);
    }
}
