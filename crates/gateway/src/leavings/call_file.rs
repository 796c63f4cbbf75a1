//! What is left of a call with an agent beside its transcript: its record, its figures, what was learned, who was told.

use patchcord_core::agent::analytics::{Analytics, Pair, ResponseTimes};
use patchcord_core::vocabulary::{Utterance, iso8601};
use serde::Serialize;
use serde_json::{Map, Value};

use super::transcript::{Line, in_order, role_word};
use super::{Found, milliseconds, ucid};
use crate::store::{CallFileNames, FieldsState, StoredCall, StoredDelivery, StoredFields};

/// The file: every field of the call's line in `calls.jsonl`, and these. See `docs/schemas/call.schema.json`.
#[derive(Serialize)]
pub(super) struct CallFile<'a> {
    #[serde(flatten)]
    record: Map<String, Value>,
    ucid: &'a str,
    agent: &'a str,
    duration_ms: u64,
    analytics: Figures,
    fields: Map<String, Value>,
    field_reasons: Map<String, Value>,
    extraction: &'static str,
    files: Option<Files<'a>>,
    deliveries: Vec<Delivery<'a>>,
}

/// A call's analytics.
#[derive(Serialize)]
struct Figures {
    duration_ms: u64,
    caller_talk_ms: u64,
    bot_talk_ms: u64,
    utterances: usize,
    turns: BySide,
    question_answer_pairs: usize,
    pairs: Vec<PlacedPair>,
    interruptions: BySide,
    response_ms: Responses,
}

#[derive(Serialize)]
struct BySide {
    caller: usize,
    bot: usize,
}

#[derive(Serialize)]
struct PlacedPair {
    asked_by: &'static str,
    question: usize,
    answer: usize,
}

#[derive(Serialize)]
struct Responses {
    each: Vec<u64>,
    mean: Option<u64>,
    p50: Option<u64>,
    p95: Option<u64>,
}

#[derive(Serialize)]
struct Files<'a> {
    transcript: &'a str,
    call: &'a str,
}

#[derive(Serialize)]
struct Delivery<'a> {
    id: &'a str,
    event: &'static str,
    state: &'static str,
    attempts: u32,
    last_status: Option<u16>,
    last_at: Option<String>,
}

impl<'a> CallFile<'a> {
    pub(super) fn of(found: &'a Found) -> Self {
        let Found { call, utterances, fields, names, deliveries } = found;
        let record = call.record.as_deref().and_then(|line| serde_json::from_str(line).ok());
        let duration_ms = call.ended_ms.unwrap_or(call.started_ms).saturating_sub(call.started_ms);
        let (fields, field_reasons, state) = learned(fields.as_ref());
        Self {
            record: record.unwrap_or_else(|| bare(call)),
            ucid: ucid(call),
            agent: &call.bot,
            duration_ms,
            analytics: Figures::of(utterances.clone(), duration_ms),
            fields,
            field_reasons,
            extraction: state.word(),
            files: names.as_ref().map(Files::of),
            deliveries: deliveries.iter().map(Delivery::of).collect(),
        }
    }

