//! What stands in a media event: audio as it is, or an Opus packet of 20 ms (seed 004 "mediaFormat object").

use super::wire;
use crate::dialect::json::write_base64;
use crate::dialect::{Malformed, Out, WireClass};
use crate::media::{LineCodec, LineCoding, MediaFormat};

/// The way between the audio of one connection and its payloads.
#[derive(Debug, Default)]
pub struct Payload {
    /// Of a connection that speaks Opus.
    coding: Option<Box<LineCoding>>,
    /// The packet that is being read, or the frame that is being filled up.
    bytes: Vec<u8>,
}

impl Payload {
    /// Payloads of audio that this end knows as `format`.
    pub fn of(format: MediaFormat) -> Self {
        let coding = (format == OPUS).then(|| LineCoding::new(LineCodec::Opus, format)).flatten();
        Self { coding: coding.map(Box::new), bytes: Vec::new() }
    }

    /// Writes seed 004 "media", the same from both ends.
    pub fn write<T>(&mut self, audio: &[u8], out: &mut Out<T>) {
        let payload = match &mut self.coding {
            None => audio,
            Some(coding) if audio.len() == OPUS_FRAME_BYTES => coding.encode(audio),
            Some(coding) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(audio);
                self.bytes.resize(OPUS_FRAME_BYTES, 0);
                coding.encode(&self.bytes)
            }
        };
        out.text(WireClass::Audio, |to| {
            to.extend_from_slice(br#"{"event":"media","media":{"payload":""#);
            write_base64(to, payload);
            to.extend_from_slice(br#""}}"#);
        });
    }

    /// Hears the audio of seed 004 "media", unless it is a file's beginning.
    pub fn hear<T>(&mut self, media: Option<wire::Media<'_>>, out: &mut Out<T>) -> Result<(), Malformed> {
        const FIELD: &str = "media.payload";
        let payload = media.and_then(|media| media.payload).ok_or(Malformed::Missing(FIELD))?;
        if let Some(container) = container(payload.raw()) {
            return Err(Malformed::Audio(container));
        }
        let Some(coding) = &mut self.coding else {
            return out.hear_audio(|to| payload.decode(to)).map_err(|_| Malformed::Base64(FIELD));
        };
        self.bytes.clear();
        payload.decode(&mut self.bytes).map_err(|_| Malformed::Base64(FIELD))?;
        if LineCodec::Opus.ticks_of(&self.bytes) == 0 && !self.bytes.is_empty() {
            return Err(Malformed::Audio("no packet of opus"));
        }
        out.hear_audio(|to| {
            to.extend_from_slice(coding.decode(&self.bytes));
            Ok(())
        })
    }
}

/// The container whose first four bytes the base64 begins with: the seed's own example is WebM, played raw it is
/// noise.
fn container(base64: &str) -> Option<&'static str> {
    // Four bytes fill five characters and the two upper bits of the sixth, which are ones in both.
    let last = base64.as_bytes().get(5)?;
    if !matches!(last, b'w'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'\\') {
        return None;
    }
    match base64.as_bytes().get(..5)? {
        b"GkXfo" => Some("WebM (EBML)"),
        b"T2dnU" => Some("Ogg"),
        _ => None,
    }
}

/// The audio of a connection that speaks Opus: no other encoding of this wire has its rate.
pub const OPUS: MediaFormat = MediaFormat::linear16(48_000);
/// 20 ms of it, which is one packet.
const OPUS_FRAME_BYTES: usize = 1_920;
