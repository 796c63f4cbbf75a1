//! `[bots.NAME]`: remote programs that take calls over a WebSocket, and the built-in ones beside them.

use std::sync::Arc;

use http::HeaderMap;
use patchcord_core::call::OnTransfer;
use patchcord_core::dialect::{Mapping, WireAudio};

use super::agent::AgentSettings;
use super::audio;
use super::config_api::CONFIG_API_BOT;
use super::dialect_names::DialectName;
use super::headers;
use super::mapping;
use super::problem::Refusal;
use super::section::{Section, Setting};
use super::url::BotUrl;

/// One of `[bots.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bot {
    /// The name in the file.
    pub name: String,
    /// The name that people see, where one is configured.
    pub display_name: Option<String>,
    /// Where it listens.
    pub url: BotUrl,
    /// The language it speaks.
    pub dialect: DialectName,
    /// Headers of the WebSocket request; their values do not print.
    pub headers: HeaderMap,
    /// The audio it takes and gives.
    pub audio: WireAudio,
    /// incoming-call: whether the `cdr` message is sent after the end.
    pub cdr: bool,
    /// ivr-solutions: whether the bot is told nothing about a refused command.
    pub quiet: bool,
    /// What becomes of it when it gives the call to people.
    pub on_transfer: OnTransfer,
    /// custom: which messages mean what.
    pub mapping: Option<Arc<Mapping>>,
    /// openai-realtime: what makes it an agent of ours.
    pub agent: Option<Arc<AgentSettings>>,
}

/// A bot that needs no address: it lives in this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltInBot {
    /// Returns the caller's audio.
    Echo,
    /// Repeats each utterance after the caller pauses.
    Parrot,
    /// Answers every digit with its tone.
    Dtmf,
    /// Sounds 1 kHz.
    Tone,
    /// A menu by keys that hands the call to another bot.
    Ivr,
}

impl BuiltInBot {
    /// All of them.
    pub const ALL: [BuiltInBot; 5] =
        [BuiltInBot::Echo, BuiltInBot::Parrot, BuiltInBot::Dtmf, BuiltInBot::Tone, BuiltInBot::Ivr];

    /// The name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            BuiltInBot::Echo => "echo",
            BuiltInBot::Parrot => "parrot",
            BuiltInBot::Dtmf => "dtmf",
            BuiltInBot::Tone => "tone",
            BuiltInBot::Ivr => "ivr",
        }
    }

    /// The built-in bot of this name.
    pub fn find(name: &str) -> Option<BuiltInBot> {
        BuiltInBot::ALL.into_iter().find(|bot| bot.as_str() == name)
    }
}

impl Bot {
    pub(super) fn read(name: &str, section: &Section<'_>) -> Option<Bot> {
        check_name(name, section);
        let (url, dialect) = (section.value("url"), section.value::<DialectName>("dialect"));
        let mut headers = headers::read(section, "headers");
        let audio = dialect.and_then(|dialect| audio::read(&section.section("audio"), dialect));
        let display_name = section.value("name");
        let cdr = section.value_or("cdr", true);
        let quiet = section.value_or("quiet", false);
        let on_transfer = section.value_or("on_transfer", OnTransfer::End);
        let mapping = mapping::read(section, dialect);
        let (agent, engine) = AgentSettings::read(section, dialect).unzip();
        if let Some(engine) = &engine {
            engine.add_headers(&mut headers);
        }
        if let Some(dialect) = dialect {
            check_owner(section, dialect, "cdr", "incoming-call");
            check_owner(section, dialect, "quiet", "ivr-solutions");
        }
        Some(Bot {
            name: name.to_owned(),
            display_name,
            url: match &engine {
                Some(engine) => engine.address(url?),
                None => url?,
            },
            dialect: dialect?,
            headers,
            audio: audio?,
            cdr: cdr?,
            quiet: quiet?,
            on_transfer: on_transfer?,
            mapping,
            agent: agent.map(Arc::new),
        })
    }
}

fn check_name(name: &str, section: &Section<'_>) {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(good) {
        let refusal =
            Refusal::new("this is not a name for a bot", "letters, digits, dashes, dots; at most 64");
        section.report.refuse(&section.path, &section.place, refusal);
    }
    if BuiltInBot::find(name).is_some() || name == CONFIG_API_BOT {
        let refusal = Refusal::new(
            format!("\"{name}\" is the name of a built-in bot or has a meaning of its own"),
            "choose another name",
        );
        section.report.refuse(&section.path, &section.place, refusal);
    }
}

fn check_owner(section: &Section<'_>, dialect: DialectName, key: &str, owner: &str) {
    if section.has(key) && dialect.as_str() != owner {
        let refusal =
            Refusal::new(format!("only {owner} has this key"), format!("leave it out of {}", section.path));
        section.refuse(key, refusal);
    }
}

impl Setting for OnTransfer {
    fn from_text(text: &str) -> Result<OnTransfer, Refusal> {
        match text {
            "end" => Ok(OnTransfer::End),
            "hold" => Ok(OnTransfer::Hold),
            _ => Err(Refusal::unknown("on_transfer", text, &["end", "hold"])),
        }
    }
}

/// The longest name of a bot.
const NAME_BYTES_MAX: usize = 64;
