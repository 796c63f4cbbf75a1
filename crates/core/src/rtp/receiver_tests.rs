//! What a call hears of a stream, whatever the network does to it.

use super::*;
use crate::rtp::{EventFrame, EventPayload, RtpHeader, RtpSendSettings, RtpSender};
use proptest::prelude::*;

const PHONE: &str = "203.0.113.5:4000";

/// A receiver on a bench: events become short words.
struct Bench {
    receiver: RtpReceiver,
    heard: Vec<String>,
    source: SocketAddr,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        let receiver = RtpReceiver::new(RtpReceiveSettings {
            remote: PHONE.parse().unwrap(),
            signalling: None,
            payloads: vec![(0, LineCodec::Pcmu), (8, LineCodec::Pcma)],
            telephone_event: Some((101, 8_000)),
            ptime: Duration::from_millis(20),
        });
        Self { receiver, heard: Vec::new(), source: PHONE.parse().unwrap(), now: 0 }
    }

    fn datagram(&mut self, bytes: &[u8]) -> bool {
        let (heard, now) = (&mut self.heard, Moment::from_millis(self.now));
        self.receiver.handle_packet(now, self.source, bytes, &mut |event| heard.push(word(event)))
    }

    fn packet(&mut self, payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32, length: usize) -> bool {
        let mut bytes = Vec::new();
        let header = RtpHeader { marker: false, payload_type, sequence, timestamp, ssrc };
        header.write(&vec![sequence as u8; length], &mut bytes);
        self.datagram(&bytes)
    }

    /// One packet of a key, 20 ms after the one before it.
    fn key(&mut self, ssrc: u32, sequence: u16, timestamp: u32, payload: EventPayload) {
        let header = RtpHeader { marker: false, payload_type: 101, sequence, timestamp, ssrc };
        let mut bytes = Vec::new();
        header.write(&payload.to_bytes(), &mut bytes);
        self.wait(20);
        self.datagram(&bytes);
    }

    /// A frame of 20 ms in order.
    fn frame(&mut self, number: u16) -> bool {
        self.packet(0, 1, number, u32::from(number) * 160, 160)
    }

    fn wait(&mut self, ms: u64) {
        self.now += ms;
        let (heard, now) = (&mut self.heard, Moment::from_millis(self.now));
        self.receiver.handle_timeout(now, &mut |event| heard.push(word(event)));
    }

    fn heard(&mut self) -> String {
        std::mem::take(&mut self.heard).join(" ")
    }
}

fn word(event: RtpEvent<'_>) -> String {
    match event {
        RtpEvent::Audio { payload, ticks, .. } => {
            assert_eq!(payload.len() as u64, ticks);
            format!("{}:{ticks}", payload[0])
        }
        RtpEvent::Lost { ticks, .. } => format!("lost:{ticks}"),
        RtpEvent::Paused { ticks } => format!("paused:{ticks}"),
        RtpEvent::Silence { ticks } => format!("silence:{ticks}"),
        RtpEvent::Digit { digit, duration } => format!("{}:{}ms", digit.as_char(), duration.as_millis()),
    }
}

#[test]
fn frames_of_any_length_are_heard_at_once() {
    let mut bench = Bench::new();
    let mut timestamp = 0;
    for (sequence, samples) in [80, 160, 240, 320, 480].into_iter().enumerate() {
        bench.packet(0, 1, sequence as u16, timestamp, samples);
        timestamp += samples as u32;
    }
    assert_eq!(bench.heard(), "0:80 1:160 2:240 3:320 4:480");
    assert_eq!(bench.receiver.ticks_heard(), 1_280);
}

#[test]
fn a_packet_lost_within_a_key_is_no_loss_of_the_whole_keys_time() {
    let mut bench = Bench::new();
    bench.frame(1);
    // A key from 320 to 1120: its second packet is lost, and the first frame after it.
    let key = |bench: &mut Bench, sequence: u16, end: bool, duration: u16| {
        let mut bytes = Vec::new();
        let header = RtpHeader { marker: false, payload_type: 101, sequence, timestamp: 320, ssrc: 1 };
        let payload = EventPayload { event: 5, end, volume: 10, duration };
        header.write(&payload.to_bytes(), &mut bytes);
        bench.datagram(&bytes)
    };
    key(&mut bench, 2, false, 160);
    key(&mut bench, 4, true, 800);
    bench.packet(0, 1, 6, 1_280, 160);
    bench.wait(40);
    assert_eq!(bench.heard(), "1:160 5:100ms lost:320 paused:640 6:160");
}

