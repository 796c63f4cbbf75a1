//! The store: calls, their events, and the deliveries of these, in SQLite or PostgreSQL.
//!
//! Typed functions only. Every write goes through one line to one writer that commits many at once and acknowledges
//! after the commit (ADR 0007); reads have connections of their own. Nothing in here knows calls, HTTP or jobs.

mod call;
mod calls;
mod course;
mod deliveries;
mod drafts;
mod engine;
mod error;
mod extractions;
mod health;
mod keys;
mod open;
mod overview;
mod queue;
mod rows;
mod schema;
mod status;
mod talk;
mod traces;
mod transfers;
mod work;
mod writer;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use patchcord_core::vocabulary::Utterance;
use tokio::sync::{oneshot, watch};

use crate::config::Database;

pub use call::{CallbackAddress, NewCall, StoredCall, StoredCause, StoredParties, direction_word};
pub use calls::{CallCursor, CallFilter, CallMarks, StoredEvent};
pub use course::{EndedCall, Fact, NamedCallback, RecordedPart, StoredRecording};
pub use deliveries::{
    AttemptOutcome, DeliveryFilter, DeliveryKind, DeliveryState, DueDelivery, StoredDelivery,
};
pub use error::StoreError;
pub use extractions::{
    DueExtraction, ExtractionKind, ExtractionOutcome, ExtractionState, NewWebhook, StoredExtraction,
    WithoutRoom,
};
pub use health::{COMMIT_BOUNDS_MS, StoreFigures};
pub use keys::KeyClaim;
pub use overview::{BotTally, CallTally, OpenDeliveries};
pub use queue::BATCH_MAX;
pub use status::{CallStatus, EventName};
pub use talk::{
    Beside, CallFileNames, ExtractedFields, FieldsState, PlacedUtterance, StoredCallFiles, StoredFields,
};
pub use traces::Trace;
pub use transfers::{UNIX_CLOCK, since_1970};
pub use writer::StoreThread;

use engine::Readers;
use open::Door;
use queue::{Entry, Queue};
use work::{Done, Scribe, Work};
use writer::Writer;

/// Makes the body of an event from the call as it stands with it: of a call, what is told, when (ms since 1970).
pub type EventBody = dyn Fn(&StoredCall, EventName, u64) -> String + Send + Sync;

/// The store; clones share it.
#[derive(Clone)]
pub struct Store {
    queue: Arc<Queue>,
    readers: Readers,
    committed: watch::Receiver<u64>,
    server: Arc<str>,
}

impl Store {
    /// Opens the database for the rows of `server` and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`], [`StoreError::Taken`], each with what to do.
    pub async fn open(
        database: &Database,
        server: &str,
        body: impl Fn(&StoredCall, EventName, u64) -> String + Send + Sync + 'static,
    ) -> Result<(Self, StoreThread), StoreError> {
        let door = Door::open(database, server)?;
        let readers = door.readers()?;
        let queue = Arc::<Queue>::default();
        let (committed, sees_commits) = watch::channel(0);
        let scribe = Scribe { server: server.to_owned(), body: Box::new(body) };
        let thread = Writer { door, queue: queue.clone(), scribe, committed }.start().await?;
        Ok((Self { queue, readers, committed: sees_commits, server: server.into() }, thread))
    }

    /// Stores a call that begins; resolves after the commit.
    ///
    /// # Errors
    /// [`StoreError::Behind`] when the database takes longer than [`WRITE_PATIENCE`]; the call is stored once it can.
    pub async fn begin_call(&self, new: NewCall, at_ms: u64) -> Result<(), StoreError> {
        self.acknowledged(Work::Begin(Box::new(new)), at_ms).await.map(|_| ())
    }

    /// Stores a call that begins, without waiting.
    pub fn begin_call_unawaited(&self, new: NewCall, at_ms: u64) {
        self.queue.push(Entry::new(Work::Begin(Box::new(new)), at_ms));
    }

    /// Stores what a call tells, without waiting; `at_ms` is when it happened, ms since 1970.
    pub fn tell(&self, call_id: &str, fact: Fact, at_ms: u64) {
        self.queue.push(Entry::new(Work::Fact(call_id.into(), Box::new(fact)), at_ms));
    }

