//! Digits as sound: making the two tones of a key and finding them in linear audio at 8 kHz (ITU-T Q.23, Q.24).
//!
//! Used where neither the wire nor RTP events can carry a digit. Not a queue of digits: the call keeps that.

use std::time::Duration;

use super::Digit;
use super::format::MediaFormat;
use super::tone::SineTone;

/// Sounds one key at a time.
#[derive(Debug)]
pub struct DtmfTones {
    sample_rate: u32,
    low: SineTone,
    high: SineTone,
    length: u64,
    at: u64,
}

impl DtmfTones {
    /// The usual length of a tone, and of the silence after it.
    pub const TONE: Duration = Duration::from_millis(100);

    /// Nothing is sounding yet, at `sample_rate` samples per second.
    pub fn new(sample_rate: u32) -> Self {
        let silence = SineTone::new(sample_rate, 0.0, 0);
        Self { sample_rate, low: silence.clone(), high: silence, length: 0, at: 0 }
    }

    /// Starts a key, in place of what is sounding.
    pub fn start(&mut self, digit: Digit, tone: Duration) {
        let (low, high) = frequencies(digit);
        self.low = SineTone::new(self.sample_rate, low, LOW_AMPLITUDE);
        self.high = SineTone::new(self.sample_rate, high, HIGH_AMPLITUDE);
        (self.length, self.at) = (self.samples_in(tone), 0);
    }

    /// The next sample; zero after the end of the tone.
    pub fn next_sample(&mut self) -> i16 {
        if self.at >= self.length {
            return 0;
        }
        let ramp = self.samples_in(RAMP).max(1);
        let from_edge = (self.at + 1).min(self.length - self.at).min(ramp);
        self.at += 1;
        let mut value = self.low.next_value() + self.high.next_value();
        if from_edge < ramp {
            let turn = std::f64::consts::FRAC_PI_2 * from_edge as f64 / ramp as f64;
            value *= turn.sin().powi(2);
        }
        value.round() as i16
    }

    /// Overwrites `samples` with what comes next.
    pub fn fill(&mut self, samples: &mut [i16]) {
        samples.fill_with(|| self.next_sample());
    }

    /// Whether the tone has not ended.
    pub const fn is_sounding(&self) -> bool {
        self.at < self.length
    }

    fn samples_in(&self, duration: Duration) -> u64 {
        MediaFormat::linear16(self.sample_rate).samples_in(duration)
    }
}

/// A key that sounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetectedKey {
    /// Which one.
    pub digit: Digit,
    /// How long it sounded, to half a window of 6.4 ms.
    pub duration: Duration,
}

/// Finds keys in linear audio at 8 kHz. Reports each once, when it is over.
#[derive(Debug, Default)]
pub struct DtmfDetector {
    /// Two windows of [`WINDOW`] samples, half a window apart: one of them is full every [`HOP`].
    windows: [Window; 2],
    next_full: usize,
    filled: usize,
    /// What may become a key, and the power of its last window.
    candidate: Option<(Sounding, f32)>,
    sounding: Option<Sounding>,
}

/// Goertzel's sums over one window.
#[derive(Debug, Default, Clone, Copy)]
struct Window {
    ones: [f32; 8],
    twos: [f32; 8],
    energy: f32,
}

#[derive(Debug, Clone, Copy)]
struct Sounding {
    digit: Digit,
    /// Windows from its first to its last.
    hops: u32,
    /// Windows without it since.
    missed: u32,
}

impl DtmfDetector {
    /// A detector that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens to one sample; tells the key that ended with it.
    pub fn push(&mut self, sample: i16) -> Option<DetectedKey> {
        self.accumulate(&[sample]);
        self.take_window()
    }

    /// Listens to any number of samples and tells the keys that ended among them.
    pub fn listen(&mut self, samples: &[i16], tell: &mut impl FnMut(DetectedKey)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(HOP - self.filled));
            self.accumulate(now);
            rest = later;
            self.take_window().into_iter().for_each(&mut *tell);
        }
    }

    /// Whether a key sounds that was not told yet.
    pub const fn is_sounding(&self) -> bool {
        self.sounding.is_some()
    }

    /// The stream is over: tells the key that was sounding, if any, and starts anew.
    pub fn finish(&mut self) -> Option<DetectedKey> {
        let sounding = self.sounding.take();
        *self = Self::default();
        sounding.map(Sounding::report)
    }

    fn accumulate(&mut self, samples: &[i16]) {
        self.windows.iter_mut().for_each(|window| window.accumulate(samples));
        self.filled += samples.len();
    }

    fn take_window(&mut self) -> Option<DetectedKey> {
        if self.filled < HOP {
            return None;
        }
        self.filled = 0;
        let window = std::mem::take(self.windows.get_mut(self.next_full)?);
        self.next_full = 1 - self.next_full;
        let found = window.digit(self.sounding.map(|sounding| sounding.digit));
        self.follow(found)
    }

    /// A key begins with [`WINDOWS_MIN`] equally loud windows of it in a row, and ends with as many without it.
    fn follow(&mut self, found: Option<(Digit, f32)>) -> Option<DetectedKey> {
        let digit = found.map(|found| found.0);
        let mut over = None;
        if let Some(sounding) = &mut self.sounding {
            if digit == Some(sounding.digit) {
                sounding.hops += 1 + std::mem::take(&mut sounding.missed);
            } else {
                sounding.missed += 1;
            }
            if sounding.missed == WINDOWS_MIN {
                over = self.sounding.take().map(Sounding::report);
            }
        }
        self.candidate = match (found, self.candidate) {
            (Some((digit, power)), Some((candidate, before)))
                if candidate.digit == digit
                    && power <= before * STEADY_MAX
                    && before <= power * STEADY_MAX =>
            {
                Some((Sounding { hops: candidate.hops + 1, ..candidate }, power))
            }
            (found, _) => found.map(|(digit, power)| (Sounding { digit, hops: 1, missed: 0 }, power)),
        };
        if self.sounding.is_none() {
            let candidate = self.candidate.map(|candidate| candidate.0);
            self.sounding = candidate.filter(|candidate| candidate.hops >= WINDOWS_MIN);
        }
        over
    }
}