#[test]
fn a_lost_frame_is_told_after_forty_milliseconds_before_what_follows_it() {
    let mut bench = Bench::new();
    bench.frame(1);
    bench.wait(40);
    bench.frame(3);
    assert_eq!(bench.heard(), "1:160");
    bench.wait(20);
    bench.frame(4);
    bench.wait(20);
    assert_eq!(bench.heard(), "lost:160 3:160 4:160");
    assert_eq!(bench.receiver.counts().lost, 1);
    assert_eq!(bench.receiver.poll_timeout(), None);
    assert_eq!(bench.receiver.ticks_heard(), 4 * 160);
}

#[test]
fn reordered_doubled_and_late_frames_are_counted_and_none_is_heard_twice() {
    let mut bench = Bench::new();
    for number in [1, 3, 2, 2, 4] {
        bench.frame(number);
    }
    bench.frame(6);
    bench.wait(40);
    bench.frame(5);
    assert_eq!(bench.heard(), "1:160 2:160 3:160 4:160 lost:160 6:160");
    let counts = bench.receiver.counts();
    assert_eq!((counts.reordered, counts.duplicates, counts.late, counts.lost), (1, 1, 1, 1));
    assert_eq!(counts.received, 7);
}

#[test]
fn silence_suppression_is_a_pause_and_no_loss() {
    let mut bench = Bench::new();
    bench.frame(1);
    bench.packet(13, 1, 2, 320, 1);
    bench.packet(0, 1, 3, 320 + 1_600, 160);
    assert_eq!(bench.heard(), "1:160 silence:160 paused:1440 3:160");
    bench.packet(0, 1, 4, 320 + 1_600 + 160 + 80_000, 160);
    assert_eq!(bench.heard(), "paused:80000 4:160");
    assert_eq!(bench.receiver.counts().lost, 0);
}

#[test]
fn a_timestamp_that_jumps_is_a_restart_and_not_an_hour_of_loss() {
    let mut bench = Bench::new();
    bench.frame(1);
    bench.packet(0, 1, 2, 3_000_000_000, 160);
    bench.packet(0, 1, 3, 160, 160);
    bench.packet(0, 1, 5, 30_000, 160);
    bench.wait(40);
    assert_eq!(bench.heard(), "1:160 2:160 3:160 5:160");
    assert_eq!(bench.receiver.counts().restarts, 3);
}

#[test]
fn another_ssrc_is_heard_at_once_with_its_own_numbers() {
    let mut bench = Bench::new();
    bench.frame(100);
    bench.frame(102);
    bench.packet(0, 2, 7, 9_999, 160);
    bench.packet(0, 2, 8, 10_159, 160);
    assert_eq!(bench.heard(), "100:160 lost:160 102:160 7:160 8:160");
    assert_eq!(bench.receiver.counts().ssrc_changes, 1);
}

#[test]
fn numbers_that_begin_anew_are_followed_from_the_second_packet_on() {
    let mut bench = Bench::new();
    bench.frame(10_000);
    bench.packet(0, 1, 1, 50, 160);
    bench.packet(0, 1, 2, 210, 160);
    assert_eq!(bench.heard(), "16:160 1:160 2:160");
    assert_eq!(bench.receiver.counts().restarts, 1);
}

#[test]
fn a_stranger_is_neither_heard_nor_answered() {
    let mut bench = Bench::new();
    assert!(bench.frame(1));
    bench.source = "198.51.100.9:4000".parse().unwrap();
    assert!(!bench.packet(0, 9, 1, 0, 160));
    bench.source = "203.0.113.5:4444".parse().unwrap();
    assert!(!bench.packet(0, 9, 2, 0, 160));
    assert_eq!(bench.heard(), "1:160");
    assert_eq!(bench.receiver.counts().strangers, 2);
    assert_eq!(bench.receiver.remote(), PHONE.parse().unwrap());
}

