//! The head line `engine {…}` of a talk: what the engine of `openai-realtime` is to be, as JSON.

use std::sync::Arc;
use std::time::Duration;

use patchcord_core::dialect::{
    BargeIn, DigitWish, Eagerness, EngineSettings, Hundredths, Naming, NoiseReduction, ServerVad, ToolSpec,
    Transcription, TurnAnswer, TurnDetection, Turns,
};
use serde_json::Value;

/// Reads the line.
pub(super) fn parse(line: &str) -> Result<Arc<EngineSettings>, String> {
    let json = line.trim().strip_prefix("engine").unwrap_or_default();
    let keys: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let mut settings = EngineSettings { transcription: None, ..EngineSettings::default() };
    for (name, value) in keys.as_object().ok_or("an object is expected")? {
        set(&mut settings, name, value)?;
    }
    Ok(Arc::new(settings))
}

fn set(settings: &mut EngineSettings, name: &str, value: &Value) -> Result<(), String> {
    let text = || value.as_str().map(Box::from).ok_or_else(|| format!("`{name}` is a text"));
    let hundredths = || value.as_f64().map(|number| Hundredths((number * 100.0).round() as u16));
    match name {
        "beta" => settings.naming = if value == &Value::Bool(true) { Naming::Beta } else { Naming::Ga },
        "instructions" => settings.instructions = text()?,
        "greeting" => settings.greeting = Some(text()?),
        "voice" => settings.voice = Some(text()?),
        "speed" => settings.speed = hundredths(),
        "temperature" => settings.temperature = hundredths(),
        "max_output_tokens" => {
            settings.max_output_tokens = value.as_u64().and_then(|tokens| tokens.try_into().ok());
        }
        "turn_detection" => settings.turn_detection = turn_detection(value)?,
        "transcription" => {
            let of = |name: &str| value.get(name).and_then(Value::as_str).map(Box::from);
            let model = of("model").unwrap_or_else(|| Transcription::default().model);
            settings.transcription =
                Some(Transcription { model, language: of("language"), prompt: of("prompt") });
        }
        "noise_reduction" => {
            settings.noise_reduction = match value.as_str() {
                Some("near_field") => Some(NoiseReduction::NearField),
                Some("far_field") => Some(NoiseReduction::FarField),
                _ => return Err("`noise_reduction` is near_field or far_field".to_owned()),
            };
        }
        "tools" => settings.tools = value.as_array().into_iter().flatten().map(tool).collect(),
        "tool_choice" => settings.tool_choice = Some(text()?),
        "digits" => {
            settings.digits = match value.as_str() {
                Some("answered") => DigitWish::Answered,
                Some("told") => DigitWish::Told,
                _ => DigitWish::Ignored,
            };
        }
        _ => return Err(format!("`{name}` is no setting of an engine")),
    }
    Ok(())
}

fn turn_detection(value: &Value) -> Result<TurnDetection, String> {
    let is = |name: &str| value.get(name) != Some(&Value::Bool(false));
    let turns = Turns {
        answer: if is("create_response") { TurnAnswer::ByItself } else { TurnAnswer::Nothing },
        barge_in: if is("interrupt_response") { BargeIn::Interrupts } else { BargeIn::Ignored },
    };
    let ms = |name: &str| value.get(name).and_then(Value::as_u64).map(Duration::from_millis);
    match value.get("type").and_then(Value::as_str) {
        None if value.is_null() => Ok(TurnDetection::Off),
        Some("server_vad") => {
            let threshold = value.get("threshold").and_then(Value::as_f64);
            let vad = ServerVad {
                threshold: threshold.map(|number| Hundredths((number * 100.0).round() as u16)),
                prefix_padding: ms("prefix_padding_ms"),
                silence_duration: ms("silence_duration_ms"),
                idle_timeout: ms("idle_timeout_ms"),
            };
            Ok(TurnDetection::Server(vad, turns))
        }
        Some("semantic_vad") => {
            let eagerness = match value.get("eagerness").and_then(Value::as_str) {
                Some("low") => Some(Eagerness::Low),
                Some("medium") => Some(Eagerness::Medium),
                Some("high") => Some(Eagerness::High),
                Some(_) => Some(Eagerness::Auto),
                None => None,
            };
            Ok(TurnDetection::Semantic(eagerness, turns))
        }
        _ => Err("`turn_detection` is null, or has type server_vad or semantic_vad".to_owned()),
    }
}

fn tool(value: &Value) -> ToolSpec {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().into();
    let parameters = value.get("parameters").map(Value::to_string).unwrap_or_else(|| "{}".to_owned());
    ToolSpec { name: text("name"), description: text("description"), parameters: parameters.into() }
}
