//! `[[numbers]]`: who takes the calls of which number.

use std::fmt;

use super::config_api::ConfigApi;
use super::country::CountryCode;
use super::problem::Refusal;
use super::recording::NumberRecording;
use super::section::{Section, Setting};
use super::url::WebUrl;
use super::vendor_port::check_bot;

/// One of `[[numbers]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// The numbers that are meant.
    pub number: NumberPattern,
    /// Who takes the calls.
    pub taker: Taker,
    /// What the caller gets when the bot cannot be reached.
    pub fallback: Fallback,
    /// The country whose national numbers the carrier sends, if it does.
    pub country: Option<CountryCode>,
    /// Whether the caller hears the bot before it answers.
    pub early_media: bool,
    /// Whether its calls are recorded.
    pub recording: NumberRecording,
    /// Where the status of its calls is posted, if not where all are.
    pub callbacks: Option<WebUrl>,
}

/// Who takes the calls of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taker {
    /// The bot of this name.
    Bot(String),
    /// The bot that this program names, asked for each call.
    ConfigApi(Box<ConfigApi>),
    /// The flow of this name.
    Flow(String),
    /// The phones of this extension.
    Extension(String),
}

/// The numbers that an entry means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberPattern {
    /// Any number.
    Any,
    /// Numbers that begin so.
    Prefix(String),
    /// This number.
    Exact(String),
}

/// What a caller gets when the bot cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fallback {
    /// Busy here (486).
    Busy,
    /// Unavailable (503).
    Unavailable,
    /// The call is answered, a clip says sorry, and we hang up.
    #[default]
    Sorry,
    /// The flow of this name takes the call.
    Flow(String),
    /// This number is called and joined to the caller.
    Transfer(String),
    /// The caller learns what was wrong: by its status before the answer, by hanging up after it.
    HangUp,
}

/// What entries of `[[numbers]]` may lead to.
pub(super) struct Takers<'a> {
    pub(super) bots: &'a [&'a str],
    pub(super) flows: &'a [&'a str],
    pub(super) extensions: &'a [&'a str],
}

impl Number {
    pub(super) fn read(section: &Section<'_>, takers: &Takers<'_>) -> Option<Number> {
        let Takers { bots, flows, extensions } = *takers;
        let (number, bot) = (section.value("number"), section.value::<String>("bot"));
        let (fallback, country) = (section.value("fallback"), section.value("country"));
        let early_media = section.value("early_media");
        if let Some(bot) = &bot {
            check_bot(section, "bot", bot, bots);
        }
        let flow = section.value::<String>("flow");
        check_known(section, "flow", FLOW, flow.as_deref(), flows);
        let extension = section.value::<String>("extension");
        check_known(section, "extension", EXTENSION, extension.as_deref(), extensions);
        if let Some(Fallback::Flow(flow)) = &fallback {
            check_known(section, "fallback", FLOW, Some(flow), flows);
        }
        let config_api = ConfigApi::read(section);
        check_taker(section);
        let taker = match (config_api, flow, extension) {
            (Some(api), ..) => Some(Taker::ConfigApi(Box::new(api))),
            (None, Some(flow), _) => Some(Taker::Flow(flow)),
            (None, None, Some(extension)) => Some(Taker::Extension(extension)),
            (None, None, None) => bot.map(Taker::Bot),
        };
        // Whether a phone was busy or nobody went to it is for the caller's own phone to say.
        let is_own = matches!(taker, Some(Taker::Extension(_))) && !section.has("fallback");
        let fallback = if is_own { Some(Fallback::HangUp) } else { fallback };
        Some(Number {
            number: number?,
            taker: taker?,
            fallback: fallback?,
            country,
            early_media: early_media?,
            recording: section.value_or("recording", NumberRecording::Off)?,
            callbacks: section.value("callbacks"),
        })
    }
}

/// Refuses an entry that leads to nobody, or to two.
fn check_taker(section: &Section<'_>) {
    let takers: Vec<&str> = TAKERS.into_iter().filter(|key| section.has(key)).collect();
    let refusal = match takers.as_slice() {
        [_] => return,
        [] => Refusal::new(
            "\"bot\" is missing",
            "name a bot, a flow, an extension, or a config_api that is asked for a bot",
        ),
        both => {
            let what = format!("{} both take the calls", both.join(" and "));
            Refusal::new(what, "leave one of them out")
        }
    };
    section.refuse(takers.first().copied().unwrap_or("bot"), refusal);
}

/// Refuses the name of something that does not exist; `kind` is what it is, and how it is written.
fn check_known(
    section: &Section<'_>,
    key: &str,
    (kind, how): (&str, &str),
    name: Option<&str>,
    known: &[&str],
) {
    if let Some(name) = name.filter(|name| !known.contains(name)) {
        let refusal = Refusal::unknown(kind, name, known);
        let cure = if known.is_empty() { format!("write it: {how}") } else { refusal.cure };
        section.refuse(key, Refusal { cure, ..refusal });
    }
}

