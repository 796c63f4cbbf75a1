//! Audio, marks, clear, digits: while both talk.

use super::bots::Echo;
use super::*;
use crate::vocabulary::{Digit, DigitPress};

/// Twenty milliseconds of loud linear audio at 8 kHz as the bot sends it.
const LOUD: &str = r#"{"type":"response.audio.delta","delta":"#;

fn loud(frames: usize) -> String {
    let mut base64 = String::new();
    for _ in 0..frames * 320 / 3 + 1 {
        base64.push_str("EBAQ");
    }
    base64.truncate(frames * 320 / 3 * 4);
    format!("{LOUD}\"{base64}\"}}")
}

fn talking() -> Desk {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_millis(200));
    desk
}

fn is_loud(audio: &[u8]) -> bool {
    audio.iter().any(|byte| *byte != 0xFF)
}

#[test]
fn an_echo_comes_back_within_a_few_milliseconds_and_without_a_gap() {
    let mut desk = Desk::sip(built_in(Box::new(Echo)), Fallback::Sorry);
    desk.talk(Duration::from_secs(3));
    let from = desk.now;
    for at in 0..100u8 {
        desk.phone_speaks(at);
        desk.pass(FRAME);
    }
    let heard = desk.heard_since(from);
    let sent: Vec<u8> = heard.iter().map(|(_, audio)| audio[80]).collect();
    assert!(sent.windows(2).all(|pair| pair[1] == pair[0] + 1 || pair[0] >= 100), "{sent:?}");
    let first = heard.iter().find(|(_, audio)| audio[80] == 0).expect("the first frame came back");
    assert!(first.0 - from <= Duration::from_millis(9), "{:?}", first.0 - from);
}

