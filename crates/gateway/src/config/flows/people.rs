//! The steps that lead to people: `dial`, `queue`, `voicemail`.

use std::time::Duration;

use patchcord_core::flow::{Queue, Target, Voicemail};
use patchcord_core::vocabulary::{Callee, DialOrder, FlowDial, PhoneNumber};

use super::super::problem::Refusal;
use super::clips::Clips;
use super::fields::Fields;
use super::targets::{Names, check_word};

/// A line in which callers wait, as the shell that serves it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallQueue {
    /// Its name, which no other has.
    pub name: String,
    /// The extensions that take its calls.
    pub agents: Vec<String>,
    /// Whether all that are free ring, or one after the other.
    pub order: DialOrder,
    /// Callers that may wait.
    pub max_callers: usize,
}

/// Reads the step `dial`: `dial = "101"` or `dial = { to = [...], order = "all", ring = "20s" }`.
pub(super) fn dial(step: &Fields<'_>, names: &Names<'_>) -> Option<FlowDial> {
    if step.is_text("dial") {
        let callee = step.make("dial", |text| names.callee(text))?;
        return Some(FlowDial { to: vec![callee], order: DialOrder::AllAtOnce, ring: RING });
    }
    let fields = step.table("dial")?;
    fields.check_known(&["to", "order", "ring"]);
    let to = fields.list("to", |text| names.callee(text));
    if !fields.has("to") || fields.is_empty_list("to") {
        fields.refuse("to", Refusal::new("nobody is called", "name them: to = [\"101\", \"919876543210\"]"));
    }
    if to.len() > CALLEES_MAX {
        fields.refuse("to", Refusal::new(format!("{} are too many", to.len()), "at most 10"));
    }
    Some(FlowDial { to, order: order(&fields), ring: ring(&fields) })
}

/// Reads the step `queue` of the flow number `flow`; adds the line to `queues`.
pub(super) fn queue(
    step: &Fields<'_>,
    names: &Names<'_>,
    flow: usize,
    clips: &mut Clips<'_>,
    queues: &mut Vec<CallQueue>,
) -> Option<Queue> {
    let fields = step.table("queue")?;
    fields.check_known(&[
        "name",
        "agents",
        "order",
        "ring",
        "greeting",
        "music",
        "announce",
        "max_wait",
        "max_callers",
        "overflow",
    ]);
    let own = names.flows.get(flow).map_or("", |(name, _)| name);
    let name = fields.value_or("name", own.to_owned());
    if let Err(refusal) = check_word(&name) {
        fields.refuse("name", refusal);
    }
    if queues.iter().any(|other| other.name == name) {
        let what = format!("there is a queue \"{name}\" already");
        fields.refuse("name", Refusal::new(what, "give each a name of its own, or lead to the one there is"));
    }
    let agents = fields.list("agents", |number| names.extension(number));
    if !fields.has("agents") || fields.is_empty_list("agents") {
        fields
            .refuse("agents", Refusal::new("nobody takes the calls", "name extensions: agents = [\"101\"]"));
    }
    let greeting = clip(&fields, "greeting", "clip:queue", clips);
    let music = clip(&fields, "music", "clip:music", clips);
    let announce = fields.value_or("announce", Duration::from_secs(30));
    let max_wait = bounded(&fields, "max_wait", Duration::from_secs(600), WAIT_MAX);
    let max_callers = fields.value_or("max_callers", 20_u32);
    if !(1..=CALLERS_MAX).contains(&max_callers) {
        let cure = format!("a number from 1 to {CALLERS_MAX}");
        fields.refuse("max_callers", Refusal::new("no caller, or too many", cure));
    }
    let overflow = match fields.has("overflow") {
        true => fields.make("overflow", |text| names.target(text, flow)),
        false => Some(Target::Next),
    };
    let order = order(&fields);
    let max_callers = usize::try_from(max_callers).ok()?;
    queues.push(CallQueue { name: name.clone(), agents, order, max_callers });
    Some(Queue {
        name: name.into(),
        greeting: greeting?,
        music: music?,
        announce: (!announce.is_zero()).then_some(announce),
        ring: ring(&fields),
        max_wait,
        overflow: overflow?,
    })
}

