//! What the record says of a call's sound, in virtual time.

use super::*;
use crate::rtp::rtcp::{self, ReportBlock, RtcpPacket};
use crate::vocabulary::{AudioVerdict, Quality};

const SILENT: u8 = 0xFF;
const LOUD: u8 = 0x20;

/// A SIP call that is up, with a bot that speaks linear audio in binary messages.
fn answered() -> Desk {
    let mut desk = Desk::sip(remote("incoming-call"), Fallback::Sorry);
    desk.input(Input::BotConnected);
    desk.bot_says(r#"{"event":"answer"}"#);
    desk
}

impl Desk {
    fn caller(&mut self, byte: u8, ms: u64) {
        for _ in 0..ms / 20 {
            self.phone_speaks(byte);
            self.pass(FRAME);
        }
    }

    fn bot_speaks(&mut self, ms: usize) {
        let frame = [0x00, 0x20].repeat(8 * ms);
        self.input(Input::BotWire(Wire::Binary(&frame)));
    }

    fn phone_reports(&mut self, block: Option<ReportBlock>) {
        let mut packet = Vec::new();
        rtcp::write_report(99, None, block, "phone", &mut packet);
        let source = SocketAddr::new(phone().ip(), phone().port() + 1);
        self.input(Input::Rtcp { source, packet: &packet });
    }

    fn quality(mut self) -> Quality {
        self.input(Input::PhoneGone(Reason::CallerHungUp));
        self.ended().quality.clone()
    }
}

#[test]
fn the_response_time_is_from_the_callers_last_sound_to_the_bots_first() {
    for wait_ms in [100, 300, 700, 2_000] {
        let mut desk = answered();
        for _ in 0..3 {
            desk.caller(SILENT, 1_000);
            desk.caller(LOUD, 1_000);
            desk.caller(SILENT, wait_ms);
            desk.bot_speaks(1_000);
            desk.caller(SILENT, 1_500);
        }
        let response = desk.quality().response;
        assert_eq!((response.count, response.unanswered), (3, 0), "{wait_ms}");
        let (least, most) = response.extremes.unwrap();
        for time in [least, most, response.mean] {
            let off = time.as_millis() as i64 - wait_ms as i64;
            assert!((-20..=40).contains(&off), "{wait_ms}: {response:?}");
        }
    }
}

#[test]
fn an_answer_that_never_comes_is_counted_when_the_caller_begins_again() {
    let mut desk = answered();
    for _ in 0..3 {
        desk.caller(SILENT, 1_000);
        desk.caller(LOUD, 500);
    }
    desk.caller(SILENT, 1_000);
    let response = desk.quality().response;
    assert_eq!((response.count, response.unanswered), (0, 2));
}

#[test]
fn who_heard_whom_is_told_from_what_came_and_what_was_sent() {
    type Scene = fn(&mut Desk);
    let scenes: [(AudioVerdict, Scene); 7] = [
        (AudioVerdict::Ok, |desk| {
            desk.bot_speaks(1_000);
            desk.caller(LOUD, 4_000);
        }),
        (AudioVerdict::CallerMissing, |desk| {
            desk.bot_speaks(1_000);
            desk.pass(Duration::from_secs(4));
        }),
        (AudioVerdict::CallerSilent, |desk| {
            desk.bot_speaks(1_000);
            desk.caller(SILENT, 4_000);
        }),
        (AudioVerdict::BotSilent, |desk| desk.caller(LOUD, 4_000)),
        (AudioVerdict::NoMedia, |desk| desk.pass(Duration::from_secs(4))),
        (AudioVerdict::CallerDeaf, |desk| {
            desk.bot_speaks(1_000);
            desk.caller(LOUD, 4_000);
            desk.phone_reports(None);
            desk.phone_reports(None);
        }),
        (AudioVerdict::NoMedia, |desk| {
            desk.bot_speaks(1_000);
            desk.pass(Duration::from_secs(4));
            // Who sends no audio may still report.
            desk.phone_reports(None);
            desk.phone_reports(None);
        }),
    ];
    for (number, (verdict, play)) in scenes.into_iter().enumerate() {
        let mut desk = answered();
        play(&mut desk);
        assert_eq!(desk.quality().audio, Some(verdict), "scene {number}");
    }
}

#[test]
fn a_call_on_hold_and_a_call_that_hardly_began_accuse_nobody() {
    let mut desk = answered();
    desk.caller(SILENT, 1_000);
    assert_eq!(desk.quality().audio, None);
    let mut desk = answered();
    desk.input(Input::PhoneMedia(PhoneMedia { direction: MediaDirection::SendOnly, ..media() }));
    desk.bot_speaks(1_000);
    desk.pass(Duration::from_secs(4));
    assert_eq!(desk.quality().audio, Some(AudioVerdict::Ok));
    let desk = Desk::sip(remote("incoming-call"), Fallback::Sorry);
    assert_eq!(desk.quality().audio, None);
}

#[test]
fn loss_gaps_and_jitter_of_the_phone_are_in_the_record_and_cost_points() {
    let mut desk = answered();
    desk.caller(LOUD, 1_000);
    for _ in 0..10 {
        desk.sequence += 1;
        desk.pass(FRAME);
        desk.caller(LOUD, 180);
    }
    let figures = desk.quality().from_phone.unwrap();
    let packets = figures.packets.unwrap();
    assert_eq!((packets.expected, packets.received, packets.lost), (150, 140, 10));
    assert!((packets.loss() - 10.0 / 150.0).abs() < 1e-9);
    assert_eq!(figures.longest_gap, Duration::from_millis(40));
    assert_eq!(figures.concealed, Duration::from_millis(200));
    assert_eq!(figures.jitter.unwrap().max, Duration::ZERO);
    assert_eq!(figures.mos, Some(3.7));
}

#[test]
fn the_phones_reports_tell_loss_jitter_and_round_trip_of_what_we_send() {
    let mut desk = answered();
    desk.caller(LOUD, 5_100);
    let ours = desk.seen.iter().find_map(|(at, seen)| match seen {
        Seen::Rtcp(packet) => Some((*at, packet.clone())),
        _ => None,
    });
    let (sent_at, packet) = ours.unwrap();
    let Some(Ok(RtcpPacket::SenderReport { info, .. })) = rtcp::packets(&packet).next() else { panic!() };
    let kept = desk.now - sent_at;
    desk.pass(Duration::from_millis(60));
    desk.phone_reports(Some(ReportBlock {
        ssrc: 7,
        fraction_lost: 13,
        lost: 12,
        highest_sequence: 250,
        jitter: 40,
        last_report: (info.ntp >> 16) as u32,
        delay_since_last_report: (kept.as_secs_f64() * 65_536.0) as u32,
    }));
    let figures = desk.quality().to_phone.unwrap();
    let trip = figures.last_round_trip.unwrap();
    assert!((59..=61).contains(&trip.as_millis()), "{trip:?}");
    assert_eq!((figures.reports, figures.loss), (1, Some(13.0 / 256.0)));
    assert_eq!(figures.jitter.unwrap().mean, Duration::from_millis(5));
    assert_eq!(figures.mos, Some(3.9));
}

#[test]
fn an_echo_in_step_with_the_phone_has_no_hole() {
    let mut desk = Desk::sip(built_in(Box::new(super::bots::Echo)), Fallback::Sorry);
    desk.caller(LOUD, 5_000);
    let playout = desk.quality().playout;
    assert_eq!(playout.underruns, 0);
    assert!(playout.depth.unwrap().max <= Duration::from_millis(40));
}

#[test]
fn a_vendors_late_audio_is_jitter_and_a_gap() {
    let mut desk = Desk::vendor("ozonetel", remote("incoming-call"));
    desk.vendor_says(r#"{"event":"start","ucid":"1","type":"text"}"#);
    desk.input(Input::BotConnected);
    desk.bot_says(r#"{"event":"answer"}"#);
    let list = vec!["5000"; 80].join(",");
    let media = format!(
        r#"{{"event":"media","type":"media","ucid":"1","data":{{"samples":[{list}],"bitsPerSample":16,"sampleRate":8000,"channelCount":1,"numberOfFrames":80,"type":"data"}}}}"#
    );
    for _ in 0..100 {
        desk.vendor_says(&media);
        desk.pass(Duration::from_millis(10));
    }
    desk.pass(Duration::from_millis(390));
    desk.vendor_says(&media);
    desk.input(Input::PhoneClosed(SocketEnd::Closed(1000)));
    let figures = desk.ended().quality.from_phone.unwrap();
    assert_eq!((figures.packets, figures.mos), (None, None));
    assert_eq!(figures.longest_gap, Duration::from_millis(400));
    assert!(figures.jitter.unwrap().max > Duration::from_millis(20));
}
