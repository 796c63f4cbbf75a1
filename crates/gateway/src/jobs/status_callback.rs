//! Delivers stored events to their receivers: at least once, in order per call, each under its one id.
//!
//! A receiver takes a few deliveries at a time and no more, so one that stalls delays nobody else's.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use patchcord_core::vocabulary::iso8601;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::callback_meter::CallbackMeter;
use super::due_work::{DueWork, UnderWay, until_stored, work_off};
use super::retry::{Attempt, Next, Obstacle, retry_after};
use super::signature::Signed;
use crate::clock::unix_ms;
use crate::config::{Config, CurrentConfig, Secret, WebUrl, Webhook};
use crate::net::{Egress, HttpRequest, HttpTerms, Trust, send_for_head};
use crate::store::{AttemptOutcome, DeliveryKind, DeliveryState, DueDelivery, EventName, Store, StoreError};

/// What delivering needs.
#[derive(Clone)]
pub struct Courier {
    /// Where the deliveries are.
    pub store: Store,
    /// The settings in effect.
    pub current: CurrentConfig,
    /// The way out.
    pub egress: Egress,
    /// Where attempts are counted.
    pub meter: Arc<CallbackMeter>,
    /// Who is told of a call of which something was taken, or given up, that is told at its end or behind it.
    pub end_told: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Courier {
    /// Delivers what is due until it is told to stop; attempts that are under way then have a moment to end.
    pub async fn run(self, stop: CancellationToken) {
        let deliveries = Deliveries { courier: self, events: HashSet::new(), receivers: HashMap::new() };
        work_off(deliveries, stop).await;
    }

    /// One attempt, and what the store is told of it.
    async fn deliver(self, delivery: DueDelivery) -> DueDelivery {
        let config = self.current.snapshot();
        let attempt = self.attempt(&config, &delivery).await;
        self.meter.count(attempt);
        let attempts = delivery.attempts.saturating_add(1);
        let next = config.callbacks.profile.next(attempts, attempt);
        let (state, wait) = match next {
            Next::Delivered => (DeliveryState::Delivered, None),
            Next::Again(wait) => (DeliveryState::Pending, Some(wait)),
            Next::Dead => (DeliveryState::Dead, None),
        };
        let outcome = AttemptOutcome {
            state,
            status: attempt.status(),
            error: (next != Next::Delivered).then(|| attempt.word().into()),
        };
        let now = unix_ms();
        let next_at =
            wait.map(|wait| now.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
        let (store, event_id) = (&self.store, &*delivery.event_id);
        let stored = || store.delivery_attempted(event_id, outcome.clone(), next_at, now);
        until_stored(&delivery.call_id, stored).await;
        // What comes before it in the call's line is over then, too.
        let tells_end =
            matches!(delivery.name, EventName::Ended(_) | EventName::Recording | EventName::Result);
        if state != DeliveryState::Pending && tells_end {
            (self.end_told)(&delivery.call_id);
        }
        if state == DeliveryState::Dead {
            self.meter.count_dead();
            let (event, why) = (delivery.name.word(), attempt.word());
            warn!(call = %delivery.call_id, event, attempts, why, "a callback was given up: `patchcord callbacks list --state dead`");
        } else if state == DeliveryState::Delivered && attempts > 1 {
            info!(call = %delivery.call_id, event = delivery.name.word(), attempts, "a callback was taken at last");
        }
        delivery
    }

    async fn attempt(&self, config: &Config, delivery: &DueDelivery) -> Attempt {
        // The address was checked when it was taken; one that no version of this program reads leads nowhere.
        let Ok(url) = WebUrl::parse(&delivery.url) else { return Attempt::Unanswered(Obstacle::Forbidden) };
        let signed = Signed {
            id: &delivery.event_id,
            call_id: &delivery.call_id,
            timestamp: &iso8601(delivery.at_ms),
            body: &delivery.body,
            sent_at_s: unix_ms() / 1_000,
        };
        let request = HttpRequest {
            method: Method::POST,
            url: &url,
            headers: signed.headers(secret_of(config, delivery, &url)),
            body: Bytes::copy_from_slice(delivery.body.as_bytes()),
        };
        let trust = callback_trust(config, &url);
        let terms =
            HttpTerms { trust: &trust, deadline: Instant::now() + ATTEMPT_TIMEOUT, body_bytes_max: 0 };
        match send_for_head(&self.egress, request, terms).await {
            Ok((status, headers)) => answered(status, &headers),
            Err(error) => Attempt::Unanswered(Obstacle::of(&error)),
        }
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Courier")
    }
}

/// Deliveries that are due, and those that are under way: by event, and by how many go to a receiver.
struct Deliveries {
    courier: Courier,
    events: HashSet<String>,
    receivers: HashMap<String, usize>,
}

impl DueWork for Deliveries {
    type Done = DueDelivery;

    const NAME: &'static str = "callbacks";

    fn store(&self) -> &Store {
        &self.courier.store
    }

    async fn start_due(&mut self, under_way: &mut UnderWay<DueDelivery>) -> Result<Option<u64>, StoreError> {
        loop {
            let busy = self.busy();
            let due = self.courier.store.due_deliveries(unix_ms(), UNDER_WAY_MAX, &busy).await?;
            let mut left_for_later = false;
            for delivery in due {
                if self.events.contains(&delivery.event_id) {
                    continue;
                }
                if self.has_room(&delivery.receiver) {
                    self.events.insert(delivery.event_id.clone());
                    *self.receivers.entry(delivery.receiver.clone()).or_default() += 1;
                    under_way.push(Box::pin(self.courier.clone().deliver(delivery)));
                } else {
                    left_for_later = true;
                }
            }
            // Each further look leaves one more full receiver out, so that those behind it are found.
            if !left_for_later || self.events.len() >= UNDER_WAY_MAX {
                break;
            }
        }
        self.courier.store.next_delivery_ms().await
    }

    fn end(&mut self, delivery: DueDelivery) {
        self.events.remove(&delivery.event_id);
        if let Some(attempts) = self.receivers.get_mut(&delivery.receiver) {
            *attempts -= 1;
            if *attempts == 0 {
                self.receivers.remove(&delivery.receiver);
            }
        }
    }

    fn show_under_way(&self, attempts: usize) {
        self.courier.meter.show_under_way(attempts);
    }
}

impl Deliveries {
    fn busy(&self) -> HashSet<String> {
        let full = self.receivers.iter().filter(|(_, attempts)| **attempts >= UNDER_WAY_PER_RECEIVER_MAX);
        full.map(|(receiver, _)| receiver.clone()).collect()
    }

    fn has_room(&self, receiver: &str) -> bool {
        let attempts = self.receivers.get(receiver).copied().unwrap_or_default();
        self.events.len() < UNDER_WAY_MAX && attempts < UNDER_WAY_PER_RECEIVER_MAX
    }
}

/// An address of our own file may lead anywhere, every other one where outsiders' may.
pub fn callback_trust(config: &Config, url: &WebUrl) -> Trust {
    let numbers = config.numbers.iter().filter_map(|number| number.callbacks.as_ref());
    let agents = webhooks(config).map(|webhook| &webhook.url);
    if config.callbacks.url.iter().chain(numbers).chain(agents).any(|own| own == url) {
        Trust::Operator
    } else {
        Trust::Outside(config.egress.clone())
    }
}

/// What a delivery to `url` is signed with: an agent's webhook may have a secret of its own.
fn secret_of<'a>(config: &'a Config, delivery: &DueDelivery, url: &WebUrl) -> Option<&'a Secret> {
    let own = match delivery.kind {
        DeliveryKind::Callback => None,
        DeliveryKind::Webhook => {
            webhooks(config).filter(|webhook| webhook.url == *url).find_map(|webhook| webhook.secret.as_ref())
        }
    };
    own.or(config.callbacks.secret.as_ref())
}

