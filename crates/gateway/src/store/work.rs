//! What can be written, and what comes back of it.

use crate::hex::hex;
use std::collections::{BTreeMap, HashMap};

use sha2::{Digest, Sha256};

use super::call::{self, NewCall, StoredCall};
use super::course::{self, Fact};
use super::deliveries::{self, AttemptOutcome};
use super::engine::{Link, Query};
use super::keys::{self, KeyClaim};
use super::queue::Entry;
use super::{EventBody, EventName, StoreError};

/// One write.
pub(super) enum Work {
    Begin(Box<NewCall>),
    Fact(Box<str>, Box<Fact>),
    Attempt { event_id: Box<str>, outcome: AttemptOutcome, next_at_ms: Option<u64> },
    Replay(Box<str>),
    ClaimKey { scope: Box<str>, name: Box<str>, fingerprint: Box<str> },
    AnswerKey { scope: Box<str>, name: Box<str>, status: u16, body: Box<str> },
    ReleaseKey { scope: Box<str>, name: Box<str> },
    ReleaseOpenKeys,
    ForgetKeys { before_ms: u64 },
    Set { name: Box<str>, value: Box<str> },
}

impl Work {
    /// Whether a call tells it.
    pub(super) fn is_of_a_call(&self) -> bool {
        match self {
            Self::Begin(_) | Self::Fact(..) => true,
            Self::Attempt { .. }
            | Self::Replay(_)
            | Self::ClaimKey { .. }
            | Self::AnswerKey { .. }
            | Self::ReleaseKey { .. }
            | Self::ReleaseOpenKeys
            | Self::ForgetKeys { .. }
            | Self::Set { .. } => false,
        }
    }
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    Written,
    /// Whether there was anything of that name.
    Found(bool),
    Claimed(KeyClaim),
}

/// What a batch needs to know of the server.
pub(super) struct Scribe {
    pub(super) server: String,
    pub(super) body: Box<EventBody>,
}

/// A call that the batch has touched.
struct Draft {
    call: StoredCall,
    is_new: bool,
    told: Vec<NewEvent>,
    /// Whether events of earlier batches may want a delivery.
    address_came: bool,
}

struct NewEvent {
    name: EventName,
    at_ms: u64,
    body: String,
}

impl Scribe {
    /// Writes a batch inside the transaction that is open, and says what came of each entry.
    pub(super) async fn write(&self, link: &mut Link, batch: &[Entry]) -> Result<Vec<Done>, StoreError> {
        let mut drafts = Drafts::default();
        let mut done = Vec::with_capacity(batch.len());
        for Entry { work, at_ms, .. } in batch {
            done.push(match work {
                Work::Begin(new) => {
                    drafts.begin(StoredCall::begun(new, &self.server), &*self.body);
                    Done::Written
                }
                Work::Fact(call_id, fact) => {
                    Done::Found(drafts.change(link, call_id, fact, *at_ms, &*self.body).await?)
                }
                Work::Attempt { event_id, outcome, next_at_ms } => {
                    Done::Found(deliveries::attempted(link, event_id, outcome, *next_at_ms, *at_ms).await?)
                }
                Work::Replay(event_id) => Done::Found(deliveries::replay(link, event_id, *at_ms).await?),
                Work::ClaimKey { scope, name, fingerprint } => Done::Claimed(
                    keys::claim(link, (scope, name), fingerprint, (&self.server, *at_ms)).await?,
                ),
                Work::AnswerKey { scope, name, status, body } => {
                    Done::Found(keys::answer(link, (scope, name), *status, body).await?)
                }
                Work::ReleaseKey { scope, name } => Done::Found(keys::release(link, (scope, name)).await?),
                Work::ReleaseOpenKeys => Done::Found(keys::release_open(link, &self.server).await?),
                Work::ForgetKeys { before_ms } => Done::Found(keys::forget(link, *before_ms).await?),
                Work::Set { name, value } => {
                    set(link, name, value).await?;
                    Done::Written
                }
            });
        }
        drafts.flush(link).await?;
        Ok(done)
    }
}

/// The calls of a batch in the order in which they were touched.
#[derive(Default)]
struct Drafts {
    places: HashMap<Box<str>, usize>,
    drafts: BTreeMap<usize, Draft>,
}

