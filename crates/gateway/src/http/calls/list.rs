//! `GET /calls`: calls by what they were, newest first, a page at a time.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::filter::{self, FilterParameters};
use super::row::CallRow;
use super::{CALL_ID_BYTES_MAX, unavailable};
use crate::http::api::Api;
use crate::http::openapi::ReadProblems;
use crate::http::problem::Problem;
use crate::http::query::Parameters;
use crate::store::CallCursor;

/// A page of calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallPage {
    /// Newest first.
    data: Vec<CallRow>,
    /// Where the next page begins; none on the last one.
    next_cursor: Option<String>,
}

/// Calls, newest first
#[utoipa::path(
    get,
    path = "/calls",
    operation_id = "list_calls",
    tag = "calls",
    params(
        FilterParameters,
        ("limit" = Option<u32>, Query, description = "Calls of a page, 50 if not given", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", min_length = 1, max_length = 160),
    ),
    responses((status = 200, description = "A page of calls", body = CallPage), ReadProblems),
)]
pub async fn list(State(api): State<Api>, mut query: Parameters) -> Result<Json<CallPage>, Problem> {
    let filter = filter::read(&mut query)?;
    let limit = query.number("limit", 1..=PAGE_CALLS_MAX)?.unwrap_or(PAGE_CALLS);
    let behind = query.parsed("cursor", "the next_cursor of a page", parse_cursor)?;
    query.finish()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // One more than asked for says whether there is another page.
    let listed = api.exchange.store.list_calls(&filter, behind.as_ref(), limit + 1).await;
    let mut calls = listed.map_err(unavailable)?;
    let is_more = calls.len() > limit;
    calls.truncate(limit);
    let last = calls.last().filter(|_| is_more);
    let next_cursor = last.map(|call| format_cursor(&CallCursor::behind(call)));
    let data = CallRow::all_of(&api, calls).await.map_err(unavailable)?;
    Ok(Json(CallPage { data, next_cursor }))
}

fn format_cursor(cursor: &CallCursor) -> String {
    format!("{}.{}", cursor.started_ms, cursor.call_id)
}

fn parse_cursor(text: &str) -> Option<CallCursor> {
    let (started_ms, call_id) = text.split_once('.')?;
    let is_plain = call_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let started_ms = started_ms.parse::<u64>().ok().filter(|ms| i64::try_from(*ms).is_ok())?;
    (is_plain && call_id.len() <= CALL_ID_BYTES_MAX)
        .then(|| CallCursor { started_ms, call_id: call_id.to_owned() })
}

/// Calls of a page where nobody says how many.
const PAGE_CALLS: u64 = 50;
/// Calls of a page.
const PAGE_CALLS_MAX: u64 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_and_anything_else_is_none() {
        let cursor =
            CallCursor { started_ms: 1_707_204_900_000, call_id: "call_1707204900000_ab".to_owned() };
        assert_eq!(parse_cursor(&format_cursor(&cursor)), Some(cursor));
        for wrong in ["", ".", "x.call_1", "1", "-1.call", "99999999999999999999.call", "1.a'b", "1.a b"] {
            assert_eq!(parse_cursor(wrong), None, "{wrong}");
        }
    }
}
