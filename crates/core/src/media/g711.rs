//! G.711 µ-law and A-law, bit-exact with ITU-T G.711 as 16-bit linear (the reference's left-aligned samples).
//!
//! Decoding is a table. Encoding is branch-free arithmetic on the bits of a float, whose exponent is the companding
//! segment and whose top mantissa bits are the step within it: compilers turn the slice loop into vector code.

/// Which of the two companding laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law (PCMU).
    Mu,
    /// A-law (PCMA).
    A,
}

impl Law {
    /// Decodes one byte to 16-bit linear.
    pub fn decode_sample(self, byte: u8) -> i16 {
        match self {
            Self::Mu => look_up(&MU, byte),
            Self::A => look_up(&A, byte),
        }
    }

    /// Encodes one 16-bit linear sample.
    pub fn encode_sample(self, sample: i16) -> u8 {
        match self {
            Self::Mu => encode_mu(sample),
            Self::A => encode_a(sample),
        }
    }

    /// Decodes as many bytes as both slices hold.
    pub fn decode(self, bytes: &[u8], samples: &mut [i16]) {
        match self {
            Self::Mu => samples.iter_mut().zip(bytes).for_each(|(to, from)| *to = look_up(&MU, *from)),
            Self::A => samples.iter_mut().zip(bytes).for_each(|(to, from)| *to = look_up(&A, *from)),
        }
    }

    /// Encodes as many samples as both slices hold.
    pub fn encode(self, samples: &[i16], bytes: &mut [u8]) {
        match self {
            Self::Mu => bytes.iter_mut().zip(samples).for_each(|(to, from)| *to = encode_mu(*from)),
            Self::A => bytes.iter_mut().zip(samples).for_each(|(to, from)| *to = encode_a(*from)),
        }
    }

    /// The table that turns a byte of this law into the other's, by way of linear.
    pub fn to_other_law(self) -> &'static [u8; 256] {
        match self {
            Self::Mu => &MU_TO_A,
            Self::A => &A_TO_MU,
        }
    }
}

/// A byte cannot miss its table.
fn look_up(table: &[i16; 256], byte: u8) -> i16 {
    table.get(usize::from(byte)).copied().unwrap_or(0)
}

/// µ-law: a sign bit and, inverted, three bits of segment and four of step; G.711 table 2, 14-bit scale.
const fn decode_mu(byte: u8) -> i16 {
    let code = !byte;
    let (segment, step) = ((code >> 4) & 7, (code & 0xF) as i16);
    let magnitude = (((2 * step + 33) << segment) - 33) << 2;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// A-law: a sign bit (set for positive), three bits of segment, four of step, even bits inverted; 13-bit scale.
const fn decode_a(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, (code & 0xF) as i16);
    // The lowest segment is linear: it has the steps of the second without its offset.
    let magnitude = if segment == 0 { (2 * step + 1) << 3 } else { (2 * step + 33) << (segment + 2) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn encode_mu(sample: i16) -> u8 {
    let sample = sample as i32;
    // One's complement of negative values, as the reference has it: -1 is the negative zero.
    let sign = sample >> 31;
    let biased = ((sample ^ sign) >> 2) + 33;
    let clipped = if biased > 0x1FFF { 0x1FFF } else { biased };
    let code = ((clipped as f32).to_bits() >> 19) as i32 - ((127 + 5) << 4);
    (!(code | (sign & 0x80))) as u8
}

const fn encode_a(sample: i16) -> u8 {
    let sample = sample as i32;
    let sign = sample >> 31;
    let magnitude = (sample ^ sign) >> 4;
    let curved = ((magnitude as f32).to_bits() >> 19) as i32 - ((127 + 3) << 4);
    let code = if magnitude < 16 { magnitude } else { curved };
    ((code | (!sign & 0x80)) ^ 0x55) as u8
}

static MU: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = decode_mu(byte as u8);
        byte += 1;
    }
    table
};

static A: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = decode_a(byte as u8);
        byte += 1;
    }
    table
};

static MU_TO_A: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = encode_a(decode_mu(byte as u8));
        byte += 1;
    }
    table
};

