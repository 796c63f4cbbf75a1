//! The SIP agent: opens the sockets, owns the state machine in one task, carries messages, commands, events.

mod lines;
mod phones;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::call::{InviteRequest, LegEvent};
use crate::config::{ListenAddr, SipConfig};
use crate::counters::{SipCounters, Tally, bump};
use crate::handle::{Ask, CallLeg, Desk, IncomingCall, LegEvents, OutgoingCall, SipError};
use crate::machine::{
    Command, CommandError, Flow, Hop, LegId, LoneAnswer, LoneId, Machine, Output, Transport, Way,
};
use crate::message::SipUri;
use crate::net::front::Front;
use crate::net::links::{LinkError, Links};
use crate::net::peers::Peers;
use crate::net::tasks::Tasks;
use crate::net::tcp::{self, TcpSide};
use crate::net::udp::{LocalAddr, UdpReader};
use crate::net::{Advertised, Arrival, BindError, bind_error, tcp_listener, udp_socket};
use crate::tap::{SipTap, show_outgoing};

/// A running SIP user agent. Dropping it stops its tasks at once; [`SipAgent::shutdown`] says goodbye first.
pub struct SipAgent {
    desk: Arc<Desk>,
    tally: Arc<Tally>,
    tcp: Arc<TcpSide>,
    udp: Vec<UdpPort>,
    bound: Vec<ListenAddr>,
}

/// A UDP socket's sending half.
#[derive(Clone)]
struct UdpPort {
    socket: Arc<std::net::UdpSocket>,
    bound: SocketAddr,
    advertised: Advertised,
}

impl UdpPort {
    /// Our address as `peer` should see it.
    fn seen_by(&self, peer: SocketAddr) -> SocketAddr {
        LocalAddr::new(self.bound, self.advertised.clone()).towards(peer)
    }
}

impl SipAgent {
    /// Opens every socket and starts serving. Incoming calls come out of the receiver, which holds
    /// [`crate::SipLimits::incoming_queue`] of them; more are answered 503.
    ///
    /// # Errors
    /// [`BindError`] names the address that could not be opened; nothing is left open then.
    pub async fn bind(config: SipConfig) -> Result<(Self, mpsc::Receiver<IncomingCall>), BindError> {
        let tally = Arc::new(Tally::default());
        let (udp_arrivals, from_udp) = mpsc::channel(UDP_QUEUE);
        let (tcp_arrivals, from_tcp) = mpsc::channel(TCP_QUEUE);
        let peers = Arc::new(Peers::default());
        let tcp = Arc::new(TcpSide {
            limits: config.limits.clone(),
            advertised: Advertised { address: config.advertise, is_near: config.is_near.clone() },
            front: Front::new(&config, peers.clone()),
            tally: tally.clone(),
            links: Links::default(),
            arrivals: tcp_arrivals,
            tasks: Tasks::default(),
            tls: config.tls.clone(),
            listening: OnceLock::new(),
        });
        let Opened { udp, bound, readers } = open(&config, &tally, (&tcp, &peers), &udp_arrivals)?;
        tcp.listening.get_or_init(|| bound.clone());
        for reader in readers {
            tcp.tasks.spawn("socket", reader);
        }
        let (incoming, calls) = mpsc::channel(config.limits.incoming_queue.max(1));
        let (desk, asks) = Desk::new();
        let serving = Serving {
            machine: Machine::new(config.machine_settings()),
            legs: HashMap::new(),
            lone: HashMap::new(),
            peers: peers.clone(),
            udp: udp.clone(),
            tcp: tcp.clone(),
            desk: desk.clone(),
            tally: tally.clone(),
            incoming,
            events_queue: config.limits.leg_events_queue.max(4),
            tap: config.tap.clone(),
        };
        tcp.tasks.spawn("agent", serving.run(from_udp, from_tcp, asks));
        Ok((Self { desk, tally, tcp, udp, bound }, calls))
    }

    /// The open sockets, in the order of the configuration, with their real ports.
    pub fn local_addrs(&self) -> Vec<ListenAddr> {
        self.bound.clone()
    }

    /// Places a call. Returns when the INVITE is on its way; what becomes of it comes as events.
    ///
    /// # Errors
    /// [`SipError`] when the target is no SIP URI, its name or address cannot be reached, or no call is free.
    pub async fn invite(&self, request: InviteRequest) -> Result<OutgoingCall, SipError> {
        let target = SipUri::parse(&request.target).map_err(|_| SipError::BadTarget)?;
        let peer = resolve(&target).await?;
        let flow = match target.param("transport").map(str::to_ascii_lowercase).as_deref() {
            Some("udp") | None if !target.is_tls() => self.udp_flow(peer).ok_or(SipError::NoTransport)?,
            Some("tcp") if !target.is_tls() => self.dial(Transport::Tcp, peer, &target).await?,
            Some("tcp" | "tls") | None => self.dial(Transport::Tls, peer, &target).await?,
            Some(_) => return Err(SipError::NoTransport),
        };
        self.start((flow, Way::ToTarget), request).await
    }

