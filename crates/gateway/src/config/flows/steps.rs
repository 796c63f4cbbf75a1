//! One step of a flow: which it is, and its keys.

use std::time::Duration;

use patchcord_core::flow::{Ask, Gather, Menu, Step, Target};
use patchcord_core::vocabulary::Digit;

use super::super::problem::{Refusal, nearest};
use super::clips::Clips;
use super::fields::Fields;
use super::hours;
use super::people::{self, CallQueue};
use super::targets::Names;

/// Reads a step of the flow number `flow`.
pub(super) fn read(
    fields: &Fields<'_>,
    names: &Names<'_>,
    flow: usize,
    (clips, queues): (&mut Clips<'_>, &mut Vec<CallQueue>),
) -> Option<Step> {
    fields.make("label", |label| names.check_label(label, flow));
    let kind = kind(fields)?;
    let known: Vec<&str> = ["label", kind].into_iter().chain(keys_of(kind).iter().copied()).collect();
    fields.check_known(&known);
    match kind {
        "play" => fields.make("play", |text| clips.find(text)).map(Step::Play),
        "menu" => menu(fields, names, flow, clips).map(Step::Menu),
        "gather" => gather(fields, names, flow, clips).map(Step::Gather),
        "bot" => match fields.make("bot", |name| names.target(&format!("bot:{name}"), flow))? {
            Target::Bot(name) => Some(Step::Bot(name)),
            _ => None,
        },
        "dial" => people::dial(fields, names).map(Step::Dial),
        "queue" => people::queue(fields, names, flow, clips, queues).map(Step::Queue),
        "voicemail" => people::voicemail(fields, clips).map(Step::Voicemail),
        "hours" => hours::read(fields, names, flow),
        _ => {
            if !fields.value::<bool>("hangup")? {
                fields.refuse("hangup", Refusal::new("hangup = false does nothing", "true, or leave it out"));
            }
            Some(Step::HangUp)
        }
    }
}

/// The one thing that a step does.
fn kind(fields: &Fields<'_>) -> Option<&'static str> {
    let mut found = KINDS.into_iter().filter(|kind| fields.has(kind));
    match (found.next(), found.next()) {
        (Some(kind), None) => Some(kind),
        (Some(one), Some(other)) => {
            let what = format!("one step does both {one} and {other}");
            fields.refuse(other, Refusal::new(what, "make two steps of it"));
            None
        }
        (None, _) => {
            let meant = fields.keys().find_map(|key| nearest(key, KINDS.into_iter()));
            let cure = format!("one of: {}", KINDS.join(", "));
            let refusal =
                Refusal { did_you_mean: meant, ..Refusal::new("a step that does nothing known", cure) };
            fields.report.refuse(&fields.path, &fields.place, refusal);
            None
        }
    }
}

fn menu(fields: &Fields<'_>, names: &Names<'_>, flow: usize, clips: &mut Clips<'_>) -> Option<Menu> {
    let ask = ask("menu", fields, clips);
    let keys = fields.entries("keys", |key, text| {
        let digit = Digit::try_from(key).map_err(|_| no_key(key))?;
        Ok((digit, names.target(text, flow)?))
    });
    if fields.node("keys").is_none() || fields.table("keys").is_some_and(|keys| keys.keys().next().is_none())
    {
        let cure = "say where they lead: keys = { \"1\" = \"bot:sales\" }";
        fields.refuse("keys", Refusal::new("a menu without keys", cure));
    }
    Some(Menu { ask: ask?, keys, otherwise: otherwise(fields, names, flow)? })
}

fn gather(fields: &Fields<'_>, names: &Names<'_>, flow: usize, clips: &mut Clips<'_>) -> Option<Gather> {
    let ask = ask("gather", fields, clips);
    fields.require("name", "name the custom parameter that bots get the digits by");
    let name: Option<String> = fields.value("name");
    if name.as_ref().is_some_and(|name| name.len() > PARAMETER_BYTES_MAX) {
        fields.refuse("name", Refusal::new("this is too long for a name", "at most 64 bytes"));
    }
    let (min, max) = (fields.value_or("min", 1_u32), fields.value_or("max", GATHER_DIGITS_MAX));
    if min == 0 || min > max || max > GATHER_DIGITS_MAX {
        let cure = format!("1 to {GATHER_DIGITS_MAX}, min no greater than max");
        fields.refuse("min", Refusal::new(format!("{min} to {max} digits cannot be keyed in"), cure));
    }
    let terminator = match fields.make("terminator", terminator) {
        Some(terminator) => terminator,
        None => Some(Digit::HASH),
    };
    Some(Gather {
        ask: ask?,
        name: name?.into(),
        min: usize::try_from(min).ok()?,
        max: usize::try_from(max).ok()?,
        terminator,
        otherwise: otherwise(fields, names, flow)?,
    })
}

/// What menu and gather have in common; the prompt stands under the step's own name.
fn ask(kind: &str, fields: &Fields<'_>, clips: &mut Clips<'_>) -> Option<Ask> {
    let prompt = fields.make(kind, |text| clips.find(text));
    let invalid = match fields.has("invalid") {
        true => fields.make("invalid", |text| clips.find(text)),
        false => Some(clips.invalid()),
    };
    let timeout = fields.value_or("timeout", Duration::from_secs(5));
    if timeout.is_zero() || timeout > ASK_TIMEOUT_MAX {
        fields.refuse("timeout", Refusal::new("nobody can answer in this time", "up to 5m"));
    }
    let retries = fields.value_or("retries", 2);
    if retries > RETRIES_MAX {
        fields.refuse("retries", Refusal::new(format!("{retries} retries are too many"), "at most 10"));
    }
    Some(Ask { prompt: prompt?, invalid: invalid?, timeout, retries })
}

fn otherwise(fields: &Fields<'_>, names: &Names<'_>, flow: usize) -> Option<Target> {
    match fields.has("otherwise") {
        true => fields.make("otherwise", |text| names.target(text, flow)),
        false => Some(Target::Next),
    }
}

fn terminator(text: &str) -> Result<Option<Digit>, Refusal> {
    match text {
        "none" => Ok(None),
        key => Digit::try_from(key).map(Some).map_err(|_| no_key(key)),
    }
}

fn no_key(key: &str) -> Refusal {
    Refusal::new(format!("\"{key}\" is not a key of the telephone"), "one of 0-9, *, #, A-D")
}

fn keys_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "menu" => &["keys", "timeout", "retries", "invalid", "otherwise"],
        "gather" => &["name", "min", "max", "terminator", "timeout", "retries", "invalid", "otherwise"],
        _ => &[],
    }
}

/// What a step can do.
const KINDS: [&str; 9] = ["play", "menu", "gather", "dial", "bot", "queue", "voicemail", "hours", "hangup"];

/// Every key that can stand in a step.
pub(in super::super) const STEP_KEYS: [&str; 19] = [
    "label",
    "play",
    "menu",
    "gather",
    "dial",
    "bot",
    "queue",
    "voicemail",
    "hours",
    "hangup",
    "keys",
    "timeout",
    "retries",
    "invalid",
    "otherwise",
    "name",
    "min",
    "max",
    "terminator",
];

/// The longest name of a parameter.
const PARAMETER_BYTES_MAX: usize = 64;
/// Digits that one step can gather.
const GATHER_DIGITS_MAX: u32 = 64;
/// The longest that a caller may take for a key.
const ASK_TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// How often something is asked again.
const RETRIES_MAX: u32 = 10;
