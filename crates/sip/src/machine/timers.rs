//! All deadlines in order. An entry is only a reminder to look: its owner knows its own deadline. A transaction
//! moves its deadline a few times at most and pushes it again; a leg, which may live for hours, has one entry.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{LegId, TxId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    Server(TxId),
    Client(TxId),
    Leg(LegId),
}

#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, TimerKey)>);

impl Timers {
    pub(super) fn push(&mut self, at: Instant, key: TimerKey) {
        self.0.insert((at, key));
    }

    pub(super) fn remove(&mut self, at: Instant, key: TimerKey) {
        self.0.remove(&(at, key));
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let (at, key) = *self.0.first()?;
        if at > now {
            return None;
        }
        self.0.pop_first();
        Some(key)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// How many entries there are for legs.
    #[cfg(test)]
    pub(super) fn of_legs(&self) -> usize {
        self.0.iter().filter(|(_, key)| matches!(key, TimerKey::Leg(_))).count()
    }
}
