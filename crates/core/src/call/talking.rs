//! While both talk: what the bot asks of the phone and what the phone tells the bot.

use crate::dialect::{Capability, Heard, Malformed, Out, Wire};
use crate::vocabulary::{
    CallCommand, CallEvent, CallFact, CommandRefusal, DialDigits, DialOrder, DigitPress, Moment, Reason,
    Transfer, TransferTo,
};

use super::bot_leg::BotLink;
use super::output::{Leg, Outputs, PlainOutput};
use super::phone_leg::{PhoneLeg, Presence};
use super::state::State;
use super::{BotPlace, BotWish, Call, Destination, SocketEnd};

/// The ends of which a message was not understood.
#[derive(Default)]
pub(super) struct Misread {
    vendor: bool,
    bot: bool,
}

impl Call {
    /// Tells the bot something; what a built-in bot says to it is carried out at once.
    pub(super) fn tell_bot(&mut self, event: &CallEvent, now: Moment) {
        if self.bot.link != BotLink::Open {
            return;
        }
        let mut out = std::mem::take(&mut self.bot.out);
        self.bot.side.encode(event, now, &mut out);
        self.carry_out(out, now);
    }

    /// Gives one frame of the caller's audio to the bot.
    pub(super) fn give_bot(&mut self, frame: &[u8], now: Moment) {
        if self.bot.link != BotLink::Open {
            return;
        }
        let mut out = std::mem::take(&mut self.bot.out);
        self.bot.side.encode_audio(frame, now, &mut out);
        self.carry_out(out, now);
    }

    /// Reads a message of the bot.
    pub(super) fn hear_bot(&mut self, wire: Wire<'_>, now: Moment) {
        if self.bot.link != BotLink::Open || matches!(self.state, State::Ended) {
            return;
        }
        self.counters.bot_messages_in += 1;
        let mut out = std::mem::take(&mut self.bot.out);
        let read = self.bot.side.decode(wire, now, &mut out);
        let is_audio = read.is_ok() && matches!(out.heard(), [Heard::Audio(_), ..]);
        self.carry_out(out, now);
        self.count_malformed(Leg::Bot, read);
        if !is_audio && self.bot.flood.control(now) {
            self.bot_failed(Reason::BotFlooded, now);
        }
        self.look_for_last_words(now);
    }

    /// Reads a message of the vendor.
    pub(super) fn hear_vendor(&mut self, wire: Wire<'_>, now: Moment) {
        let PhoneLeg::Vendor(leg) = &mut self.phone else { return };
        self.counters.vendor_messages_in += 1;
        let mut out = std::mem::take(&mut leg.out);
        let read = leg.side.decode(wire, now, &mut out);
        self.take_from_vendor(out, now);
        self.count_malformed(Leg::Phone, read);
    }

    /// Tells the vendor something.
    pub(super) fn tell_vendor(&mut self, command: &CallCommand, now: Moment) {
        let PhoneLeg::Vendor(leg) = &mut self.phone else { return };
        if leg.presence == Presence::Gone {
            return;
        }
        let mut out = std::mem::take(&mut leg.out);
        leg.side.encode(command, now, &mut out);
        self.take_from_vendor(out, now);
    }

    /// Sends what the bot's dialect wrote and does what it heard; gives the buffers back.
    pub(super) fn carry_out(&mut self, mut out: Out<CallCommand>, now: Moment) {
        if self.bot.place == BotPlace::Remote {
            self.counters.bot_messages_out += send(&out, Leg::Bot, &mut self.outputs);
        }
        let (close, is_unready) = (out.close_code(), out.is_unready());
        let heard = out.take_heard();
        for item in &heard {
            match item {
                Heard::Audio(span) => self.play(out.audio(span), now),
                Heard::Item(command) => self.obey(command, now),
            }
        }
        out.return_heard(heard);
        out.clear();
        self.bot.out = out;
        if is_unready && self.bot.link == BotLink::Open {
            self.bot_failed(Reason::BotNoHandshake, now);
        } else if let Some(code) = close {
            // A dialect that gives its bot up does not wait for the answer to its close.
            self.bot_closed(SocketEnd::Closed(code), now);
        }
    }