impl Drafts {
    fn begin(&mut self, call: StoredCall, body: &EventBody) {
        let call_id: Box<str> = call.call_id.as_str().into();
        if self.places.contains_key(&call_id) {
            return;
        }
        let mut draft = Draft { told: Vec::new(), call, is_new: true, address_came: false };
        let told = course::begin(&draft.call);
        draft.tell(told, body);
        self.keep(call_id, draft);
    }

    /// Returns whether there is such a call.
    async fn change(
        &mut self,
        link: &mut Link,
        call_id: &str,
        fact: &Fact,
        at_ms: u64,
        body: &EventBody,
    ) -> Result<bool, StoreError> {
        if !self.places.contains_key(call_id) {
            let Some(call) = find_call(link, call_id).await? else { return Ok(false) };
            let draft = Draft { told: Vec::new(), call, is_new: false, address_came: false };
            self.keep(call_id.into(), draft);
        }
        let draft = self.places.get(call_id).and_then(|place| self.drafts.get_mut(place));
        if let Some(draft) = draft {
            let knew_address = draft.call.callback_known;
            let told = course::apply(&mut draft.call, fact, at_ms);
            draft.address_came |= draft.call.callback_known != knew_address;
            draft.tell(told, body);
        }
        Ok(true)
    }

    fn keep(&mut self, call_id: Box<str>, draft: Draft) {
        let place = self.drafts.len();
        self.places.insert(call_id, place);
        self.drafts.insert(place, draft);
    }

    async fn flush(self, link: &mut Link) -> Result<(), StoreError> {
        for draft in self.drafts.into_values() {
            draft.flush(link).await?;
        }
        Ok(())
    }
}

impl Draft {
    fn tell(&mut self, told: course::Told, body: &EventBody) {
        for (name, at_ms) in told {
            let body = body(&self.call, name, at_ms);
            self.told.push(NewEvent { name, at_ms, body });
        }
    }

    async fn flush(self, link: &mut Link) -> Result<(), StoreError> {
        let Self { call, is_new, told, address_came } = self;
        let write = if is_new { call.insert() } else { call.update() };
        write.execute(link).await?;
        for event in &told {
            insert_event(link, &call.call_id, event).await?;
        }
        match &call.callback_url {
            Some(url) if call.callback_known && (address_came || !told.is_empty()) => {
                deliveries::order(link, &call, url).await
            }
            _ => Ok(()),
        }
    }
}

async fn insert_event(link: &mut Link, call_id: &str, event: &NewEvent) -> Result<(), StoreError> {
    let ordinal = match event.name {
        EventName::Transferring | EventName::Recording => {
            let known = Query::new("SELECT COUNT(*) FROM events WHERE call_id = $1 AND name = $2");
            let row = known.text(call_id).text(event.name.word()).row(link).await?;
            row.map(|mut row| row.whole()).transpose()?.unwrap_or(0)
        }
        // Of the others a call has one each.
        EventName::Initiated | EventName::Ringing | EventName::InProgress | EventName::Ended(_) => 0,
    };
    Query::new(
        "INSERT INTO events (event_id, call_id, name, at_ms, body) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (event_id) DO NOTHING",
    )
    .text(&event_id(call_id, event.name, ordinal))
    .text(call_id)
    .text(event.name.word())
    .whole(event.at_ms)
    .text(&event.body)
    .execute(link)
    .await
    .map(|_| ())
}

/// The id of the event of that name that has `ordinal` before it on its call: the same however often it is made.
/// Nobody guesses it who does not know the call's id.
fn event_id(call_id: &str, name: EventName, ordinal: u64) -> String {
    let digest = Sha256::digest(format!("{call_id} {} {ordinal}", name.word()));
    let hex = hex(digest.get(..EVENT_ID_BYTES).unwrap_or(&digest));
    format!("evt_{hex}")
}

async fn find_call(link: &mut Link, call_id: &str) -> Result<Option<StoredCall>, StoreError> {
    let query = Query::composed(format!("SELECT {} FROM calls WHERE call_id = $1", call::COLUMNS));
    query.text(call_id).row(link).await?.map(StoredCall::read).transpose()
}

async fn set(link: &mut Link, name: &str, value: &str) -> Result<(), StoreError> {
    Query::new(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .text(name)
    .text(value)
    .execute(link)
    .await
    .map(|_| ())
}

/// Random-looking bytes of an event's id.
const EVENT_ID_BYTES: usize = 16;
