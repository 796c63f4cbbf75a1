//! TLS: towards bots one client configuration, on our own ports a certificate from PEM files; one crypto provider.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::HttpTlsFiles;

/// What every TLS connection to a bot starts from.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Trusts Mozilla's authorities and those of this machine.
    pub fn new() -> Self {
        Self::trusting(authorities())
    }

    /// Trusts these authorities and no others.
    pub fn trusting(roots: RootCertStore) -> Self {
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { config: Arc::new(config) }
    }

    /// Makes connections.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.config.clone())
    }
}

/// Mozilla's authorities and those of this machine.
pub(super) fn authorities() -> RootCertStore {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for path in SYSTEM_BUNDLES {
        if let Ok(certificates) = CertificateDer::pem_file_iter(path) {
            roots.add_parsable_certificates(certificates.filter_map(Result::ok));
            break;
        }
    }
    roots
}

impl Default for TlsClient {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsClient")
    }
}

/// Reads the certificate of the HTTP port.
///
/// # Errors
/// The key of the configuration that names the file, and what is wrong with it.
pub fn read_http_tls(files: &HttpTlsFiles) -> Result<TlsAcceptor, (&'static str, String)> {
    let mut server = server_of(&files.cert, &files.key, ["http.tls.cert", "http.tls.key"])?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// The server's side of TLS with a certificate and its key, named by these keys of the configuration.
pub(super) fn server_of(
    cert: &Path,
    key: &Path,
    [cert_key, key_key]: [&'static str; 2],
) -> Result<ServerConfig, (&'static str, String)> {
    let chain = certificates(cert).map_err(|problem| (cert_key, problem))?;
    let own_key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| (key_key, format!("{} holds no private key: {error}", key.display())))?;
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, own_key);
    server.map_err(|error| (cert_key, format!("cannot be used with its key: {error}")))
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if found.is_empty() { Err(format!("{} holds no certificate", path.display())) } else { Ok(found) }
}

/// Chooses the crypto of the whole process; the first thing that `main` does.
pub fn install_crypto() {
    // A second call finds the same provider in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Where systems keep their authorities; the first that is there counts.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
