//! Addresses: who can reach this machine, and which address it shows to others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Check;
use crate::config::{Config, ExternalIp, Network};
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

/// The networks that calls are accepted from, besides this machine.
fn callers(config: &Config) -> impl Iterator<Item = &Network> {
    config.sip.accept_from.iter().chain(config.trunks.iter().flat_map(|trunk| &trunk.accept_from))
}

/// Who can call.
fn reach(config: &Config) -> Check {
    let names_others = callers(config).next().is_some();
    match (is_remote(config), names_others, config.numbers.is_empty()) {
        (false, true, _) => Check::warn(
            "addresses",
            "sip.listen",
            "sip.accept_from or a trunk lets others call, but every SIP socket is on loopback: nobody reaches it",
            "set sip.listen to an address that they reach: \"udp:0.0.0.0:5060\"",
        ),
        (false, false, _) => {
            Check::ok("addresses", "sip.listen", "loopback: phones of this machine can call")
        }
        (true, false, _) => Check::warn(
            "addresses",
            "sip.accept_from",
            "SIP listens to others, but none of them is let in",
            "name your carrier's networks in [[trunks]], other phones' in sip.accept_from",
        ),
        (true, true, true) => Check::warn(
            "addresses",
            "numbers",
            "others may call, but no number leads to a bot: bots answer by name on this machine only",
            "add [[numbers]] with number and bot",
        ),
        (true, true, false) => Check::ok(
            "addresses",
            "sip.listen",
            "others can call, from the networks of sip.accept_from and trunks",
        ),
    }
}

/// The address that SDP and Contact show to callers from outside.
fn shown(config: &Config) -> Option<Check> {
    if !is_remote(config) {
        return None;
    }
    let is_far = |ip: IpAddr| !AddressKind::of(ip).is_private() && !config.sip.is_near(ip);
    let from_internet = callers(config).any(|network| is_far(network.address()));
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
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    /// The verdicts on addresses of a SIP section and what follows it.
    fn verdicts(sip: &str) -> Vec<(String, Verdict)> {
        let config = Config::parse(&format!("[sip]\n{sip}")).unwrap();
        all(&config).into_iter().map(|check| (check.subject, check.verdict)).collect()
    }

    const NUMBER: &str = "[[numbers]]\nnumber = \"*\"\nbot = \"echo\"\n";

    #[test]
    fn a_private_address_is_right_for_private_callers_and_wrong_for_those_from_the_internet() {
        let sip = |shown: &str, from: &str| {
            let remote = "listen = [\"udp:0.0.0.0:5060\"]\n";
            verdicts(&format!("{remote}external_ip = \"{shown}\"\naccept_from = [\"{from}\"]\n{NUMBER}"))
        };
        let shown =
            |verdict| [("sip.listen".to_owned(), Verdict::Ok), ("sip.external_ip".to_owned(), verdict)];
        assert_eq!(sip("10.0.0.5", "10.0.0.0/8"), shown(Verdict::Ok));
        assert_eq!(sip("10.0.0.5", "203.0.113.0/24"), shown(Verdict::Warn));
        assert_eq!(sip("8.8.8.8", "203.0.113.0/24"), shown(Verdict::Ok));
    }

    #[test]
    fn a_trunk_lets_callers_in_and_needs_a_number_and_an_address_that_it_reaches() {
        let trunk = "[[trunks]]\nname = \"carrier\"\naccept_from = [\"203.0.113.0/24\"]\n";
        let remote = "listen = [\"udp:0.0.0.0:5060\"]\nexternal_ip = \"8.8.8.8\"\naccept_from = []\n";
        let of = |sip: &str| verdicts(sip).remove(0);
        assert_eq!(of(&format!("{remote}{trunk}{NUMBER}")), ("sip.listen".to_owned(), Verdict::Ok));
        assert_eq!(of(&format!("{remote}{trunk}")), ("numbers".to_owned(), Verdict::Warn));
        assert_eq!(of(&format!("{remote}{NUMBER}")), ("sip.accept_from".to_owned(), Verdict::Warn));
        assert_eq!(of(&format!("{trunk}{NUMBER}")), ("sip.listen".to_owned(), Verdict::Warn));
        assert_eq!(of(NUMBER), ("sip.listen".to_owned(), Verdict::Ok));
    }
}
