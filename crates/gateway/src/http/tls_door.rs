//! TLS of the HTTP port: the certificate in effect, read again when the configuration was.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::TlsAcceptor;
use tracing::warn;

use crate::config::{Config, CurrentConfig};
use crate::net::read_http_tls;

/// What the port does with a new connection.
pub struct TlsDoor {
    current: CurrentConfig,
    held: Mutex<Held>,
}

struct Held {
    /// The configuration that was looked at last.
    seen: Arc<Config>,
    acceptor: Option<TlsAcceptor>,
}

impl TlsDoor {
    /// Reads the certificate, if the configuration names one.
    ///
    /// # Errors
    /// The key of the configuration that names the file, and what is wrong with it.
    pub fn open(current: CurrentConfig) -> Result<Self, (&'static str, String)> {
        let seen = current.snapshot();
        let acceptor = seen.http.tls.as_ref().map(read_http_tls).transpose()?;
        Ok(Self { current, held: Mutex::new(Held { seen, acceptor }) })
    }

    /// What handshakes are made with; none where the port speaks no TLS. After a reload the files are read again; while
    /// they cannot be used, what was read before stays.
    pub fn acceptor(&self) -> Option<TlsAcceptor> {
        let config = self.current.snapshot();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&config, &held.seen) {
            match config.http.tls.as_ref().map(read_http_tls).transpose() {
                Ok(acceptor) => held.acceptor = acceptor,
                Err((key, problem)) => warn!(key, problem, "the former certificate stays"),
            }
            held.seen = config;
        }
        held.acceptor.clone()
    }
}
