//! The connections by number and by peer: who may write to which.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::machine::Transport;

/// The way to one peer: messages that wait to be written, bounded by their octets.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Bytes>,
    waiting: Arc<AtomicUsize>,
    octets_max: usize,
    close: CancellationToken,
}

/// The writer's end of an [`Outbox`].
#[derive(Debug)]
pub(crate) struct Outgoing {
    queue: mpsc::Receiver<Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// A connection in the table.
#[derive(Clone, Debug)]
struct Link {
    transport: Transport,
    peer: SocketAddr,
    outbox: Outbox,
}

/// Why octets did not go out over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    /// No such connection.
    Gone,
    /// The peer does not read: the connection is closed.
    Stuck,
}

impl Outbox {
    /// An outbox that closes its connection by `close` when more than `octets_max` wait.
    pub(crate) fn new(octets_max: usize, close: CancellationToken) -> (Self, Outgoing) {
        let (queue, receiver) = mpsc::channel(OUTBOX_MESSAGES);
        let waiting = Arc::new(AtomicUsize::new(0));
        (Self { queue, waiting: waiting.clone(), octets_max, close }, Outgoing { queue: receiver, waiting })
    }

    pub(crate) fn push(&self, octets: Bytes) -> Result<(), LinkError> {
        let length = octets.len();
        if self.waiting.load(Relaxed) + length > self.octets_max {
            self.close.cancel();
            return Err(LinkError::Stuck);
        }
        match self.queue.try_send(octets) {
            Ok(()) => {
                self.waiting.fetch_add(length, Relaxed);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(LinkError::Gone),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.close.cancel();
                Err(LinkError::Stuck)
            }
        }
    }
}

impl Outgoing {
    /// The next message; `None` when every outbox is dropped and all is taken.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.queue.recv().await
    }

    /// A message was written.
    pub(crate) fn written(&self, length: usize) {
        // The writer may be quicker than the count of the sender.
        let _count = self.waiting.fetch_update(Relaxed, Relaxed, |n| Some(n.saturating_sub(length)));
    }
}

/// The table of links; bounded by the connection limit.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    links: HashMap<u64, Link>,
}

impl Links {
    /// Enters a connection, unless there are too many in all or of its source.
    pub(crate) fn enter(
        &self,
        (transport, peer): (Transport, SocketAddr),
        outbox: Outbox,
        bounds: (usize, usize),
    ) -> Option<u64> {
        let mut table = self.table();
        let of_source = table.links.values().filter(|l| l.peer.ip() == peer.ip()).count();
        if table.links.len() >= bounds.0 || of_source >= bounds.1 {
            return None;
        }
        table.last += 1;
        // UDP sockets have the small numbers.
        let id = FIRST_TCP_LINK + table.last;
        table.links.insert(id, Link { transport, peer, outbox });
        Some(id)
    }

    pub(crate) fn leave(&self, id: u64) {
        self.table().links.remove(&id);
    }

    /// Queues octets for a connection.
    pub(crate) fn send(&self, id: u64, octets: Bytes) -> Result<(), LinkError> {
        let link = self.table().links.get(&id).cloned().ok_or(LinkError::Gone)?;
        link.outbox.push(octets)
    }

    /// Whether there is such a connection.
    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.table().links.contains_key(&id)
    }

    /// A connection to this peer address.
    pub(crate) fn to_peer(&self, transport: Transport, peer: SocketAddr) -> Option<u64> {
        let table = self.table();
        let found = table.links.iter().find(|(_, link)| link.transport == transport && link.peer == peer);
        found.map(|(id, _)| *id)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is whole after every statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first number of a TCP connection.
const FIRST_TCP_LINK: u64 = 1 << 16;
/// Messages in one outbox, however small.
const OUTBOX_MESSAGES: usize = 512;
