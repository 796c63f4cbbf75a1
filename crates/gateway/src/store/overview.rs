//! Counting calls and deliveries: for an overview, out of indexes alone, and for the limit of an agent's day.

use super::engine::{Query, Readers, Row};
use super::{CallStatus, StoreError};

/// Calls of one slot of time in one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTally {
    /// When the slot begins, ms since 1970.
    pub at_ms: u64,
    /// Their status.
    pub status: CallStatus,
    /// How many.
    pub calls: u64,
}

/// Calls of one bot that stand or ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotTally {
    /// The bot's name; empty where a call had none.
    pub bot: String,
    /// Their status.
    pub status: CallStatus,
    /// The class and the reason of their end.
    pub cause: Option<(String, String)>,
    /// How many.
    pub calls: u64,
    /// When the last one began, ms since 1970.
    pub last_ms: u64,
}

/// Deliveries that nobody has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenDeliveries {
    /// That are still tried.
    pub pending: u64,
    /// That were given up.
    pub dead: u64,
}

pub(super) async fn tallies(
    readers: &Readers,
    since_ms: u64,
    slot_ms: u64,
) -> Result<Vec<CallTally>, StoreError> {
    let sql =
        "SELECT started_ms / $2, status, COUNT(*) FROM calls WHERE started_ms >= $1 GROUP BY 1, 2 ORDER BY 1";
    let rows = readers.rows(Query::new(sql).whole(since_ms).whole(slot_ms)).await?;
    let read = |mut row: Row| {
        Ok(CallTally {
            at_ms: row.whole()?.saturating_mul(slot_ms),
            status: status(&mut row)?,
            calls: row.whole()?,
        })
    };
    rows.into_iter().map(read).collect()
}

pub(super) async fn bot_tallies(readers: &Readers, since_ms: u64) -> Result<Vec<BotTally>, StoreError> {
    let sql = "SELECT bot, status, cause_class, cause_reason, COUNT(*), MAX(started_ms) FROM calls \
               WHERE started_ms >= $1 GROUP BY 1, 2, 3, 4";
    let rows = readers.rows(Query::new(sql).whole(since_ms)).await?;
    let read = |mut row: Row| {
        Ok(BotTally {
            bot: row.text()?,
            status: status(&mut row)?,
            cause: row.maybe_text()?.zip(row.maybe_text()?),
            calls: row.whole()?,
            last_ms: row.whole()?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// The bots' response times of the newest calls that have one: of each call the median, ms.
pub(super) async fn response_times(
    readers: &Readers,
    since_ms: u64,
) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT bot, response_ms FROM calls WHERE started_ms >= $1 AND response_ms IS NOT NULL \
               ORDER BY started_ms DESC LIMIT $2";
    let rows = readers.rows(Query::new(sql).whole(since_ms).whole(RESPONSE_CALLS_MAX)).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.whole()?))).collect()
}

/// How long the calls of `server` that ended since then and left files were up, by their last bot: ms.
pub(super) async fn talked(
    readers: &Readers,
    server: &str,
    since_ms: u64,
) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT c.bot, CAST(SUM(c.ended_ms - c.answered_ms) AS BIGINT) \
               FROM calls c JOIN call_files f ON f.call_id = c.call_id \
               WHERE c.server = $1 AND c.ended_ms >= $2 AND c.answered_ms <= c.ended_ms GROUP BY 1 ORDER BY 1";
    let rows = readers.rows(Query::new(sql).text(server).whole(since_ms)).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.whole()?))).collect()
}

pub(super) async fn open_deliveries(readers: &Readers) -> Result<OpenDeliveries, StoreError> {
    let sql = "SELECT state, COUNT(*) FROM deliveries WHERE state IN ('pending', 'dead') GROUP BY state";
    let mut open = OpenDeliveries::default();
    for mut row in readers.rows(Query::new(sql)).await? {
        match row.text()?.as_str() {
            "dead" => open.dead = row.whole()?,
            _ => open.pending = row.whole()?,
        }
    }
    Ok(open)
}

fn status(row: &mut Row) -> Result<CallStatus, StoreError> {
    CallStatus::find(&row.text()?).ok_or(StoreError::Unreadable("the status of a call"))
}

/// Calls whose response times an overview looks at.
pub const RESPONSE_CALLS_MAX: u64 = 5_000;
