//! Which calls are up: who may come in, how others reach a call, and the sums of those that ended.
//!
//! A call's task owns the call; everybody else has a [`CallHandle`]. The lock is taken when a call begins,
//! ends, changes its state, and once a second; never for a frame.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patchcord_core::call::{Order, RecordingOrder, RecordingState, RefusedCall, refused_record};
use patchcord_core::vocabulary::{CallId, CallRecord, Cause, CommandRefusal, Counters, Moment, Reason};
use tokio::sync::{Notify, mpsc, oneshot};

use super::chronicle::CallPage;
use super::listeners::{OVERHEARD_PIECES_MAX, Overheard};
use super::quality_totals::QualityTotals;

/// All calls of the process.
#[derive(Debug)]
pub struct Registry {
    ledger: Mutex<Ledger>,
    calls_max: usize,
    emptied: Notify,
}

/// What others may do with a call.
#[derive(Debug, Clone)]
pub struct CallHandle {
    /// Its id.
    pub id: CallId,
    /// Where orders go; when it is full the call is busy.
    pub mailbox: mpsc::Sender<CallOrder>,
    /// How it stands.
    pub snapshot: Arc<Mutex<Snapshot>>,
}

/// What others may ask of a call.
#[derive(Debug)]
pub enum CallOrder {
    /// Do that, and say why not if it cannot be done.
    Do(Order, oneshot::Sender<Option<CommandRefusal>>),
    /// End, for that reason.
    HangUp(Reason),
    /// Record it, or no more.
    Recording(RecordingOrder),
    /// Let somebody listen, and say whether there is room.
    Listen(mpsc::Sender<Overheard>, oneshot::Sender<bool>),
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The call itself says why.
    #[error("{}", .0.message)]
    Refused(CommandRefusal),
    /// The call is over, or about to be.
    #[error("the call is over")]
    Over,
    /// Too many orders wait for the call, or it does not come to them.
    #[error("the call has too many orders to carry out")]
    Busy,
}

impl CallHandle {
    /// Has the call do something, and waits until it has begun.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn order(&self, order: Order) -> Result<(), OrderError> {
        let (answer, answered) = oneshot::channel();
        self.leave(CallOrder::Do(order, answer))?;
        within_patience(answered).await?.map_or(Ok(()), |refusal| Err(OrderError::Refused(refusal)))
    }

    /// Has the call let somebody listen to it.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn listen(&self) -> Result<mpsc::Receiver<Overheard>, OrderError> {
        let (ear, hears) = mpsc::channel(OVERHEARD_PIECES_MAX);
        let (answer, answered) = oneshot::channel();
        self.leave(CallOrder::Listen(ear, answer))?;
        let has_room = within_patience(answered).await?;
        has_room.then_some(hears).ok_or_else(|| {
            OrderError::Refused(CommandRefusal {
                code: "too_many_listeners",
                message: "as many listen to this call as may".to_owned(),
                command: "listen".into(),
            })
        })
    }

    /// Has the call's recording begin, end, pause or go on.
    ///
    /// # Errors
    /// [`OrderError::Over`], [`OrderError::Busy`].
    pub fn record(&self, order: RecordingOrder) -> Result<(), OrderError> {
        self.leave(CallOrder::Recording(order))
    }

    /// Has the call end.
    ///
    /// # Errors
    /// [`OrderError::Over`], [`OrderError::Busy`].
    pub fn hang_up(&self, reason: Reason) -> Result<(), OrderError> {
        self.leave(CallOrder::HangUp(reason))
    }

    fn leave(&self, order: CallOrder) -> Result<(), OrderError> {
        self.mailbox.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => OrderError::Busy,
            mpsc::error::TrySendError::Closed(_) => OrderError::Over,
        })
    }
}

/// The call's answer to an order.
async fn within_patience<T>(answered: oneshot::Receiver<T>) -> Result<T, OrderError> {
    match tokio::time::timeout(ORDER_PATIENCE, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(OrderError::Over),
        Err(_) => Err(OrderError::Busy),
    }
}