#[test]
fn a_mark_is_reported_only_after_its_audio_was_played() {
    let mut desk = talking();
    desk.bot_says(&loud(30));
    desk.bot_says(r#"{"event":"mark","stream_sid":"1707204900.123","mark":{"name":"m"}}"#);
    let from = desk.now;
    desk.talk(Duration::from_millis(500));
    assert!(!desk.to_bot().iter().any(|text| text.contains(r#""event":"mark""#)));
    desk.talk(Duration::from_millis(200));
    let (at, _) = desk
        .seen
        .iter()
        .find(|(_, s)| matches!(s, Seen::ToBot(t) if t.contains(r#""event":"mark""#)))
        .unwrap();
    let last_loud =
        desk.heard_since(from).iter().filter(|(_, audio)| is_loud(audio)).map(|(at, _)| *at).max().unwrap();
    assert!(*at >= last_loud && *at - last_loud <= FRAME, "{:?}", *at - last_loud);
}

#[test]
fn a_mark_with_nothing_before_it_is_reported_at_once() {
    let mut desk = talking();
    desk.bot_says(r#"{"event":"mark","stream_sid":"1707204900.123","mark":{"name":"m"}}"#);
    assert!(desk.to_bot().last().unwrap().contains(r#""mark":{"name":"m"}"#));
}

#[test]
fn clear_stops_the_audio_within_a_frame_and_returns_the_marks_before_itself() {
    let mut desk = talking();
    desk.bot_says(&loud(500));
    desk.bot_says(r#"{"event":"mark","stream_sid":"1707204900.123","mark":{"name":"a"}}"#);
    desk.bot_says(r#"{"event":"mark","stream_sid":"1707204900.123","mark":{"name":"a"}}"#);
    desk.talk(Duration::from_millis(400));
    let cleared = desk.now;
    desk.bot_says(r#"{"type":"audio.clear"}"#);
    let told: Vec<_> = desk.to_bot().into_iter().rev().take(3).collect();
    assert!(
        told[0].contains(r#""event":"clear""#) && told[1].contains("mark") && told[2].contains("mark"),
        "{told:?}"
    );
    desk.talk(Duration::from_millis(400));
    let after: Vec<_> = desk.heard_since(cleared).into_iter().filter(|(_, audio)| is_loud(audio)).collect();
    assert!(after.len() <= 1, "{} frames after the clear", after.len());
    let counters = {
        desk.input(Input::PhoneGone(Reason::CallerHungUp));
        desk.ended().counters
    };
    assert_eq!((counters.marks_cleared, counters.marks_played, counters.clears), (2, 0, 1));
}

#[test]
fn digits_of_the_caller_reach_the_bot_once_each() {
    let mut desk = talking();
    for (at, event) in [5u8, 1, 2].into_iter().enumerate() {
        for packet in 0..6u16 {
            let duration = (packet.min(4) + 1) * 160;
            let ended = if packet >= 3 { 0x8A } else { 0x0A };
            desk.sequence += 1;
            let mut bytes = vec![0x80, 101];
            bytes.extend_from_slice(&desk.sequence.to_be_bytes());
            bytes.extend_from_slice(&(100_000 + at as u32 * 8_000).to_be_bytes());
            bytes.extend_from_slice(&99u32.to_be_bytes());
            bytes.extend_from_slice(&[event, ended]);
            bytes.extend_from_slice(&duration.to_be_bytes());
            desk.input(Input::Rtp { source: phone(), packet: &bytes });
            desk.pass(FRAME);
        }
    }
    let digits: Vec<_> =
        desk.to_bot().into_iter().filter(|text| text.contains(r#""event":"dtmf""#)).collect();
    assert_eq!(digits.len(), 3, "{digits:?}");
    for (text, digit) in digits.iter().zip(["5", "1", "2"]) {
        assert!(text.contains(&format!(r#""digit":"{digit}""#)), "{text}");
    }
}

#[test]
fn digits_by_sip_info_reach_the_bot_too() {
    let mut desk = talking();
    let press = DigitPress { digit: Digit::ALL[7], duration: Some(Duration::from_millis(160)) };
    desk.input(Input::PhoneDigit(press));
    assert!(desk.to_bot().last().unwrap().contains(r#""dtmf":{"digit":"7","duration":"160"}"#));
}

#[test]
fn digits_of_the_bot_leave_as_events_while_its_audio_waits() {
    let mut desk = talking();
    desk.bot_says(&loud(10));
    desk.bot_says(r#"{"type":"session.dtmf","dtmf":"1#"}"#);
    let from = desk.now;
    desk.talk(Duration::from_millis(900));
    let events: Vec<(u8, bool)> = desk
        .seen
        .iter()
        .filter_map(|(at, seen)| match seen {
            Seen::Rtp(packet) if *at >= from && packet[1] & 0x7F == 101 => {
                Some((packet[12], packet[13] & 0x80 != 0))
            }
            _ => None,
        })
        .collect();
    for key in [1, 11] {
        let ends = events.iter().filter(|event| **event == (key, true)).count();
        assert_eq!(ends, 3, "{events:?}");
    }
    let loud_frames = desk.heard_since(from).iter().filter(|(_, audio)| is_loud(audio)).count();
    assert!(loud_frames >= 10, "{loud_frames} frames of the bot's audio were heard");
}

#[test]
fn a_refused_command_is_told_and_the_bot_stays() {
    let mut desk = talking();
    desk.bot_says(r#"{"type":"session.transfer","destination":"nobody"}"#);
    let told = *desk.to_bot().last().unwrap();
    assert!(told.contains(r#""event":"error""#) && told.contains("session.transfer"), "{told}");
    desk.bot_says(r#"{"type":"session.dtmf","dtmf":"12x"}"#);
    assert!(desk.to_bot().last().unwrap().contains("session.dtmf"));
    assert!(desk.records.is_empty());
}

#[test]
fn unknown_and_broken_messages_are_counted_and_end_nothing() {
    let mut desk = talking();
    desk.bot_says(r#"{"type":"something.new"}"#);
    desk.bot_says("no json");
    desk.bot_says(r#"{"type":"response.audio.delta","delta":"%%%"}"#);
    desk.talk(Duration::from_millis(100));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    let counters = desk.ended().counters;
    assert_eq!((counters.unknown_messages, counters.malformed_messages), (1, 2));
}

#[test]
fn a_bot_without_clear_is_read_no_faster_than_it_is_played() {
    let mut desk = Desk::sip(remote("smartpbx"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_millis(100));
    let second_of_audio = format!(r#"{{"event":"media","media":{{"payload":"{}"}}}}"#, "EBAQ".repeat(16_000));
    desk.bot_says(&second_of_audio);
    assert!(desk.saw(&Seen::PauseBot));
    desk.talk(Duration::from_millis(700));
    assert!(!desk.saw(&Seen::ResumeBot));
    desk.talk(Duration::from_millis(200));
    assert!(desk.saw(&Seen::ResumeBot));
}

#[test]
fn hold_pauses_the_watch_for_media_and_a_dead_line_is_hung_up() {
    let mut desk = talking();
    desk.input(Input::PhoneMedia(PhoneMedia { direction: MediaDirection::Inactive, ..media() }));
    let held = desk.now;
    desk.pass(Duration::from_secs(60));
    assert!(desk.records.is_empty());
    assert!(desk.heard_since(held).is_empty(), "nothing is sent to a phone on hold");
    desk.input(Input::PhoneMedia(media()));
    desk.pass(Duration::from_secs(31));
    assert_eq!(cause_of(&desk).to_string(), "caller/media_timeout");
}

#[test]
fn a_phone_that_stops_sending_leaves_the_bot_with_silence_in_real_time() {
    let mut desk = talking();
    let before = desk.to_bot().len();
    desk.pass(Duration::from_secs(2));
    let frames = desk.to_bot().len() - before;
    assert!((98..=101).contains(&frames), "{frames} frames in two seconds");
}

#[test]
fn a_key_that_comes_in_rtp_and_by_info_is_one_key() {
    let mut desk = talking();
    let press = DigitPress { digit: Digit::ALL[7], duration: None };
    for ended in [0x0A, 0x8A] {
        desk.sequence += 1;
        let mut bytes = vec![0x80, 101];
        bytes.extend_from_slice(&desk.sequence.to_be_bytes());
        bytes.extend_from_slice(&100_000u32.to_be_bytes());
        bytes.extend_from_slice(&99u32.to_be_bytes());
        bytes.extend_from_slice(&[7, ended, 3, 32]);
        desk.input(Input::Rtp { source: phone(), packet: &bytes });
    }
    desk.input(Input::PhoneDigit(press));
    desk.talk(Duration::from_secs(1));
    desk.input(Input::PhoneDigit(press));
    let digits = desk.to_bot().into_iter().filter(|text| text.contains(r#""event":"dtmf""#)).count();
    assert_eq!(digits, 2, "one for the doubled key, one for the key a second later");
}

#[test]
fn reports_on_the_audio_port_disturb_nothing() {
    let mut desk = talking();
    desk.input(Input::Rtp { source: phone(), packet: &[0x80, 200, 0, 6, 1, 2, 3, 4] });
    desk.talk(Duration::from_millis(100));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!(desk.ended().counters.rtp_lost, 0);
}

#[test]
fn a_stranger_cannot_take_the_phones_place_before_the_answer() {
    let mut desk = Desk::sip(remote("ivr-solutions"), Fallback::Sorry);
    let stranger: SocketAddr = "127.0.0.1:50000".parse().unwrap();
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5];
    packet.extend_from_slice(&[0x20; 160]);
    desk.input(Input::Rtp { source: stranger, packet: &packet });
    desk.input(Input::BotConnected);
    desk.talk(Duration::from_millis(200));
    desk.input(Input::PhoneGone(Reason::CallerHungUp));
    assert_eq!(desk.ended().counters.rtp_strangers, 0);
    assert!(desk.ended().counters.heard_ms >= 180);
}

#[test]
fn a_mark_for_which_there_is_no_room_is_refused() {
    let mut desk = talking();
    desk.bot_says(&loud(500));
    let name = "m".repeat(1_000);
    for _ in 0..3_000 {
        desk.bot_says(&format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#));
        desk.pass(Duration::from_micros(1_100));
    }
    assert!(desk.to_bot().iter().any(|text| text.contains("too_many_marks")));
}
