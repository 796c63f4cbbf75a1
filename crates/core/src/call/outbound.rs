//! A call that we place: it rings at the phone, the phone answers, and the bot joins, or is there while it rings.
//!
//! The shell dials ([`Output::DialPhone`](super::Output::DialPhone)), by which trunk is its matter; here it is decided how long
//! it may ring, what the bot hears of it, and what the call's one end is.

use crate::vocabulary::{CallEvent, CallFact, DialRefusal, FarEnd, Moment, Reason};

use super::bot_leg::BotLink;
use super::output::PlainOutput;
use super::phone_leg::PhoneLeg;
use super::state::{Dialling, State, Talking};
use super::{BotJoins, Call, PhoneMedia};

impl Call {
    /// Has the phone dialled.
    pub(super) fn dial_phone(&mut self, now: Moment) {
        let until = now + self.deadlines.phone_answer;
        self.state = State::Dialling(Dialling { until, bot_until: None, rang: false });
        self.outputs.plain(PlainOutput::DialPhone(until));
    }

    /// The phone rings; told once.
    pub(super) fn phone_rings(&mut self, now: Moment) {
        let State::Dialling(dialling) = &mut self.state else { return };
        if std::mem::replace(&mut dialling.rang, true) {
            return;
        }
        self.outputs.report(CallFact::Ringing);
        if self.phone.bot_joins() == BotJoins::WhileItRings {
            self.connect_bot(now);
        }
    }

    /// The phone lets us hear something before its answer: that it rings, or an announcement.
    pub(super) fn phone_progresses(&mut self, media: PhoneMedia, now: Moment) {
        if let State::Dialling(_) = self.state {
            self.agree_on_media(media, now);
            self.phone_rings(now);
        }
    }

    /// The phone answers: from here on it is a call like every other.
    pub(super) fn phone_answers(&mut self, media: PhoneMedia, now: Moment) {
        let State::Dialling(Dialling { bot_until, .. }) = self.state else { return };
        self.answered_at = Some(now);
        self.outputs.report(CallFact::InProgress);
        self.agree_on_media(media, now);
        self.record_from_answer(now);
        self.outputs.plain(PlainOutput::Answered);
        match bot_until {
            _ if self.bot.link == BotLink::Open => self.talk(now),
            // From here on the phone hears silence, until the bot is there.
            Some(until) => {
                self.await_bot(until);
                self.start_audio(now);
            }
            None => {
                self.await_bot(now);
                self.start_audio(now);
                self.connect_bot(now);
            }
        }
    }

    /// The bot is connected and learns of the call: it needs no answer of its own, the phone gives or gave it.
    pub(super) fn bot_joins(&mut self, now: Moment) {
        match &mut self.state {
            State::Dialling(dialling) => {
                dialling.bot_until = None;
                self.listener.start(now);
                self.tell_bot(&CallEvent::Started(Box::new(self.start_for_bot())), now);
            }
            _ => {
                self.tell_bot(&CallEvent::Started(Box::new(self.start_for_bot())), now);
                self.talk(now);
            }
        }
    }

    /// From here on both hear each other, or the phone hears what it gets instead.
    pub(super) fn talk(&mut self, now: Moment) {
        let until = self.answered_at.unwrap_or(now) + self.deadlines.max_duration;
        self.state = State::Talking(Talking { until, hand_over: None });
        self.last_media = now;
        // What a bot said while it rang is heard from here on.
        if !self.speaker.has_started() {
            self.speaker.start(now);
        }
    }

    /// The phone was not reached, or did not want the call.
    pub(super) fn phone_failed(&mut self, refusal: DialRefusal, now: Moment) {
        if let (State::Dialling(_), PhoneLeg::Rtp(leg)) = (&self.state, &mut self.phone) {
            leg.gone = true;
            self.far_end = refusal.far_end;
            self.end(refusal.reason, now);
        }
    }

    /// It rang as long as it may, or the bot that should hear it ring did not come.
    pub(super) fn dialled_long_enough(&mut self, now: Moment) {
        let State::Dialling(Dialling { until, rang, .. }) = self.state else { return };
        if now < until {
            return self.bot_failed(Reason::BotNoHandshake, now);
        }
        // Q.850 §2.2.7.1: nobody was alerted, or somebody was and did not answer.
        self.far_end = (!rang).then_some(FarEnd { q850: 18, sip_status: None });
        self.end(Reason::Unanswered, now);
    }
}
