//! `ivr-solutions`: the WSS bridge of seed 000, JSON events to the bot, JSON or binary audio and commands back.
//!
//! What the vendor says and where it is silent stands in README.md beside this file. The other three files are
//! the two ends and the wire types; talks/ holds every example message.

mod bot_side;
mod commands;
mod phone_side;
#[cfg(test)]
mod tests;
mod wire;

use super::envelope::audio;
use super::envelope::pick::{Picked, pick};
use super::json::Text;
use super::registry::{DialectRow, MessageRow};
use super::{Capability, Malformed, json};
use crate::media::{Encoding, MediaFormat};

/// The row of the registry.
pub const ROW: DialectRow = DialectRow {
    name: "ivr-solutions",
    summary: "IVR Solutions WSS bridge and Exotel-shaped bots: JSON events, base64 or binary audio, marks, transfers",
    default_audio: audio::DEFAULT,
    message_audio: None,
    audio_for_phone: None,
    capabilities: CAPABILITIES,
    messages: MESSAGES,
    audio: audio::audio,
    bot_side: |settings| Box::new(bot_side::IvrBotSide::new(settings)),
    phone_side: |settings| Box::new(phone_side::IvrPhoneSide::new(settings)),
};

const CAPABILITIES: &[Capability] = &[
    Capability::Marks,
    Capability::Clear,
    Capability::DigitsToBot,
    Capability::DigitsToPhone,
    Capability::HangUp,
    Capability::Transfer,
];

const MESSAGES: &[MessageRow] = &[
    to_bot("connected", "the connection is up"),
    to_bot("start", "the call: ids, numbers, audio format"),
    to_bot("media", "audio of the caller, numbered and with its time"),
    to_bot("dtmf", "the caller pressed a key"),
    to_bot("mark", "the audio before the bot's mark was played or cleared"),
    to_bot("clear", "waiting audio was dropped"),
    to_bot("error", "a command was not carried out"),
    to_bot("stop", "the stream ends: callended, or stopped when the call goes on elsewhere"),
    to_phone("response.audio.delta", "audio to the caller; also as a binary message, or as event media"),
    to_phone("audio.clear", "drop the audio that waits; also as event clear"),
    to_phone("mark", "say when the audio so far was played"),
    to_phone("session.dtmf", "send digits to the caller"),
    to_phone("session.hangup", "end the call after the audio so far"),
    to_phone("session.transfer", "hand the call to one phone or several"),
    to_phone("session.transfer_extension", "hand the call to an extension"),
    to_phone("session.flow_transfer", "hand the call to a flow or queue"),
    to_phone("session.transfer_ws", "hand the call to another bot"),
];

const fn to_bot(name: &'static str, meaning: &'static str) -> MessageRow {
    MessageRow { to_bot: true, name, meaning }
}

const fn to_phone(name: &'static str, meaning: &'static str) -> MessageRow {
    MessageRow { to_bot: false, name, meaning }
}

/// The format that a name on the wire stands for, at its lowest rate; vendors write it in many ways.
fn format_of(encoding: &str) -> Option<MediaFormat> {
    Some(match encoding.to_ascii_lowercase().as_str() {
        // Exotel writes "base64" for 16-bit linear.
        "pcm" | "pcm16" | "linear16" | "slin" | "raw/slin" | "audio/x-l16" | "base64" => {
            MediaFormat::linear16(8_000)
        }
        "mulaw" | "ulaw" | "pcmu" | "g711_ulaw" | "audio/x-mulaw" => MediaFormat::PCMU_8K,
        "alaw" | "pcma" | "g711_alaw" | "audio/x-alaw" => MediaFormat::PCMA_8K,
        _ => return None,
    })
}

/// The word of `media_format.encoding` (seed 000 §5.2).
fn encoding_word(format: MediaFormat) -> &'static str {
    match format.encoding {
        Encoding::Linear16 => "raw/slin",
        Encoding::Pcmu => "audio/x-mulaw",
        Encoding::Pcma => "audio/x-alaw",
    }
}

/// Picks what a message says of its kind, and its audio: `event`, `type`, `media.payload`, `delta`.
fn message(text: &str) -> Result<[Picked<'_>; 4], Malformed> {
    json::expect_object(text)?;
    let mut found = [Picked::default(); 4];
    pick(text, &wire::MESSAGE, &mut found)?;
    Ok(found)
}

/// The name of a message that has one.
fn name<'a>(event: Picked<'a>, kind: Picked<'a>) -> Result<[Option<Text<'a>>; 2], Malformed> {
    const FIELD: &str = "event or type";
    let names = [event.text(FIELD)?, kind.text(FIELD)?];
    if names.iter().all(Option::is_none) { Err(Malformed::Missing("event")) } else { Ok(names) }
}

/// Appends `name` (with its separators) and a ready-made JSON string.
fn field(to: &mut Vec<u8>, name: &str, json: &[u8]) {
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(json);
}

/// Bytes of a mark's name; longer ones are malformed, so that waiting marks have a bound.
const MARK_NAME_BYTES_MAX: usize = 1_024;
