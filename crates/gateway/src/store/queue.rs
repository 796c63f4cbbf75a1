//! The line of writes that wait for the one writer. Whoever stands in it never waits for the disk to get in.
//!
//! Beginnings of calls go ahead: a caller waits for them. Facts of a call whose beginning still waits there stand behind
//! it, so that none is written before it.
//!
//! It is bounded by who may come in: admission is refused while it is long, and each admitted call has few facts to
//! tell, so none of them is ever dropped.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::StoreError;
use super::health::{Health, StoreFigures};
use super::work::{Done, Work};

/// One write.
pub(super) struct Entry {
    pub(super) work: Work,
    /// When what it tells happened, ms since 1970.
    pub(super) at_ms: u64,
    /// Where it is acknowledged, if somebody waits for that.
    pub(super) done: Option<oneshot::Sender<Result<Done, StoreError>>>,
    pub(super) since: Instant,
}

/// The line.
#[derive(Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    arrived: Notify,
    pub(super) health: Health,
}

#[derive(Default)]
struct Line {
    /// Beginnings that somebody waits for, and what their calls tell meanwhile.
    ahead: VecDeque<Entry>,
    /// The calls whose beginning stands there.
    beginning: HashSet<Box<str>>,
    waiting: VecDeque<Entry>,
    /// Whether the last batch was of those that go ahead: then it is the turn of the others.
    was_ahead: bool,
    /// Taken by the writer and not committed yet.
    in_hand: usize,
    /// Since when nothing follows.
    closed: Option<Instant>,
}

impl Entry {
    pub(super) fn new(work: Work, at_ms: u64) -> Self {
        Self { work, at_ms, done: None, since: Instant::now() }
    }
}

impl Queue {
    /// Puts a write at the end.
    pub(super) fn push(&self, entry: Entry) {
        {
            let mut line = self.line();
            let goes_ahead = match &entry.work {
                Work::Begin(new) if entry.done.is_some() => {
                    line.beginning.insert(new.call_id.clone());
                    true
                }
                Work::Fact(call_id, _) => line.beginning.contains(call_id),
                _ => false,
            };
            if goes_ahead { &mut line.ahead } else { &mut line.waiting }.push_back(entry);
        }
        self.arrived.notify_one();
    }

    /// The next writes, at most [`BATCH_MAX`]; `None` when the line is closed and empty.
    ///
    /// Where nobody waits for the commit, it lingers a moment: one commit for many facts.
    pub(super) async fn take(&self) -> Option<Vec<Entry>> {
        loop {
            let arrived = self.arrived.notified();
            let wait = {
                let line = self.line();
                match line.oldest() {
                    None if line.closed.is_some() => return None,
                    None => None,
                    Some(_) if line.is_urgent() => Some(Duration::ZERO),
                    Some(first) => Some(LINGER.saturating_sub(first.since.elapsed())),
                }
            };
            match wait {
                None => arrived.await,
                Some(Duration::ZERO) => return Some(self.take_now()),
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, arrived).await;
                }
            }
        }
    }

    fn take_now(&self) -> Vec<Entry> {
        let mut line = self.line();
        let batch = line.take();
        line.in_hand = batch.len();
        if let Some(oldest) = batch.iter().map(|entry| entry.since).min() {
            self.health.began(oldest);
        }
        batch
    }

    /// What was taken is over and done with.
    pub(super) fn put_away(&self) {
        self.line().in_hand = 0;
        self.health.done();
    }

    /// Lets the writer end once everything is written.
    pub(super) fn close(&self) {
        self.line().closed.get_or_insert_with(Instant::now);
        self.arrived.notify_one();
    }

    /// Whether it was closed that long ago.
    pub(super) fn closed_for(&self, time: Duration) -> bool {
        self.line().closed.is_some_and(|since| since.elapsed() > time)
    }

    /// The figures of this moment.
    pub(super) fn figures(&self) -> StoreFigures {
        let (waiting, oldest) = {
            let line = self.line();
            let oldest = self.health.busy_since().or_else(|| line.oldest().map(|entry| entry.since));
            let waiting = line.ahead.len() + line.waiting.len() + line.in_hand;
            (waiting, oldest.map_or(Duration::ZERO, |since| since.elapsed()))
        };
        self.health.figures(waiting, oldest)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // A panic elsewhere left a whole line behind: nothing in it is changed in two steps.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Whether what waits should not wait for company.
    fn is_urgent(&self) -> bool {
        self.closed.is_some()
            || !self.ahead.is_empty()
            || self.waiting.len() >= BATCH_MAX
            || self.waiting.iter().any(|entry| entry.done.is_some())
    }

    fn oldest(&self) -> Option<&Entry> {
        let fronts = [self.ahead.front(), self.waiting.front()];
        fronts.into_iter().flatten().min_by_key(|entry| entry.since)
    }

    /// The next batch: those ahead and the others by turns, or together where the others are few.
    fn take(&mut self) -> Vec<Entry> {
        let turn_of_others = self.was_ahead && !self.waiting.is_empty();
        let take_ahead = !turn_of_others || self.waiting.len() <= FEW;
        let take_others = turn_of_others || self.ahead.is_empty() || self.waiting.len() <= FEW;
        let mut batch = Vec::new();
        if take_ahead {
            batch.extend(self.ahead.drain(..self.ahead.len().min(BATCH_MAX)));
            for entry in &batch {
                if let Work::Begin(new) = &entry.work {
                    self.beginning.remove(&new.call_id);
                }
            }
        }
        self.was_ahead = !batch.is_empty() && !take_others;
        if take_others {
            let count = self.waiting.len().min(BATCH_MAX.saturating_sub(batch.len()));
            batch.extend(self.waiting.drain(..count));
        }
        batch
    }
}