    /// The same with what was said, on one line.
    pub(super) fn with(&self, conversation: &[Line]) -> String {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            file: &'a CallFile<'a>,
            conversation: &'a [Line],
        }
        // As below.
        serde_json::to_string(&Told { file: self, conversation }).unwrap_or_default()
    }

    /// As it stands in the file.
    pub(super) fn json(&self) -> String {
        // Maps with text for keys, strings and numbers: serialisation into memory has nothing to fail at.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// What is said of a call whose record is lost.
fn bare(call: &StoredCall) -> Map<String, Value> {
    [
        ("call_id", call.call_id.as_str()),
        ("from", &call.from),
        ("to", &call.to),
        ("bot", &call.bot),
        ("status", call.status.word()),
        ("started_at", &iso8601(call.started_ms)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Value::from(value)))
    .collect()
}

/// What is known of a call's fields, why others are `null`, and where the extraction stands.
///
/// What the bot noted, and over it what was extracted: a field that the extraction did not find keeps the bot's note.
pub fn learned(known: Option<&StoredFields>) -> (Map<String, Value>, Map<String, Value>, FieldsState) {
    let Some(known) = known else { return (Map::new(), Map::new(), FieldsState::Absent) };
    let mut fields = known.saved.clone();
    for (name, value) in &known.fields {
        if !value.is_null() || !fields.contains_key(name) {
            fields.insert(name.clone(), value.clone());
        }
    }
    let is_open = |name: &String| fields.get(name).is_none_or(Value::is_null);
    let reasons = known.reasons.iter().filter(|(name, _)| is_open(name));
    let reasons = reasons.map(|(name, why)| (name.clone(), why.clone())).collect();
    (fields, reasons, known.state)
}

impl Figures {
    fn of(utterances: Vec<Utterance>, duration_ms: u64) -> Self {
        let utterances = in_order(utterances);
        let figures = Analytics::of(&utterances);
        Self {
            duration_ms,
            caller_talk_ms: milliseconds(figures.caller_talk),
            bot_talk_ms: milliseconds(figures.bot_talk),
            utterances: utterances.len(),
            turns: BySide { caller: figures.caller_turns, bot: figures.bot_turns },
            question_answer_pairs: figures.pairs.len(),
            pairs: figures.pairs.iter().map(PlacedPair::of).collect(),
            interruptions: BySide {
                caller: figures.interruptions_by_caller,
                bot: figures.interruptions_by_bot,
            },
            response_ms: Responses::of(&figures.responses),
        }
    }
}

impl PlacedPair {
    fn of(pair: &Pair) -> Self {
        Self { asked_by: role_word(pair.asked_by), question: pair.question, answer: pair.answer }
    }
}

impl Responses {
    fn of(times: &ResponseTimes) -> Self {
        Self {
            each: times.each.iter().copied().map(milliseconds).collect(),
            mean: times.mean.map(milliseconds),
            p50: times.p50.map(milliseconds),
            p95: times.p95.map(milliseconds),
        }
    }
}

impl<'a> Files<'a> {
    fn of(names: &'a CallFileNames) -> Self {
        Self { transcript: &names.transcript, call: &names.record }
    }
}

impl<'a> Delivery<'a> {
    fn of(delivery: &'a StoredDelivery) -> Self {
        Self {
            id: &delivery.event_id,
            event: delivery.name.word(),
            state: delivery.state.word(),
            attempts: delivery.attempts,
            last_status: delivery.last_status,
            last_at: delivery.last_at_ms.map(iso8601),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{call, talk};
    use super::*;
    use serde_json::json;

    fn found(fields: Option<StoredFields>) -> Found {
        Found {
            call: call(),
            utterances: talk(),
            fields,
            names: Some(CallFileNames { transcript: "t.json".into(), record: "c.json".into() }),
            deliveries: Vec::new(),
        }
    }

    fn file(found: &Found) -> Value {
        serde_json::from_str(&CallFile::of(found).json()).unwrap()
    }

    #[test]
    fn a_call_file_is_the_record_and_what_the_conversation_was() {
        let file = file(&found(None));
        assert_eq!((&file["call_id"], &file["ucid"]), (&"call_1".into(), &"CALL/1".into()));
        assert_eq!((&file["from"], &file["duration_ms"]), (&"9876543210".into(), &65_432.into()));
        assert_eq!(file["cause"]["reason"], "caller_hung_up");
        let analytics = &file["analytics"];
        assert_eq!(analytics["turns"], json!({"caller": 1, "bot": 2}));
        assert_eq!(analytics["question_answer_pairs"], 2);
        assert_eq!(analytics["response_ms"], json!({"each": [450], "mean": 450, "p50": 450, "p95": 450}));
        assert_eq!(file["files"], json!({"transcript": "t.json", "call": "c.json"}));
        assert_eq!((&file["fields"], &file["extraction"]), (&json!({}), &"absent".into()));
    }

    #[test]
    fn what_was_extracted_counts_and_what_it_did_not_find_is_what_the_bot_noted() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let known = StoredFields {
            saved: object(json!({"city": "Pune", "name": "Gulshan"})),
            fields: object(json!({"city": null, "name": "Gulshan Mehta", "model": null})),
            reasons: object(json!({"city": "not said", "model": "not said"})),
            state: FieldsState::Final,
            updated_ms: 1,
        };
        let file = file(&found(Some(known)));
        assert_eq!(file["fields"], json!({"city": "Pune", "name": "Gulshan Mehta", "model": null}));
        assert_eq!(file["field_reasons"], json!({"model": "not said"}));
        assert_eq!(file["extraction"], "final");
    }
}
