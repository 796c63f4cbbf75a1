//! How a call ends: the first cause counts, the last words are heard, both ends are told, one record is left.

use crate::dialect::Capability;
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallFact, CallRecord, Cause, EndedStream, HangUpWhen, Moment, Reason,
};

use super::bot_leg::BotLink;
use super::output::PlainOutput;
use super::phone_leg::{PhoneLeg, Presence};
use super::state::{Ending, EndingStep, Ringing, State};
use super::{Call, Fallback, SocketEnd, fallback};

impl Call {
    /// The bot cannot be reached, or failed: the caller gets the fallback.
    pub(super) fn bot_failed(&mut self, reason: Reason, now: Moment) {
        if matches!(self.state, State::Dialling(_)) && self.bot.link == BotLink::Closed {
            // Nobody has asked for it yet.
            return;
        }
        if self.awaits_last_words() {
            return self.words_are_over(now);
        }
        self.let_bot_go(1011);
        // Whoever never took part would leave the caller in silence as long again.
        if reason != Reason::BotNoHandshake && self.reconnects(now) {
            return;
        }
        if self.is_handing_over() {
            // It has asked for the next one: only whether that comes is still open.
            return;
        }
        if matches!(
            self.state,
            State::Dialling(_)
                | State::FindingBot(_)
                | State::ConnectingBot(_)
                | State::Ringing(_)
                | State::Talking(_)
        ) {
            self.bot_failed_at.get_or_insert(now);
            self.history.bot_failed(reason, now);
        }
        match self.state {
            // Nobody is there yet who could hear an apology.
            State::Dialling(_) => self.end(reason, now),
            State::FindingBot(_) | State::ConnectingBot(_) if self.phone.is_dialled() => {
                self.talk(now);
                self.play_fallback(reason, now);
            }
            State::FindingBot(_) | State::ConnectingBot(_) | State::Ringing(_) => {
                self.fall_back_unanswered(reason, now)
            }
            State::Talking(_) => self.play_fallback(reason, now),
            // Others are being called, or talk; only if nobody answers does the caller need anything.
            State::Transferring(_) | State::Bridged(_) => {}
            // Whatever ended the call came first; before a vendor's start there is no bot.
            State::Inviting(_) | State::Ending(_) | State::Ended => {}
        }
    }

    /// The bot's socket ended.
    pub(super) fn bot_closed(&mut self, end: SocketEnd, now: Moment) {
        if self.bot.link != BotLink::Open {
            return;
        }
        if self.awaits_last_words() {
            return self.words_are_over(now);
        }
        match end {
            SocketEnd::Closed(1000 | 1005) if self.is_handing_over() || self.is_transferring() => {
                if self.bot.agent.is_none() {
                    self.bot.hung_up.get_or_insert(HangUpWhen::AfterPlayout);
                }
                self.let_bot_go(1000);
            }
            // An engine has no business to end a call: it ends its session.
            SocketEnd::Closed(1000 | 1005) if self.bot.agent.is_some() && !self.takes_leave() => {
                self.bot_failed(Reason::BotClosedWithError, now);
            }
            SocketEnd::Closed(1000 | 1005) => {
                self.let_bot_go(1000);
                self.end_after_playout(Reason::BotHungUp, now);
            }
            SocketEnd::Closed(_) => self.bot_failed(Reason::BotClosedWithError, now),
            SocketEnd::Reset => self.bot_failed(Reason::BotReset, now),
        }
    }

    /// The vendor says that the call is over.
    pub(super) fn vendor_ended(&mut self, now: Moment) {
        if let PhoneLeg::Vendor(leg) = &mut self.phone {
            leg.presence = leg.presence.max(Presence::Ended);
            self.outputs.report(CallFact::StopReceived);
        }
        match &self.state {
            State::Ending(Ending { step: EndingStep::VendorLeaving, .. }) => self.vendor_may_have_left(),
            State::Ended => {}
            State::Inviting(_) => self.end(self.why_not_begun(), now),
            State::Dialling(_) | State::FindingBot(_) | State::ConnectingBot(_) | State::Ringing(_) => {
                self.end(Reason::Canceled, now)
            }
            State::Talking(_) | State::Bridged(_) => self.end(Reason::CallerHungUp, now),
            State::Transferring(_) => self.end(self.left_while_transferring(), now),
            State::Ending(ending) => self.end(ending.cause.reason(), now),
        }
    }

