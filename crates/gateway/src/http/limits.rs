//! How often somebody may ask, and how often what was answered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use super::api::Api;
use super::problem::Problem;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Asker {
    /// The owner of a key, by its name.
    Key(Arc<str>),
    /// A program at an address, where no keys are asked for.
    Address(IpAddr),
    /// Somebody at an address with no key or a wrong one.
    Stranger(IpAddr),
}

/// The requests that each asker has left. Keys have a table of their own, which strangers cannot fill.
#[derive(Debug, Default)]
pub struct RateLimits {
    keys: Mutex<HashMap<Asker, Bucket>>,
    addresses: Mutex<HashMap<Asker, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl RateLimits {
    /// Takes one request.
    ///
    /// # Errors
    /// 429 with the time after which there is one again.
    pub fn take(&self, asker: Asker) -> Result<(), Problem> {
        self.take_at(asker, Instant::now())
    }

    fn take_at(&self, asker: Asker, now: Instant) -> Result<(), Problem> {
        let asker = asker.of_network();
        let (per_second, burst) = asker.allowance();
        let table = if matches!(asker, Asker::Key(_)) { &self.keys } else { &self.addresses };
        let mut buckets = table.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ASKERS_MAX && !buckets.contains_key(&asker) {
            buckets.retain(|asker, bucket| !bucket.is_full(asker, now));
            if buckets.len() >= ASKERS_MAX {
                return Err(too_many(Duration::from_secs(1)));
            }
        }
        let bucket = buckets.entry(asker).or_insert(Bucket { left: burst, at: now });
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * per_second).min(burst);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(too_many(Duration::from_secs_f64((1.0 - bucket.left) / per_second)));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

impl Bucket {
    /// Whether it holds what a new one would.
    fn is_full(&self, asker: &Asker, now: Instant) -> bool {
        let (per_second, burst) = asker.allowance();
        self.left + now.saturating_duration_since(self.at).as_secs_f64() * per_second >= burst
    }
}

impl Asker {
    /// Requests per second, and how many may come at once.
    fn allowance(&self) -> (f64, f64) {
        match self {
            Self::Key(_) | Self::Address(_) => (REQUESTS_PER_SECOND, REQUESTS_AT_ONCE),
            Self::Stranger(_) => (STRANGERS_PER_SECOND, STRANGERS_AT_ONCE),
        }
    }

    fn of_network(self) -> Self {
        match self {
            Self::Key(name) => Self::Key(name),
            Self::Address(address) => Self::Address(network_of(address)),
            Self::Stranger(address) => Self::Stranger(network_of(address)),
        }
    }
}

/// Whoever has one IPv6 address has 2^64 of them: the first; an IPv4 address as it is.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

fn too_many(wait: Duration) -> Problem {
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "too many requests in a short time")
        .with_retry_after(seconds)
}

/// The answers so far, by kind of resource and class of status.
#[derive(Debug, Default)]
pub struct RequestCounts([[AtomicU64; CLASSES.len()]; ROUTES.len()]);

impl RequestCounts {
    /// Route, class of status, and count, for every pair of the closed sets.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        ROUTES.iter().zip(&self.0).flat_map(|((route, _), counts)| {
            let of_route = CLASSES.iter().zip(counts);
            of_route.map(move |(class, count)| (*route, *class, count.load(Ordering::Relaxed)))
        })
    }

    fn count(&self, path: &str, status: StatusCode) {
        let first = path.split('/').nth(1).unwrap_or_default();
        let route = ROUTES.iter().position(|(_, paths)| paths.contains(&first)).unwrap_or(ROUTES.len() - 1);
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(count) = self.0.get(route).and_then(|counts| counts.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts every answer of the main port.
pub async fn observe(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    api.requests.count(&path, response.status());
    response
}

/// The kinds of resources, with the first words of their paths; the last one is everything else.
const ROUTES: [(&str, &[&str]); 9] = [
    ("calls", &["calls"]),
    ("events", &["events"]),
    ("callbacks", &["callbacks"]),
    ("configuration", &["bots", "numbers", "trunks", "extensions"]),
    ("dashboard", &["session", "overview", "live", "assets", "theme.js", "favicon.svg", "talk"]),
    ("watch", &["", "health", "ready", "metrics"]),
    ("documentation", &["docs", "openapi.json"]),
    ("vendors", &["ws", "talk"]),
    ("other", &[]),
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Requests per second of one key, or of one address where there are no keys.
const REQUESTS_PER_SECOND: f64 = 200.0;
/// Requests that may come at once.
const REQUESTS_AT_ONCE: f64 = 400.0;
/// Requests per second of an address without a right key.
const STRANGERS_PER_SECOND: f64 = 2.0;
/// Requests of such an address that may come at once.
const STRANGERS_AT_ONCE: f64 = 20.0;
/// Keys that are remembered, and as many addresses.
const ASKERS_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(address: &str) -> Asker {
        Asker::Stranger(address.parse().unwrap())
    }

    #[test]
    fn a_stranger_who_guesses_is_slowed_down_and_nobody_else_is() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        let asked = (0..100).filter(|_| limits.take_at(stranger("203.0.113.1"), start).is_ok()).count();
        assert_eq!(asked, 20);
        assert!(limits.take_at(stranger("203.0.113.2"), start).is_ok());
        assert!(limits.take_at(Asker::Key("ops".into()), start).is_ok());
        let later = start + Duration::from_millis(500);
        assert!(limits.take_at(stranger("203.0.113.1"), later).is_ok());
        assert!(limits.take_at(stranger("203.0.113.1"), later).is_err());
    }

    #[test]
    fn one_network_of_ipv6_is_one_stranger() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        let address = |n: u16| Asker::Stranger(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]));
        assert_eq!((0..100).filter(|n| limits.take_at(address(*n), start).is_ok()).count(), 20);
    }

    #[test]
    fn more_askers_than_are_remembered_displace_those_who_asked_long_ago() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        let address = |n: usize| Asker::Stranger(IpAddr::from(u32::try_from(n).unwrap().to_be_bytes()));
        for n in 0..ASKERS_MAX {
            limits.take_at(address(n), start).unwrap();
        }
        assert!(limits.take_at(address(ASKERS_MAX), start).is_err());
        let later = start + Duration::from_secs(60);
        assert!(limits.take_at(address(ASKERS_MAX), later).is_ok());
        assert_eq!(limits.addresses.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_key_is_good_however_many_strangers_ask() {
        let (limits, start) = (RateLimits::default(), Instant::now());
        for n in 0..=u16::try_from(ASKERS_MAX).unwrap() {
            let _ = limits.take_at(Asker::Stranger(IpAddr::from([0x2001, 0xdb8, 0, n, 0, 0, 0, 1])), start);
        }
        assert!(limits.take_at(stranger("203.0.113.1"), start).is_err(), "the table is not full");
        assert!(limits.take_at(Asker::Key("ops".into()), start).is_ok());
    }

    #[test]
    fn an_answer_is_counted_by_the_kind_of_its_resource() {
        let counts = RequestCounts::default();
        counts.count("/calls/call_1/hangup", StatusCode::OK);
        counts.count("/%00", StatusCode::NOT_FOUND);
        counts.count("/", StatusCode::OK);
        let counted: Vec<_> = counts.all().filter(|(.., count)| *count > 0).collect();
        assert_eq!(counted, [("calls", "2xx", 1), ("watch", "2xx", 1), ("other", "4xx", 1)]);
    }
}
