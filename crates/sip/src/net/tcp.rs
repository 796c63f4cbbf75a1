//! TCP: accept within bounds, frame with deadlines, write through a bounded outbox of its own, so that a peer
//! that is slow, silent or never reads holds up nobody else.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::front::{Front, Passage};
use super::links::{Links, Outbox, Outgoing};
use super::tasks::Tasks;
use super::{Arrival, advertised};
use crate::config::SipLimits;
use crate::counters::{Tally, bump};
use crate::frame::{Frame, FrameFault, FrameFaultKind, Framer};
use crate::machine::{Flow, Transport};

/// What every connection needs.
pub(crate) struct TcpSide {
    pub(crate) limits: SipLimits,
    pub(crate) advertise: Option<IpAddr>,
    pub(crate) front: Front,
    pub(crate) tally: Arc<Tally>,
    pub(crate) links: Links,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    pub(crate) tasks: Tasks,
}

struct Connection {
    side: Arc<TcpSide>,
    flow: Flow,
    outbox: Outbox,
    close: CancellationToken,
}

/// Accepts until the agent stops.
pub(crate) async fn accept(side: Arc<TcpSide>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Ok(local) = stream.local_addr() else { continue };
                if !side.front.accepts(peer.ip()) {
                    tracing::debug!(%peer, "SIP connection refused: its source is not accepted");
                    bump(&side.tally.connections_refused);
                    continue;
                }
                // A refused connection is dropped here, which closes it.
                let _link = attach(&side, stream, peer, local);
            }
            Err(error) => {
                tracing::debug!(%error, "accepting a SIP connection failed");
                // Out of descriptors: wait for some to come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Dials a peer; the connection serves both ways from then on.
pub(crate) async fn connect(
    side: &Arc<TcpSide>,
    peer: SocketAddr,
    port: Option<u16>,
) -> std::io::Result<Flow> {
    let stream = timeout(CONNECT_MAX, TcpStream::connect(peer)).await??;
    let mut local = stream.local_addr()?;
    // Via and Contact name a port that accepts connections, if there is one.
    local.set_port(port.unwrap_or(local.port()));
    attach(side, stream, peer, local).ok_or_else(|| std::io::Error::other("too many SIP connections"))
}

fn attach(side: &Arc<TcpSide>, stream: TcpStream, peer: SocketAddr, local: SocketAddr) -> Option<Flow> {
    let close = side.tasks.child_token();
    let (outbox, outgoing) = Outbox::new(side.limits.tcp_outbox_octets_max, close.clone());
    let bounds = (side.limits.tcp_connections_max, side.limits.tcp_connections_per_source_max);
    let Some(link) = side.links.enter(peer, outbox.clone(), bounds) else {
        bump(&side.tally.connections_refused);
        return None;
    };
    bump(&side.tally.connections);
    bump(&side.tally.connections_open);
    // Best effort: without them messages leave later, and a peer that vanished keeps its place for longer.
    let keep_alive = TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 4);
    let _best_effort = stream.set_nodelay(true).and(SockRef::from(&stream).set_tcp_keepalive(&keep_alive));
    let shown = advertised(side.advertise, peer.ip()).unwrap_or(local.ip());
    let local = SocketAddr::new(shown, local.port());
    let flow = Flow { transport: Transport::Tcp, link, local, peer };
    let (reader, writer) = stream.into_split();
    let connection = Connection { side: side.clone(), flow, outbox, close: close.clone() };
    side.tasks.spawn("write", write(writer, outgoing, close));
    side.tasks.spawn("read", connection.serve(reader));
    Some(flow)
}

/// Writes what is queued; ends with the last sender, a write that takes too long, or the connection's close.
async fn write(mut writer: OwnedWriteHalf, mut outgoing: Outgoing, close: CancellationToken) {
    while let Some(octets) = outgoing.next().await {
        let written = tokio::select! {
            biased;
            () = close.cancelled() => break,
            written = timeout(WRITE_MAX, writer.write_all(&octets)) => written,
        };
        if !matches!(written, Ok(Ok(()))) {
            break;
        }
        outgoing.written(octets.len());
    }
    close.cancel();
    // The peer may be gone already.
    let _gone = writer.shutdown().await;
}

impl Connection {
    async fn serve(self, mut reader: OwnedReadHalf) {
        let ended = async {
            self.read(&mut reader).await;
            // Answers to what came before the end still go out, and unread octets would make the kernel
            // reset the connection under them.
            let mut sink = [0; 4096];
            let drained = async { while reader.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
            // Past this time the peer has what it reads.
            let _time_is_up = timeout(DRAIN_MAX, drained).await;
        };
        tokio::select! {
            () = ended => {}
            () = self.close.cancelled() => {}
        }
        self.side.links.leave(self.flow.link);
        self.side.tally.connections_open.fetch_sub(1, Relaxed);
    }

    async fn read(&self, reader: &mut OwnedReadHalf) {
        let limits = &self.side.limits;
        let mut framer = Framer::new(limits.message_octets_max);
        let mut buffer = vec![0; READ_OCTETS];
        // Only a message that was let in earns a longer stay.
        let mut greeted = false;
        let mut deadline = Instant::now() + limits.tcp_message_timeout;
        loop {
            let read = tokio::time::timeout_at(deadline, reader.read(&mut buffer)).await;
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
                                return bump(&self.side.tally.connections_refused);
                            }
                            Taken::Refused | Taken::Dismissed => {}
                        }
                    }
                    Ok(Some(Frame::Ping)) => {
                        bump(&self.side.tally.keep_alives);
                        if self.outbox.push(Bytes::from_static(b"\r\n")).is_err() {
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

    async fn take(&self, octets: &Bytes) -> Taken {
        bump(&self.side.tally.stream_messages);
        match self.side.front.examine(octets, self.flow, &self.side.tally) {
            Passage::Enter(message) => {
                // Waiting here holds up this connection alone. The agent is gone at shutdown only.
                let _stopping = self.side.arrivals.send(Arrival { flow: self.flow, message }).await;
                Taken::Entered
            }
            Passage::Answer(answer) => {
                self.queue(answer);
                Taken::Refused
            }
            Passage::Dismiss(answer) => {
                self.queue(answer);
                Taken::Dismissed
            }
            Passage::Nothing => Taken::Refused,
        }
    }

    /// A message that was cut off, by time or by the peer: RFC 4475 §3.1.2.2.
    fn close_midway(&self, framer: &Framer, timed_out: bool) {
        if timed_out {
            bump(&self.side.tally.connections_refused);
        }
        if let Some(head) = framer.pending() {
            self.answer_fault(&FrameFault { kind: FrameFaultKind::Length, head });
        }
    }

    fn answer_fault(&self, fault: &FrameFault) {
        let large = fault.kind == FrameFaultKind::TooLarge;
        if let Passage::Answer(octets) =
            self.side.front.refuse_broken(&fault.head, large, self.flow, &self.side.tally)
        {
            self.queue(octets);
        }
    }

    fn queue(&self, octets: Bytes) {
        if self.outbox.push(octets).is_err() {
            bump(&self.side.tally.connections_refused);
        }
    }
}

/// What became of a message.
enum Taken {
    Entered,
    Refused,
    /// Refused because of who sent it.
    Dismissed,
}

const READ_OCTETS: usize = 8 * 1024;
const CONNECT_MAX: Duration = Duration::from_secs(5);
const WRITE_MAX: Duration = Duration::from_secs(10);
const DRAIN_MAX: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(60);
