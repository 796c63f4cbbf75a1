//! What a caller hears: RTP packets in, happenings and figures out. Pure; [`super::conversation`] feeds it.

use std::time::Duration;

use patchcord_core::media::g711::Law;
use patchcord_core::media::{DtmfDetector, Level, SilenceGate};
use patchcord_core::rtp::{EventReceiver, RtpPacket};
use patchcord_core::vocabulary::Moment;

use super::call_log::{CallLog, Happening};
use super::pace::FRAME;
use super::pure_tone::ToneFinder;
use super::reception::{Place, Reception, ReceptionTally};
use super::speech::{Change, Conversation};

/// The receiving half of a call.
pub struct Ear {
    law: Law,
    payload_type: u8,
    event_payload_type: Option<u8>,
    reception: Reception,
    events: EventReceiver,
    conversation: Conversation,
    gate: SilenceGate,
    tones: ToneFinder,
    keys: DtmfDetector,
    /// Until when audio was heard, or its absence noted.
    heard_until: Option<Moment>,
    heard: Duration,
    silent: Duration,
    samples: Vec<i16>,
}

/// Audio of one packet, decoded.
#[derive(Debug)]
pub struct HeardAudio<'a> {
    /// The packet's timestamp.
    pub timestamp: u32,
    /// At 8 kHz.
    pub samples: &'a [i16],
}

impl Ear {
    /// An ear for one law under its payload type, and for events under theirs.
    pub fn new(law: Law, payload_type: u8, event_payload_type: Option<u8>) -> Self {
        Self {
            law,
            payload_type,
            event_payload_type,
            reception: Reception::default(),
            events: EventReceiver::new(8_000),
            conversation: Conversation::default(),
            gate: SilenceGate::default(),
            tones: ToneFinder::default(),
            keys: DtmfDetector::new(),
            heard_until: None,
            heard: Duration::ZERO,
            silent: Duration::ZERO,
            samples: Vec::new(),
        }
    }

    /// Hears a datagram; gives back the audio in it, unless it is late, doubled or something else.
    pub fn datagram(&mut self, now: Moment, bytes: &[u8], log: &mut CallLog<'_>) -> Option<HeardAudio<'_>> {
        let packet = RtpPacket::parse(bytes).ok()?;
        let payload_type = packet.header.payload_type;
        if payload_type != self.payload_type && Some(payload_type) != self.event_payload_type {
            return None;
        }
        let is_first = self.heard_until.is_none();
        let place = self.reception.packet(packet.header, now, true);
        if payload_type != self.payload_type {
            let mut tell = |digit, _| log.note(now, Happening::KeyHeard { digit, in_band: false });
            self.events.handle(now, packet.header.timestamp, packet.payload, &mut tell);
            return None;
        }
        if matches!(place, Place::Late | Place::Doubled) || packet.payload.is_empty() {
            return None;
        }
        if is_first {
            log.note(now, Happening::FirstAudio);
        }
        self.samples.resize(packet.payload.len(), 0);
        self.law.decode(packet.payload, &mut self.samples);
        self.audio(now, log);
        Some(HeardAudio { timestamp: packet.header.timestamp, samples: &self.samples })
    }

    /// Time passes: silence where no audio comes.
    pub fn tick(&mut self, now: Moment, log: &mut CallLog<'_>) {
        self.events.handle_timeout(now, &mut |digit, _| {
            log.note(now, Happening::KeyHeard { digit, in_band: false });
        });
        while let Some(until) = self.heard_until.filter(|until| now - *until > PATIENCE) {
            let change = self.conversation.bot_frame(until, FRAME, true);
            self.heard_until = Some(until + FRAME);
            self.note_bot(change, log);
        }
    }

    /// The caller says a frame, which turn times are counted from.
    pub fn said(&mut self, now: Moment, samples: &[i16], log: &mut CallLog<'_>) {
        let is_silent = self.gate.is_silent(Level::of_samples(samples));
        match self.conversation.caller_frame(now, FRAME, is_silent) {
            Some(Change::Started(at)) => log.note(at, Happening::CallerSpeaks),
            Some(Change::Stopped(at)) => log.note(at, Happening::CallerStops),
            Some(Change::Resumed) | None => {}
        }
    }

    /// The stream so far.
    pub fn reception(&self) -> &ReceptionTally {
        self.reception.tally()
    }

    /// The waits for the bot so far.
    pub fn turns(&self) -> Vec<Duration> {
        self.conversation.turns().iter().map(|turn| turn.time()).collect()
    }

    /// How much audio was heard, and how much of it was silence.
    pub fn heard(&self) -> (Duration, Duration) {
        (self.heard, self.silent)
    }

    fn audio(&mut self, now: Moment, log: &mut CallLog<'_>) {
        let length = Duration::from_nanos(self.samples.len() as u64 * SAMPLE_NANOS);
        let is_silent = self.gate.is_silent(Level::of_samples(&self.samples));
        self.heard += length;
        if is_silent {
            self.silent += length;
        }
        let change = self.conversation.bot_frame(now, length, is_silent);
        self.heard_until = Some(now + length);
        self.note_bot(change, log);
        if let Some(hertz) = self.tones.frame(&self.samples, length) {
            log.note(now, Happening::ToneHeard { hertz });
        }
        self.keys.listen(&self.samples, &mut |key| {
            log.note(now, Happening::KeyHeard { digit: key.digit, in_band: true });
        });
    }

    fn note_bot(&mut self, change: Option<Change>, log: &mut CallLog<'_>) {
        match change {
            Some(Change::Started(at)) => {
                let turn = self.conversation.turn_of(at);
                log.note(at, Happening::BotSpeaks { turn });
            }
            Some(Change::Stopped(at)) => log.note(at, Happening::BotStops),
            Some(Change::Resumed) | None => {}
        }
    }
}

/// Packets that are this late are waited for before their place counts as silent.
const PATIENCE: Duration = Duration::from_millis(60);

/// One sample at 8 kHz.
const SAMPLE_NANOS: u64 = 125_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::call_log::Logged;
    use patchcord_core::media::SineTone;
    use patchcord_core::rtp::{EventFrame, RtpSendSettings, RtpSender};
    use patchcord_core::vocabulary::Digit;

