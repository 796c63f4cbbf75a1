//! What the speech engine behind an agent is told.

use std::fmt::Write as _;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use patchcord_core::dialect::{
    BargeIn, Eagerness, EngineSettings, Hundredths, Naming, ServerVad, ToolSpec, Transcription, TurnAnswer,
    TurnDetection, Turns,
};

use super::super::problem::Refusal;
use super::super::secret::Secret;
use super::super::section::{Section, Setting};
use super::super::url::BotUrl;
use super::{Prose, number_within};

/// Who the engine is and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Engine {
    /// What it is asked with.
    pub(super) api_key: Option<Secret>,
    /// The model, where one is named.
    model: Option<String>,
    /// Azure's address and key.
    azure: bool,
    /// What it is to be.
    pub(super) settings: EngineSettings,
}

impl Engine {
    /// Reads the engine's part of `[bots.NAME]`.
    pub(super) fn read(section: &Section<'_>, tools: Vec<ToolSpec>) -> Option<Engine> {
        let prose = |key: &str| section.value(key).map(|Prose(text)| text.into_boxed_str());
        let word = |key: &str| section.value::<String>(key);
        let defaults = EngineSettings::default();
        let beta = section.value_or("beta", false);
        let (model, transcriber) = (word("model"), word("transcription"));
        let language = word("language").map(String::into_boxed_str);
        let transcription = match transcriber.as_deref() {
            Some("none") => None,
            named => {
                let usual = Transcription::default();
                let model = named.map_or(usual.model, Into::into);
                Some(Transcription { model, language, prompt: None })
            }
        };
        let settings = EngineSettings {
            naming: if beta? { Naming::Beta } else { Naming::Ga },
            model: model.as_deref().map_or(defaults.model.clone(), Into::into),
            instructions: prose("instructions").unwrap_or_default(),
            greeting: prose("greeting"),
            voice: word("voice").map(String::into_boxed_str),
            speed: number_within(section, "speed", (0.25, 1.5)).map(hundredths),
            temperature: number_within(section, "temperature", (0.6, 1.2)).map(hundredths),
            turn_detection: detection(&section.section("turn_detection"))?,
            transcription,
            tools,
            ..defaults
        };
        let azure = section.value_or("azure", false)?;
        Some(Engine { api_key: section.value("api_key"), model, azure, settings })
    }

    /// The address with the model in its query, unless the query names what is dialled (Azure's deployments do).
    pub(in super::super) fn address(&self, url: BotUrl) -> BotUrl {
        let query = url.as_uri().query().unwrap_or_default();
        let is_named = query
            .split('&')
            .any(|pair| ["model", "deployment"].contains(&pair.split('=').next().unwrap_or_default()));
        let Some(model) = self.model.as_deref().filter(|_| !is_named) else { return url };
        let mut text = url.as_uri().to_string();
        text.push_str(if query.is_empty() { "?model=" } else { "&model=" });
        for byte in model.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
                byte => {
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        }
        BotUrl::parse(&text).unwrap_or(url)
    }

    /// Adds what the engine knows us by to the headers of the request; what is written there wins.
    pub(in super::super) fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(key) = &self.api_key {
            let (name, value) = if self.azure {
                (HeaderName::from_static("api-key"), key.expose().to_owned())
            } else {
                (AUTHORIZATION, format!("Bearer {}", key.expose()))
            };
            if let Ok(mut value) = HeaderValue::from_str(&value) {
                value.set_sensitive(true);
                headers.entry(name).or_insert(value);
            }
        }
        if self.settings.naming == Naming::Beta && !self.azure {
            let beta = HeaderValue::from_static("realtime=v1");
            headers.entry(HeaderName::from_static("openai-beta")).or_insert(beta);
        }
    }
}

/// Who finds the end of a turn.
fn detection(section: &Section<'_>) -> Option<TurnDetection> {
    let kind = section.value_or("kind", DetectionKind::ServerVad)?;
    let interrupt = section.value_or("interrupt", true)?;
    let foreign: &[&str] = match kind {
        DetectionKind::ServerVad => &["eagerness"],
        DetectionKind::SemanticVad => &["threshold", "prefix_padding", "silence", "idle_timeout"],
        DetectionKind::Off => {
            &["threshold", "prefix_padding", "silence", "idle_timeout", "eagerness", "interrupt"]
        }
    };
    for key in foreign.iter().filter(|key| section.has(key)) {
        section.refuse(key, Refusal::new("this kind of turn detection has no such key", "leave it out"));
    }
    let barge_in = if interrupt { BargeIn::Interrupts } else { BargeIn::Ignored };
    let turns = Turns { answer: TurnAnswer::ByItself, barge_in };
    Some(match kind {
        DetectionKind::ServerVad => {
            let vad = ServerVad {
                threshold: number_within(section, "threshold", (0.0, 1.0)).map(hundredths),
                prefix_padding: section.value("prefix_padding"),
                silence_duration: section.value("silence"),
                idle_timeout: section.value("idle_timeout"),
            };
            TurnDetection::Server(vad, turns)
        }
        DetectionKind::SemanticVad => TurnDetection::Semantic(
            section.value("eagerness").map(|EagernessWord(eagerness)| eagerness),
            turns,
        ),
        DetectionKind::Off => TurnDetection::Off,
    })
}

/// A fraction as engines are told it; what is out of range was refused.
fn hundredths(number: f64) -> Hundredths {
    Hundredths((number * 100.0).round().clamp(0.0, 10_000.0) as u16)
}

/// The kinds as they are written.
#[derive(Clone, Copy)]
enum DetectionKind {
    ServerVad,
    SemanticVad,
    Off,
}

impl Setting for DetectionKind {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        match text {
            "server_vad" => Ok(Self::ServerVad),
            "semantic_vad" => Ok(Self::SemanticVad),
            "none" => Ok(Self::Off),
            _ => Err(Refusal::unknown("kind", text, &["server_vad", "semantic_vad", "none"])),
        }
    }
}

/// How soon a turn is taken for over, as it is written.
struct EagernessWord(Eagerness);

impl Setting for EagernessWord {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        match text {
            "low" => Ok(Self(Eagerness::Low)),
            "medium" => Ok(Self(Eagerness::Medium)),
            "high" => Ok(Self(Eagerness::High)),
            "auto" => Ok(Self(Eagerness::Auto)),
            _ => Err(Refusal::unknown("eagerness", text, &["low", "medium", "high", "auto"])),
        }
    }
}