    /// Stores what a call tells; resolves after the commit. Returns whether there is such a call.
    ///
    /// # Errors
    /// As [`Store::begin_call`].
    pub async fn tell_acknowledged(&self, call_id: &str, fact: Fact, at_ms: u64) -> Result<bool, StoreError> {
        self.found(Work::Fact(call_id.into(), Box::new(fact)), at_ms).await
    }

    /// Keeps a document of a call that is stored, without waiting.
    pub fn keep_trace(&self, call_id: &str, trace: Trace, document: String) {
        let work = Work::Trace { call_id: call_id.into(), trace, document: document.into() };
        self.queue.push(Entry::new(work, 0));
    }

    /// Stores what a call with an agent tells beside its own course, without waiting.
    pub fn add(&self, call_id: &str, beside: Beside, at_ms: u64) {
        self.queue.push(Entry::new(Work::Beside(call_id.into(), Box::new(beside)), at_ms));
    }

    /// The same; resolves after the commit, and with it after everything that the call told before. Returns whether
    /// there is such a call.
    ///
    /// # Errors
    /// As [`Store::begin_call`].
    pub async fn add_acknowledged(
        &self,
        call_id: &str,
        beside: Beside,
        at_ms: u64,
    ) -> Result<bool, StoreError> {
        self.found(Work::Beside(call_id.into(), Box::new(beside)), at_ms).await
    }

    /// Whether the line of writes is short enough for another call to come in.
    pub fn takes_calls(&self) -> bool {
        let figures = self.queue.figures();
        figures.waiting < ADMISSION_WRITES_MAX && figures.oldest < ADMISSION_AGE_MAX
    }

    /// The figures of this moment.
    pub fn figures(&self) -> StoreFigures {
        self.queue.figures()
    }

    /// Changes after every commit: look into the tables then.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// Counts a refused call for which there was no room.
    pub fn count_skipped(&self) {
        self.queue.health.skipped();
    }

    /// The call of that id.
    ///
    /// # Errors
    /// The database's; so for every function below.
    pub async fn find_call(&self, call_id: &str) -> Result<Option<StoredCall>, StoreError> {
        calls::find(&self.readers, call_id).await
    }

    /// Calls, newest first, from behind the cursor on.
    pub async fn list_calls(
        &self,
        filter: &CallFilter,
        behind: Option<&CallCursor>,
        limit: usize,
    ) -> Result<Vec<StoredCall>, StoreError> {
        calls::list(&self.readers, filter, behind, limit).await
    }

    /// Calls that began at `since_ms` or later, counted by slots of `slot_ms` and by status, earliest first.
    pub async fn tally_calls(&self, since_ms: u64, slot_ms: u64) -> Result<Vec<CallTally>, StoreError> {
        overview::tallies(&self.readers, since_ms, slot_ms).await
    }

    /// The same calls counted by bot, status and cause.
    pub async fn tally_bots(&self, since_ms: u64) -> Result<Vec<BotTally>, StoreError> {
        overview::bot_tallies(&self.readers, since_ms).await
    }

    /// Agents and how long, in ms, those calls of this server lasted that had one at last and ended since then.
    pub async fn talked_since(&self, since_ms: u64) -> Result<Vec<(String, u64)>, StoreError> {
        overview::talked(&self.readers, &self.server, since_ms).await
    }

    /// Bots and their response times (of each call the median, ms) in the newest calls since then that have one.
    pub async fn response_times(&self, since_ms: u64) -> Result<Vec<(String, u64)>, StoreError> {
        overview::response_times(&self.readers, since_ms).await
    }

    /// What nobody has taken.
    pub async fn open_deliveries(&self) -> Result<OpenDeliveries, StoreError> {
        overview::open_deliveries(&self.readers).await
    }

    /// What stands beside calls, by their ids; those beside which nothing does are left out.
    pub async fn marks_of(&self, ids: &[&str]) -> Result<HashMap<String, CallMarks>, StoreError> {
        calls::marks(&self.readers, ids).await
    }

    /// The calls of this server that are not over.
    pub async fn calls_up(&self) -> Result<Vec<StoredCall>, StoreError> {
        calls::up(&self.readers, &self.server).await
    }

