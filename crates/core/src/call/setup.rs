//! From the first sign of a call to the answer: the vendor's start, the bot's connection, the answer gate.

use crate::dialect::Capability;
use crate::vocabulary::{CallCommand, CallEvent, CallFact, CallStart, Moment, Reason};

use super::bot_leg::{BotLeg, BotLink};
use super::output::PlainOutput;
use super::phone_leg::{Origin, PhoneLeg};
use super::state::{ConnectingBot, FindingBot, Ringing, State, Talking};
use super::{BotPlace, Call, FoundBot};

impl Call {
    /// Rings at the phone and reaches for the bot.
    pub(super) fn reach_bot(&mut self, now: Moment) {
        if let PhoneLeg::Rtp(_) = self.phone {
            self.outputs.plain(PlainOutput::Ring);
            self.outputs.report(CallFact::Ringing);
        }
        self.connect_bot(now);
    }

    /// Somebody said which bot takes the call.
    pub(super) fn bot_found(&mut self, found: FoundBot, now: Moment) {
        // A caller who was faster needs none.
        if self.bot.place != BotPlace::Unknown || !self.awaits_bot() || self.awaits_fallback_flow() {
            return;
        }
        let FoundBot { bot, custom } = found;
        self.bot = BotLeg::new(bot);
        self.speaker.set_bot(self.bot.audio.format);
        self.listener.set_bot(self.bot.audio);
        self.fit_line_to(self.bot.audio.format);
        self.choose_digits();
        self.names.custom.retain(|(name, _)| custom.iter().all(|(newer, _)| newer != name));
        self.names.custom.extend(custom.into_iter().filter(fits).take(CUSTOM_MAX));
        self.connect_bot(now);
    }

    pub(super) fn connect_bot(&mut self, now: Moment) {
        let deadlines = self.deadlines;
        self.bot.link = BotLink::Dialling;
        let (until, output) = match self.bot.place {
            BotPlace::BuiltIn => (now + deadlines.bot_connect, None),
            BotPlace::Remote => (now + deadlines.bot_connect, Some(PlainOutput::ConnectBot)),
            BotPlace::Unknown => (now + deadlines.find_bot, Some(PlainOutput::FindBot)),
        };
        match &mut self.state {
            State::Dialling(dialling) => dialling.bot_until = Some(until),
            _ => self.await_bot(until),
        }
        match output {
            Some(output) => self.outputs.plain(output),
            None => self.bot_connected(now),
        }
    }

    /// From here on the call waits for its bot alone.
    pub(super) fn await_bot(&mut self, until: Moment) {
        self.state = match self.bot.place {
            BotPlace::Unknown => State::FindingBot(FindingBot { until, for_fallback: false }),
            BotPlace::BuiltIn | BotPlace::Remote => State::ConnectingBot(ConnectingBot { until }),
        };
    }

    /// Whether the bot that was asked for, or dialled, is waited for.
    fn awaits_bot(&self) -> bool {
        match self.state {
            State::FindingBot(_) | State::ConnectingBot(_) => true,
            State::Dialling(_) => self.bot.link == BotLink::Dialling,
            State::Inviting(_)
            | State::Ringing(_)
            | State::Talking(_)
            | State::Transferring(_)
            | State::Bridged(_)
            | State::Ending(_)
            | State::Ended => false,
        }
    }

    /// The vendor said whose call it is.
    pub(super) fn vendor_started(&mut self, start: &CallStart, now: Moment) {
        // A second start changes nothing: the socket is the call.
        if !matches!(self.state, State::Inviting(_)) {
            self.counters.malformed_messages += 1;
            return;
        }
        if let PhoneLeg::Vendor(leg) = &mut self.phone {
            leg.id = start.call_id.as_str().into();
            let format = leg.side.format();
            self.speaker.set_leg(format, leg.frame);
            self.listener.set_phone(format);
        }
        self.names.from = start.from.clone();
        self.names.to = start.to.clone();
        self.names.custom.extend(start.custom.iter().filter(|pair| fits(pair)).take(CUSTOM_MAX).cloned());
        self.reach_bot(now);
    }

    /// Messages can be exchanged with the bot: it learns of the call.
    pub(super) fn bot_connected(&mut self, now: Moment) {
        if self.bot.place == BotPlace::Unknown || !self.awaits_bot() {
            // The caller was faster; the shell closes what it opened. A bot that talks already is no news.
            if self.bot.link == BotLink::Gone {
                self.outputs.plain(PlainOutput::CloseBot(1000));
            }
            return;
        }
        self.bot.link = BotLink::Open;
        self.history.bot_connected(now);
        self.session_begins(now);
        if self.phone.is_dialled() {
            return self.bot_joins(now);
        }
        let gated = self.bot.can(Capability::AnswerGate);
        if gated {
            // A phone that still owes its answer to our offer has nowhere to be spoken to.
            let early = matches!(&self.phone, PhoneLeg::Rtp(leg) if leg.origin == (Origin::CalledUs { early_media: true }) && leg.has_agreed());
            self.state = State::Ringing(Ringing { until: now + self.deadlines.ring, early });
            if early {
                self.outputs.plain(PlainOutput::Progress);
                self.start_audio(now);
            }
        }
        self.tell_bot(&CallEvent::Started(Box::new(self.start_for_bot())), now);
        if !gated {
            self.answer(now);
        }
    }

