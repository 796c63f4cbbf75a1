//! What we say: audio packets and telephone events on one stream (RFC 3550 §5.1, RFC 4733 §2.5).
//!
//! Sequence number, timestamp and source begin where the caller says: there is no randomness here. Time goes on
//! through digits and pauses, so that the phone's clock of our stream stays right.

use std::time::Duration;

use super::packet::RtpHeader;
use super::telephone_event::EventPayload;
use crate::vocabulary::Digit;

/// How a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpSendSettings {
    /// Our synchronisation source.
    pub ssrc: u32,
    /// The first sequence number.
    pub sequence: u16,
    /// The first timestamp.
    pub timestamp: u32,
    /// Payload type of audio.
    pub payload_type: u8,
    /// Payload type and clock of telephone events; `None` where they were not negotiated.
    pub telephone_event: Option<(u8, u32)>,
    /// Ticks per second of the stream's timestamps.
    pub clock_rate: u32,
}

/// Writes the packets of one stream.
#[derive(Debug, Clone)]
pub struct RtpSender {
    settings: RtpSendSettings,
    sequence: u16,
    timestamp: u32,
    /// The next audio packet begins a talkspurt.
    talkspurt: bool,
    /// The event that is being sent.
    event: Option<Event>,
    packets: u32,
    octets: u32,
}

/// One packet's worth of a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFrame {
    /// The key.
    pub digit: Digit,
    /// How long it has lasted at the end of this frame.
    pub elapsed: Duration,
    /// It begins with this frame.
    pub first: bool,
    /// It ends with this frame; the packet is to be [repeated](RtpSender::repeat_event) twice.
    pub last: bool,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    /// Timestamp of the segment, and what of the digit was before it.
    timestamp: u32,
    before: u32,
    /// Ticks of the stream since it began.
    streamed: u32,
    payload: [u8; 4],
}

impl RtpSender {
    /// A stream that has sent nothing.
    pub fn new(settings: RtpSendSettings) -> Self {
        Self {
            sequence: settings.sequence,
            timestamp: settings.timestamp,
            settings,
            talkspurt: true,
            event: None,
            packets: 0,
            octets: 0,
        }
    }

    /// Changes payload types and clock after a new negotiation; numbers go on.
    pub fn renegotiate(&mut self, payload_type: u8, telephone_event: Option<(u8, u32)>, clock_rate: u32) {
        self.settings.payload_type = payload_type;
        self.settings.telephone_event = telephone_event;
        self.settings.clock_rate = clock_rate;
    }

    /// Begins anew under another source; time goes on. The number is below half its range, so that a first packet
    /// that is lost leaves no doubt about its rollover counter (RFC 3711 §3.3.1).
    pub fn begin_anew(&mut self) {
        self.settings.ssrc = self.settings.ssrc.wrapping_add(1);
        self.sequence &= u16::MAX >> 1;
        (self.talkspurt, self.packets, self.octets) = (true, 0, 0);
    }

    /// Overwrites `out` with a packet of audio that lasts `samples` ticks.
    pub fn audio(&mut self, payload: &[u8], samples: u32, out: &mut Vec<u8>) {
        self.event = None;
        let marker = std::mem::take(&mut self.talkspurt);
        self.write(marker, self.settings.payload_type, self.timestamp, payload, out);
        self.timestamp = self.timestamp.wrapping_add(samples);
    }

    /// Lets time pass without a packet; the next audio begins a talkspurt.
    pub fn skip(&mut self, samples: u32) {
        self.timestamp = self.timestamp.wrapping_add(samples);
        self.talkspurt = true;
    }

    /// Overwrites `out` with the packet of a digit's frame, and lets the time of that frame pass. `false`, and
    /// nothing written, where events were not negotiated.
    pub fn event(&mut self, frame: EventFrame, out: &mut Vec<u8>) -> bool {
        let Some((payload_type, event_clock)) = self.settings.telephone_event else { return false };
        let elapsed = ticks_in(frame.elapsed, event_clock);
        let streamed = ticks_in(frame.elapsed, self.settings.clock_rate);
        let begun = Event { timestamp: self.timestamp, before: 0, streamed: 0, payload: [0; 4] };
        let mut event = if frame.first { begun } else { self.event.unwrap_or(begun) };
        self.timestamp = self.timestamp.wrapping_add(streamed.saturating_sub(event.streamed));
        event.streamed = streamed;
        // A digit beyond the field's range goes on as a segment of its own (RFC 4733 §2.5.1.3).
        while elapsed.saturating_sub(event.before) > u32::from(u16::MAX) {
            event.before += u32::from(u16::MAX);
            event.timestamp = event.timestamp.wrapping_add(u32::from(u16::MAX));
        }
        let duration = u16::try_from(elapsed.saturating_sub(event.before)).unwrap_or(u16::MAX);
        event.payload =
            EventPayload { event: frame.digit.event(), end: frame.last, volume: VOLUME, duration }.to_bytes();
        self.event = Some(event);
        // The audio after a digit goes on with the talkspurt's rights: a marker helps the phone to restart.
        self.talkspurt = true;
        self.write(frame.first, payload_type, event.timestamp, &event.payload, out);
        true
    }

