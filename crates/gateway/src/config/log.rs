//! `[log]`: what is logged and how it looks.

use tracing_subscriber::EnvFilter;

use super::problem::Refusal;
use super::section::{Section, Setting};

/// The settings of `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Levels per target, as `RUST_LOG` writes them; checked.
    pub level: Levels,
    /// How a line looks.
    pub format: LogFormat,
    /// Whether redacted wire messages are kept per call.
    pub wire: bool,
}

/// A checked list of levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels(String);

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, else JSON.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Log {
    pub(super) fn read(section: &Section<'_>) -> Option<Log> {
        let (level, format, wire) = (section.value("level"), section.value("format"), section.value("wire"));
        Some(Log { level: level?, format: format?, wire: wire? })
    }
}

impl Levels {
    /// The list as it is written: `info,patchcord_sip=debug`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Levels {
    fn from_text(text: &str) -> Result<Levels, Refusal> {
        let plain = ["off", "error", "warn", "info", "debug", "trace"];
        if !text.contains(['=', ',']) && !plain.contains(&text.to_lowercase().as_str()) {
            return Err(Refusal::unknown("level", text, &plain));
        }
        EnvFilter::builder().parse(text).map_err(|error| {
            Refusal::new(error.to_string(), "a level, or levels per target: \"info,patchcord_sip=debug\"")
        })?;
        Ok(Levels(text.to_owned()))
    }
}

impl Setting for LogFormat {
    fn from_text(text: &str) -> Result<LogFormat, Refusal> {
        match text {
            "auto" => Ok(LogFormat::Auto),
            "human" => Ok(LogFormat::Human),
            "json" => Ok(LogFormat::Json),
            _ => Err(Refusal::unknown("format", text, &["auto", "human", "json"])),
        }
    }
}
