//! Which address leads where.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use patchcord_sip::SipCounters;

use super::api::Api;
use super::openapi;
use super::problem::Problem;
use super::vendors::{self, ListenerPort};
use super::{dashboard, explorer, limits};
use crate::calls::Exchange;
use crate::config::Listener;

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
    let api = Api::new(exchange, sip);
    let (resources, document) = openapi::resources(&api);
    Router::new()
        .route("/ws", get(vendors::default_vendor))
        .route("/ws/{dialect}/{bot}", get(vendors::any_vendor))
        // Clients of speech engines append this to the address that they are given.
        .route("/ws/{dialect}/{bot}/realtime", get(vendors::any_vendor))
        .merge(resources)
        .merge(explorer::router(&document))
        .merge(dashboard::router())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(api.clone(), limits::observe))
        .with_state(api)
}

/// A port of `[[listeners]]`: every path leads to its bot, in its dialect.
///
/// `listener` stood at `index` of the list when its port was opened.
pub fn listener_router(exchange: Arc<Exchange>, index: usize, listener: Listener) -> Router {
    let port = ListenerPort { exchange, index, listener };
    Router::new().fallback(vendors::listener_vendor).with_state(Arc::new(port))
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
}

async fn method_not_allowed() -> Problem {
    let detail = "this address does not take that method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
