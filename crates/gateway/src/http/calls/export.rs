//! `GET /calls/export`: all calls that a filter lets through, as CSV or JSON, page by page as they are read: however many
//! there are, a page of them is in memory.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::try_unfold;

use super::filter::{self, FilterParameters};
use super::row::CallRow;
use super::unavailable;
use crate::http::api::Api;
use crate::http::openapi::ReadProblems;
use crate::http::problem::Problem;
use crate::http::query::Parameters;
use crate::store::{CallCursor, CallFilter, StoreError};

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Json,
}

/// Calls, newest first, in one file
///
/// CSV by RFC 4180 with a heading. A cell that a spreadsheet would take for a formula has a `'` in front.
#[utoipa::path(
    get,
    path = "/calls/export",
    operation_id = "export_calls",
    tag = "calls",
    params(
        FilterParameters,
        ("format" = Option<String>, Query, description = "`csv`, or `json` for a list of what `GET /calls` shows; `csv` if not given", pattern = "^(csv|json)$"),
    ),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/csv"),
            (Vec<CallRow> = "application/json"),
        )),
        ReadProblems,
    ),
)]
pub async fn export(State(api): State<Api>, mut query: Parameters) -> Result<Response, Problem> {
    let form = query.parsed("format", "csv or json", form)?.unwrap_or(Form::Csv);
    let filter = filter::read(&mut query)?;
    query.finish()?;
    let mut reading = Reading { api, filter, form, behind: None, step: Step::Head };
    // The first page is read before the answer begins: what is wrong with the database has a status.
    let first = reading.next().await.map_err(unavailable)?;
    let rest = try_unfold((first, reading), async |(ready, mut reading)| {
        let piece = match ready {
            Some(piece) => Some(piece),
            None => reading.next().await?,
        };
        Ok::<_, StoreError>(piece.map(|piece| (piece, (None, reading))))
    });
    let (kind, name) = match form {
        Form::Csv => ("text/csv; charset=utf-8; header=present", "calls.csv"),
        Form::Json => ("application/json", "calls.json"),
    };
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(rest)).into_response())
}

/// How far an export is.
struct Reading {
    api: Api,
    filter: CallFilter,
    form: Form,
    behind: Option<CallCursor>,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Head,
    Rows,
    Done,
}

impl Reading {
    /// The next piece of the file.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.step == Step::Done {
            return Ok(None);
        }
        let store = &self.api.exchange.store;
        let calls = store.list_calls(&self.filter, self.behind.as_ref(), PAGE_CALLS).await?;
        let mut text = match (self.step, self.form) {
            (Step::Head, Form::Csv) => heading(),
            (Step::Head, Form::Json) => "[".to_owned(),
            _ => String::new(),
        };
        let is_last = calls.len() < PAGE_CALLS;
        let mut is_first = self.step == Step::Head;
        self.behind = calls.last().map(CallCursor::behind).or(self.behind.take());
        for row in CallRow::all_of(&self.api, calls).await? {
            match self.form {
                Form::Csv => text.push_str(&line(&row)),
                Form::Json => {
                    text.push_str(if std::mem::take(&mut is_first) { "\n" } else { ",\n" });
                    // Numbers and text: serialisation into memory has nothing to fail at.
                    text.push_str(&serde_json::to_string(&row).unwrap_or_default());
                }
            }
        }
        if is_last && self.form == Form::Json {
            text.push_str("\n]\n");
        }
        self.step = if is_last { Step::Done } else { Step::Rows };
        Ok(Some(text.into()))
    }
}

fn form(word: &str) -> Option<Form> {
    match word {
        "csv" => Some(Form::Csv),
        "json" => Some(Form::Json),
        _ => None,
    }
}

fn heading() -> String {
    let mut text = COLUMNS.join(",");
    text.push_str("\r\n");
    text
}

fn line(row: &CallRow) -> String {
    // A tree of text and numbers: serialisation into memory has nothing to fail at.
    let fields = serde_json::to_value(row).unwrap_or_default();
    let cells = COLUMNS.map(|column| match &fields[column] {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => cell(text),
        other => cell(&other.to_string()),
    });
    let mut text = cells.join(",");
    text.push_str("\r\n");
    text
}

/// Text as a cell: quoted where it has to be (RFC 4180 §2), and never a formula: those begin with `=`, `+`, `-`, `@`, a tab
/// or a return.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let safe = if is_formula { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', '"', '\r', '\n', ';']) {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

/// The columns of the CSV, by the names in JSON.
const COLUMNS: [&str; 23] = [
    "call_id",
    "status",
    "direction",
    "from",
    "to",
    "bot",
    "started_at",
    "answered_at",
    "ended_at",
    "duration",
    "cause_class",
    "hangup_reason",
    "hangup_cause",
    "hangup_cause_txt",
    "disconnected_by",
    "response_ms",
    "fields_state",
    "has_unheard",
    "transfer_to",
    "transfer_status",
    "recording_url",
    "full_recording_url",
    "telephony_call_id",
];

/// Calls that are read at once.
const PAGE_CALLS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_breaks_out_of_its_place() {
        for (text, expected) in [
            ("18001234567", "18001234567"),
            ("+919876543210", "'+919876543210"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("-2+3", "'-2+3"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\t=1", "'\t=1"),
            ("\r\n=1", "\"'\r\n=1\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }
}
