//! A bot that somebody outside describes, in a CONFIG_API's answer or with `POST /calls` (seed 000 §3 and §9):
//! address, language, headers, audio and mapping, checked as a whole.
//!
//! What is wrong is told by its field, in sentences that hold no value.

use std::sync::Arc;

use http::HeaderMap;
use patchcord_core::call::OnTransfer;
use patchcord_core::dialect::registry::AudioWish;
use patchcord_core::dialect::{Mapping, MappingProblem, WireAudio};
use serde_json::{Map, Value};

use super::Bot;
use super::dialect_names::DialectName;
use super::headers::{self, HEADERS_MAX};
use super::mapping::CUSTOM;
use super::url::BotUrl;

/// What somebody says of a bot.
#[derive(Debug, Default)]
pub struct DescribedBot {
    /// Its address.
    pub url: String,
    /// Its language; without one ivr-solutions, or custom where there is a mapping.
    pub dialect: Option<String>,
    /// Headers of the WebSocket request.
    pub headers: Map<String, Value>,
    /// The name of its audio's encoding.
    pub encoding: Option<Value>,
    /// Samples per second.
    pub sample_rate: Option<Value>,
    /// The keys of a mapping, as they stand on the wire.
    pub mapping: Map<String, Value>,
}

/// What is wrong with a field of [`DescribedBot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongField {
    /// Its path: `url`, `dialect`, `wsHeaders` and a header's name, `audioFormat` and a word, or a key of the mapping.
    pub path: Vec<String>,
    /// A sentence without a value.
    pub what: String,
}

impl DescribedBot {
    /// The bot, which goes by `name`.
    ///
    /// # Errors
    /// [`WrongField`], the first one.
    pub fn check(self, name: &str) -> Result<Bot, WrongField> {
        let url = BotUrl::parse(&self.url).map_err(|refusal| wrong(["url"], refusal.what))?;
        let usual = if self.mapping.is_empty() { DEFAULT_DIALECT } else { CUSTOM };
        let dialect = self.dialect.as_deref().unwrap_or(usual).to_ascii_lowercase();
        let dialect =
            DialectName::parse(&dialect).map_err(|_| wrong(["dialect"], "none that is spoken here"))?;
        Ok(Bot {
            name: name.to_owned(),
            display_name: None,
            url,
            dialect,
            headers: self.headers()?,
            audio: self.audio(dialect)?,
            cdr: true,
            quiet: false,
            on_transfer: OnTransfer::End,
            mapping: self.mapping(dialect)?,
            agent: None,
        })
    }

    fn headers(&self) -> Result<HeaderMap, WrongField> {
        let mut headers = HeaderMap::new();
        if self.headers.len() > HEADERS_MAX {
            return Err(wrong(["wsHeaders"], format!("more than {HEADERS_MAX} headers")));
        }
        for (name, value) in &self.headers {
            let path = || ["wsHeaders".to_owned(), shown(name)];
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Null => continue,
                _ => return Err(wrong(path(), "not a string")),
            };
            let (name, value) = headers::check(name, &text).map_err(|refusal| wrong(path(), refusal.what))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    fn audio(&self, dialect: DialectName) -> Result<WireAudio, WrongField> {
        let encoding = match &self.encoding {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if is_word(text) => Some(text.to_ascii_lowercase()),
            Some(_) => return Err(wrong(["audioFormat", "encoding"], "not the name of one")),
        };
        let sample_rate = match &self.sample_rate {
            None | Some(Value::Null) => None,
            Some(value) => Some(rate(value)?),
        };
        (dialect.row().audio)(&AudioWish { encoding, sample_rate, frame: None })
            .map_err(|sentence| wrong(["audioFormat"], sentence))
    }

    fn mapping(&self, dialect: DialectName) -> Result<Option<Arc<Mapping>>, WrongField> {
        if dialect.as_str() != CUSTOM {
            return match self.mapping.keys().next() {
                Some(key) => Err(wrong([key.as_str()], "goes with `dialect` custom and no other")),
                None => Ok(None),
            };
        }
        let told = |problems: Vec<MappingProblem>| match problems.into_iter().next() {
            Some(problem) => {
                // A text of one line needs no line; its beginning is no place.
                let place = match (problem.line, problem.column) {
                    (1, 1) => String::new(),
                    (1, column) => format!("column {column}: "),
                    (line, column) => format!("line {line}, column {column}: "),
                };
                let path = problem.key.split('.').map(shown);
                wrong(path, format!("{place}{}", cut(&problem.what, PROBLEM_CHARS_SHOWN_MAX)))
            }
            None => wrong(["url"], "the mapping cannot be used"),
        };
        Mapping::from_json(&self.mapping).map(|mapping| Some(Arc::new(mapping))).map_err(told)
    }
}

fn rate(value: &Value) -> Result<u32, WrongField> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    number.ok_or_else(|| wrong(["audioFormat", "sampleRate"], "not a number"))
}

fn wrong(path: impl IntoIterator<Item = impl Into<String>>, what: impl Into<String>) -> WrongField {
    WrongField { path: path.into_iter().map(Into::into).collect(), what: what.into() }
}

/// Whether a text may be repeated where a person reads it: a short word, and no number of anybody.
fn is_word(text: &str) -> bool {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    is_plain && text.len() <= WORD_BYTES_SHOWN && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// A key from outside as it may stand in a log.
pub(super) fn shown(key: &str) -> String {
    cut(key, KEY_CHARS_SHOWN_MAX)
}

fn cut(text: &str, chars_max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(chars_max).collect()
}

/// The language of a bot of whom none is said.
const DEFAULT_DIALECT: &str = "ivr-solutions";
/// Bytes of a name of an encoding.
const WORD_BYTES_SHOWN: usize = 16;
/// Characters of a key from outside that are shown.
const KEY_CHARS_SHOWN_MAX: usize = 40;
/// Characters of a mapping's problem that are shown: it may name a placeholder from outside.
const PROBLEM_CHARS_SHOWN_MAX: usize = 160;

impl std::fmt::Display for WrongField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {}", self.path.join("."), self.what)
    }
}
