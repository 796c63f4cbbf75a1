//! TLS for SIP from its PEM files: our certificate towards phones, and whom we trust when we connect.

use std::sync::Arc;

use patchcord_sip::SipTls;
use rustls::{ClientConfig, RootCertStore};

use super::tls::{authorities, certificates, server_of};
use crate::config::SipTlsFiles;

/// Reads the files.
///
/// # Errors
/// The key of the configuration that names the file, and what is wrong with it.
pub fn read_sip_tls(files: &SipTlsFiles) -> Result<SipTls, (&'static str, String)> {
    let server = server_of(&files.cert, &files.key, ["sip.tls.cert", "sip.tls.key"])?;
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
