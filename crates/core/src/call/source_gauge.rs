//! How fast a bot speaks, by how much of its audio comes in how much time.

use std::time::Duration;

use crate::vocabulary::Moment;

use super::pace::SourceSpeed;

/// Tells a source that speaks in real time from one that speaks in bursts.
#[derive(Debug, Default)]
pub(super) struct SourceGauge {
    window: Moment,
    pushed: Duration,
    windows_in_time: u32,
}

impl SourceGauge {
    /// So much of its audio came.
    pub(super) fn pushed(&mut self, audio: Duration) {
        self.pushed += audio;
    }

    /// In real time, if the last windows all brought as much audio as they lasted.
    pub(super) fn speed(&mut self, now: Moment) -> SourceSpeed {
        self.roll(now);
        // Speech that comes at once keeps its pauses, also in the midst of a look.
        let bursts = self.pushed > now - self.window + BURST_MIN;
        if self.windows_in_time >= REAL_TIME_WINDOWS && !bursts {
            SourceSpeed::RealTime
        } else {
            SourceSpeed::Bursts
        }
    }

    fn roll(&mut self, now: Moment) {
        let lasted = now - self.window;
        if lasted < SOURCE_WINDOW {
            return;
        }
        let in_time = self.pushed * 10 >= lasted * 9 && self.pushed * 10 <= lasted * 11;
        self.windows_in_time = if in_time { self.windows_in_time + 1 } else { 0 };
        (self.window, self.pushed) = (now, Duration::ZERO);
    }
}

/// Length of one look at the source's speed.
const SOURCE_WINDOW: Duration = Duration::from_millis(500);
/// Audio ahead of real time that no jitter explains.
const BURST_MIN: Duration = Duration::from_millis(200);
/// Looks in a row that must be in time.
const REAL_TIME_WINDOWS: u32 = 2;
