//! What an RTP payload is: the codec of a phone's line, its clock, and the format in which the call works with it.
//!
//! The call machine sees only a [`MediaFormat`]; what it takes to get there and back is [`LineCoding`](super::LineCoding).

use std::fmt;
use std::time::Duration;

use super::format::MediaFormat;

/// The codec of a phone's RTP, one for both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineCodec {
    /// G.711 µ-law (RFC 3551 §4.5.14).
    Pcmu,
    /// G.711 A-law (RFC 3551 §4.5.14).
    Pcma,
    /// G.722 at 64 kbit/s; its clock is not its sample rate (RFC 3551 §4.5.2).
    G722,
    /// Opus, spoken as one channel (RFC 7587); coded where the feature `opus` is built in.
    Opus,
}

impl LineCodec {
    /// The encoding name of SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// Ticks per second of the stream's timestamps.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => OPUS_RATE,
        }
    }

    /// The format in which a call works with such a line when its bot's is `bot`: Opus can take the bot's rate, so
    /// that none has to be converted.
    pub fn format_towards(self, bot: MediaFormat) -> MediaFormat {
        match self {
            Self::Opus if OPUS_RATES.contains(&bot.sample_rate) => MediaFormat::linear16(bot.sample_rate),
            Self::Pcmu | Self::Pcma | Self::G722 | Self::Opus => self.widest_format(),
        }
    }

    /// The format that loses nothing of what such a line can carry.
    pub const fn widest_format(self) -> MediaFormat {
        match self {
            Self::Pcmu => MediaFormat::PCMU_8K,
            Self::Pcma => MediaFormat::PCMA_8K,
            Self::G722 => MediaFormat::linear16(16_000),
            Self::Opus => MediaFormat::linear16(OPUS_RATE),
        }
    }

    /// The longest packet of the codec that does not exceed `asked`; at least the codec's shortest.
    pub fn packet_time(self, asked: Duration) -> Duration {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => asked,
            Self::Opus => {
                let known = [60, 40, 20, 10].map(Duration::from_millis);
                known.into_iter().find(|time| *time <= asked).unwrap_or(Duration::from_millis(10))
            }
        }
    }

    /// Whole ticks of the clock in `duration`.
    pub fn ticks_in(self, duration: Duration) -> u64 {
        let ticks = duration.as_nanos() * u128::from(self.clock_rate()) / 1_000_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// The time that a payload plays, in ticks of the clock; 0 for one that cannot be.
    pub fn ticks_of(self, payload: &[u8]) -> u64 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => payload.len() as u64,
            Self::Opus => opus_ticks(payload),
        }
    }

    /// Ticks of the clock that `samples` of a format last.
    pub const fn ticks_of_samples(self, samples: u64, format: MediaFormat) -> u64 {
        match format.sample_rate {
            0 => 0,
            rate => samples.saturating_mul(self.clock_rate() as u64) / rate as u64,
        }
    }

    /// Samples of a format in `ticks` of the clock.
    pub const fn samples_in(self, ticks: u64, format: MediaFormat) -> u64 {
        ticks.saturating_mul(format.sample_rate as u64) / self.clock_rate() as u64
    }
}

impl fmt::Display for LineCodec {
    /// Name and clock as in SDP: `PCMU/8000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name(), self.clock_rate())
    }
}

/// The time that an Opus packet plays, in ticks of 48 kHz (RFC 6716 §3.1 and §3.2); 0 for more than its 120 ms.
fn opus_ticks(packet: &[u8]) -> u64 {
    let [toc, rest @ ..] = packet else { return 0 };
    let step = u32::from(toc >> 3);
    let frame: u64 = match step {
        // SILK: 10, 20, 40, 60 ms; hybrid: 10, 20 ms; CELT: 2.5, 5, 10, 20 ms.
        0..=11 if step % 4 == 3 => 2_880,
        0..=11 => 480 << (step % 4),
        12..=15 => 480 << (step % 2),
        _ => 120 << (step % 4),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(rest.first().copied().unwrap_or(0) & 0x3F),
    };
    Some(frame * frames).filter(|ticks| *ticks <= 5_760).unwrap_or(0)
}

/// Ticks and samples per second of Opus at its widest.
const OPUS_RATE: u32 = 48_000;
/// The rates at which Opus itself codes (RFC 6716 §2).
const OPUS_RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opus_packet_says_how_long_it_plays() {
        for (packet, ms_by_ten) in [
            (&[0x08][..], 200),
            (&[0x48, 1, 2], 200),
            (&[0x58, 1], 600),
            (&[0x68], 200),
            (&[0x60], 100),
            (&[0x80], 25),
            (&[0xF8], 200),
            (&[0xF9, 0], 400),
            (&[0xFA, 0], 400),
            (&[0xFB, 6], 1_200),
            (&[0xFB, 0xC3], 600),
            (&[0x0B, 63], 0),
            (&[0x1B, 3], 0),
            (&[0xFB], 0),
            (&[], 0),
        ] {
            assert_eq!(LineCodec::Opus.ticks_of(packet), ms_by_ten * 48 / 10, "{packet:02x?}");
        }
    }

    #[test]
    fn the_clock_of_g722_is_half_its_sample_rate_and_that_of_opus_stays() {
        let frame = Duration::from_millis(20);
        let wide = LineCodec::G722.widest_format();
        assert_eq!(LineCodec::G722.ticks_in(frame), 160);
        assert_eq!(LineCodec::G722.ticks_of(&[0; 160]), 160);
        assert_eq!(LineCodec::G722.samples_in(160, wide), 320);
        assert_eq!(LineCodec::G722.ticks_of_samples(320, wide), 160);
        for rate in [8_000, 16_000, 24_000, 48_000] {
            let format = LineCodec::Opus.format_towards(MediaFormat::linear16(rate));
            assert_eq!(format, MediaFormat::linear16(rate));
            assert_eq!(LineCodec::Opus.samples_in(960, format), u64::from(rate) / 50);
            assert_eq!(LineCodec::Opus.ticks_of_samples(u64::from(rate) / 50, format), 960);
        }
        assert_eq!(LineCodec::Opus.format_towards(MediaFormat::linear16(11_025)).sample_rate, 48_000);
        assert_eq!(LineCodec::Opus.format_towards(MediaFormat::PCMU_8K), MediaFormat::linear16(8_000));
    }

    #[test]
    fn a_packet_time_that_opus_does_not_have_becomes_a_shorter_one() {
        for (asked, becomes) in [(10, 10), (20, 20), (30, 20), (40, 40), (50, 40), (60, 60), (5, 10)] {
            let asked = Duration::from_millis(asked);
            assert_eq!(LineCodec::Opus.packet_time(asked), Duration::from_millis(becomes));
            assert_eq!(LineCodec::Pcmu.packet_time(asked), asked);
        }
    }
}
