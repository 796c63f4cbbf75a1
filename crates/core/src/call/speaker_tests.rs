//! A stall won back, changes of codec, and what is never trimmed.

use super::*;

const FRAME: Duration = Duration::from_millis(20);

fn speaker() -> Speaker {
    let mut speaker = Speaker::new(Cadence::Steady, MediaFormat::PCMU_8K, MediaFormat::PCMU_8K, FRAME);
    speaker.start(Moment::START);
    speaker
}

#[test]
fn a_stalled_real_time_source_is_back_at_its_depth_within_three_seconds() {
    let mut speaker = speaker();
    let mut now = Moment::START;
    // Words of 300 ms with pauses of 200 ms.
    let frame = |at: u64| if at % 500 < 300 { [0x10u8; 160] } else { [0xFFu8; 160] };
    let mut settled_after = None;
    for at in (0..10_000u64).step_by(20) {
        let stalled = (3_000..3_600).contains(&at);
        if at == 3_600 {
            (3_000..3_600).step_by(20).for_each(|late| {
                speaker.push(&frame(late), now);
            });
        }
        if !stalled {
            speaker.push(&frame(at), now);
        }
        speaker.take_sound(now);
        if at > 3_700 && speaker.depth() <= DEPTH_TOLERATED + FRAME {
            settled_after.get_or_insert(at - 3_600);
        }
        now = now + FRAME;
    }
    let settled_after = settled_after.expect("the backlog stayed");
    assert!(settled_after <= 3_000, "{settled_after} ms");
    let counts = speaker.playout.counts();
    assert!(counts.trimmed > 0);
    assert_eq!(
        counts.played + counts.cleared + counts.trimmed + speaker.playout.waiting() as u64,
        counts.pushed
    );
}

#[test]
fn a_change_of_codec_takes_what_waits_and_its_marks_along() {
    let mut speaker = speaker();
    speaker.push(&[0x20; 8_000], Moment::START);
    assert!(speaker.mark("m").is_ok());
    speaker.set_leg(MediaFormat::PCMA_8K, FRAME);
    let mut now = Moment::START;
    for _ in 0..49 {
        speaker.take_sound(now);
        now = now + FRAME;
    }
    assert_eq!(speaker.poll_mark(), None);
    speaker.take_sound(now);
    assert!(matches!(speaker.poll_mark(), Some(CallEvent::Mark { outcome: MarkOutcome::Played, .. })));
    let mut counters = Counters::default();
    speaker.count(&mut counters);
    assert_eq!((counters.pushed_ms, counters.played_ms, counters.cleared_ms), (1_000, 1_000, 0));
}

#[test]
fn a_change_of_codec_between_the_halves_of_a_sample_makes_no_noise_of_what_follows() {
    let linear = MediaFormat::linear16(8_000);
    let (pcmu, pcma) = (MediaFormat::PCMU_8K, MediaFormat::PCMA_8K);
    for (before, after) in [(pcmu, pcma), (linear, pcmu), (pcmu, linear)] {
        let mut speaker = Speaker::new(Cadence::Steady, linear, before, FRAME);
        speaker.start(Moment::START);
        let audio = [0x10, 0x20].repeat(800);
        speaker.push(&audio[..801], Moment::START);
        speaker.set_leg(after, FRAME);
        speaker.push(&audio[801..], Moment::START);
        let (mut heard, mut now) = (Vec::new(), Moment::START);
        let mut to_linear = Converter::new(after, linear).unwrap();
        for _ in 0..5 {
            if let Some(Sound::Audio(frame)) = speaker.take_sound(now) {
                to_linear.convert(frame, &mut heard);
            }
            now = now + FRAME;
        }
        let samples = heard.chunks(2).map(|two| i16::from_le_bytes([two[0], two[1]]));
        let off: Vec<_> = samples.filter(|sample| !(7_900..8_500).contains(sample)).collect();
        assert!(
            heard.len() == 1_600 && off.is_empty(),
            "{before} to {after}: {} {:?}",
            heard.len(),
            off.first()
        );
    }
}

#[test]
fn a_clip_and_a_burst_keep_their_pauses_after_a_bot_that_spoke_in_real_time() {
    for is_clip in [true, false] {
        let mut speaker = speaker();
        let mut now = Moment::START;
        for at in 0..140 {
            if at < 110 {
                speaker.push(&[0x10; 160], now);
            } else if at == 110 && is_clip {
                speaker.push_clip(&[0; 8_000], now);
            } else if at == 110 {
                speaker.push(&[0xFF; 8_000], now);
            }
            speaker.take_sound(now);
            now = now + FRAME;
        }
        assert_eq!(speaker.playout.counts().trimmed, 0, "clip: {is_clip}");
    }
}

