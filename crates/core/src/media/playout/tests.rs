//! What a bot and a caller may rely on, and the laws behind it.

use super::*;
use proptest::prelude::*;

const FRAME: usize = 160;
const MU: MediaFormat = MediaFormat::PCMU_8K;
const L16: MediaFormat = MediaFormat::linear16(8_000);
const ROOMY: Duration = Duration::from_secs(300);

fn pull(playout: &mut Playout) -> (Vec<u8>, Pulled) {
    let mut frame = vec![1; FRAME * playout.format().bytes_per_sample()];
    let pulled = playout.pull(&mut frame);
    assert_eq!(pulled.audio_bytes + pulled.padded, frame.len());
    (frame, pulled)
}

fn pull_all(playout: &mut Playout) -> Vec<u8> {
    let mut audio = Vec::new();
    for _ in 0..20_000 {
        let (frame, pulled) = pull(playout);
        audio.extend_from_slice(&frame[..pulled.audio_bytes]);
        if playout.is_empty() {
            break;
        }
    }
    audio
}

fn marks(playout: &mut Playout) -> Vec<(String, MarkOutcome)> {
    std::iter::from_fn(|| playout.poll_mark()).map(|done| (done.name, done.outcome)).collect()
}

fn lawful(playout: &Playout) -> bool {
    let counts = playout.counts();
    counts.pushed == counts.played + counts.cleared + counts.trimmed + playout.waiting() as u64
        && playout.items.waiting() == playout.waiting() as u64
}

/// `ms` of a loud 400 Hz square wave, or of silence.
fn sound(ms: usize, loud: bool) -> Vec<u8> {
    (0..ms * 8)
        .map(|i| {
            if !loud {
                0xFF
            } else if i / 10 % 2 == 0 {
                0x80
            } else {
                0x00
            }
        })
        .collect()
}

#[test]
fn a_fresh_stream_is_released_at_once() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[5; FRAME], None);
    assert_eq!(pull(&mut playout), (vec![5; FRAME], Pulled { audio_bytes: FRAME, padded: 0 }));
    assert_eq!(pull(&mut playout), (vec![0xFF; FRAME], Pulled { audio_bytes: 0, padded: FRAME }));
}

#[test]
fn a_mark_is_reported_only_after_its_audio_was_played() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[5; FRAME + 1], None);
    playout.mark("a").unwrap();
    pull(&mut playout);
    assert_eq!(playout.poll_mark(), None);
    pull(&mut playout);
    assert_eq!(marks(&mut playout), [("a".into(), MarkOutcome::Played)]);
}

#[test]
fn a_mark_with_nothing_before_it_is_done_at_once() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.mark("a").unwrap();
    assert_eq!(marks(&mut playout), [("a".into(), MarkOutcome::Played)]);
}

#[test]
fn repeated_marks_come_back_first_in_first_out() {
    let mut playout = Playout::new(MU, ROOMY);
    for name in ["a", "b", "a"] {
        playout.push(&[5; FRAME], None);
        playout.mark(name).unwrap();
    }
    pull(&mut playout);
    assert_eq!(marks(&mut playout), [("a".into(), MarkOutcome::Played)]);
    playout.clear();
    playout.mark("c").unwrap();
    let cleared = MarkOutcome::Cleared;
    let expected = [("b".into(), cleared), ("a".into(), cleared), ("c".into(), MarkOutcome::Played)];
    assert_eq!(marks(&mut playout), expected);
}

#[test]
fn a_clear_after_the_last_sample_does_not_take_a_mark_back() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[5; FRAME], None);
    playout.mark("a").unwrap();
    pull(&mut playout);
    assert_eq!(playout.clear(), 0);
    assert_eq!(marks(&mut playout), [("a".into(), MarkOutcome::Played)]);
}

#[test]
fn a_clear_drops_everything_that_waits() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[5; 10 * FRAME], None);
    pull(&mut playout);
    assert_eq!(playout.clear(), 9 * FRAME);
    assert_eq!(pull(&mut playout).1.audio_bytes, 0);
    assert!(lawful(&playout));
}

