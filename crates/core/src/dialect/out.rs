//! What a dialect produces: wire messages and heard items, in buffers that are reused for every frame.

use std::ops::Range;

/// A message as it comes from or goes to a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire<'a> {
    /// A text message, as bytes of UTF-8.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
}

/// What one wire message is, which decides whether it may be dropped when the other end reads too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireClass {
    /// Audio: the oldest may be dropped.
    Audio,
    /// Anything else: never dropped.
    Control,
}

/// Something that was heard: audio, or an item of the vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard<T> {
    /// Bytes in the wire's [`MediaFormat`](crate::media::MediaFormat); read them by [`Out::audio`].
    Audio(AudioSpan),
    /// An event or a command.
    Item(T),
}

/// Where heard audio stands in its [`Out`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSpan(Range<usize>);

/// One wire message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    binary: bool,
    class: WireClass,
    span: Range<usize>,
}

/// Collects what a dialect says and hears; cleared and reused by its owner.
#[derive(Debug)]
pub struct Out<T> {
    wire: Vec<u8>,
    written: Vec<Written>,
    close: Option<u16>,
    is_unready: bool,
    audio: Vec<u8>,
    heard: Vec<Heard<T>>,
    /// A buffer for the dialect's own passing needs, such as base64.
    pub scratch: Vec<u8>,
}

impl<T> Out<T> {
    /// An empty collection.
    pub fn new() -> Self {
        Self {
            wire: Vec::new(),
            written: Vec::new(),
            close: None,
            is_unready: false,
            audio: Vec::new(),
            heard: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Forgets everything, keeps the buffers (up to [`OUT_BUFFER_BYTES_KEPT_MAX`] each).
    pub fn clear(&mut self) {
        for buffer in [&mut self.wire, &mut self.audio, &mut self.scratch] {
            buffer.clear();
            if buffer.capacity() > OUT_BUFFER_BYTES_KEPT_MAX {
                buffer.shrink_to(OUT_BUFFER_BYTES_KEPT_MAX);
            }
        }
        self.written.clear();
        self.heard.clear();
        (self.close, self.is_unready) = (None, false);
    }

    /// Writes one text message; `write` must append UTF-8.
    pub fn text(&mut self, class: WireClass, write: impl FnOnce(&mut Vec<u8>)) {
        self.write(false, class, write);
    }

    /// Writes one binary message.
    pub fn binary(&mut self, class: WireClass, write: impl FnOnce(&mut Vec<u8>)) {
        self.write(true, class, write);
    }

    /// Asks to close the connection with a WebSocket close code, after all that was written.
    pub fn close(&mut self, code: u16) {
        self.close = Some(code);
    }

    /// Asks to close the connection because the other end never took part in it.
    pub fn close_unready(&mut self, code: u16) {
        (self.close, self.is_unready) = (Some(code), true);
    }

    /// Hears an event or a command.
    pub fn hear(&mut self, item: T) {
        self.heard.push(Heard::Item(item));
    }

    /// Hears audio: `decode` appends it; what it appended before an error is taken back.
    ///
    /// # Errors
    /// Passes the error of `decode` on.
    pub fn hear_audio<E>(&mut self, decode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        self.hear_audio_of(decode, || None)
    }

    /// Hears audio as [`Out::hear_audio`] does, behind the item that it belongs to, if that is to be said.
    ///
    /// # Errors
    /// Passes the error of `decode` on; then the item is not heard either.
    pub fn hear_audio_of<E>(
        &mut self,
        decode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
        of: impl FnOnce() -> Option<T>,
    ) -> Result<(), E> {
        let start = self.audio.len();
        if let Err(error) = decode(&mut self.audio) {
            self.audio.truncate(start);
            return Err(error);
        }
        if self.audio.len() > start {
            self.heard.extend(of().map(Heard::Item));
            self.heard.push(Heard::Audio(AudioSpan(start..self.audio.len())));
        }
        Ok(())
    }

    /// The messages to send, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = (WireClass, Wire<'_>)> {
        self.written.iter().map(|written| {
            let bytes = &self.wire[written.span.clone()];
            match (written.binary, std::str::from_utf8(bytes)) {
                (false, Ok(text)) => (written.class, Wire::Text(text)),
                _ => (written.class, Wire::Binary(bytes)),
            }
        })
    }

    /// The close code asked for, if any.
    pub fn close_code(&self) -> Option<u16> {
        self.close
    }

    /// Whether that is so because the other end never took part.
    pub fn is_unready(&self) -> bool {
        self.is_unready
    }

    /// What was heard, oldest first.
    pub fn heard(&self) -> &[Heard<T>] {
        &self.heard
    }

    /// Takes what was heard; give the vector back by [`Out::return_heard`] so that it is reused.
    pub fn take_heard(&mut self) -> Vec<Heard<T>> {
        std::mem::take(&mut self.heard)
    }

    /// Returns the vector of [`Out::take_heard`].
    pub fn return_heard(&mut self, mut heard: Vec<Heard<T>>) {
        heard.clear();
        if self.heard.is_empty() {
            self.heard = heard;
        }
    }

    /// How many bytes of audio were heard.
    pub fn audio_bytes(&self) -> usize {
        self.audio.len()
    }

    /// The bytes of heard audio.
    pub fn audio(&self, span: &AudioSpan) -> &[u8] {
        self.audio.get(span.0.clone()).unwrap_or_default()
    }

    fn write(&mut self, binary: bool, class: WireClass, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.wire.len();
        write(&mut self.wire);
        self.written.push(Written { binary, class, span: start..self.wire.len() });
    }
}

impl<T> Default for Out<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes that a reused buffer keeps between frames; a burst beyond it is given back.
pub const OUT_BUFFER_BYTES_KEPT_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_heard_items_come_out_in_order_and_clear_forgets_them() {
        let mut out: Out<u8> = Out::new();
        out.text(WireClass::Control, |to| to.extend_from_slice(b"{}"));
        out.binary(WireClass::Audio, |to| to.extend_from_slice(&[1, 2]));
        out.hear(7);
        out.hear_audio(|to| {
            to.extend_from_slice(&[3, 4]);
            Ok::<_, ()>(())
        })
        .unwrap();
        let messages: Vec<_> = out.messages().collect();
        assert_eq!(
            messages,
            [(WireClass::Control, Wire::Text("{}")), (WireClass::Audio, Wire::Binary(&[1, 2]))]
        );
        let [Heard::Item(7), Heard::Audio(span)] = out.heard() else { panic!("{:?}", out.heard()) };
        assert_eq!(out.audio(span), [3, 4]);
        out.close(1000);
        out.clear();
        assert_eq!((out.messages().count(), out.heard().len(), out.close_code()), (0, 0, None));
    }

    #[test]
    fn audio_that_fails_to_decode_leaves_nothing_behind() {
        let mut out: Out<u8> = Out::new();
        let failed = out.hear_audio(|to| {
            to.push(1);
            Err("bad")
        });
        assert_eq!((failed, out.heard().len()), (Err("bad"), 0));
    }
}
