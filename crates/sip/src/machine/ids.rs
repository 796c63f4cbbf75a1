//! Numbers for legs and transactions, and unguessable words for tags, branches and Call-IDs.

use std::hash::{BuildHasher, RandomState};

/// A leg within one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(u64);

/// A transaction within one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TxId(u64);

/// A request outside of any dialog, within one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoneId(u64);

/// The source of all ids. Words are SipHash of a counter under two keys that the system drew at random.
#[derive(Debug)]
pub(super) struct Ids {
    counter: u64,
    keys: [RandomState; 2],
}

impl Ids {
    pub(super) fn new() -> Self {
        Self { counter: 0, keys: [RandomState::new(), RandomState::new()] }
    }

    pub(super) fn leg(&mut self) -> LegId {
        LegId(self.next())
    }

    pub(super) fn tx(&mut self) -> TxId {
        TxId(self.next())
    }

    pub(super) fn lone(&mut self) -> LoneId {
        LoneId(self.next())
    }

    /// 128 bits nobody can guess.
    pub(super) fn word(&mut self) -> String {
        let n = self.next();
        let [a, b] = &self.keys;
        format!("{:016x}{:016x}", a.hash_one(n), b.hash_one(n))
    }

    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.word())
    }

    /// The same 64 bits for the same text: the To tag of stateless responses (§8.2.7).
    pub(super) fn word_of(&self, text: &str) -> String {
        let [a, _] = &self.keys;
        format!("{:016x}", a.hash_one(text))
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let n = self.next();
        let [a, _] = &self.keys;
        a.hash_one(n) % bound.max(1)
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}
