//! Connections: accept within bounds, frame with deadlines, write through a bounded outbox of their own, so that
//! a peer that is slow, silent or never reads holds up nobody else. TLS is the same after its handshake.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::front::{Front, Passage};
use super::links::{Links, Outbox, Outgoing};
use super::tasks::Tasks;
use super::tls::{Reader, SipTls, Stream, Writer};
use super::{Advertised, Arrival};
use crate::config::{ListenAddr, SipLimits};
use crate::counters::{Tally, bump};
use crate::frame::{Frame, FrameFault, FrameFaultKind, Framer};
use crate::machine::{Flow, Hop, Transport};

/// What every connection needs.
pub(crate) struct TcpSide {
    pub(crate) limits: SipLimits,
    pub(crate) advertised: Advertised,
    pub(crate) front: Front,
    pub(crate) tally: Arc<Tally>,
    pub(crate) links: Links,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    pub(crate) tasks: Tasks,
    pub(crate) tls: Option<SipTls>,
    /// Where we listen: what Via and Contact name on connections that we opened.
    pub(crate) listening: OnceLock<Vec<ListenAddr>>,
}

/// A connection's place in the table, from before it is open until it is closed.
struct Place {
    side: Arc<TcpSide>,
    link: u64,
    peer: SocketAddr,
    transport: Transport,
    outbox: Outbox,
    close: CancellationToken,
}

struct Connection {
    place: Place,
    flow: Flow,
}

