//! After the caller has left: what it said is written down; nothing else of the engine counts.

use super::hear::response;
use super::{EngineBotSide, Phase, commit_turn};
use crate::dialect::json::Text;
use crate::dialect::openai_realtime::wire::ServerEvent;
use crate::dialect::{Malformed, Out};
use crate::vocabulary::{CallCommand, LineStage, Role};

impl EngineBotSide {
    /// Cancels the response under way and, where the engine has not heard the end of the caller's speech, ends it.
    /// Returns whether the engine writes down what the caller says.
    pub(super) fn begin_last_words(&mut self, is_speaking: bool, out: &mut Out<CallCommand>) -> bool {
        if self.phase != Phase::Open || self.settings.transcription.is_none() {
            return false;
        }
        self.cancel_response(out);
        // What was heard of it becomes an item, which no response follows.
        let is_open = if self.engine_finds_turns() { is_speaking } else { self.own_ear.end() };
        if is_open {
            commit_turn(out);
        }
        self.phase = Phase::LastWords;
        true
    }

    pub(super) fn hear_last_words(
        &mut self,
        event: ServerEvent,
        text: &str,
        out: &mut Out<CallCommand>,
    ) -> Result<(), Malformed> {
        match event {
            ServerEvent::CallerDelta => self.line(text, Role::Caller, LineStage::Delta, out),
            ServerEvent::CallerDone | ServerEvent::CallerFailed => {
                self.line(text, Role::Caller, LineStage::Final, out)
            }
            ServerEvent::ResponseCreated => {
                // The engine had heard the end of the turn, and answers nobody.
                let response = response(text)?;
                self.progress.response_created(response.id.as_ref().map_or("", Text::as_str));
                self.cancel_response(out);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
