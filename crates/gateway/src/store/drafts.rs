//! The calls that a batch of writes touches: read together, changed here, written together.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::call::{self, StoredCall};
use super::course::{self, Fact};
use super::deliveries;
use super::engine::{Link, Query};
use super::extractions;
use super::rows::{list, pieces, tuples};
use super::talk::Beside;
use super::{EventBody, EventName, StoreError};
use crate::hex::hex;

/// The calls of a batch, in the order in which they were touched.
#[derive(Default)]
pub(super) struct Drafts {
    /// Those that are stored and were not touched.
    known: HashMap<String, StoredCall>,
    places: HashMap<String, usize>,
    drafts: Vec<Draft>,
}

/// A call that the batch has touched.
struct Draft {
    call: StoredCall,
    told: Vec<NewEvent>,
    /// Whether events of earlier batches may want a delivery.
    address_came: bool,
    /// Whether its own row is to be written.
    is_changed: bool,
    /// What is written beside its row, and when that was told.
    beside: Vec<(Beside, u64)>,
}

/// Something that is told of a call.
pub(super) struct NewEvent {
    pub(super) name: EventName,
    pub(super) at_ms: u64,
    pub(super) body: String,
}

impl Drafts {
    /// For a batch that writes about the calls of these ids, repeated ones among them.
    pub(super) async fn of(link: &mut Link, ids: impl Iterator<Item = &str>) -> Result<Self, StoreError> {
        let ids: HashSet<_> = ids.collect();
        let known = stored_calls(link, &ids.into_iter().collect::<Vec<_>>()).await?;
        Ok(Self { known, ..Self::default() })
    }

    /// A call begins; one that did so before goes on.
    pub(super) fn begin(&mut self, call: StoredCall, body: &EventBody) {
        if self.places.contains_key(&call.call_id) || self.known.contains_key(&call.call_id) {
            return;
        }
        let told = course::begin(&call);
        let draft = self.keep(call);
        draft.is_changed = true;
        draft.tell(told, body);
    }

    /// Something became of a call. Returns whether there is such a call.
    pub(super) fn change(&mut self, call_id: &str, fact: &Fact, at_ms: u64, body: &EventBody) -> bool {
        let Some(draft) = self.draft(call_id) else { return false };
        let knew_address = draft.call.callback_known;
        let told = course::apply(&mut draft.call, fact, at_ms);
        draft.is_changed = true;
        draft.address_came |= draft.call.callback_known != knew_address;
        draft.tell(told, body);
        true
    }

    /// Something is to be written beside a call's row. Returns whether there is such a call.
    pub(super) fn add(&mut self, call_id: &str, beside: &Beside, at_ms: u64) -> bool {
        let Some(draft) = self.draft(call_id) else { return false };
        draft.beside.push((beside.clone(), at_ms));
        true
    }

    fn draft(&mut self, call_id: &str) -> Option<&mut Draft> {
        match self.places.get(call_id) {
            Some(place) => self.drafts.get_mut(*place),
            None => self.known.remove(call_id).map(|call| self.keep(call)),
        }
    }

    fn keep(&mut self, call: StoredCall) -> &mut Draft {
        let place = self.drafts.len();
        self.places.insert(call.call_id.clone(), place);
        let (told, beside) = (Vec::new(), Vec::new());
        self.drafts.push(Draft { call, told, address_came: false, is_changed: false, beside });
        &mut self.drafts[place]
    }

    /// Writes everything.
    pub(super) async fn flush(self, link: &mut Link) -> Result<(), StoreError> {
        let changed: Vec<_> = self.drafts.iter().filter(|draft| draft.is_changed).collect();
        for piece in pieces(&changed) {
            StoredCall::write_all(piece.iter().map(|draft| &draft.call), piece.len()).execute(link).await?;
        }
        for Draft { call, beside, .. } in &self.drafts {
            for (beside, at_ms) in beside {
                beside.write(link, (&call.call_id, &call.server), *at_ms).await?;
            }
        }
        let mut events = Vec::new();
        for draft in &self.drafts {
            for (at, event) in draft.told.iter().enumerate() {
                let call_id = &draft.call.call_id;
                let before = draft.told.iter().take(at).filter(|earlier| earlier.name == event.name).count();
                let ordinal = ordinal(link, call_id, event.name).await? + before as u64;
                events.push((event_id(call_id, event.name, ordinal), call_id, event));
            }
        }
        for piece in pieces(&events) {
            insert_events(link, piece).await?;
        }
        for draft in &self.drafts {
            draft.order_extraction(link).await?;
        }
        let wanting = self.drafts.iter().filter(|draft| draft.wants_delivery()).map(|draft| &draft.call);
        deliveries::order(link, &wanting.collect::<Vec<_>>()).await
    }
}

