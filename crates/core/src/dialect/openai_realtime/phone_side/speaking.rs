//! Responses: what the bot behind us says, cut into items for the client.

use std::time::Duration;

use super::EnginePhoneSide;
use super::events::Events;
use super::items::{Body, Item, ItemId, write_head};
use crate::dialect::json::{write_base64, write_string};
use crate::dialect::openai_realtime::settings::Naming;
use crate::dialect::{Out, WireClass};
use crate::vocabulary::{CallEvent, Moment, ToolCall};

/// A response that is being made.
#[derive(Debug)]
pub struct Speaking {
    pub number: u64,
    /// The item that is being said, once something was.
    item: Option<ItemId>,
    bytes: u64,
    transcript: String,
    /// Until when nothing more need come for it to go on.
    pub until: Moment,
}

/// How a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseEnd {
    /// All was said.
    Completed,
    /// The caller spoke.
    TurnDetected,
    /// The client wanted no more.
    ClientCancelled,
}

impl EnginePhoneSide {
    /// Says audio of the bot; silence alone begins nothing.
    pub(super) fn say_audio(&mut self, audio: &[u8], now: Moment, out: &mut Out<CallEvent>) {
        let silent = audio.iter().all(|byte| *byte == self.format.silence_byte());
        if silent && self.speaking.as_ref().is_none_or(|speaking| speaking.item.is_none()) {
            return;
        }
        self.open_item(now, out);
        let Some(speaking) = &mut self.speaking else { return };
        let Some(item) = &speaking.item else { return };
        let number = speaking.number;
        speaking.bytes += audio.len() as u64;
        if !silent {
            speaking.until = now + GAP;
        }
        let kind = match self.session.naming() {
            Naming::Ga => "response.output_audio.delta",
            Naming::Beta => "response.audio.delta",
        };
        self.events.write(WireClass::Audio, kind, out, |events, to| {
            write_place(to, events, number, item);
            to.extend_from_slice(br#","delta":""#);
            write_base64(to, audio);
            to.push(b'"');
        });
    }

    /// The bot names what it says next; another name begins another response.
    pub(super) fn say_item(&mut self, id: &str, now: Moment, out: &mut Out<CallEvent>) {
        let same = matches!(&self.next_item, Some(ItemId::Theirs(before)) if **before == *id);
        if !same {
            self.end_response(ResponseEnd::Completed, out);
            self.next_item = Some(ItemId::Theirs(id.into()));
        }
        self.open_item(now, out);
    }

    /// Says words of the bot's item, and whether they are all of them.
    pub(super) fn say_words(&mut self, text: &str, all: bool, now: Moment, out: &mut Out<CallEvent>) {
        self.open_item(now, out);
        let naming = self.session.naming();
        let Some(Speaking { number, item: Some(item), transcript, .. }) = &mut self.speaking else { return };
        if all {
            transcript.clear();
        }
        let room = TRANSCRIPT_BYTES_MAX.saturating_sub(transcript.len());
        transcript.push_str(&text[..text.floor_char_boundary(room)]);
        if all {
            return;
        }
        let kind = match naming {
            Naming::Ga => "response.output_audio_transcript.delta",
            Naming::Beta => "response.audio_transcript.delta",
        };
        let number = *number;
        self.events.write(WireClass::Control, kind, out, |events, to| {
            write_place(to, events, number, item);
            to.extend_from_slice(br#","delta":"#);
            write_string(to, text);
        });
    }

    /// The bot calls a tool: an item and a response of their own.
    pub(super) fn say_tool(&mut self, call: &ToolCall, now: Moment, out: &mut Out<CallEvent>) {
        self.end_response(ResponseEnd::Completed, out);
        self.open_response(now, out);
        let Some(number) = self.speaking.take().map(|speaking| speaking.number) else { return };
        let item = ItemId::Ours(self.events.draw());
        let mut members = FUNCTION_CALL.as_bytes().to_vec();
        members.extend_from_slice(br#","call_id":"#);
        write_string(&mut members, &call.id);
        members.extend_from_slice(br#","name":"#);
        write_string(&mut members, &call.name);
        members.extend_from_slice(br#","arguments":"#);
        write_string(&mut members, &call.arguments);
        let members = String::from_utf8(members).unwrap_or_default();
        let whole = |to: &mut Vec<u8>, events: &Events, status: &str| {
            write_head(to, &item, status, events);
            to.extend_from_slice(members.as_bytes());
            to.push(b'}');
        };
        let events = &mut self.events;
        events.write(WireClass::Control, "response.output_item.added", out, |events, to| {
            write_response_place(to, events, number);
            to.extend_from_slice(br#","item":"#);
            whole(to, events, "in_progress");
        });
        events.write(WireClass::Control, "response.function_call_arguments.done", out, |events, to| {
            write_item_place(to, events, number, &item);
            to.extend_from_slice(members.trim_start_matches(FUNCTION_CALL).as_bytes());
        });
        events.write(WireClass::Control, "response.output_item.done", out, |events, to| {
            write_response_place(to, events, number);
            to.extend_from_slice(br#","item":"#);
            whole(to, events, "completed");
        });
        events.write(WireClass::Control, "response.done", out, |events, to| {
            write_response(to, events, number, "completed", None, |to| whole(to, events, "completed"));
        });
        self.items.add(item, Body::Written(members.into()));
    }

    /// Begins a response, if none is being made.
    pub(super) fn open_response(&mut self, now: Moment, out: &mut Out<CallEvent>) {
        if self.speaking.is_some() {
            return;
        }
        let number = self.events.draw();
        self.speaking =
            Some(Speaking { number, item: None, bytes: 0, transcript: String::new(), until: now + WAIT });
        self.events.write(WireClass::Control, "response.created", out, |events, to| {
            write_response(to, events, number, "in_progress", None, |_| {});
        });
    }

    fn open_item(&mut self, now: Moment, out: &mut Out<CallEvent>) {
        self.open_response(now, out);
        let naming = self.session.naming();
        let Some(speaking) = self.speaking.as_mut().filter(|speaking| speaking.item.is_none()) else {
            return;
        };
        let item = match &self.next_item {
            Some(item) => item.clone(),
            None => ItemId::Ours(self.events.draw()),
        };
        let number = speaking.number;
        let begun = |to: &mut Vec<u8>, events: &Events| {
            write_head(to, &item, "in_progress", events);
            to.extend_from_slice(br#","type":"message","role":"assistant","content":[]}"#);
        };
        self.events.write(WireClass::Control, "response.output_item.added", out, |events, to| {
            write_response_place(to, events, number);
            to.extend_from_slice(br#","item":"#);
            begun(to, events);
        });
        self.events.write(WireClass::Control, item_added(naming), out, |events, to| {
            to.extend_from_slice(br#","previous_item_id":null,"item":"#);
            begun(to, events);
        });
        self.events.write(WireClass::Control, "response.content_part.added", out, |events, to| {
            write_place(to, events, number, &item);
            to.extend_from_slice(br#","part":{"type":"audio","transcript":""}"#);
        });
        speaking.item = Some(item);
        speaking.until = now + GAP;
    }

    /// Ends the response that is being made, if there is one.
    pub(super) fn end_response(&mut self, end: ResponseEnd, out: &mut Out<CallEvent>) {
        let Some(Speaking { number, item, bytes, transcript, .. }) = self.speaking.take() else { return };
        self.next_item = None;
        let naming = self.session.naming();
        let (audio_done, words_done) = match naming {
            Naming::Ga => ("response.output_audio.done", "response.output_audio_transcript.done"),
            Naming::Beta => ("response.audio.done", "response.audio_transcript.done"),
        };
        let audio_ms = self.ms_of(bytes);
        let said =
            item.map(|id| Item { id, body: Body::Bot { audio_ms, transcript: transcript.as_str().into() } });
        if let Some(item) = &said {
            let (id, events) = (&item.id, &mut self.events);
            events.write(WireClass::Control, audio_done, out, |events, to| {
                write_place(to, events, number, id);
            });
            events.write(WireClass::Control, words_done, out, |events, to| {
                write_place(to, events, number, id);
                to.extend_from_slice(br#","transcript":"#);
                write_string(to, &transcript);
            });
            events.write(WireClass::Control, "response.content_part.done", out, |events, to| {
                write_place(to, events, number, id);
                to.extend_from_slice(br#","part":{"type":"audio","transcript":"#);
                write_string(to, &transcript);
                to.push(b'}');
            });
            events.write(WireClass::Control, "response.output_item.done", out, |events, to| {
                write_response_place(to, events, number);
                to.extend_from_slice(br#","item":"#);
                item.write(to, events, naming);
            });
            self.tell_item_done(item, out);
        }
        let (status, reason) = match end {
            ResponseEnd::Completed => ("completed", None),
            ResponseEnd::TurnDetected => ("cancelled", Some("turn_detected")),
            ResponseEnd::ClientCancelled => ("cancelled", Some("client_cancelled")),
        };
        self.events.write(WireClass::Control, "response.done", out, |events, to| {
            write_response(to, events, number, status, reason, |to| {
                if let Some(item) = &said {
                    item.write(to, events, naming);
                }
            });
        });
        if let Some(Item { id, body }) = said {
            self.items.add(id, body);
        }
    }

    /// The item of this name as it stands, if it is the one that is being said.
    pub(super) fn item_being_said(&self, name: &str) -> Option<Item> {
        let speaking = self.speaking.as_ref()?;
        let id = speaking.item.as_ref().filter(|item| item.is(name, &self.events))?.clone();
        let transcript = speaking.transcript.as_str().into();
        Some(Item { id, body: Body::Bot { audio_ms: self.ms_of(speaking.bytes), transcript } })
    }

    fn ms_of(&self, bytes: u64) -> u64 {
        let samples = bytes / self.format.bytes_per_sample() as u64;
        u64::try_from(self.format.duration_of_samples(samples).as_millis()).unwrap_or(u64::MAX)
    }

    /// The newer naming says when an item is complete.
    pub(super) fn tell_item_done(&mut self, item: &Item, out: &mut Out<CallEvent>) {
        let naming = self.session.naming();
        if naming == Naming::Ga {
            self.events.write(WireClass::Control, "conversation.item.done", out, |events, to| {
                to.extend_from_slice(br#","previous_item_id":null,"item":"#);
                item.write(to, events, naming);
            });
        }
    }
}

/// What the addition of an item is called.
pub fn item_added(naming: Naming) -> &'static str {
    match naming {
        Naming::Ga => "conversation.item.added",
        Naming::Beta => "conversation.item.created",
    }
}

fn write_place(to: &mut Vec<u8>, events: &Events, response: u64, item: &ItemId) {
    write_item_place(to, events, response, item);
    to.extend_from_slice(br#","content_index":0"#);
}

fn write_item_place(to: &mut Vec<u8>, events: &Events, response: u64, item: &ItemId) {
    write_response_place(to, events, response);
    to.extend_from_slice(br#","item_id":""#);
    item.write(to, events);
    to.push(b'"');
}

fn write_response_place(to: &mut Vec<u8>, events: &Events, response: u64) {
    to.extend_from_slice(br#","response_id":""#);
    events.write_id(to, "resp_", response);
    to.extend_from_slice(br#"","output_index":0"#);
}

fn write_response(
    to: &mut Vec<u8>,
    events: &Events,
    number: u64,
    status: &str,
    reason: Option<&str>,
    output: impl FnOnce(&mut Vec<u8>),
) {
    to.extend_from_slice(br#","response":{"object":"realtime.response","id":""#);
    events.write_id(to, "resp_", number);
    to.extend_from_slice(br#"","status":"#);
    write_string(to, status);
    to.extend_from_slice(br#","status_details":"#);
    match reason {
        Some(reason) => {
            to.extend_from_slice(br#"{"type":"#);
            write_string(to, status);
            to.extend_from_slice(br#","reason":"#);
            write_string(to, reason);
            to.push(b'}');
        }
        None => to.extend_from_slice(b"null"),
    }
    to.extend_from_slice(br#","output":["#);
    output(to);
    to.extend_from_slice(br#"],"usage":null}"#);
}

const FUNCTION_CALL: &str = r#","type":"function_call""#;

/// Bytes of the words of one item that are kept.
pub const TRANSCRIPT_BYTES_MAX: usize = 16_384;

/// A pause of the bot that ends its response.
const GAP: Duration = Duration::from_millis(700);

/// How long a response that was asked for may stay without a word.
const WAIT: Duration = Duration::from_secs(8);
