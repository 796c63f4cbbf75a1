//! Our sockets: UDP, TCP and TLS, read, framed and judged before the state machine sees a message.

pub(crate) mod front;
pub(crate) mod links;
pub(crate) mod peers;
pub(crate) mod tasks;
pub(crate) mod tcp;
pub(crate) mod tls;
pub(crate) mod udp;

use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::{ListenAddr, SourceFilter};
use crate::machine::Flow;
use crate::message::Message;

/// A message that passed the front.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) flow: Flow,
    pub(crate) message: Message,
}

/// A socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error("{0} is in use by another program")]
    InUse(ListenAddr),
    /// A TLS port without a certificate.
    #[error("{0} needs a certificate")]
    NoCertificate(ListenAddr),
    /// Anything else.
    #[error("cannot listen on {addr}: {source}")]
    Other {
        /// Where.
        addr: ListenAddr,
        /// Why.
        source: std::io::Error,
    },
}

pub(crate) fn bind_error(addr: ListenAddr, source: std::io::Error) -> BindError {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => BindError::InUse(addr),
        _ => BindError::Other { addr, source },
    }
}

/// A non-blocking UDP socket, alone on its port: no SO_REUSEADDR, which would share it in silence.
/// An IPv6 socket takes IPv6 alone, so `[::]` and `0.0.0.0` may have the same port.
pub(crate) fn udp_socket(addr: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    keep_to_family(&socket, addr)?;
    // Best effort: the kernel may cap them.
    let _best_effort = socket.set_recv_buffer_size(UDP_BUFFER).and(socket.set_send_buffer_size(UDP_BUFFER));
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// A non-blocking listener. SO_REUSEADDR only skips TIME_WAIT here; a second listener is still refused.
pub(crate) fn tcp_listener(addr: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    keep_to_family(&socket, addr)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// Our address as a peer sees it: what the kernel would send from. No packet leaves.
pub(crate) fn local_ip_towards(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The advertised address, and to whom it means nothing.
#[derive(Clone, Default)]
pub(crate) struct Advertised {
    pub(crate) address: Option<IpAddr>,
    pub(crate) is_near: Option<SourceFilter>,
}

impl Advertised {
    /// What this peer is shown instead of the socket's own address: nothing on this host, in our own networks
    /// and in the other family.
    pub(crate) fn towards(&self, peer: IpAddr) -> Option<IpAddr> {
        let is_near = peer.is_loopback() || self.is_near.as_ref().is_some_and(|is_near| is_near(peer));
        self.address.filter(|ip| !is_near && ip.is_ipv4() == peer.is_ipv4())
    }
}

/// IPv4 peers would show up as mapped addresses, which no Via, filter or comparison expects (RFC 3493 §5.3).
fn keep_to_family(socket: &Socket, addr: SocketAddr) -> std::io::Result<()> {
    if addr.is_ipv6() { socket.set_only_v6(true) } else { Ok(()) }
}

const UDP_BUFFER: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wildcards_of_both_families_share_a_port() {
        let udp = udp_socket("0.0.0.0:0".parse().unwrap()).unwrap();
        let tcp = tcp_listener("0.0.0.0:0".parse().unwrap()).unwrap();
        let beside = |addr: SocketAddr| SocketAddr::from(([0u16; 8], addr.port()));
        assert!(udp_socket(beside(udp.local_addr().unwrap())).is_ok());
        assert!(tcp_listener(beside(tcp.local_addr().unwrap())).is_ok());
    }

    #[test]
    fn an_ipv4_peer_does_not_reach_an_ipv6_socket() {
        let udp = udp_socket("[::]:0".parse().unwrap()).unwrap();
        let tcp = tcp_listener("[::]:0".parse().unwrap()).unwrap();
        assert!(socket2::SockRef::from(&udp).only_v6().unwrap());
        let mapped = SocketAddr::from(([127, 0, 0, 1], tcp.local_addr().unwrap().port()));
        assert!(std::net::TcpStream::connect(mapped).is_err());
    }
}
