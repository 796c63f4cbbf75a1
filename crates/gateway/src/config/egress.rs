//! `[egress]`: where addresses that come from outside may lead.

use super::network::Network;
use super::section::Section;

/// The settings of `[egress]`: what holds for URLs that the operator did not write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Egress {
    /// Whether such URLs may lead into private networks and to this machine.
    pub allow_private: bool,
    /// Networks that such URLs may lead to, whatever they are.
    pub allow: Vec<Network>,
}

impl Egress {
    pub(super) fn read(section: &Section<'_>) -> Option<Egress> {
        let allow_private = section.value("allow_private");
        let allow = if section.has("allow") { section.list("allow") } else { Some(Vec::new()) };
        Some(Egress { allow_private: allow_private?, allow: allow? })
    }
}
