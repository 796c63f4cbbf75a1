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
