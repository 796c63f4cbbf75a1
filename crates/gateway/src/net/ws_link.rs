//! One WebSocket of a call, to a bot or from a vendor: polled by the call's own task, never awaited.
//!
//! It writes from a bounded outbox in batches, pings, and notices when the other end has stopped reading or
//! answering. It does not reconnect and does not know what the messages mean (RFC 6455).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, Stream};
use patchcord_core::call::SocketEnd;
use patchcord_core::dialect::{Wire, WireClass};
use patchcord_core::vocabulary::Moment;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message, Utf8Bytes};
use tracing::warn;

use super::outbox::{Outbox, Pushed, Weighed};
use super::transport::Transport;

/// A WebSocket after its handshake.
pub type WsSocket = WebSocketStream<Transport>;

/// A WebSocket with its outbox and its pulse.
#[derive(Debug)]
pub struct WsLink {
    socket: WsSocket,
    outbox: Outbox<Message>,
    writing: Writing,
    written_before: u64,
    reading: Reading,
    next_ping: Moment,
    last_pong: Moment,
}

/// What a link has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// Nothing more will come.
    Ended(SocketEnd),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Everything given to the library has left.
    Idle,
    /// The library holds bytes.
    Unflushed,
    /// The library holds bytes; when the outbox is empty, a close frame follows.
    Closing(u16),
    /// Our close frame was given to the library.
    CloseSent,
    /// Nothing can be written any more.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    Paused,
    Ended,
}

impl WsLink {
    /// A link over an open socket to which audio messages go that last `message`.
    pub fn new(socket: WsSocket, message: Duration, now: Moment) -> Self {
        Self {
            socket,
            outbox: Outbox::new(message),
            writing: Writing::Idle,
            written_before: 0,
            reading: Reading::Open,
            next_ping: now + PING_INTERVAL,
            last_pong: now,
        }
    }

    /// Puts a message into the outbox; [`WsLink::poll_write`] sends it. Into a broken link it is thrown.
    pub fn send(&mut self, class: WireClass, wire: Wire<'_>) -> Pushed {
        if self.writing == Writing::Broken {
            return Pushed::Queued;
        }
        let message = match wire {
            Wire::Text(text) => Message::Text(Utf8Bytes::from(text)),
            Wire::Binary(bytes) => Message::Binary(Bytes::copy_from_slice(bytes)),
        };
        self.outbox.push(class, message)
    }

    /// Whether so much waits that it should be written before more comes.
    pub fn is_filling(&self) -> bool {
        self.outbox.is_half_full()
    }

    /// Closes with that code once all that waits was sent.
    pub fn close(&mut self, code: u16) {
        if matches!(self.writing, Writing::Idle | Writing::Unflushed) {
            self.writing = Writing::Closing(code);
        }
    }

    /// Stops reading: what comes stays with the sender.
    pub fn pause(&mut self) {
        if self.reading == Reading::Open {
            self.reading = Reading::Paused;
        }
    }

    /// Reads again. Pongs may have waited behind other messages, so their clock starts anew.
    pub fn resume(&mut self, now: Moment) {
        if self.reading == Reading::Paused {
            self.reading = Reading::Open;
            self.last_pong = now;
        }
    }

