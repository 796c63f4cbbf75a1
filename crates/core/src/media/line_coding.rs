//! The way between a line's payloads and the call's audio, for codecs whose payload is not audio by itself.
//!
//! One per phone, at the edge of its RTP. Allocates nothing of its own per frame.

use super::format::MediaFormat;
use super::g722::{G722Decoder, G722Encoder};
use super::line_codec::LineCodec;
#[cfg(feature = "opus")]
use super::opus::{OpusDecoder, OpusEncoder};
use super::pcm::{decode_samples, encode_samples};

/// Both ways of one line.
#[derive(Debug)]
pub struct LineCoding {
    format: MediaFormat,
    coders: Coders,
    samples: Vec<i16>,
    audio: Vec<u8>,
    payload: Vec<u8>,
}

#[derive(Debug)]
enum Coders {
    G722 {
        encoder: Box<G722Encoder>,
        decoder: Box<G722Decoder>,
    },
    #[cfg(feature = "opus")]
    Opus {
        encoder: Box<OpusEncoder>,
        decoder: Box<OpusDecoder>,
    },
}

impl LineCoding {
    /// What is needed between payloads of `codec` and audio of `format`, which is linear; `None` where they are
    /// the same (G.711), or where this build has no such codec.
    pub fn new(codec: LineCodec, format: MediaFormat) -> Option<Self> {
        let coders = match codec {
            LineCodec::Pcmu | LineCodec::Pcma => return None,
            LineCodec::G722 => {
                Coders::G722 { encoder: Box::new(G722Encoder::new()), decoder: Box::new(G722Decoder::new()) }
            }
            #[cfg(feature = "opus")]
            LineCodec::Opus => Coders::Opus {
                encoder: Box::new(OpusEncoder::new(format.sample_rate)?),
                decoder: Box::new(OpusDecoder::new(format.sample_rate)?),
            },
            #[cfg(not(feature = "opus"))]
            LineCodec::Opus => return None,
        };
        Some(Self { format, coders, samples: Vec::new(), audio: Vec::new(), payload: Vec::new() })
    }

    /// The audio of one payload.
    pub fn decode(&mut self, payload: &[u8]) -> &[u8] {
        match &mut self.coders {
            Coders::G722 { decoder, .. } => {
                self.samples.clear();
                decoder.decode(payload, &mut self.samples);
            }
            #[cfg(feature = "opus")]
            Coders::Opus { decoder, .. } => {
                let count = LineCodec::Opus.samples_in(LineCodec::Opus.ticks_of(payload), self.format);
                self.samples.resize(usize::try_from(count).unwrap_or(0), 0);
                decoder.decode(payload, &mut self.samples);
            }
        }
        self.audio.clear();
        encode_samples(self.format, &self.samples, &mut self.audio);
        &self.audio
    }

    /// The payload of one packet's audio; empty if it has a length that the codec does not know.
    pub fn encode(&mut self, audio: &[u8]) -> &[u8] {
        self.samples.resize(audio.len() / self.format.bytes_per_sample(), 0);
        decode_samples(self.format, audio, &mut self.samples);
        match &mut self.coders {
            Coders::G722 { encoder, .. } => {
                self.payload.clear();
                encoder.encode(&self.samples, &mut self.payload);
            }
            #[cfg(feature = "opus")]
            Coders::Opus { encoder, .. } => encoder.encode(&self.samples, &mut self.payload),
        }
        &self.payload
    }

    /// Overwrites `lost` with the codec's own stand-in for lost packets, with the help of the `next` one's payload;
    /// `false`, and nothing written, if it has none.
    #[cfg_attr(
        not(feature = "opus"),
        expect(unused_variables, reason = "G.722 has nothing of its own to conceal with")
    )]
    pub fn conceal(&mut self, lost: &mut [u8], next: &[u8]) -> bool {
        match &mut self.coders {
            Coders::G722 { .. } => false,
            #[cfg(feature = "opus")]
            Coders::Opus { decoder, .. } => {
                self.samples.resize(lost.len() / self.format.bytes_per_sample(), 0);
                decoder.conceal(&mut self.samples, next);
                self.audio.clear();
                encode_samples(self.format, &self.samples, &mut self.audio);
                lost.iter_mut().zip(&self.audio).for_each(|(to, from)| *to = *from);
                true
            }
        }
    }
}
