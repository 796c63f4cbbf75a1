//! One direction's way from one [`MediaFormat`] to another: decode, change the rate, encode, or nothing at all.
//!
//! Takes bytes in any pieces: half a 16-bit sample waits for its other half. Equal formats pass untouched, the two
//! G.711 laws by one table. Used by the call machine on both legs.

use super::format::MediaFormat;
use super::pcm::{decode_samples, encode_samples, law_of};
use super::resample::Resampler;

/// Converts a stream of bytes; one instance per direction.
#[derive(Debug, Clone)]
pub struct Converter {
    from: MediaFormat,
    to: MediaFormat,
    way: Way,
    /// The first byte of a 16-bit sample whose second has not come.
    half_sample: Option<u8>,
    odd_bytes_dropped: u64,
}

/// Two formats between which no filter exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no conversion from {from} to {to}: the sample rates have no small ratio")]
pub struct ConvertError {
    /// What would come in.
    pub from: MediaFormat,
    /// What was wanted.
    pub to: MediaFormat,
}

#[derive(Debug, Clone)]
enum Way {
    Untouched,
    OtherLaw(&'static [u8; 256]),
    Recode,
    Resample { resampler: Resampler, resampled: Vec<i16> },
}

impl Converter {
    /// A converter between two formats whose rates have a small ratio (all of 8, 16, 24 and 48 kHz do).
    pub fn new(from: MediaFormat, to: MediaFormat) -> Result<Self, ConvertError> {
        let way = if from == to {
            Way::Untouched
        } else if from.sample_rate != to.sample_rate {
            let resampler =
                Resampler::new(from.sample_rate, to.sample_rate).ok_or(ConvertError { from, to })?;
            Way::Resample { resampler, resampled: Vec::new() }
        } else {
            match (law_of(from), law_of(to)) {
                (Some(law), Some(_)) => Way::OtherLaw(law.to_other_law()),
                _ => Way::Recode,
            }
        };
        Ok(Self { from, to, way, half_sample: None, odd_bytes_dropped: 0 })
    }

    /// Appends the conversion of `input` to `out`. Any pieces of the same stream give the same bytes.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match &self.way {
            Way::Untouched => return out.extend_from_slice(input),
            Way::OtherLaw(table) => {
                return out
                    .extend(input.iter().map(|byte| table.get(usize::from(*byte)).copied().unwrap_or(0)));
            }
            Way::Recode | Way::Resample { .. } => {}
        }
        let mut samples = [0i16; PIECE];
        let sample = self.from.bytes_per_sample();
        let whole = if sample == 1 { input } else { self.complete_half_sample(input, out) };
        for piece in whole.chunks(PIECE * sample) {
            let count = decode_samples(self.from, piece, &mut samples);
            self.carry(samples.get(..count).unwrap_or_default(), out);
        }
    }

    /// Appends what the filter still holds; a half sample is dropped and counted. Ready for a new stream after.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.odd_bytes_dropped += u64::from(self.half_sample.take().is_some());
        if let Way::Resample { resampler, resampled } = &mut self.way {
            resampled.clear();
            resampler.finish(resampled);
            encode_samples(self.to, resampled, out);
        }
    }

    /// Takes out the half sample that waits for its other half, for whoever converts the stream from here on.
    pub fn take_half_sample(&mut self) -> Option<u8> {
        self.half_sample.take()
    }

    /// Forgets what the filter holds and half a sample, silently: the audio before it is unwanted.
    pub fn reset(&mut self) {
        self.half_sample = None;
        if let Way::Resample { resampler, .. } = &mut self.way {
            resampler.reset();
        }
    }

    /// The format that comes in.
    pub const fn from(&self) -> MediaFormat {
        self.from
    }

    /// The format that goes out.
    pub const fn to(&self) -> MediaFormat {
        self.to
    }

    /// Whether bytes pass as they are.
    pub const fn is_untouched(&self) -> bool {
        matches!(self.way, Way::Untouched)
    }

    /// Halves of samples that never became whole.
    pub const fn odd_bytes_dropped(&self) -> u64 {
        self.odd_bytes_dropped
    }

    /// Samples of the output by which a sound comes out later than it went in.
    pub fn delay_samples(&self) -> usize {
        match &self.way {
            Way::Resample { resampler, .. } => resampler.delay(),
            Way::Untouched | Way::OtherLaw(_) | Way::Recode => 0,
        }
    }

    /// Joins the waiting byte with the first of `input` and holds back a new odd one; returns whole samples.
    fn complete_half_sample<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let mut rest = input;
        if let (Some(first), Some((second, after))) = (self.half_sample, rest.split_first()) {
            self.half_sample = None;
            self.carry(&[i16::from_le_bytes([first, *second])], out);
            rest = after;
        }
        if rest.len() % 2 == 1
            && let Some((odd, whole)) = rest.split_last()
        {
            self.half_sample = Some(*odd);
            rest = whole;
        }
        rest
    }

    /// Takes decoded samples the rest of the way.
    fn carry(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match &mut self.way {
            Way::Resample { resampler, resampled } => {
                resampled.clear();
                resampler.process(samples, resampled);
                encode_samples(self.to, resampled, out);
            }
            Way::Untouched | Way::OtherLaw(_) | Way::Recode => encode_samples(self.to, samples, out),
        }
    }
}

