//! Networks that are let in: an address or an address range in CIDR form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::problem::Refusal;
use super::section::Setting;

/// A range of IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The address that the range is written with.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether `address` lies in the range; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                Ipv4Addr::to_bits(own) & mask == Ipv4Addr::to_bits(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                Ipv6Addr::to_bits(own) & mask == Ipv6Addr::to_bits(other) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Setting for Network {
    fn from_text(text: &str) -> Result<Network, Refusal> {
        let refusal = || {
            Refusal::new(
                format!("\"{text}\" is not a network"),
                "an address or a range: \"203.0.113.7\", \"203.0.113.0/24\", \"2001:db8::/32\"",
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refusal())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| refusal())?,
            None => longest,
        };
        if prefix > longest {
            return Err(refusal());
        }
        // Callers are compared as IPv4 where they are; a range that were kept as IPv6 would let nobody in.
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), own @ IpAddr::V4(_)) if prefix >= MAPPED_PREFIX => {
                Ok(Network { address: own, prefix: prefix - MAPPED_PREFIX })
            }
            (IpAddr::V6(_), IpAddr::V4(own)) => Err(Refusal::new(
                format!("\"{text}\" holds more than the IPv4 addresses that it is written with"),
                format!("write the range as IPv4, for example \"{own}/8\""),
            )),
            (address, _) => Ok(Network { address, prefix }),
        }
    }
}

/// Whether a stranger at `address` may come in: loopback always, else a member of `accepted`.
pub fn admits(accepted: &[Network], address: IpAddr) -> bool {
    address.to_canonical().is_loopback() || accepted.iter().any(|network| network.contains(address))
}

/// The bits in front of an IPv4 address that is mapped into IPv6 (RFC 4291 §2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        let network = Network::from_text("203.0.113.0/24").unwrap();
        assert!(network.contains("203.0.113.255".parse().unwrap()));
        assert!(network.contains("::ffff:203.0.113.1".parse().unwrap()));
        assert!(!network.contains("203.0.114.0".parse().unwrap()));
        assert!(!network.contains("2001:db8::1".parse().unwrap()));
        assert!(Network::from_text("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!(Network::from_text("::/0").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!(Network::from_text("10.0.0.1").unwrap().contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_mapped_range_is_the_ipv4_range_it_holds() {
        let network = Network::from_text("::ffff:10.0.0.0/104").unwrap();
        assert_eq!(network, Network::from_text("10.0.0.0/8").unwrap());
        assert!(
            network.contains("10.1.2.3".parse().unwrap()) && !network.contains("11.0.0.0".parse().unwrap())
        );
        let single = Network::from_text("::ffff:10.0.0.1").unwrap();
        assert!(
            single.contains("10.0.0.1".parse().unwrap()) && !single.contains("10.0.0.2".parse().unwrap())
        );
        assert!(Network::from_text("::ffff:10.0.0.0/95").unwrap_err().cure.contains("IPv4"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "host", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(Network::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_list_admits_loopback_only() {
        assert!(admits(&[], "127.0.0.1".parse().unwrap()) && admits(&[], "::1".parse().unwrap()));
        assert!(!admits(&[], "203.0.113.1".parse().unwrap()));
    }
}
