//! What a caller hears while others ring: the ringing tone of the call's country, made here, in the line's format.
//!
//! Sources: ITU-T E.180 §5 for the tone where a country has none of its own here (425 Hz, 1 s in 5), and its
//! Supplement 2 for the rows below.

use std::time::Duration;

use crate::media::{MediaFormat, SineTone, encode_samples};

/// The ringing tone of one caller.
#[derive(Debug)]
pub(super) struct Ringback {
    format: MediaFormat,
    plan: &'static TonePlan,
    tones: Vec<SineTone>,
    /// Samples since the tone began.
    position: u64,
    samples: Vec<i16>,
    mixed: Vec<i16>,
    bytes: Vec<u8>,
}

/// A country's ringing tone.
#[derive(Debug, PartialEq)]
struct TonePlan {
    /// Calling codes; nothing for everybody else.
    countries: &'static [&'static str],
    hertz: &'static [f64],
    /// Sound and silence in turns, in milliseconds.
    cadence_ms: &'static [u64],
}

impl Ringback {
    /// The tone of a call whose numbers have that calling code.
    pub(super) fn new(country: Option<&str>, format: MediaFormat) -> Self {
        let plan = plan_of(country);
        let amplitude = AMPLITUDE / i16::try_from(plan.hertz.len()).unwrap_or(1);
        let tones = plan.hertz.iter().map(|hertz| SineTone::new(format.sample_rate, *hertz, amplitude));
        let (samples, mixed, bytes) = (Vec::new(), Vec::new(), Vec::new());
        Self { format, plan, tones: tones.collect(), position: 0, samples, mixed, bytes }
    }

    pub(super) fn format(&self) -> MediaFormat {
        self.format
    }

    /// The next piece of that length.
    pub(super) fn next_piece(&mut self, length: Duration) -> &[u8] {
        let count = usize::try_from(self.format.samples_in(length)).unwrap_or(0);
        self.mixed.clear();
        self.mixed.resize(count, 0);
        self.samples.resize(count, 0);
        for tone in &mut self.tones {
            tone.fill(&mut self.samples);
            self.mixed.iter_mut().zip(&self.samples).for_each(|(sum, sample)| *sum += sample);
        }
        for sample in &mut self.mixed {
            if !self.plan.sounds_at(self.position, self.format) {
                *sample = 0;
            }
            self.position += 1;
        }
        self.bytes.clear();
        encode_samples(self.format, &self.mixed, &mut self.bytes);
        &self.bytes
    }
}

impl TonePlan {
    fn sounds_at(&self, position: u64, format: MediaFormat) -> bool {
        let in_samples = |ms: u64| format.samples_in(Duration::from_millis(ms));
        let whole = in_samples(self.cadence_ms.iter().sum()).max(1);
        let mut left = position % whole;
        for (turn, ms) in self.cadence_ms.iter().enumerate() {
            let lasts = in_samples(*ms);
            if left < lasts {
                return turn % 2 == 0;
            }
            left -= lasts;
        }
        false
    }
}

fn plan_of(country: Option<&str>) -> &'static TonePlan {
    let listed = |plan: &&TonePlan| country.is_some_and(|code| plan.countries.contains(&code));
    PLANS.iter().find(listed).unwrap_or(&EUROPEAN)
}

const EUROPEAN: TonePlan = TonePlan { countries: &[], hertz: &[425.0], cadence_ms: &[1_000, 4_000] };

/// Two sounds a turn, as in Britain and where its network was taken over.
const DOUBLE_MS: &[u64] = &[400, 200, 400, 2_000];

const PLANS: &[TonePlan] = &[
    TonePlan { countries: &["1"], hertz: &[440.0, 480.0], cadence_ms: &[2_000, 4_000] },
    TonePlan { countries: &["33"], hertz: &[440.0], cadence_ms: &[1_500, 3_500] },
    TonePlan { countries: &["34"], hertz: &[425.0], cadence_ms: &[1_500, 3_000] },
    TonePlan { countries: &["44", "61", "64", "353"], hertz: &[400.0, 450.0], cadence_ms: DOUBLE_MS },
    TonePlan { countries: &["81"], hertz: &[392.0, 408.0], cadence_ms: &[1_000, 2_000] },
    TonePlan { countries: &["86"], hertz: &[450.0], cadence_ms: &[1_000, 4_000] },
    // 400 Hz with a beat of 25 Hz.
    TonePlan { countries: &["91"], hertz: &[387.5, 412.5], cadence_ms: DOUBLE_MS },
    TonePlan { countries: &["852"], hertz: &[440.0, 480.0], cadence_ms: &[400, 200, 400, 3_000] },
];

/// The peak of the whole on the 16-bit scale: about -15 dBm0.
const AMPLITUDE: i16 = 6_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each 10 ms of the first six seconds sounds.
    fn heard(country: Option<&str>, format: MediaFormat) -> Vec<bool> {
        let mut tone = Ringback::new(country, format);
        let silence = format.silence_byte();
        (0..600)
            .map(|_| tone.next_piece(Duration::from_millis(10)).iter().any(|byte| *byte != silence))
            .collect()
    }

    /// The moments, in milliseconds, at which sound begins or ends.
    fn edges(heard: &[bool]) -> Vec<usize> {
        (1..heard.len()).filter(|at| heard[*at] != heard[*at - 1]).map(|at| at * 10).collect()
    }

    #[test]
    fn the_cadence_is_the_countrys_own_at_every_rate() {
        for format in [MediaFormat::PCMU_8K, MediaFormat::linear16(16_000), MediaFormat::linear16(48_000)] {
            for (country, expected) in [
                (None, [1_000, 5_000].as_slice()),
                (Some("49"), &[1_000, 5_000]),
                (Some("1"), &[2_000]),
                (Some("44"), &[400, 600, 1_000, 3_000, 3_400, 3_600, 4_000]),
                (Some("91"), &[400, 600, 1_000, 3_000, 3_400, 3_600, 4_000]),
            ] {
                let heard = heard(country, format);
                assert!(heard[0], "it begins with sound");
                assert_eq!(edges(&heard), expected, "{country:?} {format}");
            }
        }
    }

    #[test]
    fn pieces_join_without_a_seam_and_the_tone_has_its_pitch() {
        let format = MediaFormat::linear16(8_000);
        let mut whole = Ringback::new(None, format);
        let whole = whole.next_piece(Duration::from_millis(500)).to_vec();
        let mut tone = Ringback::new(None, format);
        let pieces: Vec<u8> =
            (0..50).flat_map(|_| tone.next_piece(Duration::from_millis(10)).to_vec()).collect();
        assert_eq!(whole, pieces);
        let samples: Vec<i16> = whole.chunks(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
        let crossings = samples.windows(2).filter(|two| two[0] < 0 && two[1] >= 0).count();
        assert!((211..=213).contains(&crossings), "{crossings} turns in half a second");
        assert!(samples.iter().all(|sample| sample.unsigned_abs() <= AMPLITUDE.unsigned_abs()));
    }
}