    async fn start(&self, by: (Flow, Way), request: InviteRequest) -> Result<OutgoingCall, SipError> {
        self.place(|reply| Ask::Invite { by, request: Box::new(request), reply }).await
    }

    /// Our address as the target of a call sees it: what an SDP offer names when nothing else is configured.
    ///
    /// # Errors
    /// [`SipError`] when the target is no SIP URI or cannot be reached.
    pub async fn local_ip_towards(&self, target: &str) -> Result<IpAddr, SipError> {
        let target = SipUri::parse(target).map_err(|_| SipError::BadTarget)?;
        let peer = resolve(&target).await?;
        self.ip_towards(peer)
            .ok_or_else(|| SipError::Unreachable(std::io::ErrorKind::AddrNotAvailable.into()))
    }

    /// A snapshot of the counters.
    pub fn counters(&self) -> SipCounters {
        self.tally.snapshot()
    }

    /// Takes snapshots of the counters for as long as somebody asks, also after the agent has stopped.
    pub fn counter_reader(&self) -> impl Fn() -> SipCounters + Send + Sync + use<> {
        let tally = self.tally.clone();
        move || tally.snapshot()
    }

    /// Ends every call (BYE, CANCEL, 480), waits up to a second for the goodbyes to be answered, then closes
    /// the sockets.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self.desk.ask(Ask::Stop { done }).await.is_ok() {
            // An agent task that is gone has nothing left to wait for.
            let _gone = tokio::time::timeout(GOODBYE_MAX, finished).await;
        }
        self.tcp.tasks.stop();
        self.tcp.tasks.gone().await;
    }

    async fn dial(&self, transport: Transport, peer: SocketAddr, target: &SipUri) -> Result<Flow, SipError> {
        if transport == Transport::Tls && self.tcp.tls.is_none() {
            return Err(SipError::NoTransport);
        }
        let hop = Hop { addr: peer, server_name: Some(target.host.as_str().into()) };
        tcp::connect(&self.tcp, transport, &hop).await.map_err(SipError::Unreachable)
    }

    pub(crate) fn udp_flow(&self, peer: SocketAddr) -> Option<Flow> {
        let fits = |port: &UdpPort| port.bound.is_ipv4() == peer.is_ipv4();
        // A socket on loopback cannot send elsewhere, and the other way round is refused by many peers.
        let near = |port: &UdpPort| port.bound.ip().is_loopback() == peer.ip().is_loopback();
        let at =
            self.udp.iter().position(|p| fits(p) && near(p)).or_else(|| self.udp.iter().position(fits))?;
        let port = self.udp.get(at)?;
        let local = port.seen_by(peer);
        Some(Flow { transport: Transport::Udp, link: at as u64, local, peer })
    }
}

impl std::fmt::Debug for SipAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SipAgent").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Drop for SipAgent {
    fn drop(&mut self) {
        self.tcp.tasks.stop();
    }
}

type Reader = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The open sockets and what reads them.
#[derive(Default)]
struct Opened {
    udp: Vec<UdpPort>,
    bound: Vec<ListenAddr>,
    readers: Vec<Reader>,
}

/// Opens all sockets before any is read, so that a taken port leaves nothing behind.
fn open(
    config: &SipConfig,
    tally: &Arc<Tally>,
    (tcp, peers): (&Arc<TcpSide>, &Arc<Peers>),
    arrivals: &mpsc::Sender<Arrival>,
) -> Result<Opened, BindError> {
    let front = Arc::new(Front::new(config, peers.clone()));
    let Opened { mut udp, mut bound, mut readers } = Opened::default();
    for &listen in &config.listen {
        let failed = |error| bind_error(listen, error);
        match listen {
            ListenAddr::Udp(addr) => {
                let socket = udp_socket(addr).map_err(failed)?;
                let local = socket.local_addr().map_err(failed)?;
                let sender = Arc::new(socket.try_clone().map_err(failed)?);
                let reader = UdpReader {
                    socket: UdpSocket::from_std(socket).map_err(failed)?,
                    sender: sender.clone(),
                    link: udp.len() as u64,
                    local: LocalAddr::new(local, tcp.advertised.clone()),
                    front: front.clone(),
                    tally: tally.clone(),
                    arrivals: arrivals.clone(),
                };
                udp.push(UdpPort { socket: sender, bound: local, advertised: tcp.advertised.clone() });
                bound.push(ListenAddr::Udp(local));
                readers.push(Box::pin(reader.run()));
            }
            ListenAddr::Tls(_) if config.tls.as_ref().is_none_or(|tls| tls.server.is_none()) => {
                return Err(BindError::NoCertificate(listen));
            }
            ListenAddr::Tcp(addr) | ListenAddr::Tls(addr) => {
                let listener = tcp_listener(addr).map_err(failed)?;
                bound.push(listen.at(listener.local_addr().map_err(failed)?));
                let listener = TcpListener::from_std(listener).map_err(failed)?;
                readers.push(Box::pin(tcp::accept(tcp.clone(), listener, listen.transport())));
            }
        }
    }
    Ok(Opened { udp, bound, readers })
}

