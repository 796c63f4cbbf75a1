//! What may go out: how many calls at a time and in a minute, in all and by each trunk.
//!
//! Whoever dials takes a pass and gives it back by dropping it. Counts are of this process: a restart begins anew.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patchcord_core::vocabulary::Moment;

/// The counts of what goes out; clones share them.
#[derive(Debug, Clone, Default)]
pub struct TollGuard(Arc<Mutex<HashMap<Box<str>, Gauge>>>);

/// One call's leave to go out.
#[derive(Debug)]
pub struct TollPass {
    guard: TollGuard,
    gauge: Box<str>,
}

/// The bounds of one gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TollLimits {
    /// Calls at a time.
    pub calls: usize,
    /// Calls that begin in any minute.
    pub per_minute: usize,
}

/// Why a call may not go out at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TollRefusal {
    /// As many are up as may be.
    Calls,
    /// As many began in the last minute as may; the next may begin after this.
    PerMinute(Duration),
}

/// What one leg holds: dropped with it.
#[derive(Debug, Default)]
pub struct TollPasses {
    /// Among all that go out, whatever trunks are tried.
    pub of_all: Option<TollPass>,
    /// By the trunk that is tried.
    pub of_trunk: Option<TollPass>,
}

#[derive(Debug, Default)]
struct Gauge {
    up: usize,
    /// When those of the last minute began, the earliest first; bounded by the limit.
    began: VecDeque<Moment>,
}

impl TollGuard {
    /// A pass by the gauge of that name: a trunk's, or [`ALL`].
    ///
    /// # Errors
    /// [`TollRefusal`] when its bounds are reached.
    pub fn take(&self, gauge: &str, limits: TollLimits, now: Moment) -> Result<TollPass, TollRefusal> {
        let mut gauges = self.gauges();
        let counts = gauges.entry(gauge.into()).or_default();
        while counts.began.front().is_some_and(|began| now - *began >= MINUTE) {
            counts.began.pop_front();
        }
        if counts.up >= limits.calls {
            return Err(TollRefusal::Calls);
        }
        if counts.began.len() >= limits.per_minute {
            let earliest = counts.began.front().map_or(Duration::ZERO, |began| now - *began);
            return Err(TollRefusal::PerMinute(MINUTE.saturating_sub(earliest)));
        }
        counts.up += 1;
        counts.began.push_back(now);
        Ok(TollPass { guard: self.clone(), gauge: gauge.into() })
    }

    fn gauges(&self) -> MutexGuard<'_, HashMap<Box<str>, Gauge>> {
        // A panic elsewhere left whole entries behind: nothing here is changed in two steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TollPass {
    /// Gives it back as if it had never been taken.
    pub fn take_back(self) {
        if let Some(counts) = self.guard.gauges().get_mut(&self.gauge) {
            counts.began.pop_back();
        }
    }

    /// Whether it is one of that gauge.
    pub fn is_of(&self, gauge: &str) -> bool {
        *self.gauge == *gauge
    }
}

impl TollPasses {
    /// Whether it has leave to go out by that trunk.
    pub fn has(&self, trunk: &str) -> bool {
        self.of_trunk.as_ref().is_some_and(|pass| pass.is_of(trunk))
    }

    /// Takes what is missing to go out by `trunk`, in the place of the trunk before; within the house nothing is.
    ///
    /// # Errors
    /// [`TollRefusal`] when a bound is reached: nothing was counted then.
    pub fn take(
        &mut self,
        guard: &TollGuard,
        trunk: Option<(&str, TollLimits)>,
        of_all: TollLimits,
        now: Moment,
    ) -> Result<(), TollRefusal> {
        let left = self.of_trunk.take_if(|pass| trunk.is_none_or(|(name, _)| !pass.is_of(name)));
        drop(left);
        let Some((name, limits)) = trunk else { return Ok(()) };
        let of_trunk = match self.of_trunk.take() {
            Some(pass) => pass,
            None => guard.take(name, limits, now)?,
        };
        if self.of_all.is_none() {
            match guard.take(ALL, of_all, now) {
                Ok(pass) => self.of_all = Some(pass),
                Err(refusal) => {
                    of_trunk.take_back();
                    return Err(refusal);
                }
            }
        }
        self.of_trunk = Some(of_trunk);
        Ok(())
    }
}

impl Drop for TollPass {
    fn drop(&mut self) {
        if let Some(counts) = self.guard.gauges().get_mut(&self.gauge) {
            counts.up = counts.up.saturating_sub(1);
        }
    }
}

/// The gauge of all calls that go out; no trunk has this name.
pub const ALL: &str = "";

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Moment {
        Moment::from_millis(s * 1_000)
    }

    #[test]
    fn as_many_as_may_be_up_at_a_time_and_a_dropped_pass_makes_room() {
        let (guard, limits) = (TollGuard::default(), TollLimits { calls: 2, per_minute: 100 });
        let first = guard.take("a", limits, at(0)).unwrap();
        let _second = guard.take("a", limits, at(0)).unwrap();
        assert_eq!(guard.take("a", limits, at(1)).err(), Some(TollRefusal::Calls));
        assert!(guard.take("b", limits, at(1)).is_ok(), "each gauge counts for itself");
        drop(first);
        assert!(guard.take("a", limits, at(1)).is_ok());
    }

    #[test]
    fn a_leg_counts_once_among_all_and_once_by_each_trunk_that_it_tries() {
        let (guard, limits) = (TollGuard::default(), TollLimits { calls: 9, per_minute: 2 });
        let one = TollLimits { calls: 1, per_minute: 9 };
        let mut leg = TollPasses::default();
        assert_eq!(leg.take(&guard, None, one, at(0)), Ok(()));
        assert!(leg.of_all.is_none(), "within the house nothing goes out");
        for trunk in ["a", "a", "b"] {
            assert_eq!(leg.take(&guard, Some((trunk, limits)), one, at(0)), Ok(()));
            assert!(leg.has(trunk));
        }
        assert!(!leg.has("a"));
        // What is refused among all is not counted by the trunk.
        let mut other = TollPasses::default();
        for _ in 0..3 {
            let refused = other.take(&guard, Some(("a", limits)), one, at(1));
            assert_eq!(refused, Err(TollRefusal::Calls));
        }
        drop(leg);
        assert_eq!(other.take(&guard, Some(("a", limits)), one, at(1)), Ok(()));
        assert_eq!(
            guard.take("a", limits, at(1)).err(),
            Some(TollRefusal::PerMinute(Duration::from_secs(59)))
        );
        assert!(guard.take("b", limits, at(1)).is_ok(), "it began there once");
    }

    #[test]
    fn as_many_as_may_begin_in_any_minute_and_the_wait_is_told() {
        let (guard, limits) = (TollGuard::default(), TollLimits { calls: 9, per_minute: 2 });
        drop(guard.take("a", limits, at(10)).unwrap());
        drop(guard.take("a", limits, at(40)).unwrap());
        let wait = |now| guard.take("a", limits, at(now)).err();
        assert_eq!(wait(50), Some(TollRefusal::PerMinute(Duration::from_secs(20))));
        assert_eq!(wait(69), Some(TollRefusal::PerMinute(Duration::from_secs(1))));
        assert_eq!(wait(70), None);
        assert_eq!(wait(71), Some(TollRefusal::PerMinute(Duration::from_secs(29))));
    }
}
