//! The answer of a CONFIG_API: a bot by its name, or one that somebody else describes (seed 000 §3A and §9).
//!
//! Names are read as people write them: in any case, with or without `_` and `-`. What is null or empty is absent.
//! A key that nobody knows changes nothing; what is known and wrong spoils the answer.

use std::collections::BTreeMap;

use patchcord_core::call::{CUSTOM_BYTES_MAX, CUSTOM_MAX};
use patchcord_core::dialect::MAPPING_KEYS;
use serde_json::{Map, Value};

use super::config_api::CONFIG_API_BOT;
use super::described_bot::{DescribedBot, shown};
use super::url::WebUrl;
use super::{Bot, BotChoice, Config};

/// A CONFIG_API's answer, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigAnswer<'a> {
    /// The bot that takes the call.
    pub bot: AnsweredBot<'a>,
    /// Names and values that go along, at most [`CUSTOM_MAX`] of at most [`CUSTOM_BYTES_MAX`] bytes each.
    pub custom: Vec<(String, String)>,
    /// Where the call's events are posted.
    pub callback: Option<WebUrl>,
    /// What was left out, in sentences that name keys and no values, at most [`NOTES_MAX`].
    pub notes: Vec<String>,
}

/// The bot of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum AnsweredBot<'a> {
    /// One of the configuration, or a built-in one.
    Named(BotChoice<'a>),
    /// One that the answer describes: its address came from outside.
    Described(Box<Bot>),
}

/// Why an answer cannot be used: a sentence that names keys and no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAnswer(pub String);

impl<'a> ConfigAnswer<'a> {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// [`BadAnswer`] for what is no JSON object, names no bot, or says something known that cannot be.
    pub fn parse(body: &[u8], config: &'a Config) -> Result<ConfigAnswer<'a>, BadAnswer> {
        // Some servers begin with a byte order mark (RFC 8259 §8.1 lets us pass over it).
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let object: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| BadAnswer("the answer is not a JSON object".to_owned()))?;
        let mut fields = Fields::sort(object)?;
        let custom = fields.custom()?;
        let callback = fields.callback();
        let bot = match fields.text("bot")? {
            Some(name) => AnsweredBot::Named(fields.named(&name, config)?),
            None => AnsweredBot::Described(Box::new(fields.described()?)),
        };
        Ok(ConfigAnswer { bot, custom, callback, notes: fields.notes })
    }
}

/// The known keys of an answer by their plain names.
struct Fields {
    known: BTreeMap<&'static str, Value>,
    /// The keys of a mapping, as they stand on the wire.
    mapping: Map<String, Value>,
    notes: Vec<String>,
}

impl Fields {
    fn sort(object: Map<String, Value>) -> Result<Fields, BadAnswer> {
        let mut fields = Fields { known: BTreeMap::new(), mapping: Map::new(), notes: Vec::new() };
        for (key, value) in object.into_iter().filter(|(_, value)| !is_absent(value)) {
            let spelling = plain(&key);
            let known = KEYS.iter().find(|(_, spellings)| spellings.contains(&spelling.as_str()));
            let mapping = MAPPING_KEYS.iter().find(|name| plain_letters(name).eq(spelling.chars()));
            let (name, earlier) = match (known, mapping) {
                (Some((name, _)), _) => (*name, fields.known.insert(name, value)),
                (None, Some(name)) => (*name, fields.mapping.insert((*name).to_owned(), value)),
                (None, None) => {
                    fields.note(format!("the unknown key `{}` is ignored", shown(&key)));
                    continue;
                }
            };
            if earlier.is_some() {
                return Err(BadAnswer(format!("`{name}` is there twice")));
            }
        }
        Ok(fields)
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, BadAnswer> {
        match self.known.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(BadAnswer(format!("`{name}` is not a string"))),
        }
    }

