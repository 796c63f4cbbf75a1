//! Extractions: which fields are to be taken from which call's transcript, how often it was tried, and what was found.
//!
//! A call has at most two rows. The live one is ordered anew by everything that the caller says, and only the newest
//! order counts. The final one is ordered by the call's end, in the same transaction, and by hand; when it is settled,
//! its agent's webhook is still to be told, and that is one transaction with the end of the order.

use std::collections::HashSet;

use super::drafts::{NewEvent, insert_event};
use super::engine::{Link, Query, Row};
use super::rows::{list, pieces};
use super::talk::{Beside, ExtractedFields};
use super::work::Work;
use super::{EventName, Store, StoreError, deliveries};

/// Which of a call's extractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtractionKind {
    /// That of what was said so far.
    Live,
    /// That of the whole call.
    Final,
}

/// Where an extraction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtractionState {
    /// It waits or is under way.
    Pending,
    /// It was made.
    Done,
    /// It was given up.
    Dead,
    /// Nothing is extracted from this call.
    Off,
}

/// Something to do: a pending extraction to try, or a settled one to tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueExtraction {
    /// The call's id.
    pub call_id: String,
    /// Which of its extractions.
    pub kind: ExtractionKind,
    /// Where it stands.
    pub state: ExtractionState,
    /// The order that this is.
    pub round: u64,
    /// Attempts at it so far.
    pub attempts: u32,
    /// The bot that has the call, or had it at last.
    pub bot: String,
}

/// What is not looked for, as there is no room for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WithoutRoom {
    /// Bots whose pending extractions wait.
    pub bots: HashSet<String>,
    /// Whether settled ones wait to be told of.
    pub settled: bool,
}

/// An extraction as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredExtraction {
    /// The call's id.
    pub call_id: String,
    /// Which of its extractions.
    pub kind: ExtractionKind,
    /// Where it stands.
    pub state: ExtractionState,
    /// Attempts at the newest order.
    pub attempts: u32,
    /// When there is something to do again, ms since 1970.
    pub next_at_ms: Option<u64>,
    /// When it was tried last, ms since 1970.
    pub last_at_ms: Option<u64>,
    /// What went wrong last, without a word of the call.
    pub last_error: Option<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractionOutcome {
    /// Where the extraction stands with it.
    pub state: ExtractionState,
    /// What went wrong, without a word of the call.
    pub error: Option<Box<str>>,
    /// What is known of the call's fields with it, where that changes.
    pub found: Option<ExtractedFields>,
    /// While it is still tried: when next, ms since 1970.
    pub next_at_ms: Option<u64>,
}

/// The message of an agent's webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Where to.
    pub url: Box<str>,
    /// What is told, JSON.
    pub body: Box<str>,
}

impl ExtractionKind {
    /// The word in lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Final => "final",
        }
    }

    fn find(word: &str) -> Option<Self> {
        [Self::Live, Self::Final].into_iter().find(|kind| kind.word() == word)
    }
}

