//! Voice activity heard by speech-like sound, noise and anything at all.

use super::*;
use crate::media::encode_samples;
use proptest::prelude::*;

/// A piece of a test signal: its length and whether somebody speaks in it.
type Stretch = (u64, bool);

/// Speech-like sound (voiced syllables of 160 ms, 80 ms apart, on a moving pitch) over white noise.
fn signal(rate: u32, stretches: &[Stretch], speech_dbfs: f32, noise_dbfs: f32) -> Vec<i16> {
    let amplitude = |dbfs: f32| 32_768.0 * 10f32.powf(dbfs / 20.0);
    // White noise of a flat distribution has a third of its peak's power; the syllables come to a quarter.
    let (speech, noise) = (2.0 * amplitude(speech_dbfs), 3f32.sqrt() * amplitude(noise_dbfs));
    let (mut seed, mut phase, mut samples) = (1u32, 0f32, Vec::new());
    for (ms, speaks) in stretches {
        for n in 0..ms * u64::from(rate) / 1_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut value = noise * ((seed >> 8) as f32 / 8_388_608.0 - 1.0);
            let at = n as f32 / rate as f32;
            let syllable = (at % 0.24) / 0.16;
            if *speaks && syllable < 1.0 {
                phase += std::f32::consts::TAU * (120.0 + 30.0 * (at * 4.0).sin()) / rate as f32;
                let voice = phase.sin() + 0.6 * (2.0 * phase).sin() + 0.4 * (5.0 * phase).sin();
                value += speech * voice * (std::f32::consts::PI * syllable).sin();
            }
            samples.push(value.clamp(-32_768.0, 32_767.0) as i16);
        }
    }
    samples
}

fn edges(format: MediaFormat, samples: &[i16], chunk_ms: u64) -> Vec<SpeechEdge> {
    let (mut activity, mut bytes, mut edges) = (VoiceActivity::new(format), Vec::new(), Vec::new());
    encode_samples(format, samples, &mut bytes);
    for chunk in bytes.chunks(format.bytes_in(Duration::from_millis(chunk_ms))) {
        activity.hear(chunk, |edge| edges.push(edge));
    }
    edges
}

/// Where the edges lie in milliseconds: positive for a beginning, negative for an end.
fn in_ms(rate: u32, edges: &[SpeechEdge]) -> Vec<i64> {
    let ms = |at: &u64| (at * 1_000 / u64::from(rate)) as i64;
    edges
        .iter()
        .map(|edge| match edge {
            SpeechEdge::Started { at } => ms(at),
            SpeechEdge::Stopped { at } => -ms(at),
        })
        .collect()
}

const CALL: [Stretch; 5] = [(1_000, false), (2_000, true), (2_000, false), (1_500, true), (1_500, false)];
const FORMATS: [MediaFormat; 4] = [
    MediaFormat::PCMU_8K,
    MediaFormat::PCMA_8K,
    MediaFormat::linear16(16_000),
    MediaFormat::linear16(24_000),
];

#[test]
fn speech_is_found_at_every_level_above_every_noise_that_it_stands_out_of() {
    for format in FORMATS {
        for (speech, noise) in
            [(-16.0, -90.0), (-16.0, -40.0), (-26.0, -60.0), (-26.0, -45.0), (-38.0, -62.0)]
        {
            let samples = signal(format.sample_rate, &CALL, speech, noise);
            let found = in_ms(format.sample_rate, &edges(format, &samples, 20));
            let told = format!("{format} speech {speech} noise {noise}: {found:?}");
            assert_eq!(found.len(), 4, "{told}");
            // The last syllable of either stretch ends in silence of its own.
            for (is, should) in found.iter().zip([1_000, -2_960, 5_000, -6_460]) {
                assert!(
                    (is.abs() - i64::abs(should)).abs() <= 70 && is.signum() == i64::signum(should),
                    "{told}"
                );
            }
        }
    }
}

#[test]
fn noise_alone_is_never_speech_even_when_it_becomes_louder_for_good() {
    for noise in [-90.0, -60.0, -45.0, -38.0] {
        let samples = signal(8_000, &[(20_000, false)], -90.0, noise);
        assert_eq!(edges(MediaFormat::PCMU_8K, &samples, 20), [], "{noise}");
    }
    let mut samples = signal(8_000, &[(3_000, false)], -90.0, -65.0);
    samples.extend(signal(8_000, &[(10_000, false)], -90.0, -42.0));
    let found = in_ms(8_000, &edges(MediaFormat::PCMU_8K, &samples, 20));
    assert!(matches!(found[..], [3_000, stopped] if -stopped < 6_500), "{found:?}");
}

