//! G.722 at 64 kbit/s (ITU-T G.722, mode 1): two samples at 16 kHz in, one byte out, and back.
//!
//! Two bands of 4 kHz by a quadrature mirror filter (§3.1), each an adaptive differential code: six bits for the
//! lower band, two for the upper. Integer arithmetic as the recommendation has it; 12 samples (1.4 ms for both
//! ways) of delay. RTP's own clock of 8 kHz for it is none of this file's (RFC 3551 §4.5.2).

/// Codes one direction.
#[derive(Debug, Clone)]
pub struct G722Encoder {
    lower: Band,
    upper: Band,
    /// The last 24 samples, oldest first.
    window: [i32; TAPS],
    /// The first sample of a pair whose second has not come.
    odd: Option<i16>,
}

/// Decodes one direction.
#[derive(Debug, Clone)]
pub struct G722Decoder {
    lower: Band,
    upper: Band,
    /// Sums and differences of the bands' last 12 samples, oldest first.
    window: [i32; TAPS],
}

impl G722Encoder {
    /// A code that begins.
    pub fn new() -> Self {
        Self { lower: Band::new(32), upper: Band::new(8), window: [0; TAPS], odd: None }
    }

    /// Appends the code of `samples` at 16 kHz, a byte for every two; any pieces of a stream give the same bytes.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        let mut rest = samples;
        if let (Some(first), Some((second, after))) = (self.odd, rest.split_first()) {
            out.push(self.encode_pair(first, *second));
            (self.odd, rest) = (None, after);
        }
        let pairs = rest.chunks_exact(2);
        self.odd = pairs.remainder().first().copied().or(self.odd);
        out.reserve(pairs.len());
        for pair in pairs {
            if let [first, second] = *pair {
                out.push(self.encode_pair(first, second));
            }
        }
    }

    fn encode_pair(&mut self, first: i16, second: i16) -> u8 {
        push_pair(&mut self.window, first.into(), second.into());
        let (first, second) = filter(&self.window);
        // Both filters double; the bands have 15 bits.
        let (low, high) = ((first + second) >> 14, (second - first) >> 14);
        let low_code = self.lower.quantize_low(low);
        let high_code = self.upper.quantize_high(high);
        self.lower.adapt_low(low_code);
        self.upper.adapt_high(high_code);
        (high_code << 6) | low_code
    }
}

impl G722Decoder {
    /// A code that begins.
    pub fn new() -> Self {
        Self { lower: Band::new(32), upper: Band::new(8), window: [0; TAPS] }
    }

    /// Appends the samples at 16 kHz that `code` means, two for every byte.
    pub fn decode(&mut self, code: &[u8], out: &mut Vec<i16>) {
        out.reserve(2 * code.len());
        for byte in code {
            let (low_code, high_code) = (byte & 0x3F, byte >> 6);
            let low = self.lower.reconstruct(pick(&LOW_VALUES_64, low_code));
            let high = self.upper.reconstruct(pick(&HIGH_VALUES, high_code));
            self.lower.adapt_low(low_code);
            self.upper.adapt_high(high_code);
            push_pair(&mut self.window, low + high, low - high);
            let (second, first) = filter(&self.window);
            out.extend([saturate(first >> 11) as i16, saturate(second >> 11) as i16]);
        }
    }
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// One band's adaptive quantizer and predictor (§3.3 to §3.6; names in brackets are the recommendation's).
#[derive(Debug, Clone)]
struct Band {
    /// Logarithm of the step (`NABLA`).
    log_step: i32,
    /// The quantizer's step (`DET`).
    step: i32,
    /// The predicted sample (`S`) and the part of it that the zeros give (`SZ`).
    predicted: i32,
    predicted_by_zeros: i32,
    /// The last two reconstructed samples (`R`) and partial reconstructions (`P`), newest first.
    reconstructed: [i32; 2],
    partial: [i32; 2],
    /// The last six quantized differences (`D`), newest first.
    differences: [i32; 6],
    /// Coefficients of the poles (`A`) and zeros (`B`).
    poles: [i32; 2],
    zeros: [i32; 6],
}

impl Band {
    fn new(step: i32) -> Self {
        Self {
            log_step: 0,
            step,
            predicted: 0,
            predicted_by_zeros: 0,
            reconstructed: [0; 2],
            partial: [0; 2],
            differences: [0; 6],
            poles: [0; 2],
            zeros: [0; 6],
        }
    }

    /// The difference between a sample and its prediction: magnitude as the quantizer wants it, and sign.
    fn difference(&self, sample: i32) -> (i32, bool) {
        let difference = saturate(sample - self.predicted);
        (if difference < 0 { -(difference + 1) } else { difference }, difference < 0)
    }

    /// Six bits (`QUANTL`).
    fn quantize_low(&self, sample: i32) -> u8 {
        let (magnitude, negative) = self.difference(sample);
        let level = LOW_DECISIONS.partition_point(|decision| (decision * self.step) >> 12 <= magnitude) as u8;
        match (negative, level) {
            (false, _) => 61 - level,
            // The two smallest negative codes stand apart.
            (true, 0 | 1) => 63 - level,
            (true, _) => 33 - level,
        }
    }

