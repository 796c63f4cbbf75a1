//! RTP and RTCP: whatever arrives from wherever, what is heard is accounted for and nothing waits for long.
//!
//! Binary, as the wire is. Each step: a byte that says what, one that varies it, the length of the rest, the rest.

use std::net::SocketAddr;
use std::time::Duration;

use patchcord_core::media::LineCodec;
use patchcord_core::rtp::rtcp::{self, RtcpPacket};
use patchcord_core::rtp::{RtpEvent, RtpPacket, RtpReceiveSettings, RtpReceiver};
use patchcord_core::vocabulary::Moment;

/// Plays the input as a phone, its network and strangers.
pub fn exercise(input: &[u8]) {
    let mut ear = Ear::new();
    let mut rest = input;
    let mut steps = 0;
    while let [what, vary, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        ear.take(*what, *vary, bytes);
        (rest, steps) = (tail, steps + 1);
        if steps == STEPS_MAX {
            break;
        }
    }
    ear.pass(Duration::from_secs(2));
    assert_eq!(ear.receiver.poll_timeout(), None, "something waits although nothing comes");
}

struct Ear {
    receiver: RtpReceiver,
    now: Moment,
    heard: u64,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

impl Ear {
    fn new() -> Self {
        let receiver = RtpReceiver::new(settings(0));
        Self { receiver, now: Moment::from_millis(1), heard: 0, sequence: 65_530, timestamp: 0, ssrc: 7 }
    }

    fn take(&mut self, what: u8, vary: u8, bytes: &[u8]) {
        match what % 16 {
            0 => self.datagram(source(vary), bytes),
            1 => self.rtcp(source(vary), bytes),
            2 => self.pass(Duration::from_millis(u64::from(vary) * 4)),
            3 => self.renegotiate(vary),
            4 => self.timestamp = self.timestamp.wrapping_add(u32::from(vary) << (8 * (bytes.len() % 4))),
            5 => self.ssrc = u32::from(vary),
            6 => self.event(vary, bytes),
            7 => self.sequence = self.sequence.wrapping_add(u16::from(vary) << (8 * (bytes.len() % 2))),
            8 => drop(self.receiver.report_block(self.now)),
            // The stream goes on, with a step back or forth; audio is as long as it is.
            9..=12 => self.stream(0, vary, bytes),
            13 => self.stream(8, vary, bytes),
            14 => self.stream(13, vary, bytes),
            _ => self.stream(vary & 0x7F, 0, bytes),
        }
    }

    /// A well-formed packet of the stream; every fourth variation comes out of order.
    fn stream(&mut self, payload_type: u8, vary: u8, payload: &[u8]) {
        let step = if vary % 4 == 3 { i16::from((vary >> 2) as i8 >> 2) } else { 1 };
        self.sequence = self.sequence.wrapping_add_signed(step);
        self.timestamp = self.timestamp.wrapping_add_signed(i32::from(step) * 160);
        self.send(payload_type, vary & 0x40 != 0, payload);
    }

    /// A telephone event whose four bytes are the input's.
    fn event(&mut self, vary: u8, payload: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        self.send(101, vary & 1 != 0, payload);
    }

    fn send(&mut self, payload_type: u8, marker: bool, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        self.datagram(source(0), &packet);
    }

    fn datagram(&mut self, source: SocketAddr, bytes: &[u8]) {
        if let Ok(packet) = RtpPacket::parse(bytes) {
            assert!(packet.payload.len() + 12 <= bytes.len(), "a payload longer than its packet");
        }
        let (now, mut told) = (self.now, Told::default());
        self.receiver.handle_packet(now, source, bytes, &mut |event| told.hear(event));
        self.account(&told);
    }

