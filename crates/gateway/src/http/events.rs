//! `GET /events`: everything that is told of calls, as it is stored, as server-sent events with resume.
//!
//! A subscriber is fed from the tables, woken by commits: one that reads slowly lags behind by itself and misses
//! nothing. Source: the HTML standard's server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use patchcord_core::vocabulary::iso8601;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::ToSchema;

use super::api::Api;
use super::calls::unavailable;
use super::openapi::ReadProblems;
use super::pass::Pass;
use super::problem::Problem;
use super::query::Parameters;
use crate::store::{Store, StoredEvent};

/// Something that was told of a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Its place among all events; grows, with gaps.
    #[schema(example = 17)]
    seq: u64,
    /// Its id, the same in its callback.
    #[schema(example = "evt_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    event_id: String,
    /// What it tells.
    #[schema(example = "call.in-progress")]
    event: &'static str,
    /// The call's id.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    call_id: String,
    /// When it happened, RFC 3339.
    #[schema(example = "2024-02-06T07:15:02.000Z")]
    timestamp: String,
    /// What its callback says.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
}

impl EventView {
    /// A stored event.
    pub fn of(event: StoredEvent) -> Self {
        Self {
            seq: event.seq,
            event_id: event.event_id,
            event: event.name.word(),
            call_id: event.call_id,
            timestamp: iso8601(event.at_ms),
            // What the store keeps was JSON when it was made.
            body: RawValue::from_string(event.body).unwrap_or_default(),
        }
    }
}

/// What is told of calls, as it happens
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "follow_events",
    tag = "calls",
    params(
        ("after" = Option<u64>, Query, description = "Begin behind that place; 0 is the beginning. Without it and without `Last-Event-ID`: what happens from here on", minimum = 0, maximum = 9007199254740991_u64),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that was seen; counts before `after`", pattern = "^[0-9]{1,16}$"),
    ),
    responses(
        (status = 200, description = "Server-sent events: `id` is `seq`, `event` the event's name, `data` an Event", body = String,
            content_type = "text/event-stream"),
        ReadProblems,
    ),
)]
pub async fn follow(
    State(api): State<Api>,
    Extension(pass): Extension<Pass>,
    headers: HeaderMap,
    mut query: Parameters,
) -> Result<Response, Problem> {
    let after = query.number("after", 0..=SEQ_MAX)?;
    query.finish()?;
    let store = &api.exchange.store;
    // Subscribed before the place is taken: nothing is committed in between unseen.
    let commits = store.commits();
    let seq = match (last_seen(&headers)?, after) {
        (Some(seq), _) | (None, Some(seq)) => seq,
        (None, None) => store.last_seq().await.map_err(unavailable)?,
    };
    let permit = api.followers.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{FOLLOWERS_MAX} programs follow the events already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_followers", detail).with_retry_after(5)
    })?;
    let follower = Follower { store: store.clone(), commits, seq, has_begun: false, pass, _permit: permit };
    let body = Body::from_stream(stream::unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, Infallible>(piece), follower))
    }));
    Ok(([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], body).into_response())
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|seq| *seq <= SEQ_MAX);
    seq.map(Some)
        .ok_or_else(|| Problem::request_header("bad_header", "Last-Event-ID", "expected the id of an event"))
}

/// Who follows the events.
struct Follower {
    store: Store,
    commits: watch::Receiver<u64>,
    /// The last event that was sent.
    seq: u64,
    has_begun: bool,
    pass: Pass,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// The next piece of the stream: events, or a comment that says we are here. None ends it.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(Bytes::from_static(b"retry: 2000\n\n"));
        }
        loop {
            self.commits.mark_unchanged();
            let events = self.store.events_after(self.seq, EVENTS_PER_PIECE_MAX).await.ok()?;
            // After the reading: what was stored behind a log-out is told to nobody who logged out.
            if !self.pass.opens() {
                return None;
            }
            if let Some(last) = events.last() {
                self.seq = last.seq;
                return Some(events.into_iter().map(format).collect::<String>().into());
            }
            tokio::select! {
                changed = self.commits.changed() => changed.ok()?,
                () = self.pass.lost() => return None,
                () = tokio::time::sleep(HEARTBEAT) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }
}

fn format(event: StoredEvent) -> String {
    let view = EventView::of(event);
    // Numbers, texts and JSON: serialisation into memory has nothing to fail at, and leaves no line break.
    let data = serde_json::to_string(&view).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", view.seq, view.event)
}

/// A bound for everybody who follows.
pub fn followers() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(FOLLOWERS_MAX))
}

/// Programs that may follow the events at a time.
const FOLLOWERS_MAX: usize = 64;
/// Events in one piece of a stream; the rest follows in the next.
const EVENTS_PER_PIECE_MAX: usize = 100;
/// The largest place of an event that is taken: JSON's largest whole number.
const SEQ_MAX: u64 = (1 << 53) - 1;
/// How long a stream may be silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