#[test]
fn a_click_is_no_speech_and_a_pause_between_words_ends_none() {
    let mut samples = vec![0i16; 16_000];
    samples[8_000..8_160].fill(12_000);
    assert_eq!(edges(MediaFormat::PCMA_8K, &samples, 20), []);
    let call = [(500, false), (1_000, true), (300, false), (1_000, true), (1_000, false)];
    let found = edges(MediaFormat::PCMA_8K, &signal(8_000, &call, -26.0, -60.0), 20);
    assert!(matches!(found[..], [SpeechEdge::Started { .. }, SpeechEdge::Stopped { .. }]), "{found:?}");
}

#[test]
fn the_end_is_told_four_hundred_milliseconds_behind_it_also_when_nothing_comes_any_more() {
    let format = MediaFormat::PCMU_8K;
    let mut bytes = Vec::new();
    encode_samples(format, &signal(8_000, &[(500, false), (960, true)], -26.0, -60.0), &mut bytes);
    let (mut activity, mut told) = (VoiceActivity::new(format), Vec::new());
    activity.hear(&bytes, |edge| told.push(edge));
    assert!(activity.is_speaking());
    for _ in 0..25 {
        activity.skip(160, |edge| told.push(edge));
    }
    assert!(!activity.is_speaking());
    assert_eq!(activity.position(), (500 + 960 + 500) * 8);
    let found = in_ms(8_000, &told);
    assert!(matches!(found[..], [450..=550, -1_460..=-1_340]), "{found:?}");
}

#[test]
fn moments_without_a_sound_between_frames_hold_no_beginning_back() {
    let mut bytes = Vec::new();
    encode_samples(MediaFormat::PCMU_8K, &[9_000; 480], &mut bytes);
    let (mut activity, mut told) = (VoiceActivity::new(MediaFormat::PCMU_8K), Vec::new());
    activity.skip(800, |edge| told.push(edge));
    for frame in bytes.chunks(80) {
        activity.hear(frame, |edge| told.push(edge));
        activity.skip(2, |edge| told.push(edge));
    }
    assert_eq!(told, [SpeechEdge::Started { at: 800 }]);
}

#[test]
fn digital_silence_is_told_from_the_quietest_line() {
    let mut activity = VoiceActivity::new(MediaFormat::PCMU_8K);
    activity.hear(&[0xFF; 8_000], |_| {});
    assert_eq!(activity.loudest_dbfs(), f32::NEG_INFINITY);
    activity.hear_samples(&[4; 80], |_| {});
    assert!((activity.loudest_dbfs() + 78.3).abs() < 0.1, "{}", activity.loudest_dbfs());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_chunking_of_the_same_audio_finds_the_same_edges(chunk_ms in 1u64..2_000) {
        let samples = signal(8_000, &CALL, -26.0, -55.0);
        let whole = edges(MediaFormat::PCMU_8K, &samples, 60_000);
        prop_assert_eq!(edges(MediaFormat::PCMU_8K, &samples, chunk_ms), whole);
    }

    #[test]
    fn time_is_skipped_alike_at_once_and_in_any_pieces(
        ways in proptest::collection::vec((0u64..400, 0u64..4_000, 1u64..300), 1..20),
    ) {
        let format = MediaFormat::PCMU_8K;
        let edges_of = |at_once: bool| {
            let (mut activity, mut told) = (VoiceActivity::new(format), Vec::new());
            for (heard, skipped, piece) in &ways {
                activity.hear_samples(&vec![9_000; *heard as usize * 8], |edge| told.push(edge));
                let mut left = *skipped;
                while left > 0 {
                    let now = if at_once { left } else { left.min(*piece) };
                    activity.skip(now, |edge| told.push(edge));
                    left -= now;
                }
            }
            (told, activity.position(), activity.is_speaking())
        };
        prop_assert_eq!(edges_of(true), edges_of(false));
    }

    #[test]
    fn any_bytes_give_beginnings_and_ends_in_turn(bytes in proptest::collection::vec(any::<u8>(), 0..40_000)) {
        for format in FORMATS {
            let (mut activity, mut told) = (VoiceActivity::new(format), Vec::new());
            activity.hear(&bytes, |edge| told.push(edge));
            activity.skip(u64::from(format.sample_rate), |edge| told.push(edge));
            for (turn, edge) in told.iter().enumerate() {
                prop_assert_eq!(matches!(edge, SpeechEdge::Started { .. }), turn % 2 == 0);
            }
            prop_assert!(!activity.is_speaking());
        }
    }
}
