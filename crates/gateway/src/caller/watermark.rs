//! A mark in the sound itself: which call a 20 ms frame belongs to and which of its frames it is.
//!
//! It survives both G.711 laws, 16-bit linear, re-framing at any sample offset and rate conversion with a pass
//! band of 3.4 kHz. It is loud and ugly: for measuring paths, never for people. Used by `bench` and by tests.
//!
//! One frame is 160 samples at 8 kHz: 16 high and 16 low, at a loudness that nothing else in it reaches, then
//! 32 bits of four samples each: frame number, call number, check.

use std::collections::VecDeque;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// Which frame of its call, modulo [`Watermark::NUMBERS`].
    pub number: u16,
    /// Which call, modulo [`Watermark::CALLS`].
    pub call: u16,
}

/// What was found in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A whole mark; its first sample is number `at` of the stream.
    Mark {
        /// What it says.
        mark: Watermark,
        /// Samples of the stream before it.
        at: u64,
    },
    /// The beginning of a mark whose rest does not hold together.
    Damaged,
}

/// Finds marks in a stream of linear samples at 8 kHz that comes in any pieces.
#[derive(Debug, Default)]
pub struct WatermarkDetector {
    waiting: VecDeque<i16>,
    /// Samples of the stream before the first that waits.
    passed: u64,
}

impl Watermark {
    /// Frame numbers begin again after this many: 82 seconds.
    pub const NUMBERS: u16 = 1 << 12;
    /// Call numbers begin again after this many.
    pub const CALLS: u16 = 1 << 12;
    /// Samples of a marked frame, at 8 kHz.
    pub const SAMPLES: usize = 160;

    /// Writes the whole marked frame.
    pub fn write(self, frame: &mut [i16; Self::SAMPLES]) {
        let word = self.word();
        for (at, sample) in frame.iter_mut().enumerate() {
            *sample = match at {
                ..PLATEAU => LOUD,
                PLATEAU..EDGES => -LOUD,
                _ => {
                    let bit = (at - EDGES) / SYMBOL;
                    if word >> (BITS - 1 - bit) & 1 == 1 { QUIET } else { -QUIET }
                }
            };
        }
    }

    fn word(self) -> u32 {
        let fields = u32::from(self.number % Self::NUMBERS) << 12 | u32::from(self.call % Self::CALLS);
        (fields << 8 | u32::from(crc8(fields))) ^ WHITENING
    }

    fn of_word(word: u32) -> Option<Self> {
        let plain = word ^ WHITENING;
        let (fields, check) = (plain >> 8, plain & 0xFF);
        let twelve_bits = |value: u32| u16::try_from(value & 0xFFF).unwrap_or_default();
        (u32::from(crc8(fields)) == check)
            .then(|| Self { number: twelve_bits(fields >> 12), call: twelve_bits(fields) })
    }
}

impl WatermarkDetector {
    /// Takes the next samples of the stream and tells what they complete.
    pub fn listen(&mut self, samples: impl Iterator<Item = i16>, tell: &mut impl FnMut(Found)) {
        self.waiting.extend(samples);
        let window: &[i16] = self.waiting.make_contiguous();
        let mut start = 0;
        while let Some(frame) = window.get(start..start + Watermark::SAMPLES) {
            if !begins_a_mark(frame) {
                start += 1;
                continue;
            }
            match read_mark(frame) {
                Some(mark) => {
                    tell(Found::Mark { mark, at: self.passed + start as u64 });
                    start += Watermark::SAMPLES - PLATEAU / 2;
                }
                None => {
                    tell(Found::Damaged);
                    // What follows may be the next mark already, if this one was cut short.
                    start += EDGES;
                }
            }
        }
        self.waiting.drain(..start);
        self.passed += start as u64;
    }

    /// Audio is missing here: what waits for its rest will never have it.
    pub fn skip(&mut self) {
        self.passed += self.waiting.len() as u64;
        self.waiting.clear();
    }