/// How a call stood when it last said so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snapshot {
    /// When it was answered.
    pub answered_at: Option<Moment>,
    /// How its recording stands.
    pub recording: RecordingState,
    /// How long the caller waited for the bot's last answer.
    pub response: Option<Duration>,
    /// What was counted.
    pub counters: Counters,
}

/// A call's place among the calls, given up when it is dropped.
#[derive(Debug)]
pub struct Seat {
    registry: Arc<Registry>,
    id: CallId,
    snapshot: Arc<Mutex<Snapshot>>,
    ended: bool,
    last_will: Option<(CallPage, RefusedCall)>,
}

/// The sums that `/metrics` shows.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Calls that are up.
    pub active: usize,
    /// Ended calls by cause.
    pub ended: BTreeMap<Reason, u64>,
    /// Seconds from the answer to the end, over all ended calls.
    pub billable_s: u64,
    /// Everything counted, over ended calls and those that are up.
    pub counters: Counters,
    /// How the ended calls sounded.
    pub quality: QualityTotals,
}

#[derive(Debug, Default)]
struct Ledger {
    calls: HashMap<CallId, CallHandle>,
    /// Changed under the lock, so that nobody comes in once the stop has begun to count who is left.
    draining: bool,
    totals: Totals,
}

impl Registry {
    /// A registry for at most `calls_max` calls at a time.
    pub fn new(calls_max: usize) -> Arc<Self> {
        Arc::new(Self { ledger: Mutex::default(), calls_max, emptied: Notify::new() })
    }

    /// Gives a call its seat and its mailbox.
    ///
    /// # Errors
    /// [`Reason::Drained`] while the process stops, [`Reason::OverCapacity`] when all seats are taken.
    pub fn admit(self: &Arc<Self>, id: &CallId) -> Result<(Seat, mpsc::Receiver<CallOrder>), Reason> {
        let mut ledger = self.ledger();
        if ledger.draining {
            return Err(Reason::Drained);
        }
        if ledger.calls.len() >= self.calls_max {
            return Err(Reason::OverCapacity);
        }
        let (mailbox, orders) = mpsc::channel(MAILBOX_ORDERS_MAX);
        let snapshot = Arc::<Mutex<Snapshot>>::default();
        let handle = CallHandle { id: id.clone(), mailbox, snapshot: snapshot.clone() };
        ledger.calls.insert(id.clone(), handle);
        Ok((Seat { registry: self.clone(), id: id.clone(), snapshot, ended: false, last_will: None }, orders))
    }

    /// Counts a call that was refused before it had a seat.
    pub fn refused(&self, record: &CallRecord) {
        self.ledger().totals.add(record);
    }

    /// Refuses new calls from here on.
    pub fn drain(&self) {
        self.ledger().draining = true;
    }

    /// Whether new calls are refused because the process stops.
    pub fn is_draining(&self) -> bool {
        self.ledger().draining
    }

    /// Resolves when no call is up.
    pub async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.ledger().calls.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Asks every call that is up to end. A call whose mailbox is full is asked by nobody else's fault but its
    /// own; the end of the process takes it along.
    pub fn hang_up_all(&self, reason: Reason) {
        for handle in self.handles() {
            let _ = handle.mailbox.try_send(CallOrder::HangUp(reason));
        }
    }

    /// The call of that id, if it is up.
    pub fn find(&self, id: &CallId) -> Option<CallHandle> {
        self.ledger().calls.get(id).cloned()
    }

    /// The calls that are up.
    pub fn handles(&self) -> Vec<CallHandle> {
        self.ledger().calls.values().cloned().collect()
    }

    /// Whether any call is up.
    pub fn has_calls(&self) -> bool {
        !self.ledger().calls.is_empty()
    }

    /// The sums at this moment.
    pub fn totals(&self) -> Totals {
        let ledger = self.ledger();
        let mut totals = ledger.totals.clone();
        totals.active = ledger.calls.len();
        for handle in ledger.calls.values() {
            let snapshot = handle.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
            totals.counters.add(&snapshot.counters);
        }
        totals
    }

