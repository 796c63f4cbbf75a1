//! Deliveries: which event goes to which address, how often it was tried, and what comes next.
//!
//! A call's deliveries of a kind stand in line: only the first that is neither delivered nor dead has a time at which it
//! is due; the one behind it gets its own when that one is gone.

use std::collections::{HashMap, HashSet};

use super::call::StoredCall;
use super::engine::{Link, Query, Readers, Row};
use super::rows::{pieces, tuples};
use super::{EventName, StoreError, talk};

/// A delivery that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// The event's id, the same over all attempts.
    pub event_id: String,
    /// The call's id.
    pub call_id: String,
    /// Who is told.
    pub kind: DeliveryKind,
    /// What is told.
    pub name: EventName,
    /// Where to.
    pub url: String,
    /// The origin of the address: deliveries to the same one share its fate.
    pub receiver: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When what is told happened, ms since 1970.
    pub at_ms: u64,
    /// What is told.
    pub body: String,
}

/// A delivery as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// Its place among all, for the cursor.
    pub seq: u64,
    /// The event's id.
    pub event_id: String,
    /// The call's id.
    pub call_id: String,
    /// Who is told.
    pub kind: DeliveryKind,
    /// What is told.
    pub name: EventName,
    /// Where to.
    pub url: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next, ms since 1970; `None` while an earlier one of its call is under way.
    pub next_at_ms: Option<u64>,
    /// When it was tried last, ms since 1970.
    pub last_at_ms: Option<u64>,
    /// The HTTP status that came last.
    pub last_status: Option<u16>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When what it tells happened, ms since 1970.
    pub at_ms: u64,
}

/// Who is told by a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryKind {
    /// The owner of a call, of what becomes of it.
    Callback,
    /// Whoever an agent reports to, of what came of its call.
    Webhook,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It is still tried.
    Pending,
    /// It was taken.
    Delivered,
    /// It was given up.
    Dead,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// Where the delivery stands with it.
    pub state: DeliveryState,
    /// The HTTP status that came.
    pub status: Option<u16>,
    /// What went wrong, without address and body.
    pub error: Option<Box<str>>,
}

/// Which deliveries are looked for.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// In that state.
    pub state: Option<DeliveryState>,
    /// Of that kind.
    pub kind: Option<DeliveryKind>,
    /// Of that call.
    pub call_id: Option<String>,
}

impl DeliveryKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Callback, Self::Webhook];

    /// The word in lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Webhook => "webhook",
        }
    }

    /// The kind of that word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// The word in lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state of that word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// An attempt that is over.
pub(super) struct Attempted<'a> {
    /// The event's id.
    pub(super) event_id: &'a str,
    pub(super) outcome: &'a AttemptOutcome,
    /// When it is tried next, if it is.
    pub(super) next_at_ms: Option<u64>,
    pub(super) at_ms: u64,
}

/// Gives every event of these calls that has none a delivery to the call's address, if the call has one. What their
/// agents report goes elsewhere.
pub(super) async fn order(link: &mut Link, calls: &[&StoredCall]) -> Result<(), StoreError> {
    let told =
        |call: &&StoredCall| Some((call.call_id.clone(), call.server.clone(), call.callback_url.clone()?));
    let told: Vec<_> = calls.iter().filter_map(told).collect();
    let result = EventName::Result.word();
    for piece in pieces(&told) {
        let rows = tuples(piece.len(), 4, 1);
        let query = Query::composed(format!(
            "WITH v (id, owner, address, origin) AS (VALUES {rows}) \
             INSERT INTO deliveries (seq, event_id, call_id, server, url, receiver, state, attempts) \
             SELECT e.seq, e.event_id, e.call_id, v.owner, v.address, v.origin, 'pending', 0 \
             FROM v JOIN events e ON e.call_id = v.id WHERE e.name <> '{result}' ON CONFLICT DO NOTHING"
        ));
        let query = piece.iter().fold(query, |query, (call_id, server, url)| {
            query.text(call_id).text(server).text(url).text(receiver(url))
        });
        query.execute(link).await?;
    }
    let lines: Vec<_> = told.iter().map(|(call_id, ..)| (call_id.as_str(), DeliveryKind::Callback)).collect();
    release_next(link, &lines, 0).await
}

/// Gives what an agent reports of a call, stored as that event, its delivery to `url`.
pub(super) async fn order_webhook(
    link: &mut Link,
    (call_id, event_id): (&str, &str),
    url: &str,
    at_ms: u64,
) -> Result<(), StoreError> {
    Query::new(
        "INSERT INTO deliveries (seq, event_id, call_id, server, url, receiver, state, attempts, kind) \
         SELECT e.seq, e.event_id, e.call_id, c.server, $2, $3, 'pending', 0, 'webhook' \
         FROM events e JOIN calls c ON c.call_id = e.call_id WHERE e.event_id = $1",
    )
    .text(event_id)
    .text(url)
    .text(receiver(url))
    .execute(link)
    .await?;
    release_next(link, &[(call_id, DeliveryKind::Webhook)], at_ms).await
}

