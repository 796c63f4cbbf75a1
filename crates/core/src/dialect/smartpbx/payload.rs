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
    /// The packet that is being read.
    bytes: Vec<u8>,
    /// Audio that waits to fill a packet.
    begun: Vec<u8>,
}

impl Payload {
    /// Payloads of audio that this end knows as `format`.
    pub fn of(format: MediaFormat) -> Self {
        let coding = (format == OPUS).then(|| LineCoding::new(LineCodec::Opus, format)).flatten();
        Self { coding: coding.map(Box::new), ..Self::default() }
    }

    /// Writes seed 004 "media", the same from both ends: for Opus as many as there are packets, whatever the frame.
    pub fn write<T>(&mut self, audio: &[u8], out: &mut Out<T>) {
        match &mut self.coding {
            None => say(audio, out),
            Some(coding) if self.begun.is_empty() && audio.len() == OPUS_FRAME_BYTES => {
                say(coding.encode(audio), out);
            }
            Some(coding) => {
                self.begun.extend_from_slice(audio);
                let packets = self.begun.chunks_exact(OPUS_FRAME_BYTES);
                let rest = packets.remainder().len();
                packets.for_each(|packet| say(coding.encode(packet), out));
                self.begun.drain(..self.begun.len() - rest);
            }
        }
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

fn say<T>(payload: &[u8], out: &mut Out<T>) {
    out.text(WireClass::Audio, |to| {
        to.extend_from_slice(br#"{"event":"media","media":{"payload":""#);
        write_base64(to, payload);
        to.extend_from_slice(br#""}}"#);
    });
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
