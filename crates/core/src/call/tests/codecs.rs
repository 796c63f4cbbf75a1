//! Phones that change their codec in the midst of a call.

use super::bots::Echo;
use super::*;
use crate::media::{Level, LineCoding, SineTone, encode_samples};

/// A phone that speaks a tone in one codec and measures what it hears in it.
struct Phone {
    codec: LineCodec,
    coding: Option<LineCoding>,
    tone: SineTone,
    sequence: u16,
    timestamp: u32,
}

impl Phone {
    fn new(codec: LineCodec) -> Self {
        let mut phone =
            Self { codec, coding: None, tone: SineTone::new(8_000, 440.0, 8_000), sequence: 0, timestamp: 0 };
        phone.change(codec);
        phone
    }

    /// Another codec on the same stream: its numbers go on.
    fn change(&mut self, codec: LineCodec) {
        let format = codec.widest_format();
        (self.codec, self.coding) = (codec, LineCoding::new(codec, format));
        self.tone = SineTone::new(format.sample_rate, 440.0, 8_000);
    }

    fn media(&self) -> PhoneMedia {
        PhoneMedia { codec: self.codec, payload_type: payload_type(self.codec), ..super::media() }
    }

    fn speak(&mut self, desk: &mut Desk, frames: usize) {
        let format = self.codec.widest_format();
        for _ in 0..frames {
            let (mut samples, mut audio) = (vec![0; format.sample_rate as usize / 50], Vec::new());
            self.tone.fill(&mut samples);
            encode_samples(format, &samples, &mut audio);
            let payload = match &mut self.coding {
                Some(coding) => coding.encode(&audio),
                None => &audio,
            };
            let mut packet = vec![0x80, payload_type(self.codec)];
            packet.extend_from_slice(&self.sequence.to_be_bytes());
            packet.extend_from_slice(&self.timestamp.to_be_bytes());
            packet.extend_from_slice(&99u32.to_be_bytes());
            packet.extend_from_slice(payload);
            self.sequence += 1;
            self.timestamp += self.codec.ticks_in(FRAME) as u32;
            desk.input(Input::Rtp { source: phone(), packet: &packet });
            desk.pass(FRAME);
        }
    }

    /// The power of the last packet among them, all of which follow each other in this codec.
    fn hear(&mut self, desk: &mut Desk) -> f32 {
        let (mut before, mut power) = (None, 0.0);
        for (_, seen) in std::mem::take(&mut desk.seen) {
            let Seen::Rtp(packet) = seen else { continue };
            assert_eq!(packet[1] & 0x7F, payload_type(self.codec));
            let number = |at: usize, bytes: usize| {
                packet[at..at + bytes].iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte))
            };
            let at = (number(2, 2), number(4, 4));
            let ticks = self.codec.ticks_in(FRAME) as u32;
            let follows = before.is_none_or(|(sequence, timestamp)| at == (sequence + 1, timestamp + ticks));
            assert!(follows, "{at:?} after {before:?}");
            before = Some(at);
            let format = self.codec.widest_format();
            let audio = match &mut self.coding {
                Some(coding) => coding.decode(&packet[12..]),
                None => &packet[12..],
            };
            power = Level::of_frame(format, audio).mean_square;
        }
        power
    }
}

fn payload_type(codec: LineCodec) -> u8 {
    match codec {
        LineCodec::Pcmu => 0,
        LineCodec::Pcma => 8,
        LineCodec::G722 => 9,
        LineCodec::Opus => 111,
    }
}

#[test]
fn a_phone_that_changes_its_codec_and_back_hears_itself_all_along() {
    let opus = LineCoding::new(LineCodec::Opus, LineCodec::Opus.widest_format()).map(|_| LineCodec::Opus);
    let codecs: Vec<_> =
        [LineCodec::Pcmu, LineCodec::Pcma, LineCodec::G722].into_iter().chain(opus).collect();
    for (from, to) in codecs.iter().flat_map(|from| codecs.iter().map(move |to| (*from, *to))) {
        let mut caller = Phone::new(from);
        let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
        let settings = PhoneSettings::Sip { rtp, media: Some(caller.media()), early_media: false };
        let mut desk = Desk::new(settings, built_in(Box::new(Echo)), Fallback::Sorry);
        let mut powers = Vec::new();
        for codec in [from, to, from] {
            if caller.codec != codec {
                caller.change(codec);
                desk.input(Input::PhoneMedia(caller.media()));
            }
            caller.speak(&mut desk, 50);
            powers.push(caller.hear(&mut desk).sqrt());
        }
        let said = 8_000.0 / f32::sqrt(2.0);
        let off = powers.iter().any(|power| !(0.8..1.25).contains(&(power / said)));
        assert!(!off, "{from} to {to}: {powers:?}, said {said}");
        let counters = desk.call.counters();
        assert!((2_980..=3_000).contains(&counters.heard_ms), "{from} to {to}: {counters:?}");
        assert_eq!((counters.rtp_lost, counters.concealed_ms), (0, 0), "{from} to {to}");
        assert!(counters.clock_silence_ms <= 20, "{from} to {to}: {counters:?}");
    }
}

#[test]
fn a_rate_that_changes_within_a_step_of_the_loudness_curve_changes_no_step() {
    for (from, to) in [(LineCodec::G722, LineCodec::Pcmu), (LineCodec::Pcmu, LineCodec::G722)] {
        let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
        let media = |codec| PhoneMedia { codec, payload_type: payload_type(codec), ..super::media() };
        let settings = PhoneSettings::Sip { rtp, media: Some(media(from)), early_media: false };
        let mut desk = Desk::new(settings, built_in(Box::new(Echo)), Fallback::Sorry);
        // Packets of 15 ms: at the change three quarters of a step are there.
        for number in 0..300u16 {
            if number == 101 {
                desk.input(Input::PhoneMedia(media(to)));
            }
            let mut packet = vec![0x80, payload_type(if number < 101 { from } else { to })];
            packet.extend_from_slice(&number.to_be_bytes());
            packet.extend_from_slice(&(u32::from(number) * 120).to_be_bytes());
            packet.extend_from_slice(&99u32.to_be_bytes());
            packet.extend_from_slice(&[0x10; 120]);
            desk.input(Input::Rtp { source: phone(), packet: &packet });
            desk.pass(Duration::from_millis(15));
        }
        desk.input(Input::HangUp(Reason::Asked));
        let loud = desk.taped.curve.iter().step_by(2).filter(|level| **level > 0).count();
        assert_eq!(loud, 300 * 15 / 20, "{from} to {to}");
    }
}
