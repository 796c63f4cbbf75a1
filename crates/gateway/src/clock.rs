//! The one monotonic clock that every call shares, tied to wall time once at the start.
//!
//! The core counts in `Moment`s since a start of the driver's choosing; here that start is the process's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use patchcord_core::vocabulary::{Moment, WallClock};

/// The process's clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose first moment is this one.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The moment that it is.
    pub fn now(&self) -> Moment {
        Moment::from_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Both clocks, read together.
    pub fn wall(&self) -> WallClock {
        WallClock::new(unix_ms(), self.now())
    }

    /// The timer's form of a moment.
    pub fn instant(&self, moment: Moment) -> tokio::time::Instant {
        let since_start = Duration::from_nanos(moment.as_nanos());
        tokio::time::Instant::from_std(self.start.checked_add(since_start).unwrap_or(self.start))
    }
}

/// Milliseconds since 1970, UTC.
pub fn unix_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
