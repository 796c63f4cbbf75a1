//! Where a request for a carrier goes (RFC 3263 §4): its name as transports and addresses, preferred first.
//!
//! Pure but for the questions that it asks a [`NameServer`]. An address or a port says all there is to say; else SRV
//! records count (by priority, drawn by weight, RFC 2782), else the addresses of the name with the default port.
//! NAPTR records are not asked for: a carrier's transport is a setting.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use crate::machine::Transport;

/// Answers of the name service, which keeps them for as long as they hold.
pub trait NameServer: Send + Sync {
    /// The SRV records of a name; none when there are none.
    fn services(&self, name: &str) -> Looking<Vec<SrvRecord>>;
    /// The addresses of a name, preferred family first; none when there are none.
    fn addresses(&self, name: &str) -> Looking<Vec<IpAddr>>;
}

/// A question that is being asked.
pub type Looking<T> = Pin<Box<dyn Future<Output = Result<T, Unresolved>> + Send>>;

/// The name service gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unresolved(pub String);

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvRecord {
    /// Lower first.
    pub priority: u16,
    /// Its share among those of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; `.` means that the service does not exist.
    pub target: String,
}

/// Where somebody is, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port, if that is said.
    pub port: Option<u16>,
    /// The transport, if that is said.
    pub transport: Option<Transport>,
}

/// One way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// Where to.
    pub addr: SocketAddr,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.name().to_ascii_lowercase(), self.addr)
    }
}

/// The ways to a place by the transports that we have, preferred first; `draw` gives a number from 0 up to and
/// including its argument.
///
/// # Errors
/// The first of the name service's failures, or that nothing leads there, when no way is found.
pub async fn locate(
    names: &dyn NameServer,
    place: &Place,
    usable: &[Transport],
    draw: &mut (dyn FnMut(u32) -> u32 + Send),
) -> Result<Vec<Target>, Unresolved> {
    let transports: Vec<Transport> = match place.transport {
        Some(transport) => vec![transport],
        // Nobody asked for TLS: a certificate would have to be expected.
        None => vec![Transport::Udp, Transport::Tcp],
    };
    let transports: Vec<Transport> = transports.into_iter().filter(|one| usable.contains(one)).collect();
    let Some(first) = transports.first().copied() else {
        return Err(Unresolved("no socket of ours speaks its transport".to_owned()));
    };
    let at = |transport: Transport, ip: IpAddr, port: Option<u16>| Target {
        transport,
        addr: SocketAddr::new(ip, port.unwrap_or(transport.default_port())),
    };
    if let Ok(ip) = place.host.parse::<IpAddr>() {
        return Ok(vec![at(first, ip, place.port)]);
    }
    let mut failure = None;
    let mut found = Vec::new();
    let asks_services = place.port.is_none();
    for transport in transports.into_iter().filter(|_| asks_services) {
        let name = format!("{}.{}", service_name(transport), place.host);
        let records = names.services(&name).await.unwrap_or_else(|error| {
            failure.get_or_insert(error);
            Vec::new()
        });
        for record in in_order(records, draw) {
            match names.addresses(record.target.trim_end_matches('.')).await {
                Ok(ips) => found.extend(ips.into_iter().map(|ip| at(transport, ip, Some(record.port)))),
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    if found.is_empty() {
        match names.addresses(&place.host).await {
            Ok(ips) => found.extend(ips.into_iter().map(|ip| at(first, ip, place.port))),
            Err(error) => drop(failure.get_or_insert(error)),
        }
    }
    found.truncate(TARGETS_MAX);
    if found.is_empty() {
        return Err(failure.unwrap_or_else(|| Unresolved("its name has no address".to_owned())));
    }
    Ok(found)
}

/// The labels of the service (RFC 3263 §4.1).
fn service_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    }
}

/// By priority, and within one drawn by weight (RFC 2782).
fn in_order(mut records: Vec<SrvRecord>, draw: &mut (dyn FnMut(u32) -> u32 + Send)) -> Vec<SrvRecord> {
    records.retain(|record| record.target != "." && !record.target.is_empty() && record.port != 0);
    records.truncate(RECORDS_MAX);
    // Those without weight first: they have their small chance.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let alike = records.iter().take_while(|record| record.priority == priority);
        let total: u32 = alike.clone().map(|record| u32::from(record.weight)).sum();
        let drawn = draw(total);
        let mut sum = 0;
        let chosen = alike.clone().position(|record| {
            sum += u32::from(record.weight);
            sum >= drawn
        });
        ordered.push(records.remove(chosen.unwrap_or(0)));
    }
    ordered
}

