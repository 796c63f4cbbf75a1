//! Fills short losses towards a bot: repeats the last pitch period, fading to silence within 60 ms.
//!
//! In the manner of ITU-T G.711 Appendix I, without its overlap into the next good frame: what was received is
//! passed on as it came.

use std::time::Duration;

use super::format::MediaFormat;
use super::pcm::{decode_samples, encode_samples};

/// Conceals losses of one stream, in that stream's format.
#[derive(Debug, Clone)]
pub struct Concealer {
    format: MediaFormat,
    /// The last bytes that were heard, oldest first, up to [`HISTORY`].
    history: Vec<u8>,
    history_max: usize,
    samples: Vec<i16>,
    encoded: Vec<u8>,
    /// Length of the period that is being repeated and how far the loss has got; `None` outside a loss.
    loss: Option<Loss>,
}

#[derive(Debug, Clone, Copy)]
struct Loss {
    period: usize,
    done: usize,
}

impl Concealer {
    /// A concealer that has heard nothing: it fills with silence.
    pub fn new(format: MediaFormat) -> Self {
        let history_max = format.bytes_in(HISTORY);
        Self {
            format,
            history: Vec::new(),
            history_max,
            samples: Vec::new(),
            encoded: Vec::new(),
            loss: None,
        }
    }

    /// Remembers audio that arrived, in whole samples.
    pub fn heard(&mut self, audio: &[u8]) {
        self.loss = None;
        let kept = self.history_max.saturating_sub(audio.len()).min(self.history.len());
        let dropped = self.history.len() - kept;
        self.history.drain(..dropped);
        let from = audio.len().saturating_sub(self.history_max);
        self.history.extend_from_slice(audio.get(from..).unwrap_or_default());
    }

    /// Overwrites `lost` (whole samples) with what may stand in for it; further calls go on where the last stopped.
    pub fn conceal(&mut self, lost: &mut [u8]) {
        let mut loss = match self.loss {
            Some(loss) => loss,
            None => Loss { period: self.analyse(), done: 0 },
        };
        let (fade_start, fade_end) = (self.samples_in(FULL_VOLUME), self.samples_in(FADED));
        let history = self.samples.len();
        let mut piece = [0i16; PIECE];
        for lost in lost.chunks_mut(PIECE * self.format.bytes_per_sample()) {
            let count = lost.len() / self.format.bytes_per_sample();
            if loss.period == 0 || loss.done >= fade_end {
                self.format.fill_silence(lost);
                loss.done = loss.done.saturating_add(count);
                continue;
            }
            for sample in piece.iter_mut().take(count) {
                let from = history - loss.period + loss.done % loss.period;
                let value = self.samples.get(from).copied().map_or(0.0, f32::from);
                let gain = fade_end.saturating_sub(loss.done) as f32 / (fade_end - fade_start).max(1) as f32;
                *sample = (value * gain.min(1.0)) as i16;
                loss.done += 1;
            }
            self.encoded.clear();
            encode_samples(self.format, piece.get(..count).unwrap_or_default(), &mut self.encoded);
            lost.iter_mut().zip(&self.encoded).for_each(|(to, from)| *to = *from);
        }
        self.loss = Some(loss);
    }

    /// Decodes the history and finds its period in samples; zero if there is too little to tell.
    fn analyse(&mut self) -> usize {
        self.samples.resize(self.history.len() / self.format.bytes_per_sample(), 0);
        decode_samples(self.format, &self.history, &mut self.samples);
        let shortest = self.samples_in(PERIOD_MIN);
        let longest = self.samples_in(PERIOD_MAX).min(self.samples.len() / 2);
        if shortest == 0 || longest <= shortest {
            return 0;
        }
        let window = self.samples_in(WINDOW).min(self.samples.len() - longest).min(WINDOW_SAMPLES_MAX);
        // Coarse in steps of 8 kHz, then fine around the best.
        let stride = usize::try_from(self.format.sample_rate / 8_000).unwrap_or(1).max(1);
        let coarse = self.best_period((shortest..=longest).step_by(stride), window);
        let fine = coarse.saturating_sub(stride).max(shortest)..=(coarse + stride).min(longest);
        if stride == 1 { coarse } else { self.best_period(fine, window) }
    }

