//! The mapping of seed 000 §9: which messages carry a call's audio and events on a wire that somebody else designed.
//!
//! Read from the keys as they stand on the wire and in configurations; every problem is told at once, with its key
//! and its place in the key's text.

use std::fmt;

use serde_json::{Map, Value};

use super::slot::Slot;
use super::walk::KIND_NAMES;
use super::wire::{Signs, Template, TemplateError};
use crate::dialect::Capability;
use crate::dialect::envelope::path::Path;

/// A mapping that was found good. The default is raw binary audio both ways and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    pub(super) input_audio: Option<Template>,
    pub(super) start: Option<Template>,
    pub(super) input_mark: Option<Template>,
    pub(super) input_digit: Option<Template>,
    pub(super) input_stop: Option<Template>,
    pub(super) answers: Box<[Answer]>,
    /// Where answers are told apart and what they hold: `type`, `event`, then the answers' own.
    pub(super) paths: Box<[Path]>,
    pub(super) capabilities: Box<[Capability]>,
}

/// A message from the bot that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub(super) what: Meaning,
    /// Its `type` or `event`; without one, whatever has a value at its path is it.
    pub(super) kind: Option<Box<str>>,
    /// The number of its path among [`Mapping::paths`].
    pub(super) path: Option<usize>,
    /// How the end that is the bot writes it.
    pub(super) message: Template,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Audio to the caller.
    Audio,
    /// Drop the audio that waits.
    Clear,
    /// Hang up.
    HangUp,
    /// Say when the audio so far was played.
    Mark,
    /// Send keys.
    Digits,
    /// Hand the call to somebody else.
    Transfer,
}

/// One problem of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingProblem {
    /// The key, such as `inputTemplate` or `outputMark.path`.
    pub key: String,
    /// The line in the key's text, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub cure: String,
}

/// Reads keys and collects what is wrong with them.
struct Reader<'a> {
    keys: &'a Map<String, Value>,
    problems: Vec<MappingProblem>,
}

/// What a user wrote of an answer.
struct Wish {
    what: Meaning,
    key: &'static str,
    kind: Option<String>,
    path: Option<Path>,
}

impl Mapping {
    /// Reads the keys of a mapping; `null` and empty texts are absent, other keys are left alone.
    ///
    /// # Errors
    /// Every problem, in the order of the keys.
    pub fn from_json(keys: &Map<String, Value>) -> Result<Self, Vec<MappingProblem>> {
        let mut reader = Reader { keys, problems: Vec::new() };
        let binary = reader.is_binary();
        let input_audio = reader.template("inputTemplate", &[&[Slot::Audio], CALL].concat());
        if !binary && reader.text("inputTemplate").is_none() {
            let cure = "a JSON text that holds \"{{audio}}\", or messageType \"binary\"";
            reader.refuse("inputTemplate", "the key is missing, which says how audio is sent", cure);
        }
        if input_audio.as_ref().is_some_and(|template| !template.has(Slot::Audio)) {
            reader.refuse(
                "inputTemplate",
                "{{audio}} is not in the template",
                "put \"{{audio}}\" where the audio goes",
            );
        }
        let audio = reader.audio_answer();
        let start = reader.template("sessionStartMessage", CALL);
        let input_mark = reader.template("inputMark", &[CALL, &[Slot::Name]].concat());
        let input_digit = reader.template("inputDtmf", &[CALL, &[Slot::Digit, Slot::Duration]].concat());
        let input_stop = reader.template("inputStop", &[CALL, &[Slot::Reason]].concat());
        let (start, input_stop) = reader.tell_apart(start, input_stop);
        let wishes: Vec<_> = audio.into_iter().chain(reader.answers()).collect();
        reader.check_kinds(&wishes);
        let kind_name =
            input_audio.as_ref().and_then(Template::kind_name).unwrap_or(KIND_NAMES[0]).to_owned();
        let (answers, paths) = reader.compile(wishes, &kind_name);
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        let input_audio = input_audio.filter(|_| !binary);
        let capabilities = capabilities(&answers, input_mark.is_some(), input_digit.is_some());
        Ok(Self { input_audio, start, input_mark, input_digit, input_stop, answers, paths, capabilities })
    }

    /// A mapping with every key, as [`MAPPING_EXAMPLE`] writes it.
    pub fn example() -> Self {
        serde_json::from_str(MAPPING_EXAMPLE)
            .ok()
            .and_then(|keys| Self::from_json(&keys).ok())
            .unwrap_or_default()
    }

    /// The message that says that, if there is one.
    pub(super) fn answer(&self, what: Meaning) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.what == what)
    }
}

