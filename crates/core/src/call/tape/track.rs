//! One channel's way onto the tape: where in the call's time a frame belongs, however it jittered.
//!
//! Frames of one stream follow each other without a seam. The track goes to another place only where the stream
//! itself left its time: a gap, or a clock that runs faster or slower than ours.

/// Where the frames of one channel go, in samples of the tape.
#[derive(Debug)]
pub(super) struct Track {
    /// The place behind the last frame; nothing before the first.
    cursor: Option<u64>,
    /// What the stream says is missing there.
    gap: u64,
    /// Later than this, a frame begins anew where its time is.
    late_max: u64,
    /// Samples of one frame of 20 ms: what a stream may be off.
    slack: u64,
    /// Frames among which the least late is looked for.
    window: Run,
    /// The last frames, as long as they were equally late.
    steady: Run,
}

/// How late some frames were.
#[derive(Debug, Clone, Copy)]
struct Run {
    least: u64,
    most: u64,
    frames: u32,
}

/// Where a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The first sample's place.
    pub(super) at: u64,
    /// Samples at the beginning that have no place.
    pub(super) skip: u64,
}

impl Track {
    pub(super) fn new(late_max: u64, slack: u64) -> Self {
        Self { cursor: None, gap: 0, late_max, slack, window: Run::EMPTY, steady: Run::EMPTY }
    }

    /// The place of the next `count` samples, which by the clock belong to `target` (a place before the tape's
    /// beginning is negative); `quiet` says that nobody would miss any of them.
    pub(super) fn place(&mut self, target: i64, count: u64, quiet: bool) -> Place {
        let before = target.min(0).unsigned_abs().min(count);
        let target = target.max(0).unsigned_abs();
        let Some(cursor) = self.cursor else {
            self.cursor = Some(target + count - before);
            return Place { at: target, skip: before };
        };
        // A clock that was set forward tells of more than the time that passed.
        let passed = (target + self.slack).saturating_sub(cursor);
        let cursor = cursor + std::mem::take(&mut self.gap).min(passed);
        // A sending grid that settles moves by less than that, and its frames still follow each other.
        let ahead_max = if quiet { self.slack * 3 / 4 } else { self.slack };
        let ahead = cursor.saturating_sub(target);
        if ahead > ahead_max {
            let skip = ahead.min(count);
            self.move_to(cursor + count - skip);
            return Place { at: cursor, skip };
        }
        let late = target.saturating_sub(cursor);
        let at = if late > self.late_max { target } else { cursor + self.drift(late) };
        if at != cursor {
            self.move_to(at);
        }
        self.cursor = Some(at + count);
        Place { at, skip: 0 }
    }

    /// The stream itself says that so many samples are missing; they count for no more than the time that passes.
    pub(super) fn skip(&mut self, samples: u64) {
        if self.cursor.is_some() {
            self.gap = self.gap.saturating_add(samples);
        }
    }

    /// By how much a stream is behind that was never on time in a whole window, or goes on after a gap that it does not
    /// tell. Frames that come at once because something stood still are less late from one to the next.
    fn drift(&mut self, late: u64) -> u64 {
        self.window.take(late);
        self.steady.take(late);
        if self.steady.most - self.steady.least > self.slack {
            self.steady = Run::EMPTY;
            self.steady.take(late);
        }
        if self.steady.frames >= STEADY_FRAMES && self.steady.least > 2 * self.slack {
            return self.steady.least;
        }
        if self.window.frames < WINDOW_FRAMES {
            return 0;
        }
        let behind = std::mem::replace(&mut self.window, Run::EMPTY).least;
        if behind > self.slack / 2 { behind } else { 0 }
    }

    fn move_to(&mut self, cursor: u64) {
        (self.window, self.steady) = (Run::EMPTY, Run::EMPTY);
        self.cursor = Some(cursor);
    }
}

impl Run {
    const EMPTY: Self = Self { least: u64::MAX, most: 0, frames: 0 };