/// Reads the step `voicemail`.
pub(super) fn voicemail(step: &Fields<'_>, clips: &mut Clips<'_>) -> Option<Voicemail> {
    let fields = step.table("voicemail")?;
    fields.check_known(&["greeting", "max", "min", "silence"]);
    let greeting = clip(&fields, "greeting", "clip:voicemail", clips);
    let max = bounded(&fields, "max", Duration::from_secs(120), MESSAGE_MAX);
    let min = fields.value_or("min", Duration::from_secs(2));
    if min > max {
        fields.refuse("min", Refusal::new("longer than a message may be", "no more than max"));
    }
    let silence = bounded(&fields, "silence", Duration::from_secs(5), MESSAGE_MAX);
    Some(Voicemail { greeting: greeting?, max, min, silence })
}

fn order(fields: &Fields<'_>) -> DialOrder {
    let order = fields.make("order", |text| match text {
        "all" => Ok(DialOrder::AllAtOnce),
        "one_by_one" => Ok(DialOrder::OneByOne),
        _ => Err(Refusal::unknown("order", text, &["all", "one_by_one"])),
    });
    order.unwrap_or(DialOrder::AllAtOnce)
}

fn ring(fields: &Fields<'_>) -> Duration {
    bounded(fields, "ring", RING, RING_MAX)
}

/// A duration from a second to `max`.
fn bounded(fields: &Fields<'_>, key: &str, default: Duration, max: Duration) -> Duration {
    let value = fields.value_or(key, default);
    if value < Duration::from_secs(1) || value > max {
        let cure = format!("1s to {}s", max.as_secs());
        fields.refuse(key, Refusal::new("too short or too long", cure));
    }
    value
}

fn clip(
    fields: &Fields<'_>,
    key: &str,
    default: &str,
    clips: &mut Clips<'_>,
) -> Option<patchcord_core::flow::Clip> {
    match fields.has(key) {
        true => fields.make(key, |text| clips.find(text)),
        false => clips.find(default).ok(),
    }
}

impl Names<'_> {
    /// Whom `text` means: an extension, or a number that a trunk may dial.
    pub(super) fn callee(&self, text: &str) -> Result<Callee, Refusal> {
        match text.split_once(':') {
            Some(("extension", number)) => {
                self.extension(number).map(|number| Callee::Extension(number.into()))
            }
            Some(("transfer", number)) => self.phone(number),
            Some(_) | None if self.extensions.contains(&text) => Ok(Callee::Extension(text.into())),
            Some(_) | None => self.phone(text),
        }
    }

    fn extension(&self, number: &str) -> Result<String, Refusal> {
        if self.extensions.contains(&number) {
            return Ok(number.to_owned());
        }
        let refusal = Refusal::unknown("extension", number, &self.extensions);
        let cure =
            if self.extensions.is_empty() { "write it: [[extensions]]".to_owned() } else { refusal.cure };
        Err(Refusal { cure, ..refusal })
    }

    fn phone(&self, number: &str) -> Result<Callee, Refusal> {
        if self.trunks.iter().any(|trunk| trunk.may_dial(number)) {
            return Ok(Callee::Phone(PhoneNumber::new(number)));
        }
        Err(Refusal::new(
            "this is no extension, and no trunk may dial it",
            "an extension of [[extensions]], or a number that a trunk's allow lets through",
        ))
    }
}

/// How long somebody may ring where nothing else is said.
const RING: Duration = Duration::from_secs(20);
/// The longest that anybody may ring.
const RING_MAX: Duration = Duration::from_secs(120);
/// Those that one step calls.
const CALLEES_MAX: usize = 10;
/// The longest wait in a queue.
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// Callers that may wait in one queue.
const CALLERS_MAX: u32 = 1_000;
/// The longest message.
const MESSAGE_MAX: Duration = Duration::from_secs(600);
