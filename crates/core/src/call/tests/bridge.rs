//! What caller and agent hear of each other, and what the caller hears before.

use super::transfer::{ALL, ONE, identity, leg_address, talking};
use super::*;

#[test]
fn caller_and_agent_hear_each_other_untouched_and_without_delay() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.leg_answers(0);
    desk.both_talk(0, 0x30, Duration::from_secs(2));
    let from = desk.now;
    for at in 100..150 {
        desk.phone_speaks(0x20);
        desk.leg_speaks(0, at, 0x30);
        desk.pass(FRAME);
    }
    let (to_caller, to_agent) = (desk.heard_since(from), desk.leg_heard_since(0, from));
    for (heard, byte) in [(to_caller, 0x30), (to_agent, 0x20)] {
        assert!((49..=51).contains(&heard.len()), "{} packets", heard.len());
        assert!(heard.iter().all(|(_, audio)| audio.iter().all(|sample| *sample == byte)), "{byte:#x}");
        assert!(heard.windows(2).all(|two| two[1].0 - two[0].0 <= FRAME), "{byte:#x} is steady");
    }
}

#[test]
fn keys_pass_both_ways_as_events_or_as_tones() {
    let event = |desk: &Desk, from: usize| {
        desk.seen[from..].iter().any(|(_, seen)| matches!(seen, Seen::Rtp(packet) if packet[1] & 0x7F == 101))
    };
    let leg_event = |desk: &Desk, from: usize| {
        desk.seen[from..]
            .iter()
            .any(|(_, seen)| matches!(seen, Seen::LegRtp(_, packet) if packet[1] & 0x7F == 101))
    };
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.leg_answers(0);
    desk.both_talk(0, 0xFF, Duration::from_millis(200));
    let press = crate::vocabulary::DigitPress { digit: Digit::try_from("5").unwrap(), duration: None };
    let from = desk.seen.len();
    desk.input(Input::PhoneDigit(press));
    desk.pass(Duration::from_millis(200));
    assert!(leg_event(&desk, from) && !event(&desk, from));
    let from = desk.seen.len();
    desk.leg(0, LegNews::Digit(press));
    desk.pass(Duration::from_millis(200));
    assert!(event(&desk, from) && !leg_event(&desk, from));

    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    let media = PhoneMedia { remote: leg_address(0), telephone_event: None, ..media() };
    desk.leg(0, LegNews::Answered(Box::new(media), identity(0)));
    desk.pass(Duration::from_millis(200));
    let from = desk.now;
    desk.input(Input::PhoneDigit(press));
    desk.pass(Duration::from_millis(100));
    let tones = desk.leg_heard_since(0, from);
    assert!(tones.iter().any(|(_, audio)| audio.iter().any(|byte| *byte != 0xFF)), "the key sounds");
}

#[test]
fn an_agent_who_falls_silent_is_lost_and_a_caller_too() {
    for caller_speaks in [true, false] {
        let mut desk = talking(OnTransfer::End);
        desk.bot_says(ONE);
        desk.leg_rings(0);
        desk.leg_answers(0);
        desk.both_talk(0, 0x30, Duration::from_secs(1));
        for at in 50..1_650 {
            if caller_speaks {
                desk.phone_speaks(0x20);
            } else {
                desk.leg_speaks(0, at, 0x30);
            }
            desk.pass(FRAME);
            if desk.call.state() == StateName::Ended {
                break;
            }
        }
        let expected = if caller_speaks { Reason::AgentLost } else { Reason::MediaTimeout };
        assert_eq!(cause_of(&desk).reason(), expected);
        assert_eq!(desk.let_go(0), 1);
    }
}