impl Reader<'_> {
    fn text(&self, key: &str) -> Option<String> {
        match self.keys.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
            other => Some(other.to_string()),
        }
    }

    fn refuse(&mut self, key: &str, what: impl Into<String>, cure: impl Into<String>) {
        let (what, cure) = (what.into(), cure.into());
        self.problems.push(MappingProblem { key: key.to_owned(), line: 1, column: 1, what, cure });
    }

    fn refuse_at(&mut self, key: &str, text: &str, error: TemplateError) {
        let TemplateError { at, what, cure } = error;
        let before = text.get(..at).unwrap_or(text);
        let (line, column) = (before.matches('\n').count() + 1, before.rsplit('\n').next());
        let column = column.map_or(0, |line| line.chars().count()) + 1;
        self.problems.push(MappingProblem { key: key.to_owned(), line, column, what, cure });
    }

    fn is_binary(&mut self) -> bool {
        match self.text("messageType").as_deref() {
            Some("binary") => return true,
            Some("json") => {}
            None if self.text("inputTemplate").is_some() => {}
            None => self.refuse("messageType", "the key is missing", MESSAGE_TYPES),
            Some(_) => self.refuse("messageType", "an unknown word", MESSAGE_TYPES),
        }
        false
    }

    fn template(&mut self, key: &str, allowed: &[Slot]) -> Option<Template> {
        let text = self.text(key)?;
        match Template::parse(&text, allowed) {
            Ok(template) => Some(template),
            Err(errors) => {
                errors.into_iter().for_each(|error| self.refuse_at(key, &text, error));
                None
            }
        }
    }

    /// A start and a stop of one kind are known by all that is constant in them.
    fn tell_apart(
        &self,
        start: Option<Template>,
        stop: Option<Template>,
    ) -> (Option<Template>, Option<Template>) {
        let kind = |template: &Option<Template>| {
            template.as_ref().and_then(Template::kind).map(|kind| kind.1.to_owned())
        };
        if kind(&start).is_none() || kind(&start) != kind(&stop) {
            return (start, stop);
        }
        let whole = |key: &str, allowed: &[Slot]| {
            self.text(key).and_then(|text| Template::parse_signed(&text, allowed, Signs::All).ok())
        };
        (whole("sessionStartMessage", CALL), whole("inputStop", &[CALL, &[Slot::Reason]].concat()))
    }

    fn path(&mut self, key: &str, text: &str) -> Option<Path> {
        let cure = "names with dots between them, as in response.audio or data.0.audio";
        let error = match Path::parse(text) {
            Ok(path) if path.len() == 1 && KIND_NAMES.contains(&path.first()) => {
                (0, "the path leads to what tells the messages apart".to_owned())
            }
            Ok(path) => return Some(path),
            Err(error) => error,
        };
        self.refuse_at(key, text, TemplateError { at: error.0, what: error.1, cure: cure.to_owned() });
        None
    }

    fn audio_answer(&mut self) -> Option<Wish> {
        const KEYS: [&str; 2] = ["outputMessageType", "outputAudioPath"];
        let kind = self.text(KEYS[0]);
        let Some(path) = self.text(KEYS[1]) else {
            if kind.is_some() {
                let cure = "the path to the base64 audio in the bot's message, as in delta";
                self.refuse(KEYS[1], "the key is missing beside outputMessageType", cure);
            }
            return None;
        };
        let path = Some(self.path(KEYS[1], &path)?);
        Some(Wish { what: Meaning::Audio, key: KEYS[1], kind, path })
    }

    fn answers(&mut self) -> Vec<Wish> {
        let answers = ANSWERS.iter().filter_map(|(key, what)| self.other_answer(key, *what));
        answers.collect()
    }

    /// `outputClear` and its like: `{ match, path }`, or only the text of `match`.
    fn other_answer(&mut self, key: &'static str, what: Meaning) -> Option<Wish> {
        let cure = if needs_path(what) {
            "{ match = \"its type or event\", path = \"names.with.dots\" }"
        } else {
            "{ match = \"its type or event\" }"
        };
        let (kind, path) = match self.keys.get(key)? {
            Value::Null => return None,
            Value::String(kind) if kind.trim().is_empty() => return None,
            Value::String(kind) => (Some(kind.clone()), None),
            Value::Object(table) => {
                if let Some(unknown) = table.keys().find(|name| !matches!(name.as_str(), "match" | "path")) {
                    self.refuse(&format!("{key}.{unknown}"), "the key is not known here", cure);
                    return None;
                }
                let is_text = |value: &Value| value.is_string() || value.is_null();
                if let Some((name, _)) = table.iter().find(|(_, value)| !is_text(value)) {
                    self.refuse(&format!("{key}.{name}"), "the value is not a text", cure);
                    return None;
                }
                let text = |name: &str| table.get(name).and_then(Value::as_str).map(str::to_owned);
                (text("match"), text("path"))
            }
            _ => (None, None),
        };
        let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
            self.refuse(&format!("{key}.match"), "the message's type or event is missing", cure);
            return None;
        };
        let path = path.filter(|path| !path.is_empty());
        if needs_path(what) && path.is_none() {
            self.refuse(&format!("{key}.path"), "the path to the value is missing", cure);
            return None;
        }
        let path = match path {
            Some(path) => Some(self.path(&format!("{key}.path"), &path)?),
            None => None,
        };
        Some(Wish { what, key, kind: Some(kind), path })
    }

    /// Two answers of one kind must be told apart by their paths.
    fn check_kinds(&mut self, wishes: &[Wish]) {
        for (at, later) in wishes.iter().enumerate() {
            let is_twin = |earlier: &&Wish| {
                earlier.kind == later.kind && (earlier.path == later.path || earlier.path.is_none())
            };
            if let Some(earlier) = wishes[..at].iter().find(is_twin) {
                let what = format!("the same messages as those of {}", earlier.key);
                self.refuse(later.key, what, "every meaning needs a message of its own");
            }
        }
    }

    /// Gives every answer the place of its path and the message that the other end writes.
    fn compile(&mut self, wishes: Vec<Wish>, kind_name: &str) -> (Box<[Answer]>, Box<[Path]>) {
        let mut paths: Vec<Path> = KIND_NAMES.iter().map(|name| Path::new(&[(*name).into()])).collect();
        let mut answers: Vec<Answer> = Vec::new();
        for wish in wishes {
            let (value, slot) = value_of(wish.what);
            // The path may begin with one of the two names; the kind then stands under the other.
            let is_taken = |name: &&str| wish.path.as_ref().is_none_or(|path| path.first() != *name);
            let kind_name = [kind_name].into_iter().chain(KIND_NAMES).find(is_taken).unwrap_or(kind_name);
            let mut text = wish.path.as_ref().map_or_else(|| "{}".to_owned(), |path| path.wrap(value));
            if let Some(kind) = &wish.kind {
                let comma = if wish.path.is_some() { "," } else { "" };
                let kind = Value::from(kind.as_str());
                text.insert_str(1, &format!("\"{kind_name}\":{kind}{comma}"));
            }
            match Template::parse(&text, slot) {
                Ok(message) => {
                    let path = wish.path.map(|path| {
                        paths.push(path);
                        paths.len() - 1
                    });
                    let kind = wish.kind.map(Into::into);
                    answers.push(Answer { what: wish.what, kind, path, message });
                }
                // What is wrong lies in a name or a kind: those may not look like placeholders.
                Err(_) => self.refuse(wish.key, "{{…}} cannot stand here", "write the plain word"),
            }
        }
        // What any message may be is asked last: what bears a kind of its own means that.
        answers.sort_by_key(|answer| answer.kind.is_none());
        (answers.into(), paths.into())
    }
}

