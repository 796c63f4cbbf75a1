//! The two UDP ports of one phone leg: RTP on an even port, RTCP on the odd one above it (RFC 3550 §11). A pair
//! that was given back rests before it is used again: late packets of one call are never heard on another.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::UdpSocket;

use crate::config::RtpPorts;

/// Hands out ports in turn.
#[derive(Debug, Clone)]
pub struct RtpPortRange {
    first: u16,
    next: Arc<AtomicUsize>,
    rests: Arc<Rests>,
}

/// Until when each pair rests, in milliseconds since the beginning.
#[derive(Debug)]
struct Rests {
    began: Instant,
    until_ms: Box<[AtomicU64]>,
}

/// The sockets of one leg.
#[derive(Debug)]
pub struct RtpSocket {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    address: SocketAddr,
    rests: Arc<Rests>,
    pair: usize,
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
        let until_ms = ports.pairs().map(|_| AtomicU64::new(0)).collect();
        let rests = Arc::new(Rests { began: Instant::now(), until_ms });
        Self { first: ports.first, next: Arc::default(), rests }
    }

    /// Binds the next free pair on `ip`, one that rests only where there is no other; call it on the runtime
    /// that will serve it.
    ///
    /// # Errors
    /// The last refusal, when every pair that was tried is taken.
    pub fn bind(&self, ip: IpAddr) -> io::Result<RtpSocket> {
        self.bind_at(ip, Instant::now())
    }

    fn bind_at(&self, ip: IpAddr, now: Instant) -> io::Result<RtpSocket> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        let pairs = self.rests.until_ms.len();
        // Each call has a round of its own: those that bind at the same moment hide no free pair from it.
        let first = self.next.fetch_add(1, Ordering::Relaxed) % pairs.max(1);
        for tired_too in [false, true] {
            for pair in (first..pairs).chain(0..first).take(BIND_TRIES_MAX) {
                if !tired_too && self.rests.lasts(pair, now) {
                    continue;
                }
                match self.bind_pair(ip, pair) {
                    Ok(socket) => return Ok(socket),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                    Err(error) => return Err(error),
                }
            }
        }
        Err(last)
    }

    fn bind_pair(&self, ip: IpAddr, pair: usize) -> io::Result<RtpSocket> {
        let port = self.first.saturating_add(u16::try_from(pair * 2).unwrap_or(u16::MAX));
        let address = SocketAddr::new(ip, port);
        let reports = SocketAddr::new(ip, port.saturating_add(1));
        let (rtp, rtcp) = (bind_one(address)?, bind_one(reports)?);
        Ok(RtpSocket { rtp, rtcp, address, rests: self.rests.clone(), pair })
    }
}

impl Rests {
    fn begin(&self, pair: usize) {
        if let Some(until) = self.until_ms.get(pair) {
            until.store(self.ms_of(Instant::now() + REST), Ordering::Relaxed);
        }
    }

    fn lasts(&self, pair: usize, now: Instant) -> bool {
        let until = self.until_ms.get(pair).map_or(0, |until| until.load(Ordering::Relaxed));
        self.ms_of(now) < until
    }

    fn ms_of(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for RtpSocket {
    fn drop(&mut self) {
        self.rests.begin(self.pair);
    }
}

impl RtpSocket {
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
pub fn local_address_towards(mut remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr =
        if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = StdUdpSocket::bind((any, 0))?;
    remote.set_port(PROBE_PORT);
    probe.connect(remote)?;
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

/// How long a pair rests; phones that were hung up on send for a second or two.
const REST: Duration = Duration::from_secs(8);

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
    async fn a_pair_rests_after_a_call_unless_there_is_no_other() {
        let range = range(47_120, 47_125);
        let port_at = |at: Instant| range.bind_at(HOST, at).unwrap().address().port();
        let now = Instant::now();
        assert_eq!([port_at(now), port_at(now)], [47_120, 47_122]);
        let held = range.bind_at(HOST, now).unwrap();
        assert_eq!(held.address().port(), 47_124);
        // All others rest: the range is short, and a call counts more.
        assert_eq!(port_at(now), 47_120);
        drop(held);
        range.rests.until_ms[1].store(0, Ordering::Relaxed);
        assert_eq!([port_at(now), port_at(now + 2 * REST)], [47_122, 47_124]);
    }

    #[tokio::test]
    async fn the_one_free_pair_is_found_however_many_others_look_meanwhile() {
        let range = range(47_130, 47_133);
        let _busy = range.bind(HOST).unwrap();
        let (others, done) = (range.next.clone(), Arc::new(AtomicU64::new(0)));
        let is_done = done.clone();
        let looking = std::thread::spawn(move || {
            while is_done.load(Ordering::Relaxed) == 0 {
                others.fetch_add(1, Ordering::Relaxed);
            }
        });
        let found = (0..1_000).filter(|_| range.bind(HOST).is_ok()).count();
        done.store(1, Ordering::Relaxed);
        looking.join().unwrap();
        assert_eq!(found, 1_000);
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
