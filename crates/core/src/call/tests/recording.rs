//! What comes onto the tape: where both sides stand on it, pauses, consent, keys, and the loudness curve.

use super::bots::Echo;
use super::*;
use crate::media::{DtmfTones, g711::Law};
use crate::vocabulary::Digit;

const AT_ANSWER: RecordingPlan =
    RecordingPlan { begin: RecordingBegin::AtAnswer, consent: None, mask_digits: false };

fn recorded(bot: BotSettings, plan: RecordingPlan) -> Desk {
    let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    let phone = PhoneSettings::Sip { rtp, media: Some(media()), early_media: false };
    Desk::recorded(phone, bot, Fallback::Sorry, Vec::new(), plan)
}

fn remote_and_recorded(plan: RecordingPlan) -> Desk {
    let mut desk = recorded(remote("incoming-call"), plan);
    desk.input(Input::BotConnected);
    desk.bot_says(r#"{"event":"answer"}"#);
    desk
}

/// One channel of an interleaved tape.
fn channel(tape: &[i16], side: usize) -> Vec<i16> {
    tape.iter().skip(side).step_by(2).copied().collect()
}

fn first_loud(channel: &[i16]) -> usize {
    channel.iter().position(|sample| sample.unsigned_abs() > 2_000).expect("something was heard")
}

fn is_silent(samples: &[i16]) -> bool {
    samples.iter().all(|sample| sample.unsigned_abs() < 10)
}

#[test]
fn both_sides_stand_where_they_were_heard_to_a_frame() {
    let mut desk = remote_and_recorded(AT_ANSWER);
    let began = desk.now;
    for at in 0..200u32 {
        // Both speak in the same frame of every second, each for 20 ms.
        if at % 50 == 30 {
            desk.bot_sends(&[0x10; 320]);
            desk.phone_speaks(0x10);
        } else {
            desk.phone_speaks(0xFF);
        }
        desk.pass(FRAME);
    }
    desk.input(Input::HangUp(Reason::Asked));
    let (caller, heard) = (channel(&desk.taped.call, 0), channel(&desk.taped.call, 1));
    assert_eq!(caller.len(), (desk.now - began).as_millis() as usize * 8);
    for second in 0..4 {
        let stretch = second * 8_000..(second + 1) * 8_000;
        let spoken = 30 * 160;
        let (left, right) = (first_loud(&caller[stretch.clone()]), first_loud(&heard[stretch]));
        assert!(left.abs_diff(spoken) <= 160, "caller at {left}");
        assert!(right.abs_diff(spoken) <= 160, "heard at {right}");
    }
    assert_eq!((desk.taped.began.as_slice(), desk.taped.ended), (&[(TapeKind::Call, 8_000)][..], 1));
}

#[test]
fn after_an_hour_both_sides_are_where_they_were_at_the_beginning() {
    let mut desk = recorded(built_in(Box::new(Echo)), AT_ANSWER);
    for second in 0..3_600u32 {
        for at in 0..50 {
            desk.phone_speaks(if at == 30 && second % 60 == 59 { 0x10 } else { 0xFF });
            desk.pass(FRAME);
        }
        desk.seen.clear();
        if second == 30 {
            // A clock that stands still for a moment, and a phone that is silent for one.
            desk.now = desk.now + Duration::from_millis(80);
            desk.pass(Duration::from_millis(920));
        }
    }
    desk.input(Input::HangUp(Reason::Asked));
    let (caller, heard) = (channel(&desk.taped.call, 0), channel(&desk.taped.call, 1));
    let offs: Vec<_> = (0..60)
        .map(|minute| {
            let second = 60 * minute + 59 + usize::from(minute * 60 + 59 > 30);
            let stretch = second * 8_000..(second + 1) * 8_000;
            (first_loud(&caller[stretch.clone()]), first_loud(&heard[stretch]))
        })
        .collect();
    for (left, right) in &offs {
        // The echo leaves up to a frame and the pace's margin after it came.
        assert!(left.abs_diff(30 * 160) <= 160 && right.abs_diff(30 * 160) <= 320, "{offs:?}");
    }
}

#[test]
fn a_gap_is_silence_and_a_cleared_word_is_not_on_the_tape() {
    let mut desk = remote_and_recorded(AT_ANSWER);
    desk.talk(Duration::from_millis(500));
    desk.bot_sends(&[0x10; 320 * 100]);
    desk.talk(Duration::from_millis(400));
    desk.bot_says(r#"{"event":"interrupt"}"#);
    desk.pass(Duration::from_millis(600));
    desk.talk(Duration::from_millis(500));
    desk.input(Input::HangUp(Reason::Asked));
    let (caller, heard) = (channel(&desk.taped.call, 0), channel(&desk.taped.call, 1));
    assert_eq!(caller.len(), 16_000);
    assert!(is_silent(&caller[940 * 8..1_460 * 8]), "the phone was silent");
    assert!(!is_silent(&caller[1_500 * 8..1_990 * 8]) && !is_silent(&caller[..900 * 8]));
    let spoken = heard.iter().filter(|sample| sample.unsigned_abs() > 2_000).count();
    assert!((380 * 8..=440 * 8).contains(&spoken), "{spoken} samples of the bot were heard");
}

#[test]
fn a_timestamp_that_jumps_silences_the_caller_on_no_tape() {
    for jump_ms in [40, 300, 5_000, 30_000, 59_000] {
        let mut desk = recorded(built_in(Box::new(Echo)), AT_ANSWER);
        desk.input(Input::Recording(RecordingOrder::StartVoicemail));
        desk.input(Input::Recording(RecordingOrder::StartListening));
        desk.talk(Duration::from_secs(1));
        // The phone's numbers and its source stay; its clock is set forward, and no time passes.
        desk.epoch += jump_ms * 8;
        desk.talk(Duration::from_secs(4));
        desk.input(Input::HangUp(Reason::Asked));
        let tapes =
            [channel(&desk.taped.call, 0), desk.taped.voicemail.clone(), channel(&desk.overheard.call, 0)];
        for (tape, of) in tapes.iter().zip(["call", "voicemail", "listeners"]) {
            let silent = tape.iter().filter(|sample| sample.unsigned_abs() < 10).count();
            assert!(tape.len() >= 4_500 * 8, "{of}: {} samples", tape.len());
            assert!(silent <= 2 * 160, "{of}: {silent} silent samples after a jump of {jump_ms} ms");
        }
    }
}

#[test]
fn a_pause_keeps_silence_on_both_sides_and_the_time() {
    let mut desk = recorded(built_in(Box::new(Echo)), AT_ANSWER);
    desk.talk(Duration::from_secs(1));
    desk.input(Input::Recording(RecordingOrder::Pause));
    assert_eq!(desk.call.recording(), RecordingState::Paused);
    desk.talk(Duration::from_secs(1));
    desk.input(Input::Recording(RecordingOrder::Resume));
    desk.talk(Duration::from_secs(1));
    desk.input(Input::HangUp(Reason::Asked));
    for side in 0..2 {
        let side = channel(&desk.taped.call, side);
        assert_eq!(side.len(), 24_000);
        assert!(is_silent(&side[8_000 + 320..16_000 - 320]));
        assert!(!is_silent(&side[..8_000]) && !is_silent(&side[16_320..]));
    }
}

#[test]
fn a_recording_begins_when_the_caller_has_heard_of_it_whatever_the_bot_clears() {
    let clip: Arc<[i16]> = vec![3_000; 8_000].into();
    let plan = RecordingPlan { consent: Some(clip), ..AT_ANSWER };
    let mut desk = remote_and_recorded(plan);
    let answered = desk.now;
    assert_eq!(desk.call.recording(), RecordingState::Announced);
    desk.bot_sends(&[0x70; 32_000]);
    desk.talk(Duration::from_millis(400));
    desk.bot_says(r#"{"event":"interrupt"}"#);
    desk.talk(Duration::from_millis(1_000));
    assert_eq!(desk.call.recording(), RecordingState::Running);
    desk.input(Input::HangUp(Reason::Asked));
    let began = (desk.now - answered) - Duration::from_micros(desk.taped.call.len() as u64 / 2 * 125);
    let began = began.as_millis();
    assert!((1_000..=1_060).contains(&began), "began after {began} ms");
    let heard = desk.heard_since(answered);
    let is_clip = |byte: &&u8| Law::Mu.decode_sample(**byte).abs_diff(3_000) < 200;
    let told = heard.iter().flat_map(|(_, audio)| *audio).filter(is_clip);
    assert_eq!(told.count(), 8_000, "the whole clip, once");
}

#[test]
fn a_recording_starts_and_stops_on_request_and_may_begin_again() {
    let mut desk = recorded(built_in(Box::new(Echo)), RecordingPlan::default());
    desk.talk(Duration::from_millis(500));
    assert!(desk.taped.began.is_empty());
    for _ in 0..2 {
        desk.input(Input::Recording(RecordingOrder::Start));
        desk.input(Input::Recording(RecordingOrder::Start));
        desk.talk(Duration::from_millis(500));
        desk.input(Input::Recording(RecordingOrder::Stop));
        desk.talk(Duration::from_millis(500));
    }
    desk.input(Input::HangUp(Reason::Asked));
    assert_eq!((desk.taped.began.len(), desk.taped.ended, desk.taped.call.len()), (2, 2, 16_000));
}

#[test]
fn a_voicemail_is_the_caller_alone_beside_the_recording_of_the_call() {
    let mut desk = recorded(built_in(Box::new(Echo)), AT_ANSWER);
    desk.talk(Duration::from_secs(1));
    desk.input(Input::Recording(RecordingOrder::StartVoicemail));
    desk.talk(Duration::from_secs(1));
    desk.input(Input::Recording(RecordingOrder::StopVoicemail));
    desk.talk(Duration::from_secs(1));
    desk.call.bot_part_ends(desk.now);
    desk.talk(Duration::from_secs(1));
    desk.input(Input::HangUp(Reason::Asked));
    assert_eq!((desk.taped.voicemail.len(), desk.taped.call.len()), (8_000, 64_000));
    assert_eq!(desk.taped.began, [(TapeKind::Call, 8_000), (TapeKind::Voicemail, 8_000)]);
    assert_eq!(desk.taped.bot_part, Some(24_000));
    assert!(!is_silent(&desk.taped.voicemail));
}

#[test]
fn an_echo_that_comes_a_little_late_once_stands_on_the_tape_without_a_seam() {
    let echo = built_in(Box::new(super::bots::Echo));
    let mut desk = Desk::recorded(vendor_phone("ozonetel"), echo, Fallback::Sorry, Vec::new(), AT_ANSWER);
    desk.vendor_says(r#"{"event":"start","ucid":"unique-call-id-123","type":"text"}"#);
    for at in 0..100 {
        desk.vendor_says(&super::legs::samples(if at % 2 == 0 { 3_000 } else { 6_000 }));
        // Nothing is left for the frame that is due meanwhile.
        desk.pass(Duration::from_millis(if at == 40 { 25 } else { 10 }));
    }
    desk.vendor_says(r#"{"event":"stop","ucid":"another","type":"text"}"#);
    let heard = channel(&desk.taped.call, 1);
    let frames: Vec<_> = heard.chunk_by(|one, next| one == next).collect();
    // The silence before the echo, what it began with, and what the end cut off.
    let whole = &frames[2..frames.len() - 1];
    assert!(whole.len() >= 95 && whole.iter().all(|frame| frame.len() == 80), "{whole:?}");
}

#[test]
fn keys_that_sound_in_the_audio_are_erased_where_that_is_wanted() {
    let tone = |mask_digits: bool| {
        let mut desk = recorded(built_in(Box::new(Echo)), RecordingPlan { mask_digits, ..AT_ANSWER });
        let mut tones = DtmfTones::new(8_000);
        for at in 0..100u32 {
            if at == 50 {
                tones.start(Digit::try_from("5").unwrap(), Duration::from_millis(300));
            }
            let mut samples = [0; 160];
            tones.fill(&mut samples);
            let mut packet = vec![0x80, 0];
            packet.extend_from_slice(&(at as u16).to_be_bytes());
            packet.extend_from_slice(&(at * 160).to_be_bytes());
            packet.extend_from_slice(&99u32.to_be_bytes());
            packet.extend(samples.map(|sample| Law::Mu.encode_sample(sample)));
            desk.input(Input::Rtp { source: phone(), packet: &packet });
            desk.pass(FRAME);
        }
        desk.input(Input::HangUp(Reason::Asked));
        channel(&desk.taped.call, 0).iter().filter(|sample| sample.unsigned_abs() > 200).count()
    };
    assert!(tone(false) > 2_000);
    assert_eq!(tone(true), 0);
}

#[test]
fn every_call_has_a_loudness_curve_of_both_sides() {
    let mut desk = recorded(built_in(Box::new(Echo)), RecordingPlan::default());
    for at in 0..700 {
        desk.phone_speaks(if at == 300 { 0x00 } else { 0xFF });
        desk.pass(FRAME);
    }
    assert!(desk.taped.curve.len() >= 600, "a stretch is given while the call is up");
    desk.input(Input::HangUp(Reason::Asked));
    let loud: Vec<Vec<usize>> = (0..2)
        .map(|side| {
            let side = desk.taped.curve.iter().skip(side).step_by(2);
            side.enumerate().filter(|(_, level)| **level > 0).map(|(at, _)| at).collect()
        })
        .collect();
    assert_eq!(loud[0], [300]);
    assert!(loud[1].iter().all(|at| (300..=302).contains(at)) && !loud[1].is_empty(), "{loud:?}");
    assert!(desk.taped.began.is_empty());
}

#[test]
fn who_listens_hears_both_sides_a_fifth_of_a_second_behind_and_a_call_without_listeners_tells_nothing() {
    let mut desk = recorded(built_in(Box::new(Echo)), RecordingPlan::default());
    desk.talk(Duration::from_millis(500));
    assert!(desk.overheard.began.is_empty());
    desk.input(Input::Recording(RecordingOrder::StartListening));
    desk.talk(Duration::from_millis(1_000));
    let behind = 1_000 - desk.overheard.call.len() / 2 / 8;
    assert!((120..=220).contains(&behind), "{behind} ms behind");
    desk.input(Input::Recording(RecordingOrder::StartListening));
    desk.input(Input::Recording(RecordingOrder::StopListening));
    assert_eq!((desk.overheard.began.len(), desk.overheard.ended), (1, 1));
    let length = desk.overheard.call.len();
    for side in 0..2 {
        assert!(!is_silent(&channel(&desk.overheard.call, side)[320..]));
    }
    desk.talk(Duration::from_millis(500));
    assert_eq!(desk.overheard.call.len(), length);
    desk.input(Input::HangUp(Reason::Asked));
    assert_eq!(desk.ended().counters.listened_in, 2);
    assert!(desk.taped.began.is_empty(), "nothing was recorded");
}

#[test]
fn who_listens_hears_nothing_while_a_recording_is_paused() {
    let mut desk = recorded(built_in(Box::new(Echo)), AT_ANSWER);
    desk.input(Input::Recording(RecordingOrder::StartListening));
    desk.talk(Duration::from_millis(500));
    desk.input(Input::Recording(RecordingOrder::Pause));
    desk.talk(Duration::from_millis(500));
    desk.input(Input::Recording(RecordingOrder::Stop));
    desk.talk(Duration::from_millis(500));
    desk.input(Input::HangUp(Reason::Asked));
    let caller = channel(&desk.overheard.call, 0);
    assert!(!is_silent(&caller[..4_000 - 320]) && !is_silent(&caller[8_320..]));
    assert!(is_silent(&caller[4_320..8_000 - 320]));
}
