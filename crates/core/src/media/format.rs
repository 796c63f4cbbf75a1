//! What a stream of audio bytes means: encoding and sample rate, always one channel.
//!
//! Not a negotiation (SDP and the dialects do that) and not a codec; everything that counts samples asks here.

use std::fmt;
use std::time::Duration;

/// How one sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// G.711 µ-law, one byte a sample.
    Pcmu,
    /// G.711 A-law, one byte a sample.
    Pcma,
    /// Signed 16-bit, little-endian, in memory and on WebSockets (RTP's L16 is big-endian and is not this).
    Linear16,
}

/// Encoding and sample rate of a mono stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaFormat {
    /// How one sample is written.
    pub encoding: Encoding,
    /// Samples per second.
    pub sample_rate: u32,
}

impl MediaFormat {
    /// G.711 µ-law at 8 kHz.
    pub const PCMU_8K: Self = Self { encoding: Encoding::Pcmu, sample_rate: 8_000 };
    /// G.711 A-law at 8 kHz.
    pub const PCMA_8K: Self = Self { encoding: Encoding::Pcma, sample_rate: 8_000 };

    /// 16-bit linear at `sample_rate` samples per second.
    pub const fn linear16(sample_rate: u32) -> Self {
        Self { encoding: Encoding::Linear16, sample_rate }
    }

    /// Bytes of one sample.
    pub const fn bytes_per_sample(self) -> usize {
        match self.encoding {
            Encoding::Pcmu | Encoding::Pcma => 1,
            Encoding::Linear16 => 2,
        }
    }

    /// Whole samples in `duration`, rounded down.
    pub fn samples_in(self, duration: Duration) -> u64 {
        let samples = duration.as_nanos() * u128::from(self.sample_rate) / 1_000_000_000;
        u64::try_from(samples).unwrap_or(u64::MAX)
    }

    /// Bytes of the whole samples in `duration`.
    pub fn bytes_in(self, duration: Duration) -> usize {
        let samples = usize::try_from(self.samples_in(duration)).unwrap_or(usize::MAX);
        samples.saturating_mul(self.bytes_per_sample())
    }

    /// Whole samples in `bytes`, rounded down.
    pub const fn samples_of(self, bytes: usize) -> u64 {
        (bytes / self.bytes_per_sample()) as u64
    }

    /// The time that `bytes` play, to the nanosecond below; zero for a rate of zero.
    pub fn duration_of(self, bytes: usize) -> Duration {
        self.duration_of_samples(self.samples_of(bytes))
    }

    /// The time that `samples` play, to the nanosecond below; zero for a rate of zero.
    pub fn duration_of_samples(self, samples: u64) -> Duration {
        let rate = u128::from(self.sample_rate.max(1));
        let nanos = u128::from(samples) * 1_000_000_000 / rate;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The byte that silence repeats (both bytes of a linear sample are zero).
    pub const fn silence_byte(self) -> u8 {
        match self.encoding {
            Encoding::Pcmu => 0xFF,
            Encoding::Pcma => 0xD5,
            Encoding::Linear16 => 0,
        }
    }

    /// Overwrites `frame` with silence.
    pub fn fill_silence(self, frame: &mut [u8]) {
        frame.fill(self.silence_byte());
    }
}

impl fmt::Display for MediaFormat {
    /// `PCMU/8000`, `PCMA/8000`, `linear16/24000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.encoding {
            Encoding::Pcmu => "PCMU",
            Encoding::Pcma => "PCMA",
            Encoding::Linear16 => "linear16",
        };
        write!(f, "{name}/{}", self.sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_milliseconds_have_the_known_sizes() {
        let frame = Duration::from_millis(20);
        for (format, bytes, name) in [
            (MediaFormat::PCMU_8K, 160, "PCMU/8000"),
            (MediaFormat::PCMA_8K, 160, "PCMA/8000"),
            (MediaFormat::linear16(8_000), 320, "linear16/8000"),
            (MediaFormat::linear16(24_000), 960, "linear16/24000"),
        ] {
            assert_eq!(format.bytes_in(frame), bytes, "{name}");
            assert_eq!(format.duration_of(bytes), frame, "{name}");
            assert_eq!(format.to_string(), name);
        }
    }

    #[test]
    fn a_split_sample_plays_no_time() {
        assert_eq!(MediaFormat::linear16(8_000).samples_of(3), 1);
        assert_eq!(MediaFormat::linear16(8_000).duration_of(1), Duration::ZERO);
    }

    #[test]
    fn extreme_durations_and_rates_neither_overflow_nor_divide_by_zero() {
        let format = MediaFormat::linear16(u32::MAX);
        assert_eq!(format.samples_in(Duration::MAX), u64::MAX);
        assert_eq!(format.bytes_in(Duration::MAX), usize::MAX);
        assert!(MediaFormat::linear16(0).duration_of(usize::MAX) > Duration::ZERO);
    }

    #[test]
    fn silence_decodes_to_zero_in_every_encoding() {
        assert_eq!(crate::media::g711::Law::Mu.decode_sample(MediaFormat::PCMU_8K.silence_byte()), 0);
        // A-law has no zero: its quietest values are ±8.
        assert_eq!(crate::media::g711::Law::A.decode_sample(MediaFormat::PCMA_8K.silence_byte()), 8);
    }
}
