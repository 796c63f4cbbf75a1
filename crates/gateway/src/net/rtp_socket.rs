//! The two UDP ports of one phone leg: RTP on an even port, RTCP on the odd one above it (RFC 3550 §11).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::net::UdpSocket;

use crate::config::RtpPorts;

/// Hands out ports in turn, so that a port that was just given back rests as long as possible.
#[derive(Debug, Clone)]
pub struct RtpPortRange {
    first: u16,
    pairs: usize,
    next: Arc<AtomicUsize>,
}

/// The sockets of one leg.
#[derive(Debug)]
pub struct RtpSocket {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    address: SocketAddr,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtpPort {
    /// Media.
    Rtp,
    /// Reports.
    Rtcp,
}

impl RtpPortRange {
    /// The configured range.
    pub fn new(ports: &RtpPorts) -> Self {
        Self { first: ports.first, pairs: ports.pairs().count(), next: Arc::default() }
    }

    /// Binds the next free pair on `ip`; call it on the runtime that will serve it.
    ///
    /// # Errors
    /// The last refusal, when every pair that was tried is taken.
    pub fn bind(&self, ip: IpAddr) -> io::Result<RtpSocket> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..self.pairs.min(BIND_TRIES_MAX) {
            let pair = self.next.fetch_add(1, Ordering::Relaxed) % self.pairs;
            let port = self.first.saturating_add(u16::try_from(pair * 2).unwrap_or(u16::MAX));
            match RtpSocket::bind(SocketAddr::new(ip, port)) {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

impl RtpSocket {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let reports = SocketAddr::new(address.ip(), address.port().saturating_add(1));
        Ok(Self { rtp: bind_one(address)?, rtcp: bind_one(reports)?, address })
    }

    /// The RTP port's address, as it was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends at once or not at all: a datagram that the system cannot take is worth nothing later.
    pub fn send(&self, port: RtpPort, packet: &[u8], to: SocketAddr) -> bool {
        // Past the runtime's own readiness, which a new socket has to earn by a turn of the event loop.
        SockRef::from(self.of(port)).send_to(packet, &to.into()).is_ok()
    }

    /// Receives one datagram into `buffer`: which port, how long, from where.
    pub fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(RtpPort, usize, SocketAddr)> {
        for port in [RtpPort::Rtp, RtpPort::Rtcp] {
            let socket = self.of(port);
            while socket.poll_recv_ready(cx).is_ready() {
                match socket.try_recv_from(buffer) {
                    Ok((length, source)) => return Poll::Ready((port, length, source)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // An error of an earlier datagram to somebody else (ICMP); the next one may be good.
                    Err(_) => {
                        cx.waker().wake_by_ref();
                        break;
                    }
                }
            }
        }
        Poll::Pending
    }

    fn of(&self, port: RtpPort) -> &UdpSocket {
        match port {
            RtpPort::Rtp => &self.rtp,
            RtpPort::Rtcp => &self.rtcp,
        }
    }
}

/// The address of ours that faces `remote`, by the system's routes; no packet is sent.
///
/// # Errors
/// The system's, when there is no route.
pub fn local_address_towards(remote: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr =
        if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = StdUdpSocket::bind((any, 0))?;
    probe.connect((remote, PROBE_PORT))?;
    Ok(probe.local_addr()?.ip())
}

fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = StdUdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    let options = SockRef::from(&socket);
    options.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    if address.is_ipv4() {
        // A wish that networks may ignore, and so may systems.
        let _ = options.set_tos_v4(EXPEDITED_FORWARDING);
    }
    UdpSocket::from_std(socket)
}

/// Pairs that are tried before a call is refused; another program may hold hundreds in a row.
const BIND_TRIES_MAX: usize = 1_024;

/// Room for several seconds of one stream.
const RECEIVE_BUFFER_BYTES: usize = 128 << 10;

/// DSCP EF in the upper six bits of the octet (RFC 3246).
const EXPEDITED_FORWARDING: u32 = 46 << 2;

/// Any port does to ask for a route.
const PROBE_PORT: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn range(first: u16, last: u16) -> RtpPortRange {
        RtpPortRange::new(&RtpPorts { first, last })
    }

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn ports_are_even_given_out_in_turn_and_refused_when_all_are_taken() {
        let range = range(47_100, 47_105);
        let sockets: Vec<_> = (0..3).map(|_| range.bind(HOST).unwrap()).collect();
        let ports: Vec<_> = sockets.iter().map(|socket| socket.address().port()).collect();
        assert_eq!(ports, [47_100, 47_102, 47_104]);
        assert_eq!(range.bind(HOST).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        assert!(range.bind(HOST).is_ok());
    }

    #[tokio::test]
    async fn both_ports_are_heard_and_a_new_socket_sends_at_once() {
        let range = range(47_110, 47_113);
        let (here, there) = (range.bind(HOST).unwrap(), range.bind(HOST).unwrap());
        let reports = SocketAddr::new(HOST, there.address().port() + 1);
        assert!(here.send(RtpPort::Rtcp, b"report", reports));
        let mut buffer = [0; 64];
        let (port, length, source) = poll_fn(|cx| there.poll_receive(cx, &mut buffer)).await;
        assert_eq!((port, &buffer[..length]), (RtpPort::Rtcp, &b"report"[..]));
        assert_eq!(source.port(), here.address().port() + 1);
        assert!(here.send(RtpPort::Rtp, b"media", there.address()));
        let (port, length, _) = poll_fn(|cx| there.poll_receive(cx, &mut buffer)).await;
        assert_eq!((port, &buffer[..length]), (RtpPort::Rtp, &b"media"[..]));
    }
}
