//! What waits to be written to a WebSocket: bounded, and honest about what it drops.
//!
//! Pure: no socket, no clock of its own. The link pushes, takes one message at a time, and tells when the
//! socket blocks and when it moves again.

use std::collections::VecDeque;
use std::time::Duration;

use patchcord_core::dialect::WireClass;
use patchcord_core::vocabulary::Moment;

/// The messages that wait, oldest first in two classes; numbers keep their common order.
#[derive(Debug)]
pub struct Outbox<M> {
    audio: VecDeque<(u64, M)>,
    control: VecDeque<(u64, M)>,
    next_number: u64,
    audio_max: usize,
    blocked_since: Option<Moment>,
}

/// What became of a pushed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits.
    Queued,
    /// It waits, and the oldest audio message was dropped for it.
    DroppedAudio,
    /// More control messages wait than a living reader leaves: the other end is stalled.
    Overflow,
}

impl<M> Outbox<M> {
    /// An empty outbox for audio messages of `frame` each.
    pub fn new(frame: Duration) -> Self {
        let frame_ms = frame.as_millis().max(1);
        let audio_max = usize::try_from(AUDIO_WAITING_MAX.as_millis() / frame_ms).unwrap_or(1).max(1);
        Self {
            audio: VecDeque::new(),
            control: VecDeque::new(),
            next_number: 0,
            audio_max,
            blocked_since: None,
        }
    }

    /// Takes one message; of too much audio the oldest goes, control is never dropped.
    pub fn push(&mut self, class: WireClass, message: M) -> Pushed {
        let numbered = (self.next_number, message);
        self.next_number += 1;
        match class {
            WireClass::Audio => {
                let full = self.audio.len() >= self.audio_max;
                if full {
                    self.audio.pop_front();
                }
                self.audio.push_back(numbered);
                if full { Pushed::DroppedAudio } else { Pushed::Queued }
            }
            WireClass::Control if self.control.len() >= CONTROL_WAITING_MAX => Pushed::Overflow,
            WireClass::Control => {
                self.control.push_back(numbered);
                Pushed::Queued
            }
        }
    }

    /// Takes the oldest message out.
    pub fn pull(&mut self) -> Option<M> {
        let audio_first = match (self.audio.front(), self.control.front()) {
            (Some((audio, _)), Some((control, _))) => audio < control,
            (audio, _) => audio.is_some(),
        };
        let queue = if audio_first { &mut self.audio } else { &mut self.control };
        queue.pop_front().map(|(_, message)| message)
    }

    /// The socket took nothing although something waits.
    pub fn blocked(&mut self, now: Moment) {
        self.blocked_since.get_or_insert(now);
    }

    /// The socket took bytes, or nothing waits.
    pub fn moved(&mut self) {
        self.blocked_since = None;
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.audio.is_empty() && self.control.is_empty()
    }

    /// When the other end counts as stalled if nothing moves until then.
    pub fn stalled_at(&self) -> Option<Moment> {
        self.blocked_since.map(|since| since + BLOCKED_MAX)
    }
}

/// Audio that may wait; more is too old to be of use.
const AUDIO_WAITING_MAX: Duration = Duration::from_secs(1);

/// Control messages that may wait.
const CONTROL_WAITING_MAX: usize = 1_000;

/// How long a socket may take nothing.
const BLOCKED_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(outbox: &mut Outbox<u32>) -> Vec<u32> {
        std::iter::from_fn(|| outbox.pull()).collect()
    }

    #[test]
    fn messages_leave_in_the_order_they_came_in_whatever_their_class() {
        let mut outbox = Outbox::new(Duration::from_millis(20));
        for (message, class) in [WireClass::Control, WireClass::Audio, WireClass::Audio, WireClass::Control]
            .into_iter()
            .enumerate()
        {
            assert_eq!(outbox.push(class, message as u32), Pushed::Queued);
        }
        assert_eq!(drained(&mut outbox), [0, 1, 2, 3]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn of_more_than_a_second_of_audio_the_oldest_is_dropped_and_control_stays() {
        let mut outbox = Outbox::new(Duration::from_millis(20));
        outbox.push(WireClass::Control, 1_000);
        for message in 0..50 {
            assert_eq!(outbox.push(WireClass::Audio, message), Pushed::Queued);
        }
        assert_eq!(outbox.push(WireClass::Audio, 50), Pushed::DroppedAudio);
        assert_eq!(outbox.push(WireClass::Control, 1_001), Pushed::Queued);
        let expected: Vec<u32> = [1_000].into_iter().chain(1..=50).chain([1_001]).collect();
        assert_eq!(drained(&mut outbox), expected);
    }

    #[test]
    fn longer_frames_fill_the_second_with_fewer_messages() {
        let mut outbox = Outbox::new(Duration::from_millis(100));
        let dropped = (0..12).filter(|n| outbox.push(WireClass::Audio, *n) == Pushed::DroppedAudio).count();
        assert_eq!((dropped, drained(&mut outbox).len()), (2, 10));
    }

    #[test]
    fn control_messages_are_bounded_and_a_reader_that_leaves_them_is_stalled() {
        let mut outbox = Outbox::new(Duration::from_millis(20));
        let overflows =
            (0..1_010).filter(|n| outbox.push(WireClass::Control, *n) == Pushed::Overflow).count();
        assert_eq!((overflows, drained(&mut outbox).len()), (10, 1_000));
    }

    #[test]
    fn the_other_end_is_stalled_five_seconds_after_the_last_byte_moved() {
        let mut outbox: Outbox<u32> = Outbox::new(Duration::from_millis(20));
        assert_eq!(outbox.stalled_at(), None);
        outbox.blocked(Moment::from_millis(1_000));
        outbox.blocked(Moment::from_millis(4_000));
        assert_eq!(outbox.stalled_at(), Some(Moment::from_millis(6_000)));
        outbox.moved();
        assert_eq!(outbox.stalled_at(), None);
        outbox.blocked(Moment::from_millis(7_000));
        assert_eq!(outbox.stalled_at(), Some(Moment::from_millis(12_000)));
    }
}
