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
pub struct Outbox<M: Weighed> {
    audio: VecDeque<(u64, M)>,
    control: VecDeque<(u64, M)>,
    control_bytes: usize,
    next_number: u64,
    audio_max: usize,
    blocked_since: Option<Moment>,
}

/// What has a length in memory.
pub trait Weighed {
    /// Its bytes.
    fn bytes(&self) -> usize;
}

/// What became of a pushed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits.
    Queued,
    /// It waits, and the oldest audio message was dropped for it.
    DroppedAudio,
    /// More control messages, or bytes of them, wait than a living reader leaves: the other end is stalled.
    Overflow,
}

impl<M: Weighed> Outbox<M> {
    /// An empty outbox for audio messages that last `message` each.
    pub fn new(message: Duration) -> Self {
        let message_ms = message.as_millis().max(1);
        let audio_max = usize::try_from(AUDIO_WAITING_MAX.as_millis() / message_ms).unwrap_or(1).max(1);
        Self {
            audio: VecDeque::new(),
            control: VecDeque::new(),
            control_bytes: 0,
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
            WireClass::Control => {
                let bytes = self.control_bytes.saturating_add(numbered.1.bytes());
                if self.control.len() >= CONTROL_WAITING_MAX || bytes > CONTROL_BYTES_WAITING_MAX {
                    return Pushed::Overflow;
                }
                self.control_bytes = bytes;
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
        if audio_first {
            return self.audio.pop_front().map(|(_, message)| message);
        }
        let (_, message) = self.control.pop_front()?;
        self.control_bytes = self.control_bytes.saturating_sub(message.bytes());
        Some(message)
    }

    /// The socket took nothing although something waits.
    pub fn blocked(&mut self, now: Moment) {
        self.blocked_since.get_or_insert(now);
    }

    /// The socket took bytes, or nothing waits.
    pub fn moved(&mut self) {
        self.blocked_since = None;
    }

    /// Whether so much waits that it should be written before more comes.
    pub fn is_half_full(&self) -> bool {
        self.audio.len() * 2 >= self.audio_max
            || self.control.len() * 2 >= CONTROL_WAITING_MAX
            || self.control_bytes * 2 >= CONTROL_BYTES_WAITING_MAX
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
const CONTROL_BYTES_WAITING_MAX: usize = 4 << 20;

/// How long a socket may take nothing.
const BLOCKED_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for u32 {
        fn bytes(&self) -> usize {
            4
        }
    }

    impl Weighed for &str {
        fn bytes(&self) -> usize {
            self.len()
        }
    }

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
    fn few_control_messages_of_many_bytes_are_too_much_as_well_and_room_comes_back() {
        let large = "x".repeat(1 << 20);
        let mut outbox = Outbox::new(Duration::from_millis(20));
        for _ in 0..4 {
            assert_eq!(outbox.push(WireClass::Control, large.as_str()), Pushed::Queued);
        }
        assert_eq!(outbox.push(WireClass::Control, "{}"), Pushed::Overflow);
        assert!(outbox.pull().is_some());
        assert_eq!(outbox.push(WireClass::Control, "{}"), Pushed::Queued);
    }

    #[test]
    fn it_asks_to_be_written_when_half_of_its_audio_or_of_its_control_waits() {
        let mut outbox = Outbox::new(Duration::from_millis(20));
        let asks_at = (1..100).find(|n| {
            outbox.push(WireClass::Audio, *n);
            outbox.is_half_full()
        });
        assert_eq!(asks_at, Some(25));
        let mut outbox = Outbox::new(Duration::from_millis(20));
        let asks_at = (1..1_000).find(|n| {
            outbox.push(WireClass::Control, *n);
            outbox.is_half_full()
        });
        assert_eq!(asks_at, Some(500));
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
