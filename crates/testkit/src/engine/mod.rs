//! A scripted speech engine (`openai-realtime`, newer naming) in virtual time: says items faster than they sound, finds
//! turns of the caller at given moments, calls tools, and keeps what it was told.
//!
//! Written from the service's documents, not with our own dialect: it is the other end of a test.

mod script;

use std::collections::VecDeque;
use std::time::Duration;

use base64_simd::STANDARD;
use patchcord_core::vocabulary::Moment;
use serde_json::{Value, json};

pub use script::{Beat, Deed, Script, Speech};

/// The engine.
#[derive(Debug)]
pub struct EngineSim {
    script: VecDeque<Beat>,
    answers: VecDeque<Speech>,
    ready_at: Option<Moment>,
    /// What waits to be sent, each at its moment, oldest first.
    outgoing: VecDeque<(Moment, String)>,
    /// The response whose messages still wait.
    saying: Option<(String, Moment)>,
    /// The engine's name of the caller's turn, while it lasts.
    turn: Option<String>,
    numbers: u64,
    bytes_per_ms: usize,
    closed: Option<u16>,
    /// What was said and heard.
    pub log: EngineLog,
}

/// What an engine was told, and what it said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineLog {
    /// The last session that was asked for.
    pub session: Value,
    /// Milliseconds of the caller's audio.
    pub heard_ms: u64,
    /// What was said, in order.
    pub said: Vec<SaidItem>,
    /// The items that were truncated, at how many milliseconds, and when.
    pub truncated: Vec<(String, u64, Moment)>,
    /// How many responses the client cancelled.
    pub cancelled: usize,
    /// Results of tools: the call and the output.
    pub tool_results: Vec<(String, String)>,
    /// Messages that the client wrote into the conversation: role and text.
    pub messages: Vec<(String, String)>,
    /// Instructions of the responses that were asked for; empty for none.
    pub asked: Vec<String>,
    /// What no client may do.
    pub violations: Vec<String>,
}

/// One item that was said.
#[derive(Debug, Clone, PartialEq)]
pub struct SaidItem {
    /// Its name.
    pub id: String,
    /// All its words.
    pub text: String,
    /// The audio of it that was sent.
    pub sent_ms: u64,
    /// When its first audio was sent.
    pub at: Moment,
}

impl EngineSim {
    /// An engine that somebody has connected to at `now`; panics on a script that cannot be read.
    pub fn new(script: &str, now: Moment) -> Self {
        let script = Script::parse(script).unwrap_or_else(|error| panic!("{error}"));
        let mut sim = Self {
            script: script.beats.into(),
            answers: script.answers.into(),
            ready_at: None,
            outgoing: VecDeque::new(),
            saying: None,
            turn: None,
            numbers: 0,
            bytes_per_ms: 48,
            closed: None,
            log: EngineLog::default(),
        };
        sim.send(
            now,
            json!({ "type": "session.created", "session": { "type": "realtime", "id": "sess_1" } }),
        );
        sim
    }

