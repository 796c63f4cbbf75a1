//! Digits through the air: every key, hard lines, and sounds that are no digits.

use super::*;
use crate::media::g711::Law;
use proptest::prelude::*;

fn listen(samples: &[i16]) -> Vec<DetectedKey> {
    let (mut detector, mut keys) = (DtmfDetector::new(), Vec::new());
    detector.listen(samples, &mut |key| keys.push(key));
    keys.extend(detector.finish());
    keys
}

fn codes(samples: &[i16]) -> Vec<u8> {
    listen(samples).iter().map(|found| found.digit.event()).collect()
}

fn digit(code: u8) -> Digit {
    Digit::from_event(code).unwrap()
}

fn play(keys: &[u8], tone_ms: usize, gap_ms: usize) -> Vec<i16> {
    let mut tones = DtmfTones::new(8_000);
    let mut samples = vec![0; 400];
    for key in keys {
        tones.start(digit(*key), Duration::from_millis(tone_ms as u64));
        let mut burst = vec![1; (tone_ms + gap_ms) * 8];
        tones.fill(&mut burst);
        assert!(!tones.is_sounding());
        samples.extend(burst);
    }
    samples.resize(samples.len() + 400, 0);
    samples
}

/// A steady noise without a library: xorshift, uniform.
fn noise(amplitude: f64) -> impl FnMut() -> f64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * 2.0 * amplitude
    }
}

/// Vowel-like sound: a gliding pitch with many harmonics under three moving formants, in syllables.
fn speech_like(seconds: usize) -> Vec<i16> {
    let (mut phase, mut hiss) = (0.0f64, noise(60.0));
    let formant = |f: f64, middle: f64, width: f64| 1.0 / (1.0 + ((f - middle) / width).powi(2)).sqrt();
    (0..seconds * 8_000)
        .map(|i| {
            let t = i as f64 / 8_000.0;
            let pitch = 150.0 + 60.0 * (t * 1.7).sin() + 25.0 * (t * 5.3).sin();
            phase += pitch / 8_000.0;
            let (first, second) = (600.0 + 250.0 * (t * 2.9).sin(), 1_500.0 + 500.0 * (t * 2.3).cos());
            let voiced: f64 = (1..22)
                .map(|harmonic| {
                    let f = pitch * f64::from(harmonic);
                    let gain = formant(f, first, 70.0)
                        + 0.6 * formant(f, second, 90.0)
                        + 0.2 * formant(f, 2_600.0, 120.0);
                    gain * (phase * f64::from(harmonic) * std::f64::consts::TAU).sin()
                })
                .sum();
            let syllable = (t * 4.0 * std::f64::consts::PI).sin().max(0.0);
            (voiced * 4_000.0 * syllable + hiss()) as i16
        })
        .collect()
}

#[test]
fn all_sixteen_keys_are_heard_once_each_with_their_length() {
    for key in 0..16 {
        let found = listen(&play(&[key], 100, 100));
        assert_eq!(found.len(), 1, "{key}");
        assert_eq!(found[0].digit, digit(key));
        let off = found[0].duration.as_millis().abs_diff(100);
        assert!(off <= 7, "{key}: {:?}", found[0].duration);
    }
}

#[test]
fn the_coefficients_belong_to_their_frequencies() {
    for (frequency, coefficient) in FREQUENCIES.iter().zip(COEFFICIENTS) {
        let exact = 2.0 * (std::f64::consts::TAU * frequency / 8_000.0).cos();
        assert!((exact - f64::from(coefficient)).abs() < 2e-6, "{frequency}: {exact}");
    }
}

#[test]
fn a_hundred_digits_in_a_row_are_all_heard_also_at_forty_milliseconds() {
    let keys: Vec<u8> = (0..100u32).map(|i| (i * 7 % 16) as u8).collect();
    for (tone, gap) in [(100, 100), (50, 50), (40, 40)] {
        assert_eq!(codes(&play(&keys, tone, gap)), keys, "{tone} {gap}");
    }
}

#[test]
fn the_same_digit_twice_is_two_digits() {
    assert_eq!(codes(&play(&[5, 5, 5], 45, 45)), [5, 5, 5]);
}

