//! Which address leads where.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use patchcord_core::dialect::registry;
use patchcord_core::vocabulary::Reason;
use patchcord_sip::SipCounters;
use serde_json::json;

use super::metrics;
use super::problem::Problem;
use super::upgrade::Upgrade;
use crate::calls::vendor::{self, VendorRoute};
use crate::calls::{Exchange, RETRY_AFTER_S};
use crate::config::{CUSTOM, Config, Listener, VendorAccess};

/// What the main port shows of the SIP side.
#[derive(Clone)]
pub struct SipView {
    /// Whether calls are taken from the agent.
    pub is_taking_calls: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Its counters.
    pub counters: Arc<dyn Fn() -> SipCounters + Send + Sync>,
}

/// The main port.
pub fn main_router(exchange: Arc<Exchange>, sip: SipView) -> Router {
    let shown = sip.clone();
    Router::new()
        .route("/", get(front_page))
        .route("/health", get(health))
        .route("/ready", get(move |state| ready(state, sip.clone())))
        .route("/metrics", get(move |state| show_metrics(state, shown.clone())))
        .route("/ws", get(default_vendor))
        .route("/ws/{dialect}/{bot}", get(any_vendor))
        .fallback(not_found)
        .with_state(exchange)
}

/// A port of `[[listeners]]`: every path leads to its bot, in its dialect.
///
/// `listener` stood at `index` of the list when its port was opened.
pub fn listener_router(exchange: Arc<Exchange>, index: usize, listener: Listener) -> Router {
    Router::new().fallback(listener_vendor).with_state(Arc::new(ListenerPort { exchange, index, listener }))
}

/// What a port of `[[listeners]]` was opened with.
struct ListenerPort {
    exchange: Arc<Exchange>,
    index: usize,
    listener: Listener,
}

impl ListenerPort {
    /// The entry of `listeners` for this port; what it was opened with where there is none.
    fn settings<'a>(&'a self, listeners: &'a [Listener]) -> &'a Listener {
        let same = |entry: &&Listener| entry.listen == self.listener.listen;
        let at_index = listeners.get(self.index).filter(same);
        at_index.or_else(|| listeners.iter().find(same)).unwrap_or(&self.listener)
    }
}

async fn front_page(State(exchange): State<Arc<Exchange>>) -> Response {
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
         /health   alive\n/ready    takes calls\n/metrics  for Prometheus\n",
        version = env!("CARGO_PKG_VERSION"),
    );
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], page).into_response()
}

async fn health(State(exchange): State<Arc<Exchange>>) -> Response {
    axum::Json(json!({ "status": "ok", "server": exchange.config().server.id, "config": { "reloads": exchange.current.reloads().applied } })).into_response()
}

async fn ready(State(exchange): State<Arc<Exchange>>, sip: SipView) -> Response {
    let why_not = if exchange.registry.is_draining() {
        Some("draining: the process is being stopped")
    } else if exchange.records().is_failing() {
        Some("records: calls.jsonl cannot be written, or not as fast as calls end")
    } else if !(sip.is_taking_calls)() {
        Some("sip: the agent has stopped")
    } else {
        None
    };
    match why_not {
        None => axum::Json(json!({ "status": "ready" })).into_response(),
        Some(why_not) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why_not).into_response(),
    }
}

async fn show_metrics(State(exchange): State<Arc<Exchange>>, sip: SipView) -> Response {
    let text = metrics::render(&exchange, &(sip.counters)());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
}

async fn default_vendor(
    State(exchange): State<Arc<Exchange>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let config = exchange.config();
    let (access, bot) = (&config.http.access, &config.http.ws_bot);
    let door =
        Door { exchange: &exchange, config: &config, access, dialect: DEFAULT_DIALECT, bot, listener: None };
    door.open(peer, request)
}

async fn any_vendor(
    State(exchange): State<Arc<Exchange>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((dialect, bot)): Path<(String, String)>,
    request: Request,
) -> Response {
    let config = exchange.config();
    let access = &config.http.access;
    Door { exchange: &exchange, config: &config, access, dialect: &dialect, bot: &bot, listener: None }
        .open(peer, request)
}

