//! A connection that came in to an HTTP port, plain or TLS, and its move to the runtime of a call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::transport::Transport;

/// A connection of a client.
#[derive(Debug)]
pub enum ServerStream {
    /// Bytes as they are.
    Plain(Movable),
    /// Bytes through TLS, of which we are the server.
    Tls(Box<TlsStream<Movable>>),
}

/// A TCP connection that can go to another runtime while a TLS session lies over it.
#[derive(Debug)]
pub struct Movable(Option<TcpStream>);

impl ServerStream {
    /// A connection without TLS.
    pub fn plain(stream: TcpStream) -> Self {
        Self::Plain(Movable(Some(stream)))
    }

    /// The server's half of a TLS handshake.
    ///
    /// # Errors
    /// The handshake's.
    pub async fn tls(stream: TcpStream, acceptor: &TlsAcceptor) -> io::Result<Self> {
        acceptor.accept(Movable(Some(stream))).await.map(|stream| Self::Tls(Box::new(stream)))
    }

    /// The connection for frames, served by the runtime that this runs on.
    ///
    /// # Errors
    /// The system's.
    pub fn into_transport(self) -> io::Result<Transport> {
        match self {
            Self::Plain(mut plain) => {
                plain.move_here()?;
                plain.0.map(Transport::plain).ok_or_else(gone)
            }
            Self::Tls(mut tls) => {
                tls.get_mut().0.move_here()?;
                Ok(Transport::server_tls(tls))
            }
        }
    }
}

impl Movable {
    /// The connection below.
    pub fn tcp(&self) -> Option<&TcpStream> {
        self.0.as_ref()
    }

    fn move_here(&mut self) -> io::Result<()> {
        let stream = self.0.take().ok_or_else(gone)?;
        self.0 = Some(TcpStream::from_std(stream.into_std()?)?);
        Ok(())
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.0.as_mut().map(Pin::new).ok_or_else(gone)
    }
}

/// A move that the system refused took the connection along.
fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl AsyncRead for Movable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Movable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
