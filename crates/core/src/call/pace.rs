//! When the next frame leaves: a steady grid that settles just behind the arrival of a real-time bot's audio.
//!
//! Bots that speak in bursts fill the playout and wait nowhere. A bot that speaks in real time (an echo, another
//! phone) would wait half a frame on average for a grid that stands anywhere, and for ever behind what one stall has
//! piled up; this grid moves by at most [`STEP`] a frame until only a margin is left, which grows where audio came
//! too late.

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

/// How a bot speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceSpeed {
    /// As fast as it is heard: an echo, a person.
    RealTime,
    /// Faster, with pauses: most synthesised speech.
    Bursts,
}

/// The grid of one leg.
#[derive(Debug)]
pub(super) struct Pace {
    cadence: Cadence,
    frame: Duration,
    next: Option<Moment>,
    /// The call was answered and the phone can be spoken to.
    started: bool,
    /// The shortest wait among the arrivals of this window.
    least_wait: Duration,
    arrivals: u32,
    window: u32,
    /// What is to be left between an arrival and the frame that takes it.
    margin: Duration,
    /// When a frame left empty last.
    dry_at: Option<Moment>,
    /// How far the grid still has to move to the earlier.
    earlier: Duration,
}

impl Pace {
    pub(super) fn new(cadence: Cadence, frame: Duration) -> Self {
        Self {
            cadence,
            frame,
            next: None,
            started: false,
            least_wait: Duration::MAX,
            arrivals: 0,
            window: FIRST_WINDOW_ARRIVALS,
            margin: MARGIN,
            dry_at: None,
            earlier: Duration::ZERO,
        }
    }

    pub(super) fn set_frame(&mut self, frame: Duration) {
        self.frame = frame;
    }