    /// Overwrites `out` with the last event packet once more, under its own sequence number.
    pub fn repeat_event(&mut self, out: &mut Vec<u8>) -> bool {
        let (Some((payload_type, _)), Some(event)) = (self.settings.telephone_event, self.event) else {
            return false;
        };
        self.write(false, payload_type, event.timestamp, &event.payload, out);
        true
    }

    /// Our synchronisation source.
    pub const fn ssrc(&self) -> u32 {
        self.settings.ssrc
    }

    /// The timestamp of what comes next.
    pub const fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Packets and payload bytes sent, for sender reports; both wrap.
    pub const fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    fn write(&mut self, marker: bool, payload_type: u8, timestamp: u32, payload: &[u8], out: &mut Vec<u8>) {
        let (sequence, ssrc) = (self.sequence, self.settings.ssrc);
        RtpHeader { marker, payload_type, sequence, timestamp, ssrc }.write(payload, out);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
    }
}

fn ticks_in(duration: Duration, clock_rate: u32) -> u32 {
    let ticks = duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// -10 dBm0, as most phones send.
const VOLUME: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{EventReceiver, RtpPacket};
    use crate::vocabulary::Moment;

    fn sender() -> RtpSender {
        RtpSender::new(RtpSendSettings {
            ssrc: 7,
            sequence: u16::MAX,
            timestamp: u32::MAX - 159,
            payload_type: 0,
            telephone_event: Some((101, 8_000)),
            clock_rate: 8_000,
        })
    }

    fn header(bytes: &[u8]) -> (bool, u8, u16, u32) {
        let header = RtpPacket::parse(bytes).unwrap().header;
        (header.marker, header.payload_type, header.sequence, header.timestamp)
    }

    fn frame(ms: u64, first: bool, last: bool) -> EventFrame {
        let digit = Digit::from_event(5).unwrap();
        EventFrame { digit, elapsed: Duration::from_millis(ms), first, last }
    }

    #[test]
    fn a_talkspurt_begins_with_a_marker_and_numbers_wrap() {
        let (mut sender, mut out) = (sender(), Vec::new());
        sender.audio(&[1; 160], 160, &mut out);
        assert_eq!(header(&out), (true, 0, u16::MAX, u32::MAX - 159));
        sender.audio(&[2; 160], 160, &mut out);
        assert_eq!(header(&out), (false, 0, 0, 0));
        sender.skip(320);
        sender.audio(&[3; 160], 160, &mut out);
        assert_eq!(header(&out), (true, 0, 1, 480));
        assert_eq!(sender.sent(), (3, 480));
    }

    #[test]
    fn a_digit_keeps_its_timestamp_and_audio_goes_on_after_it() {
        let (mut sender, mut out) = (sender(), Vec::new());
        sender.audio(&[1; 160], 160, &mut out);
        let mut seen = Vec::new();
        for (ms, first, last) in [(20, true, false), (40, false, false), (60, false, true)] {
            assert!(sender.event(frame(ms, first, last), &mut out));
            seen.push((header(&out), out[12..].to_vec()));
        }
        assert!(sender.repeat_event(&mut out));
        seen.push((header(&out), out[12..].to_vec()));
        assert_eq!(seen[0], ((true, 101, 0, 0), vec![5, 10, 0, 160]));
        assert_eq!(seen[1], ((false, 101, 1, 0), vec![5, 10, 1, 64]));
        assert_eq!(seen[2], ((false, 101, 2, 0), vec![5, 0x8A, 1, 224]));
        assert_eq!(seen[3], ((false, 101, 3, 0), vec![5, 0x8A, 1, 224]));
        sender.audio(&[1; 160], 160, &mut out);
        assert_eq!(header(&out), (true, 0, 4, 480));
        assert!(!sender.repeat_event(&mut out), "the digit is over");
    }

    #[test]
    fn without_negotiation_no_event_is_written() {
        let mut sender = sender();
        sender.renegotiate(8, None, 8_000);
        assert!(!sender.event(frame(20, true, false), &mut Vec::new()));
        assert_eq!(sender.sent(), (0, 0));
    }

    #[test]
    fn a_digit_of_twenty_seconds_is_sent_in_segments_and_heard_as_one() {
        let (mut sender, mut out) = (sender(), Vec::new());
        let (mut receiver, mut heard) = (EventReceiver::new(8_000), Vec::new());
        for step in 1..=1_000 {
            sender.event(frame(step * 20, step == 1, step == 1_000), &mut out);
            let packet = RtpPacket::parse(&out).unwrap();
            receiver.handle(
                Moment::START,
                packet.header.timestamp,
                packet.payload,
                &mut |digit, duration| {
                    heard.push((digit, duration));
                },
            );
        }
        assert_eq!(heard, [(Digit::from_event(5).unwrap(), Duration::from_secs(20))]);
    }
}
