//! What is under way, and who has room: every service has so many calls and no more, and calls of which nobody is asked
//! anything have a lane of their own, so a service that hangs holds up what it is to answer itself and nothing else.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use crate::config::AgentSettings;
use crate::store::{DueExtraction, ExtractionKind, ExtractionState, WithoutRoom};

/// Where an order stands while it is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Nobody is asked: what came of the call is written down and told.
    Telling,
    /// A service is asked; its origin.
    Service(String),
}

/// The orders under way, by call.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    under_way: HashMap<String, Order>,
    lanes: HashMap<Lane, usize>,
}

#[derive(Debug)]
struct Order {
    kind: ExtractionKind,
    lane: Lane,
    hurry: CancellationToken,
}

impl Lane {
    /// That of an order that the call of `agent` has.
    pub(super) fn of(order: &DueExtraction, agent: Option<&AgentSettings>) -> Self {
        let wish = agent.and_then(|agent| agent.extract.as_ref());
        match wish.filter(|_| order.state == ExtractionState::Pending) {
            Some(wish) => Self::Service(wish.url.origin()),
            None => Self::Telling,
        }
    }

    /// Leaves `order`, for which it has no room, and others of its kind out of the next look.
    pub(super) fn leave_out(&self, order: DueExtraction, without_room: &mut WithoutRoom) {
        match order.state {
            ExtractionState::Pending => without_room.bots.extend([order.bot]),
            ExtractionState::Done | ExtractionState::Dead | ExtractionState::Off => {
                without_room.settled = true;
            }
        }
    }
}

impl Lanes {
    /// An order of that call begins; it is cancelled when it has to hurry.
    pub(super) fn enter(&mut self, order: &DueExtraction, lane: Lane) -> CancellationToken {
        let hurry = CancellationToken::new();
        *self.lanes.entry(lane.clone()).or_default() += 1;
        let entered = Order { kind: order.kind, lane, hurry: hurry.clone() };
        self.under_way.insert(order.call_id.clone(), entered);
        hurry
    }

    /// The order of that call is over.
    pub(super) fn leave(&mut self, call_id: &str) {
        let Some(order) = self.under_way.remove(call_id) else { return };
        if let Some(orders) = self.lanes.get_mut(&order.lane) {
            *orders -= 1;
            if *orders == 0 {
                self.lanes.remove(&order.lane);
            }
        }
    }

    /// Ends what is asked of that call before its end.
    pub(super) fn hurry(&self, call_id: &str) {
        if let Some(order) = self.under_way.get(call_id).filter(|order| order.kind == ExtractionKind::Live) {
            order.hurry.cancel();
        }
    }

    pub(super) fn is_under_way(&self, call_id: &str) -> bool {
        self.under_way.contains_key(call_id)
    }

    /// The calls that are up, as far as is known here, and of which something is asked.
    pub(super) fn live(&self) -> Vec<&str> {
        let live = self.under_way.iter().filter(|(_, order)| order.kind == ExtractionKind::Live);
        live.map(|(call_id, _)| call_id.as_str()).collect()
    }

    pub(super) fn has_room(&self, lane: &Lane) -> bool {
        let in_lane = |lane| self.lanes.get(lane).copied().unwrap_or_default();
        match lane {
            Lane::Telling => in_lane(lane) < TELLINGS_MAX,
            Lane::Service(_) => {
                let asked = self.under_way.len().saturating_sub(in_lane(&Lane::Telling));
                asked < EXTRACTIONS_MAX && in_lane(lane) < EXTRACTIONS_PER_SERVICE_MAX
            }
        }
    }
}

/// Calls at whose extraction services work at a time.
pub const EXTRACTIONS_MAX: usize = 128;

/// Of them at one service.
pub const EXTRACTIONS_PER_SERVICE_MAX: usize = 32;

/// Calls whose result is written down and told at a time.
pub const TELLINGS_MAX: usize = 32;