    /// The vendor sent its own record: the last that it has to say.
    pub(super) fn vendor_recorded(&mut self) {
        if let PhoneLeg::Vendor(leg) = &mut self.phone {
            leg.recorded = true;
        }
        if let State::Ending(Ending { step: EndingStep::VendorLeaving, .. }) = self.state {
            self.vendor_may_have_left();
        }
    }

    /// The vendor's socket ended; a close without a stop is a hang-up too, a break is not.
    pub(super) fn vendor_closed(&mut self, end: SocketEnd, now: Moment) {
        if let PhoneLeg::Vendor(leg) = &mut self.phone {
            leg.presence = Presence::Gone;
        }
        let reset = end == SocketEnd::Reset;
        match &self.state {
            State::Inviting(_) => {
                self.end(if reset { Reason::VendorReset } else { self.why_not_begun() }, now)
            }
            State::Dialling(_) | State::FindingBot(_) | State::ConnectingBot(_) | State::Ringing(_) => {
                self.end(if reset { Reason::VendorReset } else { Reason::Canceled }, now);
            }
            State::Talking(_) | State::Bridged(_) => {
                self.end(if reset { Reason::VendorReset } else { Reason::CallerHungUp }, now)
            }
            State::Transferring(_) => {
                let left = self.left_while_transferring();
                self.end(if reset { Reason::VendorReset } else { left }, now);
            }
            State::Ending(Ending { step: EndingStep::PlayingOut, cause, .. }) => {
                self.end(cause.reason(), now)
            }
            State::Ending(_) => self.vendor_may_have_left(),
            State::Ended => {}
        }
    }

    /// The SIP phone is gone.
    pub(super) fn phone_gone(&mut self, reason: Reason, now: Moment) {
        let PhoneLeg::Rtp(leg) = &mut self.phone else { return };
        leg.gone = true;
        if reason == Reason::Canceled && !leg.origin.is_dialled() {
            // The CANCEL was faster than the answer that we had asked for.
            self.answered_at = None;
        }
        let reason = match &self.state {
            State::Ending(ending) => ending.cause.reason(),
            _ => reason,
        };
        self.end(reason, now);
    }

    /// Ends the call when the caller has heard what waits.
    pub(super) fn end_after_playout(&mut self, reason: Reason, now: Moment) {
        match self.state {
            State::Talking(_) | State::Ringing(Ringing { early: true, .. }) => {
                self.speaker.end_of_utterance(now);
                self.play_out(reason, now);
            }
            State::Inviting(_)
            | State::Dialling(_)
            | State::FindingBot(_)
            | State::ConnectingBot(_)
            | State::Ringing(_)
            | State::Transferring(_)
            | State::Bridged(_) => self.end(reason, now),
            State::Ending(_) | State::Ended => {}
        }
    }

    /// Looks whether all that waited was heard.
    pub(super) fn watch_playout(&mut self, now: Moment) {
        if let State::Ending(Ending { step: EndingStep::PlayingOut, cause, .. }) = &self.state {
            let reason = cause.reason();
            let played = self.speaker.drained_since().is_some_and(|since| now - since >= PLAYOUT_LINGER);
            if played && !self.vendor_is_dialling() {
                self.end(reason, now);
            }
        }
    }

    /// Whether keys for the caller still wait in the vendor's dialect, which sends them one by one.
    pub(super) fn vendor_is_dialling(&self) -> bool {
        matches!(&self.phone, PhoneLeg::Vendor(leg) if leg.side.poll_timeout().is_some())
    }

    /// Waiting for the last words has lasted long enough.
    pub(super) fn waited_enough(&mut self, now: Moment) {
        match &self.state {
            State::Ending(Ending { step: EndingStep::PlayingOut, cause, .. }) => {
                self.end(cause.reason(), now)
            }
            State::Ending(Ending { until, .. }) => {
                let is_over = *until <= now;
                self.words_are_over(now);
                if is_over {
                    self.finish();
                }
            }
            _ => {}
        }
    }

    /// Somebody beside both ends the call: nothing is waited for.
    pub(super) fn hang_up(&mut self, reason: Reason, now: Moment) {
        self.words_are_over(now);
        self.end(reason, now);
    }

