//! The guard: seventy spellings of addresses that nobody from outside may name, and names that change their mind.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderMap, Method};
use patchcord_core::vocabulary::Reason;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{RootCertStore, ServerConfig};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::{Destination, Egress, EgressError, OUTSIDE_LOOKUPS_MAX, Resolver, Resolving, Trust, Turn};
use crate::config::{BotUrl, Config, WebUrl};
use crate::net::tls::TlsClient;
use crate::net::{HttpRequest, HttpTerms, dial, install_crypto, send};
use crate::tasks::Tasks;

/// Ways to write an address of this machine, or of another one behind its firewall.
const SPELLINGS: &[&str] = &[
    // As they are.
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    // Short, decimal, octal, hexadecimal, mixed, padded: what inet_aton reads.
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0X7F000001",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.0.1",
    "0x7f.1",
    "127.000.000.001",
    "0",
    "0x0",
    "00000000000",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    // Names, dots, case.
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "127.0.0.1.",
    "foo.localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
    // IPv6, and IPv4 inside it.
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[::1%25lo]",
    "[::1%lo]",
    "[::1",
    "::1",
    "[127.0.0.1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[ff02::1]",
    // Escapes, other scripts, other delimiters.
    "127%2e0%2e0%2e1",
    "%31%32%37.0.0.1",
    "lo%63alhost",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "\u{24db}ocalhost",
    "user@127.0.0.1",
    "8.8.8.8@127.0.0.1",
    "127.0.0.1\\@8.8.8.8",
    "8.8.8.8\\.127.0.0.1",
    "8.8.8.8#@127.0.0.1",
    "127.0.0.1\t",
    " 127.0.0.1",
    "127.0.0.1\r\nHost: 8.8.8.8",
];

/// A listener for every address of this machine.
fn listen_everywhere() -> std::net::TcpListener {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    socket.set_only_v6(false).unwrap();
    socket.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(128).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

fn outside(file: &str) -> Trust {
    Trust::Outside(Config::parse(file).unwrap().egress)
}

fn plain(host: &str, port: u16) -> Destination<'_> {
    Destination { host, port, is_tls: false }
}

async fn dialled(url: &str, trust: &Trust, egress: &Egress) -> Result<(), Reason> {
    let Ok(url) = BotUrl::parse(url) else { return Err(Reason::BotRefused) };
    match dial(&url, &HeaderMap::new(), trust, egress).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.reason),
    }
}

