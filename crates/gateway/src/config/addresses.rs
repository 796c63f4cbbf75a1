//! The addresses that the whole configuration listens on: no two may want the same one.
//!
//! A wildcard takes in every address of its family, and `[::]` on systems like Linux those of IPv4 too; saying so
//! while the file is read names both keys, which the system's "address in use" cannot.

use std::net::{IpAddr, SocketAddr};

use super::problem::Refusal;
use super::section::Section;

/// The addresses that are taken so far.
#[derive(Default)]
pub(super) struct Taken(Vec<(Protocol, SocketAddr, String)>);

/// One address to listen on, and the key that says so.
pub(super) struct Socket<'a> {
    protocol: Protocol,
    address: SocketAddr,
    section: &'a Section<'a>,
    key: &'static str,
    index: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Udp,
    Tcp,
}

impl<'a> Socket<'a> {
    /// A TCP port, named by `key` of `section`.
    pub(super) fn tcp(address: SocketAddr, section: &'a Section<'a>, key: &'static str) -> Self {
        Socket { protocol: Protocol::Tcp, address, section, key, index: None }
    }

    /// A UDP port, named by `key` of `section`.
    pub(super) fn udp(address: SocketAddr, section: &'a Section<'a>, key: &'static str) -> Self {
        Socket { protocol: Protocol::Udp, ..Socket::tcp(address, section, key) }
    }

    /// The same, named by the entry `index` of the list `key`.
    pub(super) fn at(self, index: usize) -> Self {
        Socket { index: Some(index), ..self }
    }
}

impl Taken {
    /// Takes the addresses of `sockets`, and refuses each that overlaps with one that is taken.
    pub(super) fn extend<'a>(&mut self, sockets: impl IntoIterator<Item = Socket<'a>>) {
        for Socket { protocol, address, section, key, index } in sockets {
            let path = section.path_of(key);
            let owner = index.map_or_else(|| path.clone(), |index| format!("{path}[{index}]"));
            let clash = self.0.iter().find(|(kind, other, _)| *kind == protocol && overlap(*other, address));
            if let Some((_, other, holder)) = clash {
                let what = if *other == address {
                    format!("{address} is the address of {holder} already")
                } else {
                    format!("{address} overlaps with {other}, the address of {holder} already")
                };
                let refusal = Refusal::new(what, "choose another port");
                section.report.refuse(&owner, &section.place_of(key), refusal);
            }
            self.0.push((protocol, address, owner));
        }
    }
}

/// Whether two sockets of one protocol cannot listen at the same time.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    if a.port() != b.port() || a.port() == 0 {
        return false;
    }
    let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    // Equal as a whole: link-local addresses of two interfaces differ by their scope alone.
    a == b || (one == other && one.is_ipv4()) || takes_in(one, other) || takes_in(other, one)
}

fn takes_in(wildcard: IpAddr, other: IpAddr) -> bool {
    wildcard.is_unspecified() && (wildcard.is_ipv6() || other.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_overlap_by_port_and_address_and_a_wildcard_takes_in_its_family() {
        let both = |a: &str, b: &str| {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(overlap(a, b), overlap(b, a));
            overlap(a, b)
        };
        for (a, b) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "10.0.0.1:80"),
            ("[::]:80", "10.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("[::]:80", "0.0.0.0:80"),
        ] {
            assert!(both(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:0", "127.0.0.1:0"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("0.0.0.0:80", "[::1]:80"),
            ("[fe80::1%1]:80", "[fe80::1%2]:80"),
        ] {
            assert!(!both(a, b), "{a} {b}");
        }
    }
}