/// Accepts until the agent stops.
pub(crate) async fn accept(side: Arc<TcpSide>, listener: TcpListener, transport: Transport) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if !side.front.welcomes(peer.ip()) {
                    tracing::debug!(%peer, "SIP connection refused: its source is not accepted");
                    bump(&side.tally.connections_refused);
                    continue;
                }
                // A refused connection is dropped here, which closes it.
                let Some((place, outgoing)) = Place::enter(&side, transport, peer) else { continue };
                side.tasks.spawn("connection", welcome(place, outgoing, stream));
            }
            Err(error) => {
                tracing::debug!(%error, "accepting a SIP connection failed");
                // Out of descriptors: wait for some to come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// A stranger's connection: its handshake and its first message have one time together.
async fn welcome(place: Place, outgoing: Outgoing, stream: TcpStream) {
    let deadline = Instant::now() + place.side.limits.tcp_message_timeout;
    let Ok(local) = stream.local_addr() else { return };
    let tls = place.side.tls.as_ref().filter(|_| place.transport == Transport::Tls);
    match timeout_at(deadline, Stream::accept(tls, stream)).await {
        Ok(Ok(stream)) => place.serve(outgoing, stream, local, deadline).await,
        failed => {
            tracing::debug!(peer = %place.peer, timed_out = failed.is_err(), "no TLS with a SIP peer");
            bump(&place.side.tally.connections_refused);
        }
    }
}

/// Dials a peer; the connection serves both ways from then on.
pub(crate) async fn connect(side: &Arc<TcpSide>, transport: Transport, hop: &Hop) -> std::io::Result<Flow> {
    let stream = dial(side, transport, hop).await?;
    let local = side.local_of(transport, stream.local_addr()?);
    let (place, outgoing) = Place::enter(side, transport, hop.addr)
        .ok_or_else(|| std::io::Error::other("too many SIP connections"))?;
    let flow = place.flow(local);
    let deadline = Instant::now() + side.limits.tcp_message_timeout;
    side.tasks.spawn("connection", place.serve(outgoing, stream, local, deadline));
    Ok(flow)
}

/// Sends over a new connection to a peer whose old one is gone. What else is for it meanwhile waits in the same
/// outbox; if nobody takes the connection, all of it is dropped.
pub(crate) fn redial(side: &Arc<TcpSide>, transport: Transport, hop: Hop, octets: Bytes) {
    let entered = Place::enter(side, transport, hop.addr);
    let Some((place, outgoing)) = entered.filter(|(place, _)| place.outbox.push(octets).is_ok()) else {
        return bump(&side.tally.dropped_out);
    };
    let side = side.clone();
    side.clone().tasks.spawn("reconnect", async move {
        let dialled = dial(&side, transport, &hop).await.and_then(|stream| {
            let local = side.local_of(transport, stream.local_addr()?);
            Ok((stream, local))
        });
        match dialled {
            Ok((stream, local)) => {
                let deadline = Instant::now() + side.limits.tcp_message_timeout;
                place.serve(outgoing, stream, local, deadline).await;
            }
            Err(error) => {
                tracing::debug!(%error, peer = %hop.addr, "a SIP peer cannot be reached again");
                bump(&side.tally.dropped_out);
            }
        }
    });
}

async fn dial(side: &TcpSide, transport: Transport, hop: &Hop) -> std::io::Result<Stream> {
    let connected = async {
        let stream = TcpStream::connect(hop.addr).await?;
        match (transport, &side.tls) {
            (Transport::Tls, Some(tls)) => Stream::connect(tls, hop, stream).await,
            (Transport::Tls, None) => Err(std::io::Error::other("no TLS is configured")),
            (Transport::Tcp | Transport::Udp, _) => Ok(Stream::Plain(stream)),
        }
    };
    timeout(CONNECT_MAX, connected).await?
}

impl TcpSide {
    /// Via and Contact name a port that accepts connections, if there is one.
    fn local_of(&self, transport: Transport, local: SocketAddr) -> SocketAddr {
        let listening = self.listening.get().into_iter().flatten();
        let mut ports = listening
            .filter(|l| l.transport() == transport && l.addr().is_ipv4() == local.is_ipv4())
            .map(|l| l.addr().port());
        SocketAddr::new(local.ip(), ports.next().unwrap_or(local.port()))
    }
}

impl Place {
    fn enter(side: &Arc<TcpSide>, transport: Transport, peer: SocketAddr) -> Option<(Self, Outgoing)> {
        let close = side.tasks.child_token();
        let (outbox, outgoing) = Outbox::new(side.limits.tcp_outbox_octets_max, close.clone());
        let bounds = (side.limits.tcp_connections_max, side.limits.tcp_connections_per_source_max);
        let Some(link) = side.links.enter((transport, peer), outbox.clone(), bounds) else {
            bump(&side.tally.connections_refused);
            return None;
        };
        bump(&side.tally.connections);
        bump(&side.tally.connections_open);
        let place = Self { side: side.clone(), link, peer, transport, outbox, close };
        Some((place, outgoing))
    }

    /// What is shown to this peer, on a connection with this address of ours.
    fn flow(&self, local: SocketAddr) -> Flow {
        let shown = self.side.advertised.towards(self.peer.ip()).unwrap_or(local.ip());
        let local = SocketAddr::new(shown, local.port());
        Flow { transport: self.transport, link: self.link, local, peer: self.peer }
    }

    /// Reads and writes until either ends.
    async fn serve(self, outgoing: Outgoing, stream: Stream, local: SocketAddr, deadline: Instant) {
        // Best effort: without them messages leave later, and a peer that vanished keeps its place for longer.
        let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4);
        let socket = stream.socket();
        let _best_effort = socket.set_nodelay(true).and(SockRef::from(socket).set_tcp_keepalive(&keep_alive));
        let flow = self.flow(local);
        let (reader, writer) = stream.split();
        self.side.tasks.spawn("write", write(writer, outgoing, self.close.clone()));
        Connection { place: self, flow }.serve(reader, deadline).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.side.links.leave(self.link);
        self.side.tally.connections_open.fetch_sub(1, Relaxed);
    }
}

/// Writes what is queued; ends with the last sender, a write that takes too long, or the connection's close.
async fn write(mut writer: Writer, mut outgoing: Outgoing, close: CancellationToken) {
    while let Some(octets) = outgoing.next().await {
        let whole = async {
            writer.write_all(&octets).await?;
            writer.flush().await
        };
        let written = tokio::select! {
            biased;
            () = close.cancelled() => break,
            written = timeout(WRITE_MAX, whole) => written,
        };
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
        outgoing.written(octets.len());
    }
    close.cancel();
    // The peer may be gone already, or read nothing.
    let _gone = timeout(DRAIN_MAX, writer.shutdown()).await;
}

