//! Whether a carrier is there, by OPTIONS (RFC 3261 §11): a machine without IO.
//!
//! Any final answer is a sign of life, also a refusal; silence is none. A carrier that comes and goes counts as there
//! only once it stays.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The watch over one carrier.
#[derive(Debug)]
pub struct KeepAlive {
    interval: Duration,
    reach: Reach,
    since: Instant,
    /// When to ask next; `None` while an answer is awaited.
    next: Option<Instant>,
    /// Answers in a row.
    answers: u32,
    /// When it went away, the newest last.
    losses: VecDeque<Instant>,
}

/// Whether it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nobody knows yet, or nobody asks.
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl KeepAlive {
    /// Asks at once, then every `interval`.
    pub fn new(now: Instant, interval: Duration) -> Self {
        let (reach, next) = (Reach::Unknown, Some(now));
        Self { interval, reach, since: now, next, answers: 0, losses: VecDeque::new() }
    }

    /// Whether it is time to send OPTIONS; what comes of it is told by [`KeepAlive::handle_answer`].
    pub fn poll(&mut self, now: Instant) -> bool {
        self.next.take_if(|at| *at <= now).is_some()
    }

    /// When [`KeepAlive::poll`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// A final answer came, or none in time.
    pub fn handle_answer(&mut self, now: Instant, is_there: bool) {
        if is_there {
            self.answers = self.answers.saturating_add(1);
            self.losses.retain(|at| now.saturating_duration_since(*at) < FLAP_MEMORY);
            let wanted = if self.losses.len() >= FLAPS { ANSWERS_AFTER_FLAPS } else { 1 };
            if self.answers >= wanted {
                self.enter(now, Reach::Up);
            }
        } else {
            self.answers = 0;
            if self.reach == Reach::Up {
                self.losses.push_back(now);
                if self.losses.len() > FLAPS {
                    self.losses.pop_front();
                }
            }
            self.enter(now, Reach::Down);
        }
        let wait = if self.reach == Reach::Down { self.interval.min(DOWN_INTERVAL) } else { self.interval };
        self.next = Some(now + wait);
    }

    /// Whether it is there.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    fn enter(&mut self, now: Instant, reach: Reach) {
        if self.reach != reach {
            (self.reach, self.since) = (reach, now);
        }
    }
}

/// How often a carrier that is away is asked at least.
const DOWN_INTERVAL: Duration = Duration::from_secs(10);
/// Losses within [`FLAP_MEMORY`] after which one answer is not enough.
const FLAPS: usize = 3;
const FLAP_MEMORY: Duration = Duration::from_secs(600);
const ANSWERS_AFTER_FLAPS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    /// The carrier's states after each of its answers (`+`) and silences (`-`).
    fn told(course: &str) -> String {
        let mut now = Instant::now();
        let mut watch = KeepAlive::new(now, INTERVAL);
        course
            .chars()
            .map(|one| {
                now = watch.deadline().unwrap();
                assert!(watch.poll(now) && !watch.poll(now) && watch.deadline().is_none());
                watch.handle_answer(now, one == '+');
                match watch.reach() {
                    Reach::Up => 'u',
                    Reach::Down => 'd',
                    Reach::Unknown => '?',
                }
            })
            .collect()
    }

    #[test]
    fn one_silence_is_a_loss_and_one_answer_a_return() {
        assert_eq!(told("+-+"), "udu");
        assert_eq!(told("--+"), "ddu");
    }

    #[test]
    fn a_carrier_that_comes_and_goes_has_to_stay_before_it_counts() {
        assert_eq!(told("+-+-+-++++"), "udududdduu");
        assert_eq!(told("+-+-+-+-+++"), "udududddddu");
    }

    #[test]
    fn it_is_asked_more_often_while_it_is_away_and_old_losses_are_forgotten() {
        let start = Instant::now();
        let mut watch = KeepAlive::new(start, INTERVAL);
        assert!(watch.poll(start));
        watch.handle_answer(start, false);
        assert_eq!(watch.deadline(), Some(start + Duration::from_secs(10)));
        let mut now = start;
        for _ in 0..3 {
            watch.handle_answer(now, true);
            watch.handle_answer(now, false);
            now += Duration::from_secs(1);
        }
        let later = now + FLAP_MEMORY;
        watch.handle_answer(later, true);
        assert_eq!((watch.reach(), watch.since()), (Reach::Up, later));
        assert_eq!(watch.deadline(), Some(later + INTERVAL));
    }
}