/// Samples that are decoded at once: 60 ms at 8 kHz, small enough for the stack and the first cache.
const PIECE: usize = 480;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Encoding;
    use crate::media::g711::Law;
    use proptest::prelude::*;

    const FORMATS: [MediaFormat; 7] = [
        MediaFormat::PCMU_8K,
        MediaFormat::PCMA_8K,
        MediaFormat::linear16(8_000),
        MediaFormat::linear16(16_000),
        MediaFormat::linear16(24_000),
        MediaFormat::linear16(48_000),
        MediaFormat { encoding: Encoding::Pcmu, sample_rate: 16_000 },
    ];

    fn whole(from: MediaFormat, to: MediaFormat, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut converter = Converter::new(from, to).unwrap();
        converter.convert(bytes, &mut out);
        converter.finish(&mut out);
        out
    }

    #[test]
    fn equal_formats_pass_untouched() {
        let mut converter = Converter::new(MediaFormat::PCMU_8K, MediaFormat::PCMU_8K).unwrap();
        assert!(converter.is_untouched());
        let mut out = Vec::new();
        converter.convert(&[1, 2, 3], &mut out);
        converter.finish(&mut out);
        assert_eq!(out, [1, 2, 3]);
        assert!(!Converter::new(MediaFormat::PCMU_8K, MediaFormat::PCMA_8K).unwrap().is_untouched());
    }

    #[test]
    fn a_split_sample_waits_for_its_other_half_and_a_lonely_one_is_counted() {
        let mut converter = Converter::new(MediaFormat::linear16(8_000), MediaFormat::PCMU_8K).unwrap();
        let mut out = Vec::new();
        for byte in 1_000i16.to_le_bytes() {
            converter.convert(&[byte], &mut out);
        }
        assert_eq!(out, [Law::Mu.encode_sample(1_000)]);
        converter.convert(&[7], &mut out);
        converter.finish(&mut out);
        assert_eq!((out.len(), converter.odd_bytes_dropped()), (1, 1));
        // The next stream begins on a sample.
        converter.convert(&1_000i16.to_le_bytes(), &mut out);
        assert_eq!(out, [Law::Mu.encode_sample(1_000); 2]);
    }

    #[test]
    fn g711_in_and_out_of_linear_at_any_common_rate_keeps_the_sound() {
        let bytes: Vec<u8> = (0..=255).collect();
        let there = whole(MediaFormat::PCMA_8K, MediaFormat::linear16(8_000), &bytes);
        assert_eq!(there.len(), 512);
        assert_eq!(whole(MediaFormat::linear16(8_000), MediaFormat::PCMA_8K, &there), bytes);
    }

    #[test]
    fn rates_without_a_small_ratio_are_refused_by_name() {
        let (from, to) = (MediaFormat::linear16(44_100), MediaFormat::PCMU_8K);
        let error = Converter::new(from, to).unwrap_err();
        assert_eq!(error, ConvertError { from, to });
        assert!(error.to_string().contains("linear16/44100"));
        assert!(Converter::new(MediaFormat::linear16(0), to).is_err());
        assert!(Converter::new(to, MediaFormat::linear16(0)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_pieces_of_a_stream_give_the_bytes_of_the_whole(
            from in 0..FORMATS.len(),
            to in 0..FORMATS.len(),
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..12),
        ) {
            let (from, to) = (FORMATS[from], FORMATS[to]);
            let mut converter = Converter::new(from, to).unwrap();
            let mut out = Vec::new();
            for piece in &pieces {
                converter.convert(piece, &mut out);
            }
            converter.finish(&mut out);
            prop_assert_eq!(out, whole(from, to, &pieces.concat()));
        }
    }
}
