//! The nonces of our challenges (RFC 7616 §3.3, §5.12).
//!
//! A nonce carries its time and its number under a seal that only we can make, for the network that it was sent to
//! and no other, so a challenge costs no memory and who has a good nonce has heard us. What is remembered, in a bounded table, is how often a nonce was used by somebody who knew a password.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::allowance::network_of;

/// Makes nonces and tells the good from the bad.
pub(crate) struct Nonces {
    key: [u8; 32],
    epoch: Instant,
    made: u64,
    /// The count of the last use by number.
    used: BTreeMap<u64, u32>,
    /// Whoever has a smaller number is too old, unless it is remembered.
    floor: u64,
}

/// Why a nonce is not good; the answer to each is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// None of ours, of an earlier run, or sent to somebody else.
    Foreign,
    /// Older than [`NONCE_MAX`], or forgotten.
    Old,
    /// The count did not rise: a replay, or a request that was overtaken.
    Replayed,
}

/// A nonce of ours that is fresh, and which use of it this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Good {
    number: u64,
    count: u32,
}

impl Nonces {
    pub(crate) fn new(now: Instant) -> Self {
        // Under keys that the system drew at random, as every word of ours.
        let mut seed = Sha256::new();
        for part in 0..4_u64 {
            seed.update(RandomState::new().hash_one(part).to_be_bytes());
        }
        Self { key: seed.finalize().into(), epoch: now, made: 0, used: BTreeMap::new(), floor: 0 }
    }

    /// A nonce for one challenge to `source`.
    pub(crate) fn make(&mut self, now: Instant, source: IpAddr) -> String {
        self.made += 1;
        let millis = now.saturating_duration_since(self.epoch).as_millis();
        let head = format!("{:016x}{:016x}", u64::try_from(millis).unwrap_or(u64::MAX), self.made);
        let seal = self.seal(&head, source);
        head + &seal
    }

    /// Whether `source` may use a nonce for the `count`th time.
    pub(crate) fn check(&self, now: Instant, source: IpAddr, nonce: &str, count: u32) -> Result<Good, Stale> {
        let (millis, number) = self.open(nonce, source).ok_or(Stale::Foreign)?;
        let made_at = self.epoch.checked_add(Duration::from_millis(millis)).ok_or(Stale::Foreign)?;
        let last = self.used.get(&number).copied();
        if now.saturating_duration_since(made_at) >= NONCE_MAX || (last.is_none() && number < self.floor) {
            return Err(Stale::Old);
        }
        if count <= last.unwrap_or(0) {
            return Err(Stale::Replayed);
        }
        Ok(Good { number, count })
    }

    /// Counts a use by somebody who knew the password.
    pub(crate) fn take(&mut self, Good { number, count }: Good) -> Result<(), Stale> {
        if !self.used.contains_key(&number) && self.used.len() >= NONCES_USED_MAX {
            // The oldest makes room, and with it goes every older one: forgotten must not mean unused.
            if let Some((oldest, _)) = self.used.pop_first() {
                self.floor = self.floor.max(oldest + 1);
            }
            if number < self.floor {
                return Err(Stale::Old);
            }
        }
        self.used.insert(number, count);
        Ok(())
    }

    /// Time and number of a nonce of ours.
    fn open(&self, nonce: &str, source: IpAddr) -> Option<(u64, u64)> {
        let (millis, number) = (nonce.get(..16)?, nonce.get(16..32)?);
        let seal = self.seal(nonce.get(..32)?, source);
        let is_ours: bool = seal.as_bytes().ct_eq(nonce.get(32..)?.as_bytes()).into();
        is_ours.then_some((u64::from_str_radix(millis, 16).ok()?, u64::from_str_radix(number, 16).ok()?))
    }

    fn seal(&self, head: &str, source: IpAddr) -> String {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.key) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        mac.update(head.as_bytes());
        match network_of(source) {
            IpAddr::V4(ip) => mac.update(&ip.octets()),
            IpAddr::V6(ip) => mac.update(&ip.octets()),
        }
        let sum = mac.finalize().into_bytes();
        sum.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How long a nonce may be used.
const NONCE_MAX: Duration = Duration::from_secs(300);

/// Nonces whose uses are remembered.
const NONCES_USED_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