impl Connection {
    async fn serve(self, mut reader: Reader, deadline: Instant) {
        let ended = async {
            self.read(&mut reader, deadline).await;
            // Answers to what came before the end still go out, and unread octets would make the kernel
            // reset the connection under them.
            let mut sink = [0; 4096];
            let drained = async { while reader.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
            // Past this time the peer has what it reads.
            let _time_is_up = timeout(DRAIN_MAX, drained).await;
        };
        tokio::select! {
            () = ended => {}
            () = self.place.close.cancelled() => {}
        }
    }

    /// A stranger has until `deadline` for its first message.
    async fn read(&self, reader: &mut Reader, mut deadline: Instant) {
        let limits = &self.place.side.limits;
        let mut framer = Framer::new(limits.message_octets_max);
        let mut buffer = vec![0; READ_OCTETS];
        // Only a message that was let in earns a longer stay.
        let mut greeted = false;
        let mut has_asked = false;
        loop {
            let read = timeout_at(deadline, reader.read(&mut buffer)).await;
            if read.is_err() && has_asked && !greeted && !framer.is_midway() && self.is_known() {
                // It has registered meanwhile.
                greeted = true;
                deadline = Instant::now() + limits.tcp_idle_timeout;
                continue;
            }
            let Ok(Ok(length @ 1..)) = read else { return self.close_midway(&framer, read.is_err()) };
            let was_midway = framer.is_midway();
            let mut began = !was_midway;
            framer.push(buffer.get(..length).unwrap_or_default());
            loop {
                match framer.next_frame() {
                    Ok(Some(Frame::Message(octets))) => {
                        began = true;
                        match self.take(&octets).await {
                            Taken::Entered => greeted = true,
                            // A peer that we called stays: its answers come the same way.
                            Taken::Dismissed if !greeted => {
                                return bump(&self.place.side.tally.connections_refused);
                            }
                            Taken::Unproven => has_asked = true,
                            Taken::Refused | Taken::Dismissed => {}
                        }
                    }
                    Ok(Some(Frame::Ping)) => {
                        bump(&self.place.side.tally.keep_alives);
                        if self.place.outbox.push(Bytes::from_static(b"\r\n")).is_err() {
                            return;
                        }
                    }
                    Ok(None) => break,
                    Err(fault) => return self.answer_fault(&fault),
                }
            }
            // The clock of a message starts with its first octet; later octets do not restart it. That of a
            // stranger starts with the connection, and nothing restarts it.
            if !greeted {
                continue;
            }
            if !framer.is_midway() {
                deadline = Instant::now() + limits.tcp_idle_timeout;
            } else if began {
                deadline = Instant::now() + limits.tcp_message_timeout;
            }
        }
    }

    /// Whether the peer may call, has a phone that registered, or was called by us.
    fn is_known(&self) -> bool {
        self.place.side.front.keeps(self.place.peer.ip())
    }

    async fn take(&self, octets: &Bytes) -> Taken {
        bump(&self.place.side.tally.stream_messages);
        match self.place.side.front.examine(octets, self.flow, &self.place.side.tally) {
            Passage::Enter(message) => {
                // Whoever answers us was called by us.
                let is_known = message.code().is_some() || self.is_known();
                // Waiting here holds up this connection alone. The agent is gone at shutdown only.
                let _stopping = self.place.side.arrivals.send(Arrival { flow: self.flow, message }).await;
                if is_known { Taken::Entered } else { Taken::Unproven }
            }
            Passage::Answer(answer) => {
                self.queue(answer);
                Taken::Refused
            }
            Passage::Dismiss(answer) => {
                self.queue(answer);
                Taken::Dismissed
            }
            Passage::Ignore => Taken::Dismissed,
            Passage::Nothing => Taken::Refused,
        }
    }

    /// A message that was cut off, by time or by the peer: RFC 4475 §3.1.2.2.
    fn close_midway(&self, framer: &Framer, timed_out: bool) {
        if timed_out {
            bump(&self.place.side.tally.connections_refused);
        }
        if let Some(head) = framer.pending() {
            self.answer_fault(&FrameFault { kind: FrameFaultKind::Length, head });
        }
    }

    fn answer_fault(&self, fault: &FrameFault) {
        let large = fault.kind == FrameFaultKind::TooLarge;
        if let Passage::Answer(octets) =
            self.place.side.front.refuse_broken(&fault.head, large, self.flow, &self.place.side.tally)
        {
            self.queue(octets);
        }
    }

    fn queue(&self, octets: Bytes) {
        if self.place.outbox.push(octets).is_err() {
            bump(&self.place.side.tally.connections_refused);
        }
    }
}

/// What became of a message.
enum Taken {
    Entered,
    /// Entered, of somebody who has yet to prove who it is.
    Unproven,
    Refused,
    /// Refused because of who sent it.
    Dismissed,
}

const READ_OCTETS: usize = 8 * 1024;
const CONNECT_MAX: Duration = Duration::from_secs(5);
const WRITE_MAX: Duration = Duration::from_secs(10);
const DRAIN_MAX: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(60);
