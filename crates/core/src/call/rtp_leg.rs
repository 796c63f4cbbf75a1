//! A SIP phone's audio: RTP and RTCP both ways, under what was negotiated.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::dialect::Capability;
use crate::media::{LineCodec, LineCoding, MediaFormat};
use crate::rtp::rtcp::{self, SenderInfo};
use crate::rtp::{
    OurStream, RemoteReports, RtpEvent, RtpReceiveSettings, RtpReceiver, RtpSendSettings, RtpSender,
    SrtpCounts, SrtpSession, is_rtcp,
};
use crate::vocabulary::{Counters, DigitPress, FromPhone, Moment, ToPhone, WallClock};

use super::listener::Listener;
use super::output::{Outputs, Port};
use super::phone_leg::{Origin, PhoneLeg};
use super::quality::session_figures;
use super::speaker::Sound;
use super::state::State;
use super::tape::Tape;
use super::{Call, PhoneMedia, RtpIdentity};

/// One phone's RTP session; silent until the media were agreed on.
pub(super) struct RtpLeg {
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
    pub(super) fn new(identity: RtpIdentity, origin: Origin) -> Self {
        let (digits, packet) = (VecDeque::new(), Vec::new());
        Self { identity, session: None, gone: false, origin, digits, packet, sent: 0 }
    }

