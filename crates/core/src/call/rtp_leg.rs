//! A SIP phone's audio: RTP and RTCP both ways, under what was negotiated. The caller has one, and so has each phone that
//! a transfer reaches.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::media::{LineCodec, LineCoding, MediaFormat};
use crate::rtp::rtcp::{self, SenderInfo};
use crate::rtp::{
    OurStream, RemoteReports, RtpEvent, RtpReceiveSettings, RtpReceiver, RtpSendSettings, RtpSender,
    SrtpCounts, SrtpSession, is_rtcp,
};
use crate::vocabulary::{Counters, DigitPress, FromPhone, Moment, ToPhone, WallClock};

use super::listener::Listener;
use super::output::{Outputs, Party, Port};
use super::phone_leg::Origin;
use super::quality::session_figures;
use super::speaker::Sound;
use super::tape::Tape;
use super::{PhoneMedia, RtpIdentity};

/// One phone's RTP session; silent until the media were agreed on.
pub(super) struct RtpLeg {
    party: Party,
    identity: RtpIdentity,
    session: Option<Session>,
    /// The SIP dialog is over.
    pub(super) gone: bool,
    /// Who called whom.
    pub(super) origin: Origin,
    /// Keys that were heard and not yet passed on.
    digits: VecDeque<DigitPress>,
    /// The packet that is being written.
    packet: Vec<u8>,
    sent: u64,
}

/// What a datagram was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// No audio of the phone.
    Nothing,
    /// A packet of the phone.
    Known,
    /// Its first.
    First,
}

struct Session {
    media: PhoneMedia,
    line: Line,
    receiver: RtpReceiver,
    sender: RtpSender,
    /// Between the socket and both of them, where packets are protected.
    srtp: Option<Box<SrtpSession>>,
    /// What sessions before this one refused.
    refused: SrtpCounts,
    report_at: Moment,
    /// No packet of the phone has come yet.
    awaits_first: bool,
}

/// What lies between the phone's payloads and the call's audio.
struct Line {
    codec: LineCodec,
    format: MediaFormat,
    /// Nothing, where they are the same.
    coding: Option<Box<LineCoding>>,
}

impl RtpLeg {
    pub(super) fn new(party: Party, identity: RtpIdentity, origin: Origin) -> Self {
        let (digits, packet) = (VecDeque::new(), Vec::new());
        Self { party, identity, session: None, gone: false, origin, digits, packet, sent: 0 }
    }

    /// Takes a first or a new agreement.
    pub(super) fn agree(
        &mut self,
        media: PhoneMedia,
        format: MediaFormat,
        hearing: Hearing<'_>,
        now: Moment,
    ) {
        let settings = RtpReceiveSettings {
            remote: media.remote,
            signalling: media.signalling,
            payloads: vec![(media.payload_type, media.codec)],
            telephone_event: media.telephone_event,
            ptime: media.ptime,
        };
        if let Some(session) = &mut self.session {
            let mut ear = Ear { hearing, digits: &mut self.digits, line: &mut session.line, now };
            session.receiver.renegotiate(now, settings, &mut |event| ear.take(event));
            if (media.codec, format) != (session.line.codec, session.line.format) {
                session.line = Line::new(media.codec, format);
            }
            session.sender.renegotiate(media.payload_type, media.telephone_event, media.codec.clock_rate());
            session.protect_by(&media);
            session.media = media;
            return;
        }
        let RtpIdentity { ssrc, sequence, timestamp } = self.identity;
        let sender = RtpSender::new(RtpSendSettings {
            ssrc,
            sequence,
            timestamp,
            payload_type: media.payload_type,
            telephone_event: media.telephone_event,
            clock_rate: media.codec.clock_rate(),
        });
        let (receiver, report_at) = (RtpReceiver::new(settings), now + REPORT_INTERVAL);
        let line = Line::new(media.codec, format);
        let srtp = media.srtp.clone().map(|keys| Box::new(SrtpSession::new(keys)));
        self.session = Some(Session {
            media,
            line,
            receiver,
            sender,
            srtp,
            refused: SrtpCounts::default(),
            report_at,
            awaits_first: true,
        });
    }

