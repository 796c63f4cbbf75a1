//! What an agent's tools do with the call: at once, when its last word was heard, or in the shell.

use std::time::Duration;

use crate::agent::{ToolWish, done, error, wish_of};
use crate::vocabulary::{
    CallEvent, CallFact, CommandRefusal, Moment, Reason, SpeechEvent, ToolCall, ToolResult, Transfer,
};

use super::Call;
use super::state::State;

/// What a bot wants to be done when its last word was heard.
#[derive(Debug)]
pub(super) struct Farewell {
    /// The tool call that asked for it.
    id: Box<str>,
    what: FarewellWish,
    /// Until when it waits for the last word.
    until: Moment,
    /// Nothing was said yet: the bot was asked to take its leave.
    awaits_words: bool,
}

#[derive(Debug)]
enum FarewellWish {
    HangUp,
    Transfer(Transfer),
}

impl FarewellWish {
    /// What a bot that has said nothing is to say before.
    fn instructions(&self) -> &'static str {
        match self {
            Self::HangUp => {
                "Say goodbye to the caller in one short sentence, in the language of this conversation."
            }
            Self::Transfer(_) => {
                "Tell the caller in one short sentence, in the language of this conversation, that you connect the call."
            }
        }
    }
}

/// A tool that the shell carries out.
#[derive(Debug)]
pub(super) struct RunningTool {
    pub(super) id: Box<str>,
    pub(super) since: Moment,
    pub(super) thinking: bool,
}

impl Call {
    /// The bot calls a tool.
    pub(super) fn call_tool(&mut self, call: &ToolCall, now: Moment) {
        let terms = self.bot.agent.clone().unwrap_or_default();
        self.counters.tool_calls += 1;
        if !matches!(self.state, State::Talking(_)) {
            return self.answer_tool(&call.id, error(NOBODY_TALKS), now);
        }
        match wish_of(call, &terms) {
            ToolWish::HangUp => self.begin_farewell(&call.id, FarewellWish::HangUp, now),
            ToolWish::Transfer(transfer) => {
                self.begin_farewell(&call.id, FarewellWish::Transfer(transfer), now);
            }
            ToolWish::SendDigits(digits) => {
                let before = self.counters.refused_commands;
                self.dial(&digits, now);
                let is_refused = self.counters.refused_commands > before;
                let output = if is_refused {
                    error("too many keys wait already")
                } else {
                    done("the keys were pressed")
                };
                self.answer_tool(&call.id, output, now);
            }
            ToolWish::SaveFields(fields) => {
                self.outputs.report(CallFact::Fields(fields));
                self.answer_tool(&call.id, done("noted"), now);
            }
            ToolWish::Remote { thinking } => self.run_tool(call, thinking, now),
            ToolWish::Refused(output) => self.answer_tool(&call.id, output, now),
        }
    }

    /// A tool of the shell has a result.
    pub(super) fn tool_done(&mut self, result: ToolResult, now: Moment) {
        let Some(dialogue) = &mut self.dialogue else { return };
        let before = dialogue.running.len();
        dialogue.running.retain(|running| running.id != result.id);
        if dialogue.running.len() < before {
            self.tell_bot(&CallEvent::Speech(SpeechEvent::ToolDone(result)), now);
        }
    }

    fn run_tool(&mut self, call: &ToolCall, thinking: bool, now: Moment) {
        let dialogue = self.dialogue();
        if dialogue.running.len() >= TOOLS_RUNNING_MAX {
            return self.answer_tool(&call.id, error("too many tools are at work; try again later"), now);
        }
        dialogue.running.push(RunningTool { id: call.id.clone(), since: now, thinking });
        self.outputs.run_tool(call.clone());
    }

    fn answer_tool(&mut self, id: &str, output: Box<str>, now: Moment) {
        let result = ToolResult { id: id.into(), output };
        self.tell_bot(&CallEvent::Speech(SpeechEvent::ToolDone(result)), now);
    }

