//! One phone that a transfer reached: its RTP, what it hears, and what is heard of it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::dialect::WireAudio;
use crate::media::MediaFormat;
use crate::vocabulary::{DialDigits, Digit, DigitPress, Moment, WallClock};

use super::super::listener::Listener;
use super::super::output::{Outputs, Party};
use super::super::pace::Cadence;
use super::super::phone_leg::Origin;
use super::super::rtp_leg::{Arrival, Hearing, RtpLeg, SAME_KEY};
use super::super::speaker::Speaker;
use super::super::{BotJoins, PhoneMedia, RtpIdentity};
use super::LegNo;

/// A leg whose audio was agreed on.
pub(in super::super) struct AgentLeg {
    pub(super) no: LegNo,
    rtp: RtpLeg,
    /// What is heard of it, in the caller's format.
    listener: Listener,
    /// What it hears, in its own.
    speaker: Speaker,
    last_media: Moment,
    last_info: Option<(Digit, Moment)>,
    last_event: Option<(Digit, Moment)>,
}

impl AgentLeg {
    /// A leg that agreed on `media`, beside a caller who works in `caller`.
    pub(super) fn new(
        no: LegNo,
        identity: RtpIdentity,
        media: PhoneMedia,
        caller: MediaFormat,
        now: Moment,
    ) -> Self {
        let format = media.codec.format_towards(caller);
        let ptime = media.codec.packet_time(media.ptime);
        let mut leg = Self {
            no,
            rtp: RtpLeg::new(Party::Agent(no), identity, Origin::Dialled(BotJoins::AtTheAnswer)),
            listener: Listener::new(format, piece_of(caller)),
            speaker: Speaker::new(Cadence::Steady, format, format, ptime),
            last_media: now,
            last_info: None,
            last_event: None,
        };
        leg.agree(media, caller, now);
        leg.speaker.start(now);
        leg.listener.start(now);
        leg
    }

    /// Takes a first or a new agreement.
    pub(super) fn agree(&mut self, media: PhoneMedia, caller: MediaFormat, now: Moment) {
        let format = media.codec.format_towards(caller);
        let (ptime, has_events) = (media.codec.packet_time(media.ptime), media.telephone_event.is_some());
        self.rtp.agree(media, format, Hearing { listener: &mut self.listener, tape: None }, now);
        self.speaker.set_leg(format, ptime);
        self.speaker.send_events(has_events);
        self.listener.set_phone(format);
        self.last_media = now;
    }

    /// The caller's format changed.
    pub(super) fn set_caller(&mut self, caller: MediaFormat) {
        self.listener.set_bot(piece_of(caller));
    }

    /// The audio that it wants: its own format, in small pieces, so that no length of packets makes any wait.
    pub(super) fn wanted(&self) -> WireAudio {
        piece_of(self.speaker.leg())
    }

    /// Takes a datagram of its RTP port; says whether it was audio of the phone.
    pub(super) fn hear(&mut self, source: SocketAddr, packet: &[u8], now: Moment) -> bool {
        let hearing = Hearing { listener: &mut self.listener, tape: None };
        let arrival = self.rtp.hear(source, packet, hearing, now);
        if arrival == Arrival::First {
            self.speaker.align(now);
        }
        let known = arrival != Arrival::Nothing;
        if known {
            self.last_media = now;
        }
        known
    }

    /// Takes a datagram of its RTCP port.
    pub(super) fn hear_rtcp(&mut self, source: SocketAddr, packet: &[u8], now: Moment) {
        self.rtp.hear_rtcp(source, packet, now);
    }

    /// Serves its deadlines and sends every frame that is due.
    pub(super) fn serve(&mut self, names: (&str, WallClock), now: Moment, outputs: &mut Outputs) {
        while let Some(sound) = self.speaker.take_sound(now) {
            self.rtp.send(&sound, outputs);
        }
        self.rtp.wake(Hearing { listener: &mut self.listener, tape: None }, names, now, outputs);
        self.listener.handle_timeout(now);
    }

