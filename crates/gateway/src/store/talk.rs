//! What was said in a call, what was learned from it, and the files that hold both: rows beside the call's own.
//!
//! Every write may be repeated: an utterance has its place from the call, fields are merged, names are set once.

use std::fmt;
use std::time::Duration;

use patchcord_core::vocabulary::{HeardPart, Role, Utterance};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::engine::{Link, Query, Readers};
use super::rows::{list, pieces};
use super::{StoreError, call};

/// An utterance and its place in the call, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedUtterance {
    /// How many came before it.
    pub position: u32,
    /// What was said.
    pub utterance: Utterance,
}

/// What was learned from a call.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredFields {
    /// What the bot noted itself during the call, all of it: a JSON object.
    pub saved: Map<String, Value>,
    /// What was extracted last: a JSON object, empty before the first time.
    pub fields: Map<String, Value>,
    /// Why a field has no value: a sentence each, by the field's name.
    pub reasons: Map<String, Value>,
    /// Where the extraction stands.
    pub state: FieldsState,
    /// When any of it changed last, ms since 1970.
    pub updated_ms: u64,
}

/// What an extraction found.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtractedFields {
    /// Every field of the schema, `null` where nothing was said of it: a JSON object.
    pub fields: Map<String, Value>,
    /// Why a field has no value, by its name.
    pub reasons: Map<String, Value>,
    /// Where the extraction stands with it.
    pub state: FieldsState,
}

/// Where the extraction of a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldsState {
    /// Nothing was extracted.
    Absent,
    /// During the call: the next one replaces it.
    Live,
    /// From the whole call.
    Final,
    /// It was given up; what was found last stays.
    Failed,
}

/// The names of a call's two files, below the folders of their kinds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallFileNames {
    /// The transcript's.
    pub transcript: Box<str>,
    /// The call data's.
    pub record: Box<str>,
}

/// What is known of a call's two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCallFiles {
    /// Their names, once they were chosen.
    pub names: Option<CallFileNames>,
    /// When both were durable, ms since 1970.
    pub written_ms: Option<u64>,
    /// How often what they tell has changed behind the end of the call.
    pub changes: u64,
    /// How many of these changes stand in them.
    pub changes_written: u64,
}

/// What is written beside a call's row.
#[derive(Clone, PartialEq)]
pub enum Beside {
    /// Somebody said something.
    Utterance(PlacedUtterance),
    /// The bot noted what it learned: a JSON object as text. What it noted before stays.
    Saved(Box<str>),
    /// An extraction is over.
    Extracted(Box<ExtractedFields>),
    /// An agent has, or had, the call: it leaves files.
    LeavesFiles,
    /// The names of its files are chosen; the first choice counts.
    FilesNamed(CallFileNames),
    /// Both files are durable, with so many changes in them.
    FilesWritten(u64),
    /// The call file was written anew, with so many changes in it.
    FileRewritten(u64),
}

impl fmt::Debug for Beside {
    /// Shows which it is: what was said or learned is the caller's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utterance(_) => "Utterance",
            Self::Saved(_) => "Saved",
            Self::Extracted(_) => "Extracted",
            Self::LeavesFiles => "LeavesFiles",
            Self::FilesNamed(_) => "FilesNamed",
            Self::FilesWritten(_) => "FilesWritten",
            Self::FileRewritten(_) => "FileRewritten",
        })
    }
}

impl fmt::Debug for StoredFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredFields").field("state", &self.state).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExtractedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtractedFields").field("state", &self.state).finish_non_exhaustive()
    }
}

impl FieldsState {
    const ALL: [Self; 4] = [Self::Absent, Self::Live, Self::Final, Self::Failed];

    /// The word in files and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Live => "live",
            Self::Final => "final",
            Self::Failed => "failed",
        }
    }

    /// The state of that word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

impl Beside {
    /// Whether it is something that the caller said.
    pub(super) fn is_of_caller(&self) -> bool {
        matches!(self, Self::Utterance(placed) if placed.utterance.role == Role::Caller)
    }

