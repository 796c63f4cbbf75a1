//! The session as its client wants it: both namings are understood, what makes no sense is refused in the service's words.

use serde_json::{Map, Value, json};

use super::events::Fault;
use crate::dialect::openai_realtime::formats::{PCM, beta_format, format_of, ga_format};
use crate::dialect::openai_realtime::settings::{DEFAULT_MODEL, Naming};

use crate::media::MediaFormat;

/// What the client asked for, with what it left open.
#[derive(Debug)]
pub struct Session {
    naming: Naming,
    object: Map<String, Value>,
}

impl Session {
    /// The session before anybody has asked for anything; `id` is its id.
    pub fn new(id: &str, format: MediaFormat) -> Self {
        Self { naming: Naming::Ga, object: ga_default(id, format) }
    }

    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// The session as the client is told of it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.object).unwrap_or_default()
    }

    /// Whether turns of the caller are to be found for the client.
    pub fn detects_turns(&self) -> bool {
        self.find(&["audio", "input", "turn_detection"], &["turn_detection"]).is_some()
    }

    /// Whether a turn of the caller ends what is being said.
    pub fn is_interrupted_by_turns(&self) -> bool {
        let path = ["audio", "input", "turn_detection", "interrupt_response"];
        let wish = self.find(&path, &["turn_detection", "interrupt_response"]);
        self.detects_turns() && wish.is_none_or(|wish| wish != &Value::Bool(false))
    }

    /// Whether the client wants to read what the caller says.
    pub fn transcribes(&self) -> bool {
        self.find(&["audio", "input", "transcription"], &["input_audio_transcription"]).is_some()
    }

    /// The format of the audio, both ways.
    pub fn format(&self) -> MediaFormat {
        let word = match self.naming {
            Naming::Ga => self.find(&["audio", "output", "format", "type"], &[]),
            Naming::Beta => self.find(&[], &["output_audio_format"]),
        };
        word.and_then(Value::as_str).and_then(format_of).unwrap_or(PCM)
    }

    /// Takes the `session` of a `session.update`.
    ///
    /// # Errors
    /// [`Fault`]; the session is then as it was.
    pub fn update(&mut self, wanted: Option<&Value>, fixed: Option<MediaFormat>) -> Result<(), Fault> {
        let wanted = wanted.ok_or_else(|| Fault::missing("session"))?;
        let wanted = wanted.as_object().ok_or_else(|| Fault::invalid("session", "an object is expected"))?;
        let naming = naming_of(wanted)?;
        check_names(wanted, naming)?;
        let mut object = match (self.naming, naming) {
            (Naming::Ga, Naming::Beta) => beta_default(&self.object, self.format()),
            (Naming::Beta, Naming::Ga) => ga_default(id_of(&self.object), self.format()),
            (Naming::Ga, Naming::Ga) | (Naming::Beta, Naming::Beta) => self.object.clone(),
        };
        merge(&mut object, wanted);
        let updated = Self { naming, object };
        updated.check_formats(fixed)?;
        *self = updated;
        Ok(())
    }

    fn check_formats(&self, fixed: Option<MediaFormat>) -> Result<(), Fault> {
        let (input, output) = match self.naming {
            Naming::Ga => (self.ga_format("input")?, self.ga_format("output")?),
            Naming::Beta => (self.beta_format("input")?, self.beta_format("output")?),
        };
        let param = match self.naming {
            Naming::Ga => "session.audio.output.format",
            Naming::Beta => "session.output_audio_format",
        };
        if input != output {
            return Err(Fault::invalid(param, "this server takes the same format both ways"));
        }
        if fixed.is_some_and(|fixed| fixed != output) {
            return Err(Fault::invalid(param, "the format is fixed once audio may flow"));
        }
        Ok(())
    }

    fn ga_format(&self, direction: &str) -> Result<MediaFormat, Fault> {
        let param = |rest: &str| format!("session.audio.{direction}.format{rest}");
        let format = self.find(&["audio", direction, "format"], &[]);
        let format = format.ok_or_else(|| Fault::missing(&param("")))?;
        let word =
            format.get("type").and_then(Value::as_str).ok_or_else(|| Fault::missing(&param(".type")))?;
        let known = format_of(word).filter(|_| word.starts_with("audio/"));
        let known =
            known.ok_or_else(|| Fault::invalid(&param(".type"), "audio/pcm, audio/pcmu or audio/pcma"))?;
        if known == PCM {
            let rate = format.get("rate").ok_or_else(|| Fault::missing(&param(".rate")))?;
            if rate.as_u64() != Some(u64::from(PCM.sample_rate)) {
                return Err(Fault::invalid(&param(".rate"), "24000 is the only rate"));
            }
        }
        Ok(known)
    }

    fn beta_format(&self, direction: &str) -> Result<MediaFormat, Fault> {
        let name = format!("{direction}_audio_format");
        let word = self.object.get(&name).and_then(Value::as_str).unwrap_or_default();
        let known = matches!(word, "pcm16" | "g711_ulaw" | "g711_alaw").then(|| format_of(word)).flatten();
        known.ok_or_else(|| Fault::invalid(&format!("session.{name}"), "pcm16, g711_ulaw or g711_alaw"))
    }

    /// What stands at the path of the naming, if it is something.
    fn find(&self, ga: &[&str], beta: &[&str]) -> Option<&Value> {
        let path = match self.naming {
            Naming::Ga => ga,
            Naming::Beta => beta,
        };
        let (first, rest) = path.split_first()?;
        let first = self.object.get(*first)?;
        let found = rest.iter().try_fold(first, |value, name| value.get(*name))?;
        (!found.is_null()).then_some(found)
    }
}