impl ExtractionState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Done, Self::Dead, Self::Off];

    /// The word in lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Off => "off",
        }
    }

    /// The state of that word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl Store {
    /// What is to be done of the extractions of this server's calls and is not `without_room`: what is to be told first,
    /// then those of whole calls, then those of calls that are up; of each, longest due first.
    ///
    /// # Errors
    /// The database's; so for every function here.
    pub async fn due_extractions(
        &self,
        now_ms: u64,
        limit: usize,
        without_room: &WithoutRoom,
    ) -> Result<Vec<DueExtraction>, StoreError> {
        let WithoutRoom { bots, settled } = without_room;
        let mut sql = "SELECT x.call_id, x.kind, x.state, x.round, x.attempts, c.bot \
             FROM extractions x JOIN calls c ON c.call_id = x.call_id \
             WHERE x.server = $1 AND x.next_at_ms <= $2"
            .to_owned();
        if *settled {
            sql.push_str(" AND x.state = 'pending'");
        }
        if !bots.is_empty() {
            sql.push_str(&format!(" AND (x.state <> 'pending' OR c.bot NOT IN ({}))", list(bots.len(), 4)));
        }
        sql.push_str(
            " ORDER BY CASE x.state WHEN 'pending' THEN 1 ELSE 0 END, \
             CASE x.kind WHEN 'final' THEN 0 ELSE 1 END, x.next_at_ms, x.call_id LIMIT $3",
        );
        let query = Query::composed(sql).text(&self.server).whole(now_ms).whole(limit as u64);
        let query = bots.iter().fold(query, |query, bot| query.text(bot));
        self.readers.rows(query).await?.into_iter().map(DueExtraction::read).collect()
    }

    /// Those of these calls whose extraction as a whole was ordered: they are over.
    pub async fn ended_of(&self, call_ids: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut ended = Vec::new();
        for piece in pieces(call_ids) {
            let places = list(piece.len(), 1);
            let query = Query::composed(format!(
                "SELECT call_id FROM extractions WHERE kind = 'final' AND call_id IN ({places})"
            ));
            let query = piece.iter().fold(query, |query, call_id| query.text(call_id));
            for mut row in self.readers.rows(query).await? {
                ended.push(row.text()?);
            }
        }
        Ok(ended)
    }

    /// When the next that is due behind `after_ms` is due, ms since 1970.
    pub async fn next_extraction_ms(&self, after_ms: u64) -> Result<Option<u64>, StoreError> {
        let query = Query::new(
            "SELECT next_at_ms FROM extractions WHERE server = $1 AND next_at_ms > $2 ORDER BY next_at_ms LIMIT 1",
        );
        let row = self.readers.row(query.text(&self.server).whole(after_ms)).await?;
        row.map(|mut row| row.whole()).transpose()
    }

    /// Takes down what became of an attempt made at `at_ms`. Returns whether its order still counted.
    pub async fn extraction_attempted(
        &self,
        due: DueExtraction,
        outcome: ExtractionOutcome,
        at_ms: u64,
    ) -> Result<bool, StoreError> {
        self.found(Work::ExtractionAttempt(Box::new((due, outcome))), at_ms).await
    }

    /// Ends a settled order and has its webhook sent, both or neither. Returns whether that was still to be done.
    pub async fn tell_extraction(
        &self,
        due: DueExtraction,
        webhook: Option<NewWebhook>,
        at_ms: u64,
    ) -> Result<bool, StoreError> {
        self.found(Work::TellExtraction(Box::new((due, webhook))), at_ms).await
    }

    /// Has the whole of a call that is over extracted once more. Returns whether its last order is over.
    pub async fn extract_again(&self, call_id: &str, now_ms: u64) -> Result<bool, StoreError> {
        self.found(Work::ExtractAgain(call_id.into()), now_ms).await
    }

    /// That extraction of a call.
    pub async fn find_extraction(
        &self,
        call_id: &str,
        kind: ExtractionKind,
    ) -> Result<Option<StoredExtraction>, StoreError> {
        let query = Query::composed(format!("{LIST} WHERE call_id = $1 AND kind = $2"));
        let row = self.readers.row(query.text(call_id).text(kind.word())).await?;
        row.map(StoredExtraction::read).transpose()
    }

    /// Extractions of whole calls in that state, newest call first, of those behind the call `behind`.
    pub async fn list_extractions(
        &self,
        state: Option<ExtractionState>,
        behind: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredExtraction>, StoreError> {
        let mut sql = format!("{LIST} WHERE kind = 'final'");
        let mut values = Vec::new();
        for (condition, value) in [("state =", state.map(ExtractionState::word)), ("call_id <", behind)] {
            if let Some(value) = value {
                values.push(value);
                sql.push_str(&format!(" AND {condition} ${}", values.len() + 1));
            }
        }
        sql.push_str(" ORDER BY call_id DESC LIMIT $1");
        let query = values.into_iter().fold(Query::composed(sql).whole(limit as u64), Query::text);
        self.readers.rows(query).await?.into_iter().map(StoredExtraction::read).collect()
    }

    /// How many extractions of whole calls are in that state.
    pub async fn count_extractions(&self, state: ExtractionState) -> Result<u64, StoreError> {
        let query = Query::new("SELECT COUNT(*) FROM extractions WHERE kind = 'final' AND state = $1");
        let row = self.readers.row(query.text(state.word())).await?;
        row.map(|mut row| row.whole()).transpose().map(Option::unwrap_or_default)
    }
}

/// Orders a live extraction of what was said until `at_ms`. One that waits because its service asked for it waits on.
pub(super) async fn order_live(
    link: &mut Link,
    (call_id, server): (&str, &str),
    at_ms: u64,
) -> Result<(), StoreError> {
    Query::new(
        "INSERT INTO extractions (call_id, kind, server, state, round, attempts, next_at_ms) \
         VALUES ($1, 'live', $2, 'pending', 1, 0, $3) \
         ON CONFLICT (call_id, kind) DO UPDATE SET round = extractions.round + 1, attempts = 0, state = 'pending', \
         next_at_ms = CASE WHEN extractions.next_at_ms > excluded.next_at_ms THEN extractions.next_at_ms \
         ELSE excluded.next_at_ms END WHERE extractions.state <> 'off'",
    )
    .text(call_id)
    .text(server)
    .whole(at_ms)
    .execute(link)
    .await
    .map(|_| ())
}

/// Orders the extraction of a whole call that an agent had, which ends every live one.
pub(super) async fn order_final(
    link: &mut Link,
    (call_id, server): (&str, &str),
    at_ms: u64,
) -> Result<(), StoreError> {
    let settle = Query::new(
        "UPDATE extractions SET state = 'off', next_at_ms = NULL WHERE call_id = $1 AND kind = 'live'",
    );
    settle.text(call_id).execute(link).await?;
    Query::new(
        "INSERT INTO extractions (call_id, kind, server, state, round, attempts, next_at_ms) \
         SELECT call_id, 'final', $2, 'pending', 1, 0, $3 FROM call_files WHERE call_id = $1 \
         ON CONFLICT (call_id, kind) DO NOTHING",
    )
    .text(call_id)
    .text(server)
    .whole(at_ms)
    .execute(link)
    .await
    .map(|_| ())
}

