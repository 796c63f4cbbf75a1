//! Delivers stored events to their receivers: at least once, in order per call, each under its one id.
//!
//! The database is the queue. What is under way here is known nowhere else: after a crash it is simply due again.
//! A receiver takes a few deliveries at a time and no more, so one that stalls delays nobody else's.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use patchcord_core::vocabulary::iso8601;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::callback_meter::CallbackMeter;
use super::retry::{Attempt, Next, Obstacle};
use super::signature::Signed;
use crate::clock::unix_ms;
use crate::config::{Config, CurrentConfig, WebUrl};
use crate::net::{Egress, EgressError, HttpError, HttpRequest, HttpTerms, Trust, send_for_head};
use crate::store::{AttemptOutcome, DeliveryState, DueDelivery, Store, StoreError};

/// What delivering needs.
#[derive(Debug, Clone)]
pub struct Courier {
    /// Where the deliveries are.
    pub store: Store,
    /// The settings in effect.
    pub current: CurrentConfig,
    /// The way out.
    pub egress: Egress,
    /// Where attempts are counted.
    pub meter: Arc<CallbackMeter>,
}

/// The attempts under way.
#[derive(Default)]
struct UnderWay {
    attempts: FuturesUnordered<Pin<Box<dyn Future<Output = DueDelivery> + Send>>>,
    events: HashSet<String>,
    receivers: HashMap<String, usize>,
}

impl Courier {
    /// Delivers what is due until it is told to stop; attempts that are under way then have a moment to end.
    pub async fn run(self, stop: CancellationToken) {
        let mut under_way = UnderWay::default();
        let mut commits = self.store.commits();
        loop {
            commits.mark_unchanged();
            let wake_at = match self.start_due(&mut under_way).await {
                Ok(next) => next,
                Err(error) => {
                    warn!(%error, "callbacks wait: the store cannot be read");
                    Instant::now() + STORE_RETRY
                }
            };
            self.meter.show_under_way(under_way.attempts.len());
            tokio::select! {
                Some(done) = under_way.attempts.next() => under_way.end(&done),
                () = tokio::time::sleep_until(wake_at) => {}
                changed = commits.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    // Many commits in a row are looked at together.
                    tokio::time::sleep(COALESCE).await;
                }
                () = stop.cancelled() => break,
            }
        }
        let rest = async { while under_way.attempts.next().await.is_some() {} };
        // What does not end is due again at the next start.
        let _ = tokio::time::timeout(STOP_PATIENCE, rest).await;
    }

    /// Starts everything that is due and has room; says when to look again.
    async fn start_due(&self, under_way: &mut UnderWay) -> Result<Instant, StoreError> {
        loop {
            let busy = under_way.busy();
            let due = self.store.due_deliveries(unix_ms(), UNDER_WAY_MAX, &busy).await?;
            let mut left_for_later = false;
            for delivery in due {
                if under_way.events.contains(&delivery.event_id) {
                    continue;
                }
                if under_way.has_room(&delivery.receiver) {
                    under_way.begin(self.clone(), delivery);
                } else {
                    left_for_later = true;
                }
            }
            // Each further look leaves one more full receiver out, so that those behind it are found.
            if !left_for_later || under_way.events.len() >= UNDER_WAY_MAX {
                break;
            }
        }
        let next = self.store.next_delivery_ms().await?;
        let wait = next.map_or(IDLE, |at| Duration::from_millis(at.saturating_sub(unix_ms())));
        // One that is due and under way would have us look at once, again and again.
        Ok(Instant::now() + wait.clamp(LOOK_AGAIN, IDLE))
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
            error: (attempt != Attempt::Delivered).then(|| attempt.word().into()),
        };
        let now = unix_ms();
        let next_at =
            wait.map(|wait| now.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
        // Until it is written down it stays under way: due again, it would be sent as fast as it can be.
        while let Err(error) =
            self.store.delivery_attempted(&delivery.event_id, outcome.clone(), next_at, now).await
        {
            warn!(call = %delivery.call_id, %error, "what became of a callback waits to be stored");
            tokio::time::sleep(STORE_RETRY).await;
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
            headers: signed.headers(config.callbacks.secret.as_ref()),
            body: Bytes::copy_from_slice(delivery.body.as_bytes()),
        };
        let trust = trust_in(config, &url);
        let terms =
            HttpTerms { trust: &trust, deadline: Instant::now() + ATTEMPT_TIMEOUT, body_bytes_max: 0 };
        match send_for_head(&self.egress, request, terms).await {
            Ok((status, headers)) => answered(status, &headers),
            Err(error) => Attempt::Unanswered(obstacle(&error)),
        }
    }
}

