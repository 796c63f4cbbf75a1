//! Messages out of a byte stream (RFC 3261 §18.3, RFC 5626 §3.5.1).
//!
//! Pure: bytes in, frames out, memory bounded by the message limit. Timeouts belong to the reader.

use bytes::{Buf, Bytes, BytesMut};

use crate::message;

/// Cuts a TCP byte stream into messages.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    /// Octets that were already searched for the end of the header section.
    searched: usize,
    /// Length of the whole message, once its header section is complete.
    wanted: Option<usize>,
    message_octets_max: usize,
}

/// One piece of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message.
    Message(Bytes),
    /// A keep-alive (double CRLF) that wants a single CRLF back.
    Ping,
}

/// Why the stream cannot go on: its framing is lost, so it is answered and closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameFault {
    /// What happened.
    pub kind: FrameFaultKind,
    /// The octets of the header section, to answer by; empty when there is none.
    pub head: Bytes,
}

/// What broke the framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFaultKind {
    /// Larger than the limit (513).
    TooLarge,
    /// Content-Length missing, repeated or malformed (400).
    Length,
}

impl Framer {
    /// A framer that keeps at most `message_octets_max` octets.
    pub fn new(message_octets_max: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, wanted: None, message_octets_max }
    }

    /// Adds octets from the stream. Take all frames before adding more.
    pub fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// Takes the next frame, if it is complete.
    ///
    /// # Errors
    /// [`FrameFault`] when the next message cannot be delimited; the stream is of no use afterwards.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameFault> {
        if self.wanted.is_none() {
            if let Some(ping) = self.skip_keep_alive() {
                return Ok(ping);
            }
            self.find_head()?;
        }
        match self.wanted {
            Some(length) if self.buffer.len() >= length => {
                self.wanted = None;
                self.searched = 0;
                Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
            }
            _ => Ok(None),
        }
    }

    /// Whether a message has begun and waits for its rest.
    pub fn is_midway(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// What came of a begun message: what the 400 for a cut-off one answers by.
    pub fn pending(&self) -> Option<Bytes> {
        self.is_midway().then(|| Bytes::copy_from_slice(&self.buffer))
    }

    /// CRLFs before a start line are keep-alives or stray (§7.5). `Some(None)` waits for more octets.
    fn skip_keep_alive(&mut self) -> Option<Option<Frame>> {
        loop {
            match self.buffer.as_ref() {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.buffer.advance(4);
                    self.searched = 0;
                    return Some(Some(Frame::Ping));
                }
                [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return Some(None),
                [b'\r', b'\n', ..] => {
                    self.buffer.advance(2);
                    self.searched = 0;
                }
                [] => return Some(None),
                _ => return None,
            }
        }
    }

    fn find_head(&mut self) -> Result<(), FrameFault> {
        let from = self.searched.saturating_sub(3);
        let found = self.buffer.get(from..).and_then(message::find_blank_line).map(|at| from + at);
        let Some(end) = found else {
            self.searched = self.buffer.len();
            return if self.buffer.len() > self.message_octets_max {
                Err(self.fault(FrameFaultKind::TooLarge, self.buffer.len()))
            } else {
                Ok(())
            };
        };
        let head_len = end + 4;
        let head = Bytes::copy_from_slice(self.buffer.get(..head_len).unwrap_or_default());
        let headers = message::parse(&head, usize::MAX).message.headers;
        let Ok(Some(body_len)) = message::content_length(&headers) else {
            return Err(self.fault(FrameFaultKind::Length, head_len));
        };
        let length = head_len.saturating_add(body_len);
        if length > self.message_octets_max {
            return Err(self.fault(FrameFaultKind::TooLarge, head_len));
        }
        self.wanted = Some(length);
        Ok(())
    }

    fn fault(&self, kind: FrameFaultKind, head_len: usize) -> FrameFault {
        let octets = self.buffer.get(..head_len.min(self.message_octets_max)).unwrap_or_default();
        FrameFault { kind, head: Bytes::copy_from_slice(octets) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nl: 3\r\n\r\nabc";

    fn frames(framer: &mut Framer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.next_frame().unwrap()).collect()
    }

    #[test]
    fn a_message_comes_out_whole_wherever_the_stream_is_cut() {
        for cut in 0..=ONE.len() {
            let mut framer = Framer::new(1024);
            framer.push(&ONE[..cut]);
            let mut got = frames(&mut framer);
            framer.push(&ONE[cut..]);
            got.extend(frames(&mut framer));
            assert_eq!(got, [Frame::Message(Bytes::from_static(ONE))], "cut at {cut}");
        }
    }

    #[test]
    fn two_messages_and_keep_alives_come_in_order() {
        let mut framer = Framer::new(1024);
        framer.push(b"\r\n\r\n");
        framer.push(ONE);
        framer.push(b"\r\n");
        framer.push(ONE);
        let message = Frame::Message(Bytes::from_static(ONE));
        assert_eq!(frames(&mut framer), [Frame::Ping, message.clone(), message]);
        assert!(!framer.is_midway());
    }

    #[test]
    fn lost_framing_is_told_with_the_header_section() {
        let mut framer = Framer::new(1024);
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: -9\r\n\r\n");
        let fault = framer.next_frame().unwrap_err();
        assert_eq!(fault.kind, FrameFaultKind::Length);
        assert!(fault.head.starts_with(b"OPTIONS"));
        let mut endless = Framer::new(16);
        endless.push(&[b'x'; 17]);
        assert_eq!(endless.next_frame().unwrap_err().kind, FrameFaultKind::TooLarge);
    }
}