    /// Sends what the vendor's dialect wrote and passes on what it heard; gives the buffers back.
    pub(super) fn take_from_vendor(&mut self, mut out: Out<CallEvent>, now: Moment) {
        self.counters.vendor_messages_out += send(&out, Leg::Phone, &mut self.outputs);
        if let Some(code) = out.close_code() {
            self.close_vendor(code);
        }
        let heard = out.take_heard();
        for item in &heard {
            match item {
                Heard::Audio(span) => self.listen(out.audio(span), now),
                Heard::Item(event) => self.pass_on(event, now),
            }
        }
        out.return_heard(heard);
        out.clear();
        if let PhoneLeg::Vendor(leg) = &mut self.phone {
            leg.out = out;
        }
    }

    /// Takes audio of the bot for playout, until it has said its last word.
    fn play(&mut self, audio: &[u8], now: Moment) {
        let is_over = matches!(self.state, State::Ending(_) | State::Ended) || self.bot.hung_up.is_some();
        if is_over || self.bot_waits() {
            return;
        }
        self.bot_spoke(now);
        self.history.sent(self.bot.audio.format.duration_of(audio.len()), now);
        self.goodbye_goes_on();
        self.stop_thinking(now);
        let refused_ms = self.speaker.push(audio, now);
        if refused_ms > 0 && self.bot.flood.refused(refused_ms) {
            self.bot_failed(Reason::BotFlooded, now);
        }
        self.pace_bot();
    }

    /// Gives audio of the caller, in the phone's format, to the bot.
    pub(super) fn listen(&mut self, audio: &[u8], now: Moment) {
        self.last_media = now;
        if let PhoneLeg::Vendor(leg) = &mut self.phone {
            leg.arrivals.came(self.speaker.leg().duration_of(audio.len()), now);
        }
        if self.is_audible() {
            if !self.listener.admits(audio.len(), now) {
                return;
            }
            self.tape.caller(self.speaker.leg(), audio, now);
            self.listener.hear(audio, now);
            self.give_frames(now);
        }
    }

    /// Gives the bot every whole frame that waits.
    pub(super) fn give_frames(&mut self, now: Moment) {
        if let Some(edge) = self.listener.take_voice_edge() {
            // A bot that ceased before the caller began did not speak all along.
            if let Some(bot) = self.speaker.take_voice_edge_at(now) {
                self.heard_edge(bot);
            }
            self.caller_edge(edge);
            self.tell_turn(edge, now);
        }
        while let Some(press) = self.listener.poll_digit() {
            self.press(press, now);
        }
        let bot_waits = self.bot_waits();
        while let Some(mut frame) = self.listener.take_frame() {
            if bot_waits {
                // Whatever the caller says while others ring is not for it.
                self.bot.audio.format.fill_silence(&mut frame);
            }
            if !self.give_agent(&frame, now) {
                self.give_bot(&frame, now);
            }
            self.listener.return_frame(frame);
        }
    }

    /// Does what the bot asks.
    fn obey(&mut self, command: &CallCommand, now: Moment) {
        // Whoever has hung up has nothing more to say; a mark is answered all the same.
        let is_void = self.bot.hung_up.is_some() && !matches!(command, CallCommand::Mark { .. });
        if is_void || !self.is_obeyed(command) {
            return;
        }
        match command {
            CallCommand::Answer => self.bot_answers(now),
            CallCommand::Digits(_) if self.leaves_with_transfer() => self.refuse_pending("dtmf", now),
            CallCommand::Clear if self.leaves_with_transfer() => self.refuse_pending("clear", now),
            CallCommand::Digits(digits) => self.dial(digits, now),
            CallCommand::Mark { name } => {
                if let Err(refusal) = self.speaker.mark(name) {
                    self.refuse(&refusal, now);
                }
                self.report_marks(now);
            }
            CallCommand::Clear => self.clear(now),
            CallCommand::Transfer(transfer) => self.transfer(transfer, now),
            CallCommand::HangUp(when) => self.bot_hangs_up(*when, now),
            CallCommand::Flow(command) => self.obey_flow(command, now),
            CallCommand::Invalid(refusal) => self.refuse(refusal, now),
            CallCommand::Speech(command) => self.obey_speech(command, now),
            CallCommand::Unknown(_) => self.counters.unknown_messages += 1,
        }
    }

