//! `[http]`: the port for the API, health, metrics and vendors' WebSockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::http_keys::{self, ApiKey};
use super::problem::Refusal;
use super::section::Section;
use super::url::WebUrl;
use super::vendor_port::{VendorAccess, check_bot};

/// The settings of `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The address of the port.
    pub listen: SocketAddr,
    /// The name of the bot behind `/ws`.
    pub ws_bot: String,
    /// Who may open a vendor's WebSocket.
    pub access: VendorAccess,
    /// Who may use the API; without keys, this machine alone.
    pub keys: Vec<ApiKey>,
    /// What TLS uses, if the port speaks it.
    pub tls: Option<HttpTlsFiles>,
    /// The address under which the outside reaches this server.
    pub public_url: Option<WebUrl>,
    /// Whether a proxy in front ends TLS.
    pub behind_proxy: bool,
}

/// The files of `[http.tls]`, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTlsFiles {
    /// Our certificate, with those between it and the authority's.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Http {
    /// Where links lead: to `public_url`, or to where the server listens.
    pub fn outside_url(&self) -> Option<WebUrl> {
        self.public_url.clone().or_else(|| self.local_url())
    }

    /// Where a server with these settings is reached from this machine, if that is known before its start.
    pub fn local_url(&self) -> Option<WebUrl> {
        let listen = self.listen;
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let address = SocketAddr::new(ip, listen.port());
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        (listen.port() != 0).then(|| WebUrl::parse(&format!("{scheme}://{address}/")).ok()).flatten()
    }

    pub(super) fn read(section: &Section<'_>, bots: &[&str]) -> Option<Http> {
        let listen = section.value("listen");
        let behind_proxy = section.value("behind_proxy");
        let access = VendorAccess::read(section, listen, "ws_token", behind_proxy == Some(true));
        let ws_bot: Option<String> = section.value("ws_bot");
        if let Some(bot) = &ws_bot {
            check_bot(section, "ws_bot", bot, bots);
        }
        let tls = HttpTlsFiles::read(&section.section("tls"));
        let keys = http_keys::read(section);
        let (has_keys, is_covered) = (section.has("keys"), section.has("tls") || behind_proxy == Some(true));
        check_reach(section, listen, has_keys, is_covered);
        if behind_proxy == Some(true) && !has_keys {
            let what = "whoever comes through the proxy could place calls: the API has no keys";
            section.refuse("behind_proxy", Refusal::new(what, "add [[http.keys]]"));
        }
        let public_url = section.value("public_url");
        if !has_keys && public_url.as_ref().is_some_and(leads_here_from_outside) {
            let what = "whoever comes by it could place calls: the API has no keys";
            let cure = "add [[http.keys]]; leave public_url away where nobody comes from outside";
            section.refuse("public_url", Refusal::new(what, cure));
        }
        Some(Http {
            listen: listen?,
            ws_bot: ws_bot?,
            access,
            keys: keys?,
            tls: tls?,
            public_url,
            behind_proxy: behind_proxy?,
        })
    }
}

/// Refuses a port that others reach, where the API has no keys or they would travel unprotected.
fn check_reach(section: &Section<'_>, listen: Option<SocketAddr>, has_keys: bool, is_covered: bool) {
    let Some(listen) = listen.filter(|listen| !listen.ip().to_canonical().is_loopback()) else { return };
    let missing = match (has_keys, is_covered) {
        (true, true) => return,
        (false, true) => "the API has no keys",
        (true, false) => "the API's keys would travel without TLS",
        (false, false) => "the API has neither keys nor TLS",
    };
    section.refuse(
        "listen",
        Refusal::new(
            format!("{listen} is open to others than this machine, and {missing}"),
            "add [[http.keys]] and http.tls (or behind_proxy = true where a proxy ends TLS), or listen on 127.0.0.1",
        ),
    );
}

fn leads_here_from_outside(url: &WebUrl) -> bool {
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
    !is_loopback && !host.eq_ignore_ascii_case("localhost")
}

impl HttpTlsFiles {
    /// The outer option is none when something is wrong, the inner one when there is no TLS.
    fn read(section: &Section<'_>) -> Option<Option<HttpTlsFiles>> {
        match (section.value("cert"), section.value("key")) {
            (Some(cert), Some(key)) => Some(Some(HttpTlsFiles { cert, key })),
            (None, None) if !section.has("cert") && !section.has("key") => Some(None),
            _ => {
                for name in ["cert", "key"].into_iter().filter(|name| !section.has(name)) {
                    let what = format!("\"{name}\" is missing: TLS needs a certificate and its key");
                    section
                        .refuse(name, Refusal::new(what, "tls = { cert = \"cert.pem\", key = \"key.pem\" }"));
                }
                None
            }
        }
    }
}
