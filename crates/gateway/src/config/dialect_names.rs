//! The dialect names a configuration may say, and which of them this version speaks.

use super::problem::Refusal;

/// A dialect that this version speaks, by its name in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DialectName(&'static str);

impl DialectName {
    /// The name as it is written.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Finds a dialect by its name; the refusal tells a slip of the pen from one that is not built.
    pub fn parse(word: &str) -> Result<DialectName, Refusal> {
        if let Some(name) = SPOKEN.iter().find(|name| **name == word) {
            return Ok(DialectName(name));
        }
        if LATER.contains(&word) {
            return Err(Refusal {
                cure: format!("one of: {}", SPOKEN.join(", ")),
                ..Refusal::later(&format!("dialect \"{word}\""))
            });
        }
        Err(Refusal::unknown("dialect", word, SPOKEN))
    }
}

/// Every dialect of this version.
pub const SPOKEN: &[&str] = &["ivr-solutions", "ozonetel", "incoming-call", "smartpbx"];

/// Names that are taken, for dialects that this version does not speak.
const LATER: &[&str] = &[
    "custom",
    "openai-realtime",
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
