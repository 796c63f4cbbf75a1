//! Reading calls and their events.

use std::collections::HashMap;

use patchcord_core::vocabulary::Direction;

use super::call::{COLUMNS, StoredCall, direction_word};
use super::engine::{Query, Readers, Row};
use super::rows::{list as places, pieces};
use super::{CallStatus, EventName, FieldsState, StoreError};

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
    /// Begun before then, ms since 1970.
    pub until_ms: Option<u64>,
    /// Begun by that side.
    pub direction: Option<Direction>,
    /// Over for a cause of that class, by its word.
    pub cause_class: Option<String>,
    /// With a recording, or without one.
    pub recorded: Option<bool>,
    /// In which something that the bot said was not heard, or not to its end; or none such.
    pub unheard: Option<bool>,
    /// Whose extraction stands there.
    pub fields: Option<FieldsState>,
    /// With this text in a number, an id, or what was said, whatever its case.
    pub text: Option<String>,
}

/// A place in a list of calls, newest first: behind this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCursor {
    /// When it began, ms since 1970.
    pub started_ms: u64,
    /// Its id.
    pub call_id: String,
}

/// What somebody who looks at many calls wants to know of what stands beside one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallMarks {
    /// Where its extraction stands.
    pub fields: Option<FieldsState>,
    /// Something that the bot said was not heard, or not to its end.
    pub has_unheard: bool,
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
    let mut wanted = Wanted::of(filter);
    if let Some(cursor) = behind {
        wanted.ask("(started_ms, call_id) < (?, ?)");
        wanted.values.extend([Value::Whole(cursor.started_ms), Value::Text(cursor.call_id.clone())]);
    }
    wanted.values.push(Value::Whole(limit as u64));
    let sql = format!(
        "SELECT {COLUMNS} FROM calls WHERE {} ORDER BY started_ms DESC, call_id DESC LIMIT ?",
        wanted.conditions
    );
    let query = wanted.values.into_iter().fold(Query::composed(numbered(&sql)), |query, value| match value {
        Value::Whole(number) => query.whole(number),
        Value::Text(text) => query.text(&text),
    });
    readers.rows(query).await?.into_iter().map(StoredCall::read).collect()
}

/// What stands beside calls, by their ids; those beside which nothing does are left out.
pub(super) async fn marks(readers: &Readers, ids: &[&str]) -> Result<HashMap<String, CallMarks>, StoreError> {
    let mut known: HashMap<String, CallMarks> = HashMap::new();
    for piece in pieces(ids) {
        let these = places(piece.len(), 1);
        let ask = |sql: String| piece.iter().fold(Query::composed(sql), |query, id| query.text(id));
        let fields = format!("SELECT call_id, state FROM call_fields WHERE call_id IN ({these})");
        for mut row in readers.rows(ask(fields)).await? {
            let call_id = row.text()?;
            known.entry(call_id).or_default().fields = FieldsState::find(&row.text()?);
        }
        for mut row in readers.rows(ask(format!("{UNHEARD} AND call_id IN ({these})"))).await? {
            known.entry(row.text()?).or_default().has_unheard = true;
        }
    }
    Ok(known)
}

/// Calls in which something that the bot said was not heard, or not to its end.
const UNHEARD: &str = "SELECT DISTINCT call_id FROM utterances WHERE unheard = 1";

/// What is asked of calls, with a `?` for each value.
struct Wanted {
    conditions: String,
    values: Vec<Value>,
}

enum Value {
    Whole(u64),
    Text(String),
}

impl Wanted {
    fn of(filter: &CallFilter) -> Self {
        let since = Value::Whole(filter.since_ms.unwrap_or(0));
        let mut wanted = Self { conditions: "started_ms >= ?".to_owned(), values: vec![since] };
        if let Some(until_ms) = filter.until_ms {
            wanted.ask("started_ms < ?");
            wanted.values.push(Value::Whole(until_ms));
        }
        let direction = filter.direction.map(direction_word);
        for (condition, value) in [
            ("status = ?", filter.status.map(CallStatus::word)),
            ("direction = ?", direction),
            ("from_number = ?", filter.from.as_deref()),
            ("to_number = ?", filter.to.as_deref()),
            ("bot = ?", filter.bot.as_deref()),
            ("cause_class = ?", filter.cause_class.as_deref()),
        ] {
            if let Some(value) = value {
                wanted.ask(condition);
                wanted.values.push(Value::Text(value.to_owned()));
            }
        }
        match filter.recorded {
            Some(true) => wanted.ask("(bot_recording IS NOT NULL OR full_recording IS NOT NULL)"),
            Some(false) => wanted.ask("bot_recording IS NULL AND full_recording IS NULL"),
            None => {}
        }
        match filter.unheard {
            Some(true) => wanted.ask(&format!("call_id IN ({UNHEARD})")),
            Some(false) => wanted.ask(&format!("call_id NOT IN ({UNHEARD})")),
            None => {}
        }
        if let Some(state) = filter.fields {
            wanted.ask("call_id IN (SELECT call_id FROM call_fields WHERE state = ?)");
            wanted.values.push(Value::Text(state.word().to_owned()));
        }
        if let Some(text) = &filter.text {
            let places = ["from_number", "to_number", "call_id", "phone_leg_id"];
            let like = places.map(|place| format!("lower({place}) LIKE ? ESCAPE '\\'"));
            wanted.ask(&format!(
                "({} OR call_id IN (SELECT call_id FROM utterances WHERE lower(body) LIKE ? ESCAPE '\\'))",
                like.join(" OR ")
            ));
            wanted.values.extend(places.map(|_| Value::Text(like_pattern(text))));
            // What was said stands in JSON, where quotes and backslashes are written with another one in front.
            wanted.values.push(Value::Text(like_pattern(&text.replace('\\', "\\\\").replace('"', "\\\""))));
        }
        wanted
    }

    fn ask(&mut self, condition: &str) {
        self.conditions.push_str(" AND ");
        self.conditions.push_str(condition);
    }
}

/// A statement with its `?` as `$1`, `$2`, …: no text of ours has another one.
fn numbered(sql: &str) -> String {
    let mut pieces = sql.split('?');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for (at, piece) in pieces.enumerate() {
        text.push_str(&format!("${}{piece}", at + 1));
    }
    text
}

/// What `LIKE` understands as: with `text` somewhere in it, in small letters.
fn like_pattern(text: &str) -> String {
    let mut pattern = "%".to_owned();
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_looks_for_is_text_and_no_pattern() {
        assert_eq!(like_pattern("+91"), "%+91%");
        assert_eq!(like_pattern("A_b%c\\"), "%a\\_b\\%c\\\\%");
    }

    #[test]
    fn every_value_has_its_number() {
        assert_eq!(numbered("a = ? AND (b, c) < (?, ?) LIMIT ?"), "a = $1 AND (b, c) < ($2, $3) LIMIT $4");
    }
}