    /// Takes a message of the client.
    pub fn hear(&mut self, text: &str, now: Moment) {
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return self.log.violations.push("a message that is no JSON".to_owned());
        };
        match message["type"].as_str().unwrap_or_default() {
            "session.update" => self.configure(&message["session"], now),
            _ if self.ready_at.is_none() => {
                self.log.violations.push("a message before the session".to_owned())
            }
            "input_audio_buffer.append" => self.append(&message["audio"]),
            "response.create" => self.answer(&message["response"]["instructions"], now),
            "response.cancel" => {
                self.log.cancelled += 1;
                self.cancel("client_cancelled", now);
            }
            "conversation.item.truncate" => self.truncate(&message, now),
            "conversation.item.create" => self.create(&message["item"]),
            other => self.log.violations.push(format!("a message of type {other:?}")),
        }
    }

    /// When [`EngineSim::poll`] has something to give.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let beat = self.ready_at.zip(self.script.front()).map(|(ready, beat)| ready + beat.at);
        let waiting = self.outgoing.front().map(|(at, _)| *at);
        beat.into_iter().chain(waiting).min()
    }

    /// The next message that is due, until there is none.
    pub fn poll(&mut self, now: Moment) -> Option<String> {
        while let (Some(ready), Some(beat)) = (self.ready_at, self.script.front()) {
            let at = ready + beat.at;
            if at > now || self.outgoing.front().is_some_and(|(waiting, _)| *waiting < at) {
                break;
            }
            if let Some(beat) = self.script.pop_front() {
                self.act(beat.deed, at);
            }
        }
        self.outgoing.front().filter(|(at, _)| *at <= now)?;
        let (at, message) = self.outgoing.pop_front()?;
        self.note_sent(&message, at);
        Some(message)
    }

    /// The code with which it closes the connection, once nothing waits.
    pub fn close_code(&self) -> Option<u16> {
        self.closed.filter(|_| self.outgoing.is_empty())
    }

    fn configure(&mut self, session: &Value, now: Moment) {
        self.log.session = session.clone();
        let format = &session["audio"]["output"]["format"];
        self.bytes_per_ms = if format["type"] == "audio/pcm" { 48 } else { 8 };
        if session["type"] != "realtime" || session["audio"]["input"]["format"] != *format {
            self.log.violations.push("a session without its type, or with two formats".to_owned());
        }
        self.send(now, json!({ "type": "session.updated", "session": session }));
        self.ready_at.get_or_insert(now);
    }

    fn append(&mut self, audio: &Value) {
        match STANDARD.decode_to_vec(audio.as_str().unwrap_or_default()) {
            Ok(audio) => self.log.heard_ms += (audio.len() / self.bytes_per_ms) as u64,
            Err(_) => self.log.violations.push("audio that is no base64".to_owned()),
        }
    }

    fn answer(&mut self, instructions: &Value, now: Moment) {
        self.log.asked.push(instructions.as_str().unwrap_or_default().to_owned());
        if self.saying.is_some() {
            return self.log.violations.push("a response was asked for while one was being made".to_owned());
        }
        if let Some(speech) = self.answers.pop_front() {
            self.say(&speech, now);
        }
    }

    fn truncate(&mut self, message: &Value, now: Moment) {
        let (item, ms) = (message["item_id"].as_str().unwrap_or_default(), message["audio_end_ms"].as_u64());
        let sent = self.log.said.iter().find(|said| said.id == item).map(|said| said.sent_ms);
        match (sent, ms) {
            (Some(sent), Some(ms)) if ms <= sent => {
                self.log.truncated.push((item.to_owned(), ms, now));
                let fields = json!({ "item_id": item, "content_index": 0, "audio_end_ms": ms });
                self.send(now, event("conversation.item.truncated", fields));
            }
            _ => self.log.violations.push(format!("{item} truncated at {ms:?} of {sent:?} ms")),
        }
    }

    fn create(&mut self, item: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match item["type"].as_str() {
            Some("function_call_output") => {
                self.log.tool_results.push((text(&item["call_id"]), text(&item["output"])));
            }
            Some("message") => {
                self.log.messages.push((text(&item["role"]), text(&item["content"][0]["text"])));
            }
            _ => self.log.violations.push("an item of an unknown type".to_owned()),
        }
    }

    fn act(&mut self, deed: Deed, now: Moment) {
        match deed {
            Deed::CallerStarts => {
                let item = self.draw("item");
                let at_ms = self.log.heard_ms;
                let fields = json!({ "audio_start_ms": at_ms, "item_id": item });
                self.send(now, event("input_audio_buffer.speech_started", fields));
                self.turn = Some(item);
                let turns = &self.log.session["audio"]["input"]["turn_detection"];
                if !turns.is_null() && turns["interrupt_response"] != false {
                    self.cancel("turn_detected", now);
                }
            }
            Deed::CallerStops(words) => self.caller_stops(words, now),
            Deed::Says(speech) => self.say(&speech, now),
            Deed::Calls { name, arguments } => self.call(&name, &arguments, now),
            Deed::Fails(code) => {
                let error =
                    json!({ "type": "invalid_request_error", "code": code, "message": "as scripted" });
                self.send(now, event("error", json!({ "error": error })));
            }
            Deed::Writes(text) => self.put(now, text),
            Deed::Closes(code) => self.closed = Some(code),
        }
    }

    fn caller_stops(&mut self, words: Option<String>, now: Moment) {
        let item = self.turn.take().unwrap_or_default();
        let at_ms = self.log.heard_ms;
        let fields = json!({ "audio_end_ms": at_ms, "item_id": item });
        self.send(now, event("input_audio_buffer.speech_stopped", fields));
        self.send(now, event("input_audio_buffer.committed", json!({ "item_id": item })));
        let Some(words) = words else { return };
        let kind = "conversation.item.input_audio_transcription";
        let delta = json!({ "item_id": item, "content_index": 0, "delta": words });
        self.send(now, event(&format!("{kind}.delta"), delta));
        let whole = json!({ "item_id": item, "content_index": 0, "transcript": words });
        self.send(now, event(&format!("{kind}.completed"), whole));
    }

    /// Puts a whole response on its way, [`SPEED`] times as fast as it sounds.
    fn say(&mut self, speech: &Speech, now: Moment) {
        let (response, item) = (self.draw("resp"), self.draw("item"));
        let place = |mut fields: Value| {
            for (name, value) in [("response_id", json!(response)), ("item_id", json!(item))] {
                fields[name] = value;
            }
            fields["output_index"] = json!(0);
            fields["content_index"] = json!(0);
            fields
        };
        let created = json!({ "response": { "id": response, "status": "in_progress", "output": [] } });
        self.send(now, event("response.created", created));
        let words = speech.text.split_inclusive(' ');
        for delta in words {
            let fields = place(json!({ "delta": delta }));
            self.send(now, event("response.output_audio_transcript.delta", fields));
        }
        let mut at = now;
        let mut left = speech.length;
        while !left.is_zero() {
            let piece = left.min(PIECE);
            let audio = vec![0x31; piece.as_millis() as usize * self.bytes_per_ms];
            let fields = place(json!({ "delta": STANDARD.encode_to_string(audio) }));
            self.send(at, event("response.output_audio.delta", fields));
            at = at + piece / SPEED;
            left -= piece;
        }
        let transcript = place(json!({ "transcript": speech.text }));
        self.send(at, event("response.output_audio_transcript.done", transcript));
        let done = json!({ "response": { "id": response, "status": "completed", "output": [] } });
        self.send(at, event("response.done", done));
        self.log.said.push(SaidItem { id: item, text: speech.text.clone(), sent_ms: 0, at: now });
        self.saying = Some((response, at));
    }

    fn call(&mut self, name: &str, arguments: &str, now: Moment) {
        let (response, item, call) = (self.draw("resp"), self.draw("item"), self.draw("call"));
        let created = json!({ "response": { "id": response, "status": "in_progress", "output": [] } });
        self.send(now, event("response.created", created));
        let fields = json!({
            "response_id": response, "item_id": item, "output_index": 0, "call_id": call, "name": name,
            "arguments": arguments,
        });
        self.send(now, event("response.function_call_arguments.done", fields));
        let output = json!([{
            "id": item, "type": "function_call", "call_id": call, "name": name, "arguments": arguments,
        }]);
        let done = json!({ "response": { "id": response, "status": "completed", "output": output } });
        self.send(now, event("response.done", done));
    }

    /// Ends what is being said; its audio that has not left never does.
    fn cancel(&mut self, reason: &str, now: Moment) {
        let Some((response, _)) = self.saying.take().filter(|(_, until)| *until > now) else { return };
        self.outgoing.retain(|(at, message)| *at <= now || !message.contains(&response));
        let details = json!({ "type": "cancelled", "reason": reason });
        let done = json!({ "id": response, "status": "cancelled", "status_details": details, "output": [] });
        self.send(now, event("response.done", json!({ "response": done })));
    }

    /// Counts audio when it leaves.
    fn note_sent(&mut self, message: &str, at: Moment) {
        let Ok(message) = serde_json::from_str::<Value>(message) else { return };
        if message["type"] == "response.output_audio.delta" {
            let audio =
                STANDARD.decode_to_vec(message["delta"].as_str().unwrap_or_default()).unwrap_or_default();
            if let Some(said) = self.log.said.iter_mut().find(|said| message["item_id"] == said.id) {
                if said.sent_ms == 0 {
                    said.at = at;
                }
                said.sent_ms += (audio.len() / self.bytes_per_ms) as u64;
            }
        }
        let is_end = message["type"] == "response.done";
        if is_end && self.saying.as_ref().is_some_and(|(response, _)| message["response"]["id"] == *response)
        {
            self.saying = None;
        }
    }

    fn send(&mut self, at: Moment, message: Value) {
        self.put(at, message.to_string());
    }

    fn put(&mut self, at: Moment, message: String) {
        // In the order of their moments; of one moment in the order in which they were said.
        let behind = self.outgoing.iter().rposition(|(other, _)| *other <= at).map_or(0, |place| place + 1);
        self.outgoing.insert(behind, (at, message));
    }

    fn draw(&mut self, prefix: &str) -> String {
        self.numbers += 1;
        format!("{prefix}_{}", self.numbers)
    }
}

