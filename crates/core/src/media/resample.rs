//! Rate conversion by a rational polyphase FIR filter: 8, 16, 24 and 48 kHz, and every other small ratio.
//!
//! Stateful and exact: whatever the pieces, the output is bit-identical to converting the whole at once, because
//! every output sample is one sum in one fixed order. The filter is a Kaiser-windowed sinc over 64 samples of the
//! lower rate (4 ms of delay where that is 8 kHz), built once per ratio and shared by all calls.

use std::sync::OnceLock;

/// Converts one direction of one stream from one sample rate to another.
#[derive(Debug, Clone)]
pub struct Resampler {
    filter: &'static Filter,
    /// Per input phase: the last `span - 1` samples of earlier cycles, then the cycles of this block.
    lanes: Vec<f32>,
    /// Complete or begun input samples of the block, across all phases.
    filled: usize,
}

impl Resampler {
    /// A converter between two rates, or `None` where their ratio needs more than [`FACTOR_MAX`] steps.
    pub fn new(from: u32, to: u32) -> Option<Self> {
        let filter = Filter::shared(from, to)?;
        Some(Self { filter, lanes: vec![0.0; filter.down * filter.lane_len()], filled: 0 })
    }

    /// Takes any number of samples and appends what they complete: after n samples in all, exactly
    /// ⌊n / down⌋ · up have come out.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        let (down, block) = (self.filter.down, BLOCK * self.filter.down);
        let mut rest = input;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(block - self.filled));
            self.store(now);
            rest = later;
            let cycles = self.filled / down;
            if cycles == BLOCK || rest.is_empty() {
                self.run(cycles, out);
                self.keep_history(cycles);
            }
        }
    }

    /// Appends what the filter still holds, so that the last sample put in is heard, and forgets everything.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        const SILENCE: [i16; 64] = [0; 64];
        let mut left = self.filter.delay_in_input();
        // The last cycle must be completed as well.
        left += (self.filter.down - (self.filled + left) % self.filter.down) % self.filter.down;
        while left > 0 {
            let now = left.min(SILENCE.len());
            self.process(SILENCE.get(..now).unwrap_or_default(), out);
            left -= now;
        }
        self.reset();
    }

    /// Forgets all samples, as if nothing had been put in.
    pub fn reset(&mut self) {
        self.lanes.fill(0.0);
        self.filled = 0;
    }

    /// Samples of the output by which a sound comes out later than it went in.
    pub fn delay(&self) -> usize {
        self.filter.delay_in_output()
    }

    /// Deals samples out to their phases: sample n of the stream belongs to phase n mod `down`.
    fn store(&mut self, samples: &[i16]) {
        let (down, lane_len, history) = (self.filter.down, self.filter.lane_len(), self.filter.span - 1);
        if down == 1 {
            let lane = self.lanes.iter_mut().skip(history + self.filled);
            lane.zip(samples).for_each(|(to, from)| *to = f32::from(*from));
        } else {
            for (phase, lane) in self.lanes.chunks_exact_mut(lane_len).enumerate() {
                let first = (phase + down - self.filled % down) % down;
                let cycle = (self.filled + first) / down;
                let to = lane.iter_mut().skip(history + cycle);
                to.zip(samples.iter().skip(first).step_by(down))
                    .for_each(|(to, from)| *to = f32::from(*from));
            }
        }
        self.filled += samples.len();
    }

    /// Filters the first `cycles` of the block.
    fn run(&mut self, cycles: usize, out: &mut Vec<i16>) {
        let Filter { up, span, .. } = *self.filter;
        let first_out = out.len();
        out.resize(first_out + cycles * up, 0);
        let Some(room) = out.get_mut(first_out..) else { return };
        for (start, room) in (0..cycles).step_by(WIDTH).zip(room.chunks_mut(WIDTH * up)) {
            for (to_phase, taps) in self.filter.taps.chunks_exact(self.filter.down * span).enumerate() {
                let mut sums = [0f32; WIDTH];
                let lanes = self.lanes.chunks_exact(self.filter.lane_len());
                for (lane, taps) in lanes.zip(taps.chunks_exact(span)) {
                    accumulate(&mut sums, taps, lane.get(start..).unwrap_or_default());
                }
                let samples = sums.map(to_sample);
                room.iter_mut().skip(to_phase).step_by(up).zip(samples).for_each(|(to, from)| *to = from);
            }
        }
    }

    /// Moves what later cycles still need to the front.
    fn keep_history(&mut self, cycles: usize) {
        let (down, span) = (self.filter.down, self.filter.span);
        // A begun cycle comes along.
        let kept = span - 1 + usize::from(!self.filled.is_multiple_of(down));
        for lane in self.lanes.chunks_exact_mut(self.filter.lane_len()) {
            lane.copy_within(cycles..cycles + kept, 0);
        }
        self.filled -= cycles * down;
    }
}