    /// Takes a first or a new agreement.
    fn agree(
        &mut self,
        media: PhoneMedia,
        format: MediaFormat,
        (listener, tape): (&mut Listener, &mut Tape),
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
            let (digits, line) = (&mut self.digits, &mut session.line);
            let mut ear = Ear { listener, tape, digits, line, now };
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
            outputs.datagram(Port::Rtp, to, |out| out.extend_from_slice(packet));
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
        put_rtcp(session, &mut self.packet, outputs);
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

impl Call {
    /// The phone's audio was agreed on or changed.
    pub(super) fn agree_on_media(&mut self, media: PhoneMedia, now: Moment) {
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let format = media.codec.format_towards(self.bot.audio.format);
        let (ptime, has_events) = (media.codec.packet_time(media.ptime), media.telephone_event.is_some());
        leg.agree(media, format, (&mut self.listener, &mut self.tape), now);
        self.pass_heard(now);
        self.last_media = now;
        self.speaker.set_leg(format, ptime);
        self.speaker.send_events(has_events);
        self.listener.set_phone(format);
        self.choose_digits();
        // After a delayed offer the answer came before the agreement. A phone that has not answered hears nothing.
        let is_up = self.is_audible() && !matches!(self.state, State::Dialling(_));
        if is_up && !self.speaker.has_started() {
            self.speaker.start(now);
        }
    }

    /// Looks for keys in the audio of a phone that has no other way to send them, for a bot that wants them.
    pub(super) fn choose_digits(&mut self) {
        let in_band = match &self.phone {
            PhoneLeg::Rtp(leg) => {
                let events =
                    leg.session.as_ref().is_none_or(|session| session.media.telephone_event.is_some());
                !events && self.last_info.is_none()
            }
            PhoneLeg::Vendor(leg) => !leg.side.capabilities().contains(&Capability::DigitsToBot),
        };
        self.listener.detect_digits(in_band && self.bot.can(Capability::DigitsToBot));
    }

    /// Another bot takes the call, before anybody speaks: the line takes its rate, if it can.
    pub(super) fn fit_line_to_bot(&mut self) {
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let Some(Session { media, line, .. }) = &mut leg.session else { return };
        let format = media.codec.format_towards(self.bot.audio.format);
        if format != line.format {
            *line = Line::new(media.codec, format);
            self.speaker.set_leg(format, media.codec.packet_time(media.ptime));
            self.listener.set_phone(format);
        }
    }

    pub(super) fn hear_rtp(&mut self, source: SocketAddr, packet: &[u8], now: Moment) {
        // Nobody speaks before the answer: a stranger could take the phone's place.
        if !self.is_audible() {
            return;
        }
        // RFC 5761: some phones send their reports to the same port, asked or not.
        if is_rtcp(packet) {
            return self.hear_rtcp(source, packet, now);
        }
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let Some(session) = &mut leg.session else { return };
        let (listener, tape) = (&mut self.listener, &mut self.tape);
        let mut ear = Ear { listener, tape, digits: &mut leg.digits, line: &mut session.line, now };
        let packet = match &mut session.srtp {
            None => packet,
            Some(srtp) => {
                let from_phone = session.receiver.may_come_from(source);
                let Some(packet) = from_phone.then(|| srtp.unprotect(packet)).flatten() else { return };
                packet
            }
        };
        let wanted = session.media.direction.receives();
        let known = session.receiver.handle_packet(now, source, packet, &mut |event| {
            if wanted {
                ear.take(event);
            }
        });
        if known {
            self.last_media = now;
            if std::mem::take(&mut session.awaits_first) {
                self.speaker.align(now);
            }
        }
        self.pass_heard(now);
    }

    pub(super) fn hear_rtcp(&mut self, source: SocketAddr, packet: &[u8], now: Moment) {
        if let PhoneLeg::Rtp(leg) = &mut self.phone
            && let Some(session) = &mut leg.session
        {
            let packet = match &mut session.srtp {
                None => packet,
                Some(srtp) => {
                    let from_phone = session.receiver.may_come_from(source);
                    let Some(packet) = from_phone.then(|| srtp.unprotect_rtcp(packet)).flatten() else {
                        return;
                    };
                    packet
                }
            };
            // The stream's goodbye ends nothing: SIP ends calls.
            session.receiver.handle_rtcp(now, source, packet);
        }
    }

    /// Serves the deadlines of the RTP session: what was held for its order, and our reports.
    pub(super) fn wake_rtp(&mut self, now: Moment) {
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let Some(session) = &mut leg.session else { return };
        if session.receiver.poll_timeout().is_some_and(|at| at <= now) {
            let (listener, tape) = (&mut self.listener, &mut self.tape);
            let mut ear = Ear { listener, tape, digits: &mut leg.digits, line: &mut session.line, now };
            session.receiver.handle_timeout(now, &mut |event| ear.take(event));
        }
        if session.report_at <= now {
            leg.report(self.names.call_id.as_str(), self.names.clock, now, &mut self.outputs);
        }
        self.pass_heard(now);
    }

    /// Says goodbye on RTCP: our stream ends (RFC 3550 §6.6).
    pub(super) fn send_rtcp_bye(&mut self) {
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let Some(session) = &mut leg.session else { return };
        rtcp::write_goodbye(session.sender.ssrc(), self.names.call_id.as_str(), &mut leg.packet);
        put_rtcp(session, &mut leg.packet, &mut self.outputs);
    }

    /// Passes on what the ear took: audio as frames, keys as keys.
    fn pass_heard(&mut self, now: Moment) {
        while let PhoneLeg::Rtp(leg) = &mut self.phone
            && let Some(press) = leg.digits.pop_front()
        {
            let repeats =
                self.last_info.is_some_and(|(digit, at)| digit == press.digit && now - at < SAME_KEY);
            self.last_event = Some((press.digit, now));
            if !repeats {
                self.press(press, now);
            }
        }
        self.give_frames(now);
    }
}

/// Takes what the receiver tells, while the receiver is busy telling.
struct Ear<'a> {
    listener: &'a mut Listener,
    tape: &'a mut Tape,
    digits: &'a mut VecDeque<DigitPress>,
    line: &'a mut Line,
    now: Moment,
}

impl Ear<'_> {
    fn take(&mut self, event: RtpEvent<'_>) {
        match event {
            // Another codec than the agreed one cannot come: there is one payload type.
            RtpEvent::Audio { payload, codec, .. } if codec == self.line.codec => {
                let format = self.line.format;
                let audio = self.line.decode(payload);
                self.tape.caller(format, audio, self.now);
                self.listener.hear(audio, self.now);
            }
            RtpEvent::Audio { .. } => {}
            RtpEvent::Lost { ticks, next } => {
                let samples = self.line.samples_in(ticks);
                self.miss(samples);
                self.listener.conceal(samples, self.now, &mut |lost| self.line.conceal(lost, next));
            }
            RtpEvent::Paused { ticks } => {
                let samples = self.line.samples_in(ticks);
                self.miss(samples);
                self.listener.pause(samples, self.now);
            }
            RtpEvent::Silence { ticks } => {
                let samples = self.line.samples_in(ticks);
                self.miss(samples);
                self.listener.hear_silence(samples, self.now);
            }
            RtpEvent::Digit { digit, duration } => {
                if self.digits.len() < DIGITS_HEARD_MAX {
                    self.digits.push_back(DigitPress { digit, duration: Some(duration) });
                }
            }
        }
    }

    fn miss(&mut self, samples: u64) {
        self.tape.caller_missed(self.line.format.duration_of_samples(samples));
    }
}

fn put_rtcp(session: &mut Session, packet: &mut Vec<u8>, outputs: &mut Outputs) {
    let remote = session.receiver.remote();
    // RFC 3550 §11: the odd port above the even one. What the SDP says of RTCP is true where it is true of RTP.
    let above = SocketAddr::new(remote.ip(), remote.port().saturating_add(1));
    let to = session.media.rtcp.filter(|_| remote == session.media.remote).unwrap_or(above);
    if !is_nowhere(remote) && !is_nowhere(to) {
        if let Some(srtp) = &mut session.srtp {
            srtp.protect_rtcp(packet);
        }
        outputs.datagram(Port::Rtcp, to, |out| out.extend_from_slice(packet));
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
