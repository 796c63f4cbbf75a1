//! One call's place in a line: taken when its flow wants it, left when it has somebody, or is gone.

use std::sync::Arc;
use std::task::{Context, Poll};

use patchcord_core::call::QueueOrder;
use patchcord_core::vocabulary::{FlowEvent, Moment};
use tokio::sync::mpsc;
use tracing::info;

use super::exchange::Exchange;
use super::queues::PlaceId;

/// A place, if the call has one.
#[derive(Debug)]
pub struct QueueSeat {
    exchange: Arc<Exchange>,
    place: Option<(PlaceId, mpsc::Receiver<FlowEvent>)>,
    /// There was no room, which the call is to be told.
    no_room: bool,
}

impl QueueSeat {
    /// Nobody waits yet.
    pub fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange, place: None, no_room: false }
    }

    /// Does what the call wants; says that there may be news.
    pub fn obey(&mut self, order: &QueueOrder, now: Moment) -> bool {
        match order {
            QueueOrder::Join(name) => {
                self.leave();
                let config = self.exchange.config();
                let queue = config.queues.iter().find(|queue| queue.name == **name);
                self.place = queue.and_then(|queue| self.exchange.queues.join(queue, now));
                self.no_room = self.place.is_none();
                info!(queue = %name, waits = self.place.is_some(), "caller queued");
            }
            QueueOrder::Stay => {
                if let Some((id, _)) = &self.place {
                    self.exchange.queues.stay(*id, now);
                }
            }
            QueueOrder::Leave => self.leave(),
        }
        self.exchange.serve_queues();
        true
    }

    /// What is new in the line.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<FlowEvent> {
        if std::mem::take(&mut self.no_room) {
            return Poll::Ready(FlowEvent::NoRoom);
        }
        let Some((_, news)) = &mut self.place else { return Poll::Pending };
        match news.poll_recv(cx) {
            Poll::Ready(Some(event)) => Poll::Ready(event),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn leave(&mut self) {
        if let Some((id, _)) = self.place.take() {
            self.exchange.queues.leave(id);
        }
    }
}

impl Drop for QueueSeat {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.leave();
            self.exchange.serve_queues();
        }
    }
}