static A_TO_MU: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = encode_mu(decode_a(byte as u8));
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The decision intervals of G.711's tables: widths of successive steps on the positive side, and the shift
    /// that aligns them with 16 bits.
    fn intervals(law: Law) -> (Vec<i32>, u32) {
        let segments = |first: i32, count: i32| (0..count).flat_map(move |s| [first << s; 16]);
        match law {
            Law::Mu => {
                (std::iter::once(1).chain(std::iter::repeat_n(2, 15)).chain(segments(4, 7)).collect(), 2)
            }
            Law::A => ([1; 16].into_iter().chain(segments(1, 7)).collect(), 4),
        }
    }

    /// The code of every magnitude by walking the table's decision values.
    fn positive_codes(law: Law) -> Vec<u8> {
        let (widths, shift) = intervals(law);
        assert_eq!(widths.len(), 128);
        let mut codes = Vec::new();
        for (step, width) in widths.iter().enumerate() {
            let code = match law {
                Law::Mu => !(step as u8),
                Law::A => (step as u8 | 0x80) ^ 0x55,
            };
            codes.extend(std::iter::repeat_n(code, *width as usize));
        }
        let scale_max = 32_768 >> shift;
        let last = *codes.last().unwrap();
        codes.resize(scale_max.max(codes.len()), last);
        codes
    }

    #[test]
    fn every_linear_value_is_encoded_by_the_decision_values_of_the_standard() {
        for law in [Law::Mu, Law::A] {
            let codes = positive_codes(law);
            let shift = intervals(law).1;
            for sample in i16::MIN..=i16::MAX {
                let negative = sample < 0;
                let magnitude = if negative { !sample } else { sample } >> shift;
                let flip = if negative { 0x80 } else { 0 };
                let expected = codes[magnitude as usize] ^ flip;
                assert_eq!(law.encode_sample(sample), expected, "{law:?} {sample}");
            }
        }
    }

    #[test]
    fn every_byte_decodes_to_the_middle_of_its_interval() {
        for law in [Law::Mu, Law::A] {
            let (widths, shift) = intervals(law);
            let mut start = 0;
            for (step, width) in widths.iter().enumerate() {
                // The first µ-law interval is half of one that is centred on zero.
                let middle = if law == Law::Mu && step == 0 { 0 } else { (2 * start + width) << (shift - 1) };
                let positive = match law {
                    Law::Mu => !(step as u8),
                    Law::A => (step as u8 | 0x80) ^ 0x55,
                };
                assert_eq!(i32::from(law.decode_sample(positive)), middle, "{law:?} {step}");
                assert_eq!(i32::from(law.decode_sample(positive ^ 0x80)), -middle, "{law:?} -{step}");
                start += width;
            }
        }
    }

    #[test]
    fn coding_what_was_decoded_changes_nothing() {
        for law in [Law::Mu, Law::A] {
            for byte in 0..=255u8 {
                let linear = law.decode_sample(byte);
                assert_eq!(law.decode_sample(law.encode_sample(linear)), linear, "{law:?} {byte}");
                // Only the negative zero of µ-law has a second spelling.
                if (law, byte) != (Law::Mu, 0x7F) {
                    assert_eq!(law.encode_sample(linear), byte, "{law:?}");
                }
            }
        }
    }

    #[test]
    fn the_extremes_are_those_of_the_standard() {
        assert_eq!(Law::Mu.decode_sample(0x80), 32_124);
        assert_eq!(Law::Mu.decode_sample(0x00), -32_124);
        assert_eq!(Law::A.decode_sample(0xAA), 32_256);
        assert_eq!(Law::A.decode_sample(0x2A), -32_256);
        assert_eq!((Law::Mu.encode_sample(i16::MAX), Law::Mu.encode_sample(i16::MIN)), (0x80, 0x00));
        assert_eq!((Law::A.encode_sample(i16::MAX), Law::A.encode_sample(i16::MIN)), (0xAA, 0x2A));
    }

    #[test]
    fn slices_of_any_length_agree_with_single_samples() {
        let bytes: Vec<u8> = (0..=255).collect();
        for law in [Law::Mu, Law::A] {
            for length in [0, 1, 7, 160, 256] {
                let mut samples = vec![0; length];
                law.decode(&bytes[..length], &mut samples);
                assert!(samples.iter().zip(&bytes).all(|(s, b)| *s == law.decode_sample(*b)));
                let mut again = vec![0; length];
                law.encode(&samples, &mut again);
                assert!(again.iter().zip(&samples).all(|(b, s)| *b == law.encode_sample(*s)));
            }
        }
    }

    #[test]
    fn changing_the_law_keeps_the_sound_within_one_step() {
        for byte in 0..=255u8 {
            let mu = i32::from(Law::Mu.decode_sample(byte));
            let a = i32::from(Law::A.decode_sample(Law::Mu.to_other_law()[usize::from(byte)]));
            assert!((mu - a).abs() <= 16 + mu.abs() / 16, "{byte}: {mu} {a}");
            let back = i32::from(Law::Mu.decode_sample(Law::A.to_other_law()[usize::from(byte)]));
            let from = i32::from(Law::A.decode_sample(byte));
            assert!((back - from).abs() <= 16 + from.abs() / 16, "{byte}: {from} {back}");
        }
    }
}