/// Takes down what became of attempts; of each, whether such a delivery was under way.
pub(super) async fn attempted(link: &mut Link, attempts: &[Attempted<'_>]) -> Result<Vec<bool>, StoreError> {
    let mut lines: HashMap<String, (String, DeliveryKind)> = HashMap::new();
    for piece in pieces(attempts) {
        let rows = tuples(piece.len(), 6, 1);
        let query = Query::composed(format!(
            "WITH v (id, becomes, due, tried, http, why) AS (VALUES {rows}) \
             UPDATE deliveries SET state = v.becomes, attempts = attempts + 1, next_at_ms = v.due, \
             last_at_ms = v.tried, last_status = v.http, last_error = v.why \
             FROM v WHERE event_id = v.id AND {STILL_TRIED} RETURNING event_id, call_id, kind"
        ));
        let query = piece.iter().fold(query, Attempted::add_to);
        for mut row in query.rows(link).await? {
            lines.insert(row.text()?, (row.text()?, kind(&row.text()?)?));
        }
    }
    let over = attempts.iter().filter(|attempt| attempt.outcome.state != DeliveryState::Pending);
    let ended = over.filter_map(|attempt| lines.get(attempt.event_id));
    let ended: Vec<_> = ended.map(|(call_id, kind)| (call_id.as_str(), *kind)).collect();
    let last_ms = attempts.iter().map(|attempt| attempt.at_ms).max().unwrap_or(0);
    release_next(link, &ended, last_ms).await?;
    let mut told: Vec<_> = ended.iter().map(|(call_id, _)| *call_id).collect();
    told.sort_unstable();
    told.dedup();
    talk::files_changed(link, &told).await?;
    Ok(attempts.iter().map(|attempt| lines.contains_key(attempt.event_id)).collect())
}

impl Attempted<'_> {
    /// Adds its row of values.
    fn add_to(query: Query, attempt: &Self) -> Query {
        let Self { event_id, outcome, next_at_ms, at_ms } = attempt;
        let pending = outcome.state == DeliveryState::Pending;
        query
            .text(event_id)
            .text(outcome.state.word())
            .maybe_whole(if pending { next_at_ms.or(Some(*at_ms)) } else { None })
            .whole(*at_ms)
            .maybe_whole(outcome.status.map(u64::from))
            .maybe_text(outcome.error.as_deref())
    }
}

/// Has a delivery that is over tried again from the beginning, at once.
pub(super) async fn replay(link: &mut Link, event_id: &str, at_ms: u64) -> Result<bool, StoreError> {
    let changed = Query::new(
        "UPDATE deliveries SET state = 'pending', attempts = 0, next_at_ms = $2 \
         WHERE event_id = $1 AND state <> 'pending'",
    );
    Ok(changed.text(event_id).whole(at_ms).execute(link).await? > 0)
}

/// Has the first delivery of each line that is still tried, and waits for none before it, tried at `at_ms`. Each kind of a
/// call has a line of its own: one receiver waits for no other.
async fn release_next(link: &mut Link, lines: &[(&str, DeliveryKind)], at_ms: u64) -> Result<(), StoreError> {
    for piece in pieces(lines) {
        // One by one, so that each is a look into the index of its call and not into all that is pending.
        let first = |at: usize| {
            let (call_id, kind) = (2 + 2 * at, 3 + 2 * at);
            format!(
                "(SELECT MIN(d.seq) FROM deliveries d WHERE d.call_id = ${call_id} AND d.kind = ${kind} AND {STILL_TRIED})"
            )
        };
        let firsts = (0..piece.len()).map(first).collect::<Vec<_>>().join(", ");
        let query = Query::composed(format!(
            "UPDATE deliveries SET next_at_ms = $1 WHERE next_at_ms IS NULL AND seq IN ({firsts})"
        ));
        let lines = piece.iter();
        let query = lines.fold(query.whole(at_ms), |query, (id, kind)| query.text(id).text(kind.word()));
        query.execute(link).await?;
    }
    Ok(())
}

/// Deliveries of `server` that are due, longest due first, none to `busy` receivers.
pub(super) async fn due(
    readers: &Readers,
    server: &str,
    now_ms: u64,
    limit: usize,
    busy: &HashSet<String>,
) -> Result<Vec<DueDelivery>, StoreError> {
    let mut sql =
        "SELECT d.event_id, d.call_id, d.kind, e.name, d.url, d.receiver, d.attempts, e.at_ms, e.body \
         FROM deliveries d JOIN events e ON e.seq = d.seq \
         WHERE d.server = $1 AND d.state = 'pending' AND d.next_at_ms <= $2"
            .to_owned();
    for place in 0..busy.len() {
        sql.push_str(&format!(" AND d.receiver <> ${}", place + 4));
    }
    sql.push_str(" ORDER BY d.next_at_ms, d.seq LIMIT $3");
    let query = Query::composed(sql).text(server).whole(now_ms).whole(limit as u64);
    let query = busy.iter().fold(query, |query, receiver| query.text(receiver));
    readers.rows(query).await?.into_iter().map(DueDelivery::read).collect()
}

