//! What the speech engine behind an agent is told.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::super::problem::Refusal;
use super::super::secret::Secret;
use super::super::section::{Section, Setting};
use super::super::url::BotUrl;
use super::{Prose, number_within};

/// The engine's part of `[bots.NAME]`; what is absent is the engine's own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EngineWish {
    /// What it is asked with.
    pub api_key: Option<Secret>,
    /// The model.
    pub model: Option<String>,
    /// The voice.
    pub voice: Option<String>,
    /// What it is to be and to do.
    pub instructions: Option<String>,
    /// What it says first.
    pub greeting: Option<String>,
    /// The caller's language.
    pub language: Option<String>,
    /// How inventive it is.
    pub temperature: Option<f64>,
    /// How fast it speaks.
    pub speed: Option<f64>,
    /// Who finds the end of a turn.
    pub turn_detection: TurnDetection,
    /// The model that writes down what the caller says; `None` for nobody.
    pub transcription: Option<String>,
    /// The beta's messages.
    pub beta: bool,
    /// Azure's address and key.
    pub azure: bool,
}

/// Who finds the end of the caller's turn.
#[derive(Debug, Clone, PartialEq)]
pub enum TurnDetection {
    /// The engine, by silence.
    Silence {
        /// How loud speech is, 0 to 1.
        threshold: Option<f64>,
        /// Audio before the beginning that belongs to the turn.
        prefix_padding: Option<Duration>,
        /// What ends a turn.
        silence: Option<Duration>,
        /// After which the engine speaks by itself.
        idle_timeout: Option<Duration>,
        /// Whether the caller cuts it off.
        interrupt: bool,
    },
    /// The engine, by the sense of what is said.
    Sense {
        /// How soon it takes a turn for over.
        eagerness: Option<Eagerness>,
        /// Whether the caller cuts it off.
        interrupt: bool,
    },
    /// Nobody.
    Off,
}

/// How soon a turn is taken for over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eagerness {
    /// Late.
    Low,
    /// In between.
    Medium,
    /// Early.
    High,
    /// As the engine sees fit.
    Auto,
}

impl Default for TurnDetection {
    fn default() -> Self {
        let (threshold, prefix_padding, silence, idle_timeout) = (None, None, None, None);
        Self::Silence { threshold, prefix_padding, silence, idle_timeout, interrupt: true }
    }
}

impl EngineWish {
    pub(super) fn read(section: &Section<'_>) -> Option<EngineWish> {
        let prose = |key: &str| section.value(key).map(|Prose(text)| text);
        let transcription = section.value_or("transcription", TRANSCRIPTION.to_owned());
        Some(EngineWish {
            api_key: section.value("api_key"),
            model: section.value("model"),
            voice: section.value("voice"),
            instructions: prose("instructions"),
            greeting: prose("greeting"),
            language: section.value("language"),
            temperature: number_within(section, "temperature", (0.0, 2.0)),
            speed: number_within(section, "speed", (0.25, 1.5)),
            turn_detection: TurnDetection::read(&section.section("turn_detection"))?,
            transcription: transcription.filter(|model| model != "none"),
            beta: section.value_or("beta", false)?,
            azure: section.value_or("azure", false)?,
        })
    }
}

impl EngineWish {
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
        if self.beta && !self.azure {
            let beta = HeaderValue::from_static("realtime=v1");
            headers.entry(HeaderName::from_static("openai-beta")).or_insert(beta);
        }
    }
}

impl TurnDetection {
    fn read(section: &Section<'_>) -> Option<TurnDetection> {
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
        Some(match kind {
            DetectionKind::ServerVad => TurnDetection::Silence {
                threshold: number_within(section, "threshold", (0.0, 1.0)),
                prefix_padding: section.value("prefix_padding"),
                silence: section.value("silence"),
                idle_timeout: section.value("idle_timeout"),
                interrupt,
            },
            DetectionKind::SemanticVad => {
                TurnDetection::Sense { eagerness: section.value("eagerness"), interrupt }
            }
            DetectionKind::Off => TurnDetection::Off,
        })
    }
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

impl Setting for Eagerness {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        match text {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            "auto" => Ok(Self::Auto),
            _ => Err(Refusal::unknown("eagerness", text, &["low", "medium", "high", "auto"])),
        }
    }
}

/// Who writes down what the caller says where nothing else is named.
const TRANSCRIPTION: &str = "whisper-1";
