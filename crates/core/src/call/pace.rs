//! When the next frame leaves: a steady grid that settles just behind the arrival of a real-time bot's audio.
//!
//! Bots that speak in bursts fill the playout and wait nowhere. A bot that speaks in real time (an echo, another
//! phone) would wait half a frame on average for a grid that stands anywhere; this one moves by at most
//! [`STEP`] a frame until [`MARGIN`] is left, and back when a frame came too late.

use std::time::Duration;

use crate::vocabulary::Moment;

/// Whether a leg wants a frame every ptime, or only when there is something to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cadence {
    /// RTP: silence is sent too.
    Steady,
    /// A vendor's WebSocket: nothing is sent while the bot is quiet, and the first frame leaves at once.
    OnDemand,
}

/// The grid of one leg.
#[derive(Debug)]
pub(super) struct Pace {
    cadence: Cadence,
    frame: Duration,
    next: Option<Moment>,
    /// The shortest wait for the grid among the arrivals of this window.
    least_wait: Duration,
    arrivals: u32,
    last_arrival: Moment,
    /// How far the grid still has to move to the earlier.
    earlier: Duration,
    /// How far it moves to the later at the next frame.
    later: Duration,
}

impl Pace {
    pub(super) fn new(cadence: Cadence, frame: Duration) -> Self {
        Self {
            cadence,
            frame,
            next: None,
            least_wait: Duration::MAX,
            arrivals: 0,
            last_arrival: Moment::START,
            earlier: Duration::ZERO,
            later: Duration::ZERO,
        }
    }

    pub(super) fn set_frame(&mut self, frame: Duration) {
        self.frame = frame;
    }

    /// Frames leave from now on.
    pub(super) fn start(&mut self, now: Moment) {
        if self.cadence == Cadence::Steady {
            self.next = Some(now);
        }
    }

    /// Digits wait on a leg that is quiet.
    pub(super) fn start_if_idle(&mut self, now: Moment) {
        self.next.get_or_insert(now);
    }

    pub(super) fn is_on_demand(&self) -> bool {
        self.cadence == Cadence::OnDemand
    }

    /// The phone's first audio came: its own grid is the best guess at when the bot's answers come.
    pub(super) fn align(&mut self, now: Moment) {
        if self.next.is_some() {
            self.next = Some(now + MARGIN);
        }
    }

    /// Audio of the bot came, while `waiting` had been there.
    pub(super) fn arrived(&mut self, now: Moment, waiting: Duration) {
        let Some(next) = self.next else {
            self.next = Some(now);
            return;
        };
        self.last_arrival = now;
        if waiting >= self.frame {
            // A burst or a backlog: the grid makes nobody wait.
            (self.arrivals, self.least_wait) = (0, Duration::MAX);
            return;
        }
        self.arrivals += 1;
        self.least_wait = self.least_wait.min(next - now + waiting);
        if self.arrivals >= WINDOW_ARRIVALS {
            let spare = self.least_wait.saturating_sub(MARGIN);
            self.earlier = if spare >= STEP { spare } else { Duration::ZERO };
            (self.arrivals, self.least_wait) = (0, Duration::MAX);
        }
    }

    /// The frame that just left held nothing, though the bot speaks in real time.
    pub(super) fn ran_dry(&mut self, now: Moment) {
        if self.cadence == Cadence::OnDemand {
            self.next = None;
        } else if now - self.last_arrival <= 2 * self.frame && self.last_arrival > Moment::START {
            self.earlier = Duration::ZERO;
            self.later = LATER_STEP;
        }
    }

    /// Whether a frame is due; moves the grid on if so.
    pub(super) fn take_due(&mut self, now: Moment) -> bool {
        let Some(due) = self.next else { return false };
        if due > now {
            return false;
        }
        let step = self.earlier.min(STEP);
        self.earlier -= step;
        let mut next = due + (self.frame - step) + std::mem::take(&mut self.later);
        if now - next > self.frame * BEHIND_FRAMES_MAX {
            // The process stood still: catching up would come as a burst.
            next = now + self.frame;
        }
        self.next = Some(next);
        true
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.next
    }
}

/// What is left between a real-time bot's audio and the frame that takes it.
const MARGIN: Duration = Duration::from_millis(3);
/// The most that the grid moves to the earlier per frame: far below what a phone's jitter buffer notices.
const STEP: Duration = Duration::from_millis(1);
/// The grid moves to the later by this when a frame was missed.
const LATER_STEP: Duration = Duration::from_millis(2);
/// Arrivals among which the shortest wait is looked for.
const WINDOW_ARRIVALS: u32 = 12;
/// Frames that are caught up with at once after a standstill.
const BEHIND_FRAMES_MAX: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    /// Runs a bot that answers every 20 ms at `phase`; gives each frame's wait.
    fn waits(pace: &mut Pace, phase_ms: u64, frames: u64) -> Vec<Duration> {
        let mut waits = Vec::new();
        for frame in 1..=frames {
            let arrival = Moment::from_millis(frame * 20 + phase_ms);
            while pace.poll_timeout().unwrap() < arrival {
                let due = pace.poll_timeout().unwrap();
                assert!(pace.take_due(due));
            }
            pace.arrived(arrival, Duration::ZERO);
            waits.push(pace.poll_timeout().unwrap() - arrival);
        }
        waits
    }

    #[test]
    fn the_grid_settles_just_behind_a_real_time_bot() {
        for phase in 0..20 {
            let mut pace = Pace::new(Cadence::Steady, FRAME);
            pace.start(Moment::START);
            let waits = waits(&mut pace, phase, 100);
            let settled = &waits[60..];
            assert!(settled.iter().all(|wait| *wait <= MARGIN + STEP), "phase {phase}: {settled:?}");
        }
    }

    #[test]
    fn a_missed_frame_moves_the_grid_to_the_later() {
        let mut pace = Pace::new(Cadence::Steady, FRAME);
        pace.start(Moment::from_millis(0));
        pace.arrived(Moment::from_millis(5), Duration::ZERO);
        assert!(pace.take_due(Moment::from_millis(20)));
        pace.ran_dry(Moment::from_millis(20));
        assert!(pace.take_due(Moment::from_millis(40)));
        assert_eq!(pace.poll_timeout(), Some(Moment::from_millis(42)));
    }

    #[test]
    fn an_on_demand_leg_sends_the_first_frame_at_once_and_nothing_while_idle() {
        let mut pace = Pace::new(Cadence::OnDemand, FRAME);
        pace.start(Moment::START);
        assert_eq!(pace.poll_timeout(), None);
        pace.arrived(Moment::from_millis(7), Duration::ZERO);
        assert!(pace.take_due(Moment::from_millis(7)));
        assert_eq!(pace.poll_timeout(), Some(Moment::from_millis(27)));
        assert!(pace.take_due(Moment::from_millis(27)));
        pace.ran_dry(Moment::from_millis(27));
        assert_eq!(pace.poll_timeout(), None);
    }

    #[test]
    fn a_standstill_is_not_caught_up_with_in_a_burst() {
        let mut pace = Pace::new(Cadence::Steady, FRAME);
        pace.start(Moment::START);
        assert!(pace.take_due(Moment::from_millis(1_000)));
        assert!(!pace.take_due(Moment::from_millis(1_000)));
    }
}
