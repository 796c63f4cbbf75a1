//! What a caller says: a WAV file of any rate, a tone, or nothing, as linear frames at 8 kHz.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use hound::{SampleFormat, WavIntoSamples, WavReader};
use patchcord_core::media::{Resampler, SineTone};

/// The source of a caller's audio.
pub enum Voice {
    /// Says nothing.
    Silent,
    /// A steady tone: 440 Hz, which no telephone network makes of itself.
    Tone(SineTone),
    /// A file, then silence.
    Clip(Box<Clip>),
}

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    /// It cannot be read, or is no WAV file.
    #[error("{0}")]
    Wav(#[from] hound::Error),
    /// It has samples of a kind that is not played.
    #[error("{bits}-bit floating-point or exotic samples: 8, 16, 24 or 32-bit PCM is played")]
    Samples {
        /// The size of a sample.
        bits: u16,
    },
    /// It has no channel or no sample rate.
    #[error("a WAV file without a channel or a sample rate")]
    Empty,
}

impl Voice {
    /// A 440 Hz tone.
    pub fn tone() -> Self {
        Self::Tone(SineTone::new(SAMPLE_RATE, 440.0, 8_000))
    }

    /// Plays a file once.
    ///
    /// # Errors
    /// [`VoiceError`] when it is no WAV file with whole-number samples.
    pub fn clip(path: &Path) -> Result<Self, VoiceError> {
        Ok(Self::Clip(Box::new(Clip::open(path)?)))
    }

    /// Overwrites `frame` with what comes next.
    pub fn fill(&mut self, frame: &mut [i16]) {
        match self {
            Self::Silent => frame.fill(0),
            Self::Tone(tone) => tone.fill(frame),
            Self::Clip(clip) => clip.fill(frame),
        }
    }
}

/// A WAV file that is read as it is played: whatever its length, a few frames of it are in memory.
pub struct Clip {
    samples: WavIntoSamples<BufReader<File>, i32>,
    channels: u16,
    bits: u16,
    rate: RateChange,
    /// Samples at 8 kHz that wait to be played, and how many of them were.
    ready: Vec<i16>,
    played: usize,
    piece: Vec<i16>,
    /// Samples of the file that make a frame.
    piece_samples: usize,
}

impl Clip {
    fn open(path: &Path) -> Result<Self, VoiceError> {
        let reader = WavReader::open(path)?;
        let spec = reader.spec();
        if spec.sample_format != SampleFormat::Int || ![8, 16, 24, 32].contains(&spec.bits_per_sample) {
            return Err(VoiceError::Samples { bits: spec.bits_per_sample });
        }
        if spec.channels == 0 || spec.sample_rate == 0 {
            return Err(VoiceError::Empty);
        }
        Ok(Self {
            samples: reader.into_samples(),
            channels: spec.channels,
            bits: spec.bits_per_sample,
            rate: RateChange::from(spec.sample_rate),
            ready: Vec::new(),
            played: 0,
            piece: Vec::new(),
            piece_samples: usize::try_from(spec.sample_rate.div_ceil(50)).unwrap_or(usize::MAX),
        })
    }

    fn fill(&mut self, frame: &mut [i16]) {
        while self.ready.len() - self.played < frame.len() {
            self.ready.drain(..self.played);
            self.played = 0;
            if !self.read_piece() {
                break;
            }
        }
        let waiting = self.ready.get(self.played..).unwrap_or_default();
        let count = waiting.len().min(frame.len());
        for (at, sample) in frame.iter_mut().enumerate() {
            *sample = waiting.get(at).copied().unwrap_or(0);
        }
        self.played += count;
    }

    /// Reads and converts 20 ms; `false` when the file is over, or broken: what it has is played.
    fn read_piece(&mut self) -> bool {
        self.piece.clear();
        while self.piece.len() < self.piece_samples {
            let Some(sample) = self.read_mixed() else { break };
            self.piece.push(sample);
        }
        if self.piece.is_empty() {
            return false;
        }
        self.rate.process(&self.piece, &mut self.ready);
        true
    }

    /// The next sample, all channels mixed.
    fn read_mixed(&mut self) -> Option<i16> {
        let mut sum = 0i64;
        for _ in 0..self.channels {
            sum += i64::from(self.samples.next()?.ok()?);
        }
        let mean = sum / i64::from(self.channels);
        let shifted = if self.bits < 16 { mean << (16 - self.bits) } else { mean >> (self.bits - 16) };
        Some(i16::try_from(shifted).unwrap_or(if shifted < 0 { i16::MIN } else { i16::MAX }))
    }
}

/// From any rate to 8 kHz.
enum RateChange {
    Filter(Resampler),
    /// A rate without a small ratio (44.1 kHz): interpolated to 48 kHz first, which is good enough to play.
    Interpolate {
        /// Input samples per sample at 48 kHz.
        step: f64,
        /// Where between the two middle ones of the last four input samples the next output lies.
        at: f64,
        last: [f64; 4],
        between: Vec<i16>,
        filter: Option<Resampler>,
    },
}

