//! From whom a stream is heard, and where its answer goes: the address of the SDP first, one latch, then strict.
//!
//! A phone behind a NAT sends from another address than its SDP names; a stranger does as well. The first may
//! speak once and is then known; the second is neither heard nor answered.

use std::net::{IpAddr, SocketAddr};

use super::packet::RtpHeader;

/// The remote address of one stream.
#[derive(Debug, Clone)]
pub struct Latch {
    /// Where the SDP wants media.
    sdp: SocketAddr,
    /// Who signals: a phone behind a NAT sends its media from the same host as its signalling.
    signalling: Option<IpAddr>,
    /// Where media comes from.
    latched: Option<Latched>,
}

#[derive(Debug, Clone, Copy)]
struct Latched {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
}

/// Whether a packet is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// From the known address.
    Known,
    /// From a new address, which is the known one from now on.
    Moved,
    /// From somebody else.
    Stranger,
}

impl Latch {
    /// A stream of which nothing has come yet.
    pub const fn new(sdp: SocketAddr, signalling: Option<IpAddr>) -> Self {
        Self { sdp, signalling, latched: None }
    }

    /// The SDP names an address, perhaps another one: a new address begins a new search, the same keeps what is
    /// known (a phone behind a NAT names its private address in every re-INVITE).
    /// An address that is none (`c=0.0.0.0` or port 0: the phone is on hold) keeps it as well.
    pub fn relatch(&mut self, sdp: SocketAddr) {
        let nowhere = sdp.ip().is_unspecified() || sdp.port() == 0;
        if !nowhere && !is_same(self.sdp, sdp) {
            *self = Self::new(sdp, self.signalling);
        }
    }

    /// Judges a packet that is otherwise acceptable.
    pub fn admit(&mut self, source: SocketAddr, header: &RtpHeader) -> Admission {
        let admission = match &self.latched {
            Some(known) if is_same(known.source, source) => Admission::Known,
            Some(known) if self.may_move(known, source, header) => Admission::Moved,
            None if is_same(self.sdp, source) => Admission::Known,
            None if self.may_latch(source) => Admission::Moved,
            _ => return Admission::Stranger,
        };
        let (ssrc, sequence) = (header.ssrc, header.sequence);
        self.latched = Some(Latched { source, ssrc, sequence });
        admission
    }

    /// Whether a packet from this source may be the phone's, whatever is in it: worth being deciphered.
    pub fn may_come_from(&self, source: SocketAddr) -> bool {
        match &self.latched {
            Some(known) => is_same_host(known.source, source) || is_same(self.sdp, source),
            None => self.may_latch(source),
        }
    }

    /// Whether a report from this source concerns the stream: same host, any port.
    pub fn is_from_remote_host(&self, source: SocketAddr) -> bool {
        is_same_host(self.remote(), source)
    }

    /// Where to send: where media comes from, until then where the SDP says.
    pub fn remote(&self) -> SocketAddr {
        self.latched.map_or(self.sdp, |known| known.source)
    }

    /// Whether this is the address that media comes from, or that the SDP names.
    pub fn is_known(&self, source: SocketAddr) -> bool {
        is_same(self.remote(), source)
    }

    /// Whether anything was heard yet.
    pub const fn is_latched(&self) -> bool {
        self.latched.is_some()
    }

    /// Before anything was heard: another port of the same host, or the host that signals.
    fn may_latch(&self, source: SocketAddr) -> bool {
        let signals = self.signalling.is_some_and(|ip| ip.to_canonical() == source.ip().to_canonical());
        is_same_host(self.sdp, source) || signals
    }

    /// After: the SDP's own address, or another port of the same host that goes on with the same stream (a NAT
    /// that forgot its mapping); source and sequence are what a stranger cannot guess.
    fn may_move(&self, known: &Latched, source: SocketAddr, header: &RtpHeader) -> bool {
        let ahead = header.sequence.wrapping_sub(known.sequence);
        let goes_on = header.ssrc == known.ssrc && (1..=AHEAD_MAX).contains(&ahead);
        is_same(self.sdp, source) || (is_same_host(known.source, source) && goes_on)
    }
}

fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && is_same_host(a, b)
}

fn is_same_host(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip().to_canonical() == b.ip().to_canonical()
}

