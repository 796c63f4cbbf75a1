//! What an engine says: audio, transcripts, tools, the edges of the caller's speech, and what went wrong.

use super::item_names::name;
use super::progress::Piece;
use super::session::SESSION_EVENT;
use super::{EngineBotSide, Phase, Retry};
use crate::dialect::envelope::pick::{Picked, pick};
use crate::dialect::json::{self, Text};
use crate::dialect::openai_realtime::faults;
use crate::dialect::openai_realtime::wire::{
    ErrorDetail, ErrorMessage, Item, ItemMessage, LineMessage, Response, ResponseMessage, SERVER_MESSAGE,
    ServerEvent, ToolMessage,
};
use crate::dialect::{Malformed, Out};
use crate::vocabulary::{
    CallCommand, LineStage, Moment, RawMessage, Role, SpeechCommand, SpeechEdge, ToolCall, TranscriptLine,
};

impl EngineBotSide {
    pub(super) fn hear(
        &mut self,
        text: &str,
        now: Moment,
        out: &mut Out<CallCommand>,
    ) -> Result<(), Malformed> {
        json::expect_object(text)?;
        let mut found = [Picked::default(); 4];
        pick(text, &SERVER_MESSAGE, &mut found)?;
        let [kind, delta, item, response] = found;
        let kind = kind.text("type")?.ok_or(Malformed::Missing("type"))?;
        self.has_answered = true;
        match ServerEvent::named(kind.as_str()) {
            Some(ServerEvent::AudioDelta) => return self.hear_audio(delta, item, response, out),
            Some(event) if self.phase == Phase::LastWords => self.hear_last_words(event, text, out)?,
            Some(event) if self.phase != Phase::Over => self.hear_event(event, text, now, out)?,
            Some(_) => {}
            None => out.hear(CallCommand::Unknown(RawMessage::new(text))),
        }
        Ok(())
    }

    fn hear_audio(
        &mut self,
        delta: Picked<'_>,
        item: Picked<'_>,
        response: Picked<'_>,
        out: &mut Out<CallCommand>,
    ) -> Result<(), Malformed> {
        let (item, response) = (item.text("item_id")?, response.text("response_id")?);
        let item = item.as_ref().map_or("", Text::as_str);
        check_id(item, "item_id")?;
        if matches!(self.phase, Phase::LastWords | Phase::Over) {
            return Ok(());
        }
        let payload = delta.base64("delta")?.ok_or(Malformed::Missing("delta"))?;
        let response = response.as_ref().map_or("", Text::as_str);
        check_id(response, "response_id")?;
        let item = (item, self.progress.names.bot(item, response));
        let piece = self.progress.judge(item, response);
        if piece == Piece::Late {
            return Ok(());
        }
        let before = out.audio_bytes();
        out.hear_audio_of(
            |to| payload.decode(to).map_err(|_| Malformed::Base64("delta")),
            || {
                let named = piece == Piece::NewItem && !item.0.is_empty();
                named.then(|| CallCommand::Speech(SpeechCommand::Item(name(item.0, item.1))))
            },
        )?;
        self.progress.heard(item, out.audio_bytes() - before);
        self.retry = Retry::Unneeded;
        Ok(())
    }

