//! One heap of deadlines. An entry is only a reminder to look: its owner knows its own deadline, so a
//! changed one is never removed, just pushed again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::{LegId, TxId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    Server(TxId),
    Client(TxId),
    Leg(LegId),
}

#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, TimerKey)>>);

impl Timers {
    pub(super) fn push(&mut self, at: Instant, key: TimerKey) {
        self.0.push(Reverse((at, key)));
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<TimerKey> {
        let Reverse((at, key)) = *self.0.peek()?;
        if at > now {
            return None;
        }
        self.0.pop();
        Some(key)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }
}
