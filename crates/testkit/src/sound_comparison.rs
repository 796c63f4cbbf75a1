//! Compares audio that went through a call with what was sent: delay, likeness window by window, gaps.
//!
//! For in-process tests on linear samples; not a measure of speech quality.

use std::time::Duration;

/// What came out compared with what went in.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundComparison {
    /// How much later it came out, in samples.
    pub delay: usize,
    /// The correlation of the worst window that is not silent, −1 to 1.
    pub worst_window: f64,
    /// The mean correlation of the windows that are not silent.
    pub mean_window: f64,
    /// Windows that could be compared.
    pub windows: usize,
    /// 20 ms frames that are silent in what came out though they are not in what went in.
    pub silent_frames: usize,
}

impl SoundComparison {
    /// Compares `heard` with `sent`, both at `sample_rate`; delays up to `delay_max` are looked for.
    ///
    /// `None` if either is shorter than a window or no delay fits at all (all silent).
    pub fn new(sent: &[i16], heard: &[i16], sample_rate: u32, delay_max: Duration) -> Option<Self> {
        let window = samples(sample_rate, WINDOW);
        let delay = best_delay(sent, heard, window, samples(sample_rate, delay_max))?;
        let heard = heard.get(delay..)?;
        let pairs: Vec<_> = sent.chunks_exact(window).zip(heard.chunks_exact(window)).collect();
        let likeness: Vec<f64> = pairs
            .iter()
            .filter(|(sent, _)| !is_silent(sent))
            .map(|(sent, heard)| correlation(sent, heard))
            .collect();
        let frame = samples(sample_rate, FRAME);
        let frames = sent.chunks_exact(frame).zip(heard.chunks_exact(frame));
        Some(Self {
            delay,
            worst_window: likeness.iter().copied().fold(1.0, f64::min),
            mean_window: likeness.iter().sum::<f64>() / likeness.len().max(1) as f64,
            windows: likeness.len(),
            silent_frames: frames.filter(|(sent, heard)| !is_silent(sent) && is_silent(heard)).count(),
        })
    }

    /// The delay as time.
    pub fn delay_time(&self, sample_rate: u32) -> Duration {
        Duration::from_secs_f64(self.delay as f64 / f64::from(sample_rate.max(1)))
    }
}

/// Likeness of two stretches of sound, −1 to 1, whatever their loudness; 0 if one is silent.
pub fn correlation(one: &[i16], other: &[i16]) -> f64 {
    let (mut cross, mut energy_one, mut energy_other) = (0.0, 0.0, 0.0);
    for (one, other) in one.iter().zip(other) {
        let (one, other) = (f64::from(*one), f64::from(*other));
        cross += one * other;
        energy_one += one * one;
        energy_other += other * other;
    }
    let energy = (energy_one * energy_other).sqrt();
    if energy > 0.0 { cross / energy } else { 0.0 }
}

/// Finds the delay at which the first loud stretch of `sent` fits best.
fn best_delay(sent: &[i16], heard: &[i16], window: usize, delay_max: usize) -> Option<usize> {
    let length = (window * PROBE_WINDOWS).min(sent.len().min(heard.len()));
    if length < window {
        return None;
    }
    let loud = (0..=sent.len() - length).step_by(window).find(|at| !is_silent(&sent[*at..*at + length]))?;
    let probe = &sent[loud..loud + length];
    let fits =
        |delay: usize| heard.get(loud + delay..loud + delay + length).map(|heard| correlation(probe, heard));
    let (delay, fit) = (0..=delay_max)
        .map_while(|delay| Some((delay, fits(delay)?)))
        .max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    (fit > 0.0).then_some(delay)
}

fn is_silent(samples: &[i16]) -> bool {
    samples.iter().all(|sample| sample.unsigned_abs() < SILENCE_PEAK)
}

fn samples(sample_rate: u32, time: Duration) -> usize {
    (time.as_secs_f64() * f64::from(sample_rate)) as usize
}

const WINDOW: Duration = Duration::from_millis(100);
const FRAME: Duration = Duration::from_millis(20);
const PROBE_WINDOWS: usize = 5;

/// Quieter samples than this are silence (G.711's quietest steps are ±8).
const SILENCE_PEAK: u16 = 33;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lossy_link::SeededRandom;

    fn noise(samples: usize, seed: u64) -> Vec<i16> {
        let mut random = SeededRandom::new(seed);
        (0..samples).map(|_| (random.below(16_000) as i16) - 8_000).collect()
    }

    fn compare(sent: &[i16], heard: &[i16]) -> SoundComparison {
        SoundComparison::new(sent, heard, 8_000, Duration::from_millis(500)).unwrap()
    }

    #[test]
    fn a_delayed_quieter_copy_is_alike_and_its_delay_is_found() {
        let sent = noise(24_000, 1);
        let mut heard = vec![0; 1_234];
        heard.extend(sent.iter().map(|sample| sample / 2));
        let comparison = compare(&sent, &heard);
        assert_eq!((comparison.delay, comparison.silent_frames, comparison.windows), (1_234, 0, 30));
        assert!(comparison.worst_window > 0.999, "{comparison:?}");
        assert_eq!(comparison.delay_time(8_000), Duration::from_micros(154_250));
    }

    #[test]
    fn one_dropped_frame_is_seen_as_a_silent_frame_or_as_unlike_windows() {
        let sent = noise(24_000, 2);
        let mut silenced = sent.clone();
        silenced[8_000..8_160].fill(0);
        let comparison = compare(&sent, &silenced);
        assert_eq!((comparison.delay, comparison.silent_frames), (0, 1));
        let mut cut = sent.clone();
        cut.drain(12_000..12_160);
        let comparison = compare(&sent, &cut);
        assert!(comparison.worst_window < 0.5, "{comparison:?}");
    }

    #[test]
    fn silence_and_too_little_sound_compare_with_nothing() {
        assert_eq!(SoundComparison::new(&[0; 8_000], &[0; 8_000], 8_000, Duration::ZERO), None);
        assert_eq!(SoundComparison::new(&[9; 10], &[9; 10], 8_000, Duration::ZERO), None);
    }
}
