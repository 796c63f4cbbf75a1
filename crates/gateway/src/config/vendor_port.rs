//! What is common to every port that vendors dial: its address and who may come in.

use std::net::{IpAddr, SocketAddr};

use super::network::{Network, admits};
use super::problem::{Refusal, nearest};
use super::secret::Secret;
use super::section::{Section, Setting};

/// Where a vendor comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VendorSource {
    /// From this address; loopback is this machine.
    Direct(IpAddr),
    /// Through a proxy, which makes loopback say nothing: from this address, by its word or our own sight.
    BehindProxy(IpAddr),
}

/// Who may open a vendor's WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorAccess {
    /// What must be presented, if anything.
    pub token: Option<Secret>,
    /// The networks that are let in; `None` for any.
    pub accept_from: Option<Vec<Network>>,
}

impl VendorAccess {
    /// Whether a vendor from `source` that presents `token` is let in.
    ///
    /// What is set must hold, the token and the network; loopback is in every network, except behind a proxy.
    pub fn admits(&self, source: VendorSource, token: Option<&str>) -> bool {
        let from_allowed = self.accept_from.as_deref().is_none_or(|accepted| match source {
            VendorSource::Direct(address) => admits(accepted, address),
            VendorSource::BehindProxy(address) => accepted.iter().any(|network| network.contains(address)),
        });
        let token_matches =
            self.token.as_ref().is_none_or(|own| token.is_some_and(|token| own.matches(token)));
        from_allowed && token_matches
    }

    /// Reads the access keys beside `listen`, and refuses a remote address, or any behind a proxy, that is open to
    /// everyone.
    pub(super) fn read(
        section: &Section<'_>,
        listen: Option<SocketAddr>,
        token_key: &str,
        behind_proxy: bool,
    ) -> VendorAccess {
        let token: Option<Secret> = section.value(token_key);
        let accept_from = section.list("accept_from");
        let guarded = section.has(token_key) || section.has("accept_from");
        let remote = listen.filter(|listen| !listen.ip().to_canonical().is_loopback());
        if let Some(listen) = remote.filter(|_| !guarded) {
            section.refuse(
                "listen",
                Refusal::new(
                    format!("{listen} is open to others than this machine, and nothing says who may come in"),
                    format!("set {token_key} or accept_from, or listen on 127.0.0.1"),
                ),
            );
        } else if behind_proxy && !guarded {
            let what = "with http.behind_proxy whoever comes through the proxy could talk to the bots here: nothing \
                        says which vendors may come in";
            section.refuse(token_key, Refusal::new(what, format!("set {token_key} or accept_from")));
        }
        VendorAccess { token, accept_from }
    }
}

impl Setting for SocketAddr {
    fn from_text(text: &str) -> Result<SocketAddr, Refusal> {
        text.parse().map_err(|_| Refusal {
            did_you_mean: text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}")),
            ..Refusal::new(
                format!("\"{text}\" is not an address with a port"),
                "for example \"127.0.0.1:8080\"",
            )
        })
    }
}

/// Refuses a bot that is not there; names the nearest one.
pub(super) fn check_bot(section: &Section<'_>, key: &str, bot: &str, known: &[&str]) {
    if !known.contains(&bot) {
        section.refuse(key, no_such_bot(bot, known));
    }
}

/// The refusal of a bot that is not there.
pub(super) fn no_such_bot(bot: &str, known: &[&str]) -> Refusal {
    Refusal {
        what: format!("there is no bot \"{bot}\""),
        cure: format!("one of: {}; or add [bots.{bot}]", known.join(", ")),
        did_you_mean: nearest(bot, known.iter().copied()),
    }
}