/// Adds `taps` · `input` shifted by 0, 1, … to the sums: each sum is its own, in the order of the taps.
#[inline(always)]
fn accumulate(sums: &mut [f32; WIDTH], taps: &[f32], input: &[f32]) {
    let mut local = *sums;
    for (tap, window) in taps.iter().zip(input.windows(WIDTH)) {
        for (sum, sample) in local.iter_mut().zip(window) {
            *sum += tap * sample;
        }
    }
    *sums = local;
}

/// Rounds half to even and clips, without a call into the maths library.
#[inline(always)]
fn to_sample(value: f32) -> i16 {
    // At this magnitude a float's unit is one: adding it rounds, and the low bits are the integer.
    const ROUNDER: f32 = 12_582_912.0;
    let rounded = value.clamp(-32_768.0, 32_767.0) + ROUNDER;
    (rounded.to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32) as i16
}

/// The taps of one ratio. A cycle is `down` samples in and `up` samples out.
#[derive(Debug)]
struct Filter {
    up: usize,
    down: usize,
    /// Taps on each input phase.
    span: usize,
    /// `[output phase][input phase][tap, oldest first]`.
    taps: Vec<f32>,
}

impl Filter {
    fn shared(from: u32, to: u32) -> Option<&'static Self> {
        static FILTERS: [[OnceLock<Filter>; FACTOR_MAX]; FACTOR_MAX] =
            [const { [const { OnceLock::new() }; FACTOR_MAX] }; FACTOR_MAX];
        let divisor = greatest_common_divisor(from, to);
        let up = usize::try_from(to.checked_div(divisor)?).ok()?;
        let down = usize::try_from(from.checked_div(divisor)?).ok()?;
        let slot = FILTERS.get(up.checked_sub(1)?)?.get(down.checked_sub(1)?)?;
        Some(slot.get_or_init(|| Self::build(up, down)))
    }

    /// Output j is the sum over inputs i of `x[i] · h(j · down - i · up)`, counted on the common fine grid.
    fn build(up: usize, down: usize) -> Self {
        let length = TAPS * up.max(down);
        let span = (length - 1 + (down - 1) * up) / (up * down) + 1;
        let mut taps = Vec::with_capacity(up * down * span);
        for to_phase in 0..up {
            let mut row: Vec<f64> = Vec::with_capacity(down * span);
            for from_phase in 0..down {
                row.extend((0..span).map(|tap| {
                    let cycles_ago = span - 1 - tap;
                    let at = to_phase * down + cycles_ago * up * down;
                    at.checked_sub(from_phase * up).map_or(0.0, |at| prototype(at, length))
                }));
            }
            // Each phase passes a constant unchanged: no ripple of the phases on a steady signal.
            let sum: f64 = row.iter().sum();
            taps.extend(row.iter().map(|tap| (tap / sum) as f32));
        }
        Self { up, down, span, taps }
    }

    const fn lane_len(&self) -> usize {
        self.span - 1 + BLOCK + WIDTH
    }

    const fn delay_in_input(&self) -> usize {
        (TAPS * max(self.up, self.down) / 2).div_ceil(self.up)
    }

    const fn delay_in_output(&self) -> usize {
        TAPS * max(self.up, self.down) / 2 / self.down
    }
}

/// The low-pass at `at` of 1..`length` steps of the fine grid: a sinc that ends its transition at half the lower
/// rate, under a Kaiser window.
fn prototype(at: usize, length: usize) -> f64 {
    if at == 0 || at >= length {
        return 0.0;
    }
    let half = length as f64 / 2.0;
    let from_middle = at as f64 - half;
    let beta = 0.1102 * (STOP_BAND_DB - 8.7);
    // Kaiser's estimate of the transition is 3 % short of the stop-band that the window reaches.
    let transition = 1.03 * (STOP_BAND_DB - 7.95) / (14.36 * TAPS as f64);
    // Cycles per sample of the lower rate, then per step of the grid.
    let cutoff = (0.5 - transition / 2.0) * TAPS as f64 / length as f64;
    let angle = 2.0 * std::f64::consts::PI * cutoff * from_middle;
    let sinc = if from_middle == 0.0 { 1.0 } else { angle.sin() / angle };
    let within = (1.0 - (from_middle / (half - 1.0)).powi(2)).max(0.0);
    sinc * bessel_i0(beta * within.sqrt()) / bessel_i0(beta)
}

/// The modified Bessel function of order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..64 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// The largest numerator and denominator of a ratio.
const FACTOR_MAX: usize = 8;
/// Length of the filter in samples of the lower rate; half of it is the delay.
const TAPS: usize = 64;
/// What the window is designed for.
const STOP_BAND_DB: f64 = 92.0;
/// Cycles that are filtered at once at most.
const BLOCK: usize = 64;
/// Output samples of one phase that are summed side by side: eight vector registers of four.
const WIDTH: usize = 32;

#[cfg(test)]
#[path = "resample_tests.rs"]
mod tests;