    fn hear_event(
        &mut self,
        event: ServerEvent,
        text: &str,
        now: Moment,
        out: &mut Out<CallCommand>,
    ) -> Result<(), Malformed> {
        match event {
            ServerEvent::SessionCreated => match self.phase {
                Phase::Waiting { .. } => self.phase = Phase::Waiting { created: true },
                Phase::Creating { .. } => self.configure(now, out),
                Phase::Configuring { .. } | Phase::Open | Phase::LastWords | Phase::Over => {}
            },
            ServerEvent::SessionUpdated => {
                if let Phase::Configuring { .. } = self.phase {
                    self.open(out);
                }
            }
            ServerEvent::SpeechStarted => self.speech_started(text, out),
            ServerEvent::SpeechStopped => {
                self.progress.caller_ceased(now + self.answer_patience());
                out.hear(CallCommand::Speech(SpeechCommand::Caller(SpeechEdge::Stopped)));
                self.ask_if_owed(now, out);
            }
            ServerEvent::TurnCommitted => {
                let item = read::<LineMessage<'_>>(text, "item_id")?.item_id;
                let item = item.as_ref().map_or("", Text::as_str);
                check_id(item, "item_id")?;
                if !item.is_empty() {
                    self.progress.names.caller_committed(item);
                }
            }
            ServerEvent::ResponseCreated => {
                let response = response(text)?;
                let id = response.id.as_ref().map_or("", Text::as_str);
                check_id(id, "response.id")?;
                self.progress.response_created(id);
                if self.own_ear.hears_caller() {
                    // It was asked for before the caller began again.
                    self.progress.caller_began();
                    self.cancel_response(out);
                }
            }
            ServerEvent::ResponseDone => self.response_done(&response(text)?, now, out)?,
            ServerEvent::BotDelta => self.line(text, Role::Bot, LineStage::Delta, out)?,
            ServerEvent::BotDone => self.line(text, Role::Bot, LineStage::Final, out)?,
            ServerEvent::CallerDelta => self.line(text, Role::Caller, LineStage::Delta, out)?,
            // Of a transcription that failed it is known that something was said.
            ServerEvent::CallerDone | ServerEvent::CallerFailed => {
                self.line(text, Role::Caller, LineStage::Final, out)?
            }
            ServerEvent::ToolArguments => {
                let message: ToolMessage<'_> = read(text, "arguments")?;
                self.tool(&message.call_id, &message.name, &message.arguments, out)?;
            }
            ServerEvent::OutputItemDone => {
                let item = read::<ItemMessage<'_>>(text, "item")?.item.ok_or(Malformed::Missing("item"))?;
                if is_call(&item) {
                    self.tool(&item.call_id, &item.name, &item.arguments, out)?;
                }
            }
            ServerEvent::Error => return self.error(text, out),
            ServerEvent::AudioDelta | ServerEvent::Unneeded => {}
        }
        Ok(())
    }

    fn speech_started(&mut self, text: &str, out: &mut Out<CallCommand>) {
        self.progress.caller_began();
        // A barge-in counts whatever becomes of its name.
        let item = read::<LineMessage<'_>>(text, "item_id").ok().and_then(|message| message.item_id);
        let item = item.filter(|item| !item.as_str().is_empty() && item.as_str().len() <= ID_BYTES_MAX);
        let item = item.map(|item| self.progress.names.caller_began(item.as_str()));
        out.hear(CallCommand::Speech(SpeechCommand::Caller(SpeechEdge::Started { item })));
        if self.engine_interrupts() {
            self.progress.cut();
            out.hear(CallCommand::Clear);
        }
    }

    fn response_done(
        &mut self,
        response: &Response<'_>,
        now: Moment,
        out: &mut Out<CallCommand>,
    ) -> Result<(), Malformed> {
        self.progress.response_done(response.id.as_ref().map(Text::as_str));
        if response.status.as_ref().is_some_and(|status| status.as_str() == "failed") {
            let error = response.status_details.as_ref().and_then(|details| details.error.as_ref());
            self.response_failed(error, now, out);
            return Err(Malformed::Refused(error.map_or(faults::OTHER, code_of)));
        }
        // Engines tell a call of a tool up to three times; few of them only here.
        let calls = response.output.iter().flatten().filter(|item| is_call(item)).take(LATE_CALLS);
        for item in calls {
            // What was broken here came whole before, or never will.
            let _ = self.tool(&item.call_id, &item.name, &item.arguments, out);
        }
        self.ask_if_owed(now, out);
        Ok(())
    }