/// Which naming a client speaks: the newer one says its type.
fn naming_of(wanted: &Map<String, Value>) -> Result<Naming, Fault> {
    match wanted.get("type").map(Value::as_str) {
        Some(Some("realtime")) => Ok(Naming::Ga),
        Some(_) => Err(Fault::invalid("session.type", "'realtime' is what there is")),
        None if ["audio", "output_modalities"].iter().any(|name| wanted.contains_key(*name)) => {
            Err(Fault::missing("session.type"))
        }
        None => Ok(Naming::Beta),
    }
}

fn check_names(wanted: &Map<String, Value>, naming: Naming) -> Result<(), Fault> {
    let check = |object: &Map<String, Value>, known: &[&str], prefix: &str| {
        let unknown = object.keys().find(|name| !known.contains(&name.as_str()));
        // The name is the client's own; a long one is nobody's.
        unknown.map_or(Ok(()), |name| {
            Err(Fault::unknown(&format!("{prefix}.{}", name.chars().take(64).collect::<String>())))
        })
    };
    if naming == Naming::Beta {
        return check(wanted, BETA_NAMES, "session");
    }
    check(wanted, GA_NAMES, "session")?;
    let Some(audio) = wanted.get("audio") else { return Ok(()) };
    let object = |value: &Value, param: &str| {
        value.as_object().cloned().ok_or_else(|| Fault::invalid(param, "an object is expected"))
    };
    let audio = object(audio, "session.audio")?;
    check(&audio, &["input", "output"], "session.audio")?;
    for (direction, known) in [("input", GA_INPUT_NAMES), ("output", GA_OUTPUT_NAMES)] {
        if let Some(value) = audio.get(direction) {
            let prefix = format!("session.audio.{direction}");
            check(&object(value, &prefix)?, known, &prefix)?;
        }
    }
    Ok(())
}

/// Puts what is wanted over what was there; the two tables of tables are merged, everything else is replaced.
fn merge(object: &mut Map<String, Value>, wanted: &Map<String, Value>) {
    for (name, value) in wanted {
        match (name.as_str(), object.get_mut(name), value) {
            ("audio" | "input" | "output", Some(Value::Object(before)), Value::Object(value)) => {
                merge(before, value)
            }
            ("id" | "object", _, _) => {}
            _ => {
                object.insert(name.clone(), value.clone());
            }
        }
    }
}

fn ga_default(id: &str, format: MediaFormat) -> Map<String, Value> {
    let format: Value = serde_json::from_str(ga_format(format)).unwrap_or_default();
    object(json!({
        "type": "realtime", "object": "realtime.session", "id": id, "model": DEFAULT_MODEL,
        "output_modalities": ["audio"], "instructions": "", "tools": [], "tool_choice": "auto",
        "max_output_tokens": "inf",
        "audio": {
            "input": {
                "format": format, "transcription": null, "noise_reduction": null,
                "turn_detection": default_turn_detection(),
            },
            "output": { "format": format, "voice": "alloy", "speed": 1.0 },
        },
    }))
}

fn beta_default(before: &Map<String, Value>, format: MediaFormat) -> Map<String, Value> {
    let format = beta_format(format);
    object(json!({
        "object": "realtime.session", "id": id_of(before), "model": DEFAULT_MODEL,
        "modalities": ["audio", "text"], "instructions": "", "voice": "alloy",
        "input_audio_format": format, "output_audio_format": format,
        "input_audio_transcription": null, "turn_detection": default_turn_detection(),
        "tools": [], "tool_choice": "auto", "temperature": 0.8, "max_response_output_tokens": "inf",
    }))
}

fn default_turn_detection() -> Value {
    json!({
        "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
        "create_response": true, "interrupt_response": true,
    })
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(object) = value { object } else { Map::new() }
}

fn id_of(object: &Map<String, Value>) -> &str {
    object.get("id").and_then(Value::as_str).unwrap_or_default()
}

const GA_NAMES: &[&str] = &[
    "type",
    "id",
    "object",
    "expires_at",
    "model",
    "output_modalities",
    "instructions",
    "audio",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "tracing",
    "truncation",
    "prompt",
    "reasoning",
    "parallel_tool_calls",
    "include",
];

const GA_INPUT_NAMES: &[&str] = &["format", "turn_detection", "transcription", "noise_reduction"];

const GA_OUTPUT_NAMES: &[&str] = &["format", "voice", "speed"];

const BETA_NAMES: &[&str] = &[
    "id",
    "object",
    "expires_at",
    "model",
    "modalities",
    "instructions",
    "voice",
    "input_audio_format",
    "output_audio_format",
    "input_audio_transcription",
    "input_audio_noise_reduction",
    "turn_detection",
    "tools",
    "tool_choice",
    "temperature",
    "speed",
    "max_response_output_tokens",
    "tracing",
    "include",
    "client_secret",
];
