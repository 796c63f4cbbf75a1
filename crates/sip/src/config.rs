//! What the agent listens on, how it names itself, and every bound it keeps.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::gate::{Directory, Strangers};
use crate::machine::{Limits, SessionTimes, Settings, Transport};
use crate::net::tls::SipTls;
use crate::registrar::Locations;
use crate::tap::SipTap;

/// Settings of [`crate::SipAgent::bind`].
#[derive(Clone)]
pub struct SipConfig {
    /// Sockets to open. Port 0 takes a free one ([`crate::SipAgent::local_addrs`] tells which).
    pub listen: Vec<ListenAddr>,
    /// Server and User-Agent.
    pub user_agent: String,
    /// Bounds.
    pub limits: SipLimits,
    /// The address that Via and Contact show, when it is not the socket's own (NAT, containers). Peers on
    /// loopback and of the other address family are shown the socket's own all the same.
    pub advertise: Option<IpAddr>,
    /// Which further peers reach us without the NAT in front, and are shown the socket's own address too.
    pub is_near: Option<SourceFilter>,
    /// Which sources may send requests; others are [`SipConfig::strangers`] over UDP and get no connection over
    /// TCP and TLS. `None` lets everyone in.
    pub accept_source: Option<SourceFilter>,
    /// The extensions, whose phones register here, from further sources than the accepted ones, and prove who they
    /// are; and the carriers. `None`: there is no registrar.
    pub directory: Option<Arc<dyn Directory>>,
    /// Where those phones are.
    pub locations: Locations,
    /// What sources get that may send nothing.
    pub strangers: Strangers,
    /// Who is shown every message that has a Call-ID.
    pub tap: Option<SipTap>,
    /// How long a session may go without a refresh (RFC 4028).
    pub session: SessionTimes,
    /// Certificates; without them no TLS.
    pub tls: Option<SipTls>,
}

/// Decides by address whether a source may send requests.
pub type SourceFilter = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            listen: vec![
                ListenAddr::Udp(SocketAddr::from(([127, 0, 0, 1], 5060))),
                ListenAddr::Tcp(SocketAddr::from(([127, 0, 0, 1], 5060))),
            ],
            user_agent: "Patchcord".to_owned(),
            limits: SipLimits::default(),
            advertise: None,
            is_near: None,
            accept_source: None,
            directory: None,
            locations: Locations::default(),
            strangers: Strangers::default(),
            tap: None,
            session: SessionTimes::default(),
            tls: None,
        }
    }
}

impl fmt::Debug for SipConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipConfig")
            .field("listen", &self.listen)
            .field("user_agent", &self.user_agent)
            .field("limits", &self.limits)
            .field("advertise", &self.advertise)
            .field("accept_source", &self.accept_source.is_some())
            .field("directory", &self.directory.is_some())
            .field("strangers", &self.strangers)
            .field("tap", &self.tap.is_some())
            .field("session", &self.session)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// One socket to open: `udp:127.0.0.1:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// A UDP socket.
    Udp(SocketAddr),
    /// A TCP listener.
    Tcp(SocketAddr),
    /// A TLS listener.
    Tls(SocketAddr),
}

impl ListenAddr {
    /// The address.
    pub fn addr(self) -> SocketAddr {
        match self {
            Self::Udp(addr) | Self::Tcp(addr) | Self::Tls(addr) => addr,
        }
    }

    /// The same transport elsewhere.
    pub(crate) fn at(self, addr: SocketAddr) -> Self {
        match self {
            Self::Udp(_) => Self::Udp(addr),
            Self::Tcp(_) => Self::Tcp(addr),
            Self::Tls(_) => Self::Tls(addr),
        }
    }

    /// The transport.
    pub fn transport(self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
            Self::Tcp(_) => Transport::Tcp,
            Self::Tls(_) => Transport::Tls,
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(addr) => write!(f, "udp:{addr}"),
            Self::Tcp(addr) => write!(f, "tcp:{addr}"),
            Self::Tls(addr) => write!(f, "tls:{addr}"),
        }
    }
}

