//! `smartpbx`: the AI Provider protocol of seed 004, four JSON events with base64 audio both ways.
//!
//! What the vendor says and where it is silent stands in README.md beside this file. No clear, mark, digits to
//! the phone or hang-up from the bot exist on this wire. Opus is coded here: the call hears
//! and says linear audio at 48000.

mod bot_side;
mod payload;
mod phone_side;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use self::payload::OPUS;
use super::envelope::audio::frame;
use super::json::{Text, unreadable};
use super::registry::{AudioWish, DialectRow, MessageRow};
use super::{Capability, Malformed, WireAudio};
use crate::media::{Encoding, MediaFormat};

/// The row of the registry.
pub const ROW: DialectRow = DialectRow {
    name: "smartpbx",
    summary: "SmartPBX / FonoUC AI Provider: four JSON events, base64 audio at 24000 (pcm16), 8000 (g711_ulaw) or 48000 (opus)",
    default_audio: WireAudio { format: PCM16, frame: Duration::from_millis(20) },
    message_audio: None,
    audio_for_phone: None,
    capabilities: CAPABILITIES,
    messages: MESSAGES,
    audio,
    bot_side: |settings| Box::new(bot_side::SmartPbxBotSide::new(settings)),
    phone_side: |settings| Box::new(phone_side::SmartPbxPhoneSide::new(settings)),
};

const CAPABILITIES: &[Capability] = &[Capability::DigitsToBot];

const MESSAGES: &[MessageRow] = &[
    MessageRow { to_bot: true, name: "start", meaning: "the call: ids, numbers, audio format" },
    MessageRow { to_bot: true, name: "media", meaning: "audio of the caller" },
    MessageRow { to_bot: true, name: "dtmf", meaning: "the caller pressed a key" },
    MessageRow { to_bot: true, name: "hangup", meaning: "the call is over, and why; the connection closes" },
    MessageRow {
        to_bot: false,
        name: "media",
        meaning: "audio to the caller; closing the connection hangs up",
    },
];

/// Checks `media.audioFormat` and `media.sampleRate` (seed 004 "Config"), which must match.
fn audio(wish: &AudioWish) -> Result<WireAudio, String> {
    let format = match wish.encoding.as_deref() {
        Some(word) => format_of(word).ok_or_else(|| format!("audio encoding {word:?}: {POSSIBLE}"))?,
        None if wish.sample_rate == Some(MediaFormat::PCMU_8K.sample_rate) => MediaFormat::PCMU_8K,
        None => ROW.default_audio.format,
    };
    if let Some(rate) = wish.sample_rate.filter(|rate| *rate != format.sample_rate) {
        let word = encoding_word(format);
        return Err(format!("audio encoding {word} at {rate} samples per second: {POSSIBLE}"));
    }
    let frame = frame(wish)?;
    if format == OPUS && frame != ROW.default_audio.frame {
        return Err("audio frame: opus has packets of 20ms".to_owned());
    }
    Ok(WireAudio { format, frame })
}

/// The format that a name stands for; its rate is fixed (seed 004 "mediaFormat object").
fn format_of(encoding: &str) -> Option<MediaFormat> {
    Some(match encoding.to_ascii_lowercase().as_str() {
        "pcm16" | "pcm" | "linear16" | "slin" => PCM16,
        "g711_ulaw" | "ulaw" | "mulaw" | "pcmu" => MediaFormat::PCMU_8K,
        "opus" if cfg!(feature = "opus") => OPUS,
        _ => return None,
    })
}

/// The word of `mediaFormat.encoding`.
fn encoding_word(format: MediaFormat) -> &'static str {
    match format.encoding {
        Encoding::Pcmu => "g711_ulaw",
        Encoding::Linear16 if format == OPUS => "opus",
        Encoding::Linear16 | Encoding::Pcma => "pcm16",
    }
}

/// Reads what kind of message `text` is.
fn event_name(text: &str) -> Result<Text<'_>, Malformed> {
    let head: wire::Head<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error, "event"))?;
    head.event.ok_or(Malformed::Missing("event"))
}

fn text_of<'a>(text: &'a Option<Text<'_>>) -> &'a str {
    text.as_ref().map_or("", Text::as_str)
}

const PCM16: MediaFormat = MediaFormat::linear16(24_000);

/// What a binary message is: this wire carries JSON only.
const BINARY: Malformed = Malformed::Audio("a binary message");

const POSSIBLE: &str = if cfg!(feature = "opus") {
    "possible are pcm16 at 24000, g711_ulaw at 8000 and opus at 48000"
} else {
    "possible are pcm16 at 24000 and g711_ulaw at 8000 (this program was built without opus)"
};
