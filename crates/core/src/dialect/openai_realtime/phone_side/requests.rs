//! What a client asks: its session, its audio, its conversation; what makes no sense is answered with an error.

use std::time::Duration;

use serde_json::{Map, Value};

use super::events::Fault;
use super::items::{Body, Item, ItemId, members};
use super::speaking::{ResponseEnd, item_added};
use super::{EnginePhoneSide, Stage};
use crate::dialect::envelope::pick::{Picked, pick};
use crate::dialect::json::{self, Text, write_string, write_u64};
use crate::dialect::openai_realtime::faults;
use crate::dialect::openai_realtime::wire::CLIENT_MESSAGE;
use crate::dialect::{Malformed, Out, WireClass};
use crate::vocabulary::{CallEvent, Moment, RawMessage, SpeechEvent, ToolResult};

impl EnginePhoneSide {
    pub(super) fn hear(
        &mut self,
        text: &str,
        now: Moment,
        out: &mut Out<CallEvent>,
    ) -> Result<(), Malformed> {
        if self.stage == Stage::Over {
            return Ok(());
        }
        let mut found = [Picked::default(); 3];
        if let Err(malformed) =
            json::expect_object(text).and_then(|()| pick(text, &CLIENT_MESSAGE, &mut found))
        {
            self.refuse(&Fault::new("invalid_json", "The message is not a JSON object."), None, out);
            return Err(malformed);
        }
        let [kind, audio, event_id] = found;
        if kind.is_text("input_audio_buffer.append") {
            return self.append(audio, event_id, now, out);
        }
        let event_id = event_id.text("event_id").ok().flatten();
        let event_id = event_id.as_ref().map(Text::as_str).filter(|id| id.len() <= EVENT_ID_BYTES_MAX);
        let Ok(Some(kind)) = kind.text("type") else {
            self.refuse(&Fault::missing("type"), event_id, out);
            return Err(Malformed::Missing("type"));
        };
        let message: Map<String, Value> = serde_json::from_str(text).map_err(|_| Malformed::NotJson)?;
        if let Err(fault) = self.obey(kind.as_str(), &message, text, now, out) {
            self.refuse(&fault, event_id, out);
            // Who asks at the wrong moment has broken nothing.
            return if UNTIMELY.contains(&fault.code) { Ok(()) } else { Err(Malformed::Refused(fault.code)) };
        }
        Ok(())
    }

    fn append(
        &mut self,
        audio: Picked<'_>,
        event_id: Picked<'_>,
        now: Moment,
        out: &mut Out<CallEvent>,
    ) -> Result<(), Malformed> {
        let mut decoded = std::mem::take(&mut out.scratch);
        decoded.clear();
        let read = match audio.base64("audio") {
            Ok(Some(audio)) => audio.decode(&mut decoded).map_err(|_| Malformed::Base64("audio")),
            Ok(None) => Err(Malformed::Missing("audio")),
            Err(malformed) => Err(malformed),
        };
        match &read {
            Ok(()) => self.take_audio(&decoded, now, out),
            Err(_) => {
                let event_id = event_id.text("event_id").ok().flatten();
                let fault = Fault::invalid("audio", "base64 of audio is expected");
                self.refuse(&fault, event_id.as_ref().map(Text::as_str), out);
            }
        }
        out.scratch = decoded;
        read
    }

