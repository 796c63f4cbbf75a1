//! `[[trunks]]`: the carriers whose calls come in, known by the networks that they call from.

use std::net::IpAddr;

use super::country::CountryCode;
use super::network::Network;
use super::problem::Refusal;
use super::section::Section;

/// One of `[[trunks]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// What it is called in logs.
    pub name: String,
    /// The networks that it calls from, at least one.
    pub accept_from: Vec<Network>,
    /// The country whose national numbers it sends, if it does.
    pub country: Option<CountryCode>,
}

impl Trunk {
    /// Whether a call from `address` is one of this trunk.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.accept_from.iter().any(|network| network.contains(address))
    }

    pub(super) fn read(section: &Section<'_>) -> Option<Trunk> {
        let name: Option<String> = section.value("name");
        let accept_from: Option<Vec<Network>> = section.list("accept_from");
        let country = section.value("country");
        if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            section.refuse("name", Refusal::new("this is too long for a name", "at most 64 bytes"));
        }
        if accept_from.as_ref().is_some_and(Vec::is_empty) {
            let cure = "name the networks that the carrier calls from: \"203.0.113.0/24\"";
            section.refuse("accept_from", Refusal::new("an empty list means nobody", cure));
        }
        Some(Trunk { name: name?, accept_from: accept_from?, country })
    }
}

/// Refuses names and networks that an earlier trunk has.
pub(super) fn check_order(sections: &[Section<'_>], trunks: &[Option<Trunk>]) {
    for (index, trunk) in trunks.iter().enumerate() {
        let Some(trunk) = trunk else { continue };
        for earlier in trunks[..index].iter().flatten() {
            if earlier.name == trunk.name {
                let what = format!("there is a trunk \"{}\" already", trunk.name);
                sections[index].refuse("name", Refusal::new(what, "give each trunk a name of its own"));
            }
            if trunk.accept_from.iter().any(|network| earlier.accept_from.contains(network)) {
                let what = format!("a network of the trunk \"{}\" stands here again", earlier.name);
                let cure = "the first trunk takes the call: name each network once";
                sections[index].refuse("accept_from", Refusal::new(what, cure));
            }
        }
    }
}

/// The longest name.
const NAME_BYTES_MAX: usize = 64;
