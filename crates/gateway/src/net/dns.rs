//! The name service of the trunks: SRV and address records over DNS, kept for as long as they hold (hickory).
//!
//! It asks the servers of the system's configuration on the runtime that it is used on; no thread waits.

use std::net::IpAddr;
#[cfg(test)]
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
use patchcord_sip::trunk::{Looking, NameServer, SrvRecord, Unresolved};

/// DNS.
#[derive(Clone)]
pub struct Dns(Result<TokioResolver, Unresolved>);

impl Dns {
    /// By the servers that the system names. Where it names none, every question says so.
    pub fn system() -> Self {
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            tune(builder.options_mut());
            builder.build()
        });
        Self(built.map_err(|error| Unresolved(format!("no name service is configured: {error}"))))
    }

    /// By one server.
    #[cfg(test)]
    fn at(server: SocketAddr) -> Self {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
        use hickory_resolver::net::runtime::TokioRuntimeProvider;

        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let mut builder =
            hickory_resolver::Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        tune(builder.options_mut());
        Self(builder.build().map_err(|error| Unresolved(error.to_string())))
    }
}

fn tune(options: &mut ResolverOpts) {
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    (options.timeout, options.attempts) = (QUERY_TIMEOUT, QUERY_ATTEMPTS);
    // What was not there may have been added meanwhile.
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
}

impl NameServer for Dns {
    fn services(&self, name: &str) -> Looking<Vec<SrvRecord>> {
        let (resolver, name) = (self.0.clone(), absolute(name));
        Box::pin(async move {
            let lookup = match resolver?.srv_lookup(name).await {
                Err(error) if error.is_no_records_found() => return Ok(Vec::new()),
                found => found.map_err(unresolved)?,
            };
            let records = lookup.answers().iter().filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(SrvRecord {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    target: srv.target.to_string(),
                }),
                _ => None,
            });
            Ok(records.collect())
        })
    }

    fn addresses(&self, name: &str) -> Looking<Vec<IpAddr>> {
        let (resolver, name) = (self.0.clone(), absolute(name));
        Box::pin(async move {
            match resolver?.lookup_ip(name).await {
                Err(error) if error.is_no_records_found() => Ok(Vec::new()),
                found => Ok(found.map_err(unresolved)?.iter().collect()),
            }
        })
    }
}

/// A name with dots is a whole one; the system's search list is for short ones.
fn absolute(name: &str) -> String {
    let is_whole = name.contains('.') && !name.ends_with('.');
    if is_whole { format!("{name}.") } else { name.to_owned() }
}

fn unresolved(error: NetError) -> Unresolved {
    Unresolved(format!("the name service does not answer: {error}"))
}

/// How long one question to one server may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a question is asked.
const QUERY_ATTEMPTS: usize = 2;
/// How long it is remembered that a name has no records.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use patchcord_sip::Transport;
    use patchcord_sip::trunk::{Place, locate};
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server of a few lines, on its own port (RFC 1035 §4.1); counts the questions.
    async fn serve(socket: UdpSocket, asked: Arc<AtomicUsize>) {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            asked.fetch_add(1, Ordering::Relaxed);
            let answer = answer(&buffer[..length]);
            socket.send_to(&answer, from).await.ok();
        }
    }

    fn answer(query: &[u8]) -> Vec<u8> {
        let labels_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
        let question = &query[12..labels_end + 4];
        let mut name = String::new();
        let mut at = 0;
        while question[at] != 0 {
            let length = usize::from(question[at]);
            name += &String::from_utf8_lossy(&question[at + 1..=at + length]).to_ascii_lowercase();
            name.push('.');
            at += length + 1;
        }
        let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
        let host = |label: &str| -> Vec<u8> {
            let label = label.as_bytes();
            [&[label.len() as u8][..], label, b"\x07carrier\x07example\x00"].concat()
        };
        let srv = |priority: u8, port: u16, target: &str| {
            [&[0, priority, 0, 10][..], &port.to_be_bytes(), &host(target)].concat()
        };
        let records: Vec<Vec<u8>> = match (name.as_str(), kind) {
            ("_sip._udp.carrier.example.", 33) => vec![srv(20, 5062, "b"), srv(10, 5061, "a")],
            ("a.carrier.example.", 1) => vec![vec![192, 0, 2, 1]],
            ("b.carrier.example.", 1) => vec![vec![192, 0, 2, 2]],
            _ => Vec::new(),
        };
        let mut answer = Vec::from(&query[..2]);
        // A response with authority; a name without records is none (NXDOMAIN).
        let code = if records.is_empty() { 3 } else { 0 };
        answer.extend([0x84, code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
        answer.extend(question);
        for data in &records {
            answer.extend([0xc0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1, 0, 0, 0, 60]);
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
        }
        answer
    }

    #[tokio::test]
    async fn a_carriers_name_leads_to_its_places_in_their_order_and_is_asked_for_once() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (dns, asked) = (Dns::at(socket.local_addr().unwrap()), Arc::new(AtomicUsize::new(0)));
        let server = tokio::spawn(serve(socket, asked.clone()));
        let place = Place { host: "carrier.example".to_owned(), port: None, transport: None };
        let mut first = |_: u32| 0;
        for _ in 0..2 {
            let ways = locate(&dns, &place, &[Transport::Udp], &mut first).await.unwrap();
            let ways: Vec<_> = ways.iter().map(ToString::to_string).collect();
            assert_eq!(ways, ["udp:192.0.2.1:5061", "udp:192.0.2.2:5062"]);
        }
        // The service, and A and AAAA of each host; absent records are not remembered without an SOA.
        let questions = asked.load(Ordering::Relaxed);
        assert!((5..=7).contains(&questions), "{questions} questions");
        let nobody = Place { host: "nobody.carrier.example".to_owned(), ..place };
        let failed = locate(&dns, &nobody, &[Transport::Udp], &mut first).await.unwrap_err();
        assert_eq!(failed.to_string(), "its name has no address");
        server.abort();
    }

    #[tokio::test]
    async fn a_name_service_that_is_silent_is_a_failure_and_not_an_absent_name() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dns = Dns::at(silent.local_addr().unwrap());
        let place = Place { host: "carrier.example".to_owned(), port: Some(5060), transport: None };
        let mut first = |_: u32| 0;
        let failed = locate(&dns, &place, &[Transport::Udp], &mut first).await.unwrap_err();
        assert!(failed.to_string().contains("does not answer"), "{failed}");
    }
}
