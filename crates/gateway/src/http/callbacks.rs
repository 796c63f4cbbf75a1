//! `/callbacks`: what calls told whom, what was given up, and sending that again.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use patchcord_core::vocabulary::iso8601;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::calls::{CALL_ID_BYTES_MAX, unavailable};
use super::openapi::{CallProblems, ReadProblems};
use super::problem::Problem;
use super::query::Parameters;
use crate::clock::unix_ms;
use crate::config::WebUrl;
use crate::store::{DeliveryFilter, DeliveryKind, DeliveryState, StoredDelivery};

/// A page of callbacks.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallbackPage {
    /// Newest first.
    data: Vec<CallbackView>,
    /// Where the next page begins; none on the last one.
    next_cursor: Option<String>,
}

/// One event on its way to its receiver.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Callback)]
pub struct CallbackView {
    /// Its id, `webhook-id` on every attempt.
    #[schema(example = "evt_0123456789abcdef01234567")]
    event_id: String,
    /// The call that it tells of.
    call_id: String,
    /// `callback` (what becomes of a call, to its owner) or `webhook` (what came of it, from its agent).
    #[schema(example = "callback")]
    kind: &'static str,
    /// What it tells.
    #[schema(example = "call.completed")]
    event: &'static str,
    /// Where it goes: scheme, host and port; a path may hold a secret.
    #[schema(example = "https://crm.example.com")]
    receiver: String,
    /// `pending`, `delivered` or `dead`.
    #[schema(example = "dead")]
    state: &'static str,
    /// Attempts so far.
    attempts: u32,
    /// When what it tells happened.
    #[schema(format = DateTime)]
    timestamp: String,
    /// When it was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_attempt_at: Option<String>,
    /// When it is tried next; none while an earlier one of its call is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// The HTTP status of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 999)]
    last_status: Option<u16>,
    /// What went wrong with it, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "timeout")]
    last_error: Option<String>,
}

/// Callbacks, newest first
#[utoipa::path(
    get,
    path = "/callbacks",
    operation_id = "list_callbacks",
    tag = "callbacks",
    params(
        ("state" = Option<String>, Query, description = "In that state", pattern = "^(pending|delivered|dead)$"),
        ("kind" = Option<String>, Query, description = "Of that kind", pattern = "^(callback|webhook)$"),
        ("call_id" = Option<String>, Query, description = "Of that call", min_length = 1, max_length = 128),
        ("limit" = Option<u32>, Query, description = "Callbacks of a page, 50 if not given", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before", pattern = "^[0-9]{1,18}$"),
    ),
    responses((status = 200, description = "A page of callbacks", body = CallbackPage), ReadProblems),
)]
pub async fn list(State(api): State<Api>, mut query: Parameters) -> Result<Json<CallbackPage>, Problem> {
    let filter = DeliveryFilter {
        state: query.parsed("state", "one of pending, delivered, dead", DeliveryState::find)?,
        kind: query.parsed("kind", "callback or webhook", DeliveryKind::find)?,
        call_id: query.text("call_id", CALL_ID_BYTES_MAX)?,
    };
    let limit = query.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE);
    let before = query.number("cursor", 0..=CURSOR_MAX)?;
    query.finish()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // One more than asked for says whether there is another page.
    let listed = api.exchange.store.list_deliveries(&filter, before, limit + 1).await;
    let mut deliveries = listed.map_err(unavailable)?;
    let is_more = deliveries.len() > limit;
    deliveries.truncate(limit);
    let next_cursor = deliveries.last().filter(|_| is_more).map(|last| last.seq.to_string());
    Ok(Json(CallbackPage { data: deliveries.into_iter().map(CallbackView::of).collect(), next_cursor }))
}

/// One callback
#[utoipa::path(
    get,
    path = "/callbacks/{event_id}",
    operation_id = "show_callback",
    tag = "callbacks",
    params(("event_id" = String, Path, description = "The event's id")),
    responses((status = 200, description = "The callback", body = CallbackView), CallProblems),
)]
pub async fn show(State(api): State<Api>, EventId(event_id): EventId) -> Result<Json<CallbackView>, Problem> {
    find(&api, &event_id).await.map(|delivery| Json(CallbackView::of(delivery)))
}

/// Send a callback again
///
/// One that was delivered or given up is sent again at once, under its own id; one that is still tried stays as it is.
#[utoipa::path(
    post,
    path = "/callbacks/{event_id}/replay",
    operation_id = "replay_callback",
    tag = "callbacks",
    params(("event_id" = String, Path, description = "The event's id")),
    responses((status = 202, description = "It is on its way", body = CallbackView), CallProblems),
)]
pub async fn replay(
    State(api): State<Api>,
    EventId(event_id): EventId,
) -> Result<(StatusCode, Json<CallbackView>), Problem> {
    // The id is looked up first: what it says below is then of a delivery that there is.
    find(&api, &event_id).await?;
    api.exchange.store.replay_delivery(&event_id, unix_ms()).await.map_err(unavailable)?;
    let delivery = find(&api, &event_id).await?;
    Ok((StatusCode::ACCEPTED, Json(CallbackView::of(delivery))))
}

/// The id in a path, in plain characters.
pub struct EventId(String);

impl<S: Send + Sync> FromRequestParts<S> for EventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_plain && id.len() <= CALL_ID_BYTES_MAX { Ok(Self(id)) } else { Err(unknown()) }
    }
}

async fn find(api: &Api, event_id: &str) -> Result<StoredDelivery, Problem> {
    let found = api.exchange.store.find_delivery(event_id).await.map_err(unavailable)?;
    found.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_callback", "no callback has this id")
}

impl CallbackView {
    /// A stored delivery.
    pub fn of(delivery: StoredDelivery) -> Self {
        Self {
            kind: delivery.kind.word(),
            event: delivery.name.word(),
            receiver: WebUrl::parse(&delivery.url).map_or_else(|_| String::new(), |url| url.origin()),
            state: delivery.state.word(),
            attempts: delivery.attempts,
            timestamp: iso8601(delivery.at_ms),
            last_attempt_at: delivery.last_at_ms.map(iso8601),
            next_attempt_at: delivery.next_at_ms.map(iso8601),
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            event_id: delivery.event_id,
            call_id: delivery.call_id,
        }
    }
}

/// Callbacks of a page where nobody says how many.
const PAGE: u64 = 50;
/// Callbacks of a page.
const PAGE_MAX: u64 = 200;
/// The largest place that a database has.
const CURSOR_MAX: u64 = 999_999_999_999_999_999;