/// Packets that may have been lost while a mapping changed: a minute of 20 ms, as far as the order follows too.
const AHEAD_MAX: u16 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn from(ssrc: u32, sequence: u16) -> RtpHeader {
        RtpHeader { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc }
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_sdp_address_is_known_and_everybody_else_a_stranger_after_it() {
        let mut latch = Latch::new(address("203.0.113.5:4000"), None);
        assert_eq!(latch.admit(address("203.0.113.5:4000"), &from(1, 1)), Admission::Known);
        for stranger in ["203.0.113.5:4002", "198.51.100.1:4000"] {
            assert_eq!(latch.admit(address(stranger), &from(2, 2)), Admission::Stranger);
        }
        assert_eq!(latch.remote(), address("203.0.113.5:4000"));
    }

    #[test]
    fn another_port_of_the_same_host_latches_once() {
        let mut latch = Latch::new(address("203.0.113.5:4000"), None);
        assert_eq!(latch.admit(address("203.0.113.5:6000"), &from(1, 1)), Admission::Moved);
        assert_eq!(latch.remote(), address("203.0.113.5:6000"));
        assert_eq!(latch.admit(address("203.0.113.5:7000"), &from(2, 2)), Admission::Stranger);
        assert_eq!(latch.admit(address("203.0.113.5:6000"), &from(1, 2)), Admission::Known);
    }

    #[test]
    fn another_host_latches_only_if_it_is_the_one_that_signals() {
        let signalling = Some(address("198.51.100.1:5060").ip());
        for sdp in ["192.168.1.7:4000", "203.0.113.5:4000", "[fd00::1]:4000"] {
            let mut latch = Latch::new(address(sdp), signalling);
            assert_eq!(latch.admit(address("198.51.100.2:4000"), &from(2, 2)), Admission::Stranger);
            assert!(!latch.is_latched());
            assert_eq!(latch.admit(address("198.51.100.1:4000"), &from(1, 1)), Admission::Moved);
            assert_eq!(latch.admit(address("198.51.100.2:4000"), &from(2, 2)), Admission::Stranger);
            assert_eq!(latch.remote(), address("198.51.100.1:4000"));
        }
        let mut alone = Latch::new(address("192.168.1.7:4000"), None);
        assert_eq!(alone.admit(address("198.51.100.1:4000"), &from(1, 1)), Admission::Stranger);
    }

    #[test]
    fn the_sdp_address_may_speak_up_after_another_was_latched() {
        let mut latch = Latch::new(address("192.168.1.7:4000"), Some(address("198.51.100.1:1").ip()));
        latch.admit(address("198.51.100.1:4000"), &from(1, 1));
        assert_eq!(latch.admit(address("192.168.1.7:4000"), &from(9, 1)), Admission::Moved);
        assert_eq!(latch.admit(address("198.51.100.1:4000"), &from(1, 2)), Admission::Stranger);
    }

    #[test]
    fn a_new_port_that_goes_on_with_the_stream_is_followed() {
        let mut latch = Latch::new(address("203.0.113.5:4000"), None);
        latch.admit(address("203.0.113.5:4000"), &from(1, 65_530));
        assert_eq!(latch.admit(address("203.0.113.5:4008"), &from(1, 65_530)), Admission::Stranger);
        assert_eq!(latch.admit(address("203.0.113.5:4008"), &from(1, 9_000)), Admission::Stranger);
        assert_eq!(latch.admit(address("203.0.113.5:4008"), &from(2, 3)), Admission::Stranger);
        assert_eq!(latch.admit(address("203.0.113.5:4008"), &from(1, 150)), Admission::Moved);
        assert_eq!(latch.remote(), address("203.0.113.5:4008"));
    }

    #[test]
    fn a_re_invite_with_the_same_address_keeps_the_latch_and_a_new_one_begins_anew() {
        let mut latch = Latch::new(address("192.168.1.7:4000"), Some(address("198.51.100.1:1").ip()));
        latch.admit(address("198.51.100.1:4000"), &from(1, 1));
        for same in ["192.168.1.7:4000", "0.0.0.0:4000", "192.168.1.7:0"] {
            latch.relatch(address(same));
        }
        assert_eq!(latch.remote(), address("198.51.100.1:4000"));
        latch.relatch(address("203.0.113.5:4000"));
        assert_eq!((latch.remote(), latch.is_latched()), (address("203.0.113.5:4000"), false));
    }

    #[test]
    fn a_mapped_address_is_the_address_it_maps() {
        let mut latch = Latch::new(address("203.0.113.5:4000"), None);
        assert_eq!(latch.admit(address("[::ffff:203.0.113.5]:4000"), &from(1, 1)), Admission::Known);
        assert!(latch.is_from_remote_host(address("203.0.113.5:4001")));
    }
}
