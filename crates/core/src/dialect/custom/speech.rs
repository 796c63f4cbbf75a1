//! What one end says in a call: messages by their templates, counted as the placeholders want to know.

use super::slot::{Identity, Matter, Position};
use super::wire::Template;
use crate::dialect::{Out, WireClass};
use crate::media::MediaFormat;

/// One end's speech, from the start of the call.
#[derive(Debug)]
pub struct Speech {
    identity: Identity,
    format: MediaFormat,
    /// Text messages so far.
    messages: u64,
    /// Messages of audio so far.
    chunks: u64,
    audio_bytes: u64,
}

impl Speech {
    /// Speech of which nothing was said.
    pub fn new(identity: Identity, format: MediaFormat) -> Self {
        Self { identity, format, messages: 0, chunks: 0, audio_bytes: 0 }
    }

    /// Says one thing by its template.
    pub fn say<T>(&mut self, template: &Template, matter: Matter<'_>, out: &mut Out<T>) {
        self.messages += 1;
        let at = self.position();
        out.text(WireClass::Control, |to| template.write(to, &self.identity, at, matter));
    }

    /// Says one frame, by its template or as it is.
    pub fn say_audio<T>(&mut self, template: Option<&Template>, audio: &[u8], out: &mut Out<T>) {
        self.messages += u64::from(template.is_some());
        let at = self.position();
        match template {
            Some(template) => out.text(WireClass::Audio, |to| {
                template.write(to, &self.identity, at, Matter::Audio(audio));
            }),
            None => out.binary(WireClass::Audio, |to| to.extend_from_slice(audio)),
        }
        self.chunks += 1;
        self.audio_bytes += audio.len() as u64;
    }

    fn position(&self) -> Position {
        let samples = self.audio_bytes / self.format.bytes_per_sample() as u64;
        let played = self.format.duration_of_samples(samples);
        Position {
            sequence: self.messages,
            timestamp_ms: u64::try_from(played.as_millis()).unwrap_or(u64::MAX),
            chunk: self.chunks + 1,
        }
    }
}
