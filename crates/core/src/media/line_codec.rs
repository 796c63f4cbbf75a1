//! What an RTP payload is: the codec of a phone's line, its clock, and the format in which the call works with it.
//!
//! The call machine sees only a [`MediaFormat`]; what it takes to get there and back belongs to the RTP leg.

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
}

impl LineCodec {
    /// The encoding name of SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// Ticks per second of the stream's timestamps.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// The format in which a call works with such a line.
    pub const fn format(self) -> MediaFormat {
        match self {
            Self::Pcmu => MediaFormat::PCMU_8K,
            Self::Pcma => MediaFormat::PCMA_8K,
        }
    }

    /// Whole ticks of the clock in `duration`.
    pub fn ticks_in(self, duration: Duration) -> u64 {
        let ticks = duration.as_nanos() * u128::from(self.clock_rate()) / 1_000_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Samples of the call's format in `ticks` of the clock.
    pub const fn samples_in(self, ticks: u64) -> u64 {
        match self {
            Self::Pcmu | Self::Pcma => ticks,
        }
    }

    /// The time that a payload plays, in ticks of the clock.
    pub const fn ticks_of(self, payload: &[u8]) -> u64 {
        match self {
            Self::Pcmu | Self::Pcma => payload.len() as u64,
        }
    }
}

impl fmt::Display for LineCodec {
    /// Name and clock as in SDP: `PCMU/8000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name(), self.clock_rate())
    }
}