    /// Two bits (`QUANTH`).
    fn quantize_high(&self, sample: i32) -> u8 {
        let (magnitude, negative) = self.difference(sample);
        let large = magnitude >= (HIGH_DECISION * self.step) >> 12;
        match (negative, large) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        }
    }

    /// The sample that a code's value means, within the band's 15 bits (`LIMIT`).
    fn reconstruct(&self, value: i32) -> i32 {
        (self.predicted + ((self.step * value) >> 15)).clamp(-16_384, 16_383)
    }

    /// Adapts to the four upper bits of a code of the lower band [INVQAL, LOGSCL, SCALEL].
    fn adapt_low(&mut self, code: u8) {
        let difference = (self.step * pick(&LOW_VALUES_48, code >> 2)) >> 15;
        self.rescale(pick(&LOW_STEPS, code >> 2), 18_432, 8);
        self.predict(difference);
    }

    /// Adapts to a code of the upper band [INVQAH, LOGSCH, SCALEH].
    fn adapt_high(&mut self, code: u8) {
        let difference = (self.step * pick(&HIGH_VALUES, code)) >> 15;
        self.rescale(pick(&HIGH_STEPS, code), 22_528, 10);
        self.predict(difference);
    }

    fn rescale(&mut self, change: i32, log_max: i32, shift: i32) {
        self.log_step = (((self.log_step * 127) >> 7) + change).clamp(0, log_max);
        let mantissa = pick(&MANTISSAS, ((self.log_step >> 6) & 31) as u8);
        let exponent = shift - (self.log_step >> 11);
        let step = if exponent < 0 { mantissa << -exponent } else { mantissa >> exponent };
        self.step = step << 2;
    }

    /// Takes a quantized difference, adapts the predictor and predicts the next sample.
    fn predict(&mut self, difference: i32) {
        let reconstructed = saturate(self.predicted + difference);
        let partial = saturate(self.predicted_by_zeros + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];
        let poles = self.poles.iter().zip(&self.reconstructed);
        let by_poles = saturate(poles.map(|(pole, sample)| (pole * saturate(2 * sample)) >> 15).sum());
        let zeros = self.zeros.iter().zip(&self.differences);
        self.predicted_by_zeros =
            saturate(zeros.map(|(zero, difference)| (zero * saturate(2 * difference)) >> 15).sum());
        self.predicted = saturate(by_poles + self.predicted_by_zeros);
    }

    /// [UPPOL2, UPPOL1]
    fn adapt_poles(&mut self, partial: i32) {
        let same = self.partial.map(|earlier| (earlier < 0) == (partial < 0));
        let [first, second] = self.poles;
        let quadrupled = saturate(4 * first);
        let toward = (if same[0] { -quadrupled } else { quadrupled }).min(32_767);
        let step = if same[1] { 128 } else { -128 };
        let second = (step + (toward >> 7) + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        let step = if same[0] { 192 } else { -192 };
        let bound = 15_360 - second;
        let first = (step + ((first * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// [UPZERO, DELAYA]
    fn adapt_zeros(&mut self, difference: i32) {
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, earlier) in self.zeros.iter_mut().zip(&self.differences) {
            let signed = if (*earlier < 0) == (difference < 0) { step } else { -step };
            *zero = saturate(signed + ((*zero * 32_640) >> 15));
        }
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
    }
}

/// The two halves of the mirror filter over a window: its even places, and its odd ones against the taps' order.
#[inline(always)]
fn filter(window: &[i32; TAPS]) -> (i32, i32) {
    let (mut even, mut odd) = (0, 0);
    for (pair, (tap, mirrored)) in window.chunks_exact(2).zip(MIRROR.iter().zip(MIRROR.iter().rev())) {
        if let [first, second] = *pair {
            even += first * tap;
            odd += second * mirrored;
        }
    }
    (even, odd)
}

#[inline(always)]
fn push_pair(window: &mut [i32; TAPS], first: i32, second: i32) {
    window.copy_within(2.., 0);
    window[TAPS - 2] = first;
    window[TAPS - 1] = second;
}

#[inline(always)]
fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

/// The entry of a table as long as its codes go.
#[inline(always)]
fn pick<const N: usize>(table: &[i32; N], code: u8) -> i32 {
    table.get(usize::from(code)).copied().unwrap_or(0)
}

const TAPS: usize = 24;
/// Half of the mirror filter's taps, which are symmetrical (table 4).
const MIRROR: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
/// Decision levels of the lower band (`Q6`) (table 14), for a step of 4096.
const LOW_DECISIONS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
    1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// What a code of the lower band means, by all six bits (`QQ6`).
const LOW_VALUES_64: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];
/// … and by the upper four, which is what both ends adapt to (`QQ4`).
const LOW_VALUES_48: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// How the logarithm of the step changes with them [WL by RL42].
const LOW_STEPS: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// The one decision level of the upper band (`Q2`).
const HIGH_DECISION: i32 = 564;
const HIGH_VALUES: [i32; 4] = [-7408, -1616, 7408, 1616];
const HIGH_STEPS: [i32; 4] = [798, -214, 798, -214];
/// The fractional powers of two of the step (`ILB`).
const MANTISSAS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

#[cfg(test)]
#[path = "g722_tests.rs"]
mod tests;
