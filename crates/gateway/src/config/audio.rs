//! The audio format that a bot's dialect carries, and what each dialect allows.

use std::time::Duration;

use super::dialect_names::DialectName;
use super::problem::Refusal;
use super::section::{Section, Setting};

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioEncoding {
    /// 16-bit signed samples, little-endian.
    Linear16,
    /// G.711 µ-law.
    Mulaw,
    /// G.711 A-law.
    Alaw,
}

/// An audio format, mono.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioFormat {
    /// How samples are written.
    pub encoding: AudioEncoding,
    /// Samples per second.
    pub sample_rate: u32,
    /// The audio in one message: 10 to 100 ms in steps of 10.
    pub frame: Duration,
}

impl AudioFormat {
    /// What a dialect carries when nothing is said.
    pub fn default_of(dialect: DialectName) -> AudioFormat {
        let (sample_rate, frame_ms) = match dialect.as_str() {
            "smartpbx" => (24_000, 20),
            "ozonetel" => (8_000, 10),
            _ => (8_000, 20),
        };
        let frame = Duration::from_millis(frame_ms);
        AudioFormat { encoding: AudioEncoding::Linear16, sample_rate, frame }
    }

    /// Reads the table `audio` of a bot; what is absent is the dialect's own.
    pub(super) fn read(section: &Section<'_>, dialect: DialectName) -> Option<AudioFormat> {
        let default = AudioFormat::default_of(dialect);
        let encoding = section.value_or("encoding", default.encoding)?;
        let default_rate = match encoding {
            AudioEncoding::Linear16 => default.sample_rate,
            AudioEncoding::Mulaw | AudioEncoding::Alaw => 8_000,
        };
        let sample_rate = section.value_or("sample_rate", default_rate)?;
        let frame = section.value_or("frame", default.frame)?;
        let frame_good = matches!(frame.as_millis(), 10..=100) && frame.as_millis() % 10 == 0;
        if !frame_good {
            section.refuse("frame", Refusal::new("no such frame", "10ms to 100ms, in steps of 10"));
        }
        let allowed = allowed(dialect);
        let carried = allowed.iter().any(|(e, rates)| *e == encoding && rates.contains(&sample_rate));
        if !carried {
            let name = if section.has("sample_rate") { "sample_rate" } else { "encoding" };
            let what =
                format!("{} does not carry {} at {sample_rate} Hz", dialect.as_str(), encoding.as_str());
            section.refuse(name, Refusal::new(what, format!("one of: {}", words(allowed))));
        }
        (frame_good && carried).then_some(AudioFormat { encoding, sample_rate, frame })
    }
}

impl AudioEncoding {
    /// The name that messages and documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            AudioEncoding::Linear16 => "linear16",
            AudioEncoding::Mulaw => "mulaw",
            AudioEncoding::Alaw => "alaw",
        }
    }
}

impl Setting for AudioEncoding {
    fn from_text(text: &str) -> Result<AudioEncoding, Refusal> {
        match text {
            "pcm" | "pcm16" | "linear16" | "slin" => Ok(AudioEncoding::Linear16),
            "mulaw" | "ulaw" | "g711_ulaw" => Ok(AudioEncoding::Mulaw),
            "alaw" => Ok(AudioEncoding::Alaw),
            "opus" => Err(Refusal::later("the encoding \"opus\"")),
            _ => Err(Refusal::unknown("encoding", text, ENCODINGS)),
        }
    }
}

/// What a dialect carries.
fn allowed(dialect: DialectName) -> &'static [(AudioEncoding, &'static [u32])] {
    match dialect.as_str() {
        "ivr-solutions" => &[
            (AudioEncoding::Linear16, &[8_000, 16_000, 24_000]),
            (AudioEncoding::Mulaw, &[8_000]),
            (AudioEncoding::Alaw, &[8_000]),
        ],
        "smartpbx" => &[(AudioEncoding::Linear16, &[24_000]), (AudioEncoding::Mulaw, &[8_000])],
        _ => &[(AudioEncoding::Linear16, &[8_000])],
    }
}

fn words(allowed: &[(AudioEncoding, &[u32])]) -> String {
    let pairs = allowed
        .iter()
        .flat_map(|(encoding, rates)| rates.iter().map(move |rate| format!("{} {rate}", encoding.as_str())));
    pairs.collect::<Vec<_>>().join(", ")
}

/// Every way to write an encoding.
const ENCODINGS: &[&str] = &["pcm", "linear16", "slin", "pcm16", "mulaw", "ulaw", "g711_ulaw", "alaw"];
