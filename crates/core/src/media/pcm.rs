//! Samples to bytes and back, in any [`MediaFormat`], at the format's own rate.

use super::format::{Encoding, MediaFormat};
use super::g711::Law;

/// Appends `samples` to `out` as bytes of `format`.
pub fn encode_samples(format: MediaFormat, samples: &[i16], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + samples.len() * format.bytes_per_sample(), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    match law_of(format) {
        Some(law) => law.encode(samples, room),
        None => {
            let pairs = room.chunks_exact_mut(2).zip(samples);
            pairs.for_each(|(to, from)| to.copy_from_slice(&from.to_le_bytes()));
        }
    }
}

/// Writes the whole samples of `bytes` into `samples`, as many as there is room for; returns how many.
pub fn decode_samples(format: MediaFormat, bytes: &[u8], samples: &mut [i16]) -> usize {
    match law_of(format) {
        Some(law) => law.decode(bytes, samples),
        None => {
            let pairs = samples.iter_mut().zip(bytes.chunks_exact(2));
            pairs.for_each(|(to, two)| *to = two.try_into().map_or(0, i16::from_le_bytes));
        }
    }
    samples.len().min(bytes.len() / format.bytes_per_sample())
}

/// The companding law of a G.711 format.
pub(super) const fn law_of(format: MediaFormat) -> Option<Law> {
    match format.encoding {
        Encoding::Pcmu => Some(Law::Mu),
        Encoding::Pcma => Some(Law::A),
        Encoding::Linear16 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_bytes_are_little_endian_and_a_split_sample_is_left_alone() {
        let mut bytes = Vec::new();
        encode_samples(MediaFormat::linear16(8_000), &[0x1234, -2], &mut bytes);
        assert_eq!(bytes, [0x34, 0x12, 0xFE, 0xFF]);
        let mut samples = [7; 3];
        assert_eq!(decode_samples(MediaFormat::linear16(8_000), &bytes[..3], &mut samples), 1);
        assert_eq!(samples, [0x1234, 7, 7]);
        assert_eq!(decode_samples(MediaFormat::PCMU_8K, &[0xFF; 9], &mut samples), 3);
        assert_eq!(samples, [0; 3]);
    }
}