    /// Writes it for a call whose row is there.
    pub(super) async fn write(
        &self,
        link: &mut Link,
        (call_id, server): (&str, &str),
        at_ms: u64,
    ) -> Result<(), StoreError> {
        let query = match self {
            Self::Utterance(placed) => Query::new(
                "INSERT INTO utterances (call_id, position, body, unheard) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (call_id, position) DO NOTHING",
            )
            .text(call_id)
            .whole(placed.position.into())
            .text(&call::json(&Body::of(&placed.utterance)))
            .whole((placed.utterance.role == Role::Bot && placed.utterance.heard != HeardPart::All).into()),
            Self::Saved(json) => {
                let known = Query::new("SELECT saved FROM call_fields WHERE call_id = $1").text(call_id);
                let known = known.row(link).await?.map(|mut row| row.text()).transpose()?;
                let mut saved: Map<String, Value> = known.as_deref().map(call::parse).transpose()?.unwrap_or_default();
                // What is no object says nothing.
                saved.extend(serde_json::from_str::<Map<String, Value>>(json).unwrap_or_default());
                Query::new(
                    "INSERT INTO call_fields (call_id, saved, fields, reasons, state, updated_ms) \
                     VALUES ($1, $2, '{}', '{}', 'absent', $3) \
                     ON CONFLICT (call_id) DO UPDATE SET saved = excluded.saved, updated_ms = excluded.updated_ms",
                )
                .text(call_id)
                .text(&call::json(&saved))
                .whole(at_ms)
            }
            Self::Extracted(found) => Query::new(
                "INSERT INTO call_fields (call_id, saved, fields, reasons, state, updated_ms) \
                 VALUES ($1, '{}', $2, $3, $4, $5) ON CONFLICT (call_id) DO UPDATE SET fields = excluded.fields, \
                 reasons = excluded.reasons, state = excluded.state, updated_ms = excluded.updated_ms",
            )
            .text(call_id)
            .text(&call::json(&found.fields))
            .text(&call::json(&found.reasons))
            .text(found.state.word())
            .whole(at_ms),
            Self::LeavesFiles => Query::new(
                "INSERT INTO call_files (call_id, server) VALUES ($1, $2) ON CONFLICT (call_id) DO NOTHING",
            )
            .text(call_id)
            .text(server),
            Self::FilesNamed(names) => Query::new(
                "UPDATE call_files SET transcript = $2, record = $3 WHERE call_id = $1 AND transcript IS NULL",
            )
            .text(call_id)
            .text(&names.transcript)
            .text(&names.record),
            Self::FilesWritten(changes) => Query::new(
                "UPDATE call_files SET written_ms = $2, changes_written = $3 \
                 WHERE call_id = $1 AND written_ms IS NULL",
            )
            .text(call_id)
            .whole(at_ms)
            .whole(*changes),
            Self::FileRewritten(changes) => Query::new(
                "UPDATE call_files SET changes_written = $2 WHERE call_id = $1 AND changes_written < $2",
            )
            .text(call_id)
            .whole(*changes),
        };
        query.execute(link).await?;
        if self.is_of_whole_call() { files_changed(link, &[call_id]).await } else { Ok(()) }
    }

    /// Whether it is what came of the whole call, which its file tells.
    fn is_of_whole_call(&self) -> bool {
        matches!(self, Self::Extracted(found) if matches!(found.state, FieldsState::Final | FieldsState::Failed))
    }
}

/// What the files of these calls tell has changed: those that are written have to be so anew.
pub(super) async fn files_changed(link: &mut Link, call_ids: &[&str]) -> Result<(), StoreError> {
    for piece in pieces(call_ids) {
        let places = list(piece.len(), 1);
        let query = Query::composed(format!(
            "UPDATE call_files SET changes = changes + 1 WHERE call_id IN ({places})"
        ));
        piece.iter().fold(query, |query, call_id| query.text(call_id)).execute(link).await?;
    }
    Ok(())
}

pub(super) async fn utterances(readers: &Readers, call_id: &str) -> Result<Vec<Utterance>, StoreError> {
    let query = Query::new("SELECT body FROM utterances WHERE call_id = $1 ORDER BY position");
    let rows = readers.rows(query.text(call_id)).await?;
    rows.into_iter().map(|mut row| Ok(call::parse::<Body>(&row.text()?)?.utterance())).collect()
}

