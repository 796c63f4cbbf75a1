//! Who looks whether the server lives: the front page, health, readiness, metrics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::metrics;
use super::problem::{Problem, ProblemBody};
use crate::calls::{Exchange, TrunkReach, TrunkStatus};

/// What `/health` says.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// `server.id` of the configuration.
    #[schema(example = "delhi")]
    server: String,
    /// The configuration in effect.
    config: ConfigHealth,
}

/// The configuration in effect.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfigHealth {
    /// Reloads that took effect since the start.
    reloads: u64,
}

/// What `/ready` says when calls are taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    /// `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// The trunks by which calls go out, by whether their carriers answer.
    trunks: TrunkCounts,
}

/// Trunks, by whether their carriers answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrunkCounts {
    /// They do.
    #[schema(example = 1)]
    up: usize,
    /// They do not.
    #[schema(example = 0)]
    down: usize,
    /// They were not asked, or have not answered yet.
    #[schema(example = 0)]
    unknown: usize,
}

impl TrunkCounts {
    /// Those counted.
    pub fn of(trunks: &[TrunkStatus]) -> Self {
        let count = |reach: TrunkReach| trunks.iter().filter(|trunk| trunk.reach == reach).count();
        Self { up: count(TrunkReach::Up), down: count(TrunkReach::Down), unknown: count(TrunkReach::Unknown) }
    }
}

/// What to dial and where to look, as text; `hint` says where the dashboard is.
pub fn front_page(exchange: &Exchange, hint: &str) -> Response {
    let config = exchange.config();
    let http = config.http.listen;
    let sip = config.sip.listen.first().map_or_else(String::new, |socket| match socket.address.port() {
        5060 => socket.address.ip().to_string(),
        _ => socket.address.to_string(),
    });
    let page = format!(
        "Patchcord {version} is running.\n\n\
         Call sip:echo@{sip} from any SIP phone: you hear yourself.\n\
         Other built-in bots: sip:parrot@{sip}, sip:ivr@{sip}, sip:dtmf@{sip}, sip:tone@{sip}.\n\
         Vendors connect to ws://{http}/ws or ws://{http}/ws/DIALECT/BOT.\n\n\
         {hint}\n\n\
         /docs     the API, to look at and to try\n\
         /health   alive\n/ready    takes calls\n/metrics  for Prometheus\n",
        version = env!("CARGO_PKG_VERSION"),
    );
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], page).into_response()
}

/// Whether the process lives
#[utoipa::path(
    get,
    path = "/health",
    tag = "watch",
    security(()),
    responses((status = 200, description = "It lives", body = Health)),
)]
pub async fn health(State(api): State<Api>) -> Json<Health> {
    let exchange = &api.exchange;
    let config = ConfigHealth { reloads: exchange.current.reloads().applied };
    Json(Health { status: "ok", server: exchange.config().server.id.clone(), config })
}

/// Whether calls are taken
#[utoipa::path(
    get,
    path = "/ready",
    tag = "watch",
    security(()),
    responses(
        (status = 200, description = "Calls are taken", body = Ready),
        (status = 503, description = "No calls are taken; `detail` says why", body = ProblemBody,
            content_type = "application/problem+json"),
    ),
)]
pub async fn ready(State(api): State<Api>) -> Result<Json<Ready>, Problem> {
    match why_not_ready(&api) {
        None => {
            let trunks = TrunkCounts::of(&api.exchange.trunk_lines.statuses());
            Ok(Json(Ready { status: "ready", trunks }))
        }
        Some(why_not) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why_not)),
    }
}

/// Why no calls are taken, if so.
pub fn why_not_ready(api: &Api) -> Option<&'static str> {
    let exchange = &api.exchange;
    if exchange.registry.is_draining() {
        Some("draining: the process is being stopped")
    } else if exchange.records().is_failing() {
        Some("records: calls.jsonl cannot be written, or not as fast as calls end")
    } else if exchange.store.figures().failing || !exchange.store.takes_calls() {
        Some("storage: the database takes no writes, or not as fast as calls come")
    } else if !(api.sip.is_taking_calls)() {
        Some("sip: the agent has stopped")
    } else {
        None
    }
}

/// Counters and gauges for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "watch",
    responses((status = 200, description = "Text format 0.0.4", body = String, content_type = "text/plain"),
        super::openapi::KeyProblems),
)]
pub async fn show_metrics(State(api): State<Api>) -> Response {
    let text = metrics::render(&api.exchange, &(api.sip.counters)(), &api.requests);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