    /// Waits for the caller to hear the last word; a bot that has said none is asked for one.
    fn begin_farewell(&mut self, id: &str, what: FarewellWish, now: Moment) {
        if self.dialogue().farewell.is_some() {
            return self.answer_tool(id, error("this is under way already"), now);
        }
        let is_talking = !self.speaker.depth().is_zero()
            || self.speaker.drained_since().is_some_and(|since| now - since < JUST_SAID);
        let until = now + self.speaker.remaining() + WORDS_PATIENCE;
        let instructions = what.instructions().into();
        let farewell = Farewell { id: id.into(), what, until, awaits_words: !is_talking };
        self.dialogue().farewell = Some(farewell);
        if !is_talking {
            // The result is told once, and is not known before.
            let event = SpeechEvent::WordsWanted { id: id.into(), instructions };
            self.tell_bot(&CallEvent::Speech(event), now);
        }
    }

    /// The bot speaks: a goodbye that was waited for has come, or goes on.
    pub(super) fn goodbye_goes_on(&mut self) {
        if let Some(farewell) = self.dialogue.as_mut().and_then(|dialogue| dialogue.farewell.as_mut()) {
            farewell.awaits_words = false;
        }
    }

    /// The caller interrupts the goodbye: the talk goes on.
    pub(super) fn keep_the_caller(&mut self, now: Moment) {
        let farewell = self.dialogue.as_mut().and_then(|dialogue| dialogue.farewell.take());
        if let Some(farewell) = farewell {
            let output = error("the caller spoke meanwhile: listen first, then try again");
            self.answer_tool(&farewell.id, output, now);
        }
    }

    /// When a farewell is due, as far as is known.
    pub(super) fn farewell_due(&self) -> Option<Moment> {
        let dialogue = self.dialogue.as_ref()?;
        let farewell = dialogue.farewell.as_ref()?;
        let heard = self.last_word_heard().filter(|_| !farewell.awaits_words);
        Some(heard.map_or(farewell.until, |heard| heard.min(farewell.until)))
    }

    /// Does what was to be done when the last word was heard, if it was.
    pub(super) fn take_leave(&mut self, now: Moment) {
        if self.farewell_due().is_none_or(|due| due > now) {
            return;
        }
        let farewell = self.dialogue.as_mut().and_then(|dialogue| dialogue.farewell.take());
        let Some(farewell) = farewell else { return };
        if !matches!(self.state, State::Talking(_)) {
            return self.answer_tool(&farewell.id, error(NOBODY_TALKS), now);
        }
        match farewell.what {
            FarewellWish::HangUp => self.end_after_playout(Reason::BotHungUp, now),
            FarewellWish::Transfer(transfer) => {
                self.dialogue().transfer = Some(farewell.id);
                self.transfer(&transfer, now);
            }
        }
    }

    /// Whether the bot waits for its last word to be heard.
    pub(super) fn takes_leave(&self) -> bool {
        self.dialogue.as_ref().is_some_and(|dialogue| dialogue.farewell.is_some())
    }

    /// Whether a refusal belongs to a tool, whose caller is told in its own way.
    pub(super) fn tool_refused(&mut self, refusal: &CommandRefusal, now: Moment) -> bool {
        let id = self.dialogue.as_mut().and_then(|dialogue| dialogue.transfer.take());
        let Some(id) = id else { return false };
        self.answer_tool(&id, error(&refusal.message), now);
        true
    }

    /// When what was said has been heard, if nothing more comes.
    fn last_word_heard(&self) -> Option<Moment> {
        let dialogue = self.dialogue.as_ref()?;
        let pause = if dialogue.has_said_all() { PAUSE_AFTER_WORDS } else { PAUSE_WITHOUT_WORDS };
        Some(self.speaker.drained_since()? + pause)
    }
}

/// Tools of one call that the shell carries out at a time; the model is told of further ones.
pub const TOOLS_RUNNING_MAX: usize = 8;

/// What a model is told that wants something of a call in which it has nobody to talk to.
const NOBODY_TALKS: &str = "nobody is talking at this moment";
/// What was heard so lately belongs to the farewell.
const JUST_SAID: Duration = Duration::from_secs(1);
/// How long a bot may take to say goodbye, and to say it to its end.
const WORDS_PATIENCE: Duration = Duration::from_secs(10);
/// From the last sound to what was to follow it, where all words are known to have been said.
const PAUSE_AFTER_WORDS: Duration = Duration::from_millis(300);
/// The same where more may be on its way.
const PAUSE_WITHOUT_WORDS: Duration = Duration::from_millis(1_500);