#[test]
fn a_vendors_caller_is_joined_to_a_phone_and_its_keys_go_as_messages() {
    let mut desk = Desk::vendor("ivr-solutions", remote("ivr-solutions"));
    desk.vendor_says(
        r#"{"event":"start","sequence_number":1,"stream_sid":"1.1","start":{"stream_sid":"1.1","call_sid":"c","from":"1","to":"2","media_format":{"encoding":"raw/slin","sample_rate":8000}}}"#,
    );
    desk.input(Input::BotConnected);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.leg_answers(0);
    assert_eq!(desk.call.state(), StateName::Bridged);
    let before = desk.to_phone().len();
    for at in 0..25 {
        desk.leg_speaks(0, at, 0x30);
        desk.pass(FRAME);
    }
    let media = desk.to_phone()[before..]
        .iter()
        .filter(|text| text.contains("media") || text.contains("delta"))
        .count();
    assert!((23..=26).contains(&media), "{media} messages");
    let press = crate::vocabulary::DigitPress { digit: Digit::try_from("7").unwrap(), duration: None };
    desk.leg(0, LegNews::Digit(press));
    desk.pass(Duration::from_millis(100));
    assert!(desk.to_phone().iter().any(|text| text.contains("dtmf") && text.contains('7')));
    desk.vendor_says(r#"{"event":"stop","sequence_number":2,"stream_sid":"1.1","stop":{"call_sid":"c","reason":"callended"}}"#);
    assert_eq!(desk.let_go(0), 1);
}

#[test]
fn phones_of_other_codecs_and_packet_lengths_hear_each_other() {
    for (codec, payload_type, ptime) in [
        (LineCodec::Pcma, 8, 20),
        (LineCodec::Pcmu, 0, 30),
        (LineCodec::Pcmu, 0, 60),
        (LineCodec::G722, 9, 20),
    ] {
        let mut desk = talking(OnTransfer::End);
        desk.bot_says(ONE);
        desk.leg_rings(0);
        let media = PhoneMedia {
            remote: leg_address(0),
            codec,
            payload_type,
            ptime: Duration::from_millis(ptime),
            ..media()
        };
        desk.leg(0, LegNews::Answered(Box::new(media), identity(0)));
        desk.talk(Duration::from_millis(600));
        let from = desk.now;
        desk.talk(Duration::from_millis(600));
        let packets = desk
            .seen
            .iter()
            .filter_map(|(at, seen)| match seen {
                Seen::LegRtp(_, packet) if *at >= from => Some(packet),
                _ => None,
            })
            .collect::<Vec<_>>();
        assert!(packets.iter().all(|packet| packet[1] & 0x7F == payload_type));
        assert!((600 / ptime as usize).abs_diff(packets.len()) <= 1, "{} of {ptime} ms", packets.len());
        let varied =
            packets.iter().filter(|packet| packet[12..].iter().any(|byte| *byte != packet[12])).count();
        let silent = packets
            .iter()
            .filter(|packet| packet[12..].iter().all(|byte| [0xFF, 0xD5].contains(byte)))
            .count();
        assert!(silent == 0, "{silent} silent packets, {varied} varied, of {codec}");
    }
}

#[test]
fn an_agent_on_hold_hears_nothing_and_the_call_stays() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.leg_answers(0);
    desk.both_talk(0, 0x30, Duration::from_millis(200));
    let held = PhoneMedia { remote: leg_address(0), direction: MediaDirection::Inactive, ..media() };
    desk.leg(0, LegNews::Media(Box::new(held), identity(0)));
    let from = desk.now;
    desk.talk(Duration::from_secs(40));
    assert_eq!(desk.call.state(), StateName::Bridged);
    assert!(desk.leg_heard_since(0, from).is_empty());
    let back = PhoneMedia { remote: leg_address(0), ..media() };
    desk.leg(0, LegNews::Media(Box::new(back), identity(0)));
    desk.talk(Duration::from_millis(200));
    assert!(!desk.leg_heard_since(0, from).is_empty());
}