    fn remove(&self, id: &CallId) -> MutexGuard<'_, Ledger> {
        let mut ledger = self.ledger();
        ledger.calls.remove(id);
        if ledger.calls.is_empty() {
            self.emptied.notify_waiters();
        }
        ledger
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic elsewhere left whole entries behind: nothing here is changed in two steps.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Shows others how the call stands.
    pub fn show(&self, snapshot: Snapshot) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    /// Leaves what is known of the call, for the record of one that is dropped before its end.
    pub fn bequeath(&mut self, page: CallPage, call: RefusedCall) {
        self.last_will = Some((page, call));
    }

    /// Gives the seat up with the call's record.
    pub fn end(mut self, record: &CallRecord) {
        self.leave(Some(record));
    }

    /// Gives the seat up for a call that never began.
    pub fn dismiss(mut self) {
        self.ended = true;
        drop(self.registry.remove(&self.id));
    }

    fn leave(&mut self, record: Option<&CallRecord>) {
        self.ended = true;
        let mut ledger = self.registry.remove(&self.id);
        match record {
            Some(record) => ledger.totals.add(record),
            None => *ledger.totals.ended.entry(Reason::Internal).or_default() += 1,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.ended {
            tracing::error!(call_id = %self.id, "a call was dropped before its end");
            self.leave(None);
            if let Some((page, call)) = self.last_will.take() {
                page.end(&refused_record(call, Reason::Internal));
            }
        }
    }
}

impl Totals {
    fn add(&mut self, record: &CallRecord) {
        *self.ended.entry(record.cause.reason()).or_default() += 1;
        self.billable_s += record.billable_s();
        self.counters.add(&record.counters);
        self.quality.add(&record.quality);
    }

    /// Ended calls with their causes.
    pub fn causes(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        self.ended.iter().map(|(reason, count)| (Cause::new(*reason), *count))
    }
}

/// Orders that may wait for one call.
const MAILBOX_ORDERS_MAX: usize = 64;

/// How long an order may wait for the call to come to it.
const ORDER_PATIENCE: Duration = Duration::from_secs(2);

/// Calls at a time; one more is refused with 503.
pub const CALLS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::super::chronicle::Chronicle;
    use super::super::records::{Labels, Records};
    use super::*;
    use crate::config::Database;
    use crate::store::{CallbackAddress, NewCall, Store};
    use patchcord_core::vocabulary::{Direction, PhoneNumber, StreamId, WallClock};

    fn id(n: u8) -> CallId {
        CallId::new(1, [n; 12])
    }

    #[tokio::test]
    async fn an_order_is_answered_by_the_call_and_a_call_that_is_gone_or_too_busy_says_so() {
        let registry = Registry::new(2);
        let (seat, mut orders) = registry.admit(&id(1)).unwrap();
        let handle = registry.find(&id(1)).unwrap();
        let calls = async {
            let Some(CallOrder::Do(Order::Clear, answer)) = orders.recv().await else { panic!("no order") };
            answer.send(None).unwrap();
            let Some(CallOrder::Do(_, answer)) = orders.recv().await else { panic!("no order") };
            let refusal = CommandRefusal { code: "no", message: "no".to_owned(), command: "clear".into() };
            answer.send(Some(refusal)).unwrap();
        };
        let orderer = async {
            assert_eq!(handle.order(Order::Clear).await, Ok(()));
            assert!(matches!(handle.order(Order::Clear).await, Err(OrderError::Refused(_))));
        };
        tokio::join!(calls, orderer);
        while handle.hang_up(Reason::Asked).is_ok() {}
        assert_eq!(handle.order(Order::Clear).await, Err(OrderError::Busy));
        drop(orders);
        assert_eq!(handle.order(Order::Clear).await, Err(OrderError::Over));
        drop(seat);
        assert!(registry.find(&id(1)).is_none());
    }

    #[test]
    fn a_call_beyond_the_cap_is_refused_and_a_seat_that_is_given_up_is_free_again() {
        let registry = Registry::new(2);
        let (first, _) = registry.admit(&id(1)).unwrap();
        let _second = registry.admit(&id(2)).unwrap();
        assert_eq!(registry.admit(&id(3)).err(), Some(Reason::OverCapacity));
        drop(first);
        assert!(registry.admit(&id(3)).is_ok());
    }

