//! Ozonetel's (KooKoo's) streaming dialect: JSON text, audio as lists of numbers, in packets of 10 ms.
//!
//! The vendor dials the bot. Rules, and what the wire lacks, stand in `README.md`; source: seed 001, and live
//! messages of the vendor for what the seed leaves out.

mod bot_side;
mod media;
mod phone_side;
#[cfg(test)]
mod tests;
mod wire;

pub use bot_side::OzonetelBotSide;
pub use phone_side::OzonetelPhoneSide;

use std::time::Duration;

use media::Media;
use wire::Message;

use super::json::{expect_object, unreadable};
use super::registry::{AudioWish, DialectRow, MessageRow};
use super::{Capability, Malformed, Out, WireAudio, WireClass};
use crate::media::{Converter, MediaFormat};

/// The row of the list of dialects.
pub const ROW: DialectRow = DialectRow {
    name: "ozonetel",
    summary: "Ozonetel / KooKoo streaming: JSON with lists of 16-bit samples, 8 kHz, 10 ms",
    default_audio: WireAudio { format: FORMAT, frame: PACKET },
    message_audio: Some(PACKET),
    audio_for_phone: None,
    capabilities: CAPABILITIES,
    messages: &[
        MessageRow { to_bot: true, name: "start", meaning: "the call is there; `ucid` names it" },
        MessageRow { to_bot: true, name: "media", meaning: "80 samples of the caller" },
        MessageRow { to_bot: true, name: "mark", meaning: "the packet with that `seqid` was played" },
        MessageRow { to_bot: true, name: "stop", meaning: "the call is over" },
        MessageRow {
            to_bot: false,
            name: "media",
            meaning: "80 samples for the caller; may carry a `seqid`",
        },
        MessageRow { to_bot: false, name: "clearBuffer", meaning: "drop the audio that waits" },
        MessageRow { to_bot: false, name: "callDisconnect", meaning: "end the call" },
    ],
    audio,
    bot_side: |settings| Box::new(OzonetelBotSide::new(settings)),
    phone_side: |settings| Box::new(OzonetelPhoneSide::new(settings)),
};

/// What the wire carries.
const CAPABILITIES: &[Capability] = &[Capability::Clear, Capability::HangUp];

/// The only format (seed 001, "Audio Format Requirements").
const FORMAT: MediaFormat = MediaFormat::linear16(8_000);

/// Audio of one message.
const PACKET: Duration = Duration::from_millis(10);

/// Longest frame; it goes out as several packets.
const FRAME_MAX: Duration = Duration::from_millis(100);

fn audio(wish: &AudioWish) -> Result<WireAudio, String> {
    let linear = ["pcm", "pcm16", "linear16", "slin", "raw/slin"];
    if let Some(encoding) = wish.encoding.as_deref().filter(|encoding| !linear.contains(encoding)) {
        return Err(format!("ozonetel has no encoding `{encoding}`: the only one is pcm"));
    }
    if let Some(rate) = wish.sample_rate.filter(|rate| *rate != FORMAT.sample_rate) {
        return Err(format!("ozonetel has no sample rate {rate}: the only one is 8000"));
    }
    let frame = wish.frame.unwrap_or(PACKET);
    if frame < PACKET || frame > FRAME_MAX || !frame.as_nanos().is_multiple_of(PACKET.as_nanos()) {
        return Err(format!(
            "ozonetel sends packets of 10 ms: frame must be 10 to 100 ms in steps of 10, not {frame:?}"
        ));
    }
    Ok(WireAudio { format: FORMAT, frame })
}

/// What both ends do with audio.
#[derive(Debug, Default)]
struct Sound {
    /// What every message of ours begins with; empty until the call's `ucid` is known.
    head: Vec<u8>,
    /// For packets with another rate than 8 kHz.
    converter: Option<Converter>,
}

impl Sound {
    fn begin(&mut self, ucid: &str) {
        self.head = media::media_head(ucid);
    }

    /// Writes a frame of whole samples as packets of 80, the last one padded with silence.
    fn encode<T>(&self, audio: &[u8], out: &mut Out<T>) {
        if self.head.is_empty() {
            return;
        }
        let whole_samples = audio.get(..audio.len() & !1).unwrap_or_default();
        for packet in whole_samples.chunks(media::PACKET_SAMPLES * 2) {
            out.text(WireClass::Audio, |to| media::write_media(to, &self.head, packet));
        }
    }

    /// Hears the samples of a message at 8 kHz.
    fn decode<T>(&mut self, media: &Media<'_>, out: &mut Out<T>) -> Result<(), Malformed> {
        if media.sample_rate == u64::from(FORMAT.sample_rate) {
            self.converter = None;
            return out.hear_audio(|to| media.append_samples(to));
        }
        let mut samples = std::mem::take(&mut out.scratch);
        samples.clear();
        let converted = media.append_samples(&mut samples).and_then(|()| {
            let converter = self.converter(media.sample_rate)?;
            out.hear_audio(|to| {
                converter.convert(&samples, to);
                Ok(())
            })
        });
        out.scratch = samples;
        converted
    }

    fn converter(&mut self, sample_rate: u64) -> Result<&mut Converter, Malformed> {
        let wrong = Malformed::Audio("a sample rate that cannot be converted");
        let rate = u32::try_from(sample_rate).ok().filter(|rate| RATES.contains(rate)).ok_or(wrong)?;
        let from = MediaFormat::linear16(rate);
        match self.converter.take().filter(|converter| converter.from() == from) {
            Some(converter) => Ok(self.converter.insert(converter)),
            None => Ok(self.converter.insert(Converter::new(from, FORMAT).map_err(|_| wrong)?)),
        }
    }
}

/// Reads any message but media written the usual way.
fn parse(text: &str) -> Result<Message<'_>, Malformed> {
    expect_object(text)?;
    serde_json::from_str(text).map_err(|error| unreadable(&error, "event"))
}

/// Sample rates that a packet may have beside 8 kHz.
const RATES: [u32; 4] = [16_000, 24_000, 32_000, 48_000];
