//! The figures of G.722, measured: bits as others have them, noise, frequency response, exactness.

use super::*;
use proptest::prelude::*;
use std::f64::consts::PI;

const RATE: f64 = 16_000.0;
const CODE_DIGEST: u64 = 0xBE62_5249_1FAE_C7BC;
const SAMPLES_DIGEST: u64 = 0x8DBC_1F12_76A0_F901;
const ANY_SAMPLES_DIGEST: u64 = 0xCD4F_AD2C_5EB3_D156;

fn encode(samples: &[i16]) -> Vec<u8> {
    let mut out = Vec::new();
    G722Encoder::new().encode(samples, &mut out);
    out
}

fn decode(code: &[u8]) -> Vec<i16> {
    let mut out = Vec::new();
    G722Decoder::new().decode(code, &mut out);
    out
}

/// Numbers that look random and are always the same.
fn noise() -> impl FnMut() -> u64 {
    let mut state: u64 = 88_172_645_463_325_252;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// A sine's amplitude and what is left without it, of the second half of `samples`.
fn sine_in(samples: &[i16], frequency: f64) -> (f64, f64) {
    let from = samples.len() / 2;
    let angle = |at: usize| 2.0 * PI * frequency / RATE * at as f64;
    let settled = || samples.iter().enumerate().skip(from).map(|(at, sample)| (at, f64::from(*sample)));
    let count = (samples.len() - from) as f64;
    let (sin, cos) = settled().fold((0.0, 0.0), |(sin, cos), (at, sample)| {
        (sin + sample * angle(at).sin(), cos + sample * angle(at).cos())
    });
    let (sin, cos) = (2.0 * sin / count, 2.0 * cos / count);
    let rest: f64 =
        settled().map(|(at, sample)| (sample - sin * angle(at).sin() - cos * angle(at).cos()).powi(2)).sum();
    ((sin * sin + cos * cos).sqrt(), (rest / count).sqrt())
}

fn sine(frequency: f64, amplitude: f64) -> Vec<i16> {
    (0..16_000).map(|at| (amplitude * (2.0 * PI * frequency / RATE * f64::from(at)).sin()) as i16).collect()
}

/// The digests are those of FFmpeg's coder and decoder for the same input.
#[test]
fn codes_and_samples_are_bit_for_bit_those_of_another_implementation() {
    let mut noise = noise();
    let mut samples: Vec<i16> = Vec::new();
    for level in 0..16 {
        samples.extend((0..4_000).map(|_| (noise() as i16) >> level));
    }
    samples.extend((0..8_000).map(|at| if at / 17 % 2 == 0 { i16::MAX } else { i16::MIN }));
    samples.extend([0; 4_000]);
    let code = encode(&samples);
    assert_eq!((code.len(), digest(code.iter().copied())), (38_000, CODE_DIGEST));
    let samples = decode(&code).into_iter().flat_map(i16::to_le_bytes);
    assert_eq!(digest(samples), SAMPLES_DIGEST);
    let any: Vec<u8> = (0..40_000).map(|_| noise() as u8).collect();
    let samples = decode(&any).into_iter().flat_map(i16::to_le_bytes);
    assert_eq!(digest(samples), ANY_SAMPLES_DIGEST);
}

#[test]
fn the_band_is_flat_to_seven_kilohertz_and_noise_stays_far_below() {
    for (frequency, noise_below_db) in [
        (100.0, 40.0),
        (400.0, 40.0),
        (1_000.0, 40.0),
        (2_000.0, 38.0),
        (3_000.0, 35.0),
        (5_000.0, 15.0),
        (7_000.0, 15.0),
    ] {
        let (amplitude, rest) = sine_in(&decode(&encode(&sine(frequency, 10_000.0))), frequency);
        let gain = 20.0 * (amplitude / 10_000.0).log10();
        let ratio = 20.0 * (amplitude / 2f64.sqrt() / rest).log10();
        assert!(gain.abs() < 1.0, "{frequency} Hz: {gain:.2} dB");
        assert!(ratio > noise_below_db, "{frequency} Hz: {ratio:.1} dB over its noise");
    }
}

#[test]
fn silence_stays_silence() {
    assert!(decode(&encode(&[0; 1_600])).iter().all(|sample| sample.abs() <= 12));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn chunked_equals_whole_bit_for_bit_both_ways(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<i16>(), 0..300), 0..8),
    ) {
        let samples = chunks.concat();
        let (mut encoder, mut code) = (G722Encoder::new(), Vec::new());
        chunks.iter().for_each(|chunk| encoder.encode(chunk, &mut code));
        prop_assert_eq!(code.len(), samples.len() / 2);
        prop_assert_eq!(&code, &encode(&samples));
        let (mut decoder, mut out) = (G722Decoder::new(), Vec::new());
        code.chunks(7).for_each(|chunk| decoder.decode(chunk, &mut out));
        prop_assert_eq!(out, decode(&code));
    }
}