    fn object(&mut self, name: &'static str) -> Result<Map<String, Value>, BadAnswer> {
        match self.known.remove(name) {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(_) => Err(BadAnswer(format!("`{name}` is not an object"))),
        }
    }

    fn custom(&mut self) -> Result<Vec<(String, String)>, BadAnswer> {
        let mut custom = Vec::new();
        let mut left_out = 0;
        for (name, value) in self.object("custom_params")? {
            let value = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => {
                    left_out += 1;
                    continue;
                }
            };
            let fits = name.len() <= CUSTOM_BYTES_MAX && value.len() <= CUSTOM_BYTES_MAX;
            if fits && custom.len() < CUSTOM_MAX {
                custom.push((name, value));
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 {
            self.note(format!(
                "{left_out} of `custom_params` are too many, too long or no text, and left out"
            ));
        }
        Ok(custom)
    }

    /// A call is not refused because nobody can be told of it.
    fn callback(&mut self) -> Option<WebUrl> {
        let url = match self.text("status_callback_url") {
            Ok(None) => return None,
            Ok(Some(url)) => WebUrl::parse(&url).ok(),
            Err(_) => None,
        };
        if url.is_none() {
            self.note("`status_callback_url` is no HTTP address".to_owned());
        }
        url
    }

    fn named<'a>(&mut self, name: &str, config: &'a Config) -> Result<BotChoice<'a>, BadAnswer> {
        let unknown = || BadAnswer("`bot` is no bot of the configuration".to_owned());
        let bot = config.find_bot(name).ok_or_else(unknown)?;
        // Its own address, language and headers stand in the file.
        let beside = self.known.keys().map(|key| (*key).to_owned()).chain(self.mapping.keys().cloned());
        for key in beside.collect::<Vec<_>>() {
            self.note(format!("`{key}` beside `bot` is ignored"));
        }
        Ok(bot)
    }

    fn described(&mut self) -> Result<Bot, BadAnswer> {
        let url =
            self.text("url")?.ok_or_else(|| BadAnswer("there is neither `url` nor `bot`".to_owned()))?;
        let (dialect, headers) = (self.text("dialect")?, self.object("wsHeaders")?);
        let (encoding, sample_rate) = self.audio()?;
        let mapping = std::mem::take(&mut self.mapping);
        let described = DescribedBot { url, dialect, headers, encoding, sample_rate, mapping };
        described.check(CONFIG_API_BOT).map_err(|wrong| BadAnswer(wrong.to_string()))
    }

    fn audio(&mut self) -> Result<(Option<Value>, Option<Value>), BadAnswer> {
        let (mut encoding, mut sample_rate) = (None, None);
        for (key, value) in self.object("audioFormat")? {
            match plain(&key).as_str() {
                _ if value.is_null() => {}
                "encoding" => encoding = Some(value),
                "samplerate" => sample_rate = Some(value),
                _ => self.note(format!("the unknown key `audioFormat.{}` is ignored", shown(&key))),
            }
        }
        Ok((encoding, sample_rate))
    }
}

/// A key as it is compared: in lower case, without `_` and `-`.
fn plain(key: &str) -> String {
    plain_letters(key).collect()
}

fn plain_letters(key: &str) -> impl Iterator<Item = char> + '_ {
    key.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase)
}

fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// The known keys with the spellings that mean them, plain.
const KEYS: &[(&str, &[&str])] = &[
    ("url", &["url", "wsurl", "wssurl"]),
    ("wsHeaders", &["wsheaders", "headers"]),
    ("audioFormat", &["audioformat"]),
    ("dialect", &["dialect"]),
    ("bot", &["bot"]),
    ("status_callback_url", &["statuscallbackurl", "callbackurl"]),
    ("custom_params", &["customparams", "customparameters"]),
];

/// Sentences about one answer.
pub const NOTES_MAX: usize = 8;

#[cfg(test)]
#[path = "config_answer_tests.rs"]
mod tests;