fn webhooks(config: &Config) -> impl Iterator<Item = &Webhook> {
    config.bots.iter().filter_map(|bot| bot.agent.as_ref()?.webhook.as_ref())
}

fn answered(status: StatusCode, headers: &HeaderMap) -> Attempt {
    match status {
        status if status.is_success() => Attempt::Delivered { status: status.as_u16() },
        StatusCode::GONE => Attempt::Gone,
        // A redirect is followed nowhere (guarantee 19): it is one more way not to take it.
        status => Attempt::Refused { status: status.as_u16(), after: retry_after(headers) },
    }
}

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Attempts at a time, over all receivers.
pub const UNDER_WAY_MAX: usize = 256;

/// Attempts at a time at one receiver.
pub const UNDER_WAY_PER_RECEIVER_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_hundreds_are_deliveries_and_only_410_is_final() {
        let none = HeaderMap::new();
        for good in [200, 201, 202, 204] {
            let taken = Attempt::Delivered { status: good };
            assert_eq!(answered(StatusCode::from_u16(good).unwrap(), &none), taken);
        }
        assert_eq!(answered(StatusCode::GONE, &none), Attempt::Gone);
        for bad in [301, 302, 307, 400, 401, 404, 429, 500, 503] {
            let refused = Attempt::Refused { status: bad, after: None };
            assert_eq!(answered(StatusCode::from_u16(bad).unwrap(), &none), refused);
        }
    }

    #[test]
    fn an_address_of_the_own_file_may_be_private_and_no_other() {
        let file = "[callbacks]\nurl = \"http://10.0.0.1/all\"\n[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\n\
                    callbacks = \"http://10.0.0.2/one\"\n[bots.a]\ndialect = \"openai-realtime\"\nmodel = \"m\"\n\
                    url = \"ws://10.0.0.3/\"\nwebhook = \"http://10.0.0.4/result\"\n";
        let config = Config::parse(file).unwrap();
        let trust = |url: &str| callback_trust(&config, &WebUrl::parse(url).unwrap());
        assert_eq!(trust("http://10.0.0.1/all"), Trust::Operator);
        assert_eq!(trust("http://10.0.0.2/one"), Trust::Operator);
        assert_eq!(trust("http://10.0.0.4/result"), Trust::Operator);
        assert_eq!(trust("http://10.0.0.1/other"), Trust::Outside(config.egress.clone()));
    }
}
