//! TLS under a connection: our certificate as server, the peer's name as client (RFC 3261 §26.2, RFC 5922).

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::machine::Hop;

/// What TLS connections start from.
#[derive(Clone)]
pub struct SipTls {
    /// Our certificate and key; without them nobody connects to us.
    pub server: Option<Arc<ServerConfig>>,
    /// Whom we trust when we connect.
    pub client: Arc<ClientConfig>,
}

impl fmt::Debug for SipTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipTls").field("server", &self.server.is_some()).finish_non_exhaustive()
    }
}

/// A connection's octets, plain or encrypted.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

impl Stream {
    /// Takes a peer's connection; with `tls`, through its handshake.
    pub(crate) async fn accept(tls: Option<&SipTls>, stream: TcpStream) -> std::io::Result<Self> {
        let Some(tls) = tls else { return Ok(Self::Plain(stream)) };
        let config = tls.server.clone().ok_or_else(|| std::io::Error::other("no certificate"))?;
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        Ok(Self::Tls(Box::new(stream.into())))
    }

    /// Shakes hands with a peer that has to prove its name, or its address where it has no name.
    pub(crate) async fn connect(tls: &SipTls, hop: &Hop, stream: TcpStream) -> std::io::Result<Self> {
        let name = match hop.server_name.as_deref() {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?,
            None => ServerName::from(hop.addr.ip()),
        };
        let stream = TlsConnector::from(tls.client.clone()).connect(name, stream).await?;
        Ok(Self::Tls(Box::new(stream.into())))
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    pub(crate) fn local_addr(&self) -> std::io::Result<std::net::SocketAddr> {
        self.socket().local_addr()
    }

    pub(crate) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Plain(stream) => {
                let (reader, writer) = stream.into_split();
                (Box::new(reader), Box::new(writer))
            }
            Self::Tls(stream) => {
                let (reader, writer) = tokio::io::split(*stream);
                (Box::new(reader), Box::new(writer))
            }
        }
    }
}
