//! Opus (RFC 6716) for one mono line, at the rate that the call wants: coded for speech, with the redundancy that
//! lets a lost packet be made from the next one (§2.1.7).
//!
//! The codec itself is the crate `ropus`; see `docs/adr` for why. RTP's clock and packet lengths are
//! [`LineCodec`](super::LineCodec)'s.

use std::fmt;

use ropus::{Application, Bitrate, Channels, DecodeMode, InbandFec};

/// Codes one direction.
pub struct OpusEncoder {
    inner: ropus::Encoder,
}

/// Decodes one direction.
pub struct OpusDecoder {
    inner: ropus::Decoder,
    sample_rate: u32,
}

impl OpusEncoder {
    /// A coder of samples at 8, 12, 16, 24 or 48 kHz; `None` for any other rate.
    pub fn new(sample_rate: u32) -> Option<Self> {
        let bits = if sample_rate > 16_000 { BITS_PER_SECOND_WIDE } else { BITS_PER_SECOND };
        let inner = ropus::Encoder::builder(sample_rate, Channels::Mono, Application::Voip)
            .bitrate(Bitrate::try_bits(bits).ok()?)
            .complexity(COMPLEXITY)
            .inband_fec(InbandFec::Enabled)
            .packet_loss_perc(LOSS_EXPECTED_PERCENT)
            .build()
            .ok()?;
        Some(Self { inner })
    }

    /// Overwrites `packet` with the packet of `samples`, which last 2.5, 5, 10, 20, 40 or 60 ms; leaves it empty
    /// if they do not.
    pub fn encode(&mut self, samples: &[i16], packet: &mut Vec<u8>) {
        packet.resize(PACKET_BYTES_MAX, 0);
        let length = self.inner.encode(samples, packet).unwrap_or(0);
        packet.truncate(length);
    }
}

impl OpusDecoder {
    /// A decoder that gives samples at 8, 12, 16, 24 or 48 kHz; `None` for any other rate.
    pub fn new(sample_rate: u32) -> Option<Self> {
        let inner = ropus::Decoder::new(sample_rate, Channels::Mono).ok()?;
        Some(Self { inner, sample_rate })
    }

    /// Overwrites `samples`, as many as the packet plays, with what it says; a packet that cannot be read is lost.
    pub fn decode(&mut self, packet: &[u8], samples: &mut [i16]) {
        match self.inner.decode(packet, samples, DecodeMode::Normal) {
            Ok(count) => samples.iter_mut().skip(count).for_each(|sample| *sample = 0),
            Err(_) => self.conceal(samples, &[]),
        }
    }

    /// Overwrites `lost` with what may stand in for lost packets; `next` is the packet that came after them, in
    /// which the last of them may be found once more.
    pub fn conceal(&mut self, lost: &mut [i16], next: &[u8]) {
        // Losses are made in steps of 2.5 ms, and the last piece with the next packet's help.
        let step = self.sample_rate as usize / 400;
        let piece = 8 * step;
        let last = lost.len().saturating_sub(1) / piece * piece;
        let mut room = [0i16; PIECE_SAMPLES_MAX];
        for (at, lost) in lost.chunks_mut(piece).enumerate() {
            let wanted = lost.len().next_multiple_of(step.max(1));
            let Some(room) = room.get_mut(..wanted) else { return lost.fill(0) };
            let helped = at * piece == last && !next.is_empty();
            let (packet, mode) = if helped { (next, DecodeMode::Fec) } else { (&[][..], DecodeMode::Normal) };
            if self.inner.decode(packet, room, mode).is_err() {
                room.fill(0);
            }
            lost.iter_mut().zip(room).for_each(|(to, from)| *to = *from);
        }
    }
}

impl fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusEncoder").finish_non_exhaustive()
    }
}

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusDecoder").field("sample_rate", &self.sample_rate).finish_non_exhaustive()
    }
}

/// Enough for speech at up to 16 kHz, and at more.
const BITS_PER_SECOND: u32 = 32_000;
const BITS_PER_SECOND_WIDE: u32 = 64_000;
/// Of 10: beyond it a second of speech costs more than is heard.
const COMPLEXITY: u8 = 5;
/// What the coder spends its redundancy for.
const LOSS_EXPECTED_PERCENT: u8 = 5;
/// The longest frame of one packet (RFC 6716 §3.4).
const PACKET_BYTES_MAX: usize = 1_275;
/// 20 ms at 48 kHz.
const PIECE_SAMPLES_MAX: usize = 960;

#[cfg(test)]
#[path = "opus_tests.rs"]
mod tests;