/// Names are resolved here, in the caller's task, with a time limit: the agent never waits for DNS.
async fn resolve(target: &SipUri) -> Result<SocketAddr, SipError> {
    if let Some(addr) = target.socket_addr() {
        return Ok(addr);
    }
    let lookup = tokio::net::lookup_host((target.host.clone(), target.port_or_default()));
    let mut found = tokio::time::timeout(RESOLVE_MAX, lookup)
        .await
        .map_err(|_| SipError::Unreachable(std::io::ErrorKind::TimedOut.into()))?
        .map_err(SipError::Unreachable)?;
    found.next().ok_or_else(|| SipError::Unreachable(std::io::ErrorKind::NotFound.into()))
}

/// The agent task: the one owner of the machine.
struct Serving {
    machine: Machine,
    legs: HashMap<LegId, mpsc::Sender<LegEvent>>,
    /// Who waits for the answer to a request outside of any dialog; bounded by the transactions.
    lone: HashMap<LoneId, oneshot::Sender<Result<LoneAnswer, CommandError>>>,
    peers: Arc<Peers>,
    udp: Vec<UdpPort>,
    tcp: Arc<TcpSide>,
    desk: Arc<Desk>,
    tally: Arc<Tally>,
    incoming: mpsc::Sender<IncomingCall>,
    events_queue: usize,
    tap: Option<SipTap>,
}

impl Serving {
    async fn run(
        mut self,
        mut from_udp: mpsc::Receiver<Arrival>,
        mut from_tcp: mpsc::Receiver<Arrival>,
        mut asks: mpsc::Receiver<Ask>,
    ) {
        let desk = self.desk.clone();
        let mut leaving: Option<oneshot::Sender<()>> = None;
        loop {
            let deadline = self.machine.poll_timeout().map(Instant::from_std);
            tokio::select! {
                Some(arrival) = from_udp.recv() => self.take(arrival),
                Some(arrival) = from_tcp.recv() => self.take(arrival),
                Some(ask) = asks.recv() => if let Some(done) = self.carry_out(ask) {
                    leaving = Some(done);
                },
                () = desk.abandoned() => {}
                () = sleep_until(deadline) => {}
            }
            let now = Instant::now().into_std();
            for leg in desk.take_abandoned() {
                // A leg that is over already needs no ending.
                let _over = self.machine.handle_command(now, leg, Command::Hangup(None));
            }
            self.machine.handle_timeout(now);
            self.drain();
            let counts = self.machine.counts();
            self.tally.publish(counts);
            if counts.legs == 0
                && let Some(done) = leaving.take()
            {
                // Shutdown stopped waiting.
                let _gone = done.send(());
            }
        }
    }

    fn take(&mut self, arrival: Arrival) {
        let now = Instant::now().into_std();
        self.machine.handle_message(now, arrival.flow, arrival.message);
    }

    /// Returns the sender to tell when every leg is gone.
    fn carry_out(&mut self, ask: Ask) -> Option<oneshot::Sender<()>> {
        let now = Instant::now().into_std();
        match ask {
            Ask::Command { leg, command, reply } => {
                let done = self.machine.handle_command(now, leg, command);
                // The asker may have been dropped while it waited.
                let _gone = reply.send(done);
            }
            Ask::Invite { by, request, reply } => {
                let started = self.machine.invite(now, by, &request);
                self.welcome(started, &[by.0], reply);
            }
            Ask::InviteBy { flow, line, request, reply } => {
                let started = self.machine.invite_by(now, flow, &line, &request);
                let mut flows = line.alternatives;
                flows.push(flow);
                self.welcome(started, &flows, reply);
            }
            Ask::Lone { flow, request, reply } => match self.machine.request(now, flow, &request) {
                Ok(id) => drop(self.lone.insert(id, reply)),
                Err(error) => drop(reply.send(Err(error))),
            },
            Ask::Stop { done } => {
                for leg in self.machine.leg_ids() {
                    let _over = self.machine.handle_command(now, leg, Command::Hangup(None));
                }
                return Some(done);
            }
        }
        None
    }