/// Ways to one place that are tried.
const TARGETS_MAX: usize = 8;
/// SRV records of one name that are looked at.
const RECORDS_MAX: usize = 16;

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Answers from a table; a name that is not in it has no records, `!` fails.
    #[derive(Default)]
    pub(crate) struct Table {
        pub(crate) services: HashMap<&'static str, Vec<SrvRecord>>,
        pub(crate) addresses: HashMap<&'static str, Vec<&'static str>>,
    }

    impl NameServer for Table {
        fn services(&self, name: &str) -> Looking<Vec<SrvRecord>> {
            let found = self.services.get(name).cloned().unwrap_or_default();
            Box::pin(async { Ok(found) })
        }

        fn addresses(&self, name: &str) -> Looking<Vec<IpAddr>> {
            let failed = name.starts_with('!').then(|| Unresolved("broken".to_owned()));
            let found =
                self.addresses.get(name).into_iter().flatten().map(|ip| ip.parse().unwrap()).collect();
            Box::pin(async { failed.map_or(Ok(found), Err) })
        }
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> SrvRecord {
        SrvRecord { priority, weight, port, target: target.to_owned() }
    }

    fn carrier() -> Table {
        Table {
            services: HashMap::from([
                ("_sip._udp.c.example", vec![srv(20, 0, 5062, "b.example."), srv(10, 0, 5061, "a.example.")]),
                ("_sip._tcp.t.example", vec![srv(1, 0, 5070, "a.example")]),
                ("_sips._tcp.c.example", vec![srv(1, 0, 5071, "a.example")]),
                ("_sip._udp.none.example", vec![srv(0, 0, 0, ".")]),
            ]),
            addresses: HashMap::from([
                ("a.example", vec!["192.0.2.1", "2001:db8::1"]),
                ("b.example", vec!["192.0.2.2"]),
                ("c.example", vec!["192.0.2.9"]),
                ("none.example", vec!["192.0.2.8"]),
            ]),
        }
    }

    fn found(host: &str, port: Option<u16>, transport: Option<Transport>) -> String {
        use Transport::{Tcp, Tls, Udp};
        let place = Place { host: host.to_owned(), port, transport };
        let names = carrier();
        let mut first = |_| 0;
        let mut locating = Box::pin(locate(&names, &place, &[Udp, Tcp, Tls], &mut first));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match locating.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(Ok(targets)) => {
                targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            std::task::Poll::Ready(Err(error)) => error.to_string(),
            std::task::Poll::Pending => unreachable!("a table answers at once"),
        }
    }

    #[test]
    fn a_name_leads_to_its_services_then_to_its_addresses() {
        use Transport::{Tcp, Tls, Udp};
        for (host, port, transport, ways) in [
            ("c.example", None, None, "udp:192.0.2.1:5061 udp:[2001:db8::1]:5061 udp:192.0.2.2:5062"),
            ("c.example", None, Some(Tls), "tls:192.0.2.1:5071 tls:[2001:db8::1]:5071"),
            ("c.example", None, Some(Tcp), "tcp:192.0.2.9:5060"),
            ("t.example", None, None, "tcp:192.0.2.1:5070 tcp:[2001:db8::1]:5070"),
            ("c.example", Some(5099), None, "udp:192.0.2.9:5099"),
            ("c.example", Some(5099), Some(Tls), "tls:192.0.2.9:5099"),
            ("b.example", None, Some(Tls), "tls:192.0.2.2:5061"),
            ("192.0.2.7", None, None, "udp:192.0.2.7:5060"),
            ("2001:db8::7", None, Some(Udp), "udp:[2001:db8::7]:5060"),
            ("none.example", None, Some(Udp), "udp:192.0.2.8:5060"),
            ("nobody.example", None, None, "its name has no address"),
            ("!", None, None, "broken"),
        ] {
            assert_eq!(found(host, port, transport), ways, "{host} {port:?} {transport:?}");
        }
    }

    #[test]
    fn a_transport_that_we_have_no_socket_for_is_not_used() {
        let place = Place { host: "192.0.2.1".to_owned(), port: None, transport: None };
        let names = Table::default();
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut first = |_| 0;
        let mut locating = Box::pin(locate(&names, &place, &[Transport::Tcp], &mut first));
        let std::task::Poll::Ready(Ok(ways)) = locating.as_mut().poll(&mut cx) else { panic!("no way") };
        assert_eq!(ways[0].transport, Transport::Tcp);
    }

    #[test]
    fn records_of_one_priority_are_drawn_by_weight() {
        let records = || vec![srv(2, 5, 1, "later"), srv(1, 10, 1, "light"), srv(1, 90, 1, "heavy")];
        let order = |drawn: u32| {
            let mut draw = |total: u32| drawn.min(total);
            in_order(records(), &mut draw)
                .into_iter()
                .map(|record| record.target)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(order(10), "light heavy later");
        assert_eq!(order(11), "heavy light later");
        let mut firsts = 0;
        for drawn in 0..=100 {
            firsts += u32::from(order(drawn).starts_with("heavy"));
        }
        assert_eq!(firsts, 90);
    }
}
