//! Addresses: who can reach this machine, and which address it shows to others.

use std::net::IpAddr;

use super::Check;
use crate::config::{Config, ExternalIp};
use crate::net::{AddressKind, local_address_towards};

/// Every check of addresses.
pub fn all(config: &Config) -> Vec<Check> {
    let mut checks = vec![reach(config)];
    checks.extend(shown(config));
    checks
}

fn is_remote(config: &Config) -> bool {
    config.sip.listen.iter().any(|socket| !socket.address.ip().to_canonical().is_loopback())
}

/// Who can call.
fn reach(config: &Config) -> Check {
    let names_others = !config.sip.accept_from.is_empty();
    match (is_remote(config), names_others, config.numbers.is_empty()) {
        (false, true, _) => Check::warn(
            "addresses",
            "sip.listen",
            "sip.accept_from lets others call, but every SIP socket is on loopback: nobody reaches it",
            "set sip.listen to an address that they reach: \"udp:0.0.0.0:5060\"",
        ),
        (false, false, _) => {
            Check::ok("addresses", "sip.listen", "loopback: phones of this machine can call")
        }
        (true, false, _) => Check::warn(
            "addresses",
            "sip.accept_from",
            "SIP listens to others, but none of them is let in",
            "name the networks of your carrier in sip.accept_from",
        ),
        (true, true, true) => Check::warn(
            "addresses",
            "numbers",
            "others may call, but no number leads to a bot: bots answer by name on this machine only",
            "add [[numbers]] with number and bot",
        ),
        (true, true, false) => {
            Check::ok("addresses", "sip.listen", "others can call, from the networks of sip.accept_from")
        }
    }
}

/// The address that SDP and Contact show to callers from outside.
fn shown(config: &Config) -> Option<Check> {
    if !is_remote(config) {
        return None;
    }
    let from_internet =
        config.sip.accept_from.iter().any(|network| !AddressKind::of(network.address()).is_private());
    let (ip, how) = match config.sip.external_ip {
        ExternalIp::Fixed(ip) => (ip, "sip.external_ip"),
        ExternalIp::Auto => match local_address_towards(SOMEWHERE) {
            Ok(ip) => (ip, "auto"),
            Err(error) => {
                return Some(Check::warn(
                    "addresses",
                    "sip.external_ip",
                    format!("this machine has no way to the internet: {error}"),
                    "set sip.external_ip to the address that callers reach, or add a route",
                ));
            }
        },
    };
    Some(match AddressKind::of(ip) {
        AddressKind::Public => {
            Check::ok("addresses", "sip.external_ip", format!("callers are shown {ip} ({how})"))
        }
        kind if from_internet => Check::warn(
            "addresses",
            "sip.external_ip",
            format!(
                "callers from the internet are shown {ip} ({how}), an address of {}: they will not be heard",
                kind.words()
            ),
            "set sip.external_ip to the public address, and forward sip.listen and sip.rtp_ports to this machine",
        ),
        kind => Check::ok(
            "addresses",
            "sip.external_ip",
            format!("callers are shown {ip} ({how}), an address of {}, as are theirs", kind.words()),
        ),
    })
}

/// An address of the internet; nothing is sent there.
const SOMEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