    /// Whether the phone is expected to speak.
    pub(super) fn expects_media(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.media.direction.receives())
    }

    /// Whether the phone is to hear us: it is not on hold.
    pub(super) fn is_listening(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.media.direction.sends())
    }

    pub(super) fn has_agreed(&self) -> bool {
        self.session.is_some()
    }

    /// What was agreed on.
    pub(super) fn media(&self) -> Option<&PhoneMedia> {
        self.session.as_ref().map(|session| &session.media)
    }

    /// Whether the phone has no keys of its own in RTP; one that has agreed on nothing may.
    pub(super) fn lacks_events(&self) -> bool {
        self.media().is_some_and(|media| media.telephone_event.is_none())
    }

    /// Works with the agreed codec in another format, before anybody speaks; says whether it is another.
    pub(super) fn work_in(&mut self, format: MediaFormat) -> bool {
        let Some(Session { media, line, .. }) = &mut self.session else { return false };
        let changes = format != line.format;
        if changes {
            *line = Line::new(media.codec, format);
        }
        changes
    }

    /// Takes a datagram of the RTP port.
    pub(super) fn hear(
        &mut self,
        source: SocketAddr,
        packet: &[u8],
        hearing: Hearing<'_>,
        now: Moment,
    ) -> Arrival {
        // RFC 5761: some phones send their reports to the same port, asked or not.
        if is_rtcp(packet) {
            self.hear_rtcp(source, packet, now);
            return Arrival::Nothing;
        }
        let Some(session) = &mut self.session else { return Arrival::Nothing };
        let packet = match &mut session.srtp {
            None => packet,
            Some(srtp) => {
                let from_phone = session.receiver.may_come_from(source);
                match from_phone.then(|| srtp.unprotect(packet)).flatten() {
                    Some(packet) => packet,
                    None => return Arrival::Nothing,
                }
            }
        };
        let mut ear = Ear { hearing, digits: &mut self.digits, line: &mut session.line, now };
        let wanted = session.media.direction.receives();
        let known = session.receiver.handle_packet(now, source, packet, &mut |event| {
            if wanted {
                ear.take(event);
            }
        });
        match known {
            false => Arrival::Nothing,
            true if std::mem::take(&mut session.awaits_first) => Arrival::First,
            true => Arrival::Known,
        }
    }

    /// Takes a datagram of the RTCP port.
    pub(super) fn hear_rtcp(&mut self, source: SocketAddr, packet: &[u8], now: Moment) {
        let Some(session) = &mut self.session else { return };
        let packet = match &mut session.srtp {
            None => packet,
            Some(srtp) => {
                let from_phone = session.receiver.may_come_from(source);
                let Some(packet) = from_phone.then(|| srtp.unprotect_rtcp(packet)).flatten() else { return };
                packet
            }
        };
        // The stream's goodbye ends nothing: SIP ends calls.
        session.receiver.handle_rtcp(now, source, packet);
    }

    /// Serves the deadlines of the session: what was held for its order, and our reports.
    pub(super) fn wake(
        &mut self,
        hearing: Hearing<'_>,
        (cname, clock): (&str, WallClock),
        now: Moment,
        outputs: &mut Outputs,
    ) {
        let Some(session) = &mut self.session else { return };
        if session.receiver.poll_timeout().is_some_and(|at| at <= now) {
            let mut ear = Ear { hearing, digits: &mut self.digits, line: &mut session.line, now };
            session.receiver.handle_timeout(now, &mut |event| ear.take(event));
        }
        if session.report_at <= now {
            self.report(cname, clock, now, outputs);
        }
    }

    /// Says goodbye on RTCP: our stream ends (RFC 3550 §6.6).
    pub(super) fn say_goodbye(&mut self, cname: &str, outputs: &mut Outputs) {
        let Some(session) = &mut self.session else { return };
        rtcp::write_goodbye(session.sender.ssrc(), cname, &mut self.packet);
        put_rtcp(self.party, session, &mut self.packet, outputs);
    }

    /// The next key that was heard.
    pub(super) fn poll_digit(&mut self) -> Option<DigitPress> {
        self.digits.pop_front()
    }

    /// Sends one step of the speaker's.
    pub(super) fn send(&mut self, sound: &Sound<'_>, outputs: &mut Outputs) {
        let Some(session) = &mut self.session else { return };
        let to = session.receiver.remote();
        if !session.media.direction.sends() || is_nowhere(to) {
            if let Sound::Audio(audio) = sound {
                session.sender.skip(session.line.ticks_of(audio));
            }
            return;
        }
        let packet = &mut self.packet;
        let mut put = |packet: &mut Vec<u8>| {
            if let Some(srtp) = &mut session.srtp {
                srtp.protect(packet);
            }
            outputs.datagram(self.party, Port::Rtp, to, |out| out.extend_from_slice(packet));
            self.sent += 1;
        };
        match sound {
            Sound::Audio(audio) => {
                let ticks = session.line.ticks_of(audio);
                let payload = session.line.encode(audio);
                if payload.is_empty() {
                    session.sender.skip(ticks);
                    return;
                }
                session.sender.audio(payload, ticks, packet);
                put(packet);
            }
            Sound::Event(frame) => {
                if session.sender.event(*frame, packet) {
                    put(packet);
                }
                // RFC 4733 §2.5.1.4: the end is sent three times.
                for _ in 0..if frame.last { 2 } else { 0 } {
                    if session.sender.repeat_event(packet) {
                        put(packet);
                    }
                }
            }
            Sound::Nothing => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let session = self.session.as_ref()?;
        let hold = session.receiver.poll_timeout().unwrap_or(session.report_at);
        Some(hold.min(session.report_at))
    }

    pub(super) fn count(&self, counters: &mut Counters) {
        counters.rtp_sent += self.sent;
        let Some(session) = &self.session else { return };
        let counts = session.receiver.counts();
        counters.rtp_received += counts.received;
        counters.rtp_lost += counts.lost;
        counters.rtp_late += counts.late;
        counters.rtp_duplicate += counts.duplicates;
        counters.rtp_reordered += counts.reordered;
        counters.rtp_strangers += counts.strangers;
        counters.rtp_malformed += counts.malformed;
        let refused = session.refused();
        counters.srtp_auth_failed += refused.auth_failed;
        counters.srtp_replayed += refused.replayed;
    }

    /// The figures of both ways; `None` before media were agreed on.
    pub(super) fn figures(&self) -> Option<(FromPhone, ToPhone)> {
        let Session { media, receiver, .. } = self.session.as_ref()?;
        Some(session_figures(media.codec, media.ptime, receiver, receiver.reports()))
    }

    /// Whether the phone reports that nothing of what we send arrives.
    pub(super) fn phone_hears_nothing(&self) -> bool {
        let reports = self.session.as_ref().map(|session| session.receiver.reports());
        self.sent > 0 && reports.is_some_and(RemoteReports::hears_nothing)
    }

    /// Sends a report about both directions (RFC 3550 §6.4).
    fn report(&mut self, cname: &str, clock: WallClock, now: Moment, outputs: &mut Outputs) {
        let Some(session) = &mut self.session else { return };
        session.report_at = now + REPORT_INTERVAL;
        let (packets, octets) = session.sender.sent();
        let sent = SenderInfo {
            ntp: rtcp::ntp_of_unix_ms(clock.unix_ms(now)),
            rtp_timestamp: session.sender.timestamp(),
            packets,
            octets,
        };
        let heard = session.receiver.report_block(now);
        session.receiver.sent_report(sent.ntp, now);
        let sent = Some(sent).filter(|_| packets > 0);
        rtcp::write_report(session.sender.ssrc(), sent, heard, cname, &mut self.packet);
        put_rtcp(self.party, session, &mut self.packet, outputs);
    }
}