#[test]
fn a_burst_of_speech_is_never_trimmed() {
    let mut speaker = speaker();
    let mut now = Moment::START;
    speaker.push(&vec![0xFFu8; 8_000 * 10], now);
    for _ in 0..400 {
        speaker.take_sound(now);
        now = now + FRAME;
    }
    assert_eq!(speaker.playout.counts().trimmed, 0);
}

/// What leaves a vendor's leg up to `until`, with the moments in milliseconds, as linear samples.
fn leaves(speaker: &mut Speaker, until: u64) -> Vec<(u64, Vec<i16>)> {
    let until = Moment::from_millis(until);
    let mut left = Vec::new();
    while let Some(due) = speaker.poll_timeout().filter(|due| *due <= until) {
        let at = (due - Moment::START).as_millis() as u64;
        if let Some(Sound::Audio(frame)) = speaker.take_sound(due) {
            left.push((at, frame.chunks(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect()));
        }
    }
    left
}

fn vendor_with_fine_bot() -> Speaker {
    let (fine, coarse) = (MediaFormat::linear16(24_000), MediaFormat::linear16(8_000));
    let mut speaker = Speaker::new(Cadence::OnDemand, fine, coarse, FRAME);
    speaker.start(Moment::START);
    speaker
}

#[test]
fn the_end_of_a_word_follows_it_at_once_and_nothing_comes_later() {
    let mut speaker = vendor_with_fine_bot();
    speaker.set_item("A");
    speaker.push(&[0x10, 0x20].repeat(480 * 5), Moment::START);
    let left = leaves(&mut speaker, 1_000);
    assert_eq!(left.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 20, 40, 60, 80, 100]);
    let samples: Vec<i16> = left.iter().flat_map(|(_, frame)| frame.clone()).collect();
    let loud = samples.iter().filter(|sample| **sample > 4_000).count();
    assert!((799..=801).contains(&loud), "{loud}");
    assert!(samples[832..].iter().all(|sample| *sample == 0));
    assert_eq!(speaker.heard("A"), Some((FRAME * 5, FRAME * 5)), "the filter's delay is no part of it");
    let now = Moment::from_millis(1_000);
    speaker.clear();
    speaker.end_of_utterance(now);
    assert!(speaker.drained_since().is_some());
    assert_eq!(leaves(&mut speaker, 2_000), []);
    let mut counters = Counters::default();
    speaker.count(&mut counters);
    assert_eq!((counters.played_ms, counters.cleared_ms), (104, 0));
}

#[test]
fn an_echo_that_is_late_is_neither_padded_nor_delayed_and_keeps_its_end() {
    let mut speaker = vendor_with_fine_bot();
    let mut left = Vec::new();
    for piece in 0..200u64 {
        let at = piece * 20 + if piece > 150 && piece % 7 == 0 { 12 } else { 0 };
        left.extend(leaves(&mut speaker, at));
        speaker.push(&[0x10, 0x20].repeat(480), Moment::from_millis(at));
    }
    let padded = |left: &[(u64, Vec<i16>)]| left.iter().filter(|(_, frame)| frame[159] == 0).count();
    let late = left.iter().filter(|(at, _)| *at > 3_000);
    assert_eq!(padded(&late.cloned().collect::<Vec<_>>()), 0);
    let last = leaves(&mut speaker, 6_000);
    let [.., (before, _), (at, end)] = &last[..] else { panic!("{last:?}") };
    assert!(at - before <= 60 && end[31] > 4_000 && end[32] == 0, "{before} {at} {end:?}");
    assert_eq!(padded(&last), 1);
}

#[test]
fn half_a_sample_before_a_pause_makes_no_noise_of_what_follows() {
    let mut speaker = vendor_with_fine_bot();
    let audio = [0x10, 0x20].repeat(4_800);
    speaker.push(&audio[..4_801], Moment::START);
    let mut left = leaves(&mut speaker, 1_000);
    speaker.push(&audio[4_801..], Moment::from_millis(1_000));
    left.extend(leaves(&mut speaker, 2_000));
    let samples: Vec<i16> = left.into_iter().flat_map(|(_, frame)| frame).collect();
    let steady = samples.iter().filter(|sample| (8_100..8_300).contains(*sample)).count();
    assert!(steady > 1_400, "{steady}");
    assert!(samples.iter().all(|sample| (-1_500..10_000).contains(sample)));
}
