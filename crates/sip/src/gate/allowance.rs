//! A token bucket for each source address, in a bounded table.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How much each source may do: a burst, and what comes back of it in time.
#[derive(Debug)]
pub(crate) struct Allowance {
    per_second: f64,
    burst: f64,
    sources_max: usize,
    sources: HashMap<IpAddr, Bucket>,
    others: Option<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Allowance {
    /// Beyond `sources_max` sources that have not their whole burst, all others share one bucket.
    pub(crate) fn new(per_second: f64, burst: u32, sources_max: usize) -> Self {
        Self { per_second, burst: f64::from(burst), sources_max, sources: HashMap::new(), others: None }
    }

    /// Takes one token of this source, if it has one.
    pub(crate) fn take(&mut self, now: Instant, source: IpAddr) -> bool {
        let bucket = self.bucket(now, source);
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }

    /// Whether this source has a token.
    pub(crate) fn has(&mut self, now: Instant, source: IpAddr) -> bool {
        let room = self.sources.len() < self.sources_max;
        let is_known = self.sources.contains_key(&network_of(source));
        // Whoever has done nothing yet takes no place for a look.
        (room && !is_known) || self.bucket(now, source).tokens >= 1.0
    }

    fn bucket(&mut self, now: Instant, source: IpAddr) -> &mut Bucket {
        let source = network_of(source);
        let (per_second, burst) = (self.per_second, self.burst);
        let is_known = self.sources.contains_key(&source);
        if !is_known && self.sources.len() >= self.sources_max {
            // A bucket that is full again says nothing: forget it.
            let refill = Duration::from_secs_f64(burst / per_second.max(0.001));
            self.sources.retain(|_, bucket| now.saturating_duration_since(bucket.at) < refill);
        }
        let full = Bucket { tokens: burst, at: now };
        let bucket = if is_known || self.sources.len() < self.sources_max {
            self.sources.entry(source).or_insert(full)
        } else {
            self.others.get_or_insert(full)
        };
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * per_second).min(burst);
        bucket.at = now;
        bucket
    }
}

/// One source: an IPv4 address, or the network that a subscriber has whole in IPv6.
pub(super) fn network_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        IpAddr::V4(ip) => ip.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gets_its_burst_then_its_rate_and_the_table_stays_bounded() {
        let mut allowance = Allowance::new(10.0, 20, 2);
        let start = Instant::now();
        let source = |n: u8| IpAddr::from([192, 0, 2, n]);
        assert_eq!((0..30).filter(|_| allowance.take(start, source(1))).count(), 20);
        let later = start + Duration::from_millis(500);
        assert_eq!((0..30).filter(|_| allowance.take(later, source(1))).count(), 5);
        for n in 2..100 {
            allowance.take(later, source(n));
        }
        assert_eq!(allowance.sources.len(), 2);
        let much_later = later + Duration::from_secs(60);
        assert!(allowance.take(much_later, source(200)));
        assert_eq!(allowance.sources.len(), 1);
    }

    #[test]
    fn a_look_takes_nothing() {
        let mut allowance = Allowance::new(1.0, 1, 8);
        let (now, source) = (Instant::now(), IpAddr::from([192, 0, 2, 1]));
        assert!(allowance.has(now, source) && allowance.has(now, source));
        assert!(allowance.sources.is_empty());
        assert!(allowance.take(now, source));
        assert!(!allowance.has(now, source) && !allowance.take(now, source));
        assert!(allowance.has(now + Duration::from_secs(1), source));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let mut allowance = Allowance::new(1.0, 1, 8);
        let now = Instant::now();
        assert!(allowance.take(now, "2001:db8::1".parse().unwrap()));
        assert!(!allowance.take(now, "2001:db8::ffff".parse().unwrap()));
        assert!(allowance.take(now, "2001:db8:0:1::1".parse().unwrap()));
        assert!(allowance.take(now, "::ffff:192.0.2.1".parse().unwrap()));
        assert!(allowance.take(now, "::ffff:192.0.2.2".parse().unwrap()));
    }
}
