//! What the resources of the API share.

use std::sync::Arc;

use axum::extract::FromRef;
use tokio::sync::Semaphore;

use super::calls::listen;
use super::events;
use super::idempotency::Forgetting;
use super::limits::{RateLimits, RequestCounts};
use super::router::SipView;
use super::sessions::Sessions;
use crate::calls::Exchange;

/// The state of the main port; clones share it.
#[derive(Clone)]
pub struct Api {
    /// What all calls share.
    pub exchange: Arc<Exchange>,
    /// What is shown of the SIP side.
    pub sip: SipView,
    /// Who asked how often.
    pub rates: Arc<RateLimits>,
    /// Which browsers are logged in.
    pub sessions: Arc<Sessions>,
    /// What was answered.
    pub requests: Arc<RequestCounts>,
    /// The room for those who follow the events.
    pub followers: Arc<Semaphore>,
    /// The room for those who listen to calls.
    pub listeners: Arc<Semaphore>,
    /// When old idempotency keys were forgotten.
    pub forgetting: Arc<Forgetting>,
}

impl Api {
    /// The state of a port that opens.
    pub fn new(exchange: Arc<Exchange>, sip: SipView) -> Self {
        Self {
            exchange,
            sip,
            rates: Arc::default(),
            sessions: Arc::default(),
            requests: Arc::default(),
            followers: events::followers(),
            listeners: listen::listeners(),
            forgetting: Arc::default(),
        }
    }
}

impl FromRef<Api> for Arc<Exchange> {
    fn from_ref(api: &Api) -> Self {
        api.exchange.clone()
    }
}
