//! `openai-realtime`: sessions with a speech engine, JSON events both ways, audio in base64.
//!
//! What the engine says and what we make of it stands in README.md beside this file. The address, the key and the
//! header of the older naming belong to whoever dials.

mod bot_side;
mod faults;
mod formats;
mod phone_side;
mod settings;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use self::formats::{PCM, format_of};
use super::envelope::audio::frame;
use super::registry::{AudioWish, DialectRow, MessageRow};
use super::{Capability, WireAudio};
use crate::media::MediaFormat;

pub use settings::{
    BargeIn, DEFAULT_MODEL, DEFAULT_TRANSCRIBER, DigitWish, Eagerness, EngineSettings, Hundredths, Naming,
    NoiseReduction, ServerVad, ToolSpec, Transcription, TurnAnswer, TurnDetection, Turns,
};

/// The row of the registry.
pub const ROW: DialectRow = DialectRow {
    name: "openai-realtime",
    summary: "OpenAI Realtime and engines like it: typed JSON sessions, base64 audio at 24000 (pcm) or 8000 (pcmu, pcma), transcripts, tools",
    default_audio: WireAudio { format: PCM, frame: Duration::from_millis(20) },
    message_audio: None,
    audio_for_phone: Some(audio_for_phone),
    capabilities: CAPABILITIES,
    messages: MESSAGES,
    audio,
    bot_side: |settings| Box::new(bot_side::EngineBotSide::new(settings)),
    phone_side: |settings| Box::new(phone_side::EnginePhoneSide::new(settings)),
};

/// What both ends carry.
const CAPABILITIES: &[Capability] = &[Capability::Clear];

const MESSAGES: &[MessageRow] = &[
    to_bot("session.update", "who the engine is to be: instructions, voice, audio formats, turns, tools"),
    to_bot("input_audio_buffer.append", "audio of the caller"),
    to_bot("input_audio_buffer.commit", "the caller has ceased to speak, to an engine that does not hear it"),
    to_bot("response.create", "the engine is to speak: its greeting, or after tools and keys"),
    to_bot("response.cancel", "the engine is to stop: the caller cut it off"),
    to_bot("conversation.item.create", "what was said before, a tool's result, keys that the caller pressed"),
    to_bot("conversation.item.truncate", "so much of what the engine said was heard"),
    to_phone("session.created", "the session is there; session.updated: it is as we want it"),
    to_phone("response.output_audio.delta", "audio to the caller; response.audio.delta in the older naming"),
    to_phone("response.output_audio_transcript.delta", "what the engine says, in words; done: all of it"),
    to_phone("input_audio_buffer.speech_started", "the caller speaks: what waits is dropped; speech_stopped"),
    to_phone("conversation.item.input_audio_transcription.completed", "what the caller said, in words"),
    to_phone("response.function_call_arguments.done", "the engine calls a tool"),
    to_phone("response.done", "a response is over: completed, cancelled, incomplete or failed"),
    to_phone("error", "a message of ours was refused, or the session is over"),
];

const fn to_bot(name: &'static str, meaning: &'static str) -> MessageRow {
    MessageRow { to_bot: true, name, meaning }
}

const fn to_phone(name: &'static str, meaning: &'static str) -> MessageRow {
    MessageRow { to_bot: false, name, meaning }
}

/// Checks a configured format; its rate is fixed by its encoding.
fn audio(wish: &AudioWish) -> Result<WireAudio, String> {
    let format = match wish.encoding.as_deref() {
        Some(word) => format_of(word).ok_or_else(|| format!("audio encoding {word:?}: {POSSIBLE}"))?,
        None if wish.sample_rate == Some(MediaFormat::PCMU_8K.sample_rate) => MediaFormat::PCMU_8K,
        None => PCM,
    };
    if let Some(rate) = wish.sample_rate.filter(|rate| *rate != format.sample_rate) {
        return Err(format!("audio at {rate} samples per second: {POSSIBLE}"));
    }
    Ok(WireAudio { format, frame: frame(wish)? })
}

/// The format that makes the least of a phone's audio: G.711 goes as it is.
fn audio_for_phone(phone: MediaFormat) -> MediaFormat {
    match phone {
        MediaFormat::PCMU_8K | MediaFormat::PCMA_8K => phone,
        _ => PCM,
    }
}

const POSSIBLE: &str = "possible are pcm at 24000, pcmu and pcma at 8000";