    /// Samples taken so far.
    pub fn position(&self) -> u64 {
        self.passed + self.waiting.len() as u64
    }
}

/// Whether the falling edge of a mark that begins with this frame is where it belongs.
fn begins_a_mark(frame: &[i16]) -> bool {
    let Some((before, after)) = frame.get(..EDGES).and_then(|edges| edges.split_at_checked(PLATEAU)) else {
        return false;
    };
    let (Some(&last_high), Some(&first_low)) = (before.last(), after.first()) else { return false };
    // The samples beside the edges ring after a filter; the middle of a plateau does not.
    let (high, low) = (before.iter().skip(MARGIN), after.iter().skip(MARGIN));
    last_high >= 0
        && first_low < 0
        && high.take(PLATEAU - 2 * MARGIN).all(|sample| *sample > LOUD_MIN)
        && low.take(PLATEAU - 2 * MARGIN).all(|sample| *sample < -LOUD_MIN)
}

fn read_mark(frame: &[i16]) -> Option<Watermark> {
    let symbols = frame.get(EDGES..)?.chunks_exact(SYMBOL).take(BITS);
    let word = symbols.map(read_symbol).try_fold(0u32, |word, bit| Some(word << 1 | u32::from(bit?)))?;
    Watermark::of_word(word)
}

/// The bit, when both samples in the middle agree on it and neither is too loud or too quiet.
fn read_symbol(symbol: &[i16]) -> Option<bool> {
    let &[_, left, right, _] = symbol else { return None };
    let fits = |sample: i16| (QUIET_MIN..=QUIET_MAX).contains(&sample.unsigned_abs());
    (fits(left) && fits(right) && (left > 0) == (right > 0)).then_some(left > 0)
}

/// CRC-8 (polynomial x⁸+x²+x+1, all ones at the start) of the 24 bits of both fields.
fn crc8(fields: u32) -> u8 {
    fields.to_be_bytes().into_iter().skip(1).fold(0xFF, |crc: u8, byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    })
}