impl Draft {
    fn tell(&mut self, told: course::Told, body: &EventBody) {
        for (name, at_ms) in told {
            let body = body(&self.call, name, at_ms);
            self.told.push(NewEvent { name, at_ms, body });
        }
    }

    /// Orders what the end of the call, or the caller's last words, ask for.
    async fn order_extraction(&self, link: &mut Link) -> Result<(), StoreError> {
        let call = (&*self.call.call_id, &*self.call.server);
        if let Some(end) = self.told.iter().find(|event| event.name.is_terminal()) {
            return extractions::order_final(link, call, end.at_ms).await;
        }
        let heard = self.beside.iter().rev().find(|(beside, _)| beside.is_of_caller());
        match heard.filter(|_| !self.call.status.is_final()) {
            Some((_, at_ms)) => extractions::order_live(link, call, *at_ms).await,
            None => Ok(()),
        }
    }

    fn wants_delivery(&self) -> bool {
        self.call.callback_known && (self.address_came || !self.told.is_empty())
    }
}

async fn stored_calls(link: &mut Link, ids: &[&str]) -> Result<HashMap<String, StoredCall>, StoreError> {
    let mut known = HashMap::new();
    for piece in pieces(ids) {
        let columns = call::COLUMNS;
        let places = list(piece.len(), 1);
        let query = Query::composed(format!("SELECT {columns} FROM calls WHERE call_id IN ({places})"));
        for row in piece.iter().fold(query, |query, id| query.text(id)).rows(link).await? {
            let call = StoredCall::read(row)?;
            known.insert(call.call_id.clone(), call);
        }
    }
    Ok(known)
}

/// How many events of that name a call has.
async fn ordinal(link: &mut Link, call_id: &str, name: EventName) -> Result<u64, StoreError> {
    match name {
        EventName::Transferring | EventName::Recording | EventName::Result => {
            let known = Query::new("SELECT COUNT(*) FROM events WHERE call_id = $1 AND name = $2");
            let row = known.text(call_id).text(name.word()).row(link).await?;
            Ok(row.map(|mut row| row.whole()).transpose()?.unwrap_or(0))
        }
        // Of the others a call has one each.
        EventName::Initiated | EventName::Ringing | EventName::InProgress | EventName::Ended(_) => Ok(0),
    }
}

/// Stores an event of a call that is stored, and returns its id.
pub(super) async fn insert_event(
    link: &mut Link,
    call_id: &String,
    event: &NewEvent,
) -> Result<String, StoreError> {
    let event_id = event_id(call_id, event.name, ordinal(link, call_id, event.name).await?);
    insert_events(link, &[(event_id.clone(), call_id, event)]).await?;
    Ok(event_id)
}

async fn insert_events(link: &mut Link, events: &[(String, &String, &NewEvent)]) -> Result<(), StoreError> {
    let rows = tuples(events.len(), 5, 1);
    let query = Query::composed(format!(
        "INSERT INTO events (event_id, call_id, name, at_ms, body) VALUES {rows} ON CONFLICT (event_id) DO NOTHING"
    ));
    let query = events.iter().fold(query, |query, (event_id, call_id, event)| {
        query.text(event_id).text(call_id).text(event.name.word()).whole(event.at_ms).text(&event.body)
    });
    query.execute(link).await.map(|_| ())
}

/// The id of the event of that name that has `ordinal` before it on its call: the same however often it is made.
/// Nobody guesses it who does not know the call's id.
fn event_id(call_id: &str, name: EventName, ordinal: u64) -> String {
    let digest = Sha256::digest(format!("{call_id} {} {ordinal}", name.word()));
    let hex = hex(digest.get(..EVENT_ID_BYTES).unwrap_or(&digest));
    format!("evt_{hex}")
}

/// Random-looking bytes of an event's id.
const EVENT_ID_BYTES: usize = 16;