    #[test]
    fn a_draining_process_admits_nobody() {
        let registry = Registry::new(2);
        registry.drain();
        assert_eq!(registry.admit(&id(1)).err(), Some(Reason::Drained));
    }

    #[test]
    fn nobody_comes_in_once_the_drain_has_begun_however_many_try_at_that_moment() {
        for _ in 0..20 {
            let registry = Registry::new(usize::MAX);
            let doors: Vec<_> = (0..3)
                .map(|door| {
                    let registry = registry.clone();
                    std::thread::spawn(move || {
                        let mut seats = Vec::new();
                        for number in 0u64.. {
                            match registry.admit(&CallId::new(number, [door; 12])) {
                                Ok(admitted) => seats.push(admitted),
                                Err(_) => return seats,
                            }
                        }
                        seats
                    })
                })
                .collect();
            while registry.totals().active == 0 {}
            registry.drain();
            let counted = registry.totals().active;
            let seats: Vec<_> = doors.into_iter().flat_map(|door| door.join().unwrap()).collect();
            assert_eq!(seats.len(), counted);
            seats.into_iter().for_each(|(seat, _)| seat.dismiss());
        }
    }

    #[tokio::test]
    async fn orders_reach_the_call_and_the_drain_ends_when_the_last_call_has_left() {
        let registry = Registry::new(2);
        let (seat, mut orders) = registry.admit(&id(1)).unwrap();
        registry.hang_up_all(Reason::Drained);
        assert!(matches!(orders.recv().await, Some(CallOrder::HangUp(Reason::Drained))));
        let waiting = registry.clone();
        let emptied = async move { waiting.empty().await };
        let leaving = async move { drop(seat) };
        tokio::join!(emptied, leaving);
        assert_eq!(registry.totals().active, 0);
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_before_its_end_is_counted_as_our_fault_and_leaves_a_record() {
        let registry = Registry::new(2);
        let folder = std::env::temp_dir().join(format!("patchcord-last-will-{}", std::process::id()));
        let (records, thread) = Records::open(&folder, Labels::default()).unwrap();
        let database = Database::in_folder(&folder);
        let (store, store_thread) = Store::open(&database, "here", |_, _, _| String::new()).await.unwrap();
        let (mut seat, _orders) = registry.admit(&id(1)).unwrap();
        let call = RefusedCall {
            call_id: id(1),
            stream_id: StreamId::new(1, 1),
            phone_leg_id: "leg".into(),
            from: PhoneNumber::new("1001"),
            to: PhoneNumber::new("echo"),
            direction: Direction::Inbound,
            phone_dialect: "sip",
            clock: WallClock::new(1_707_204_900_000, Moment::START),
            at: Moment::START,
        };
        let new = NewCall {
            call_id: id(1).as_str().into(),
            stream_id: "1.001".into(),
            parties: None,
            direction: Direction::Inbound,
            bot: "echo".into(),
            phone_dialect: "sip".into(),
            bot_dialect: "built-in".into(),
            started_ms: 1_707_204_900_000,
            callback: CallbackAddress::Known(None),
            custom_params: BTreeMap::new(),
            leaves_files: false,
        };
        store.begin_call(new, 1_707_204_900_000).await.unwrap();
        let chronicle = Chronicle::new(store.clone(), records);
        seat.bequeath(chronicle.page((&call.call_id, call.clock)), call);
        drop(seat);
        thread.join();
        store_thread.join();
        let stored = store.find_call(id(1).as_str()).await.unwrap().unwrap();
        assert_eq!((stored.status.word(), stored.from.as_str()), ("failed", "1001"));
        assert_eq!(registry.totals().ended.get(&Reason::Internal), Some(&1));
        let line = std::fs::read_to_string(folder.join("calls.jsonl")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (record["call_id"].as_str(), record["cause"]["reason"].as_str()),
            (Some(id(1).as_str()), Some("internal"))
        );
        std::fs::remove_dir_all(folder).unwrap();
    }
}
