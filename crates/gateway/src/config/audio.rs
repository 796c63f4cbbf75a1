//! The table `audio` of a bot, which its dialect checks.

use std::time::Duration;

use patchcord_core::dialect::WireAudio;
use patchcord_core::dialect::registry::AudioWish;

use super::dialect_names::DialectName;
use super::problem::Refusal;
use super::section::Section;

/// Reads the table `audio` of a bot; what is absent is the dialect's own.
pub(super) fn read(section: &Section<'_>, dialect: DialectName) -> Option<WireAudio> {
    let encoding: Option<String> = section.value("encoding");
    let sample_rate: Option<u32> = section.value("sample_rate");
    let frame: Option<Duration> = section.value("frame");
    let check = |key: &str, wish: AudioWish| {
        let refuse =
            |sentence: String| section.refuse(key, Refusal::new(sentence, "leave it out for the default"));
        (dialect.row().audio)(&wish).map_err(refuse).ok()
    };
    // Asked one key after the other, so that a problem stands at the key that causes it.
    let mut framed = check("frame", AudioWish { encoding: None, sample_rate: None, frame });
    let encoded =
        check("encoding", AudioWish { encoding: encoding.clone(), sample_rate: None, frame: None })?;
    if framed.is_some() && frame.is_some() {
        framed = check("frame", AudioWish { encoding: encoding.clone(), sample_rate: None, frame });
    }
    let sampled = match sample_rate {
        Some(_) => check("sample_rate", AudioWish { encoding, sample_rate, frame: None })?,
        None => encoded,
    };
    Some(WireAudio { format: sampled.format, frame: framed?.frame })
}
