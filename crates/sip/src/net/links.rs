//! The open TCP connections by number and by peer: who may write to which.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A connection's way in.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) peer: SocketAddr,
    outbox: mpsc::Sender<Bytes>,
    close: CancellationToken,
}

/// Why octets did not go out over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    /// No such connection.
    Gone,
    /// The peer does not read: the connection is closed.
    Stuck,
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
        peer: SocketAddr,
        outbox: mpsc::Sender<Bytes>,
        close: CancellationToken,
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
        table.links.insert(id, Link { peer, outbox, close });
        Some(id)
    }

    pub(crate) fn leave(&self, id: u64) {
        self.table().links.remove(&id);
    }

    /// Queues octets for a connection.
    pub(crate) fn send(&self, id: u64, octets: Bytes) -> Result<(), LinkError> {
        let link = self.table().links.get(&id).cloned().ok_or(LinkError::Gone)?;
        match link.outbox.try_send(octets) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(LinkError::Gone),
            Err(mpsc::error::TrySendError::Full(_)) => {
                link.close.cancel();
                Err(LinkError::Stuck)
            }
        }
    }

    /// A connection to this peer address.
    pub(crate) fn to_peer(&self, peer: SocketAddr) -> Option<u64> {
        self.table().links.iter().find(|(_, link)| link.peer == peer).map(|(id, _)| *id)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is whole after every statement, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first number of a TCP connection.
const FIRST_TCP_LINK: u64 = 1 << 16;