    /// When [`AgentLeg::serve`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let deadlines = [self.speaker.poll_timeout(), self.rtp.poll_timeout(), self.listener.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    /// Lets it hear a piece in the format of [`AgentLeg::wanted`].
    pub(super) fn push(&mut self, audio: &[u8], now: Moment) {
        self.speaker.push_voice(audio, now);
    }

    /// Lets it hear a clip, linear 16-bit at 8 kHz.
    pub(super) fn whisper(&mut self, clip: &[i16], now: Moment) {
        self.speaker.push_clip(clip, now);
    }

    /// It is joined: what it was told before is dropped.
    pub(super) fn stop_whisper(&mut self) {
        self.speaker.clear();
    }

    /// Whether its keys are looked for in its audio; it must have no other way to send them.
    pub(super) fn detect_digits(&mut self, wanted: bool) {
        self.listener.detect_digits(wanted && self.rtp.lacks_events() && self.last_info.is_none());
    }

    /// Sends it a key.
    pub(super) fn dial(&mut self, press: DigitPress, now: Moment) {
        // Keys faster than they can sound find no room; a person does not press them.
        let _ = self.speaker.dial(&one_key(press), now);
    }

    /// A key of it outside the audio; `None` if its RTP told it already.
    pub(super) fn pressed_by_info(&mut self, press: DigitPress, now: Moment) -> Option<DigitPress> {
        self.listener.detect_digits(false);
        self.last_info = Some((press.digit, now));
        Some(press).filter(|press| !is_repeated(self.last_event, *press, now))
    }

    /// The next key that was heard in its RTP.
    pub(super) fn poll_digit(&mut self, now: Moment) -> Option<DigitPress> {
        loop {
            let press = match self.rtp.poll_digit() {
                Some(press) => press,
                None => return self.listener.poll_digit(),
            };
            self.last_event = Some((press.digit, now));
            if !is_repeated(self.last_info, press, now) {
                return Some(press);
            }
        }
    }

    /// The next piece of what it says, in the caller's format; hand its buffer back by [`AgentLeg::return_piece`].
    pub(super) fn take_piece(&mut self) -> Option<Vec<u8>> {
        self.listener.take_frame()
    }

    pub(super) fn return_piece(&mut self, piece: Vec<u8>) {
        self.listener.return_frame(piece);
    }

    /// Whether it spoke within that time.
    pub(super) fn spoke_within(&self, time: Duration, now: Moment) -> bool {
        self.listener.has_heard() && now - self.last_media < time
    }

    /// When it counts as lost; `None` while it is not expected to speak.
    pub(super) fn media_deadline(&self, timeout: Duration) -> Option<Moment> {
        self.rtp.expects_media().then(|| self.last_media + timeout)
    }

    /// Our stream ends.
    pub(super) fn say_goodbye(&mut self, cname: &str, outputs: &mut Outputs) {
        self.rtp.say_goodbye(cname, outputs);
    }
}

/// A key as it is sent on.
pub(super) fn one_key(press: DigitPress) -> DialDigits {
    let tone = press.duration.unwrap_or(KEY_TONE).clamp(KEY_TONE_MIN, KEY_TONE_MAX);
    DialDigits::one(press.digit, tone)
}

fn is_repeated(earlier: Option<(Digit, Moment)>, press: DigitPress, now: Moment) -> bool {
    earlier.is_some_and(|(digit, at)| digit == press.digit && now - at < SAME_KEY)
}

fn piece_of(format: MediaFormat) -> WireAudio {
    WireAudio { format, frame: PIECE }
}

/// What two phones give each other at a time: every length of packets is a multiple of it.
const PIECE: Duration = Duration::from_millis(10);

/// A key whose length is not known.
const KEY_TONE: Duration = Duration::from_millis(100);
/// What every receiver finds (ITU-T Q.24), and what nobody holds longer on purpose.
const KEY_TONE_MIN: Duration = Duration::from_millis(50);
const KEY_TONE_MAX: Duration = Duration::from_millis(1_000);