pub(super) async fn fields(readers: &Readers, call_id: &str) -> Result<Option<StoredFields>, StoreError> {
    let query =
        Query::new("SELECT saved, fields, reasons, state, updated_ms FROM call_fields WHERE call_id = $1");
    let Some(mut row) = readers.row(query.text(call_id)).await? else { return Ok(None) };
    Ok(Some(StoredFields {
        saved: call::parse(&row.text()?)?,
        fields: call::parse(&row.text()?)?,
        reasons: call::parse(&row.text()?)?,
        state: FieldsState::find(&row.text()?).ok_or(StoreError::Unreadable("the state of an extraction"))?,
        updated_ms: row.whole()?,
    }))
}

pub(super) async fn files(readers: &Readers, call_id: &str) -> Result<Option<StoredCallFiles>, StoreError> {
    let query = Query::new(
        "SELECT transcript, record, written_ms, changes, changes_written FROM call_files WHERE call_id = $1",
    );
    let Some(mut row) = readers.row(query.text(call_id)).await? else { return Ok(None) };
    let names = row.maybe_text()?.zip(row.maybe_text()?);
    let names = names
        .map(|(transcript, record)| CallFileNames { transcript: transcript.into(), record: record.into() });
    Ok(Some(StoredCallFiles {
        names,
        written_ms: row.maybe_whole()?,
        changes: row.whole()?,
        changes_written: row.whole()?,
    }))
}

/// The calls of `server` that are over and whose files are not known to be durable, oldest first.
pub(super) async fn files_due(
    readers: &Readers,
    server: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let query = Query::new(
        "SELECT f.call_id FROM call_files f JOIN calls c ON c.call_id = f.call_id \
         WHERE f.server = $1 AND f.written_ms IS NULL AND c.ended_ms IS NOT NULL \
         ORDER BY c.ended_ms, f.call_id LIMIT $2",
    );
    let rows = readers.rows(query.text(server).whole(limit as u64)).await?;
    rows.into_iter().map(|mut row| row.text()).collect()
}

/// The calls of `server` whose call file does not hold all that became of them, oldest first.
pub(super) async fn files_stale(
    readers: &Readers,
    server: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let query = Query::new(
        "SELECT call_id FROM call_files WHERE server = $1 AND written_ms IS NOT NULL AND changes > changes_written \
         ORDER BY written_ms, call_id LIMIT $2",
    );
    let rows = readers.rows(query.text(server).whole(limit as u64)).await?;
    rows.into_iter().map(|mut row| row.text()).collect()
}

/// An utterance as it is stored: times in milliseconds since the call's first sign.
#[derive(Serialize, Deserialize)]
struct Body {
    role: Who,
    item: Box<str>,
    text: Box<str>,
    start_ms: u64,
    end_ms: u64,
    heard: Heard,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    played_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Who {
    Caller,
    Bot,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Heard {
    All,
    Nothing,
    First { audio_ms: u64, text_bytes: usize },
}

impl Body {
    fn of(utterance: &Utterance) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            role: match utterance.role {
                Role::Caller => Who::Caller,
                Role::Bot => Who::Bot,
            },
            item: utterance.item.clone(),
            text: utterance.text.clone(),
            start_ms: ms(utterance.start),
            end_ms: ms(utterance.end),
            heard: match utterance.heard {
                HeardPart::All => Heard::All,
                HeardPart::Nothing => Heard::Nothing,
                HeardPart::First { audio, text_bytes } => Heard::First { audio_ms: ms(audio), text_bytes },
            },
            played_ms: utterance.played.map(ms),
            response_ms: utterance.response.map(ms),
        }
    }

    fn utterance(self) -> Utterance {
        let Self { role, item, text, start_ms, end_ms, heard, played_ms, response_ms } = self;
        Utterance {
            role: match role {
                Who::Caller => Role::Caller,
                Who::Bot => Role::Bot,
            },
            item,
            text,
            start: Duration::from_millis(start_ms),
            end: Duration::from_millis(end_ms),
            heard: match heard {
                Heard::All => HeardPart::All,
                Heard::Nothing => HeardPart::Nothing,
                Heard::First { audio_ms, text_bytes } => {
                    HeardPart::First { audio: Duration::from_millis(audio_ms), text_bytes }
                }
            },
            played: played_ms.map(Duration::from_millis),
            response: response_ms.map(Duration::from_millis),
        }
    }
}