    fn take(nonces: &mut Nonces, now: Instant, nonce: &str, count: u32) -> Result<(), Stale> {
        let good = nonces.check(now, SOURCE, nonce, count)?;
        nonces.take(good)
    }

    #[test]
    fn the_count_of_a_nonce_rises_and_a_replay_is_told() {
        let now = Instant::now();
        let mut nonces = Nonces::new(now);
        let nonce = nonces.make(now, SOURCE);
        for count in [0x9, 0xa, 0x10, 0xffff_ffff] {
            assert_eq!(take(&mut nonces, now, &nonce, count), Ok(()), "{count:08x}");
            assert_eq!(take(&mut nonces, now, &nonce, count), Err(Stale::Replayed), "{count:08x}");
            assert_eq!(take(&mut nonces, now, &nonce, count - 1), Err(Stale::Replayed), "{count:08x}");
        }
        let another = nonces.make(now, SOURCE);
        assert_ne!(nonce, another);
        assert_eq!(take(&mut nonces, now, &another, 1), Ok(()));
        assert_eq!(take(&mut nonces, now, &another, 0), Err(Stale::Replayed));
    }

    #[test]
    fn a_nonce_is_good_for_five_minutes() {
        let start = Instant::now();
        let mut nonces = Nonces::new(start);
        let nonce = nonces.make(start + Duration::from_secs(100), SOURCE);
        assert_eq!(take(&mut nonces, start + Duration::from_secs(399), &nonce, 1), Ok(()));
        assert_eq!(take(&mut nonces, start + Duration::from_secs(400), &nonce, 2), Err(Stale::Old));
    }

    #[test]
    fn a_nonce_that_is_not_ours_or_was_changed_is_foreign() {
        let now = Instant::now();
        let mut nonces = Nonces::new(now);
        let nonce = nonces.make(now, SOURCE);
        let of_another_run = Nonces::new(now).make(now, SOURCE);
        let changed: Vec<String> = (0..nonce.len())
            .map(|at| {
                let digit = if nonce.as_bytes()[at] == b'0' { "1" } else { "0" };
                format!("{}{digit}{}", &nonce[..at], &nonce[at + 1..])
            })
            .collect();
        let odd = ["".to_owned(), nonce.to_uppercase(), format!("{nonce}0"), "é".repeat(32), of_another_run];
        for wrong in changed.iter().chain(&odd) {
            assert_eq!(take(&mut nonces, now, wrong, 1), Err(Stale::Foreign), "{wrong}");
        }
        assert_eq!(take(&mut nonces, now, &nonce, 1), Ok(()));
    }

    #[test]
    fn a_nonce_is_good_for_the_network_that_it_was_sent_to_alone() {
        let now = Instant::now();
        let mut nonces = Nonces::new(now);
        let networks = [["198.51.100.7", "::ffff:198.51.100.7"], ["2001:db8::1", "2001:db8::2"]];
        let networks = networks.map(|both| both.map(|source| source.parse().unwrap()));
        for [sent_to, same] in networks {
            let nonce = nonces.make(now, sent_to);
            assert!(
                nonces.check(now, sent_to, &nonce, 1).is_ok() && nonces.check(now, same, &nonce, 1).is_ok()
            );
            for other in ["198.51.100.8", "2001:db8:0:1::1"] {
                assert_eq!(nonces.check(now, other.parse().unwrap(), &nonce, 1), Err(Stale::Foreign));
            }
        }
    }

    #[test]
    fn what_is_forgotten_cannot_be_used_again() {
        let now = Instant::now();
        let mut nonces = Nonces::new(now);
        let unused = nonces.make(now, SOURCE);
        let first = nonces.make(now, SOURCE);
        take(&mut nonces, now, &first, 1).unwrap();
        for _ in 0..NONCES_USED_MAX {
            let nonce = nonces.make(now, SOURCE);
            take(&mut nonces, now, &nonce, 1).unwrap();
        }
        assert_eq!(nonces.used.len(), NONCES_USED_MAX);
        assert_eq!(take(&mut nonces, now, &first, 2), Err(Stale::Old));
        assert_eq!(take(&mut nonces, now, &unused, 1), Err(Stale::Old));
    }
}