impl Session {
    /// Takes the keys of a new agreement.
    fn protect_by(&mut self, media: &PhoneMedia) {
        match (&mut self.srtp, &media.srtp) {
            (Some(srtp), Some(keys)) => {
                if srtp.rekey(keys.clone()) == OurStream::BeginsAnew {
                    self.sender.begin_anew();
                }
            }
            (_, keys) => {
                self.refused = self.refused();
                self.srtp = keys.clone().map(|keys| Box::new(SrtpSession::new(keys)));
            }
        }
    }

    /// Packets that were not taken for want of authenticity.
    fn refused(&self) -> SrtpCounts {
        self.srtp.as_ref().map_or(self.refused, |srtp| self.refused + srtp.counts())
    }
}

/// Who takes what a phone says.
pub(super) struct Hearing<'a> {
    pub(super) listener: &'a mut Listener,
    /// The caller's is recorded.
    pub(super) tape: Option<&'a mut Tape>,
}

/// Takes what the receiver tells, while the receiver is busy telling.
struct Ear<'a> {
    hearing: Hearing<'a>,
    digits: &'a mut VecDeque<DigitPress>,
    line: &'a mut Line,
    now: Moment,
}

impl Ear<'_> {
    fn take(&mut self, event: RtpEvent<'_>) {
        let came = match event {
            RtpEvent::Digit { .. } => None,
            RtpEvent::Audio { payload, .. } => Some(payload.len()),
            RtpEvent::Lost { .. } | RtpEvent::Paused { .. } | RtpEvent::Silence { .. } => Some(0),
        };
        // Gaps as well: each may be longer than the time that it took, by what a network explains.
        if came.is_some_and(|bytes| !self.hearing.listener.admits(bytes, self.now)) {
            return;
        }
        match event {
            // Another codec than the agreed one cannot come: there is one payload type.
            RtpEvent::Audio { payload, codec, .. } if codec == self.line.codec => {
                let format = self.line.format;
                let audio = self.line.decode(payload);
                if let Some(tape) = &mut self.hearing.tape {
                    tape.caller(format, audio, self.now);
                }
                self.hearing.listener.hear(audio, self.now);
            }
            RtpEvent::Audio { .. } => {}
            RtpEvent::Lost { ticks, next } => {
                let samples = self.line.samples_in(ticks);
                self.miss(samples);
                self.hearing.listener.conceal(samples, self.now, &mut |lost| self.line.conceal(lost, next));
            }
            RtpEvent::Paused { ticks } => {
                let samples = self.line.samples_in(ticks);
                self.miss(samples);
                self.hearing.listener.pause(samples, self.now);
            }
            RtpEvent::Silence { ticks } => {
                let samples = self.line.samples_in(ticks);
                self.miss(samples);
                self.hearing.listener.hear_silence(samples, self.now);
            }
            RtpEvent::Digit { digit, duration } => {
                if self.digits.len() < DIGITS_HEARD_MAX {
                    self.digits.push_back(DigitPress { digit, duration: Some(duration) });
                }
            }
        }
    }

    fn miss(&mut self, samples: u64) {
        if let Some(tape) = &mut self.hearing.tape {
            tape.caller_missed(self.line.format.duration_of_samples(samples));
        }
    }
}