    /// The calls of this server that ended at `since_ms` or later and have a record.
    pub async fn calls_ended_since(&self, since_ms: u64) -> Result<Vec<StoredCall>, StoreError> {
        calls::ended_since(&self.readers, &self.server, since_ms).await
    }

    /// When the newest event of this server happened, ms since 1970.
    pub async fn last_event_ms(&self) -> Result<Option<u64>, StoreError> {
        calls::last_event_ms(&self.readers, &self.server).await
    }

    /// Events behind that place, oldest first.
    pub async fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        calls::events_after(&self.readers, seq, limit).await
    }

    /// The place of the newest event.
    pub async fn last_seq(&self) -> Result<u64, StoreError> {
        calls::last_seq(&self.readers).await
    }

    /// The events of a call, in order.
    pub async fn events_of(&self, call_id: &str) -> Result<Vec<StoredEvent>, StoreError> {
        calls::events_of(&self.readers, call_id).await
    }

    /// That document of a call.
    pub async fn find_trace(&self, call_id: &str, trace: Trace) -> Result<Option<String>, StoreError> {
        traces::find(&self.readers, call_id, trace).await
    }

    /// Deliveries of this server that are due, longest due first: of each call only its first that is under way, and
    /// none to the origins in `busy`. One that is being tried is due until [`Store::delivery_attempted`] says otherwise.
    pub async fn due_deliveries(
        &self,
        now_ms: u64,
        limit: usize,
        busy: &HashSet<String>,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        deliveries::due(&self.readers, &self.server, now_ms, limit, busy).await
    }

    /// When the next delivery of this server is due, ms since 1970; in the past if one is.
    pub async fn next_delivery_ms(&self) -> Result<Option<u64>, StoreError> {
        deliveries::next_due(&self.readers, &self.server).await
    }

    /// Takes down an attempt made at `at_ms`; one that stays pending is tried again at `next_at_ms`. Returns whether
    /// such a delivery was under way.
    pub async fn delivery_attempted(
        &self,
        event_id: &str,
        outcome: AttemptOutcome,
        next_at_ms: Option<u64>,
        at_ms: u64,
    ) -> Result<bool, StoreError> {
        let attempt = Work::Attempt { event_id: event_id.into(), outcome, next_at_ms };
        self.found(attempt, at_ms).await
    }

    /// Deliveries, newest first, those with a smaller `seq` than `before`.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        deliveries::list(&self.readers, filter, before, limit).await
    }

    /// The delivery of that event.
    pub async fn find_delivery(&self, event_id: &str) -> Result<Option<StoredDelivery>, StoreError> {
        deliveries::find(&self.readers, event_id).await
    }

    /// Has a delivery that is over tried again, at once. Returns whether there is one.
    pub async fn replay_delivery(&self, event_id: &str, now_ms: u64) -> Result<bool, StoreError> {
        self.found(Work::Replay(event_id.into()), now_ms).await
    }

    /// Comes with an idempotency key; `fingerprint` tells requests apart that must not share one.
    pub async fn claim_key(
        &self,
        (scope, name): (&str, &str),
        fingerprint: &str,
        now_ms: u64,
    ) -> Result<KeyClaim, StoreError> {
        let claim =
            Work::ClaimKey { scope: scope.into(), name: name.into(), fingerprint: fingerprint.into() };
        match self.acknowledged(claim, now_ms).await? {
            Done::Claimed(claim) => Ok(claim),
            Done::Written | Done::Found(_) => Err(StoreError::Unreadable("the answer to a claim")),
        }
    }

    /// Takes a claim back that was not acknowledged, whenever it is written.
    pub fn take_back_claim(&self, (scope, name): (&str, &str), claimed_ms: u64) {
        let work = Work::TakeBackClaim { scope: scope.into(), name: name.into() };
        self.queue.push(Entry::new(work, claimed_ms));
    }

    /// Keeps the answer of the request that came with that key.
    pub async fn answer_key(
        &self,
        (scope, name): (&str, &str),
        (status, body): (u16, &str),
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let answer = Work::AnswerKey { scope: scope.into(), name: name.into(), status, body: body.into() };
        self.found(answer, now_ms).await
    }

    /// Gives a key free whose request was not carried out.
    pub async fn release_key(&self, (scope, name): (&str, &str), now_ms: u64) -> Result<bool, StoreError> {
        self.found(Work::ReleaseKey { scope: scope.into(), name: name.into() }, now_ms).await
    }

    /// Gives all keys free that came to this server and have no answer: at the start, those whose request ended with
    /// the process that carried it out.
    pub async fn release_open_keys(&self, now_ms: u64) -> Result<bool, StoreError> {
        self.found(Work::ReleaseOpenKeys, now_ms).await
    }

    /// Forgets keys that somebody came with before `before_ms`.
    pub async fn forget_keys(&self, before_ms: u64, now_ms: u64) -> Result<bool, StoreError> {
        self.found(Work::ForgetKeys { before_ms }, now_ms).await
    }

    /// What was said in a call, in order.
    pub async fn utterances_of(&self, call_id: &str) -> Result<Vec<Utterance>, StoreError> {
        talk::utterances(&self.readers, call_id).await
    }

    /// What was learned from a call.
    pub async fn fields_of(&self, call_id: &str) -> Result<Option<StoredFields>, StoreError> {
        talk::fields(&self.readers, call_id).await
    }

    /// What is known of a call's files; `None` for a call that leaves none.
    pub async fn files_of(&self, call_id: &str) -> Result<Option<StoredCallFiles>, StoreError> {
        talk::files(&self.readers, call_id).await
    }

    /// The calls of this server that are over and whose files are still to be written, oldest first.
    pub async fn files_due(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        talk::files_due(&self.readers, &self.server, limit).await
    }

    /// The calls of this server whose call file is still to be written anew, oldest first.
    pub async fn files_stale(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        talk::files_stale(&self.readers, &self.server, limit).await
    }

    /// A value that is kept over restarts.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        calls::setting(&self.readers, name).await
    }

    /// Keeps a value over restarts.
    pub async fn set_setting(&self, name: &str, value: &str, now_ms: u64) -> Result<(), StoreError> {
        self.acknowledged(Work::Set { name: name.into(), value: value.into() }, now_ms).await.map(|_| ())
    }

    /// Keeps, without waiting, that this server was at work at `now_ms`. Left out while the database takes no writes.
    pub fn give_sign_of_life(&self, now_ms: u64) {
        if self.takes_calls() {
            let (name, value) = (self.sign_of_life(), now_ms.to_string());
            self.queue.push(Entry::new(Work::Set { name: name.into(), value: value.into() }, now_ms));
        }
    }

    /// When this server was last at work while calls were up, ms since 1970; 0 where nobody knows.
    pub async fn last_sign_of_life_ms(&self) -> Result<u64, StoreError> {
        let kept = self.setting(&self.sign_of_life()).await?;
        Ok(kept.and_then(|kept| kept.parse().ok()).unwrap_or(0))
    }

    fn sign_of_life(&self) -> String {
        format!("sign_of_life:{}", self.server)
    }

    /// Ends the connections that read.
    pub async fn close_readers(&self) {
        self.readers.close().await;
    }

    async fn found(&self, work: Work, at_ms: u64) -> Result<bool, StoreError> {
        Ok(match self.acknowledged(work, at_ms).await? {
            Done::Found(found) => found,
            Done::Written | Done::Claimed(_) => true,
        })
    }

    async fn acknowledged(&self, work: Work, at_ms: u64) -> Result<Done, StoreError> {
        // What a call tells, and the end of a request that was let in, always finds room; others come again.
        if !work.finds_room() && !self.takes_calls() {
            return Err(StoreError::Behind);
        }
        let (done, is_done) = oneshot::channel();
        self.queue.push(Entry { done: Some(done), ..Entry::new(work, at_ms) });
        match tokio::time::timeout(WRITE_PATIENCE, is_done).await {
            Ok(Ok(done)) => done,
            // The writer ends only with the process.
            Ok(Err(_)) | Err(_) => Err(StoreError::Behind),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("server", &self.server).finish_non_exhaustive()
    }
}

/// How long a write is waited for by whoever wants it acknowledged.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// Writes that may wait for the disk while calls come in; one call more is refused.
pub const ADMISSION_WRITES_MAX: usize = 4_096;

/// How long the oldest of them may have waited.
pub const ADMISSION_AGE_MAX: Duration = Duration::from_secs(5);
