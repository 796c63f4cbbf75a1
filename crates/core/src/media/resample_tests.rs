//! The figures of the rate converter, measured: stop-band, ripple, delay, exactness, sample counts.

use super::*;
use proptest::prelude::*;
use std::f64::consts::PI;

const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    RATES.into_iter().flat_map(|from| RATES.map(|to| (from, to))).filter(|(from, to)| from != to)
}

fn sine(rate: u32, frequency: f64, amplitude: f64, samples: usize) -> Vec<i16> {
    let step = 2.0 * PI * frequency / f64::from(rate);
    (0..samples).map(|i| (amplitude * (step * i as f64).sin()).round() as i16).collect()
}

fn convert(from: u32, to: u32, input: &[i16]) -> Vec<i16> {
    let mut out = Vec::new();
    Resampler::new(from, to).unwrap().process(input, &mut out);
    out
}

/// Gain in dB of the filter itself at a frequency, from its taps: free of rounding to 16 bits.
fn response_db(from: u32, to: u32, frequency: f64) -> f64 {
    let filter = Filter::shared(from, to).unwrap();
    let grid = f64::from(from) * filter.up as f64;
    let (mut re, mut im) = (0.0, 0.0);
    for to_phase in 0..filter.up {
        for from_phase in 0..filter.down {
            for tap in 0..filter.span {
                let cycles_ago = filter.span - 1 - tap;
                let at = (to_phase * filter.down + cycles_ago * filter.up * filter.down) as f64
                    - (from_phase * filter.up) as f64;
                let index = (to_phase * filter.down + from_phase) * filter.span + tap;
                let angle = -2.0 * PI * frequency / grid * at;
                re += f64::from(filter.taps[index]) * angle.cos();
                im += f64::from(filter.taps[index]) * angle.sin();
            }
        }
    }
    10.0 * ((re * re + im * im) / (filter.up * filter.up) as f64).log10()
}

#[test]
fn the_stop_band_lies_ninety_db_down_from_half_the_lower_rate_on() {
    for (from, to) in pairs() {
        let edge = f64::from(from.min(to)) / 2.0;
        let top = f64::from(from) * Filter::shared(from, to).unwrap().up as f64 / 2.0;
        let mut worst = f64::NEG_INFINITY;
        let mut frequency = edge;
        while frequency <= top {
            worst = worst.max(response_db(from, to, frequency));
            frequency += edge / 160.0;
        }
        assert!(worst <= -90.0, "{from} to {to}: {worst:.1} dB");
    }
}

#[test]
fn the_pass_band_is_flat_over_the_telephone_band() {
    for (from, to) in pairs() {
        let lower = f64::from(from.min(to));
        for step in 0..=100 {
            // 0 to 0.4 of the lower rate: 3.2 kHz at 8 kHz.
            let gain = response_db(from, to, 0.4 * lower * f64::from(step) / 100.0);
            assert!(gain.abs() < 0.01, "{from} to {to} at step {step}: {gain:.4} dB");
        }
        let at_3400 = response_db(from, to, 0.425 * lower);
        assert!(at_3400 > -0.3, "{from} to {to}: {at_3400:.2} dB at 3.4 kHz of 8");
    }
}

#[test]
fn a_tone_above_the_band_is_gone_and_one_within_makes_no_image() {
    // 5.1 kHz cannot be told at 8 kHz; at -3 dBFS in, nothing but rounding is left.
    let out = convert(24_000, 8_000, &sine(24_000, 5_100.0, 23_000.0, 24_000));
    assert!(out[200..].iter().all(|sample| sample.abs() <= 1));
    // 1 kHz at 24 kHz is a pure sine: what remains after taking it away is rounding.
    let out = convert(8_000, 24_000, &sine(8_000, 1_000.0, 23_000.0, 8_000));
    let delay = Resampler::new(8_000, 24_000).unwrap().delay();
    for (at, sample) in out.iter().enumerate().skip(400) {
        let pure = 23_000.0 * (2.0 * PI * 1_000.0 / 24_000.0 * (at - delay) as f64).sin();
        assert!((f64::from(*sample) - pure).abs() <= 2.0, "{at}: {sample} {pure}");
    }
}

#[test]
fn the_delay_is_at_most_four_milliseconds_and_as_stated() {
    for (from, to) in pairs() {
        let resampler = Resampler::new(from, to).unwrap();
        assert!(resampler.delay() as f64 / f64::from(to) <= 0.004, "{from} to {to}");
        let mut impulse = vec![0; 4_800];
        impulse[960] = 30_000;
        let out = convert(from, to, &impulse);
        let loudest = (0..out.len()).max_by_key(|at| out[*at]).unwrap();
        assert_eq!(loudest, 960 * to as usize / from as usize + resampler.delay(), "{from} to {to}");
    }
}

#[test]
fn a_constant_stays_exactly_what_it_is() {
    for (from, to) in pairs() {
        for value in [i16::MIN, -12_345, 0, 1, i16::MAX] {
            let out = convert(from, to, &vec![value; 2_400]);
            assert!(out[out.len() / 2..].iter().all(|sample| *sample == value), "{from} to {to}: {value}");
        }
    }
}

#[test]
fn full_scale_clips_and_never_wraps() {
    let square: Vec<i16> = (0..2_000).map(|i| if i / 20 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    for (from, to) in pairs() {
        let out = convert(from, to, &square);
        let scale = to as f64 / from as f64;
        // In the middle of each half wave the sign must be that of the input.
        let delay = Resampler::new(from, to).unwrap().delay();
        for half in 4..90 {
            let middle = ((half * 20 + 10) as f64 * scale) as usize + delay;
            assert_eq!(out[middle] > 0, half % 2 == 0, "{from} to {to}, half {half}");
        }
    }
}

#[test]
fn every_frame_of_a_long_stream_has_exactly_its_samples_so_that_nothing_drifts() {
    for (from, to) in [(8_000, 24_000), (24_000, 16_000), (48_000, 8_000)] {
        let mut resampler = Resampler::new(from, to).unwrap();
        let (mut total, mut out) = (0usize, Vec::new());
        let frame = vec![100; from as usize / 50];
        for _ in 0..500 {
            out.clear();
            resampler.process(&frame, &mut out);
            total += out.len();
            assert_eq!(out.len(), to as usize / 50);
        }
        assert_eq!(total, 10 * to as usize);
    }
}

#[test]
fn finishing_plays_the_last_sample_and_starts_anew() {
    for (from, to) in pairs() {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut first = Vec::new();
        let mut input = vec![0; 481];
        input[480] = 20_000;
        resampler.process(&input, &mut first);
        resampler.finish(&mut first);
        assert!(first.iter().max().unwrap() > &1_000, "{from} to {to}");
        let mut second = Vec::new();
        resampler.process(&input, &mut second);
        resampler.finish(&mut second);
        assert_eq!(first, second, "{from} to {to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunked_equals_whole_bit_for_bit_and_counts_are_exact(
        from in 0usize..4,
        to in 0usize..4,
        chunks in proptest::collection::vec(proptest::collection::vec(any::<i16>(), 0..500), 0..8),
    ) {
        let (from, to) = (RATES[from], RATES[to]);
        let whole = convert(from, to, &chunks.concat());
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        for chunk in &chunks {
            resampler.process(chunk, &mut out);
        }
        let (up, down) = (resampler.filter.up, resampler.filter.down);
        prop_assert_eq!(out.len(), chunks.concat().len() / down * up);
        prop_assert_eq!(out, whole);
    }
}