    fn obey(
        &mut self,
        kind: &str,
        message: &Map<String, Value>,
        text: &str,
        now: Moment,
        out: &mut Out<CallEvent>,
    ) -> Result<(), Fault> {
        match kind {
            "session.update" => {
                let fixed = (self.stage == Stage::Open).then_some(self.format);
                self.session.update(message.get("session"), fixed)?;
                self.begin(Some(text), out);
                self.tell_session("session.updated", out);
            }
            "input_audio_buffer.commit" => {
                if self.stage != Stage::Open || self.hearing.uncommitted_ms() < COMMIT_MS_MIN {
                    let message = "Error committing input audio buffer: buffer too small.";
                    return Err(Fault::new(COMMIT_EMPTY, message));
                }
                self.commit(out);
            }
            "input_audio_buffer.clear" => {
                self.held.clear();
                self.hearing.forget();
                self.events.write(WireClass::Control, "input_audio_buffer.cleared", out, |_, _| {});
            }
            "conversation.item.create" => self.create_item(message, out)?,
            "conversation.item.retrieve" => self.retrieve(message, out)?,
            "conversation.item.delete" => self.delete(message, out)?,
            "conversation.item.truncate" => self.truncate(message, out)?,
            "response.create" => {
                if self.speaking.is_some() {
                    let message = "Conversation already has an active response in progress.";
                    return Err(Fault::new(faults::ALREADY_RESPONDING, message));
                }
                self.begin(None, out);
                self.open_response(now, out);
            }
            "response.cancel" => {
                if self.speaking.is_none() {
                    let message = "Cancellation failed: no active response found";
                    return Err(Fault::new(NOT_RESPONDING, message));
                }
                self.end_response(ResponseEnd::ClientCancelled, out);
                out.hear(CallEvent::Cleared);
            }
            _ => {
                out.hear(CallEvent::Unknown(RawMessage::new(text)));
                let possible =
                    "session.update, input_audio_buffer.*, conversation.item.* and response.* are known";
                let fault = Fault::invalid("type", possible);
                self.refuse(&fault, message.get("event_id").and_then(Value::as_str), out);
            }
        }
        Ok(())
    }