#[test]
fn clearing_through_an_item_keeps_what_follows_it() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[1; FRAME], Some("a"));
    playout.mark("end of a").unwrap();
    playout.push(&[2; FRAME], Some("b"));
    playout.mark("end of b").unwrap();
    assert_eq!(playout.clear_through("a"), FRAME);
    assert_eq!(playout.clear_through("unknown"), 0);
    assert_eq!(pull(&mut playout).0, vec![2; FRAME]);
    let expected = [("end of a".into(), MarkOutcome::Cleared), ("end of b".into(), MarkOutcome::Played)];
    assert_eq!(marks(&mut playout), expected);
}

#[test]
fn the_newest_is_refused_when_full_and_nothing_that_waits_is_lost() {
    let mut playout = Playout::new(MU, Duration::from_millis(40));
    let pushed = playout.push(&[5; 400], None);
    assert_eq!(pushed, Pushed { accepted_bytes: 320, refused_bytes: 80 });
    pull(&mut playout);
    assert_eq!(playout.push(&[6; 160], None).accepted_bytes, 160);
    assert_eq!(pull(&mut playout).0, vec![5; FRAME]);
    assert_eq!(pull(&mut playout).0, vec![6; FRAME]);
}

#[test]
fn a_refusal_in_the_middle_of_a_sample_takes_the_whole_sample() {
    let mut playout = Playout::new(L16, Duration::from_millis(20));
    playout.push(&[0; 319], None);
    assert_eq!(playout.push(&[0, 7, 7, 7], None), Pushed { accepted_bytes: 1, refused_bytes: 3 });
    pull(&mut playout);
    // The other half of the refused sample, then a whole one.
    assert_eq!(playout.push(&[7, 8, 9], None), Pushed { accepted_bytes: 2, refused_bytes: 1 });
    playout.end_of_utterance();
    assert_eq!(pull(&mut playout).0[..2], [8, 9]);
}

#[test]
fn a_stream_that_runs_dry_ends_in_one_padded_frame() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[5; FRAME + 100], None);
    pull(&mut playout);
    assert_eq!(pull(&mut playout).1, Pulled { audio_bytes: 100, padded: 60 });
}

#[test]
fn a_stream_that_begins_byte_by_byte_waits_for_a_frame() {
    let mut playout = Playout::new(MU, ROOMY);
    for _ in 0..FRAME - 1 {
        playout.push(&[5], None);
        assert_eq!(pull(&mut playout).1.audio_bytes, 0);
    }
    playout.push(&[5], None);
    assert_eq!(pull(&mut playout).1.audio_bytes, FRAME);
}

#[test]
fn a_short_utterance_waits_one_frame_unless_its_end_is_known() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[5; 10], None);
    assert_eq!(pull(&mut playout).1.audio_bytes, 0);
    assert_eq!(pull(&mut playout).1.audio_bytes, 10);
    pull(&mut playout);
    playout.push(&[5; 10], None);
    playout.end_of_utterance();
    assert_eq!(pull(&mut playout).1.audio_bytes, 10);
}

#[test]
fn half_a_sample_is_never_played_and_ends_with_its_utterance() {
    let mut playout = Playout::new(L16, ROOMY);
    playout.push(&[5; 2 * FRAME + 1], None);
    playout.mark("end").unwrap();
    pull(&mut playout);
    assert_eq!((playout.waiting(), playout.poll_mark()), (1, None));
    playout.end_of_utterance();
    assert!(playout.is_empty() && lawful(&playout));
    assert_eq!(marks(&mut playout).len(), 1);
    // Without an end being told, silence ends it.
    playout.push(&[5], None);
    (0..3).for_each(|_| assert_eq!(pull(&mut playout).1.audio_bytes, 0));
    assert!(playout.is_empty() && lawful(&playout));
}