/// Writes of one commit.
pub const BATCH_MAX: usize = 128;

/// Facts that hold up no beginning.
const FEW: usize = 16;

/// How long facts that nobody waits for stand for company.
const LINGER: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CallbackAddress, Fact, NewCall};
    use patchcord_core::vocabulary::Direction;

    fn begin(n: usize) -> Entry {
        let new = NewCall {
            call_id: n.to_string().into(),
            stream_id: "1.001".into(),
            parties: None,
            direction: Direction::Inbound,
            bot: "echo".into(),
            phone_dialect: "sip".into(),
            bot_dialect: "built-in".into(),
            started_ms: 0,
            callback: CallbackAddress::Known(None),
            custom_params: Default::default(),
            leaves_files: false,
        };
        let (done, _) = oneshot::channel();
        Entry { done: Some(done), ..Entry::new(Work::Begin(Box::new(new)), 0) }
    }

    fn fact(n: usize) -> Entry {
        Entry::new(Work::Fact(n.to_string().into(), Box::new(Fact::Ringing)), 0)
    }

    /// How many beginnings and facts the next batches hold.
    async fn batches(queue: &Queue, count: usize) -> Vec<(usize, usize)> {
        let mut sizes = Vec::new();
        for _ in 0..count {
            let batch = queue.take().await.unwrap();
            let begins = batch.iter().filter(|entry| matches!(entry.work, Work::Begin(_))).count();
            sizes.push((begins, batch.len() - begins));
            queue.put_away();
        }
        sizes
    }

    #[tokio::test]
    async fn a_beginning_waits_for_no_crowd_of_facts_and_the_crowd_gets_its_turn() {
        let queue = Queue::default();
        (0..300).for_each(|n| queue.push(fact(n)));
        queue.push(begin(1));
        assert_eq!(batches(&queue, 1).await, [(1, 0)]);
        queue.push(begin(2));
        assert_eq!(batches(&queue, 2).await, [(0, 128), (1, 0)]);
        queue.push(begin(3));
        assert_eq!(batches(&queue, 3).await, [(0, 128), (1, 0), (0, 44)]);
        assert_eq!(queue.figures(), queue.health.figures(0, Duration::ZERO));
    }

    #[tokio::test]
    async fn no_fact_is_written_before_the_beginning_of_its_call_however_many_wait() {
        let queue = Queue::default();
        (0..200).for_each(|n| queue.push(begin(n)));
        (1_000..1_100).for_each(|n| queue.push(fact(n)));
        queue.push(fact(150));
        assert_eq!(batches(&queue, 3).await, [(128, 0), (0, 100), (72, 1)]);
        queue.push(fact(150));
        assert_eq!(batches(&queue, 1).await, [(0, 1)]);
    }

    #[tokio::test]
    async fn a_few_facts_go_along_with_a_beginning() {
        let queue = Queue::default();
        (0..5).for_each(|n| queue.push(fact(n)));
        queue.push(begin(1));
        assert_eq!(batches(&queue, 1).await, [(1, 5)]);
        queue.close();
        assert!(queue.take().await.is_none());
    }
}
