//! What kind of address an IP address is: public, or one of those that nobody on the internet answers to.
//!
//! Sources: the special-purpose registries of RFC 6890 with their later entries, RFC 4291 §2.5 and RFC 6052
//! for IPv4 inside IPv6, and the metadata addresses of the large clouds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// Reachable by anybody.
    Public,
    /// This machine.
    Loopback,
    /// A private network (RFC 1918, RFC 4193, site-local).
    Private,
    /// A carrier's own network (RFC 6598).
    Carrier,
    /// This link (RFC 3927, RFC 4291 §2.5.6).
    LinkLocal,
    /// The metadata of a cloud's machine.
    Metadata,
    /// Many hosts at once.
    Multicast,
    /// No host at all: unspecified, reserved, documentation, benchmarking, tunnels.
    Special,
}

impl AddressKind {
    /// What `address` is for; IPv4 inside IPv6 counts as what is inside.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Whether a machine of one's own may have it.
    pub fn is_private(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::Carrier)
    }

    /// The kind in words, behind "an address of …".
    pub fn words(self) -> &'static str {
        match self {
            Self::Public => "the internet",
            Self::Loopback => "this machine",
            Self::Private => "a private network",
            Self::Carrier => "a carrier's own network",
            Self::LinkLocal => "the local link",
            Self::Metadata => "a cloud's metadata",
            Self::Multicast => "a multicast group",
            Self::Special => "a special-purpose range",
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        // Amazon and most others, Alibaba, Oracle's second, Azure.
        [169, 254, 169, 254] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            AddressKind::Metadata
        }
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressKind::Private,
        [100, 64..=127, ..] => AddressKind::Carrier,
        [169, 254, ..] => AddressKind::LinkLocal,
        [224..=239, ..] => AddressKind::Multicast,
        [0, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => AddressKind::Special,
        _ => AddressKind::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    if CLOUD_METADATA.contains(&address) {
        return AddressKind::Metadata;
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressKind::Special,
        // IPv4-compatible, IPv4-translated (RFC 2765), NAT64 (RFC 6052): the last 32 bits are what is dialled.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            embedded(address)
        }
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => AddressKind::Private,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xff00..=0xffff, ..] => AddressKind::Multicast,
        // IETF protocols with Teredo and benchmarking, documentation (two), 6to4.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => {
            AddressKind::Special
        }
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        // Nothing else was ever given to a host; local-use NAT64 (RFC 8215) and discard (RFC 6666) are here.
        _ => AddressKind::Special,
    }
}

fn embedded(address: Ipv6Addr) -> AddressKind {
    let [.., high, low] = address.segments();
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    of_v4(Ipv4Addr::new(a, b, c, d))
}

/// Metadata over IPv6: Amazon's, its credentials for pods, Google's, Oracle's.
const CLOUD_METADATA: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_known_at_both_of_its_ends_and_its_neighbours_are_public() {
        use AddressKind::*;
        for (kind, first, last) in [
            (Special, "0.0.0.0", "0.255.255.255"),
            (Private, "10.0.0.0", "10.255.255.255"),
            (Carrier, "100.64.0.0", "100.127.255.255"),
            (Loopback, "127.0.0.0", "127.255.255.255"),
            (LinkLocal, "169.254.0.0", "169.254.255.255"),
            (Private, "172.16.0.0", "172.31.255.255"),
            (Special, "192.0.0.0", "192.0.0.255"),
            (Special, "192.0.2.0", "192.0.2.255"),
            (Special, "192.88.99.0", "192.88.99.255"),
            (Private, "192.168.0.0", "192.168.255.255"),
            (Special, "198.18.0.0", "198.19.255.255"),
            (Special, "198.51.100.0", "198.51.100.255"),
            (Special, "203.0.113.0", "203.0.113.255"),
            (Multicast, "224.0.0.0", "239.255.255.255"),
            (Special, "240.0.0.0", "255.255.255.255"),
            (Metadata, "169.254.169.254", "169.254.169.254"),
            (Metadata, "100.100.100.200", "fd00:ec2::254"),
            (Metadata, "192.0.0.192", "168.63.129.16"),
            (Metadata, "fd00:ec2::23", "fd20:ce::254"),
            (Metadata, "fd00:c1::a9fe:a9fe", "::ffff:169.254.169.254"),
            (Special, "::", "::"),
            (Loopback, "::1", "::1"),
            (Loopback, "::127.0.0.1", "::ffff:127.0.0.1"),
            (Private, "::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1"),
            (Special, "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            (Special, "100::", "100::ffff:ffff:ffff:ffff"),
            (Special, "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Special, "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Special, "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Special, "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Special, "4000::", "5f00::1"),
            (Private, "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (LinkLocal, "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Private, "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Multicast, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            (Public, "1.0.0.0", "9.255.255.255"),
            (Public, "11.0.0.0", "100.63.255.255"),
            (Public, "100.128.0.0", "126.255.255.255"),
            (Public, "128.0.0.0", "169.253.255.255"),
            (Public, "172.15.255.255", "172.32.0.0"),
            (Public, "192.0.1.0", "192.0.3.0"),
            (Public, "198.17.255.255", "198.20.0.0"),
            (Public, "223.255.255.255", "8.8.8.8"),
            (Public, "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
            (Public, "2001:200::", "2001:db7:ffff::"),
            (Public, "2606:4700:4700::1111", "3ffe:ffff::"),
        ] {
            for address in [first, last] {
                assert_eq!(AddressKind::of(address.parse().unwrap()), kind, "{address}");
            }
        }
    }
}