    /// Hands a call that was placed to who asked for it; whom it goes to may speak in its dialog.
    fn welcome(
        &mut self,
        started: Result<LegId, CommandError>,
        flows: &[Flow],
        reply: oneshot::Sender<Result<OutgoingCall, CommandError>>,
    ) {
        let call = started.map(|leg| {
            self.peers.enter(leg, flows.iter().map(|flow| flow.peer.ip()));
            OutgoingCall {
                call_id: self.machine.call_id(leg).unwrap_or_default().to_owned(),
                peer: flows.last().map(|flow| flow.peer),
                events: self.enlist(leg),
                leg: CallLeg::new(leg, self.desk.clone()),
            }
        });
        // An asker that is gone drops the call, which ends it.
        let _gone = reply.send(call);
    }

    fn enlist(&mut self, leg: LegId) -> LegEvents {
        let (events, receiver) = mpsc::channel(self.events_queue);
        self.legs.insert(leg, events);
        LegEvents::new(receiver)
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { flow, octets, reconnect } => self.send(flow, octets, reconnect),
                Output::Incoming(leg, invitation) => {
                    let events = self.enlist(leg);
                    let call = CallLeg::new(leg, self.desk.clone());
                    // Dropping a call that does not fit ends its leg.
                    let full =
                        self.incoming.try_send(IncomingCall { invitation: *invitation, leg: call, events });
                    if let Err(
                        mpsc::error::TrySendError::Full(call) | mpsc::error::TrySendError::Closed(call),
                    ) = full
                    {
                        self.refuse_unheard(leg);
                        drop(call);
                    }
                }
                Output::Event(leg, event) => self.tell(leg, event),
                Output::Closed(leg) => {
                    self.legs.remove(&leg);
                    self.peers.leave(leg);
                }
                Output::Lone(id, answer) => {
                    if let Some(reply) = self.lone.remove(&id) {
                        // Who asked may have stopped waiting.
                        let _gone = reply.send(Ok(*answer));
                    }
                }
            }
        }
    }

    fn refuse_unheard(&mut self, leg: LegId) {
        let busy = crate::Rejection::new(503, "Service Unavailable").with_retry_after(5);
        let _over = self.machine.handle_command(Instant::now().into_std(), leg, Command::Reject(busy));
    }

    fn tell(&mut self, leg: LegId, event: LegEvent) {
        let Some(events) = self.legs.get(&leg) else { return };
        // One place stays free for the terminal event.
        let stuck = !event.is_terminal() && events.capacity() <= 1;
        if stuck {
            bump(&self.tally.stuck_legs);
            let now = Instant::now().into_std();
            let _over = self.machine.handle_command(now, leg, Command::Hangup(None));
        } else {
            // A user that dropped the events does not want them.
            let _unwanted = events.try_send(event);
        }
    }

    fn send(&self, flow: Flow, octets: Bytes, reconnect: Option<Hop>) {
        show_outgoing(self.tap.as_ref(), flow, &octets);
        match flow.transport {
            Transport::Udp => {
                let sent = usize::try_from(flow.link)
                    .ok()
                    .and_then(|at| self.udp.get(at))
                    .is_some_and(|port| port.socket.send_to(&octets, flow.peer).is_ok());
                if !sent {
                    bump(&self.tally.dropped_out);
                }
            }
            Transport::Tcp | Transport::Tls => match self.tcp.links.send(flow.link, octets.clone()) {
                Ok(()) => {}
                Err(LinkError::Stuck) => {
                    bump(&self.tally.connections_refused);
                    bump(&self.tally.dropped_out);
                }
                Err(LinkError::Gone) => self.reconnect(flow.transport, octets, reconnect),
            },
        }
    }

    /// The connection is gone: use another to the same peer, or dial it (RFC 3261 §18.1.1, §18.2.2).
    fn reconnect(&self, transport: Transport, octets: Bytes, hop: Option<Hop>) {
        let Some(hop) = hop else { return bump(&self.tally.dropped_out) };
        match self.tcp.links.to_peer(transport, hop.addr) {
            Some(link) => {
                if self.tcp.links.send(link, octets).is_err() {
                    bump(&self.tally.dropped_out);
                }
            }
            None => tcp::redial(&self.tcp, transport, hop, octets),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Judged datagrams that wait for the agent; further ones are dropped and come again.
const UDP_QUEUE: usize = 1024;
/// Judged stream messages that wait; their connections wait too.
const TCP_QUEUE: usize = 256;
const RESOLVE_MAX: Duration = Duration::from_secs(5);
const GOODBYE_MAX: Duration = Duration::from_secs(1);
