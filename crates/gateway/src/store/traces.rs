//! What a call leaves beside its row, one document of each kind: its history, and the ladder of its SIP messages.

use std::collections::BTreeMap;

use super::StoreError;
use super::engine::{Link, Query, Readers};
use super::rows::{pieces, tuples};

/// What kinds of documents there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trace {
    /// What happened and when.
    History,
    /// Its SIP messages, without what they say.
    Ladder,
}

impl Trace {
    fn word(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Ladder => "ladder",
        }
    }
}

/// A document of a call.
#[derive(Debug)]
pub(super) struct Left<'a> {
    pub(super) call_id: &'a str,
    pub(super) trace: Trace,
    pub(super) document: &'a str,
}

/// Keeps documents of calls, each in the place of an earlier one; of a call that is not stored, nothing.
pub(super) async fn keep(link: &mut Link, left: &[Left<'_>]) -> Result<(), StoreError> {
    // One statement must not write a row twice: the last one counts.
    let last: BTreeMap<_, _> = left.iter().map(|left| ((left.call_id, left.trace), left)).collect();
    let last: Vec<_> = last.into_values().collect();
    for piece in pieces(&last) {
        let rows = tuples(piece.len(), 3, 1);
        let query = Query::composed(format!(
            "INSERT INTO call_traces (call_id, kind, document) \
             SELECT v.column1, v.column2, v.column3 FROM (VALUES {rows}) AS v \
             WHERE v.column1 IN (SELECT call_id FROM calls) \
             ON CONFLICT (call_id, kind) DO UPDATE SET document = excluded.document"
        ));
        let query = piece
            .iter()
            .fold(query, |query, left| query.text(left.call_id).text(left.trace.word()).text(left.document));
        query.execute(link).await?;
    }
    Ok(())
}

pub(super) async fn find(
    readers: &Readers,
    call_id: &str,
    trace: Trace,
) -> Result<Option<String>, StoreError> {
    let query = Query::new("SELECT document FROM call_traces WHERE call_id = $1 AND kind = $2");
    readers.row(query.text(call_id).text(trace.word())).await?.map(|mut row| row.text()).transpose()
}
