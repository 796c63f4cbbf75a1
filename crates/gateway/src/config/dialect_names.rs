//! The dialect names a configuration may say: those of core's registry, and those that are known but not built.

use std::fmt;

use patchcord_core::dialect::registry::{self, DIALECTS, DialectRow};

use super::problem::Refusal;
use super::section::Setting;

/// A dialect of core's registry, by its name.
#[derive(Clone, Copy)]
pub struct DialectName(&'static DialectRow);

impl DialectName {
    /// The name as it is written.
    pub fn as_str(self) -> &'static str {
        self.0.name
    }

    /// What core knows about the dialect.
    pub fn row(self) -> &'static DialectRow {
        self.0
    }

    /// Finds a dialect by its name; the refusal tells a slip of the pen from one that is not built.
    pub fn parse(word: &str) -> Result<DialectName, Refusal> {
        if let Some(row) = registry::find(word) {
            return Ok(DialectName(row));
        }
        let spoken: Vec<&str> = DIALECTS.iter().map(|row| row.name).collect();
        if LATER.contains(&word) {
            let refusal = Refusal::later(&format!("dialect \"{word}\""));
            return Err(Refusal { cure: format!("one of: {}", spoken.join(", ")), ..refusal });
        }
        Err(Refusal::unknown("dialect", word, &spoken))
    }
}

impl PartialEq for DialectName {
    fn eq(&self, other: &DialectName) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for DialectName {}

impl fmt::Debug for DialectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Setting for DialectName {
    fn from_text(text: &str) -> Result<DialectName, Refusal> {
        DialectName::parse(text)
    }
}

/// Names that are taken, for dialects that this version does not speak.
const LATER: &[&str] = &[
    "twilio",
    "telnyx",
    "plivo",
    "exotel",
    "vonage",
    "genesys",
    "audiocodes",
    "asterisk",
    "audiosocket",
    "jambonz",
    "gemini-live",
    "deepgram-agent",
    "elevenlabs",
    "ultravox",
];
