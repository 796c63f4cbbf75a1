//! A clock that stands still until a test steps it: virtual time for everything that takes a `Moment`.

use std::time::Duration;

use patchcord_core::vocabulary::{Moment, WallClock};

/// A clock that is stepped by hand.
#[derive(Debug, Clone)]
pub struct StepClock {
    now: Moment,
    wall: WallClock,
}

impl StepClock {
    /// Stands at the start; the wall shows `unix_ms` there.
    pub const fn new(unix_ms: u64) -> Self {
        Self { now: Moment::START, wall: WallClock::new(unix_ms, Moment::START) }
    }

    /// Steps forward.
    pub fn step(&mut self, by: Duration) -> Moment {
        self.now = self.now + by;
        self.now
    }

    /// Steps to `moment`, unless it lies behind; says where the clock stands then.
    pub fn step_to(&mut self, moment: Moment) -> Moment {
        self.now = self.now.max(moment);
        self.now
    }

    /// Steps to the earliest of some deadlines, but not beyond `end`; `None` when none is due until `end`, where the clock then stands.
    pub fn step_to_first(
        &mut self,
        deadlines: impl IntoIterator<Item = Option<Moment>>,
        end: Moment,
    ) -> Option<Moment> {
        let first = deadlines.into_iter().flatten().min().filter(|first| *first <= end);
        self.step_to(first.unwrap_or(end));
        first.map(|_| self.now)
    }

    /// Where the clock stands.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Wall time tied to this clock.
    pub fn wall(&self) -> WallClock {
        self.wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_to_the_first_deadline_and_never_back() {
        let mut clock = StepClock::new(0);
        let at = Moment::from_millis;
        assert_eq!(clock.step_to_first([Some(at(40)), None, Some(at(20))], at(100)), Some(at(20)));
        assert_eq!(clock.step_to_first([Some(at(10))], at(100)), Some(at(20)));
        assert_eq!(clock.step_to_first([Some(at(200))], at(100)), None);
        assert_eq!((clock.now(), clock.wall().unix_ms(clock.now())), (at(100), 100));
    }
}