async fn listener_vendor(
    State(port): State<Arc<ListenerPort>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let exchange = &port.exchange;
    let config = exchange.config();
    let listener = port.settings(&config.listeners);
    let (dialect, bot) = (listener.dialect.as_str(), listener.bot.as_str());
    let (access, listener) = (&listener.access, Some(listener));
    Door { exchange, config: &config, access, dialect, bot, listener }.open(peer, request)
}

/// One way in for vendors: who may come, what they speak, whom they meet, and what a listener knows beyond that.
struct Door<'a> {
    exchange: &'a Arc<Exchange>,
    config: &'a Config,
    access: &'a VendorAccess,
    dialect: &'a str,
    bot: &'a str,
    listener: Option<&'a Listener>,
}

impl Door<'_> {
    fn open(&self, peer: SocketAddr, request: Request) -> Response {
        self.try_open(peer, request).unwrap_or_else(IntoResponse::into_response)
    }

    fn try_open(&self, peer: SocketAddr, mut request: Request) -> Result<Response, Problem> {
        self.check_access(peer, &request)?;
        let not_found = |code, detail: &str| Problem::new(StatusCode::NOT_FOUND, code, detail);
        let row = registry::find(self.dialect).ok_or_else(|| {
            not_found("unknown_dialect", "no dialect has this name; see `patchcord dialects`")
        })?;
        let bot =
            self.config.find_bot(self.bot).ok_or_else(|| not_found("unknown_bot", "no bot has this name"))?;
        let listener = self.listener;
        let mapping = listener.and_then(|listener| listener.mapping.clone());
        if row.name == CUSTOM && mapping.is_none() {
            return Err(not_found(
                "no_mapping",
                "custom needs a mapping: give the vendor a port of [[listeners]]",
            ));
        }
        let upgrade = Upgrade::of(&mut request)?;
        let response = upgrade.response();
        let route = VendorRoute {
            row,
            audio: listener.map_or(row.default_audio, |listener| listener.audio),
            mapping,
            bot,
            country: listener.and_then(|listener| listener.country.as_ref()),
        };
        vendor::take(self.exchange, route, upgrade.socket()).map_err(refusal)?;
        Ok(response)
    }

    fn check_access(&self, peer: SocketAddr, request: &Request) -> Result<(), Problem> {
        if self.access.admits(peer.ip(), token(request).as_deref()) {
            return Ok(());
        }
        Err(match self.access.token {
            None => Problem::new(StatusCode::FORBIDDEN, "not_admitted", "this address is not let in"),
            Some(_) => {
                Problem::new(StatusCode::UNAUTHORIZED, "token_required", "the token is missing or wrong")
                    .with_header("www-authenticate", "Bearer")
            }
        })
    }
}

fn refusal(reason: Reason) -> Problem {
    match reason {
        Reason::Drained => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "this server is being stopped")
        }
        Reason::OverCapacity => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "over_capacity", "all lines are taken")
        }
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the call could not be set up"),
    }
    .with_retry_after(RETRY_AFTER_S)
}

/// What the vendor presents: `Authorization: Bearer …`, or `?token=…` for clients that cannot set headers.
fn token(request: &Request) -> Option<String> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some((scheme, token)) = header.and_then(|value| value.split_once(' '))
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(token.trim().to_owned());
    }
    let query = axum::extract::Query::<Presented>::try_from_uri(request.uri()).ok()?;
    query.0.token
}

#[derive(serde::Deserialize)]
struct Presented {
    token: Option<String>,
}

/// The dialect of `/ws` (seed 001).
const DEFAULT_DIALECT: &str = "ozonetel";

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::RETRY_AFTER;

    #[test]
    fn a_full_house_is_429_and_a_stopping_one_503_and_both_say_when_to_come_again() {
        for (reason, status) in [(Reason::OverCapacity, 429), (Reason::Drained, 503), (Reason::Internal, 500)]
        {
            let response = refusal(reason).into_response();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()[RETRY_AFTER], RETRY_AFTER_S.to_string());
        }
    }
}