    fn take(&mut self, late: u64) {
        self.least = self.least.min(late);
        self.most = self.most.max(late);
        self.frames += 1;
    }
}

/// Equally late frames after which a stream is known to go on where its time is.
const STEADY_FRAMES: u32 = 4;
/// Frames among which the least late is looked for.
const WINDOW_FRAMES: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 160;

    fn track() -> Track {
        Track::new(8_000, FRAME)
    }

    #[test]
    fn frames_that_jitter_follow_each_other_without_a_seam() {
        let mut track = track();
        let jitter = [0i64, 90, 30, 150, 0, 40, 320, 160, 0, 10];
        for at in 0..500i64 {
            let target = at * 160 + jitter[at as usize % jitter.len()];
            assert_eq!(track.place(target, FRAME, false), Place { at: at as u64 * FRAME, skip: 0 });
        }
    }

    #[test]
    fn frames_that_come_at_once_after_a_standstill_follow_each_other_and_a_phone_that_paused_does_not() {
        let mut track = track();
        track.place(0, FRAME, false);
        for at in 1..=25 {
            assert_eq!(track.place(4_000, FRAME, false), Place { at: at * FRAME, skip: 0 });
        }
        let paused =
            (1..10).map(|at| track.place(8_000 + at * 160, FRAME, false).at).position(|at| at >= 8_000);
        assert_eq!(paused, Some(3));
    }

    #[test]
    fn a_gap_that_the_stream_does_not_tell_is_left_open() {
        let mut track = track();
        track.place(0, FRAME, false);
        assert_eq!(track.place(40_000, FRAME, false), Place { at: 40_000, skip: 0 });
        track.skip(320);
        assert_eq!(track.place(40_480, FRAME, false), Place { at: 40_480, skip: 0 });
    }

    #[test]
    fn a_gap_that_the_stream_tells_is_no_longer_than_the_time_that_it_took() {
        for told in [FRAME, 5 * FRAME, 240_000, u64::MAX] {
            let mut track = track();
            track.place(0, FRAME, false);
            track.skip(told);
            track.skip(told);
            let kept = (1..50).map(|at| track.place(at * 160, FRAME, false)).filter(|place| place.skip == 0);
            assert_eq!(kept.count(), 49, "a gap of {told} in no time");
            track.skip(FRAME);
            assert_eq!(track.place(51 * 160, FRAME, false), Place { at: 52 * FRAME, skip: 0 });
        }
    }

    #[test]
    fn a_clock_that_runs_fast_or_slow_never_leaves_its_time_by_more_than_a_frame() {
        for ppm in [-1_000i64, -500, 0, 500, 1_000] {
            let mut track = track();
            for at in 0..200_000i64 {
                let target = at * 160 + at * 160 * ppm / 1_000_000;
                let place = track.place(target, FRAME, at % 100 > 90);
                let off = place.at as i64 - (target + place.skip as i64);
                assert!(off.unsigned_abs() <= FRAME, "{ppm} ppm: {off} at {at}");
            }
        }
    }

    #[test]
    fn frames_of_a_grid_that_settles_follow_each_other_without_a_seam_also_where_it_is_quiet() {
        let mut track = track();
        for at in 0..500u64 {
            // Earlier by 1 ms a frame, 12 ms in all.
            let earlier = 8 * at.saturating_sub(60).min(12);
            let target = 1_000 + at * FRAME - earlier;
            let place = track.place(target as i64, FRAME, true);
            assert_eq!(place, Place { at: 1_000 + at * FRAME, skip: 0 });
        }
    }

    #[test]
    fn what_was_said_before_the_tape_began_has_no_place() {
        assert_eq!(track().place(-100, FRAME, false), Place { at: 0, skip: 100 });
        let mut late = track();
        late.place(-100, FRAME, false);
        assert_eq!(late.place(60, FRAME, false), Place { at: 60, skip: 0 });
    }
}