    /// Ends the call at once: the phone and the bot are told, the record is made. A bot that may still write down the
    /// caller's last words is told when it has.
    pub(super) fn end(&mut self, reason: Reason, now: Moment) {
        if matches!(self.state, State::Ended | State::Ending(Ending { step: EndingStep::VendorLeaving, .. }))
        {
            return;
        }
        self.give_up_next_bot();
        if let Some(edge) = self.speaker.take_voice_edge_at(now) {
            // Nothing leaves for a vendor while the bot is quiet: only here is it found that it has been.
            self.heard_edge(edge);
        }
        let cause = Cause::new(reason);
        self.give_up_transfer(cause, now);
        // What was played to its end may still wait at the vendor: it is not to be dropped there.
        let when = match self.state {
            State::Ending(_) => HangUpWhen::AfterPlayout,
            _ => HangUpWhen::Now,
        };
        self.ended_at = now;
        let until = now + self.deadlines.vendor_end;
        let words_until = self.ask_last_words(reason, now);
        self.state = State::Ending(Ending { cause, step: EndingStep::VendorLeaving, until, words_until });
        if words_until.is_none() {
            self.tell_bot_the_end(cause, now);
        }
        self.end_dialogue(now);
        self.end_tape(now);
        self.tell_phone_the_end(cause, when, now);
        self.vendor_may_have_left();
    }

    /// Closes the vendor's socket and ends the waiting for it.
    pub(super) fn close_vendor(&mut self, code: u16) {
        if let PhoneLeg::Vendor(leg) = &mut self.phone
            && leg.presence < Presence::Gone
        {
            leg.presence = Presence::Gone;
            self.outputs.plain(PlainOutput::ClosePhone(code));
        }
    }

    pub(super) fn tell_bot_the_end(&mut self, cause: Cause, now: Moment) {
        self.tell_bot(&CallEvent::Ended(EndedStream::CallEnded(cause)), now);
        let record = self.record(cause);
        self.tell_bot(&CallEvent::Record(record), now);
        self.let_bot_go(1000);
    }

    fn tell_phone_the_end(&mut self, cause: Cause, when: HangUpWhen, now: Moment) {
        match &self.phone {
            PhoneLeg::Rtp(leg) if leg.gone => {}
            PhoneLeg::Rtp(_) if self.answered_at.is_some() => {
                self.send_rtcp_bye();
                self.outputs.plain(PlainOutput::HangUpPhone(cause));
            }
            PhoneLeg::Rtp(leg) if leg.origin.is_dialled() => {
                self.outputs.plain(PlainOutput::CancelPhone(cause))
            }
            PhoneLeg::Rtp(_) => self.outputs.plain(PlainOutput::Reject(cause.row().sip_status, cause)),
            PhoneLeg::Vendor(leg) if leg.presence > Presence::Here => {}
            PhoneLeg::Vendor(_) => self.tell_vendor(&CallCommand::HangUp(when), now),
        }
    }

    /// Ends the call if the vendor has nothing left to say, and nobody writes down the caller's last words.
    pub(super) fn vendor_may_have_left(&mut self) {
        if self.awaits_last_words() {
            return;
        }
        let left = match &self.phone {
            PhoneLeg::Rtp(_) => true,
            PhoneLeg::Vendor(leg) => {
                let record_due = leg.side.capabilities().contains(&Capability::Record) && !leg.recorded;
                leg.presence == Presence::Gone || (leg.presence == Presence::Ended && !record_due)
            }
        };
        if left {
            self.finish();
        }
    }

    /// Writes the record; nothing follows.
    fn finish(&mut self) {
        let State::Ending(Ending { cause, .. }) = self.state else { return };
        self.close_vendor(1000);
        let record = self.record(cause);
        self.report_history();
        self.state = State::Ended;
        self.outputs.ended(record);
    }

    pub(super) fn fall_back_unanswered(&mut self, reason: Reason, now: Moment) {
        if let Some(flow) = self.take_fallback_flow() {
            return self.await_fallback_flow(flow, now);
        }
        if let Some(to) = self.take_fallback_number() {
            return self.transfer_by_fallback(to, reason, now);
        }
        let is_sip = matches!(self.phone, PhoneLeg::Rtp(_));
        match self.fallback {
            Fallback::Sorry | Fallback::Flow(_) | Fallback::Transfer(_) => {
                self.answer(now);
                self.play_fallback(reason, now);
            }
            Fallback::Busy if is_sip => self.reject(486, reason, now),
            Fallback::Unavailable if is_sip => self.reject(503, reason, now),
            Fallback::Busy | Fallback::Unavailable | Fallback::HangUp => self.end(reason, now),
        }
    }

