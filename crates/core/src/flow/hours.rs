//! Opening hours: a week of them, days on which nobody is there, and the distance from UTC.
//!
//! The distance is fixed: there is no calendar of time zones here, and no summer time.

use crate::vocabulary::civil_date;

/// When somebody is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpeningHours {
    /// Minutes that local time is ahead of UTC.
    pub offset_minutes: i32,
    /// The openings of each day, Monday first.
    pub week: [Vec<Opening>; 7],
    /// Days without any.
    pub holidays: Vec<Holiday>,
}

/// A stretch of one day, in minutes after midnight; one that ends no later than it begins ends on the day after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The first minute.
    pub from: u32,
    /// The minute after the last one, at most [`DAY_MINUTES`].
    pub to: u32,
}

/// A day on which nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holiday {
    /// The year; none for every year.
    pub year: Option<u64>,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
}

impl OpeningHours {
    /// Whether somebody is there at `unix_ms`, milliseconds since 1970 (UTC).
    pub fn is_open(&self, unix_ms: u64) -> bool {
        let minutes = (unix_ms / 60_000).saturating_add_signed(i64::from(self.offset_minutes));
        let (day, minute) = (minutes / DAY_MINUTES_U64, (minutes % DAY_MINUTES_U64) as u32);
        let today = self.of_day(day).iter().any(|opening| opening.holds_today(minute));
        // An evening that goes on after midnight belongs to the day before.
        let Some(yesterday) = day.checked_sub(1) else { return today };
        today || self.of_day(yesterday).iter().any(|opening| opening.holds_tomorrow(minute))
    }

    /// The openings of a day, counted from 1970-01-01, which was a Thursday.
    fn of_day(&self, day: u64) -> &[Opening] {
        if self.holidays.iter().any(|holiday| holiday.is(civil_date(day))) {
            return &[];
        }
        self.week.get(((day + 3) % 7) as usize).map_or(&[], Vec::as_slice)
    }
}

impl Opening {
    fn holds_today(self, minute: u32) -> bool {
        minute >= self.from && (minute < self.to || self.to <= self.from)
    }

    fn holds_tomorrow(self, minute: u32) -> bool {
        self.to <= self.from && minute < self.to
    }
}

impl Holiday {
    fn is(self, (year, month, day): (u64, u64, u64)) -> bool {
        self.year.is_none_or(|own| own == year) && (self.month, self.day) == (month, day)
    }
}

/// Minutes of a day.
pub const DAY_MINUTES: u32 = 24 * 60;
const DAY_MINUTES_U64: u64 = DAY_MINUTES as u64;

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05, a Monday, 00:00 UTC.
    const MONDAY: u64 = 1_767_571_200_000;
    const HOUR: u64 = 3_600_000;

    fn hours(offset_minutes: i32, days: &[usize], from: u32, to: u32) -> OpeningHours {
        let mut hours = OpeningHours { offset_minutes, ..OpeningHours::default() };
        for day in days {
            hours.week[*day].push(Opening { from: from * 60, to: to * 60 });
        }
        hours
    }

    #[test]
    fn a_working_day_is_open_from_its_first_to_before_its_last_minute() {
        let hours = hours(0, &[0], 9, 18);
        for (at, open) in [
            (9 * HOUR - 1, false),
            (9 * HOUR, true),
            (18 * HOUR - 1, true),
            (18 * HOUR, false),
            (33 * HOUR, false),
        ] {
            assert_eq!(hours.is_open(MONDAY + at), open, "{at}");
        }
    }

    #[test]
    fn local_time_decides_which_day_it_is() {
        // Half past midnight of Tuesday in Delhi is Monday evening in London.
        let india = hours(330, &[1], 0, 1);
        assert!(india.is_open(MONDAY + 19 * HOUR));
        let west = hours(-300, &[6], 20, 24);
        assert!(west.is_open(MONDAY + HOUR) && west.is_open(MONDAY + 5 * HOUR - 1));
        assert!(!west.is_open(MONDAY + 5 * HOUR));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = hours(0, &[0], 22, 6);
        assert!(night.is_open(MONDAY + 23 * HOUR) && night.is_open(MONDAY + 29 * HOUR));
        assert!(!night.is_open(MONDAY + 5 * HOUR) && !night.is_open(MONDAY + 47 * HOUR));
    }

    #[test]
    fn nobody_is_there_on_a_holiday_of_that_year_or_of_every_year() {
        let week: Vec<usize> = (0..7).collect();
        let mut hours = hours(0, &week, 0, 24);
        assert!(hours.is_open(MONDAY));
        hours.holidays.push(Holiday { year: Some(2026), month: 1, day: 5 });
        hours.holidays.push(Holiday { year: None, month: 1, day: 7 });
        assert!(!hours.is_open(MONDAY) && hours.is_open(MONDAY + 24 * HOUR));
        assert!(!hours.is_open(MONDAY + 48 * HOUR));
        assert!(!hours.is_open(MONDAY + (365 + 2) * 24 * HOUR) && hours.is_open(MONDAY + 365 * 24 * HOUR));
    }

    #[test]
    fn the_beginning_of_time_is_no_special_moment() {
        assert!(!hours(-720, &[3], 9, 10).is_open(0));
    }
}