#[tokio::test]
async fn no_spelling_of_an_inner_address_lets_a_url_from_outside_reach_it() {
    install_crypto();
    let listener = listen_everywhere();
    let port = listener.local_addr().unwrap().port();
    let (tasks, _threads) = Tasks::start(1).unwrap();
    let (egress, trust) = (Egress::new(tasks), outside(""));
    assert!(SPELLINGS.len() >= 70);
    let attempts = SPELLINGS.iter().flat_map(|host| ["ws", "wss"].map(|scheme| (scheme, host)));
    let outcomes = join_all(attempts.map(|(scheme, host)| {
        let (url, trust, egress) = (format!("{scheme}://{host}:{port}/x"), &trust, &egress);
        async move { (dialled(&url, trust, egress).await, url) }
    }));
    let outcomes = outcomes.await;
    for (outcome, url) in &outcomes {
        // The text is no URL, the name leads nowhere, or the guard says no.
        let refused = [Reason::BotRefused, Reason::BotDns, Reason::BotForbidden].map(Err);
        assert!(refused.contains(outcome), "{url:?}: {outcome:?}");
    }
    let forbidden = outcomes.iter().filter(|(outcome, _)| *outcome == Err(Reason::BotForbidden)).count();
    assert!(forbidden >= 2 * 41, "{forbidden} of {} were stopped by the guard itself", outcomes.len());
    let reached = listener.accept().map(|(_, from)| from);
    assert_eq!(reached.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    // The same words of the operator lead there: the listener would have noticed.
    let deadline = Instant::now() + Duration::from_secs(5);
    egress.connect(plain("127.1", port), &Trust::Operator, deadline).await.unwrap();
    listener.accept().unwrap();
}

/// Answers with the next of its lists each time it is asked.
struct Fickle {
    answers: Mutex<VecDeque<Vec<SocketAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Resolver for Fickle {
    fn resolve(&self, _host: &str, _port: u16, _turn: Turn) -> Resolving {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no more answers")) })
    }
}

fn fickle(answers: &[&[SocketAddr]]) -> (Egress, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let answers = answers.iter().map(|answer| answer.to_vec()).collect();
    let resolver = Fickle { answers: Mutex::new(answers), asked: asked.clone() };
    (Egress::with_resolver(Arc::new(resolver)), asked)
}

#[tokio::test]
async fn a_name_that_is_public_first_and_private_then_is_asked_once_and_dialled_where_it_was_checked() {
    // 127.0.0.2 plays the public address: the operator lets it through.
    let trust = outside("[egress]\nallow = [\"127.0.0.2\"]\n");
    let public = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = public.local_addr().unwrap().port();
    let private = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    private.set_nonblocking(true).unwrap();
    let [good, bad] = [public.local_addr().unwrap(), private.local_addr().unwrap()];
    let (egress, asked) = fickle(&[&[good], &[bad], &[good, bad]]);
    let deadline = Instant::now() + Duration::from_secs(5);
    let connect = || egress.connect(plain("rebind.example", port), &trust, deadline);
    connect().await.unwrap();
    public.accept().await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // Asked again, it is checked again; and one forbidden address spoils the name.
    for _ in 0..2 {
        assert!(matches!(connect().await, Err(EgressError::Forbidden(ip, _)) if ip == bad.ip()));
    }
    assert_eq!(private.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn private_addresses_are_let_through_when_the_operator_says_so_and_metadata_is_not() {
    let listener = listen_everywhere();
    let port = listener.local_addr().unwrap().port();
    let trust = outside("[egress]\nallow_private = true\n");
    let (egress, _) = fickle(&[]);
    let deadline = Instant::now() + Duration::from_secs(5);
    for host in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        egress.connect(plain(host, port), &trust, deadline).await.unwrap();
    }
    for host in ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "169.254.0.1", "224.0.0.1"]
    {
        let refused = egress.connect(plain(host, port), &trust, deadline).await;
        assert!(matches!(refused, Err(EgressError::Forbidden(..))), "{host}: {refused:?}");
    }
}

#[tokio::test]
async fn the_name_that_was_asked_for_is_the_servers_name_in_tls_and_in_the_host_header() {
    install_crypto();
    let own = rcgen::generate_simple_self_signed(["api.example".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut request = vec![0; 4_096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        let named = stream.get_ref().1.server_name().map(str::to_owned);
        (named, String::from_utf8_lossy(&request[..length]).into_owned())
    };
    let (Egress { resolver, .. }, _) = fickle(&[&[address], &[address]]);
    let egress = Egress { tls: TlsClient::trusting(roots), ..Egress::with_resolver(resolver) };
    let deadline = Instant::now() + Duration::from_secs(5);
    let ask = |host: &str| {
        let (egress, url) =
            (&egress, WebUrl::parse(&format!("https://{host}:{}/c", address.port())).unwrap());
        async move {
            let (method, headers, body) = (Method::POST, HeaderMap::new(), "{}".into());
            let terms = HttpTerms { trust: &Trust::Operator, deadline, body_bytes_max: 64 };
            send(egress, HttpRequest { method, url: &url, headers, body }, terms).await
        }
    };
    let (answer, (named, request)) = tokio::join!(ask("api.example"), serve);
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!(named.as_deref(), Some("api.example"));
    assert!(request.contains(&format!("\r\nhost: api.example:{}\r\n", address.port())), "{request}");
}

/// Answers for `known.example` and keeps whoever asks for anything else waiting, together with their turn.
#[derive(Default)]
struct Blackhole(Mutex<Vec<Turn>>);

impl Resolver for Blackhole {
    fn resolve(&self, host: &str, port: u16, turn: Turn) -> Resolving {
        if host == "known.example" {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            return Box::pin(async move { Ok(vec![address]) });
        }
        self.0.lock().unwrap().push(turn);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn names_from_outside_that_nobody_answers_for_take_no_lookup_from_the_operator() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let blackhole = Arc::<Blackhole>::default();
    let (egress, trust) = (Egress::with_resolver(blackhole.clone()), outside(""));
    let soon = Instant::now() + Duration::from_millis(100);
    let lost = join_all((0..100).map(|_| egress.connect(plain("lost.example", 1), &trust, soon))).await;
    assert!(lost.iter().all(|lost| matches!(lost, Err(EgressError::ResolvedTooLate))));
    // Nobody waits for them any longer, and they still go on.
    assert_eq!(blackhole.0.lock().unwrap().len(), OUTSIDE_LOOKUPS_MAX);
    let deadline = Instant::now() + Duration::from_secs(5);
    egress.connect(plain("known.example", port), &Trust::Operator, deadline).await.unwrap();
    blackhole.0.lock().unwrap().clear();
    let again = egress.connect(plain("known.example", port), &trust, deadline).await;
    assert!(matches!(again, Err(EgressError::Forbidden(..))), "{again:?}");
}

#[tokio::test]
async fn the_first_address_that_answers_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let open = listener.local_addr().unwrap();
    let (egress, _) = fickle(&[&[closed, open], &[]]);
    let deadline = Instant::now() + Duration::from_secs(5);
    let connect = || egress.connect(plain("two.example", open.port()), &Trust::Operator, deadline);
    connect().await.unwrap();
    listener.accept().await.unwrap();
    assert!(matches!(connect().await, Err(EgressError::Unresolved(_))));
}
