//! The caller's audio where it is a SIP phone: what was agreed on, what it says, and whether its keys sound.

use std::net::SocketAddr;

use crate::dialect::Capability;
use crate::media::MediaFormat;
use crate::vocabulary::Moment;

use super::phone_leg::PhoneLeg;
use super::rtp_leg::{Arrival, Hearing, SAME_KEY};
use super::state::State;
use super::{Call, PhoneMedia};

impl Call {
    /// The phone's audio was agreed on or changed.
    pub(super) fn agree_on_media(&mut self, media: PhoneMedia, now: Moment) {
        let partner = self.partner_format();
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let format = media.codec.format_towards(partner);
        let (ptime, has_events) = (media.codec.packet_time(media.ptime), media.telephone_event.is_some());
        let hearing = Hearing { listener: &mut self.listener, tape: Some(&mut self.tape) };
        leg.agree(media, format, hearing, now);
        self.pass_heard(now);
        self.last_media = now;
        self.speaker.set_leg(format, ptime);
        self.speaker.send_events(has_events);
        self.listener.set_phone(format);
        self.choose_digits();
        self.tune_bridge();
        // After a delayed offer the answer came before the agreement. A phone that has not answered hears nothing.
        let is_up = self.is_audible() && !matches!(self.state, State::Dialling(_));
        if is_up && !self.speaker.has_started() {
            self.speaker.start(now);
        }
    }

    /// The phone sends or wants other audio from here on. A phone that we call and that has agreed on none yet agrees
    /// with its progress or its answer.
    pub(super) fn change_media(&mut self, media: PhoneMedia, now: Moment) {
        let has_agreed = matches!(&self.phone, PhoneLeg::Rtp(leg) if leg.has_agreed());
        if has_agreed || !matches!(self.state, State::Dialling(_)) {
            self.agree_on_media(media, now);
        }
    }

    /// Looks for keys in the audio of a phone that has no other way to send them, for a bot that wants them.
    pub(super) fn choose_digits(&mut self) {
        let in_band = match &self.phone {
            PhoneLeg::Rtp(leg) => leg.lacks_events() && self.last_info.is_none(),
            PhoneLeg::Vendor(leg) => !leg.side.capabilities().contains(&Capability::DigitsToBot),
        };
        self.listener.detect_digits(in_band && self.wants_digits());
    }

    /// Somebody else takes the call: the line takes its rate, if it can.
    pub(super) fn fit_line_to(&mut self, partner: MediaFormat) {
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let Some((codec, ptime)) = leg.media().map(|media| (media.codec, media.ptime)) else { return };
        let format = codec.format_towards(partner);
        if leg.work_in(format) {
            self.speaker.set_leg(format, codec.packet_time(ptime));
            self.listener.set_phone(format);
        }
    }

    pub(super) fn hear_rtp(&mut self, source: SocketAddr, packet: &[u8], now: Moment) {
        // Nobody speaks before the answer: a stranger could take the phone's place.
        if !self.is_audible() {
            return;
        }
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let hearing = Hearing { listener: &mut self.listener, tape: Some(&mut self.tape) };
        let arrival = leg.hear(source, packet, hearing, now);
        if arrival != Arrival::Nothing {
            self.last_media = now;
        }
        if arrival == Arrival::First {
            self.speaker.align(now);
        }
        self.pass_heard(now);
    }

    pub(super) fn hear_rtcp(&mut self, source: SocketAddr, packet: &[u8], now: Moment) {
        if let PhoneLeg::Rtp(leg) = &mut self.phone {
            leg.hear_rtcp(source, packet, now);
        }
    }

    /// Serves the deadlines of the RTP session.
    pub(super) fn wake_rtp(&mut self, now: Moment) {
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        let names = (self.names.call_id.as_str(), self.names.clock);
        let hearing = Hearing { listener: &mut self.listener, tape: Some(&mut self.tape) };
        leg.wake(hearing, names, now, &mut self.outputs);
        self.pass_heard(now);
    }

    /// Says goodbye on RTCP.
    pub(super) fn send_rtcp_bye(&mut self) {
        if let PhoneLeg::Rtp(leg) = &mut self.phone {
            leg.say_goodbye(self.names.call_id.as_str(), &mut self.outputs);
        }
    }

    /// Passes on what the ear took: audio as frames, keys as keys.
    fn pass_heard(&mut self, now: Moment) {
        while let PhoneLeg::Rtp(leg) = &mut self.phone
            && let Some(press) = leg.poll_digit()
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
