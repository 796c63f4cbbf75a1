//! The bounds of the machine, and what each source may ask of it.

use std::net::IpAddr;
use std::time::Instant;

use crate::gate::{Allowance, Verifier};

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

/// What each source may ask of us, and who proves what.
pub(super) struct Admission {
    limits: Limits,
    invites: Allowance,
    challenges: Allowance,
    pub(super) verifier: Verifier,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        let (per_second, sources) = (f64::from(limits.invites_per_second), limits.sources_max);
        Self {
            invites: Allowance::new(per_second, limits.invite_burst, sources),
            challenges: Allowance::new(CHALLENGES_PER_SECOND, CHALLENGES_AT_ONCE_MAX, sources),
            verifier: Verifier::new(),
            limits,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes one INVITE of this source.
    pub(super) fn allow_invite(&mut self, now: Instant, source: IpAddr) -> bool {
        self.invites.take(now, source)
    }

    /// Takes one answer to somebody who has proven nothing. Its source may be forged: beyond the bound there is
    /// none.
    pub(super) fn allow_challenge(&mut self, now: Instant, source: IpAddr) -> bool {
        self.challenges.take(now, source)
    }
}

/// Challenges to one source at once.
const CHALLENGES_AT_ONCE_MAX: u32 = 200;

/// How many of them come back in a second.
const CHALLENGES_PER_SECOND: f64 = 50.0;
