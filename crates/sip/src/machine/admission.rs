//! Who gets in: a bound on calls and transactions, and a token bucket of INVITEs per source address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Bounds of the machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls at once, counted from the INVITE.
    pub calls_max: usize,
    /// Transactions at once, finished ones included while they wait for retransmissions.
    pub transactions_max: usize,
    /// Octets that all server transactions may keep for their responses.
    pub transaction_octets_max: usize,
    /// INVITEs per second and source, sustained.
    pub invites_per_second: u32,
    /// INVITEs of one source at once.
    pub invite_burst: u32,
    /// Sources remembered; beyond it, all unknown ones share one bucket.
    pub sources_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_max: 1000,
            transactions_max: 50_000,
            transaction_octets_max: 64 << 20,
            invites_per_second: 300,
            invite_burst: 600,
            sources_max: 4096,
        }
    }
}

#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    sources: HashMap<IpAddr, Bucket>,
    strangers: Option<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, sources: HashMap::new(), strangers: None }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes one token of this source.
    pub(super) fn allow_invite(&mut self, now: Instant, source: IpAddr) -> bool {
        let rate = f64::from(self.limits.invites_per_second);
        let burst = f64::from(self.limits.invite_burst);
        if !self.sources.contains_key(&source) && self.sources.len() >= self.limits.sources_max {
            // A bucket that is full again says nothing: forget it.
            let refill = Duration::from_secs_f64(burst / rate.max(1.0));
            self.sources.retain(|_, bucket| now.saturating_duration_since(bucket.at) < refill);
        }
        let full = Bucket { tokens: burst, at: now };
        let room = self.sources.len() < self.limits.sources_max;
        let bucket = if room || self.sources.contains_key(&source) {
            self.sources.entry(source).or_insert(full)
        } else {
            self.strangers.get_or_insert(full)
        };
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * rate).min(burst);
        bucket.at = now;
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gets_its_burst_then_its_rate_and_the_table_stays_bounded() {
        let limits = Limits { invites_per_second: 10, invite_burst: 20, sources_max: 2, ..Limits::default() };
        let mut admission = Admission::new(limits);
        let start = Instant::now();
        let source = |n: u8| IpAddr::from([192, 0, 2, n]);
        assert_eq!((0..30).filter(|_| admission.allow_invite(start, source(1))).count(), 20);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..30).filter(|_| admission.allow_invite(later, source(1))).count(), 5);
        for n in 2..200 {
            admission.allow_invite(later, source(n));
        }
        assert!(admission.sources.len() <= 2);
        assert!(!admission.allow_invite(later, source(250)), "strangers share one bucket");
    }
}
