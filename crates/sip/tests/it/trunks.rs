//! Lines to carriers over real sockets: sipp as registrar and carrier, ourselves behind TLS, and places that are not
//! there.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use patchcord_sip::digest::Account;
use patchcord_sip::trunk::{
    LineSettings, LineStatus, Looking, NameServer, Place, Reach, RegistrationState, SrvRecord, TrunkCall,
};
use patchcord_sip::{
    EndedBy, LegEvent, ListenAddr, SipAgent, SipConfig, SipLimits, Subscriber, Transport, TrunkLine,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::sipp::{free_port, scenario, sipp};
use crate::support::*;
use crate::tls::{secured, tls_for};

/// `carrier.example` at these ports of this machine, in their order.
pub struct Names(HashMap<String, Vec<SrvRecord>>);

impl Names {
    pub fn at(transport: &str, ports: &[u16]) -> Arc<Self> {
        let record = |(index, port): (usize, &u16)| SrvRecord {
            priority: u16::try_from(index).unwrap(),
            weight: 0,
            port: *port,
            target: "localhost".to_owned(),
        };
        let records = ports.iter().enumerate().map(record).collect();
        Arc::new(Self(HashMap::from([(format!("{transport}.carrier.example"), records)])))
    }
}

impl NameServer for Names {
    fn services(&self, name: &str) -> Looking<Vec<SrvRecord>> {
        let found = self.0.get(name).cloned().unwrap_or_default();
        Box::pin(async { Ok(found) })
    }

    fn addresses(&self, name: &str) -> Looking<Vec<IpAddr>> {
        let found = if name == "localhost" { vec![[127, 0, 0, 1].into()] } else { Vec::new() };
        Box::pin(async { Ok(found) })
    }
}

fn settings(transport: Transport, password: &str) -> LineSettings {
    settings_of("me", transport, password)
}

/// A line to `carrier.example` as this user, found by its SRV records.
pub fn settings_of(user: &str, transport: Transport, password: &str) -> LineSettings {
    let account = Account { username: user.to_owned(), password: password.to_owned() };
    LineSettings {
        carrier: Place { host: "carrier.example".to_owned(), port: None, transport: Some(transport) },
        proxy: None,
        subscriber: Arc::new(Subscriber {
            domain: "carrier.example".to_owned(),
            account: Some(account),
            user: user.to_owned(),
        }),
        registration: None,
        options_interval: None,
        is_private: false,
    }
}

async fn line(names: Arc<Names>, settings: LineSettings) -> (Arc<TrunkLine>, SocketAddr) {
    let Fixture { agent, udp, .. } = Fixture::start().await;
    (Arc::new(TrunkLine::new(Arc::new(agent), names, settings)), udp)
}

fn call() -> TrunkCall {
    TrunkCall { number: "0911".to_owned(), caller: "917".to_owned(), offer: offer(), headers: Vec::new() }
}

/// A running line, until it is told to stop.
pub struct Running {
    line: Arc<TrunkLine>,
    stop: oneshot::Sender<()>,
    done: tokio::task::JoinHandle<()>,
}

impl Running {
    pub fn begin(line: Arc<TrunkLine>) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let runs = line.clone();
        let done = tokio::spawn(async move {
            runs.run(async {
                stopped.await.ok();
            })
            .await;
        });
        Self { line, stop, done }
    }

    pub async fn status(&self, wanted: impl FnMut(&LineStatus) -> bool) -> LineStatus {
        let mut watch = self.line.watch();
        let reached = async { watch.wait_for(wanted).await.unwrap().clone() };
        timeout(Duration::from_secs(20), reached).await.unwrap_or_else(|_| panic!("{:?}", self.line.status()))
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(DEADLINE, self.done).await.expect("a line stops at once").unwrap();
    }
}

fn registers(password: &str) -> LineSettings {
    LineSettings { registration: Some(Duration::from_secs(600)), ..settings(Transport::Udp, password) }
}

fn is_state(wanted: RegistrationState) -> impl Fn(&LineStatus) -> bool {
    move |status| status.registration.is_some_and(|(state, _)| state == wanted)
}

