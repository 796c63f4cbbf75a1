//! `custom`: any WebSocket schema by a mapping (seed 000 §9), templates for what is sent and paths for what is read.
//!
//! What the keys mean and where the seed is silent stands in README.md beside this file.

mod bot_side;
mod mapping;
mod phone_side;
mod slot;
mod speech;
#[cfg(test)]
mod tests;
mod walk;
mod wire;

pub use mapping::{MAPPING_EXAMPLE, MAPPING_KEYS, Mapping, MappingProblem};

use super::Capability;
use super::envelope::audio;
use super::registry::{DialectRow, MessageRow};

/// The row of the registry.
pub const ROW: DialectRow = DialectRow {
    name: "custom",
    summary: "any WebSocket schema by a mapping: templates for what is sent, paths for what is read",
    default_audio: audio::DEFAULT,
    message_audio: None,
    audio_for_phone: None,
    capabilities: CAPABILITIES,
    messages: MESSAGES,
    audio: audio::audio,
    bot_side: |settings| Box::new(bot_side::CustomBotSide::new(settings)),
    phone_side: |settings| Box::new(phone_side::CustomPhoneSide::new(settings)),
};

/// What a mapping can carry; each carries what it has messages for.
const CAPABILITIES: &[Capability] = &[
    Capability::Marks,
    Capability::Clear,
    Capability::DigitsToBot,
    Capability::DigitsToPhone,
    Capability::HangUp,
    Capability::Transfer,
];

const MESSAGES: &[MessageRow] = &[
    to_bot("sessionStartMessage", "the call; without it nothing but audio is sent unasked"),
    to_bot("inputTemplate", "audio of the caller (messageType json), else a binary message"),
    to_bot("inputMark", "the audio before the bot's mark was played or cleared"),
    to_bot("inputDtmf", "the caller pressed a key"),
    to_bot("inputStop", "the stream ends"),
    to_phone("outputMessageType", "audio to the caller, at outputAudioPath; also any binary message"),
    to_phone("outputClear", "drop the audio that waits"),
    to_phone("outputMark", "say when the audio so far was played"),
    to_phone("outputDtmf", "send digits to the caller"),
    to_phone("outputHangup", "end the call after the audio so far"),
    to_phone("outputTransfer", "hand the call to phones, or to another bot"),
];

const fn to_bot(name: &'static str, meaning: &'static str) -> MessageRow {
    MessageRow { to_bot: true, name, meaning }
}

const fn to_phone(name: &'static str, meaning: &'static str) -> MessageRow {
    MessageRow { to_bot: false, name, meaning }
}

/// Bytes of a mark's name; longer ones are malformed, so that waiting marks have a bound.
const MARK_NAME_BYTES_MAX: usize = 1_024;

/// Paths in one mapping: the two of the kind, and one for each answer.
const ANSWER_PATHS_MAX: usize = 8;

/// The word of `{{reason}}` when the call goes on without this bot; of an ended call it is the cause's own.
const HANDED: &str = "transferred";