/// The two plateaus at the beginning of a mark, and the lowest that one may be.
const LOUD: i16 = 12_000;
const LOUD_MIN: i16 = 7_500;
/// A bit, and what its samples may be after coding and filters.
const QUIET: i16 = 4_000;
const QUIET_MIN: u16 = 1_500;
const QUIET_MAX: u16 = 7_000;
const PLATEAU: usize = 16;
const EDGES: usize = 2 * PLATEAU;
const MARGIN: usize = 4;
const SYMBOL: usize = 4;
const BITS: usize = 32;
/// Keeps a mark from staying on one side for long, which a path with a high-pass would not carry.
const WHITENING: u32 = 0x5A3C_96C3;

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::media::{Converter, MediaFormat};
    use proptest::prelude::*;

    fn stream(first: u16, call: u16, frames: u16) -> Vec<i16> {
        let mut frame = [0; Watermark::SAMPLES];
        let numbers = (0..frames).map(|n| first.wrapping_add(n) % Watermark::NUMBERS);
        numbers
            .flat_map(|number| {
                Watermark { number, call }.write(&mut frame);
                frame
            })
            .collect()
    }

    fn find(samples: &[i16], piece: usize) -> Vec<Found> {
        let mut detector = WatermarkDetector::default();
        let mut found = Vec::new();
        for piece in samples.chunks(piece) {
            detector.listen(piece.iter().copied(), &mut |one| found.push(one));
        }
        assert_eq!(detector.position(), samples.len() as u64);
        assert!(detector.waiting.len() < 2 * Watermark::SAMPLES + piece);
        found
    }

    fn through(formats: &[MediaFormat], samples: &[i16]) -> Vec<i16> {
        let mut bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let linear = MediaFormat::linear16(8_000);
        let all: Vec<_> = [&[linear], formats, &[linear]].concat();
        for pair in all.windows(2) {
            let mut converter = Converter::new(pair[0], pair[1]).unwrap();
            let mut converted = Vec::new();
            bytes.chunks(333).for_each(|piece| converter.convert(piece, &mut converted));
            converter.finish(&mut converted);
            bytes = converted;
        }
        bytes.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect()
    }

    const PATHS: &[&[MediaFormat]] = &[
        &[],
        &[MediaFormat::PCMU_8K],
        &[MediaFormat::PCMA_8K],
        &[MediaFormat::PCMU_8K, MediaFormat::PCMA_8K, MediaFormat::PCMU_8K],
        &[MediaFormat::linear16(24_000)],
        &[MediaFormat::PCMU_8K, MediaFormat::linear16(24_000), MediaFormat::PCMU_8K],
        &[MediaFormat::PCMA_8K, MediaFormat::linear16(16_000), MediaFormat::PCMA_8K],
        &[MediaFormat::PCMU_8K, MediaFormat::linear16(48_000), MediaFormat::PCMA_8K],
    ];

    #[test]
    fn silence_speech_like_noise_and_quiet_tones_carry_no_mark() {
        let mut seed = 1u32;
        let noise: Vec<i16> = (0..80_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) as u16 as i16
            })
            .collect();
        assert_eq!(find(&noise, 160), []);
        assert_eq!(find(&[0; 8_000], 160), []);
    }

    #[test]
    fn a_frame_whose_bits_are_disturbed_is_damaged_and_its_neighbours_are_not() {
        let mut samples = stream(7, 3, 3);
        samples[160 + EDGES + 5 * SYMBOL + 1] = -samples[160 + EDGES + 5 * SYMBOL + 1];
        let found = find(&samples, 160);
        assert_eq!(
            found,
            [
                Found::Mark { mark: Watermark { number: 7, call: 3 }, at: 0 },
                Found::Damaged,
                Found::Mark { mark: Watermark { number: 9, call: 3 }, at: 320 },
            ]
        );
    }

    #[test]
    fn half_a_frame_before_missing_audio_is_no_mark_and_does_not_spoil_the_next() {
        let samples = stream(1, 2, 2);
        let mut detector = WatermarkDetector::default();
        let mut found = Vec::new();
        detector.listen(samples[..80].iter().copied(), &mut |one| found.push(one));
        detector.skip();
        detector.listen(samples[160..].iter().copied(), &mut |one| found.push(one));
        assert_eq!(found, [Found::Mark { mark: Watermark { number: 2, call: 2 }, at: 80 }]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn every_mark_is_found_once_where_it_lies_through_any_path_and_any_pieces(
            first in 0..Watermark::NUMBERS,
            call in 0..Watermark::CALLS,
            path in 0..PATHS.len(),
            before in 0usize..400,
            piece in 1usize..500,
        ) {
            const FRAMES: u16 = 12;
            let mut samples = vec![0; before];
            samples.extend(stream(first, call, FRAMES));
            samples.extend([0; 100]);
            let heard = through(PATHS[path], &samples);
            let found = find(&heard, piece);
            prop_assert_eq!(found.len(), usize::from(FRAMES));
            let mut late = None;
            for (n, found) in found.into_iter().enumerate() {
                let Found::Mark { mark, at } = found else { panic!("frame {n} is damaged") };
                let number = first.wrapping_add(n as u16) % Watermark::NUMBERS;
                prop_assert_eq!(mark, Watermark { number, call });
                // Filters delay: by the same for all.
                let lies_at = (before + n * Watermark::SAMPLES) as u64;
                prop_assert!(at >= lies_at && at <= lies_at + 80, "at {} instead of {}", at, lies_at);
                prop_assert_eq!(*late.get_or_insert(at - lies_at), at - lies_at);
            }
        }

        #[test]
        fn any_samples_in_any_pieces_are_survived_in_bounded_memory(
            samples in proptest::collection::vec(any::<i16>(), 0..2_000),
            piece in 1usize..500,
        ) {
            find(&samples, piece);
        }
    }
}