impl Window {
    fn accumulate(&mut self, samples: &[i16]) {
        let (mut ones, mut twos, mut energy) = (self.ones, self.twos, self.energy);
        for sample in samples {
            let sample = f32::from(*sample);
            energy += sample * sample;
            for ((one, two), coefficient) in ones.iter_mut().zip(&mut twos).zip(&COEFFICIENTS) {
                let next = sample + coefficient * *one - *two;
                (*two, *one) = (*one, next);
            }
        }
        (self.ones, self.twos, self.energy) = (ones, twos, energy);
    }

    /// The key that this window is full of, and its power. A key that sounds already may have a dropout.
    fn digit(&self, sounding: Option<Digit>) -> Option<(Digit, f32)> {
        let scale = 2.0 / (WINDOW * WINDOW) as f32;
        let mut powers = [0f32; 8];
        let states = self.ones.iter().zip(&self.twos).zip(COEFFICIENTS);
        for (power, ((one, two), coefficient)) in powers.iter_mut().zip(states) {
            *power = (one * one + two * two - coefficient * one * two) * scale;
        }
        let (row, low, row_stands_out) = strongest(powers.get(..4)?)?;
        let (column, high, column_stands_out) = strongest(powers.get(4..)?)?;
        let digit = KEYS.get(row * 4 + column).and_then(|code| Digit::from_event(*code))?;
        let level = low.min(high) >= POWER_MIN;
        let share = (low + high) / (self.energy / WINDOW as f32);
        let twist = high <= low * TWIST_MAX && low <= high * REVERSE_TWIST_MAX;
        let shaped = twist && row_stands_out && column_stands_out;
        // Speech that holds two such tones holds others beside them.
        let present = level && share >= SHARE_MIN && (shaped || sounding == Some(digit));
        present.then_some((digit, low + high))
    }
}

impl Sounding {
    fn report(self) -> DetectedKey {
        DetectedKey { digit: self.digit, duration: HOP_TIME * (self.hops + 1) }
    }
}

/// The strongest of four powers, and whether it stands out from the others.
fn strongest(powers: &[f32]) -> Option<(usize, f32, bool)> {
    let (best, power) = powers.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let stands_out = powers.iter().enumerate().all(|(at, other)| at == best || other * PEAK_MIN <= power);
    Some((best, power, stands_out))
}

/// Row and column frequency of a key.
fn frequencies(digit: Digit) -> (f64, f64) {
    let place = KEYS.iter().position(|code| *code == digit.event()).unwrap_or(0);
    let row = FREQUENCIES.get(place / 4).copied().unwrap_or(0.0);
    let column = FREQUENCIES.get(4 + place % 4).copied().unwrap_or(0.0);
    (row, column)
}

/// Event codes by row and column: 1 2 3 A, 4 5 6 B, 7 8 9 C, * 0 # D.
const KEYS: [u8; 16] = [1, 2, 3, 12, 4, 5, 6, 13, 7, 8, 9, 14, 10, 0, 11, 15];
const FREQUENCIES: [f64; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];
/// 2 cos(2π f / 8000) of each frequency.
const COEFFICIENTS: [f32; 8] =
    [1.707_737_8, 1.645_281, 1.568_686_9, 1.478_204_6, 1.164_104, 0.996_370_6, 0.798_618_4, 0.568_532_7];
/// -9 and -7 dBm0, as telephones send them: the higher tone is the louder.
const LOW_AMPLITUDE: i16 = 8_070;
const HIGH_AMPLITUDE: i16 = 10_160;
/// Edges that do not click.
const RAMP: Duration = Duration::from_millis(2);
/// 12.75 ms: short enough for a tone 1.5 % beside its frequency, long enough to tell 697 from 770 Hz.
const WINDOW: usize = 102;
const HOP: usize = WINDOW / 2;
const HOP_TIME: Duration = Duration::from_micros(6_375);
/// So many windows lie wholly within any 40 ms of tone, and of pause; a dropout of 10 ms takes fewer.
const WINDOWS_MIN: u32 = 4;
/// Each tone at least -40 dBm0.
const POWER_MIN: f32 = 20_000.0;
/// The high tone may be 8 dB louder than the low one, the low one 6 dB louder than the high one.
const TWIST_MAX: f32 = 6.3;
const REVERSE_TWIST_MAX: f32 = 4.0;
/// The tone of a group stands 8 dB above the others.
const PEAK_MIN: f32 = 6.3;
/// From window to window, a key does not change by more than 1.5 dB; a voice does.
const STEADY_MAX: f32 = 1.41;
/// The two tones are that much of everything that is heard.
const SHARE_MIN: f32 = 0.7;

#[cfg(test)]
#[path = "dtmf_tests.rs"]
mod tests;