    fn rtcp(&mut self, source: SocketAddr, bytes: &[u8]) {
        for packet in rtcp::packets(bytes).flatten() {
            let (blocks, sources) = match packet {
                RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. } => {
                    (blocks.count(), 0)
                }
                RtcpPacket::Goodbye(sources) => (0, sources.count()),
                RtcpPacket::SourceDescription(_) | RtcpPacket::ExtendedReport(_) | RtcpPacket::Other(_) => {
                    (0, 0)
                }
            };
            assert!(blocks * 24 + sources * 4 <= bytes.len(), "more than was sent");
        }
        self.receiver.handle_rtcp(self.now, source, bytes);
    }

    fn renegotiate(&mut self, vary: u8) {
        let (now, mut told) = (self.now, Told::default());
        self.receiver.renegotiate(now, settings(vary), &mut |event| told.hear(event));
        self.account(&told);
    }

    /// Lets time pass and serves every deadline on the way.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut served = 0;
        while let Some(due) = self.receiver.poll_timeout().filter(|due| *due <= end) {
            served = if due > self.now { 0 } else { served + 1 };
            assert!(served < 10, "a deadline that serving does not move");
            self.now = self.now.max(due);
            let (now, mut told) = (self.now, Told::default());
            self.receiver.handle_timeout(now, &mut |event| told.hear(event));
            self.account(&told);
        }
        self.now = end;
    }

    /// What was told is what is counted, and one input tells little.
    fn account(&mut self, told: &Told) {
        self.heard += told.ticks;
        assert_eq!(self.heard, self.receiver.ticks_heard(), "ticks were told that were not counted");
        assert!(told.events <= EVENTS_MAX, "{} events of one input", told.events);
    }
}

#[derive(Default)]
struct Told {
    ticks: u64,
    events: usize,
}

impl Told {
    fn hear(&mut self, event: RtpEvent<'_>) {
        self.events += 1;
        match event {
            RtpEvent::Audio { payload, codec, ticks, .. } => {
                assert_eq!(ticks, codec.ticks_of(payload));
                self.ticks += ticks;
            }
            RtpEvent::Lost { ticks, .. } | RtpEvent::Silence { ticks } => {
                assert!(ticks <= CLOCK_RATE_MAX, "more than a second at once: {ticks} ticks");
                self.ticks += ticks;
            }
            RtpEvent::Paused { ticks } => {
                assert!(ticks <= 60 * CLOCK_RATE_MAX, "more than a minute at once: {ticks} ticks");
                self.ticks += ticks;
            }
            RtpEvent::Digit { duration, .. } => {
                assert!(duration <= DIGIT_MAX, "a key of {duration:?}");
            }
        }
    }
}

fn settings(vary: u8) -> RtpReceiveSettings {
    let codecs = [(0, LineCodec::Pcmu), (8, LineCodec::Pcma), (96, LineCodec::Opus)];
    RtpReceiveSettings {
        remote: source(vary >> 4),
        signalling: (vary & 4 != 0).then(|| source(2).ip()),
        payloads: codecs.into_iter().skip(usize::from(vary % 3)).collect(),
        telephone_event: (vary & 8 == 0).then_some((101, 8_000)),
        ptime: Duration::from_millis(10 * u64::from(vary % 7)),
    }
}

/// The phone, its other port, its host behind NAT, a stranger.
fn source(vary: u8) -> SocketAddr {
    match vary % 4 {
        0 => ([192, 168, 1, 7], 4_000).into(),
        1 => ([192, 168, 1, 7], 4_002).into(),
        2 => ([198, 51, 100, 9], 4_000).into(),
        _ => ([203, 0, 113, 5], 9_999).into(),
    }
}

/// Steps of one input.
const STEPS_MAX: usize = 200;
/// Everything that can be held back, each with a gap before it, and the keys between.
const EVENTS_MAX: usize = 64;
/// The fastest clock of [`settings`].
const CLOCK_RATE_MAX: u64 = 16_000;
/// Longer than a key can be said to sound in one segment, by far.
const DIGIT_MAX: Duration = Duration::from_secs(3_600);