/// An event of that type with those fields.
fn event(kind: &str, mut fields: Value) -> Value {
    fields["type"] = json!(kind);
    fields["event_id"] = json!("event_x");
    fields
}

/// Audio in one message.
const PIECE: Duration = Duration::from_millis(100);

/// How much faster than it sounds audio is sent.
const SPEED: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(sim: &mut EngineSim, until: Moment) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(due) = sim.poll_timeout().filter(|due| *due <= until) {
            all.extend(std::iter::from_fn(|| sim.poll(due)).map(|text| serde_json::from_str(&text).unwrap()));
        }
        all
    }

    #[test]
    fn an_engine_greets_when_asked_and_stops_when_the_caller_speaks() {
        let mut sim = EngineSim::new("answer 4000ms Hello there\n+200ms caller starts\n", Moment::START);
        assert_eq!(drained(&mut sim, Moment::START)[0]["type"], "session.created");
        let session = r#"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcmu"},"turn_detection":{"type":"server_vad"}},"output":{"format":{"type":"audio/pcmu"}}}}}"#;
        sim.hear(session, Moment::START);
        sim.hear(r#"{"type":"response.create","response":{"instructions":"Greet."}}"#, Moment::START);
        let messages = drained(&mut sim, Moment::from_millis(1_000));
        assert_eq!(messages.last().unwrap()["response"]["status"], "cancelled");
        let sent_ms = sim.log.said[0].sent_ms;
        assert!((1_600..=1_800).contains(&sent_ms), "{sent_ms}");
        let now = Moment::from_millis(1_000);
        let truncate = |ms: u64| {
            json!({ "type": "conversation.item.truncate", "item_id": "item_2", "content_index": 0, "audio_end_ms": ms })
                .to_string()
        };
        sim.hear(&truncate(180), now);
        sim.hear(&truncate(sent_ms + 1), now);
        assert_eq!(sim.log.truncated, [("item_2".to_owned(), 180, now)]);
        assert_eq!(sim.log.violations.len(), 1, "{:?}", sim.log.violations);
    }
}