#[test]
fn twenty_three_milliseconds_are_no_digit_and_a_dropout_of_ten_splits_none() {
    for start in 0..60 {
        assert!(codes(&play(&[5], 23, 100)[start..]).is_empty(), "{start}");
    }
    let held = play(&[5], 300, 50);
    for start in 1_400..1_460 {
        let mut held = held.clone();
        held[start..start + 80].fill(0);
        assert_eq!(codes(&held), [5], "{start}");
    }
}

#[test]
fn digits_survive_g711_noise_twist_and_a_detuned_sender() {
    for key in 0..16 {
        for (detune, low, high) in [(1.0, 8_000.0, 8_000.0), (1.015, 4_000.0, 8_000.0), (0.985, 600.0, 400.0)]
        {
            let (row, column) = frequencies(digit(key));
            let mut hiss = noise(if low > 1_000.0 { 1_000.0 } else { 60.0 });
            let samples: Vec<i16> = (0..1_600)
                .map(|i| {
                    let angle = std::f64::consts::TAU * detune * f64::from(i) / 8_000.0;
                    let sounding = (300..900).contains(&i);
                    let tone = low * (row * angle).sin() + high * (column * angle).sin();
                    let sample = if sounding { tone } else { 0.0 } + hiss();
                    Law::Mu.decode_sample(Law::Mu.encode_sample(sample as i16))
                })
                .collect();
            assert_eq!(codes(&samples), [key], "{detune} {low}");
        }
    }
}

#[test]
fn too_much_twist_and_one_tone_alone_are_no_digit() {
    let sound = |low: f64, high: f64| -> Vec<i16> {
        let angle = |i: usize| std::f64::consts::TAU * i as f64 / 8_000.0;
        (0..1_600)
            .map(|i| (low * (770.0 * angle(i)).sin() + high * (1_336.0 * angle(i)).sin()) as i16)
            .collect()
    };
    assert_eq!(codes(&sound(8_000.0, 8_000.0)), [5]);
    for (low, high) in
        [(2_000.0, 12_000.0), (12_000.0, 3_000.0), (12_000.0, 0.0), (0.0, 12_000.0), (60.0, 60.0)]
    {
        assert_eq!(codes(&sound(low, high)), [0u8; 0], "{low} {high}");
    }
}

#[test]
fn a_minute_of_speech_like_sound_holds_no_digit() {
    assert_eq!(codes(&speech_like(60)), [0u8; 0]);
}

#[test]
fn digits_are_heard_between_words() {
    let mut sound = speech_like(2);
    for key in [1, 9, 11] {
        sound.extend(play(&[key], 80, 80));
        sound.extend(speech_like(1));
    }
    assert_eq!(codes(&sound), [1, 9, 11]);
}

#[test]
fn tones_begin_and_end_softly_and_silence_follows() {
    let mut tones = DtmfTones::new(8_000);
    tones.start(digit(5), Duration::from_millis(50));
    let mut samples = [1; 480];
    tones.fill(&mut samples);
    assert!(samples[0].abs() < 500 && samples[399].abs() < 500);
    assert!(samples[..400].iter().any(|sample| *sample > 15_000));
    assert!(samples[400..].iter().all(|sample| *sample == 0));
}

#[test]
fn one_sample_at_a_time_is_heard_as_well() {
    let mut detector = DtmfDetector::new();
    let found: Vec<_> =
        play(&[3, 14], 60, 60).into_iter().filter_map(|sample| detector.push(sample)).collect();
    assert_eq!(found.iter().map(|found| found.digit.as_char()).collect::<String>(), "3C");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_chunking_of_the_same_sound_holds_the_same_digits(
        keys in proptest::collection::vec(0u8..16, 0..6),
        cuts in proptest::collection::vec(1usize..400, 1..20),
    ) {
        let sound = play(&keys, 60, 60);
        let (mut detector, mut found) = (DtmfDetector::new(), Vec::new());
        let mut rest = &sound[..];
        for cut in cuts.into_iter().cycle() {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            detector.listen(now, &mut |key| found.push(key));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        found.extend(detector.finish());
        prop_assert_eq!(&found, &listen(&sound));
        prop_assert_eq!(found.iter().map(|found| found.digit.event()).collect::<Vec<_>>(), keys);
    }

    #[test]
    fn any_samples_at_all_are_survived(samples in proptest::collection::vec(any::<i16>(), 0..2_000)) {
        listen(&samples);
    }
}