    /// The bot answers.
    pub(super) fn bot_answers(&mut self, now: Moment) {
        match &self.state {
            State::Ringing(_) => self.answer(now),
            State::Transferring(_) if self.answered_at.is_none() => self.answer(now),
            // Repeated answers, and those of bots that are not asked, change nothing.
            State::Transferring(_)
            | State::Bridged(_)
            | State::Inviting(_)
            | State::Dialling(_)
            | State::FindingBot(_)
            | State::ConnectingBot(_)
            | State::Talking(_)
            | State::Ending(_)
            | State::Ended => {}
        }
    }

    /// Answers the phone and lets audio flow.
    pub(super) fn answer(&mut self, now: Moment) {
        match &self.phone {
            PhoneLeg::Rtp(_) => self.outputs.plain(PlainOutput::Answer),
            PhoneLeg::Vendor(_) => self.tell_vendor(&CallCommand::Answer, now),
        }
        let was_audible = self.is_audible();
        let talking = Talking { until: now + self.deadlines.max_duration, hand_over: None };
        match &mut self.state {
            State::Transferring(transferring) => transferring.answered(talking),
            state => *state = State::Talking(talking),
        }
        self.answered(was_audible, now);
    }

    /// The phone was answered; whether it was heard before says `was_audible`.
    pub(super) fn answered(&mut self, was_audible: bool, now: Moment) {
        self.answered_at = Some(now);
        if was_audible {
            self.last_media = now;
        } else {
            self.start_audio(now);
        }
        self.record_from_answer(now);
        self.outputs.report(CallFact::InProgress);
        self.outputs.plain(PlainOutput::Answered);
    }

    pub(super) fn start_audio(&mut self, now: Moment) {
        self.last_media = now;
        // Until the phone has answered our offer there is nowhere to speak to.
        if !matches!(&self.phone, PhoneLeg::Rtp(leg) if !leg.has_agreed()) {
            self.speaker.start(now);
        }
        self.listener.start(now);
        self.tape.begin_curve(now);
        self.history.sound_begins(now);
    }

    /// What is waited for did not happen in time.
    pub(super) fn setup_timed_out(&mut self, now: Moment) {
        match self.state {
            State::Inviting(_) => self.end(self.why_not_begun(), now),
            State::FindingBot(FindingBot { for_fallback: true, .. }) => {
                self.bot_failed(Reason::Internal, now)
            }
            State::Dialling(_) => self.dialled_long_enough(now),
            State::FindingBot(_) => self.bot_failed(Reason::ConfigApiTimeout, now),
            State::ConnectingBot(_) => self.bot_failed(Reason::BotNoHandshake, now),
            State::Ringing(_) => self.bot_failed(Reason::BotNoAnswer, now),
            State::Talking(Talking { until, .. }) if until <= now => self.end(Reason::MaxDuration, now),
            State::Talking(_) => self.next_bot_timed_out(now),
            State::Transferring(_) | State::Bridged(_) => self.transfer_timed_out(now),
            State::Ending(_) => self.waited_enough(now),
            State::Ended => {}
        }
    }

    pub(super) fn start_for_bot(&self) -> CallStart {
        let names = &self.names;
        CallStart {
            call_id: names.call_id.clone(),
            stream_id: names.stream_id.clone(),
            other_leg_id: format!("{}.phone", names.call_id),
            account: names.account.to_string(),
            from: names.from.clone(),
            to: names.to.clone(),
            country: names.country.as_deref().map(str::to_owned),
            direction: names.direction,
            format: self.bot.audio.format,
            custom: names.custom.clone(),
            raw: None,
            clock: names.clock,
        }
    }
}

/// Whether a free name and its value are of a size that can go along for a whole call.
pub(super) fn fits((name, value): &(String, String)) -> bool {
    name.len() <= CUSTOM_BYTES_MAX && value.len() <= CUSTOM_BYTES_MAX
}

/// Free names of a vendor's start, of a SIP call, and those that come with a bot, that go along.
pub const CUSTOM_MAX: usize = 64;

/// Bytes of a free name, and of its value; longer ones stay behind.
pub const CUSTOM_BYTES_MAX: usize = 1_024;