#[test]
fn a_phone_behind_a_nat_is_heard_from_its_first_packet_on() {
    let mut bench = Bench::new();
    bench.source = "203.0.113.5:61000".parse().unwrap();
    assert!(bench.frame(1));
    assert_eq!(bench.heard(), "1:160");
    assert_eq!(bench.receiver.remote(), bench.source);
    bench.source = "203.0.113.5:61001".parse().unwrap();
    assert!(bench.frame(2), "the mapping changed, the stream goes on");
    assert_eq!(bench.receiver.remote(), bench.source);
    assert_eq!(bench.receiver.counts().address_changes, 2);
    bench.receiver.relatch("192.0.2.1:5000".parse().unwrap());
    assert!(!bench.frame(3));
    assert_eq!(bench.receiver.remote(), "192.0.2.1:5000".parse().unwrap());
}

#[test]
fn an_unknown_payload_latches_nobody_and_breaks_no_order() {
    let mut bench = Bench::new();
    bench.source = "203.0.113.5:61000".parse().unwrap();
    assert!(!bench.packet(77, 1, 1, 0, 160));
    bench.source = PHONE.parse().unwrap();
    bench.frame(1);
    bench.packet(77, 1, 2, 320, 33);
    bench.packet(0, 1, 3, 320, 160);
    assert_eq!(bench.heard(), "1:160 3:160");
    assert_eq!(bench.receiver.counts().unknown_payload, 1);
}

#[test]
fn a_digit_of_our_own_sender_is_heard_once_and_the_audio_goes_on_behind_it() {
    let mut bench = Bench::new();
    let mut sender = RtpSender::new(RtpSendSettings {
        ssrc: 1,
        sequence: 0,
        timestamp: 0,
        payload_type: 0,
        telephone_event: Some((101, 8_000)),
        clock_rate: 8_000,
    });
    let mut out = Vec::new();
    sender.audio(&[1; 160], 160, &mut out);
    bench.datagram(&out);
    for step in 1..=5 {
        let digit = Digit::from_event(11).unwrap();
        let elapsed = Duration::from_millis(20 * step);
        sender.event(EventFrame { digit, elapsed, first: step == 1, last: step == 5 }, &mut out);
        bench.datagram(&out);
    }
    for _ in 0..2 {
        assert!(sender.repeat_event(&mut out));
        bench.datagram(&out);
    }
    sender.audio(&[2; 160], 160, &mut out);
    bench.datagram(&out);
    assert_eq!(bench.heard(), "1:160 #:100ms paused:800 2:160");
    assert_eq!(bench.receiver.counts().lost, 0);
}

#[test]
fn a_digit_without_its_end_is_told_by_the_clock() {
    let mut bench = Bench::new();
    let header = RtpHeader { marker: true, payload_type: 101, sequence: 1, timestamp: 0, ssrc: 1 };
    let mut bytes = Vec::new();
    header.write(&[5, 10, 3, 32], &mut bytes);
    bench.datagram(&bytes);
    assert_eq!(bench.receiver.poll_timeout(), Some(Moment::from_millis(200)));
    bench.wait(200);
    assert_eq!(bench.heard(), "5:100ms");
}

fn pressed(event: u8, step: u16, end: bool) -> EventPayload {
    EventPayload { event, end, volume: 10, duration: step * 160 }
}

#[test]
fn a_packet_that_cannot_be_heard_changes_no_source_and_no_key() {
    let mut bench = Bench::new();
    bench.frame(1);
    bench.key(1, 2, 320, pressed(5, 1, false));
    assert!(bench.packet(77, 2, 9_000, 77, 33), "it came from the phone");
    bench.key(1, 3, 320, pressed(5, 2, false));
    bench.key(1, 4, 320, pressed(5, 3, true));
    bench.source = "203.0.113.5:4444".parse().unwrap();
    bench.packet(0, 1, 5, 800, 160);
    assert_eq!(bench.heard(), "1:160 5:60ms paused:480 5:160");
    let counts = bench.receiver.counts();
    assert_eq!((counts.ssrc_changes, counts.unknown_payload, counts.lost), (0, 1, 0));
}