/// Refuses entries that an earlier one leaves nothing for.
pub(super) fn check_order(sections: &[Section<'_>], numbers: &[Option<Number>]) {
    for (index, number) in numbers.iter().enumerate() {
        let Some(number) = number else { continue };
        let earlier = numbers[..index].iter().position(|earlier| {
            earlier.as_ref().is_some_and(|earlier| earlier.number.covers(&number.number))
        });
        if let Some(earlier) = earlier {
            sections[index].refuse(
                "number",
                Refusal::new(
                    format!("numbers[{earlier}] takes these calls already"),
                    "the first match wins: put the narrower entry first",
                ),
            );
        }
    }
}

impl NumberPattern {
    /// Whether `number` is meant.
    pub fn matches(&self, number: &str) -> bool {
        match self {
            NumberPattern::Any => true,
            NumberPattern::Prefix(prefix) => number.starts_with(prefix.as_str()),
            NumberPattern::Exact(exact) => number == exact,
        }
    }

    /// Whether every number that `other` means is meant here too.
    fn covers(&self, other: &NumberPattern) -> bool {
        match (self, other) {
            (NumberPattern::Any, _) => true,
            (NumberPattern::Prefix(_), NumberPattern::Prefix(text) | NumberPattern::Exact(text)) => {
                self.matches(text)
            }
            (NumberPattern::Exact(own), NumberPattern::Exact(text)) => own == text,
            (NumberPattern::Prefix(_) | NumberPattern::Exact(_), _) => false,
        }
    }
}

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberPattern::Any => f.write_str("*"),
            NumberPattern::Prefix(prefix) => write!(f, "{prefix}*"),
            NumberPattern::Exact(exact) => f.write_str(exact),
        }
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fallback::Busy => f.write_str("busy"),
            Fallback::Unavailable => f.write_str("unavailable"),
            Fallback::Sorry => f.write_str("sorry"),
            Fallback::Transfer(number) => write!(f, "transfer:{number}"),
            Fallback::Flow(name) => write!(f, "flow:{name}"),
            Fallback::HangUp => f.write_str("hang-up"),
        }
    }
}

impl Setting for NumberPattern {
    fn from_text(text: &str) -> Result<NumberPattern, Refusal> {
        let (body, open) = text.strip_suffix('*').map_or((text, false), |body| (body, true));
        let good = body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._#".contains(&byte));
        if !good || text.is_empty() || text.len() > NUMBER_BYTES_MAX {
            return Err(Refusal::new(
                "this is not a number",
                "digits as they are dialled, a beginning with \"*\" behind it, or \"*\"",
            ));
        }
        Ok(match (body, open) {
            ("", true) => NumberPattern::Any,
            (body, true) => NumberPattern::Prefix(body.to_owned()),
            (body, false) => NumberPattern::Exact(body.to_owned()),
        })
    }
}

impl Setting for Fallback {
    fn from_text(text: &str) -> Result<Fallback, Refusal> {
        match text {
            "busy" => Ok(Fallback::Busy),
            "unavailable" => Ok(Fallback::Unavailable),
            "sorry" => Ok(Fallback::Sorry),
            "hang-up" => Ok(Fallback::HangUp),
            _ => match (text.strip_prefix("flow:"), text.strip_prefix("transfer:")) {
                (Some(flow), _) => Ok(Fallback::Flow(flow.to_owned())),
                (_, Some(number)) => dialable(number).map(Fallback::Transfer),
                (None, None) => Err(Refusal::unknown("fallback", text, &FALLBACKS)),
            },
        }
    }
}

/// A number that can be dialled as it stands.
fn dialable(number: &str) -> Result<String, Refusal> {
    let keys = number.strip_prefix('+').unwrap_or(number);
    let is_key = |key: u8| key.is_ascii_digit() || matches!(key, b'*' | b'#');
    if keys.is_empty() || keys.len() > DIALLED_KEYS_MAX || !keys.bytes().all(is_key) {
        let good =
            "digits, * and #, a + before them if it is international, for example transfer:+912212345678";
        return Err(Refusal::new("this is no number that can be dialled", good));
    }
    Ok(number.to_owned())
}

/// Keys of a number to dial.
const DIALLED_KEYS_MAX: usize = 32;

/// The words for what a caller gets.
const FALLBACKS: [&str; 6] = ["busy", "unavailable", "sorry", "hang-up", "flow:NAME", "transfer:NUMBER"];

/// The keys that say who takes the calls.
const TAKERS: [&str; 4] = ["bot", "config_api", "flow", "extension"];

/// What a number can lead to by name, and how that is written.
const FLOW: (&str, &str) = ("flow", "[flows.NAME] steps = [...]");
const EXTENSION: (&str, &str) = ("extension", "[[extensions]] number = \"101\"");

/// The longest number.
const NUMBER_BYTES_MAX: usize = 64;