#[tokio::test]
async fn we_register_with_a_foreign_registrar_by_digest_and_take_it_back_at_the_end() {
    let port = free_port();
    let (line, here) = line(Names::at("_sip._udp", &[port]), registers("hunter2")).await;
    let (file, number) = (scenario("register.xml"), port.to_string());
    let arguments = ["-sf", file.as_str(), "-m", "1", "-p", &number];
    let work = async {
        let running = Running::begin(line);
        running.status(is_state(RegistrationState::Registered)).await;
        running.stop().await;
    };
    tokio::join!(sipp(&arguments, here), work);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_tried_again_at_once() {
    let port = free_port();
    let (line, here) = line(Names::at("_sip._udp", &[port]), registers("wrong")).await;
    let (file, number) = (scenario("register.xml"), port.to_string());
    let arguments = ["-sf", file.as_str(), "-m", "1", "-p", &number];
    let running = Running::begin(line);
    sipp(&arguments, here).await;
    running.status(is_state(RegistrationState::Failed(Some(401)))).await;
    running.stop().await;
}

/// One whole call by a line to whoever is there.
pub async fn call_by(line: &TrunkLine) {
    let mut call = line.invite(call()).await.unwrap();
    while !matches!(next(&mut call.events).await, LegEvent::Answered { .. }) {}
    call.leg.hang_up(None).await.unwrap();
    let ended = next(&mut call.events).await;
    assert!(matches!(ended, LegEvent::Ended { by: EndedBy::Local, .. }), "{ended:?}");
}

#[tokio::test]
async fn a_carrier_that_challenges_call_and_goodbye_gets_its_answers() {
    for (transport, name, mode) in [(Transport::Udp, "_sip._udp", "u1"), (Transport::Tcp, "_sip._tcp", "t1")]
    {
        let port = free_port();
        let (line, here) = line(Names::at(name, &[port]), settings(transport, "hunter2")).await;
        let (file, number) = (scenario("challenging-carrier.xml"), port.to_string());
        let arguments = ["-sf", file.as_str(), "-m", "3", "-p", &number, "-t", mode];
        let calls = async {
            listening(transport, port).await;
            for _ in 0..3 {
                call_by(&line).await;
            }
        };
        tokio::join!(sipp(&arguments, here), calls);
    }
}

#[tokio::test]
async fn a_call_with_a_wrong_password_fails_after_one_try() {
    let port = free_port();
    let (line, here) = line(Names::at("_sip._udp", &[port]), settings(Transport::Udp, "wrong")).await;
    let (file, number) = (scenario("challenging-carrier.xml"), port.to_string());
    let arguments = ["-sf", file.as_str(), "-m", "1", "-p", &number];
    let refused = async {
        let mut call = line.invite(call()).await.unwrap();
        let ended = next(&mut call.events).await;
        assert!(matches!(ended, LegEvent::Failed { code: 401, .. }), "{ended:?}");
    };
    tokio::join!(sipp(&arguments, here), refused);
}

#[tokio::test]
async fn a_place_that_takes_nothing_is_passed_over_for_the_next_one() {
    let (busy, good) = (free_port(), free_port());
    let names = Names::at("_sip._udp", &[busy, good]);
    let (line, here) = line(names, settings(Transport::Udp, "hunter2")).await;
    let (file, first, second) = (scenario("busy-carrier.xml"), busy.to_string(), good.to_string());
    let refusing = ["-sf", file.as_str(), "-m", "1", "-p", &first];
    let taking = ["-sn", "uas", "-m", "1", "-p", &second];
    tokio::join!(sipp(&refusing, here), sipp(&taking, here), call_by(&line));
}

#[tokio::test]
async fn a_place_that_is_silent_is_passed_over_after_four_seconds() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let good = free_port();
    let names = Names::at("_sip._udp", &[silent.local_addr().unwrap().port(), good]);
    let (line, here) = line(names, settings(Transport::Udp, "hunter2")).await;
    let second = good.to_string();
    let began = std::time::Instant::now();
    let taking = ["-sn", "uas", "-m", "1", "-p", &second];
    tokio::join!(sipp(&taking, here), call_by(&line));
    assert!(began.elapsed() >= Duration::from_secs(4));
}