#[test]
fn a_key_that_sounds_while_the_source_changes_and_comes_back_is_told_once() {
    let mut bench = Bench::new();
    bench.key(1, 1, 320, pressed(5, 1, false));
    bench.packet(0, 2, 500, 70_000, 160);
    for step in 2..=200 {
        bench.key(1, step, 320, pressed(5, step, step > 197));
    }
    assert_eq!(bench.heard(), "5:20ms 244:160");
    // The third copy of its end, behind another change; then the same key anew, and the next one.
    bench.packet(0, 2, 501, 70_160, 160);
    bench.key(1, 201, 320, pressed(5, 200, true));
    bench.key(1, 202, 64_000, pressed(5, 1, true));
    bench.key(1, 203, 66_000, pressed(6, 1, true));
    assert_eq!(bench.heard(), "245:160 5:20ms 6:20ms");
    // Long after, the same timestamp is nothing but chance.
    bench.packet(0, 2, 502, 70_320, 160);
    bench.wait(2_100);
    bench.key(1, 204, 66_000, pressed(6, 1, true));
    assert_eq!(bench.heard(), "246:160 6:20ms");
}

#[test]
fn a_key_that_sounds_while_the_numbers_begin_anew_or_its_payload_type_changes_is_told_once() {
    let mut bench = Bench::new();
    bench.key(1, 1, 320, pressed(5, 1, false));
    for (step, sequence) in [(2, 20_000), (3, 20_001), (4, 20_002)] {
        bench.key(1, sequence, 320, pressed(5, step, step == 4));
    }
    bench.key(1, 20_003, 9_000, pressed(6, 1, false));
    let settings = RtpReceiveSettings {
        remote: bench.source,
        signalling: None,
        payloads: vec![(0, LineCodec::Pcmu)],
        telephone_event: Some((96, 8_000)),
        ptime: Duration::from_millis(20),
    };
    let (heard, now) = (&mut bench.heard, Moment::from_millis(bench.now));
    bench.receiver.renegotiate(now, settings, &mut |event| heard.push(word(event)));
    for step in 2..5 {
        let sequence = 20_002 + step;
        let header = RtpHeader { marker: false, payload_type: 96, sequence, timestamp: 9_000, ssrc: 1 };
        let mut bytes = Vec::new();
        header.write(&pressed(6, step, step == 4).to_bytes(), &mut bytes);
        bench.wait(20);
        bench.datagram(&bytes);
    }
    bench.wait(300);
    assert_eq!(bench.heard(), "5:20ms 6:20ms");
}

#[test]
fn a_goodbye_counts_only_from_the_phone_and_for_its_source() {
    let mut bench = Bench::new();
    bench.frame(1);
    let mut bytes = Vec::new();
    rtcp::write_goodbye(1, "phone", &mut bytes);
    let (phone, stranger) = ("203.0.113.5:4001".parse().unwrap(), "198.51.100.9:4001".parse().unwrap());
    assert!(!bench.receiver.handle_rtcp(Moment::START, stranger, &bytes));
    assert!(bench.receiver.handle_rtcp(Moment::START, phone, &bytes));
    rtcp::write_goodbye(2, "phone", &mut bytes);
    assert!(!bench.receiver.handle_rtcp(Moment::START, phone, &bytes));
    assert!(!bench.receiver.handle_rtcp(Moment::START, phone, &[0x80, 203, 0, 9]));
}

#[test]
fn a_new_negotiation_changes_the_codec_and_keeps_the_source() {
    let mut bench = Bench::new();
    bench.source = "203.0.113.5:61000".parse().unwrap();
    bench.frame(1);
    let settings = RtpReceiveSettings {
        remote: PHONE.parse().unwrap(),
        signalling: None,
        payloads: vec![(8, LineCodec::Pcma)],
        telephone_event: None,
        ptime: Duration::from_millis(30),
    };
    bench.receiver.renegotiate(Moment::START, settings, &mut |_| panic!("nothing was held"));
    bench.packet(8, 1, 2, 320, 240);
    bench.packet(0, 1, 3, 560, 160);
    assert_eq!(bench.heard(), "1:160 2:240");
    assert_eq!(bench.receiver.remote(), bench.source);
}