    /// The lag at which the last `window` samples resemble what was before them most.
    fn best_period(&self, lags: impl Iterator<Item = usize>, window: usize) -> usize {
        let end = self.samples.len();
        let recent = self.samples.get(end - window..).unwrap_or_default();
        let mut best = (f32::MIN, 0);
        for lag in lags {
            let earlier = self.samples.get(end - window - lag..end - lag).unwrap_or_default();
            let (mut product, mut energy) = (0i32, 1i32);
            for (a, b) in recent.iter().zip(earlier) {
                // Scaled so that the sums of a window fit.
                let (a, b) = (i32::from(*a >> 5), i32::from(*b >> 5));
                product += a * b;
                energy += b * b;
            }
            let likeness = product as f32 / (energy as f32).sqrt();
            if likeness > best.0 {
                best = (likeness, lag);
            }
        }
        best.1
    }

    fn samples_in(&self, duration: Duration) -> usize {
        usize::try_from(self.format.samples_in(duration)).unwrap_or(0)
    }
}

/// Enough for the longest period and a window before it.
const HISTORY: Duration = Duration::from_millis(36);
/// Pitch of a deep and of a high voice.
const PERIOD_MAX: Duration = Duration::from_millis(15);
const PERIOD_MIN: Duration = Duration::from_micros(2_500);
const WINDOW: Duration = Duration::from_millis(20);
/// 20 ms at 48 kHz: sums of more might not fit.
const WINDOW_SAMPLES_MAX: usize = 960;
const FULL_VOLUME: Duration = Duration::from_millis(10);
const FADED: Duration = Duration::from_millis(60);
/// Samples that are made at once.
const PIECE: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Level, SineTone};
    use proptest::prelude::*;

    fn voiced(format: MediaFormat, ms: u64) -> Vec<u8> {
        let mut samples = vec![0; format.samples_in(Duration::from_millis(ms)) as usize];
        SineTone::new(format.sample_rate, 200.0, 10_000).fill(&mut samples);
        let mut bytes = Vec::new();
        encode_samples(format, &samples, &mut bytes);
        bytes
    }

    #[test]
    fn a_periodic_sound_goes_on_without_a_step() {
        for format in [MediaFormat::PCMU_8K, MediaFormat::linear16(8_000), MediaFormat::linear16(24_000)] {
            let mut concealer = Concealer::new(format);
            let sound = voiced(format, 60);
            let (heard, lost) = sound.split_at(format.bytes_in(Duration::from_millis(50)));
            concealer.heard(heard);
            let mut filled = vec![1; lost.len()];
            concealer.conceal(&mut filled);
            let decode = |bytes: &[u8]| {
                let mut samples = vec![0; format.samples_of(bytes.len()) as usize];
                decode_samples(format, bytes, &mut samples);
                samples
            };
            for (at, (is, should)) in decode(&filled).iter().zip(decode(lost)).enumerate() {
                assert!((i32::from(*is) - i32::from(should)).abs() < 700, "{format} {at}: {is} {should}");
            }
        }
    }

    #[test]
    fn a_longer_loss_fades_to_silence_within_sixty_milliseconds() {
        let mut concealer = Concealer::new(MediaFormat::PCMU_8K);
        concealer.heard(&voiced(MediaFormat::PCMU_8K, 40));
        let mut levels = Vec::new();
        for _ in 0..5 {
            let mut frame = [1; 160];
            concealer.conceal(&mut frame);
            levels.push(Level::of_frame(MediaFormat::PCMU_8K, &frame).mean_square);
        }
        assert!(levels[0] > levels[1] && levels[1] > levels[2] && levels[2] > 0.0, "{levels:?}");
        assert_eq!(levels[3..], [0.0, 0.0]);
    }

    #[test]
    fn before_anything_was_heard_a_loss_is_silence() {
        let mut out = [1; 160];
        Concealer::new(MediaFormat::PCMA_8K).conceal(&mut out);
        assert_eq!(out, [0xD5; 160]);
    }

    proptest! {
        #[test]
        fn a_loss_told_in_pieces_is_concealed_as_one(
            linear in any::<bool>(),
            steps in proptest::collection::vec((any::<bool>(), 0usize..500, any::<u8>()), 1..12),
        ) {
            let format = if linear { MediaFormat::linear16(16_000) } else { MediaFormat::PCMA_8K };
            let mut concealer = Concealer::new(format);
            for (lost, samples, seed) in steps {
                let bytes = samples * format.bytes_per_sample();
                if lost {
                    let (mut once, mut twice) = (vec![1; bytes], vec![1; bytes]);
                    let mut other = concealer.clone();
                    concealer.conceal(&mut once);
                    let cut = samples / 2 * format.bytes_per_sample();
                    other.conceal(&mut twice[..cut]);
                    other.conceal(&mut twice[cut..]);
                    prop_assert_eq!(once, twice);
                } else {
                    concealer.heard(&vec![seed; bytes]);
                    prop_assert!(concealer.history.len() <= concealer.history_max);
                }
            }
        }
    }
}