impl RateChange {
    fn from(rate: u32) -> Self {
        match Resampler::new(rate, SAMPLE_RATE) {
            Some(filter) => Self::Filter(filter),
            None => Self::Interpolate {
                step: f64::from(rate) / f64::from(BETWEEN_RATE),
                at: 0.0,
                last: [0.0; 4],
                between: Vec::new(),
                filter: Resampler::new(BETWEEN_RATE, SAMPLE_RATE),
            },
        }
    }

    fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        match self {
            Self::Filter(filter) => filter.process(input, out),
            Self::Interpolate { step, at, last, between, filter } => {
                between.clear();
                for sample in input {
                    let [_, before, left, right] = *last;
                    *last = [before, left, right, f64::from(*sample)];
                    while *at < 1.0 {
                        between.push(catmull_rom(last, *at).clamp(-32_768.0, 32_767.0).round() as i16);
                        *at += *step;
                    }
                    *at -= 1.0;
                }
                if let Some(filter) = filter {
                    filter.process(between, out);
                }
            }
        }
    }
}

/// The smooth curve through four equidistant points, `at` (0 to 1) between the middle two.
fn catmull_rom([a, b, c, d]: &[f64; 4], at: f64) -> f64 {
    let slope = 0.5 * (c - a);
    let bend = a - 2.5 * b + 2.0 * c - 0.5 * d;
    let twist = 0.5 * (d - a) + 1.5 * (b - c);
    b + at * (slope + at * (bend + at * twist))
}

/// A telephone's.
const SAMPLE_RATE: u32 = 8_000;
const BETWEEN_RATE: u32 = 48_000;

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};
    use std::path::PathBuf;

    /// A second of a 500 Hz sine, in a file that is removed when this is dropped.
    struct SineFile(PathBuf);

    impl SineFile {
        fn write(name: &str, spec: WavSpec) -> Self {
            let path =
                std::env::temp_dir().join(format!("patchcord-voice-{}-{name}.wav", std::process::id()));
            let mut writer = WavWriter::create(&path, spec).unwrap();
            let full = f64::from(1u32 << (spec.bits_per_sample - 1)) * 0.5;
            for n in 0..spec.sample_rate {
                let turn = f64::from(n) * 500.0 / f64::from(spec.sample_rate) * std::f64::consts::TAU;
                for _ in 0..spec.channels {
                    writer.write_sample((full * turn.sin()) as i32).unwrap();
                }
            }
            writer.finalize().unwrap();
            Self(path)
        }
    }

    impl Drop for SineFile {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    fn spec(sample_rate: u32, bits_per_sample: u16, channels: u16) -> WavSpec {
        WavSpec { channels, sample_rate, bits_per_sample, sample_format: SampleFormat::Int }
    }

    /// How much of the sound is a 500 Hz sine of half the full scale, at any phase: 1 if all.
    fn likeness(samples: &[i16]) -> f64 {
        let (mut sin, mut cos, mut energy) = (0.0, 0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let turn = n as f64 * 500.0 / 8_000.0 * std::f64::consts::TAU;
            let value = f64::from(*sample) / 16_384.0;
            sin += value * turn.sin();
            cos += value * turn.cos();
            energy += value * value;
        }
        let half = samples.len() as f64 / 2.0;
        assert!((energy / half - 1.0).abs() < 0.05, "loudness {}", energy / half);
        (sin * sin + cos * cos) / (half * half)
    }

    #[test]
    fn files_of_any_rate_size_and_number_of_channels_sound_alike() {
        for (rate, bits, channels) in [
            (8_000, 16, 1),
            (16_000, 16, 2),
            (24_000, 24, 1),
            (44_100, 16, 2),
            (48_000, 32, 1),
            (11_025, 16, 1),
        ] {
            let file = SineFile::write(&format!("{rate}-{bits}"), spec(rate, bits, channels));
            let mut voice = Voice::clip(&file.0).unwrap();
            let mut heard = vec![0; 8_000];
            heard.chunks_mut(160).for_each(|frame| voice.fill(frame));
            let middle = likeness(&heard[400..7_600]);
            assert!(middle > 0.98, "{rate} Hz, {bits} bit: {middle}");
            // A file that has ended is silent, for ever.
            let mut frame = [7; 160];
            (0..10).for_each(|_| voice.fill(&mut frame));
            assert_eq!(frame, [0; 160]);
        }
    }

    #[test]
    fn what_is_no_wav_file_is_refused_with_the_reason() {
        let missing = Voice::clip(Path::new("no-such-file.wav"));
        assert!(matches!(missing, Err(VoiceError::Wav(_))));
    }
}
