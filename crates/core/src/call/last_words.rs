//! A caller who hangs up in the midst of a word, or before it was written down, has it in the transcript all the same:
//! the engine stays for a moment. The phone waits for nothing, and the call was as long as it was.

use std::time::Duration;

use crate::vocabulary::{CallCommand, Moment, Reason, Role, SpeechCommand, SpeechEdge};

use super::Call;
use super::bot_leg::BotLink;
use super::state::{Ending, State};

impl Call {
    /// The call is about to end: where the caller has left and words of it may still come, asks for them and says until
    /// when they are waited for.
    pub(super) fn ask_last_words(&mut self, reason: Reason, now: Moment) -> Option<Moment> {
        let has_left = matches!(reason, Reason::CallerHungUp | Reason::VendorReset);
        let is_talking = matches!(self.state, State::Talking(_)) && self.bot.link == BotLink::Open;
        if !has_left || !is_talking || self.bot.agent.is_none() {
            return None;
        }
        let is_speaking = self.dialogue.as_mut()?.caller_left(now);
        if is_speaking {
            self.bot_hears_caller(&SpeechEdge::Stopped, now);
        }
        if !self.dialogue.as_ref()?.conversation.awaits_callers_words() {
            return None;
        }
        let mut out = std::mem::take(&mut self.bot.out);
        let may_come = self.bot.side.ask_last_words(is_speaking, &mut out);
        self.carry_out(out, now);
        may_come.then(|| now + WORDS_PATIENCE)
    }

    /// Whether the engine may still write down what the caller said.
    pub(super) fn awaits_last_words(&self) -> bool {
        self.state.awaits_last_words()
    }

    /// Whether the bot has a say in that: of an engine that was left for its transcript nothing else counts.
    pub(super) fn is_obeyed(&self, command: &CallCommand) -> bool {
        match command {
            CallCommand::Speech(SpeechCommand::Line(line)) if line.role == Role::Caller => true,
            _ => !self.awaits_last_words(),
        }
    }

    /// Looks whether the last words have come.
    pub(super) fn look_for_last_words(&mut self, now: Moment) {
        let awaits = |dialogue: &super::Dialogue| dialogue.conversation.awaits_callers_words();
        if self.awaits_last_words() && !self.dialogue.as_deref().is_some_and(awaits) {
            self.words_are_over(now);
        }
    }

    /// The last words have come, or never will: the call ends as any other.
    pub(super) fn words_are_over(&mut self, now: Moment) {
        let State::Ending(Ending { words_until, cause, .. }) = &mut self.state else { return };
        if words_until.take().is_none() {
            return;
        }
        let cause = *cause;
        self.tell_bot_the_end(cause, now);
        self.end_dialogue(self.ended_at);
        self.vendor_may_have_left();
    }
}

/// How long an engine may take to write down the last words.
const WORDS_PATIENCE: Duration = Duration::from_secs(2);