impl UnderWay {
    fn busy(&self) -> HashSet<String> {
        let full = self.receivers.iter().filter(|(_, attempts)| **attempts >= UNDER_WAY_PER_RECEIVER_MAX);
        full.map(|(receiver, _)| receiver.clone()).collect()
    }

    fn has_room(&self, receiver: &str) -> bool {
        let attempts = self.receivers.get(receiver).copied().unwrap_or_default();
        self.events.len() < UNDER_WAY_MAX && attempts < UNDER_WAY_PER_RECEIVER_MAX
    }

    fn begin(&mut self, courier: Courier, delivery: DueDelivery) {
        self.events.insert(delivery.event_id.clone());
        *self.receivers.entry(delivery.receiver.clone()).or_default() += 1;
        self.attempts.push(Box::pin(courier.deliver(delivery)));
    }

    fn end(&mut self, delivery: &DueDelivery) {
        self.events.remove(&delivery.event_id);
        if let Some(attempts) = self.receivers.get_mut(&delivery.receiver) {
            *attempts -= 1;
            if *attempts == 0 {
                self.receivers.remove(&delivery.receiver);
            }
        }
    }
}

/// An address of our own file may lead anywhere, every other one where outsiders' may.
fn trust_in(config: &Config, url: &WebUrl) -> Trust {
    let numbers = config.numbers.iter().filter_map(|number| number.callbacks.as_ref());
    if config.callbacks.url.iter().chain(numbers).any(|own| own == url) {
        Trust::Operator
    } else {
        Trust::Outside(config.egress.clone())
    }
}

fn answered(status: StatusCode, headers: &HeaderMap) -> Attempt {
    match status {
        status if status.is_success() => Attempt::Delivered,
        StatusCode::GONE => Attempt::Gone,
        // A redirect is followed nowhere (guarantee 19): it is one more way not to take it.
        status => Attempt::Refused { status: status.as_u16(), after: retry_after(headers) },
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

fn obstacle(error: &HttpError) -> Obstacle {
    match error {
        HttpError::Unconnected(EgressError::Forbidden(..)) => Obstacle::Forbidden,
        HttpError::Unconnected(EgressError::Unresolved(_)) => Obstacle::Dns,
        HttpError::Unconnected(EgressError::Tls(_)) => Obstacle::Tls,
        HttpError::Unconnected(
            EgressError::Refused(..)
            | EgressError::NoAnswer(_)
            | EgressError::ResolvedTooLate
            | EgressError::TlsTooLate,
        ) => Obstacle::Unreachable,
        HttpError::TooLate => Obstacle::Timeout,
        HttpError::Unanswered(_) | HttpError::TooLarge(_) | HttpError::Broken(_) => Obstacle::Broken,
    }
}

/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Attempts at a time, over all receivers.
pub const UNDER_WAY_MAX: usize = 256;

/// Attempts at a time at one receiver.
pub const UNDER_WAY_PER_RECEIVER_MAX: usize = 8;

/// How long commits are gathered before the tables are looked at.
const COALESCE: Duration = Duration::from_millis(10);

/// The shortest time between two looks that nothing asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The longest.
const IDLE: Duration = Duration::from_secs(30);

/// How long a store that cannot be read is left alone.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// How long attempts under way may take at the stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_anything_else_says_nothing() {
        assert_eq!(retry_after(&headers("120")), Some(Duration::from_secs(120)));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        assert!(retry_after(&headers(&soon)).is_some_and(|wait| (58..=60).contains(&wait.as_secs())));
        for said in ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1", ""] {
            assert_eq!(retry_after(&headers(said)), None, "{said}");
        }
    }

    #[test]
    fn only_two_hundreds_are_deliveries_and_only_410_is_final() {
        let none = HeaderMap::new();
        for good in [200, 201, 202, 204] {
            assert_eq!(answered(StatusCode::from_u16(good).unwrap(), &none), Attempt::Delivered);
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
                    callbacks = \"http://10.0.0.2/one\"\n";
        let config = Config::parse(file).unwrap();
        let trust = |url: &str| trust_in(&config, &WebUrl::parse(url).unwrap());
        assert_eq!(trust("http://10.0.0.1/all"), Trust::Operator);
        assert_eq!(trust("http://10.0.0.2/one"), Trust::Operator);
        assert_eq!(trust("http://10.0.0.1/other"), Trust::Outside(config.egress.clone()));
    }
}
