//! How evenly audio arrives over a WebSocket, where no sequence numbers tell: jitter as in RFC 3550 §6.4.1, gaps.

use std::time::Duration;

use crate::media::Spread;
use crate::vocabulary::Moment;

/// The arrivals of one stream of audio.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// When audio came last, and how much.
    last: Option<(Moment, Duration)>,
    /// Sixteen times the jitter in microseconds.
    jitter_us: u64,
    spread_us: Spread,
    longest_gap: Duration,
}

impl Arrivals {
    /// Audio of that length came.
    pub(super) fn came(&mut self, lasts: Duration, now: Moment) {
        if let Some((before, lasted)) = self.last.replace((now, lasts)) {
            let gap = now - before;
            self.longest_gap = self.longest_gap.max(gap);
            let off_us = u64::try_from(gap.abs_diff(lasted).as_micros()).unwrap_or(u64::MAX);
            self.jitter_us = self.jitter_us.saturating_add(off_us) - ((self.jitter_us + 8) >> 4);
            self.spread_us.take(self.jitter_us >> 4);
        }
    }

    /// Jitter in microseconds.
    pub(super) const fn jitter_us(&self) -> Spread {
        self.spread_us
    }

    /// The longest time in which nothing came.
    pub(super) const fn longest_gap(&self) -> Duration {
        self.longest_gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_arrival_has_no_jitter_and_a_stall_is_a_gap() {
        let (mut arrivals, frame) = (Arrivals::default(), Duration::from_millis(20));
        for at in (0..1_000).step_by(20) {
            arrivals.came(frame, Moment::from_millis(at));
        }
        assert_eq!((arrivals.jitter_us().max(), arrivals.longest_gap()), (Some(0), frame));
        arrivals.came(frame, Moment::from_millis(1_480));
        assert_eq!(arrivals.longest_gap(), Duration::from_millis(500));
        assert_eq!(arrivals.jitter_us().max(), Some(480_000 / 16));
    }
}
