//! The incoming-call dialect: JSON text for signals, binary messages for audio, and a call that rings until the bot
//! answers.
//!
//! The vendor dials the bot. Rules, and what the wire lacks, stand in `README.md`; sources: seeds 002 and 003.

mod bot_side;
mod cdr;
mod phone_side;
#[cfg(test)]
mod tests;
mod wire;

pub use bot_side::IncomingCallBotSide;
pub use phone_side::IncomingCallPhoneSide;

use std::time::Duration;

use serde_json::value::RawValue;
use wire::Message;

use super::json::{Text, expect_object, unreadable};
use super::length::Length;
use super::registry::{AudioWish, DialectRow, MessageRow};
use super::{Capability, Malformed, WireAudio};
use crate::media::MediaFormat;

/// The row of the list of dialects.
pub const ROW: DialectRow = DialectRow {
    name: "incoming-call",
    summary: "incoming_call / answer / cdr: binary 16-bit audio at 8 kHz, answer gate",
    default_audio: WireAudio { format: FORMAT, frame: FRAME },
    message_audio: None,
    audio_for_phone: None,
    capabilities: CAPABILITIES,
    messages: &[
        MessageRow { to_bot: true, name: "incoming_call", meaning: "a call rings" },
        MessageRow { to_bot: true, name: "(binary)", meaning: "audio of the caller" },
        MessageRow { to_bot: true, name: "dtmf", meaning: "the caller pressed a key" },
        MessageRow { to_bot: true, name: "hangup", meaning: "the call is over" },
        MessageRow { to_bot: true, name: "cdr", meaning: "what the call was" },
        MessageRow { to_bot: false, name: "answer", meaning: "answer the call" },
        MessageRow { to_bot: false, name: "(binary)", meaning: "audio for the caller" },
        MessageRow { to_bot: false, name: "dtmf", meaning: "send the caller a key" },
        MessageRow { to_bot: false, name: "interrupt", meaning: "drop the audio that waits (newer bots)" },
        MessageRow { to_bot: false, name: "hangup", meaning: "end the call" },
    ],
    audio,
    bot_side: |settings| Box::new(IncomingCallBotSide::new(settings)),
    phone_side: |settings| Box::new(IncomingCallPhoneSide::new(settings)),
};

/// What the wire of the seeds carries.
const CAPABILITIES: &[Capability] = &[
    Capability::DigitsToBot,
    Capability::DigitsToPhone,
    Capability::HangUp,
    Capability::AnswerGate,
    Capability::Record,
];

/// What is taken from bots: newer ones clear by `interrupt`, which is never said to a vendor.
const BOT_CAPABILITIES: &[Capability] = &[
    Capability::Clear,
    Capability::DigitsToBot,
    Capability::DigitsToPhone,
    Capability::HangUp,
    Capability::AnswerGate,
    Capability::Record,
];

/// The only format: 16-bit little-endian at 8 kHz.
const FORMAT: MediaFormat = MediaFormat::linear16(8_000);

const FRAME: Duration = Duration::from_millis(20);
const FRAME_MIN: Duration = Duration::from_millis(10);
const FRAME_MAX: Duration = Duration::from_millis(100);

/// Length of a key that the bot sends without one.
const TONE: Duration = Duration::from_millis(200);

/// Longest key (seeds 002 and 003, "dtmf").
const TONE_MAX: Duration = Duration::from_millis(1_000);

fn audio(wish: &AudioWish) -> Result<WireAudio, String> {
    let linear = ["pcm", "pcm16", "linear16", "slin", "raw/slin"];
    if let Some(encoding) = wish.encoding.as_deref().filter(|encoding| !linear.contains(encoding)) {
        return Err(format!("incoming-call has no encoding `{encoding}`: the only one is pcm"));
    }
    if let Some(rate) = wish.sample_rate.filter(|rate| *rate != FORMAT.sample_rate) {
        return Err(format!("incoming-call has no sample rate {rate}: the only one is 8000"));
    }
    let frame = wish.frame.unwrap_or(FRAME);
    if frame < FRAME_MIN || frame > FRAME_MAX || !frame.as_nanos().is_multiple_of(FRAME_MIN.as_nanos()) {
        return Err(format!("incoming-call: frame must be 10 to 100 ms in steps of 10, not {frame:?}"));
    }
    Ok(WireAudio { format: FORMAT, frame })
}

fn parse(text: &str) -> Result<Message<'_>, Malformed> {
    expect_object(text)?;
    serde_json::from_str(text).map_err(|error| unreadable(&error, "event"))
}

/// A length, if it is one: it is optional, and whoever sends it says more than that.
fn length(field: Option<&RawValue>) -> Option<u64> {
    serde_json::from_str::<Length>(field?.get()).ok()?.0
}

fn text<'t>(field: &'t Option<Text<'_>>) -> &'t str {
    field.as_ref().map(Text::as_str).unwrap_or_default()
}
