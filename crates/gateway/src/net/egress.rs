//! The one guard of every outbound URL: resolve, check every address, dial a checked one, and speak TLS under the
//! name that was asked for.
//!
//! What the operator wrote may lead anywhere. What came from outside (a CONFIG_API's answer, an API body, a
//! bot's command) may lead to the internet, and to what `[egress]` lets through. A name is resolved once and
//! exactly the addresses that were checked are dialled, so that an answer that changes in between changes
//! nothing. How a URL spells its host does not matter: what is judged is what would be dialled.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::address_kind::AddressKind;
use super::tls::TlsClient;
use super::transport::Transport;
use crate::config;
use crate::tasks::Tasks;

/// The way out.
#[derive(Clone)]
pub struct Egress {
    resolver: Arc<dyn Resolver>,
    tls: TlsClient,
    /// Lookups that outsiders may have under way.
    outside: Arc<Semaphore>,
}

/// The far end of an outbound URL.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// A name, or an IP address without brackets.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub is_tls: bool,
}

impl<'a> Destination<'a> {
    /// Where a URL leads.
    pub fn of<K: config::UrlKind>(url: &'a config::Url<K>) -> Self {
        Self { host: url.host(), port: url.port(), is_tls: url.is_tls() }
    }
}

/// Who wrote a URL, and so where it may lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The operator, in the configuration: anywhere.
    Operator,
    /// Somebody else: to the internet, and to what the operator lets through.
    Outside(config::Egress),
}

/// Why a host was not reached.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Its name leads nowhere.
    #[error("the host cannot be resolved: {0}")]
    Unresolved(io::Error),
    /// Its name was not resolved in time.
    #[error("the host was not resolved in time")]
    ResolvedTooLate,
    /// It leads where it may not.
    #[error(
        "{0} is an address of {kind}, where a URL from outside may not lead unless [egress] allows it",
        kind = .1.words()
    )]
    Forbidden(IpAddr, AddressKind),
    /// It refuses the connection.
    #[error("no connection to {0}: {1}")]
    Refused(SocketAddr, io::Error),
    /// It does not answer.
    #[error("{0} did not answer in time")]
    NoAnswer(SocketAddr),
    /// It speaks no TLS that we trust.
    #[error("no secure connection: {0}")]
    Tls(io::Error),
    /// It did not finish the TLS handshake in time.
    #[error("no secure connection in time")]
    TlsTooLate,
}

/// Finds the addresses of names.
pub trait Resolver: Send + Sync {
    /// The addresses of `host`, which is no IP address in its usual form, with `port`; `turn` is kept until the
    /// lookup is over, which may be long after anybody waits for it.
    fn resolve(&self, host: &str, port: u16, turn: Turn) -> Resolving;
}

/// One of the lookups that outsiders may have under way; the operator's need none.
pub type Turn = Option<OwnedSemaphorePermit>;

/// Addresses that are being looked up.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// The system's resolver, on the main runtime, whose blocking threads are not the media's.
struct SystemResolver(Tasks);

impl Egress {
    /// The way out by the system's resolver.
    pub fn new(tasks: Tasks) -> Self {
        Self::with_resolver(Arc::new(SystemResolver(tasks)))
    }

    /// The way out by another resolver.
    pub fn with_resolver(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, tls: TlsClient::new(), outside: Arc::new(Semaphore::new(OUTSIDE_LOOKUPS_MAX)) }
    }

    /// A connection to `to`, where `trust` lets it lead.
    ///
    /// # Errors
    /// [`EgressError`] says at which step it failed; at the deadline it always has.
    pub async fn connect(
        &self,
        to: Destination<'_>,
        trust: &Trust,
        deadline: Instant,
    ) -> Result<Transport, EgressError> {
        let addresses = self.resolve(to, trust, deadline).await?;
        for address in &addresses {
            trust.check(address.ip())?;
        }
        let tcp = dial(addresses.get(..ADDRESSES_MAX).unwrap_or(&addresses), deadline).await?;
        if to.is_tls { self.secure(to.host, tcp, deadline).await } else { Ok(Transport::plain(tcp)) }
    }

    async fn secure(&self, host: &str, tcp: TcpStream, deadline: Instant) -> Result<Transport, EgressError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| EgressError::Tls(io::Error::other("no certificate can have the host's name")))?;
        match timeout_at(deadline, self.tls.connector().connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(Transport::tls(stream)),
            Ok(Err(error)) => Err(EgressError::Tls(error)),
            Err(_) => Err(EgressError::TlsTooLate),
        }
    }

    async fn resolve(
        &self,
        to: Destination<'_>,
        trust: &Trust,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        if let Ok(ip) = to.host.parse() {
            return Ok(vec![SocketAddr::new(ip, to.port)]);
        }
        let lookup = async {
            // Names that nobody answers for keep the system's threads: an outsider's may not take them all.
            let turn = match trust {
                Trust::Operator => None,
                Trust::Outside(_) => self.outside.clone().acquire_owned().await.ok(),
            };
            self.resolver.resolve(to.host, to.port, turn).await
        };
        match timeout_at(deadline, lookup).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(EgressError::Unresolved(error)),
            Err(_) => Err(EgressError::ResolvedTooLate),
        }
    }
}

impl Trust {
    /// Whether a URL may lead to `host`, as far as its spelling tells: an address is judged, a name when it is dialled.
    ///
    /// # Errors
    /// [`EgressError::Forbidden`].
    pub fn check_spelling(&self, host: &str) -> Result<(), EgressError> {
        host.parse().map_or(Ok(()), |address| self.check(address))
    }

    fn check(&self, address: IpAddr) -> Result<(), EgressError> {
        let Self::Outside(policy) = self else { return Ok(()) };
        let kind = AddressKind::of(address);
        let lets_through = kind == AddressKind::Public
            || (policy.allow_private && kind.is_private())
            || policy.allow.iter().any(|network| network.contains(address));
        if lets_through { Ok(()) } else { Err(EgressError::Forbidden(address, kind)) }
    }
}

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str, port: u16, turn: Turn) -> Resolving {
        let host = host.to_owned();
        let lookup = self.0.spawn("resolve", async move {
            let _turn = turn;
            let found = tokio::net::lookup_host((host.as_str(), port)).await?;
            Ok(found.collect())
        });
        Box::pin(async move { lookup.await.map_err(io::Error::other)? })
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Egress")
    }
}

/// Tries the addresses in turn; each gets its share of the time that is left.
async fn dial(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, EgressError> {
    let mut last = EgressError::Unresolved(io::Error::other("it has no address"));
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
        last = match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => EgressError::Refused(*address, error),
            Err(_) => EgressError::NoAnswer(*address),
        };
    }
    Err(last)
}

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Lookups of names from outside at a time; the system's threads for them are 512.
const OUTSIDE_LOOKUPS_MAX: usize = 64;

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