impl FromStr for ListenAddr {
    type Err = InvalidListenAddr;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (transport, addr) = text.split_once(':').ok_or(InvalidListenAddr)?;
        let addr = addr.parse().map_err(|_| InvalidListenAddr)?;
        match transport {
            "udp" => Ok(Self::Udp(addr)),
            "tcp" => Ok(Self::Tcp(addr)),
            "tls" => Ok(Self::Tls(addr)),
            _ => Err(InvalidListenAddr),
        }
    }
}

/// The text is not `udp:ADDRESS:PORT`, nor that with `tcp` or `tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT")]
pub struct InvalidListenAddr;

/// Bounds of the agent. Each says what happens when it is reached.
#[derive(Clone, Debug)]
pub struct SipLimits {
    /// Calls at once, counted from the INVITE: 503 with Retry-After.
    pub calls_max: usize,
    /// Transactions at once, finished ones included for 32 s: 503 for INVITEs, others are answered statelessly.
    pub transactions_max: usize,
    /// Octets kept for the responses of all transactions: as above.
    pub transaction_octets_max: usize,
    /// INVITEs per second of one source address: 503.
    pub invites_per_second: u32,
    /// INVITEs of one source at once: 503.
    pub invite_burst: u32,
    /// Source addresses remembered for the rate; further ones share one allowance.
    pub sources_max: usize,
    /// Octets of one message: 513, and the end of a TCP connection.
    pub message_octets_max: usize,
    /// Header fields of one message: 400.
    pub header_fields_max: usize,
    /// TCP and TLS connections at once: the newest is closed.
    pub tcp_connections_max: usize,
    /// TCP connections of one source address: the newest is closed.
    pub tcp_connections_per_source_max: usize,
    /// From the first octet of a TCP message to its last, and from the connection to the first message that
    /// is let in, with the TLS handshake and whatever is refused or keeps alive before it: 400 when the header section came, then the
    /// end of the connection.
    pub tcp_message_timeout: Duration,
    /// Silence on a TCP connection: it is closed.
    pub tcp_idle_timeout: Duration,
    /// Octets that wait for one TCP peer to read: the connection is closed.
    pub tcp_outbox_octets_max: usize,
    /// Incoming calls that wait for the user of the agent: 503.
    pub incoming_queue: usize,
    /// Events that wait for the user of one leg: the leg is ended.
    pub leg_events_queue: usize,
}

impl Default for SipLimits {
    fn default() -> Self {
        let machine = Limits::default();
        Self {
            calls_max: machine.calls_max,
            transactions_max: machine.transactions_max,
            transaction_octets_max: machine.transaction_octets_max,
            invites_per_second: machine.invites_per_second,
            invite_burst: machine.invite_burst,
            sources_max: machine.sources_max,
            message_octets_max: 64 * 1024,
            header_fields_max: 256,
            tcp_connections_max: 1024,
            tcp_connections_per_source_max: 256,
            tcp_message_timeout: Duration::from_secs(10),
            // Longer than the longest call: its BYE still finds the connection.
            tcp_idle_timeout: Duration::from_secs(5 * 3600),
            tcp_outbox_octets_max: 256 * 1024,
            incoming_queue: 256,
            leg_events_queue: 32,
        }
    }
}

impl SipConfig {
    pub(crate) fn machine_settings(&self) -> Settings {
        let limits = &self.limits;
        Settings {
            user_agent: self.user_agent.chars().filter(|c| !c.is_control()).collect(),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            session: self.session,
            accept_source: self.accept_source.clone(),
            directory: self.directory.clone(),
            locations: self.locations.clone(),
            strangers: self.strangers,
            limits: Limits {
                calls_max: limits.calls_max,
                transactions_max: limits.transactions_max,
                transaction_octets_max: limits.transaction_octets_max,
                invites_per_second: limits.invites_per_second,
                invite_burst: limits.invite_burst,
                sources_max: limits.sources_max,
            },
        }
    }
}