/// When the next delivery of `server` is due, ms since 1970.
pub(super) async fn next_due(readers: &Readers, server: &str) -> Result<Option<u64>, StoreError> {
    let query = Query::new(
        "SELECT next_at_ms FROM deliveries WHERE server = $1 AND state = 'pending' AND next_at_ms IS NOT NULL \
         ORDER BY next_at_ms LIMIT 1",
    );
    readers.row(query.text(server)).await?.map(|mut row| row.whole()).transpose()
}

/// Deliveries, newest first, from the one before `before` on.
pub(super) async fn list(
    readers: &Readers,
    filter: &DeliveryFilter,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<StoredDelivery>, StoreError> {
    let mut sql = format!("{LIST} WHERE d.seq < $1");
    let mut query_values = Vec::new();
    for (column, value) in [
        ("d.state", filter.state.map(DeliveryState::word)),
        ("d.kind", filter.kind.map(DeliveryKind::word)),
        ("d.call_id", filter.call_id.as_deref()),
    ] {
        if let Some(value) = value {
            query_values.push(value);
            sql.push_str(&format!(" AND {column} = ${}", query_values.len() + 2));
        }
    }
    sql.push_str(" ORDER BY d.seq DESC LIMIT $2");
    let query = Query::composed(sql).whole(before.unwrap_or(u64::MAX)).whole(limit as u64);
    let query = query_values.into_iter().fold(query, Query::text);
    readers.rows(query).await?.into_iter().map(StoredDelivery::read).collect()
}

/// The delivery of that event.
pub(super) async fn find(readers: &Readers, event_id: &str) -> Result<Option<StoredDelivery>, StoreError> {
    let query = Query::composed(format!("{LIST} WHERE d.event_id = $1")).text(event_id);
    readers.row(query).await?.map(StoredDelivery::read).transpose()
}

impl DueDelivery {
    fn read(mut row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            event_id: row.text()?,
            call_id: row.text()?,
            kind: kind(&row.text()?)?,
            name: event_name(&row.text()?)?,
            url: row.text()?,
            receiver: row.text()?,
            attempts: small(row.whole()?),
            at_ms: row.whole()?,
            body: row.text()?,
        })
    }
}

impl StoredDelivery {
    fn read(mut row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.whole()?,
            event_id: row.text()?,
            call_id: row.text()?,
            kind: kind(&row.text()?)?,
            name: event_name(&row.text()?)?,
            url: row.text()?,
            state: DeliveryState::find(&row.text()?)
                .ok_or(StoreError::Unreadable("the state of a delivery"))?,
            attempts: small(row.whole()?),
            next_at_ms: row.maybe_whole()?,
            last_at_ms: row.maybe_whole()?,
            last_status: row.maybe_whole()?.and_then(|status| u16::try_from(status).ok()),
            last_error: row.maybe_text()?,
            at_ms: row.whole()?,
        })
    }
}

pub(super) fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn kind(word: &str) -> Result<DeliveryKind, StoreError> {
    DeliveryKind::find(word).ok_or(StoreError::Unreadable("the kind of a delivery"))
}

fn event_name(word: &str) -> Result<EventName, StoreError> {
    EventName::find(word).ok_or(StoreError::Unreadable("the name of an event"))
}

/// Scheme, host and port of an address, without user and password.
fn receiver(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    let to = url.get(from..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| from + at);
    url.get(..to).unwrap_or(url)
}

/// Pending, in words for which no database reads its list of everything pending.
const STILL_TRIED: &str = "state <> 'delivered' AND state <> 'dead'";

const LIST: &str = "SELECT d.seq, d.event_id, d.call_id, d.kind, e.name, d.url, d.state, d.attempts, d.next_at_ms, \
    d.last_at_ms, d.last_status, d.last_error, e.at_ms FROM deliveries d JOIN events e ON e.seq = d.seq";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_the_origin_of_the_address() {
        assert_eq!(receiver("https://a.example:8443/x?y"), "https://a.example:8443");
        assert_eq!(receiver("http://a.example?y"), "http://a.example");
        assert_eq!(receiver("http://a.example"), "http://a.example");
    }

    #[test]
    fn every_state_and_every_kind_has_its_word() {
        assert!(DeliveryKind::ALL.into_iter().all(|kind| DeliveryKind::find(kind.word()) == Some(kind)));
        assert!(DeliveryState::ALL.into_iter().all(|state| DeliveryState::find(state.word()) == Some(state)));
    }
}