#[test]
fn an_agreement_on_another_clock_ends_the_time_of_the_one_before_also_for_keys() {
    let mut bench = Bench::new();
    bench.frame(1);
    let settings = RtpReceiveSettings {
        remote: bench.source,
        signalling: None,
        payloads: vec![(111, LineCodec::Opus)],
        telephone_event: Some((101, 48_000)),
        ptime: Duration::from_millis(20),
    };
    bench.receiver.renegotiate(Moment::START, settings, &mut |_| panic!("nothing was held"));
    let event = EventPayload { event: 5, end: true, volume: 10, duration: 4_800 }.to_bytes();
    let header = RtpHeader { marker: true, payload_type: 101, sequence: 2, timestamp: 2_000_000, ssrc: 1 };
    let mut bytes = Vec::new();
    header.write(&event, &mut bytes);
    bench.datagram(&bytes);
    let header = RtpHeader { payload_type: 111, sequence: 3, timestamp: 2_004_800, ..header };
    // One frame of 20 ms, by its first byte.
    header.write(&[0x08; 3], &mut bytes);
    let mut ticks = Vec::new();
    let hear = &mut |event: RtpEvent<'_>| match event {
        RtpEvent::Audio { ticks: heard, .. } => ticks.push(heard),
        other => panic!("{other:?}"),
    };
    bench.receiver.handle_packet(Moment::START, bench.source, &bytes, hear);
    assert_eq!((bench.heard(), ticks), ("1:160 5:100ms".to_owned(), vec![960]));
}

proptest! {
    #[test]
    fn any_loss_order_and_doubling_conserves_time_and_tells_every_frame_at_most_once(
        fates in proptest::collection::vec((0u8..10, 0u64..30), 2..120),
    ) {
        let mut bench = Bench::new();
        let mut delayed: Vec<u16> = Vec::new();
        for (number, (fate, wait)) in fates.iter().enumerate() {
            let number = number as u16;
            bench.wait(*wait);
            match fate {
                0 if number > 0 => {}
                1 if number > 0 => delayed.push(number),
                2 => { bench.frame(number); bench.frame(number); }
                _ => { bench.frame(number); }
            }
            if *fate == 3 {
                delayed.drain(..).for_each(|late| { bench.frame(late); });
            }
        }
        bench.frame(fates.len() as u16);
        bench.wait(40);
        prop_assert_eq!(bench.receiver.poll_timeout(), None);
        // Every sample between the first and the last frame was told, as audio or as lost.
        prop_assert_eq!(bench.receiver.ticks_heard(), (fates.len() as u64 + 1) * 160);
        let frames: Vec<&String> = bench.heard.iter().filter(|word| !word.starts_with("lost")).collect();
        let mut sorted = frames.clone();
        sorted.sort_by_key(|word| word.split(':').next().and_then(|number| number.parse::<u16>().ok()));
        sorted.dedup();
        prop_assert_eq!(frames, sorted);
    }

    #[test]
    fn whatever_else_speaks_between_its_packets_a_key_is_told_exactly_once(
        keys in proptest::collection::vec((0u8..16, proptest::collection::vec((0u8..8, any::<bool>()), 8)), 1..8),
    ) {
        let (mut bench, mut sequence, mut other, mut expected) = (Bench::new(), 0, 0, Vec::new());
        for (at, (event, fates)) in keys.iter().enumerate() {
            let timestamp = 160 + at as u32 * 1_600;
            let mut came = false;
            for (step, (between, arrives)) in (1u16..).zip(fates) {
                sequence += 1;
                if *arrives {
                    bench.key(1, sequence, timestamp, pressed(*event, step.min(6), step >= 6));
                    came = true;
                }
                match between {
                    0 => { other += 1; bench.packet(0, 2, other, 900_000 + u32::from(other) * 160, 160); }
                    1 => { bench.packet(77, 3, 40_000, 5, 20); }
                    2 => { bench.packet(13, 4, 30_000, 5, 1); }
                    _ => {}
                }
            }
            if came {
                expected.push(Digit::from_event(*event).unwrap().as_char());
            }
        }
        bench.wait(40);
        bench.wait(200);
        let told: Vec<char> = bench.heard.iter().filter(|word| word.ends_with("ms"))
            .filter_map(|word| word.chars().next()).collect();
        prop_assert_eq!(told, expected);
    }

    #[test]
    fn any_datagrams_are_survived(
        datagrams in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..40), 0u64..100), 0..60),
        valid in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        for (mut bytes, wait) in datagrams {
            if let (true, [first, second, ..]) = (valid, &mut bytes[..]) {
                (*first, *second) = (0x80, [0, 8, 13, 101, 77][usize::from(*second) % 5]);
            }
            bench.datagram(&bytes);
            bench.receiver.handle_rtcp(Moment::from_millis(bench.now), bench.source, &bytes);
            bench.wait(wait);
            bench.receiver.report_block(Moment::from_millis(bench.now));
        }
        bench.wait(300);
        prop_assert_eq!(bench.receiver.poll_timeout(), None);
    }
}