#[test]
fn what_was_heard_of_an_item_is_known_in_samples() {
    let mut playout = Playout::new(L16, ROOMY);
    playout.push(&[1; 640], Some("a"));
    playout.push(&[2; 480], Some("b"));
    pull(&mut playout);
    assert_eq!(playout.heard_position("a"), Some(Heard { samples: 160, waiting: 160, pushed: 320 }));
    assert_eq!(playout.current_item(), Some("a"));
    pull(&mut playout);
    pull(&mut playout);
    playout.clear();
    assert_eq!(playout.heard_position("b"), Some(Heard { samples: 160, waiting: 0, pushed: 240 }));
    assert_eq!(playout.heard_position("c"), None);
    assert_eq!((playout.current_item(), playout.played_samples()), (Some("b"), 480));
}

#[test]
fn an_item_that_goes_on_after_a_gap_is_still_one_item() {
    let mut playout = Playout::new(MU, ROOMY);
    for _ in 0..2 {
        playout.push(&[1; FRAME], Some("a"));
        pull(&mut playout);
    }
    assert_eq!(playout.heard_position("a"), Some(Heard { samples: 320, waiting: 0, pushed: 320 }));
}

#[test]
fn a_bot_that_names_every_sample_costs_bounded_memory() {
    let mut playout = Playout::new(MU, ROOMY);
    for item in 0..5_000 {
        playout.push(&[1], Some(&item.to_string()));
    }
    assert!(playout.heard_position("1000").is_some() && playout.heard_position("4999").is_none());
    assert_eq!(pull_all(&mut playout).len(), 5_000);
    assert!(lawful(&playout));
}

#[test]
fn marks_have_a_bound() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[1], None);
    (0..MARKS_MAX).for_each(|_| playout.mark("m").unwrap());
    assert_eq!(playout.mark("m"), Err(PlayoutFull));
}

#[test]
fn five_minutes_at_once_are_taken_and_their_memory_is_given_back() {
    let mut playout = Playout::new(MU, ROOMY);
    assert_eq!(playout.push(&vec![1; 2_400_001], None).refused_bytes, 1);
    pull_all(&mut playout);
    assert!(playout.memory() < 8_192, "{}", playout.memory());
}

#[test]
fn trimming_takes_silence_and_leaves_every_word_and_a_frame_between_words() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&[sound(300, true), sound(500, false)].concat(), None);
    playout.mark("between").unwrap();
    playout.push(&[sound(300, true), sound(5, false), sound(100, true)].concat(), None);
    assert_eq!(playout.trim_silence(Duration::from_millis(100), SilenceGate::default()), 480 * 8);
    assert_eq!(playout.trim_silence(Duration::from_millis(100), SilenceGate::default()), 0);
    assert!(lawful(&playout));
    let expected =
        [sound(300, true), sound(20, false), sound(300, true), sound(5, false), sound(100, true)].concat();
    for _ in 0..16 {
        pull(&mut playout);
    }
    assert_eq!(marks(&mut playout).len(), 1, "the mark came as much earlier as its audio");
    assert_eq!(playout.waiting(), expected.len() - 16 * FRAME);
}

#[test]
fn trimming_stops_at_its_target() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&sound(1_000, false), None);
    playout.trim_silence(Duration::from_millis(200), SilenceGate::default());
    assert_eq!(playout.depth(), Duration::from_millis(200));
}

#[test]
fn silence_after_what_was_played_keeps_its_frame_too() {
    let mut playout = Playout::new(MU, ROOMY);
    playout.push(&sound(100, false), None);
    playout.trim_silence(Duration::from_millis(50), SilenceGate::default());
    pull_all(&mut playout);
    playout.push(&sound(200, false), None);
    playout.trim_silence(Duration::ZERO, SilenceGate::default());
    assert_eq!(playout.depth(), Duration::from_millis(20));
}

