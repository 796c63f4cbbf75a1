//! A call as spans: the call itself, the way to its bot, every turn from the caller's end to the bot's beginning, every
//! transfer with its legs.
//!
//! Ids are hashes of the call's id: whoever knows the call finds its trace, and a call that is exported twice is one trace.

use patchcord_core::vocabulary::{
    CallRecord, CauseClass, Direction, Happening, Moment, Role, Timeline, TransferReport, Utterance,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::EndedTrace;
use super::attributes::{Attributes, Content};
use crate::hex::hex;

/// The spans of one call, and what was said in it as events of the first; numbers and words only where `content` says so.
pub(super) fn spans(ended: &EndedTrace, utterances: &[Utterance], content: Content) -> Vec<Value> {
    let mut trace = Trace::of(&ended.record);
    let root = trace.root(&ended.record, ended.timeline.as_deref(), utterances, content);
    let mut spans = vec![root];
    if let Some(timeline) = ended.timeline.as_deref() {
        spans.extend(trace.bot_connect(&ended.record, timeline));
        spans.extend(trace.turns(timeline));
    }
    for transfer in &ended.record.transfers {
        trace.transfer(&ended.record, transfer, content, &mut spans);
    }
    spans
}

/// One trace that is being written.
struct Trace {
    call_id: Box<str>,
    id: String,
    root: String,
    /// Milliseconds since 1970 of the call's first sign.
    began_ms: u64,
    count: u32,
}

impl Trace {
    fn of(record: &CallRecord) -> Self {
        let call_id: Box<str> = record.call_id.as_str().into();
        let id = hash(&call_id, "trace", 16);
        let root = hash(&call_id, "0", 8);
        Self { call_id, id, root, began_ms: record.clock.unix_ms(record.started_at), count: 0 }
    }

    fn root(
        &self,
        record: &CallRecord,
        timeline: Option<&Timeline>,
        utterances: &[Utterance],
        content: Content,
    ) -> Value {
        let happened = |wanted: fn(&Happening) -> bool| {
            let entries = timeline.map_or(&[][..], |timeline| &timeline.entries);
            entries.iter().filter(|entry| wanted(&entry.what)).count() as u64
        };
        let row = record.cause.row();
        let mut attributes = Attributes::default()
            .text("patchcord.call_id", &self.call_id)
            .text("patchcord.bot", &record.bot)
            .text("patchcord.direction", direction(record.direction))
            .text("patchcord.phone_dialect", &record.phone_dialect)
            .text("patchcord.bot_dialect", &record.bot_dialect)
            .text("patchcord.cause.class", row.class.word())
            .text("patchcord.cause.reason", row.word)
            .text("patchcord.hung_up_by", record.hung_up_by.word())
            .whole("patchcord.q850", record.q850().into())
            .whole("patchcord.turns", record.quality.response.count)
            .whole("patchcord.barge_ins", happened(|what| matches!(what, Happening::BargeIn)))
            .whole("patchcord.digits_in", record.counters.digits_in)
            .number("patchcord.heard_s", record.counters.heard_ms as f64 / 1_000.0)
            .number("patchcord.played_s", record.counters.played_ms as f64 / 1_000.0);
        if let Some(answered) = record.answered_at {
            let after = (answered - record.started_at).as_secs_f64();
            attributes = attributes.number("patchcord.answered_after_s", after);
        }
        let attributes =
            attributes.pii(content, "from", record.from.as_str()).pii(content, "to", record.to.as_str());
        let events = utterances.iter().map(|utterance| self.utterance(utterance, content));
        let events: Vec<_> = events.collect();
        let failed = matches!(row.class, CauseClass::Bot | CauseClass::Upstream | CauseClass::Us);
        // OTLP's codes: 1 is good, 2 an error.
        let status = if failed { json!({ "code": 2, "message": row.word }) } else { json!({ "code": 1 }) };
        let ends_ms = record.clock.unix_ms(record.ended_at);
        json!({
            "traceId": self.id, "spanId": self.root, "name": "call", "kind": SERVER,
            "startTimeUnixNano": nanos(self.began_ms), "endTimeUnixNano": nanos(ends_ms),
            "attributes": attributes.into_json(), "events": events, "status": status,
        })
    }

    fn utterance(&self, utterance: &Utterance, content: Content) -> Value {
        let role = match utterance.role {
            Role::Caller => "caller",
            Role::Bot => "bot",
        };
        let start_ms = millis(utterance.start);
        let attributes = Attributes::default()
            .text("patchcord.role", role)
            .number("patchcord.spoken_s", utterance.end.saturating_sub(utterance.start).as_secs_f64())
            .pii(content, "text", &utterance.text);
        json!({
            "name": "utterance", "timeUnixNano": nanos(self.began_ms + start_ms),
            "attributes": attributes.into_json(),
        })
    }

    /// From the call's beginning, or of a call out from its answer if the bot came after it, to every bot that connected.
    fn bot_connect(&mut self, record: &CallRecord, timeline: &Timeline) -> Option<Value> {
        let connected =
            timeline.entries.iter().find(|entry| matches!(entry.what, Happening::BotConnected))?;
        let ends = self.began_ms + u64::from(connected.at_ms);
        let answered = record.answered_at.map(|at| record.clock.unix_ms(at));
        let begins = answered.filter(|at| record.direction == Direction::Outbound && *at <= ends);
        let attributes = Attributes::default().text("patchcord.bot_dialect", &record.bot_dialect);
        let root = self.root.clone();
        Some(self.span("bot connect", CLIENT, (begins.unwrap_or(self.began_ms), ends), &root, attributes).0)
    }

    fn turns(&mut self, timeline: &Timeline) -> Vec<Value> {
        let answers = timeline.entries.iter().filter_map(|entry| match entry.what {
            Happening::Answered { after_ms } => Some((entry.at_ms, after_ms)),
            _ => None,
        });
        let root = self.root.clone();
        let turn = |(number, (at, after)): (u64, (u32, u32))| {
            let ends = self.began_ms + u64::from(at);
            let attributes = Attributes::default()
                .whole("patchcord.turn", number)
                .number("patchcord.response_s", f64::from(after) / 1_000.0);
            let times = (ends.saturating_sub(after.into()), ends);
            self.span("turn", INTERNAL, times, &root, attributes).0
        };
        (1..).zip(answers).map(turn).collect()
    }

    fn transfer(
        &mut self,
        record: &CallRecord,
        transfer: &TransferReport,
        content: Content,
        spans: &mut Vec<Value>,
    ) {
        let times = |began: Moment, ended: Option<Moment>| {
            (record.clock.unix_ms(began), record.clock.unix_ms(ended.unwrap_or(record.ended_at)))
        };
        let attributes = Attributes::default()
            .whole("patchcord.transfer", transfer.sequence.into())
            .text("patchcord.transfer.status", transfer.status.word());
        let root = self.root.clone();
        let span_times = times(transfer.started_at, transfer.ended_at);
        let (span, id) = self.span("transfer", INTERNAL, span_times, &root, attributes);
        spans.push(span);
        for leg in &transfer.legs {
            let mut attributes = Attributes::default().text("patchcord.leg.status", leg.status.word()).pii(
                content,
                "to",
                &leg.destination,
            );
            if let Some(q850) = leg.q850 {
                attributes = attributes.whole("patchcord.q850", q850.into());
            }
            spans.push(
                self.span("transfer leg", CLIENT, times(leg.started_at, leg.ended_at), &id, attributes).0,
            );
        }
    }

    /// A span below `parent`, and its id.
    fn span(
        &mut self,
        name: &str,
        kind: u8,
        (begins, ends): (u64, u64),
        parent: &str,
        attributes: Attributes,
    ) -> (Value, String) {
        self.count += 1;
        let id = hash(&self.call_id, &self.count.to_string(), 8);
        let span = json!({
            "traceId": self.id, "spanId": id, "parentSpanId": parent, "name": name, "kind": kind,
            "startTimeUnixNano": nanos(begins), "endTimeUnixNano": nanos(ends.max(begins)),
            "attributes": attributes.into_json(), "status": {},
        });
        (span, id)
    }
}

fn hash(call_id: &str, of: &str, bytes: usize) -> String {
    let digest = Sha256::digest(format!("{call_id}\n{of}"));
    hex(digest.get(..bytes).unwrap_or_default())
}

fn nanos(ms: u64) -> String {
    (u128::from(ms) * 1_000_000).to_string()
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

/// OTLP's kinds of spans.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