    fn create_item(&mut self, message: &Map<String, Value>, out: &mut Out<CallEvent>) -> Result<(), Fault> {
        let item = message.get("item").ok_or_else(|| Fault::missing("item"))?;
        let item = item.as_object().ok_or_else(|| Fault::invalid("item", "an object is expected"))?;
        let kind = item.get("type").and_then(Value::as_str).ok_or_else(|| Fault::missing("item.type"))?;
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        match kind {
            "message" => {
                text("role").ok_or_else(|| Fault::missing("item.role"))?;
                let content = item.get("content").ok_or_else(|| Fault::missing("item.content"))?;
                content.as_array().ok_or_else(|| Fault::invalid("item.content", "a list is expected"))?;
            }
            "function_call" => drop(text("name").ok_or_else(|| Fault::missing("item.name"))?),
            "function_call_output" => {
                text("call_id").ok_or_else(|| Fault::missing("item.call_id"))?;
                text("output").ok_or_else(|| Fault::missing("item.output"))?;
            }
            _ => {
                let possible = "message, function_call or function_call_output";
                return Err(Fault::invalid("item.type", possible));
            }
        }
        let id = match text("id").filter(|id| !id.is_empty()) {
            Some(id) if id.len() > ITEM_ID_BYTES_MAX => {
                return Err(Fault::invalid("item.id", "it is too long"));
            }
            Some(id) if self.items.find(id, &self.events).is_some() => {
                return Err(Fault::new("item_create_id_exists", "Item with this id already exists."));
            }
            Some(id) => ItemId::Theirs(id.into()),
            None => ItemId::Ours(self.events.draw()),
        };
        self.hear_result(kind, text("call_id"), text("output"), out);
        let naming = self.session.naming();
        let item = Item { id, body: Body::Written(members(item.clone())) };
        self.events.write(WireClass::Control, item_added(naming), out, |events, to| {
            to.extend_from_slice(br#","previous_item_id":null,"item":"#);
            item.write(to, events, naming);
        });
        self.tell_item_done(&item, out);
        self.items.add(item.id, item.body);
        Ok(())
    }

    /// Passes the result of a tool on, if the bot behind us waits for it.
    fn hear_result(
        &mut self,
        kind: &str,
        call_id: Option<&str>,
        output: Option<&str>,
        out: &mut Out<CallEvent>,
    ) {
        let (Some(call_id), Some(output), "function_call_output") = (call_id, output, kind) else { return };
        if let Some(at) = self.tools.iter().position(|waiting| **waiting == *call_id) {
            let result = ToolResult { id: self.tools.swap_remove(at), output: output.into() };
            out.hear(CallEvent::Speech(SpeechEvent::ToolDone(result)));
        }
    }

    fn retrieve(&mut self, message: &Map<String, Value>, out: &mut Out<CallEvent>) -> Result<(), Fault> {
        let name = item_name(message)?;
        let naming = self.session.naming();
        let being_said = self.item_being_said(name);
        let known = being_said.as_ref().or_else(|| self.items.find(name, &self.events));
        let item = known.ok_or_else(|| no_item("retrieve"))?;
        let mut written = Vec::new();
        item.write(&mut written, &self.events, naming);
        self.events.write(WireClass::Control, "conversation.item.retrieved", out, |_, to| {
            to.extend_from_slice(br#","item":"#);
            to.extend_from_slice(&written);
        });
        Ok(())
    }

    fn delete(&mut self, message: &Map<String, Value>, out: &mut Out<CallEvent>) -> Result<(), Fault> {
        let name = item_name(message)?;
        if !self.items.remove(name, &self.events) {
            return Err(no_item("delete"));
        }
        self.events.write(WireClass::Control, "conversation.item.deleted", out, |_, to| {
            to.extend_from_slice(br#","item_id":"#);
            write_string(to, name);
        });
        Ok(())
    }

    /// The client says how much of an item its caller heard.
    fn truncate(&mut self, message: &Map<String, Value>, out: &mut Out<CallEvent>) -> Result<(), Fault> {
        let name = item_name(message)?;
        let heard_ms = message.get("audio_end_ms").ok_or_else(|| Fault::missing("audio_end_ms"))?;
        let wrong = || Fault::invalid("audio_end_ms", "a whole number of milliseconds is expected");
        let heard_ms = heard_ms.as_u64().ok_or_else(wrong)?;
        let being_said = self.item_being_said(name);
        let known = being_said.as_ref().or_else(|| self.items.find(name, &self.events));
        let audio_ms = match known.map(|item| &item.body) {
            Some(Body::Bot { audio_ms, .. }) => *audio_ms,
            Some(Body::Caller | Body::Written(_)) => {
                let message = "Only audio of the assistant can be truncated.";
                return Err(Fault::new("item_truncate_invalid_item_id", message));
            }
            None => return Err(no_item("truncate")),
        };
        if heard_ms > audio_ms {
            let sentence = format!("Audio content of {audio_ms}ms is already shorter than {heard_ms}ms");
            return Err(Fault { message: sentence, ..Fault::invalid("audio_end_ms", "") });
        }
        self.events.write(WireClass::Control, "conversation.item.truncated", out, |_, to| {
            to.extend_from_slice(br#","item_id":"#);
            write_string(to, name);
            to.extend_from_slice(br#","content_index":0,"audio_end_ms":"#);
            write_u64(to, heard_ms);
        });
        out.hear(CallEvent::Speech(SpeechEvent::Interrupted {
            item: name.into(),
            heard: Duration::from_millis(heard_ms),
        }));
        Ok(())
    }
}

fn item_name(message: &Map<String, Value>) -> Result<&str, Fault> {
    message.get("item_id").and_then(Value::as_str).ok_or_else(|| Fault::missing("item_id"))
}

fn no_item(what: &str) -> Fault {
    let code = match what {
        "retrieve" => "item_retrieve_invalid_item_id",
        "delete" => "item_delete_invalid_item_id",
        _ => "item_truncate_invalid_item_id",
    };
    Fault::new(code, format!("Error {what}: no item has this id."))
}

const COMMIT_EMPTY: &str = "input_audio_buffer_commit_empty";
const NOT_RESPONDING: &str = "response_cancel_not_active";

/// What is refused only because of when it came.
const UNTIMELY: [&str; 3] = [COMMIT_EMPTY, NOT_RESPONDING, faults::ALREADY_RESPONDING];

/// Bytes of a client's own name of a message that are repeated to it.
pub const EVENT_ID_BYTES_MAX: usize = 512;

/// Bytes of a client's own name of an item.
pub const ITEM_ID_BYTES_MAX: usize = 256;

/// Less audio makes no turn.
const COMMIT_MS_MIN: u64 = 100;