fn put_rtcp(party: Party, session: &mut Session, packet: &mut Vec<u8>, outputs: &mut Outputs) {
    let remote = session.receiver.remote();
    // RFC 3550 §11: the odd port above the even one. What the SDP says of RTCP is true where it is true of RTP.
    let above = SocketAddr::new(remote.ip(), remote.port().saturating_add(1));
    let to = session.media.rtcp.filter(|_| remote == session.media.remote).unwrap_or(above);
    if !is_nowhere(remote) && !is_nowhere(to) {
        if let Some(srtp) = &mut session.srtp {
            srtp.protect_rtcp(packet);
        }
        outputs.datagram(party, Port::Rtcp, to, |out| out.extend_from_slice(packet));
    }
}

/// Whether nobody can be there: a hold by `0.0.0.0`, or port 0.
fn is_nowhere(to: SocketAddr) -> bool {
    to.port() == 0 || to.ip().to_canonical().is_unspecified()
}

impl Line {
    fn new(codec: LineCodec, format: MediaFormat) -> Self {
        Self { codec, format, coding: LineCoding::new(codec, format).map(Box::new) }
    }

    fn decode<'a>(&'a mut self, payload: &'a [u8]) -> &'a [u8] {
        match &mut self.coding {
            Some(coding) => coding.decode(payload),
            None => payload,
        }
    }

    fn encode<'a>(&'a mut self, audio: &'a [u8]) -> &'a [u8] {
        match &mut self.coding {
            Some(coding) => coding.encode(audio),
            None => audio,
        }
    }

    fn conceal(&mut self, lost: &mut [u8], next: &[u8]) -> bool {
        self.coding.as_mut().is_some_and(|coding| coding.conceal(lost, next))
    }

    fn samples_in(&self, ticks: u64) -> u64 {
        self.codec.samples_in(ticks, self.format)
    }

    fn ticks_of(&self, audio: &[u8]) -> u32 {
        let samples = self.format.samples_of(audio.len());
        u32::try_from(self.codec.ticks_of_samples(samples, self.format)).unwrap_or(0)
    }
}

/// A phone that sends a key in its RTP and by INFO as well sends both within this time.
pub(super) const SAME_KEY: Duration = Duration::from_millis(300);

/// Keys heard in one packet or at one deadline.
pub const DIGITS_HEARD_MAX: usize = 16;

/// Between two reports (RFC 3550 §6.2).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
