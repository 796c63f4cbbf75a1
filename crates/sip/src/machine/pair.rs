//! Two machines on one link that may lose and change messages, for tests in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by panicking")]

use std::time::{Duration, Instant};

use super::tests::{Bench, SDP, flow, place};
use super::*;

pub(super) struct Pair {
    pub(super) caller: Bench,
    pub(super) callee: Bench,
    pub(super) now: Instant,
    /// Per cent of the messages.
    pub(super) loss: u64,
    /// Changes a message on its way; the flag says that it goes to the callee.
    pub(super) change: fn(&mut Message, bool),
    /// The requests that were sent, by method and direction, and when.
    pub(super) requests: Vec<(String, bool, Duration)>,
    wire: Vec<(Instant, bool, Message)>,
    random: u64,
}

impl Pair {
    pub(super) fn new(seed: u64, loss: u64) -> Self {
        let (caller, mut callee) = (Bench::new(), Bench::new());
        callee.now = caller.now;
        callee.start = caller.start;
        Self {
            now: caller.now,
            caller,
            callee,
            loss,
            change: |_, _| {},
            requests: Vec::new(),
            wire: Vec::new(),
            random: seed | 1,
        }
    }

    pub(super) fn place(&mut self) -> LegId {
        place(&mut self.caller)
    }

    /// Places a call that is answered at once.
    pub(super) fn answered(&mut self) -> (LegId, LegId) {
        let out = self.place();
        self.run_for(Duration::from_millis(200));
        let there = self.callee.incoming[0];
        self.callee.command(there, Command::Answer(SDP.to_owned())).unwrap();
        self.run_for(Duration::from_millis(200));
        (out, there)
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Carries messages and lets timers fire; each message arrives after 5–45 ms, or is lost.
    pub(super) fn run_until(&mut self, end: Instant) {
        loop {
            self.collect();
            let wire = self.wire.iter().map(|(at, ..)| *at).min();
            let timers = [self.caller.machine.poll_timeout(), self.callee.machine.poll_timeout()];
            let next = wire.into_iter().chain(timers.into_iter().flatten()).min().filter(|at| *at <= end);
            self.now = self.now.max(next.unwrap_or(end));
            (self.caller.now, self.callee.now) = (self.now, self.now);
            self.caller.pass(Duration::ZERO);
            self.callee.pass(Duration::ZERO);
            while let Some(at) = self.wire.iter().position(|(at, ..)| *at <= self.now) {
                let (_, to_callee, message) = self.wire.swap_remove(at);
                let bench = if to_callee { &mut self.callee } else { &mut self.caller };
                bench.machine.handle_message(self.now, flow(Transport::Udp), message);
                bench.drain();
            }
            if next.is_none() {
                return self.collect();
            }
        }
    }

    /// Puts what was sent on the wire, and answers what was offered.
    fn collect(&mut self) {
        answer_offers(&mut self.callee);
        answer_offers(&mut self.caller);
        for to_callee in [true, false] {
            let bench = if to_callee { &mut self.caller } else { &mut self.callee };
            for (_, mut message, at) in std::mem::take(&mut bench.sent) {
                if let Some(method) = message.method() {
                    self.requests.push((method.to_owned(), to_callee, at));
                }
                (self.change)(&mut message, to_callee);
                if self.draw(100) >= self.loss {
                    let delay = Duration::from_millis(5 + self.draw(40));
                    self.wire.push((self.now + delay, to_callee, message));
                }
            }
        }
    }

    fn draw(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }
}

pub(super) fn answer_offers(bench: &mut Bench) {
    let open: Vec<(LegId, TxId)> = bench
        .events
        .iter()
        .filter_map(|(leg, event)| match event {
            LegEvent::Reoffer { id, .. } => Some((*leg, *id)),
            _ => None,
        })
        .collect();
    for (leg, id) in open {
        bench.command(leg, Command::AnswerReoffer(id, SDP.to_owned())).ok();
    }
}