    /// The caller must not wait in silence for what never comes: the engine is asked once more, then given up.
    fn response_failed(&mut self, error: Option<&ErrorDetail<'_>>, now: Moment, out: &mut Out<CallCommand>) {
        let is_fatal = error.is_some_and(|error| faults::is_fatal(code_of(error)));
        match self.retry {
            Retry::Unneeded if !is_fatal => self.retry = Retry::At(now + faults::RETRY_AFTER),
            Retry::At(_) if !is_fatal => {}
            Retry::Unneeded | Retry::At(_) | Retry::Tried => self.give_up(out),
        }
    }

    /// Tells a call of a tool once; one without its name is told with the item that has it.
    fn tool(
        &mut self,
        call_id: &Option<Text<'_>>,
        name: &Option<Text<'_>>,
        arguments: &Option<Text<'_>>,
        out: &mut Out<CallCommand>,
    ) -> Result<(), Malformed> {
        let Some(name) = name.as_ref().map(Text::as_str).filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        let call_id = call_id.as_ref().ok_or(Malformed::Missing("call_id"))?.as_str();
        check_id(call_id, "call_id")?;
        check_id(name, "name")?;
        if self.progress.tool_called(call_id) {
            out.hear(CallCommand::Speech(SpeechCommand::Tool(ToolCall {
                id: call_id.into(),
                name: name.into(),
                arguments: arguments.as_ref().map_or("", Text::as_str).into(),
            })));
        }
        Ok(())
    }

    fn error(&mut self, text: &str, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        let message: ErrorMessage<'_> = read(text, "error")?;
        let error = message.error.ok_or(Malformed::Missing("error"))?;
        let code = code_of(&error);
        let about_session = error.event_id.as_ref().is_some_and(|id| id.as_str() == SESSION_EVENT);
        if faults::is_fatal(code) || about_session {
            // A session without its instructions is nobody to talk to.
            self.give_up(out);
        } else if code == faults::ALREADY_RESPONDING {
            self.progress.owe_answer();
        }
        Err(Malformed::Refused(code))
    }

    /// Hears a line of the transcript.
    pub(super) fn line(
        &mut self,
        text: &str,
        role: Role,
        stage: LineStage,
        out: &mut Out<CallCommand>,
    ) -> Result<(), Malformed> {
        let message: LineMessage<'_> = read(text, "transcript")?;
        let item = message.item_id.as_ref().map_or("", Text::as_str);
        let response = message.response_id.as_ref().map_or("", Text::as_str);
        check_id(item, "item_id")?;
        check_id(response, "response_id")?;
        let said = match stage {
            LineStage::Delta => message.delta.as_ref(),
            LineStage::Final => message.transcript.as_ref().or(message.text.as_ref()),
        };
        let said = said.map_or("", Text::as_str);
        if stage == LineStage::Delta && said.is_empty() {
            return Ok(());
        }
        let item = match role {
            _ if item.is_empty() => item.into(),
            Role::Bot => name(item, self.progress.names.bot(item, response)),
            Role::Caller => self.progress.names.caller_line(item, stage),
        };
        let line = TranscriptLine { role, item, text: said.into(), stage };
        out.hear(CallCommand::Speech(SpeechCommand::Line(line)));
        Ok(())
    }
}

fn is_call(item: &Item<'_>) -> bool {
    item.kind.as_ref().is_some_and(|kind| kind.as_str() == "function_call")
}

pub(super) fn response(text: &str) -> Result<Response<'_>, Malformed> {
    read::<ResponseMessage<'_>>(text, "response")?.response.ok_or(Malformed::Missing("response"))
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a str, field: &'static str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|_| Malformed::Field(field))
}

fn code_of(error: &ErrorDetail<'_>) -> &'static str {
    let code = error.code.as_ref().or(error.kind.as_ref());
    faults::known(code.map_or("", Text::as_str))
}

/// Ids are kept: an endless one is refused.
fn check_id(id: &str, field: &'static str) -> Result<(), Malformed> {
    if id.len() <= ID_BYTES_MAX { Ok(()) } else { Err(Malformed::Field(field)) }
}

/// Calls of tools that are taken from the end of one response.
const LATE_CALLS: usize = 3;

/// Bytes of an id of the engine, and of a tool's name.
pub const ID_BYTES_MAX: usize = 256;