    /// Frames leave from now on; on demand, if anything waits.
    pub(super) fn start(&mut self, now: Moment, waiting: Duration) {
        self.started = true;
        if self.cadence == Cadence::Steady || !waiting.is_zero() {
            self.next = Some(now);
        }
    }

    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    /// Something waits on a leg that is quiet.
    pub(super) fn wake(&mut self, now: Moment) {
        if self.started {
            self.next.get_or_insert(now);
        }
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
    pub(super) fn arrived(&mut self, now: Moment, waiting: Duration, speed: SourceSpeed) {
        let dry_at = self.dry_at.take();
        if dry_at.is_some_and(|dry| now - dry < LATE_AT_MOST) && speed == SourceSpeed::RealTime {
            // A word was cut: this bot's way jitters, so more is kept between it and the phone.
            self.margin = (self.margin + MARGIN_STEP).min(MARGIN_MAX);
        }
        let Some(next) = self.next else { return self.wake(now) };
        if dry_at.is_some() && waiting.is_zero() && next < now + self.margin {
            // An utterance begins just before a frame is due: the next piece of it would come just too late.
            self.next = Some(now + self.margin);
            return;
        }
        let backlog_max = if speed == SourceSpeed::RealTime { WORKED_OFF_MAX } else { self.frame };
        if waiting >= backlog_max {
            // A burst, or a lead that the bot keeps on purpose: the grid makes nobody wait.
            (self.arrivals, self.least_wait) = (0, Duration::MAX);
            return;
        }
        self.arrivals += 1;
        self.least_wait = self.least_wait.min(next - now + waiting);
        if self.arrivals >= self.window {
            let spare = self.least_wait.saturating_sub(self.margin);
            self.earlier = if spare >= STEP { spare } else { Duration::ZERO };
            (self.arrivals, self.least_wait, self.window) = (0, Duration::MAX, WINDOW_ARRIVALS);
            self.margin = self.margin.saturating_sub(MARGIN_DECAY).max(MARGIN);
        }
    }

    /// The frame that just left was filled with silence: the rest of it comes late, if it comes.
    pub(super) fn fell_short(&mut self, now: Moment) {
        self.dry_at = Some(now);
    }

    /// The frame that just left held nothing.
    pub(super) fn ran_dry(&mut self, now: Moment) {
        self.dry_at = Some(now);
        if self.cadence == Cadence::OnDemand {
            self.next = None;
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
        let mut next = due + (self.frame - step);
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

/// What is left between a real-time bot's audio and the frame that takes it, when its way is quiet.
const MARGIN: Duration = Duration::from_millis(8);
/// What is added to it when audio came too late, up to [`MARGIN_MAX`], and taken off again window by window.
const MARGIN_STEP: Duration = Duration::from_millis(5);
const MARGIN_MAX: Duration = Duration::from_millis(100);
const MARGIN_DECAY: Duration = Duration::from_millis(1);
/// Audio that comes later than this after an empty frame is a new utterance.
const LATE_AT_MOST: Duration = Duration::from_millis(150);
/// The most that a stall of a real-time bot leaves behind and the grid works off; more is a lead.
const WORKED_OFF_MAX: Duration = Duration::from_millis(80);
/// The most that the grid moves to the earlier per frame: far below what a phone's jitter buffer notices.
const STEP: Duration = Duration::from_millis(1);
/// Arrivals among which the shortest wait is looked for, at first and then.
const FIRST_WINDOW_ARRIVALS: u32 = 12;
const WINDOW_ARRIVALS: u32 = 50;
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
            pace.arrived(arrival, Duration::ZERO, SourceSpeed::RealTime);
            waits.push(pace.poll_timeout().unwrap() - arrival);
        }
        waits
    }

    #[test]
    fn the_grid_settles_just_behind_a_real_time_bot() {
        for phase in 0..20 {
            let mut pace = Pace::new(Cadence::Steady, FRAME);
            pace.start(Moment::START, Duration::ZERO);
            let waits = waits(&mut pace, phase, 100);
            let settled = &waits[60..];
            assert!(settled.iter().all(|wait| *wait <= MARGIN + STEP), "phase {phase}: {settled:?}");
        }
    }

    #[test]
    fn what_a_stall_has_piled_up_is_worked_off_for_a_real_time_bot_only() {
        for (speed, settles) in [(SourceSpeed::RealTime, true), (SourceSpeed::Bursts, false)] {
            let mut pace = Pace::new(Cadence::Steady, FRAME);
            pace.start(Moment::START, Duration::ZERO);
            let (mut pushed, mut pulled) = (3u32, 0u32);
            let mut now = Moment::START;
            for at in 1..300u64 {
                now = Moment::from_millis(at * 20);
                while let Some(due) = pace.poll_timeout().filter(|due| *due <= now) {
                    pace.take_due(due);
                    pulled = (pulled + 1).min(pushed);
                }
                pace.arrived(now, FRAME * (pushed - pulled), speed);
                pushed += 1;
            }
            let wait = pace.poll_timeout().unwrap() - now + FRAME * (pushed - pulled - 1);
            assert_eq!(wait <= MARGIN + STEP, settles, "{speed:?}: {wait:?}");
        }
    }

    #[test]
    fn a_lead_that_a_real_time_bot_keeps_is_left_alone() {
        let mut pace = Pace::new(Cadence::Steady, FRAME);
        pace.start(Moment::START, Duration::ZERO);
        for at in 1..200u64 {
            let now = Moment::from_millis(at * 20);
            while let Some(due) = pace.poll_timeout().filter(|due| *due <= now) {
                pace.take_due(due);
            }
            pace.arrived(now, Duration::from_millis(500), SourceSpeed::RealTime);
        }
        assert_eq!(pace.poll_timeout(), Some(Moment::from_millis(4_000)));
    }

    #[test]
    fn an_utterance_that_begins_just_before_a_frame_gets_its_margin() {
        let mut pace = Pace::new(Cadence::Steady, FRAME);
        pace.start(Moment::START, Duration::ZERO);
        assert!(pace.take_due(Moment::START));
        pace.ran_dry(Moment::START);
        pace.arrived(Moment::from_millis(19), Duration::ZERO, SourceSpeed::Bursts);
        assert_eq!(pace.poll_timeout(), Some(Moment::from_millis(19) + MARGIN));
    }

    #[test]
    fn audio_that_came_too_late_widens_the_margin() {
        let mut pace = Pace::new(Cadence::Steady, FRAME);
        pace.start(Moment::START, Duration::ZERO);
        assert!(pace.take_due(Moment::from_millis(0)));
        pace.ran_dry(Moment::from_millis(0));
        pace.arrived(Moment::from_millis(5), Duration::ZERO, SourceSpeed::RealTime);
        assert_eq!(pace.margin, MARGIN + MARGIN_STEP);
        pace.ran_dry(Moment::from_millis(20));
        pace.arrived(Moment::from_millis(2_000), Duration::ZERO, SourceSpeed::RealTime);
        assert_eq!(pace.margin, MARGIN + MARGIN_STEP, "a new utterance is not late");
    }

    #[test]
    fn an_on_demand_leg_sends_the_first_frame_at_once_and_nothing_while_idle() {
        let mut pace = Pace::new(Cadence::OnDemand, FRAME);
        pace.start(Moment::START, Duration::ZERO);
        assert_eq!(pace.poll_timeout(), None);
        pace.arrived(Moment::from_millis(7), Duration::ZERO, SourceSpeed::RealTime);
        assert!(pace.take_due(Moment::from_millis(7)));
        assert_eq!(pace.poll_timeout(), Some(Moment::from_millis(27)));
        assert!(pace.take_due(Moment::from_millis(27)));
        pace.ran_dry(Moment::from_millis(27));
        assert_eq!(pace.poll_timeout(), None);
    }

    #[test]
    fn a_standstill_is_not_caught_up_with_in_a_burst() {
        let mut pace = Pace::new(Cadence::Steady, FRAME);
        pace.start(Moment::START, Duration::ZERO);
        assert!(pace.take_due(Moment::from_millis(1_000)));
        assert!(!pace.take_due(Moment::from_millis(1_000)));
    }
}