    fn sender() -> RtpSender {
        RtpSender::new(RtpSendSettings {
            ssrc: 5,
            sequence: 65_500,
            timestamp: 4_294_900_000,
            payload_type: 8,
            telephone_event: Some((101, 8_000)),
            clock_rate: 8_000,
        })
    }

    fn ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    /// A caller that says a tone for a second and a bot that answers 700 ms later with another, then presses a key.
    #[test]
    fn a_bot_that_answers_after_the_caller_has_its_turn_time_tone_and_key() {
        let mut ignore = |_: &Logged| {};
        let mut log = CallLog::new(ms(0), &mut ignore);
        let mut ear = Ear::new(Law::A, 8, Some(101));
        let (mut mine, mut theirs) =
            (SineTone::new(8_000, 440.0, 8_000), SineTone::new(8_000, 1_000.0, 8_000));
        let (mut sender, mut packet) = (sender(), Vec::new());
        let mut heard = 0;
        for n in 0..200u64 {
            let (mut said, mut answer) = ([0i16; 160], [0i16; 160]);
            if n < 50 {
                mine.fill(&mut said);
            }
            if (85..150).contains(&n) {
                theirs.fill(&mut answer);
            }
            ear.said(ms(n * 20), &said, &mut log);
            if (180..183).contains(&n) {
                let elapsed = FRAME * (n as u32 - 179);
                let digit = Digit::try_from('7').unwrap();
                sender.event(EventFrame { digit, elapsed, first: n == 180, last: n == 182 }, &mut packet);
            } else {
                let mut coded = [0; 160];
                Law::A.encode(&answer, &mut coded);
                sender.audio(&coded, 160, &mut packet);
            }
            heard += ear.datagram(ms(n * 20), &packet, &mut log).map_or(0, |audio| audio.samples.len());
            ear.tick(ms(n * 20 + 5), &mut log);
        }
        assert_eq!(heard, 197 * 160);
        assert_eq!(ear.turns(), [Duration::from_millis(700)]);
        assert_eq!((ear.reception().received, ear.reception().missing), (200, 0));
        assert_eq!(ear.heard().0 - ear.heard().1, Duration::from_millis(65 * 20));
        let (entries, _) = log.into_entries();
        let at = |ms| Duration::from_millis(ms);
        let turn = Some(at(700));
        let expected = [
            (at(0), Happening::CallerSpeaks),
            (at(0), Happening::FirstAudio),
            (at(1_000), Happening::CallerStops),
            (at(1_700), Happening::BotSpeaks { turn }),
            (at(1_880), Happening::ToneHeard { hertz: 1_000 }),
            (at(3_000), Happening::BotStops),
            (at(3_640), Happening::KeyHeard { digit: Digit::try_from('7').unwrap(), in_band: false }),
        ];
        let seen: Vec<_> = entries.iter().map(|entry| (entry.at, entry.what)).collect();
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        assert!(expected.iter().all(|one| seen.contains(one)), "{seen:?}");
    }

    #[test]
    fn a_bot_whose_packets_stop_has_stopped_speaking() {
        let mut ignore = |_: &Logged| {};
        let mut log = CallLog::new(ms(0), &mut ignore);
        let mut ear = Ear::new(Law::A, 8, None);
        let mut packet = Vec::new();
        let mut sender = sender();
        for n in 0..10 {
            sender.audio(&[0; 160], 160, &mut packet);
            ear.datagram(ms(n * 20), &packet, &mut log);
        }
        ear.tick(ms(2_000), &mut log);
        let (entries, _) = log.into_entries();
        let last = Logged { at: Duration::from_millis(200), what: Happening::BotStops };
        assert_eq!(entries.last(), Some(&last));
    }

    #[test]
    fn strange_datagrams_are_not_heard() {
        let mut ignore = |_: &Logged| {};
        let mut log = CallLog::new(ms(0), &mut ignore);
        let mut ear = Ear::new(Law::Mu, 0, Some(101));
        let mut packet = Vec::new();
        sender().audio(&[0; 160], 160, &mut packet);
        for bytes in [&packet[..], &[], &[0x80; 5], b"hello, is this a phone?"] {
            assert!(ear.datagram(ms(0), bytes, &mut log).is_none());
        }
        assert_eq!(ear.reception().received, 0);
    }
}
