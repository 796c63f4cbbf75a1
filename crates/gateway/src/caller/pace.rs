//! When a caller's next frame leaves: on a grid of 20 ms that never drifts, however late a timer fires.

use std::time::Duration;

use patchcord_core::vocabulary::Moment;

use super::histogram::Histogram;

/// The grid of one call.
#[derive(Debug)]
pub struct Pace {
    start: Moment,
    taken: u64,
    skipped: u64,
    lateness: Histogram,
}

impl Pace {
    /// Frame 0 leaves at `start`.
    pub fn new(start: Moment) -> Self {
        Self { start, taken: 0, skipped: 0, lateness: Histogram::new() }
    }

    /// When the next frame is to leave.
    pub fn due(&self) -> Moment {
        let nanos = FRAME_NANOS.saturating_mul(self.taken + self.skipped);
        self.start + Duration::from_nanos(nanos)
    }

    /// Whether a frame leaves now; ask again until it is `false`. After a stall frames follow each other at
    /// once, but those beyond [`BACKLOG_MAX`] are left out: a phone has no more in its buffer.
    pub fn take(&mut self, now: Moment) -> bool {
        if now < self.due() {
            return false;
        }
        let late = now - self.due();
        self.lateness.add(late);
        self.skipped += u64::try_from(late.saturating_sub(BACKLOG_MAX).as_nanos()).unwrap_or(0) / FRAME_NANOS;
        self.taken += 1;
        true
    }

    /// Frames of the grid before the next one, left out ones included: its place in the call.
    pub fn position(&self) -> u64 {
        self.taken + self.skipped
    }

    /// Frames that were left out because the machine stood still.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How late the frames left.
    pub fn lateness(&self) -> &Histogram {
        &self.lateness
    }
}

/// A frame of a telephone call.
pub const FRAME: Duration = Duration::from_nanos(FRAME_NANOS);
const FRAME_NANOS: u64 = 20_000_000;

/// How much is sent at once after a stall.
pub const BACKLOG_MAX: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn late_timers_do_not_shift_the_grid() {
        let mut pace = Pace::new(ms(5));
        let mut left = 0;
        for n in 0..10_000u64 {
            let late = ms(5 + n * 20 + n % 7);
            while pace.take(late) {
                left += 1;
            }
        }
        assert_eq!((left, pace.due(), pace.skipped()), (10_000, ms(200_005), 0));
        assert_eq!(pace.lateness().max(), Some(Duration::from_millis(6)));
    }

    #[test]
    fn after_a_short_stall_all_frames_follow_and_after_a_long_one_the_last_of_them() {
        let mut pace = Pace::new(ms(0));
        assert_eq!((0..100).filter(|_| pace.take(ms(100))).count(), 6);
        assert!(!pace.take(ms(119)));
        let after_stall = (0..1_000).filter(|_| pace.take(ms(10_000))).count();
        assert_eq!(after_stall, 11);
        assert_eq!(pace.position(), 501);
        assert_eq!(pace.skipped(), 501 - 6 - 11);
    }
}
