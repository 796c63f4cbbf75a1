//! TLS for SIP from its PEM files: our certificate towards phones, and whom we trust when we connect.

use std::path::Path;
use std::sync::Arc;

use patchcord_sip::SipTls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::tls::authorities;
use crate::config::SipTlsFiles;

/// Reads the files.
///
/// # Errors
/// The key of the configuration that names the file, and what is wrong with it.
pub fn read_sip_tls(files: &SipTlsFiles) -> Result<SipTls, (&'static str, String)> {
    let chain = certificates(&files.cert).map_err(|problem| ("sip.tls.cert", problem))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| ("sip.tls.key", format!("{} holds no private key: {error}", files.key.display())))?;
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let server = server.map_err(|error| ("sip.tls.cert", format!("cannot be used with its key: {error}")))?;
    let mut roots = authorities();
    if let Some(ca) = &files.ca {
        let own = certificates(ca).map_err(|problem| ("sip.tls.ca", problem))?;
        if roots.add_parsable_certificates(own).0 == 0 {
            return Err(("sip.tls.ca", format!("{} holds no authority's certificate", ca.display())));
        }
    }
    Ok(SipTls { server: Some(Arc::new(server)), client: client_of(roots) })
}

/// TLS of a caller that nobody calls: it trusts the public authorities.
pub fn sip_tls_of_caller() -> SipTls {
    SipTls { server: None, client: client_of(authorities()) }
}

fn client_of(roots: RootCertStore) -> Arc<ClientConfig> {
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if found.is_empty() { Err(format!("{} holds no certificate", path.display())) } else { Ok(found) }
}
