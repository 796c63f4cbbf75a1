//! Formats of audio as both namings write them.

use crate::media::{Encoding, MediaFormat};

/// Linear audio has this rate and no other.
pub const PCM: MediaFormat = MediaFormat::linear16(24_000);

/// The format that a name stands for, in both namings and as configurations write it.
pub fn format_of(encoding: &str) -> Option<MediaFormat> {
    Some(match encoding {
        "audio/pcm" | "pcm16" | "pcm" | "linear16" | "slin" => PCM,
        "audio/pcmu" | "g711_ulaw" | "pcmu" | "ulaw" | "mulaw" => MediaFormat::PCMU_8K,
        "audio/pcma" | "g711_alaw" | "pcma" | "alaw" => MediaFormat::PCMA_8K,
        _ => return None,
    })
}

/// The object of a format in the newer naming; only linear audio has a rate.
pub fn ga_format(format: MediaFormat) -> &'static str {
    match format.encoding {
        Encoding::Linear16 => r#"{"type":"audio/pcm","rate":24000}"#,
        Encoding::Pcmu => r#"{"type":"audio/pcmu"}"#,
        Encoding::Pcma => r#"{"type":"audio/pcma"}"#,
    }
}

/// The word of a format in the older naming.
pub fn beta_format(format: MediaFormat) -> &'static str {
    match format.encoding {
        Encoding::Linear16 => "pcm16",
        Encoding::Pcmu => "g711_ulaw",
        Encoding::Pcma => "g711_alaw",
    }
}