    fn is_transferring(&self) -> bool {
        matches!(self.state, State::Transferring(_))
    }

    /// Why a call ends whose caller left while others were being called.
    fn left_while_transferring(&self) -> Reason {
        if self.answered_at.is_some() { Reason::CallerHungUp } else { Reason::Canceled }
    }

    fn reject(&mut self, status: u16, reason: Reason, now: Moment) {
        let cause = Cause::new(reason);
        self.outputs.plain(PlainOutput::Reject(status, cause));
        if let PhoneLeg::Rtp(leg) = &mut self.phone {
            leg.gone = true;
        }
        self.end(reason, now);
    }

    /// Lets the caller hear the fallback instead of what the bot still had to say.
    pub(super) fn play_fallback(&mut self, reason: Reason, now: Moment) {
        self.cut_items(now);
        self.speaker.clear();
        self.forget_marks();
        if let Some(flow) = self.take_fallback_flow() {
            return self.hand_to_fallback_flow(flow, now);
        }
        if let Some(to) = self.take_fallback_number() {
            return self.transfer_by_fallback(to, reason, now);
        }
        match self.fallback {
            Fallback::Sorry | Fallback::Flow(_) | Fallback::Transfer(_) => {
                self.speaker.push_clip(&self.sorry_clip, now)
            }
            Fallback::Busy => self.speaker.push_clip(&fallback::busy_tone(), now),
            Fallback::Unavailable => self.speaker.push_clip(&fallback::congestion_tone(), now),
            Fallback::HangUp => return self.end(reason, now),
        }
        self.play_out(reason, now);
    }

    /// Counts the marks that are over and that nobody is told.
    pub(super) fn forget_marks(&mut self) {
        while self.speaker.poll_mark().is_some() {
            self.counters.marks_cleared += 1;
        }
    }

    fn play_out(&mut self, reason: Reason, now: Moment) {
        self.give_up_next_bot();
        let until = now + self.speaker.remaining() + PLAYOUT_SLACK;
        let (cause, step) = (Cause::new(reason), EndingStep::PlayingOut);
        self.state = State::Ending(Ending { cause, step, until, words_until: None });
        // What was played long ago needs no waiting.
        self.watch_playout(now);
    }

    /// Ends the connection to the bot, or the attempt at one, or the search.
    pub(super) fn let_bot_go(&mut self, code: u16) {
        if matches!(self.bot.link, BotLink::Dialling | BotLink::Open)
            && self.bot.place != super::BotPlace::BuiltIn
        {
            self.outputs.plain(PlainOutput::CloseBot(code));
        }
        self.bot.link = BotLink::Gone;
    }

    fn record(&self, cause: Cause) -> Box<CallRecord> {
        let names = &self.names;
        let (phone_dialect, phone_leg_id): (&str, Box<str>) = match &self.phone {
            PhoneLeg::Rtp(_) => ("sip", names.phone_leg_id.clone()),
            PhoneLeg::Vendor(leg) => (leg.dialect, leg.id.clone()),
        };
        Box::new(CallRecord {
            call_id: names.call_id.clone(),
            stream_id: names.stream_id.clone(),
            phone_leg_id,
            from: names.from.clone(),
            to: names.to.clone(),
            direction: names.direction,
            bot: self.bot.name.clone(),
            earlier_bots: self.earlier_bots.clone(),
            phone_dialect: phone_dialect.into(),
            bot_dialect: self.bot.dialect.into(),
            clock: names.clock,
            started_at: self.started_at,
            answered_at: self.answered_at,
            bot_failed_at: self.bot_failed_at,
            ended_at: self.ended_at,
            cause,
            hung_up_by: cause.by(),
            far_end: self.far_end,
            counters: self.counters(),
            quality: self.quality(),
            transfers: self.transfers.clone(),
        })
    }
}

/// The format of the fallback's clips and tones.
pub(super) const CLIP_FORMAT: MediaFormat = MediaFormat::linear16(8_000);

/// From the last sound to the hang-up: what waits in the phone's jitter buffer is heard as well.
pub const PLAYOUT_LINGER: std::time::Duration = std::time::Duration::from_millis(160);

/// Beyond the audio that waits, the longest that playing it out may take.
const PLAYOUT_SLACK: std::time::Duration = std::time::Duration::from_secs(2);
