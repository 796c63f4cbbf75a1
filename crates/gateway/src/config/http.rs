//! `[http]`: the port for health, metrics and vendors' WebSockets.

use std::net::SocketAddr;

use super::section::Section;
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
}

impl Http {
    pub(super) fn read(section: &Section<'_>, bots: &[&str]) -> Option<Http> {
        let listen = section.value("listen");
        let access = VendorAccess::read(section, listen, "ws_token");
        let ws_bot: Option<String> = section.value("ws_bot");
        if let Some(bot) = &ws_bot {
            check_bot(section, "ws_bot", bot, bots);
        }
        Some(Http { listen: listen?, ws_bot: ws_bot?, access })
    }
}