    /// Whether what the caller hears and says is between it and the bot.
    pub(super) fn is_with_bot(&self) -> bool {
        matches!(self.state, State::Talking(_) | State::Ringing(_))
    }

    /// Gives the call to another bot, to a flow, or to people.
    pub(super) fn transfer(&mut self, Transfer { to, command }: &Transfer, now: Moment) {
        match to {
            TransferTo::Phones(numbers, order) => {
                let to = numbers.iter().cloned().map(Destination::Phone).collect();
                self.transfer_to(to, *order, command, now);
            }
            TransferTo::Extension(name) => {
                let to = vec![Destination::Extension(name.clone())];
                self.transfer_to(to, DialOrder::AllAtOnce, command, now);
            }
            TransferTo::Bot(address) => self.hand_over(BotWish::At(address.clone()), command, now),
            TransferTo::NamedBot(name) => self.hand_over(BotWish::Named(name.clone()), command, now),
            TransferTo::Flow(name) => self.hand_over(BotWish::Flow(name.clone()), command, now),
        }
    }

    /// Tells whoever asked, the bot or the API, that a command was not carried out.
    pub(super) fn refuse(&mut self, refusal: &CommandRefusal, now: Moment) {
        self.counters.refused_commands += 1;
        if self.is_ordered {
            self.refused_order = Some(refusal.clone());
            return;
        }
        if !self.tool_refused(refusal, now) {
            self.tell_bot(&CallEvent::Refused(refusal.clone()), now);
        }
    }

    /// Drops what waits for the caller and says so: marks first, then the clear itself.
    pub(super) fn clear(&mut self, now: Moment) {
        self.counters.clears += 1;
        self.history.cleared(self.speaker.depth(), now);
        let cut = self.cut_items(now);
        self.speaker.clear();
        self.repeat_consent(now);
        if self.phone_can(Capability::Clear) {
            self.tell_vendor(&CallCommand::Clear, now);
        }
        self.report_marks(now);
        self.tell_cut(cut, now);
        self.tell_bot(&CallEvent::Cleared, now);
        self.pace_bot();
    }

    /// Tells the bot which marks were reached.
    pub(super) fn report_marks(&mut self, now: Moment) {
        // A bot of this process may answer a mark with the next one, in the midst of this; the bound keeps one that
        // never stops from holding the call.
        if std::mem::replace(&mut self.reports_marks, true) {
            return;
        }
        for _ in 0..self.speaker.marks_waiting().max(MARKS_PER_STEP_MAX) {
            let Some(event) = self.speaker.poll_mark() else { break };
            if let CallEvent::Mark { name, outcome } = &event {
                self.history.mark(name, *outcome, now);
                match outcome {
                    crate::vocabulary::MarkOutcome::Played => self.counters.marks_played += 1,
                    crate::vocabulary::MarkOutcome::Cleared => self.counters.marks_cleared += 1,
                }
            }
            self.tell_bot(&event, now);
        }
        self.reports_marks = false;
    }

    /// Sends digits to the caller: by the vendor's message where it has one, else as events or tones.
    pub(super) fn dial(&mut self, digits: &DialDigits, now: Moment) {
        self.counters.digits_out += digits.steps().iter().flatten().count() as u64;
        self.history.dialled(digits, now);
        if self.phone_can(Capability::DigitsToPhone) {
            self.tell_vendor(&CallCommand::Digits(digits.clone()), now);
        } else if let Err(refusal) = self.speaker.dial(digits, now) {
            self.refuse(&refusal, now);
        }
    }

