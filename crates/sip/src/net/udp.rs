//! The reader of one UDP socket. Refusals are sent from here, so a flood of them never reaches the agent.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::front::{Front, Passage};
use super::{Advertised, Arrival, local_ip_towards};
use crate::counters::{Tally, bump};
use crate::machine::{Flow, Transport};

/// Everything one UDP reader needs.
pub(crate) struct UdpReader {
    pub(crate) socket: UdpSocket,
    pub(crate) sender: Arc<std::net::UdpSocket>,
    pub(crate) link: u64,
    pub(crate) local: LocalAddr,
    pub(crate) front: Arc<Front>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
}

impl UdpReader {
    pub(crate) async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            match self.socket.recv_from(&mut buffer).await {
                Ok((length, peer)) => {
                    self.take(buffer.get(..length).unwrap_or_default(), peer);
                }
                Err(error) => {
                    tracing::debug!(%error, "reading a SIP datagram failed");
                    // An error that stays must not spin.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }

    fn take(&mut self, datagram: &[u8], peer: SocketAddr) {
        bump(&self.tally.datagrams);
        // Keep-alives (RFC 5626 §3.5.1 leaves UDP to STUN; many phones send CRLF or a zero octet).
        if datagram.iter().all(|b| b"\r\n\0 ".contains(b)) {
            return bump(&self.tally.keep_alives);
        }
        let local = self.local.towards(peer);
        let flow = Flow { transport: Transport::Udp, link: self.link, local, peer };
        match self.front.examine(&Bytes::copy_from_slice(datagram), flow, &self.tally) {
            Passage::Enter(message) => {
                if self.arrivals.try_send(Arrival { flow, message }).is_err() {
                    bump(&self.tally.dropped_in);
                }
            }
            Passage::Answer(octets) | Passage::Dismiss(octets) => {
                if self.sender.send_to(&octets, peer).is_err() {
                    bump(&self.tally.dropped_out);
                }
            }
            Passage::Ignore | Passage::Nothing => {}
        }
    }
}

/// The address that we show on a socket, which may be bound to all of them.
pub(crate) struct LocalAddr {
    bound: SocketAddr,
    advertised: Advertised,
    known: HashMap<IpAddr, IpAddr>,
}

impl LocalAddr {
    pub(crate) fn new(bound: SocketAddr, advertised: Advertised) -> Self {
        Self { bound, advertised, known: HashMap::new() }
    }

    pub(crate) fn towards(&mut self, peer: SocketAddr) -> SocketAddr {
        let ip = match self.advertised.towards(peer.ip()) {
            Some(ip) => ip,
            None if !self.bound.ip().is_unspecified() => self.bound.ip(),
            None => {
                if self.known.len() >= KNOWN_MAX {
                    self.known.clear();
                }
                let bound = self.bound.ip();
                *self.known.entry(peer.ip()).or_insert_with(|| local_ip_towards(peer).unwrap_or(bound))
            }
        };
        SocketAddr::new(ip, self.bound.port())
    }
}

const DATAGRAM_MAX: usize = 65_536;
const KNOWN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourceFilter;

    #[test]
    fn the_advertised_address_is_shown_to_nobody_on_this_host_in_our_networks_or_of_the_other_family() {
        let is_near: SourceFilter = Arc::new(|ip| ip == IpAddr::from([10, 0, 0, 7]));
        let advertised = Advertised { address: "203.0.113.9".parse().ok(), is_near: Some(is_near) };
        for (bound, peer, shown) in [
            ("192.0.2.1:5060", "198.51.100.7:5060", "203.0.113.9:5060"),
            ("10.0.0.1:5060", "10.0.0.8:5060", "203.0.113.9:5060"),
            ("10.0.0.1:5060", "10.0.0.7:5060", "10.0.0.1:5060"),
            ("127.0.0.1:5060", "127.0.0.1:7000", "127.0.0.1:5060"),
            ("0.0.0.0:5060", "127.0.0.1:7000", "127.0.0.1:5060"),
            ("[2001:db8::1]:5060", "[2001:db8::7]:5060", "[2001:db8::1]:5060"),
        ] {
            let mut local = LocalAddr::new(bound.parse().unwrap(), advertised.clone());
            assert_eq!(local.towards(peer.parse().unwrap()), shown.parse().unwrap(), "{bound} {peer}");
        }
    }
}
