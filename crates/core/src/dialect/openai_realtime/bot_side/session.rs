//! `session.update`: the settings of an engine as its session, in both namings.

use crate::dialect::json::{write_string, write_u64};
use crate::dialect::openai_realtime::formats::{beta_format, ga_format};
use crate::dialect::openai_realtime::settings::{
    BargeIn, Eagerness, EngineSettings, Hundredths, Naming, ServerVad, ToolSpec, Transcription, TurnAnswer,
    TurnDetection, Turns,
};
use crate::media::MediaFormat;

/// Writes `session.update`; the engine repeats [`SESSION_EVENT`] in an error about it.
pub fn write_session_update(to: &mut Vec<u8>, settings: &EngineSettings, format: MediaFormat) {
    to.extend_from_slice(br#"{"type":"session.update","event_id":"#);
    write_string(to, SESSION_EVENT);
    to.extend_from_slice(br#","session":{"#);
    match settings.naming {
        Naming::Ga => write_ga(to, settings, format),
        Naming::Beta => write_beta(to, settings, format),
    }
    to.extend_from_slice(b"}}");
}

fn write_ga(to: &mut Vec<u8>, settings: &EngineSettings, format: MediaFormat) {
    to.extend_from_slice(br#""type":"realtime","output_modalities":["audio"],"instructions":"#);
    write_string(to, &settings.instructions);
    to.extend_from_slice(br#","audio":{"input":{"format":"#);
    to.extend_from_slice(ga_format(format).as_bytes());
    write_turn_detection(to, &settings.turn_detection);
    if let Some(transcription) = &settings.transcription {
        to.extend_from_slice(br#","transcription":"#);
        write_transcription(to, transcription);
    }
    if let Some(reduction) = settings.noise_reduction {
        to.extend_from_slice(br#","noise_reduction":{"type":"#);
        write_string(to, reduction.word());
        to.push(b'}');
    }
    to.extend_from_slice(br#"},"output":{"format":"#);
    to.extend_from_slice(ga_format(format).as_bytes());
    write_text(to, "voice", settings.voice.as_deref());
    write_fraction(to, "speed", settings.speed);
    to.extend_from_slice(b"}}");
    write_tools(to, settings);
    if let Some(tokens) = settings.max_output_tokens {
        write_whole(to, "max_output_tokens", tokens.into());
    }
}

fn write_beta(to: &mut Vec<u8>, settings: &EngineSettings, format: MediaFormat) {
    to.extend_from_slice(br#""modalities":["audio","text"],"instructions":"#);
    write_string(to, &settings.instructions);
    write_text(to, "voice", settings.voice.as_deref());
    for direction in ["input_audio_format", "output_audio_format"] {
        write_text(to, direction, Some(beta_format(format)));
    }
    write_turn_detection(to, &settings.turn_detection);
    if let Some(transcription) = &settings.transcription {
        to.extend_from_slice(br#","input_audio_transcription":"#);
        write_transcription(to, transcription);
    }
    if let Some(reduction) = settings.noise_reduction {
        to.extend_from_slice(br#","input_audio_noise_reduction":{"type":"#);
        write_string(to, reduction.word());
        to.push(b'}');
    }
    write_fraction(to, "speed", settings.speed);
    write_fraction(to, "temperature", settings.temperature);
    write_tools(to, settings);
    if let Some(tokens) = settings.max_output_tokens {
        write_whole(to, "max_response_output_tokens", tokens.into());
    }
}

fn write_turn_detection(to: &mut Vec<u8>, detection: &TurnDetection) {
    to.extend_from_slice(br#","turn_detection":"#);
    let turns = match detection {
        TurnDetection::Off => return to.extend_from_slice(b"null"),
        TurnDetection::Server(vad, turns) => {
            to.extend_from_slice(br#"{"type":"server_vad""#);
            write_vad(to, vad);
            turns
        }
        TurnDetection::Semantic(eagerness, turns) => {
            to.extend_from_slice(br#"{"type":"semantic_vad""#);
            write_text(to, "eagerness", eagerness.map(Eagerness::word));
            turns
        }
    };
    write_turns(to, *turns);
    to.push(b'}');
}

fn write_vad(to: &mut Vec<u8>, vad: &ServerVad) {
    write_fraction(to, "threshold", vad.threshold);
    for (name, duration) in [
        ("prefix_padding_ms", vad.prefix_padding),
        ("silence_duration_ms", vad.silence_duration),
        ("idle_timeout_ms", vad.idle_timeout),
    ] {
        if let Some(duration) = duration {
            write_whole(to, name, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        }
    }
}

fn write_turns(to: &mut Vec<u8>, turns: Turns) {
    let answers = turns.answer == TurnAnswer::ByItself;
    let interrupts = turns.barge_in == BargeIn::Interrupts;
    for (name, value) in [("create_response", answers), ("interrupt_response", interrupts)] {
        write_name(to, name);
        to.extend_from_slice(if value { b"true" } else { b"false" });
    }
}

fn write_transcription(to: &mut Vec<u8>, transcription: &Transcription) {
    to.extend_from_slice(br#"{"model":"#);
    write_string(to, &transcription.model);
    write_text(to, "language", transcription.language.as_deref());
    write_text(to, "prompt", transcription.prompt.as_deref());
    to.push(b'}');
}

fn write_tools(to: &mut Vec<u8>, settings: &EngineSettings) {
    if settings.tools.is_empty() {
        return;
    }
    to.extend_from_slice(br#","tools":["#);
    for (at, tool) in settings.tools.iter().enumerate() {
        if at > 0 {
            to.push(b',');
        }
        write_tool(to, tool);
    }
    to.push(b']');
    match settings.tool_choice.as_deref() {
        None => {}
        Some(word @ ("auto" | "none" | "required")) => write_text(to, "tool_choice", Some(word)),
        Some(name) => {
            to.extend_from_slice(br#","tool_choice":{"type":"function","name":"#);
            write_string(to, name);
            to.push(b'}');
        }
    }
}

fn write_tool(to: &mut Vec<u8>, tool: &ToolSpec) {
    to.extend_from_slice(br#"{"type":"function","name":"#);
    write_string(to, &tool.name);
    write_text(to, "description", Some(&tool.description));
    to.extend_from_slice(br#","parameters":"#);
    to.extend_from_slice(tool.parameters.as_bytes());
    to.push(b'}');
}

fn write_text(to: &mut Vec<u8>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        write_name(to, name);
        write_string(to, text);
    }
}

fn write_whole(to: &mut Vec<u8>, name: &str, number: u64) {
    write_name(to, name);
    write_u64(to, number);
}

fn write_fraction(to: &mut Vec<u8>, name: &str, fraction: Option<Hundredths>) {
    let Some(Hundredths(hundredths)) = fraction else { return };
    write_whole(to, name, u64::from(hundredths / 100));
    to.push(b'.');
    write_u64(to, u64::from(hundredths / 10 % 10));
    write_u64(to, u64::from(hundredths % 10));
}

fn write_name(to: &mut Vec<u8>, name: &str) {
    to.push(b',');
    write_string(to, name);
    to.push(b':');
}

/// Our name of the `session.update`.
pub const SESSION_EVENT: &str = "patchcord_session";
