//! The audio formats of seed 000 §3 and the lengths of messages, as configurations and API bodies give them.

use std::time::Duration;

use crate::dialect::WireAudio;
use crate::dialect::registry::AudioWish;
use crate::media::{Encoding, MediaFormat};

/// 16-bit linear at 8 kHz in messages of 20 ms.
pub const DEFAULT: WireAudio = WireAudio { format: MediaFormat::linear16(8_000), frame: FRAME };

/// Checks `audioFormat` (seed 000 §3).
///
/// # Errors
/// A sentence that names what is possible.
pub fn audio(wish: &AudioWish) -> Result<WireAudio, String> {
    let mut format = match wish.encoding.as_deref() {
        Some(word) => {
            configured_format(word).ok_or_else(|| format!("audio encoding {word:?}: {POSSIBLE}"))?
        }
        None => DEFAULT.format,
    };
    if let Some(rate) = wish.sample_rate {
        format.sample_rate = rate;
    }
    if !is_possible(format) {
        return Err(format!("audio at {} samples per second: {POSSIBLE}", format.sample_rate));
    }
    Ok(WireAudio { format, frame: frame(wish)? })
}

/// Checks the length of a message.
///
/// # Errors
/// A sentence that names what is possible.
pub fn frame(wish: &AudioWish) -> Result<Duration, String> {
    let frame = wish.frame.unwrap_or(FRAME);
    let whole = frame.as_nanos().is_multiple_of(FRAME_STEP.as_nanos());
    if !whole || frame < FRAME_STEP || frame > FRAME_MAX {
        return Err("audio frame: possible are 10ms to 200ms in steps of 10ms".to_owned());
    }
    Ok(frame)
}

/// Whether seed 000 §3 knows the format.
pub fn is_possible(format: MediaFormat) -> bool {
    match format.encoding {
        Encoding::Linear16 => matches!(format.sample_rate, 8_000 | 16_000 | 24_000),
        Encoding::Pcmu | Encoding::Pcma => format.sample_rate == 8_000,
    }
}

/// The format of a configured name (seed 000 §3), at its lowest rate; the list is closed.
fn configured_format(encoding: &str) -> Option<MediaFormat> {
    Some(match encoding {
        "pcm" | "linear16" | "slin" => MediaFormat::linear16(8_000),
        "mulaw" | "ulaw" | "g711_ulaw" => MediaFormat::PCMU_8K,
        "alaw" => MediaFormat::PCMA_8K,
        _ => return None,
    })
}

const POSSIBLE: &str = "possible are pcm (or linear16, slin) at 8000, 16000 or 24000, mulaw (or ulaw, g711_ulaw) at 8000, alaw at 8000";

const FRAME: Duration = Duration::from_millis(20);
const FRAME_STEP: Duration = Duration::from_millis(10);
const FRAME_MAX: Duration = Duration::from_millis(200);