impl fmt::Display for MappingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, line, column, what, cure } = self;
        match (line, column) {
            (1, 1) => write!(f, "{key}: {what} ({cure})"),
            (1, column) => write!(f, "{key}: column {column}: {what} ({cure})"),
            (line, column) => write!(f, "{key}: line {line}, column {column}: {what} ({cure})"),
        }
    }
}

fn capabilities(answers: &[Answer], returns_marks: bool, sends_digits: bool) -> Box<[Capability]> {
    let hears = |what| answers.iter().any(|answer| answer.what == what);
    let possible = [
        (Capability::Marks, hears(Meaning::Mark) && returns_marks),
        (Capability::Clear, hears(Meaning::Clear)),
        (Capability::DigitsToBot, sends_digits),
        (Capability::DigitsToPhone, hears(Meaning::Digits)),
        (Capability::HangUp, hears(Meaning::HangUp)),
        (Capability::Transfer, hears(Meaning::Transfer)),
    ];
    possible.into_iter().filter(|(_, has)| *has).map(|(capability, _)| capability).collect()
}

fn needs_path(what: Meaning) -> bool {
    matches!(what, Meaning::Audio | Meaning::Mark | Meaning::Digits | Meaning::Transfer)
}

/// The value at the path of an answer, as a template, and its placeholder.
fn value_of(what: Meaning) -> (&'static str, &'static [Slot]) {
    match what {
        Meaning::Audio => ("\"{{audio}}\"", &[Slot::Audio]),
        Meaning::Mark => ("\"{{name}}\"", &[Slot::Name]),
        Meaning::Digits => ("\"{{digit}}\"", &[Slot::Digit]),
        Meaning::Transfer => ("{{destination}}", &[Slot::Destination]),
        Meaning::Clear | Meaning::HangUp => ("true", &[]),
    }
}

/// A mapping with every key, as JSON.
pub const MAPPING_EXAMPLE: &str = include_str!("example.json");

/// The keys of a mapping.
pub const MAPPING_KEYS: [&str; 13] = [
    "messageType",
    "inputTemplate",
    "outputMessageType",
    "outputAudioPath",
    "sessionStartMessage",
    "outputClear",
    "outputHangup",
    "outputMark",
    "outputDtmf",
    "outputTransfer",
    "inputMark",
    "inputDtmf",
    "inputStop",
];

const ANSWERS: [(&str, Meaning); 5] = [
    ("outputClear", Meaning::Clear),
    ("outputHangup", Meaning::HangUp),
    ("outputMark", Meaning::Mark),
    ("outputDtmf", Meaning::Digits),
    ("outputTransfer", Meaning::Transfer),
];

/// Placeholders that have a value in every message.
const CALL: &[Slot] =
    &[Slot::Caller, Slot::Did, Slot::SessionId, Slot::CallId, Slot::Sequence, Slot::Timestamp, Slot::Chunk];

const MESSAGE_TYPES: &str = "messageType is \"json\" or \"binary\"";
