//! How loud a stretch of audio is, and whether it counts as silence.
//!
//! Not a voice detector: a gate on energy that never takes speech for silence rather than the reverse.

use super::format::{Encoding, MediaFormat};
use super::g711::Law;

/// Mean power and peak of some samples, on the 16-bit scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// Mean of the squared samples.
    pub mean_square: f32,
    /// Largest magnitude, 0 to 32,768.
    pub peak: u16,
}

impl Level {
    /// Measures linear samples; nothing at all is silence.
    pub fn of_samples(samples: &[i16]) -> Self {
        Self::of(samples.iter().copied())
    }

    /// Measures the whole samples of a frame in `format`.
    pub fn of_frame(format: MediaFormat, frame: &[u8]) -> Self {
        match format.encoding {
            Encoding::Pcmu => Self::of(frame.iter().map(|byte| Law::Mu.decode_sample(*byte))),
            Encoding::Pcma => Self::of(frame.iter().map(|byte| Law::A.decode_sample(*byte))),
            Encoding::Linear16 => {
                Self::of(frame.chunks_exact(2).map(|two| two.try_into().map_or(0, i16::from_le_bytes)))
            }
        }
    }

    fn of(samples: impl Iterator<Item = i16>) -> Self {
        let (mut sum, mut peak, mut count) = (0u64, 0u16, 0u64);
        for sample in samples {
            let magnitude = sample.unsigned_abs();
            sum += u64::from(u32::from(magnitude) * u32::from(magnitude));
            peak = peak.max(magnitude);
            count += 1;
        }
        Self { mean_square: (sum as f64 / count.max(1) as f64) as f32, peak }
    }

    /// Root mean square in dB below a full-scale square wave; digital silence is -∞.
    pub fn rms_dbfs(self) -> f32 {
        10.0 * (self.mean_square / (FULL_SCALE * FULL_SCALE)).log10()
    }

    /// Peak in dB below full scale; digital silence is -∞.
    pub fn peak_dbfs(self) -> f32 {
        20.0 * (f32::from(self.peak) / FULL_SCALE).log10()
    }
}

/// The level below which a frame is silence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SilenceGate {
    mean_square_max: f32,
    peak_max: u16,
}

impl SilenceGate {
    /// Silence is below `rms_dbfs`, with no peak more than 10 dB above it.
    pub fn new(rms_dbfs: f32) -> Self {
        let amplitude = FULL_SCALE * 10f32.powf(rms_dbfs / 20.0);
        Self { mean_square_max: amplitude * amplitude, peak_max: (amplitude * 3.162_277_7) as u16 }
    }

    /// Whether this level is silence.
    pub fn is_silent(self, level: Level) -> bool {
        level.mean_square <= self.mean_square_max && level.peak <= self.peak_max
    }
}

impl Default for SilenceGate {
    /// -50 dBFS: 24 dB below a telephone talker's nominal level (ITU-T P.56), above the idle noise of A-law.
    fn default() -> Self {
        Self::new(-50.0)
    }
}

const FULL_SCALE: f32 = 32_768.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scale_square_is_zero_dbfs_and_a_sine_three_below() {
        let square: Vec<i16> = (0..160).map(|i| if i % 8 < 4 { i16::MIN } else { i16::MAX }).collect();
        assert!(Level::of_samples(&square).rms_dbfs().abs() < 0.01);
        let sine: Vec<i16> =
            (0..160).map(|i| (32_767.0 * (f64::from(i) * std::f64::consts::PI / 8.0).sin()) as i16).collect();
        let level = Level::of_samples(&sine);
        assert!((level.rms_dbfs() + 3.01).abs() < 0.02, "{}", level.rms_dbfs());
        assert!(level.peak_dbfs().abs() < 0.02);
    }

    #[test]
    fn idle_codes_of_every_encoding_are_silence() {
        for format in [MediaFormat::PCMU_8K, MediaFormat::PCMA_8K, MediaFormat::linear16(16_000)] {
            let frame = vec![format.silence_byte(); 160];
            assert!(SilenceGate::default().is_silent(Level::of_frame(format, &frame)), "{format}");
        }
        assert!(SilenceGate::default().is_silent(Level::of_samples(&[])));
    }

    #[test]
    fn a_single_click_is_not_silence() {
        let mut samples = [0i16; 160];
        samples[80] = 1_000;
        assert!(!SilenceGate::default().is_silent(Level::of_samples(&samples)));
    }

    #[test]
    fn a_quiet_voice_is_not_silence_and_line_noise_is() {
        let at = |amplitude: f64| -> Vec<i16> {
            (0..160).map(|i| (amplitude * (f64::from(i) * 0.3).sin()) as i16).collect()
        };
        assert!(!SilenceGate::default().is_silent(Level::of_samples(&at(300.0))));
        assert!(SilenceGate::default().is_silent(Level::of_samples(&at(60.0))));
    }
}
