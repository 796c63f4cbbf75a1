//! `[[listeners]]`: ports of their own for vendors that dial us.

use std::net::SocketAddr;
use std::sync::Arc;

use patchcord_core::dialect::{Mapping, WireAudio};

use super::audio;
use super::country::CountryCode;
use super::dialect_names::DialectName;
use super::mapping;
use super::section::Section;
use super::vendor_port::{VendorAccess, check_bot};

/// One of `[[listeners]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address of the port.
    pub listen: SocketAddr,
    /// The language the vendor speaks.
    pub dialect: DialectName,
    /// The name of the bot that takes its calls.
    pub bot: String,
    /// The country whose national numbers the vendor sends, if it does.
    pub country: Option<CountryCode>,
    /// The audio until the vendor's start says otherwise.
    pub audio: WireAudio,
    /// custom: which messages mean what.
    pub mapping: Option<Arc<Mapping>>,
    /// Who may come in.
    pub access: VendorAccess,
}

impl Listener {
    pub(super) fn read(section: &Section<'_>, bots: &[&str], behind_proxy: bool) -> Option<Listener> {
        let listen = section.value("listen");
        let access = VendorAccess::read(section, listen, "token", behind_proxy);
        let (dialect, bot) = (section.value("dialect"), section.value::<String>("bot"));
        let country = section.value("country");
        if let Some(bot) = &bot {
            check_bot(section, "bot", bot, bots);
        }
        let audio = dialect.and_then(|dialect| audio::read(&section.section("audio"), dialect));
        let mapping = mapping::read(section, dialect);
        Some(Listener {
            listen: listen?,
            dialect: dialect?,
            bot: bot?,
            country,
            audio: audio?,
            mapping,
            access,
        })
    }
}
