//! The byte stream under a WebSocket: plain or TLS, and a count of what was written to it.
//!
//! The count is how a link knows that a slow reader still reads: the WebSocket library tells only whether
//! everything left.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use super::server_stream::Movable;

/// A TCP connection, with or without TLS.
#[derive(Debug)]
pub struct Transport {
    stream: Stream,
    written: u64,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<client::TlsStream<TcpStream>>),
    ServerTls(Box<server::TlsStream<Movable>>),
}

impl Transport {
    /// Bytes as they are, through a connection made fit for frames (no delay, a small buffer).
    pub fn plain(stream: TcpStream) -> Self {
        tune(&stream);
        Self { stream: Stream::Plain(stream), written: 0 }
    }

    /// Bytes through a finished TLS handshake, of which we are the client.
    pub fn tls(stream: client::TlsStream<TcpStream>) -> Self {
        tune(stream.get_ref().0);
        Self { stream: Stream::Tls(Box::new(stream)), written: 0 }
    }

    /// Bytes through a finished TLS handshake, of which we are the server.
    pub fn server_tls(stream: Box<server::TlsStream<Movable>>) -> Self {
        stream.get_ref().0.tcp().map(tune);
        Self { stream: Stream::ServerTls(stream), written: 0 }
    }

    /// Bytes that the connection has taken so far.
    pub fn written(&self) -> u64 {
        self.written
    }
}

/// Sends small frames at once and keeps little in the system: what waits there can neither be dropped nor cleared.
pub fn tune(stream: &TcpStream) {
    // Wishes: a system that refuses them is only slower.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_send_buffer_size(SEND_BUFFER_BYTES);
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::ServerTls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = ready!(match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::ServerTls(stream) => Pin::new(stream).poll_write(cx, bytes),
        })?;
        self.written += taken as u64;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::ServerTls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::ServerTls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// What the system may hold of unsent bytes (it doubles the number for its own needs).
const SEND_BUFFER_BYTES: usize = 32 << 10;
