//! Time as the core knows it: a monotonic moment handed in by the driver, and the wall clock derived from it.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the driver's monotonic clock, in nanoseconds since an arbitrary start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The start of the driver's clock.
    pub const START: Self = Self(0);

    /// A moment that many nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A moment that many milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Milliseconds since the start, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Ties moments to wall time: one reading of both clocks at the start of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    unix_ms: u64,
    at: Moment,
}

impl WallClock {
    /// The wall clock showed `unix_ms` (milliseconds since 1970, UTC) at the moment `at`.
    pub const fn new(unix_ms: u64, at: Moment) -> Self {
        Self { unix_ms, at }
    }

    /// Milliseconds since 1970 (UTC) at `moment`.
    pub fn unix_ms(&self, moment: Moment) -> u64 {
        let after = u64::try_from((moment - self.at).as_millis()).unwrap_or(u64::MAX);
        let before = u64::try_from((self.at - moment).as_millis()).unwrap_or(u64::MAX);
        self.unix_ms.saturating_add(after).saturating_sub(before)
    }

    /// ISO 8601 in UTC with milliseconds at `moment`, such as `2026-01-07T06:15:49.000Z`.
    pub fn iso8601(&self, moment: Moment) -> String {
        iso8601(self.unix_ms(moment))
    }
}

/// The year, month and day of a count of days since 1970-01-01 (proleptic Gregorian calendar).
pub fn civil_date(days: u64) -> (u64, u64, u64) {
    // Eras of 400 years beginning on 1 March make leap days the last day of a year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Writes milliseconds since 1970 as `YYYY-MM-DDTHH:MM:SS.mmmZ`.
pub fn iso8601(unix_ms: u64) -> String {
    let (days, ms_of_day) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = civil_date(days);
    let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (second, ms) = (ms_of_day / 1_000 % 60, ms_of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_before_another_is_no_time_after_it() {
        assert_eq!(Moment::from_millis(1) - Moment::from_millis(5), Duration::ZERO);
        assert_eq!(Moment::from_millis(5) - Moment::from_millis(1), Duration::from_millis(4));
    }

    #[test]
    fn wall_time_is_iso_8601_with_milliseconds_across_leap_days() {
        let clock = WallClock::new(1_707_204_900_000, Moment::from_millis(10));
        assert_eq!(clock.iso8601(Moment::from_millis(133)), "2024-02-06T07:35:00.123Z");
        assert_eq!(iso8601(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso8601(1_709_164_800_000), "2024-02-29T00:00:00.000Z");
        assert_eq!(iso8601(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
    }

    #[test]
    fn wall_time_runs_backwards_before_its_anchor() {
        let clock = WallClock::new(5_000, Moment::from_millis(1_000));
        assert_eq!(clock.unix_ms(Moment::from_millis(0)), 4_000);
    }
}