#[tokio::test]
async fn a_place_that_refuses_connections_is_passed_over_at_once() {
    let (closed, good) = (free_port(), free_port());
    let names = Names::at("_sip._tcp", &[closed, good]);
    let (line, here) = line(names, settings(Transport::Tcp, "hunter2")).await;
    let second = good.to_string();
    let taking = ["-sn", "uas", "-m", "2", "-p", &second, "-t", "t1"];
    let calls = async {
        listening(Transport::Tcp, good).await;
        call_by(&line).await;
        call_by(&line).await;
    };
    tokio::join!(sipp(&taking, here), calls);
}

#[tokio::test]
async fn a_carrier_behind_tls_is_known_by_its_certificate() {
    for (name, is_trusted) in [("carrier.example", true), ("other.example", false)] {
        let certificate = tls_for(&[name]);
        let (_carrier, at) = secured(&certificate, "127.0.0.1", SipLimits::default()).await;
        let (ours, _) = secured(&certificate, "127.0.0.1", SipLimits::default()).await;
        let names = Names::at("_sips._tcp", &[at.port()]);
        let line = TrunkLine::new(Arc::new(ours.agent), names, settings(Transport::Tls, "hunter2"));
        let placed = line.invite(TrunkCall { number: "echo".to_owned(), ..call() }).await;
        assert_eq!(placed.is_ok(), is_trusted, "{name}");
        if let Ok(mut call) = placed {
            while !matches!(next(&mut call.events).await, LegEvent::Answered { .. }) {}
        }
    }
}

#[tokio::test]
async fn a_carrier_is_up_while_it_answers_whatever_it_answers_and_down_when_it_is_silent() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let names = Names::at("_sip._udp", &[socket.local_addr().unwrap().port()]);
    let watched =
        LineSettings { options_interval: Some(Duration::from_secs(1)), ..settings(Transport::Udp, "x") };
    let (line, _) = line(names, watched).await;
    let running = Running::begin(line);
    let mut buffer = vec![0; 4096];
    let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
    let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(request.starts_with("OPTIONS sip:carrier.example SIP/2.0\r\n"), "{request}");
    let echoed: Vec<&str> = request
        .lines()
        .filter(|line| {
            ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
        })
        .collect();
    let answer = format!("SIP/2.0 403 Forbidden\r\n{}\r\nContent-Length: 0\r\n\r\n", echoed.join("\r\n"));
    socket.send_to(answer.as_bytes(), from).await.unwrap();
    running.status(|status| status.reach == Reach::Up).await;
    let down = running.status(|status| status.reach == Reach::Down).await;
    assert!(down.trouble.unwrap().ends_with("does not answer"));
    running.stop().await;
}

#[tokio::test]
async fn whom_we_called_may_hang_up_although_it_may_not_call() {
    let strict = SipConfig {
        accept_source: Some(Arc::new(|_| false)),
        listen: vec![ListenAddr::Udp("127.0.0.1:0".parse().unwrap())],
        ..SipConfig::default()
    };
    let (agent, _calls) = SipAgent::bind(strict).await.unwrap();
    let here = agent.local_addrs()[0].addr();
    let port = free_port();
    let names = Names::at("_sip._udp", &[port]);
    let line = TrunkLine::new(Arc::new(agent), names, settings(Transport::Udp, "hunter2"));
    let (file, number) = (scenario("carrier-hangs-up.xml"), port.to_string());
    let arguments = ["-sf", file.as_str(), "-m", "1", "-p", &number];
    let called = async {
        let mut call = line.invite(call()).await.unwrap();
        while !matches!(next(&mut call.events).await, LegEvent::Answered { .. }) {}
        let ended = next(&mut call.events).await;
        assert!(matches!(ended, LegEvent::Ended { by: EndedBy::Remote, .. }), "{ended:?}");
    };
    tokio::join!(sipp(&arguments, here), called);
    let stranger = RawUdp::to(here).await;
    stranger.send(request("INVITE", "echo", "x", 1, None, SDP, &offer()).as_bytes()).await;
    assert_eq!(code(&stranger.expect("SIP/2.0").await), 403);
}

/// Waits until somebody accepts connections there.
async fn listening(transport: Transport, port: u16) {
    let accepts = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tick.tick().await;
        }
    };
    if transport.is_stream() {
        timeout(DEADLINE, accepts).await.expect("nobody listens");
    }
}