/// Orders the extraction of a call that is over once more. Returns whether it was settled and told of before.
pub(super) async fn order_again(link: &mut Link, call_id: &str, at_ms: u64) -> Result<bool, StoreError> {
    let again = Query::new(
        "UPDATE extractions SET state = 'pending', round = round + 1, attempts = 0, next_at_ms = $2, \
         last_error = NULL WHERE call_id = $1 AND kind = 'final' AND next_at_ms IS NULL",
    );
    Ok(again.text(call_id).whole(at_ms).execute(link).await? > 0)
}

/// Takes down what became of an attempt at `due`. Returns whether that order still counted.
pub(super) async fn attempted(
    link: &mut Link,
    due: &DueExtraction,
    outcome: &ExtractionOutcome,
    at_ms: u64,
) -> Result<bool, StoreError> {
    let next_at_ms = match (outcome.state, due.kind) {
        (ExtractionState::Pending, _) => outcome.next_at_ms.or(Some(at_ms)),
        // Somebody has to be told yet.
        (_, ExtractionKind::Final) => Some(at_ms),
        (_, ExtractionKind::Live) => None,
    };
    let counted = Query::new(
        "UPDATE extractions SET state = $4, attempts = attempts + 1, next_at_ms = $5, last_at_ms = $6, \
         last_error = $7 WHERE call_id = $1 AND kind = $2 AND round = $3 AND state = 'pending'",
    )
    .text(&due.call_id)
    .text(due.kind.word())
    .whole(due.round)
    .text(outcome.state.word())
    .maybe_whole(next_at_ms)
    .whole(at_ms)
    .maybe_text(outcome.error.as_deref())
    .execute(link)
    .await?
        > 0;
    if let Some(found) = &outcome.found
        && (counted || is_superseded(link, due).await?)
    {
        Beside::Extracted(Box::new(found.clone())).write(link, (&due.call_id, ""), at_ms).await?;
    }
    Ok(counted)
}

/// Whether a newer order of a call that is up waits: until that is carried out, what this one found is what is known.
async fn is_superseded(link: &mut Link, due: &DueExtraction) -> Result<bool, StoreError> {
    if due.kind == ExtractionKind::Final {
        return Ok(false);
    }
    let newer = Query::new(
        "SELECT round FROM extractions WHERE call_id = $1 AND kind = 'live' AND round > $2 AND state = 'pending'",
    );
    Ok(newer.text(&due.call_id).whole(due.round).row(link).await?.is_some())
}

/// Ends the order `due`, which is settled, and has its `webhook` sent. Once done, it does nothing more.
pub(super) async fn tell(
    link: &mut Link,
    due: &DueExtraction,
    webhook: Option<&NewWebhook>,
    at_ms: u64,
) -> Result<bool, StoreError> {
    let ended = Query::new(
        "UPDATE extractions SET next_at_ms = NULL \
         WHERE call_id = $1 AND kind = $2 AND round = $3 AND state <> 'pending' AND next_at_ms IS NOT NULL",
    );
    let ended = ended.text(&due.call_id).text(due.kind.word()).whole(due.round).execute(link).await? > 0;
    if let Some(webhook) = webhook.filter(|_| ended) {
        let event = NewEvent { name: EventName::Result, at_ms, body: webhook.body.to_string() };
        let event_id = insert_event(link, &due.call_id, &event).await?;
        deliveries::order_webhook(link, (&due.call_id, &event_id), &webhook.url, at_ms).await?;
    }
    Ok(ended)
}

impl StoredExtraction {
    /// When it is tried next, ms since 1970; `None` once it is settled.
    pub fn next_attempt_ms(&self) -> Option<u64> {
        self.next_at_ms.filter(|_| self.state == ExtractionState::Pending)
    }
}

impl DueExtraction {
    fn read(mut row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            call_id: row.text()?,
            kind: kind(&row.text()?)?,
            state: state(&row.text()?)?,
            round: row.whole()?,
            attempts: deliveries::small(row.whole()?),
            bot: row.text()?,
        })
    }
}

impl StoredExtraction {
    fn read(mut row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            call_id: row.text()?,
            kind: kind(&row.text()?)?,
            state: state(&row.text()?)?,
            attempts: deliveries::small(row.whole()?),
            next_at_ms: row.maybe_whole()?,
            last_at_ms: row.maybe_whole()?,
            last_error: row.maybe_text()?,
        })
    }
}

fn kind(word: &str) -> Result<ExtractionKind, StoreError> {
    ExtractionKind::find(word).ok_or(StoreError::Unreadable("the kind of an extraction"))
}

fn state(word: &str) -> Result<ExtractionState, StoreError> {
    ExtractionState::find(word).ok_or(StoreError::Unreadable("the state of an extraction"))
}

const LIST: &str =
    "SELECT call_id, kind, state, attempts, next_at_ms, last_at_ms, last_error FROM extractions";
