//! Reading calls and their events.

use super::call::{COLUMNS, StoredCall};
use super::engine::{Query, Readers, Row};
use super::{CallStatus, EventName, StoreError};

/// Which calls are looked for; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// In that status.
    pub status: Option<CallStatus>,
    /// From that number, as received.
    pub from: Option<String>,
    /// To that number, as received.
    pub to: Option<String>,
    /// With that bot.
    pub bot: Option<String>,
    /// Begun then or later, ms since 1970.
    pub since_ms: Option<u64>,
}

/// A place in a list of calls, newest first: behind this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCursor {
    /// When it began, ms since 1970.
    pub started_ms: u64,
    /// Its id.
    pub call_id: String,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place among all events; grows, with gaps.
    pub seq: u64,
    /// Its id.
    pub event_id: String,
    /// The call's id.
    pub call_id: String,
    /// What it tells.
    pub name: EventName,
    /// When that happened, ms since 1970.
    pub at_ms: u64,
    /// What is told, JSON.
    pub body: String,
}

impl CallCursor {
    /// The place behind `call`.
    pub fn behind(call: &StoredCall) -> Self {
        Self { started_ms: call.started_ms, call_id: call.call_id.clone() }
    }
}

impl StoredEvent {
    fn read(mut row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.whole()?,
            event_id: row.text()?,
            call_id: row.text()?,
            name: EventName::find(&row.text()?).ok_or(StoreError::Unreadable("the name of an event"))?,
            at_ms: row.whole()?,
            body: row.text()?,
        })
    }
}

pub(super) async fn find(readers: &Readers, call_id: &str) -> Result<Option<StoredCall>, StoreError> {
    let query = Query::composed(format!("SELECT {COLUMNS} FROM calls WHERE call_id = $1"));
    readers.row(query.text(call_id)).await?.map(StoredCall::read).transpose()
}

pub(super) async fn list(
    readers: &Readers,
    filter: &CallFilter,
    behind: Option<&CallCursor>,
    limit: usize,
) -> Result<Vec<StoredCall>, StoreError> {
    let mut sql = format!("SELECT {COLUMNS} FROM calls WHERE started_ms >= $1");
    let mut texts: Vec<&str> = Vec::new();
    for (column, value) in [
        ("status", filter.status.map(CallStatus::word)),
        ("from_number", filter.from.as_deref()),
        ("to_number", filter.to.as_deref()),
        ("bot", filter.bot.as_deref()),
    ] {
        if let Some(value) = value {
            texts.push(value);
            sql.push_str(&format!(" AND {column} = ${}", texts.len() + 2));
        }
    }
    if behind.is_some() {
        let place = texts.len() + 3;
        sql.push_str(&format!(" AND (started_ms, call_id) < (${place}, ${})", place + 1));
    }
    sql.push_str(" ORDER BY started_ms DESC, call_id DESC LIMIT $2");
    let query = Query::composed(sql).whole(filter.since_ms.unwrap_or(0)).whole(limit as u64);
    let mut query = texts.into_iter().fold(query, Query::text);
    if let Some(cursor) = behind {
        query = query.whole(cursor.started_ms).text(&cursor.call_id);
    }
    readers.rows(query).await?.into_iter().map(StoredCall::read).collect()
}

/// The calls of `server` that are not over.
pub(super) async fn up(readers: &Readers, server: &str) -> Result<Vec<StoredCall>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM calls WHERE server = $1 AND ended_ms IS NULL ORDER BY started_ms");
    readers.rows(Query::composed(sql).text(server)).await?.into_iter().map(StoredCall::read).collect()
}

/// The calls of `server` that ended at `since_ms` or later and have a record.
pub(super) async fn ended_since(
    readers: &Readers,
    server: &str,
    since_ms: u64,
) -> Result<Vec<StoredCall>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM calls WHERE server = $1 AND ended_ms >= $2 AND record IS NOT NULL ORDER BY ended_ms"
    );
    let query = Query::composed(sql).text(server).whole(since_ms);
    readers.rows(query).await?.into_iter().map(StoredCall::read).collect()
}

/// When the last call of `server` was told anything of, ms since 1970.
pub(super) async fn last_event_ms(readers: &Readers, server: &str) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT e.at_ms FROM events e JOIN calls c ON c.call_id = e.call_id WHERE c.server = $1 \
               ORDER BY e.seq DESC LIMIT 1";
    readers.row(Query::new(sql).text(server)).await?.map(|mut row| row.whole()).transpose()
}

pub(super) async fn events_after(
    readers: &Readers,
    seq: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, StoreError> {
    let query = Query::new(
        "SELECT seq, event_id, call_id, name, at_ms, body FROM events WHERE seq > $1 ORDER BY seq LIMIT $2",
    );
    let rows = readers.rows(query.whole(seq).whole(limit as u64)).await?;
    rows.into_iter().map(StoredEvent::read).collect()
}

/// The newest event's place; 0 where there is none.
pub(super) async fn last_seq(readers: &Readers) -> Result<u64, StoreError> {
    let row = readers.row(Query::new("SELECT seq FROM events ORDER BY seq DESC LIMIT 1")).await?;
    Ok(row.map(|mut row| row.whole()).transpose()?.unwrap_or(0))
}

pub(super) async fn events_of(readers: &Readers, call_id: &str) -> Result<Vec<StoredEvent>, StoreError> {
    let query = Query::new(
        "SELECT seq, event_id, call_id, name, at_ms, body FROM events WHERE call_id = $1 ORDER BY seq",
    );
    readers.rows(query.text(call_id)).await?.into_iter().map(StoredEvent::read).collect()
}

pub(super) async fn setting(readers: &Readers, name: &str) -> Result<Option<String>, StoreError> {
    let query = Query::new("SELECT value FROM settings WHERE name = $1").text(name);
    readers.row(query).await?.map(|mut row| row.text()).transpose()
}