#[test]
fn a_caller_who_changes_the_codec_while_talking_to_an_agent_is_heard_on() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.leg_answers(0);
    desk.both_talk(0, 0x30, Duration::from_millis(200));
    desk.input(Input::PhoneMedia(PhoneMedia { codec: LineCodec::Pcma, payload_type: 8, ..media() }));
    for at in 10..40 {
        desk.leg_speaks(0, at, 0x30);
        desk.pass(FRAME);
    }
    let last = desk.seen.iter().rev().find_map(|(_, seen)| match seen {
        Seen::Rtp(packet) if packet[1] & 0x7F == 8 => Some(packet[12..].to_vec()),
        _ => None,
    });
    let last = last.expect("packets of the new codec");
    assert!(last.iter().all(|byte| *byte == last[0]) && last[0] != 0xD5, "{:x?}", &last[..8]);
}

#[test]
fn a_phone_that_is_called_alone_may_be_heard_before_it_answers() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    desk.talk(Duration::from_millis(500));
    let media = PhoneMedia { remote: leg_address(0), ..media() };
    desk.leg(0, LegNews::Media(Box::new(media), identity(0)));
    desk.both_talk(0, 0x31, Duration::from_millis(500));
    let from = desk.now;
    for at in 25..50 {
        desk.leg_speaks(0, at, 0x31);
        desk.pass(FRAME);
    }
    let heard = desk.heard_since(from);
    let of_the_leg = heard.iter().filter(|(_, audio)| audio.iter().all(|byte| *byte == 0x31)).count();
    assert!(heard.len() >= 24 && of_the_leg == heard.len(), "{of_the_leg} of {}", heard.len());
    let from = desk.now;
    desk.pass(Duration::from_secs(1));
    let silent = |audio: &[u8]| audio.iter().all(|byte| *byte == 0xFF);
    let back = desk.heard_since(from).iter().position(|(_, audio)| !silent(audio) && audio[0] != audio[80]);
    assert!(back.is_some_and(|at| at <= 10), "the ringing tone comes back: {back:?}");
    desk.leg_answers(0);
    assert_eq!(desk.call.state(), StateName::Bridged);
}

#[test]
fn of_several_that_ring_nobody_is_heard_before_the_answer() {
    let mut desk = talking(OnTransfer::End);
    desk.bot_says(ALL);
    (0..3).for_each(|no| desk.leg_rings(no));
    let media = PhoneMedia { remote: leg_address(0), ..media() };
    desk.leg(0, LegNews::Media(Box::new(media), identity(0)));
    let from = desk.now;
    desk.both_talk(0, 0x31, Duration::from_millis(500));
    assert!(!desk.heard_since(from).iter().any(|(_, audio)| audio.iter().all(|byte| *byte == 0x31)));
    assert!(desk.leg_heard_since(0, from).is_empty());
}

#[test]
fn the_caller_hears_the_bot_to_its_end_and_then_that_it_rings() {
    let mut desk = talking(OnTransfer::End);
    desk.input(Input::BotWire(Wire::Binary(&[0x10; 16_000])));
    desk.bot_says(ONE);
    desk.leg_rings(0);
    let from = desk.now;
    desk.talk(Duration::from_millis(1_980));
    assert!(desk.longest_silence(from) <= 40, "{} ms", desk.longest_silence(from));
    desk.talk(Duration::from_millis(3_900));
    assert!(desk.longest_silence(from) >= 3_700, "the tone has its pause");
    desk.talk(Duration::from_secs(6));
    let sounding =
        desk.heard_since(from).iter().filter(|(_, audio)| audio.iter().any(|b| *b != 0xFF)).count();
    assert!((3 * 50 - 4..=3 * 50 + 60).contains(&sounding), "{sounding} frames sound");
}

#[test]
fn what_the_caller_says_while_others_ring_is_not_for_the_bot() {
    let mut desk = talking(OnTransfer::Hold);
    desk.bot_says(ONE);
    desk.leg_rings(0);
    let before = desk.to_bot().len();
    desk.talk(Duration::from_millis(200));
    let heard: Vec<_> = desk.to_bot()[before..].to_vec();
    assert_eq!(heard.len(), 10, "its stream goes on");
    let silence = "A".repeat(426);
    assert!(heard.iter().all(|text| text.contains(&silence)), "{}", heard[0]);
}