#[test]
fn a_stall_of_a_live_source_is_caught_up_within_three_seconds_of_ordinary_talk() {
    let mut playout = Playout::new(MU, ROOMY);
    // After a stall of 600 ms, all of it comes at once; talk is 400 ms of word and 200 ms of pause.
    let talk: Vec<u8> = (0..10).flat_map(|_| [sound(400, true), sound(200, false)].concat()).collect();
    let mut live = talk.chunks(FRAME).cycle();
    (0..30).for_each(|_| assert_eq!(playout.push(live.next().unwrap(), None).refused_bytes, 0));
    for _ in 0..150 {
        playout.push(live.next().unwrap(), None);
        playout.trim_silence(Duration::from_millis(40), SilenceGate::default());
        assert_eq!(pull(&mut playout).1.padded, 0);
    }
    assert!(playout.depth() <= Duration::from_millis(60), "{:?}", playout.depth());
    assert!(lawful(&playout));
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize, u8, bool),
    Pull(usize),
    Mark,
    Clear,
    ClearThrough(u8),
    End,
    Trim(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..3_000, 0u8..4, any::<bool>()).prop_map(|(n, item, loud)| Step::Push(n, item, loud)),
        6 => (0usize..400).prop_map(Step::Pull),
        2 => Just(Step::Mark),
        1 => Just(Step::Clear),
        1 => (0u8..4).prop_map(Step::ClearThrough),
        1 => Just(Step::End),
        2 => (0u64..200).prop_map(Step::Trim),
    ]
}

proptest! {
    #[test]
    fn playout_conserves_samples_and_marks_come_once_in_order(
        linear in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut playout = Playout::new(if linear { L16 } else { MU }, Duration::from_millis(500));
        let (mut set, mut done) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Push(n, item, loud) => {
                    let name = item.to_string();
                    let audio: Vec<u8> = (0..n).map(|i| if loud { (i * 7) as u8 } else { 0xFF }).collect();
                    let pushed = playout.push(&audio, (item > 0).then_some(name.as_str()));
                    prop_assert_eq!(pushed.accepted_bytes + pushed.refused_bytes, n);
                }
                Step::Pull(n) => assert!(playout.pull(&mut vec![0; n]).audio_bytes <= n),
                Step::Mark => {
                    playout.mark(set.to_string()).unwrap();
                    set += 1;
                }
                Step::Clear => {
                    playout.clear();
                    prop_assert!(playout.is_empty());
                }
                Step::ClearThrough(item) => assert!(playout.clear_through(&item.to_string()) <= 8_000),
                Step::End => playout.end_of_utterance(),
                Step::Trim(ms) => {
                    let target = Duration::from_millis(ms);
                    let before = playout.depth();
                    playout.trim_silence(target, SilenceGate::default());
                    prop_assert!(playout.depth() >= before.min(target));
                }
            }
            prop_assert!(lawful(&playout));
            prop_assert!(playout.depth() <= Duration::from_millis(500));
            for item in 1..4u8 {
                if let Some(heard) = playout.heard_position(&item.to_string()) {
                    prop_assert!(heard.samples + heard.waiting <= heard.pushed);
                }
            }
            done.extend(marks(&mut playout));
        }
        playout.clear();
        done.extend(marks(&mut playout));
        let names: Vec<String> = done.into_iter().map(|(name, _)| name).collect();
        prop_assert_eq!(names, (0..set).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn any_chunking_of_the_same_audio_plays_the_same_bytes(
        linear in any::<bool>(),
        audio in proptest::collection::vec(any::<u8>(), 1..4_000),
        cuts in proptest::collection::vec(1usize..900, 1..40),
    ) {
        let format = if linear { L16 } else { MU };
        let frame = FRAME * format.bytes_per_sample();
        let mut whole = Playout::new(format, ROOMY);
        whole.push(&audio, None);
        whole.end_of_utterance();
        let expected = pull_all(&mut whole);
        let mut chunked = Playout::new(format, ROOMY);
        let (mut rest, mut played) = (&audio[..], Vec::new());
        for cut in cuts.into_iter().cycle() {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            chunked.push(now, None);
            if chunked.waiting() >= frame {
                let (bytes, pulled) = pull(&mut chunked);
                prop_assert_eq!(pulled.padded, 0);
                played.extend(bytes);
            }
            if rest.is_empty() {
                break;
            }
        }
        chunked.end_of_utterance();
        played.extend(pull_all(&mut chunked));
        prop_assert_eq!(played, expected);
    }
}