    /// The caller pressed a key: the bot's message where it has one, else a tone in the caller's audio.
    pub(super) fn press(&mut self, press: DigitPress, now: Moment) {
        if !self.is_audible() {
            return;
        }
        self.counters.digits_in += 1;
        self.history.pressed(press, now);
        if self.give_agent_key(press, now) {
            return;
        }
        if self.bot.can(Capability::DigitsToBot) {
            self.tell_bot(&CallEvent::Digit(press), now);
        } else {
            self.listener.sound(press);
        }
    }

    /// Passes on what a vendor tells.
    fn pass_on(&mut self, event: &CallEvent, now: Moment) {
        match event {
            CallEvent::Started(start) => self.vendor_started(start, now),
            CallEvent::Digit(press) => self.press(*press, now),
            // Marks are completed by our own playout; the vendor's echo of one says nothing new.
            CallEvent::Mark { .. } | CallEvent::Refused(_) => {}
            CallEvent::Cleared => {
                self.history.cleared(self.speaker.depth(), now);
                let cut = self.cut_items(now);
                self.speaker.clear();
                self.repeat_consent(now);
                self.counters.clears += 1;
                self.report_marks(now);
                self.tell_cut(cut, now);
                self.tell_bot(&CallEvent::Cleared, now);
            }
            CallEvent::Ended(_) => self.vendor_ended(now),
            CallEvent::Record(_) => self.vendor_recorded(),
            CallEvent::Flow(_) | CallEvent::Speech(_) => {}
            CallEvent::Unknown(_) => self.counters.unknown_messages += 1,
        }
    }

    /// Keeps the audio of a bot that cannot clear short: it is read no faster than it is played.
    pub(super) fn pace_bot(&mut self) {
        if self.bot.place == BotPlace::BuiltIn || self.bot.can(Capability::Clear) {
            return;
        }
        let depth = self.speaker.depth();
        if !self.bot.paused && depth > PAUSE_BOT_DEPTH_MAX {
            self.bot.paused = true;
            self.outputs.plain(PlainOutput::PauseBot);
        } else if self.bot.paused && depth <= PAUSE_BOT_DEPTH_MAX / 2 {
            self.bot.paused = false;
            self.outputs.plain(PlainOutput::ResumeBot);
        }
    }

    fn count_malformed(&mut self, leg: Leg, read: Result<(), Malformed>) {
        let Err(why) = read else { return };
        self.counters.malformed_messages += 1;
        let (is_told, end) = match leg {
            Leg::Phone => (&mut self.misread.vendor, "vendor"),
            Leg::Bot => (&mut self.misread.bot, "bot"),
        };
        // One line of log for each end: what is wrong is wrong in all of them, as a rule.
        if !std::mem::replace(is_told, true) {
            self.outputs.report(CallFact::Misread(end, why.to_string().into()));
        }
    }

    /// Why a vendor that never began a call is let go.
    pub(super) fn why_not_begun(&self) -> Reason {
        if self.misread.vendor { Reason::VendorBadStart } else { Reason::VendorSilent }
    }

    /// Whether keys of the caller are to be told.
    pub(super) fn wants_digits(&self) -> bool {
        !matches!(self.state, State::Bridged(_)) && self.bot.can(Capability::DigitsToBot)
    }

    pub(super) fn phone_can(&self, capability: Capability) -> bool {
        match &self.phone {
            PhoneLeg::Rtp(_) => false,
            PhoneLeg::Vendor(leg) => leg.side.capabilities().contains(&capability),
        }
    }
}

/// Queues the messages of `out` for a leg; says how many.
fn send<T>(out: &Out<T>, to: Leg, outputs: &mut Outputs) -> u64 {
    let mut sent = 0;
    for (class, wire) in out.messages() {
        outputs.wire(to, class, wire);
        sent += 1;
    }
    sent
}

/// Audio that waits for the caller when the bot's dialect cannot clear it.
pub const PAUSE_BOT_DEPTH_MAX: std::time::Duration = std::time::Duration::from_millis(400);

/// Marks reported at one step beyond those that waited.
pub const MARKS_PER_STEP_MAX: usize = 256;