    /// Writes as much of the outbox as the socket takes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, now: Moment) {
        loop {
            if self.writing == Writing::Broken {
                return;
            }
            let flushed = match self.writing {
                Writing::Idle => Poll::Ready(Ok(())),
                _ => Pin::new(&mut self.socket).poll_flush(cx),
            };
            self.note_progress(flushed.is_pending(), now);
            match flushed {
                Poll::Pending => return,
                Poll::Ready(Err(_)) => return self.break_off(),
                Poll::Ready(Ok(())) if self.writing == Writing::Unflushed => self.writing = Writing::Idle,
                Poll::Ready(Ok(())) => {}
            }
            if !self.write_batch(cx, now) {
                return;
            }
        }
    }

    /// The next thing that came; `Pending` while reading is paused.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<Received> {
        loop {
            if self.reading != Reading::Open {
                return Poll::Pending;
            }
            let Poll::Ready(next) = Pin::new(&mut self.socket).poll_next(cx) else { return Poll::Pending };
            let end = match next {
                Some(Ok(Message::Text(text))) => return Poll::Ready(Received::Text(text)),
                Some(Ok(Message::Binary(bytes))) => return Poll::Ready(Received::Binary(bytes)),
                Some(Ok(Message::Pong(_))) => {
                    self.last_pong = now;
                    continue;
                }
                // The library answers pings by itself; raw frames never come out of it.
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    // The library has an answer ready that wants to be flushed.
                    if self.writing == Writing::Idle {
                        self.writing = Writing::Unflushed;
                    }
                    SocketEnd::Closed(frame.map_or(CLOSE_WITHOUT_CODE, |frame| frame.code.into()))
                }
                Some(Err(error)) => {
                    self.complain(&error);
                    SocketEnd::Reset
                }
                None => SocketEnd::Reset,
            };
            self.reading = Reading::Ended;
            return Poll::Ready(Received::Ended(end));
        }
    }

    /// Whether one end has closed it, or it broke: nothing but the rest of the closing handshake follows.
    pub fn is_closing(&self) -> bool {
        self.reading == Reading::Ended || !matches!(self.writing, Writing::Idle | Writing::Unflushed)
    }

    /// Brings the closing handshake forward: ready when both ends have closed or the connection is gone.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<()> {
        self.resume(now);
        self.poll_write(cx, now);
        for _ in 0..READS_WHILE_CLOSING_MAX {
            match self.poll_read(cx, now) {
                Poll::Ready(Received::Ended(SocketEnd::Reset)) => return Poll::Ready(()),
                Poll::Ready(_) => {}
                Poll::Pending if self.writing == Writing::Broken => return Poll::Ready(()),
                Poll::Pending if self.reading == Reading::Ended => {
                    // The answer to the other end's close frame leaves with the flush.
                    let flushed = Pin::new(&mut self.socket).poll_flush(cx).is_ready();
                    return if flushed { Poll::Ready(()) } else { Poll::Pending };
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends a ping when it is time; returns whether the other end has stalled, once: the link is given up then.
    pub fn handle_timeout(&mut self, now: Moment) -> bool {
        if now >= self.next_ping && self.reading != Reading::Ended {
            self.next_ping = now + PING_INTERVAL;
            self.outbox.push(WireClass::Control, Message::Ping(Bytes::new()));
        }
        let blocked = self.outbox.stalled_at().is_some_and(|at| now >= at);
        let silent = self.reading == Reading::Open && now >= self.last_pong + PONG_MAX;
        if blocked || silent {
            self.break_off();
            self.reading = Reading::Ended;
        }
        blocked || silent
    }

    /// When [`WsLink::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let ping = match self.reading {
            Reading::Open => Some(self.next_ping.min(self.last_pong + PONG_MAX)),
            Reading::Paused => Some(self.next_ping),
            Reading::Ended => None,
        };
        self.outbox.stalled_at().into_iter().chain(ping).min()
    }

    /// Gives the library what waits, until it is full. Returns whether a flush is due.
    fn write_batch(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let mut given = false;
        loop {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Pending => {
                    self.note_progress(true, now);
                    return false;
                }
                Poll::Ready(Err(_)) => {
                    self.break_off();
                    return false;
                }
                Poll::Ready(Ok(())) => {}
            }
            let message = match (self.outbox.pull(), self.writing) {
                (Some(_), Writing::CloseSent) => continue,
                (Some(message), _) => message,
                (None, Writing::Closing(code)) => {
                    self.writing = Writing::CloseSent;
                    Message::Close(Some(CloseFrame { code: sendable(code), reason: Utf8Bytes::default() }))
                }
                (None, _) => return given,
            };
            given = true;
            if self.writing == Writing::Idle {
                self.writing = Writing::Unflushed;
            }
            if Pin::new(&mut self.socket).start_send(message).is_err() {
                self.break_off();
                return false;
            }
        }
    }

    /// Tells the other end what was wrong with its message (RFC 6455 §7.4.1).
    fn complain(&mut self, error: &WsError) {
        let code = match error {
            WsError::Capacity(_) => CloseCode::Size,
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return,
            WsError::Protocol(_) => CloseCode::Protocol,
            WsError::Utf8(_) => CloseCode::Invalid,
            // The connection itself is gone.
            _ => return,
        };
        let code = u16::from(code);
        warn!(code, %error, "the other end broke the WebSocket protocol, or said too much at once: the link is closed");
        self.close(code);
    }

    fn note_progress(&mut self, pending: bool, now: Moment) {
        let written = self.socket.get_ref().written();
        if !pending || written != self.written_before {
            self.outbox.moved();
        }
        if pending {
            self.outbox.blocked(now);
        }
        self.written_before = written;
    }

    /// The reading half learns of the broken connection by itself, or is told by the pong's deadline.
    fn break_off(&mut self) {
        self.writing = Writing::Broken;
        self.outbox.moved();
        while self.outbox.pull().is_some() {}
    }
}

impl Weighed for Message {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// The library's settings for every link: small buffers, bounded in both directions.
pub fn ws_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

/// A code that may stand in a close frame (RFC 6455 §7.4.1 reserves some for reports).
fn sendable(code: u16) -> CloseCode {
    let code = CloseCode::from(code);
    if code.is_allowed() { code } else { CloseCode::Normal }
}

/// How often a ping is sent.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How long a pong may be missing.
const PONG_MAX: Duration = Duration::from_secs(25);

/// The code that stands for a close frame without one (RFC 6455 §7.1.5).
const CLOSE_WITHOUT_CODE: u16 = 1005;

/// Messages read and thrown away in one go while a link closes.
const READS_WHILE_CLOSING_MAX: usize = 64;

/// The largest message that is taken.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const READ_BUFFER_BYTES: usize = 8 << 10;
const WRITE_BUFFER_BYTES: usize = 4 << 10;
const WRITE_BUFFER_BYTES_MAX: usize = WRITE_BUFFER_BYTES + MESSAGE_BYTES_MAX + 64;

#[cfg(test)]
#[path = "ws_link_tests.rs"]
mod tests;
