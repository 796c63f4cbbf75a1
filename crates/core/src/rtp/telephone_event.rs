//! Digits as RTP events (RFC 4733): the payload, and the rules by which packets become one digit.
//!
//! Keyed on the RTP timestamp: whatever is lost, doubled or late, one event is told once, when it is over.

use std::time::Duration;

use crate::vocabulary::{Digit, Moment};

/// The four bytes of an event (RFC 4733 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPayload {
    /// Event code; 0 to 15 are digits.
    pub event: u8,
    /// This is the end of the event.
    pub end: bool,
    /// Power below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// Ticks since the packet's timestamp.
    pub duration: u16,
}

impl EventPayload {
    /// Reads a payload; what stands behind the four bytes is nobody's.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, d0, d1] = *payload.first_chunk::<4>()?;
        let duration = u16::from_be_bytes([d0, d1]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3F, duration })
    }

    /// The bytes on the wire.
    pub const fn to_bytes(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.event, (self.end as u8) << 7 | (self.volume & 0x3F), d0, d1]
    }
}

/// Turns event packets of one stream, in order of their sequence numbers, into digits.
#[derive(Debug, Clone)]
pub struct EventReceiver {
    clock_rate: u32,
    current: Option<Current>,
    /// The last digit that was told.
    told: Option<Told>,
    /// The last one of the stream before this one, whose packets may still come.
    told_before: Option<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    digit: Digit,
    timestamp: u32,
    last_at: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Current {
    digit: Digit,
    timestamp: u32,
    /// Ticks of its segments before this one.
    before: u64,
    duration: u16,
    last_at: Moment,
}

impl EventReceiver {
    /// A receiver of events whose clock has `clock_rate` ticks per second.
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), current: None, told: None, told_before: None }
    }

    /// Takes the payload of an event packet and tells the digits that ended with it.
    pub fn handle(
        &mut self,
        now: Moment,
        timestamp: u32,
        payload: &[u8],
        tell: &mut impl FnMut(Digit, Duration),
    ) {
        let Some(event) = EventPayload::parse(payload) else { return };
        // Flash and the line events of RFC 4733 §3 are no digits.
        let Some(digit) = Digit::from_event(event.event) else { return };
        if self.told.is_some_and(|told| self.is_same_or_earlier(timestamp, told.timestamp)) {
            return;
        }
        if self.told_before.as_mut().is_some_and(|told| told.goes_on(now, digit, timestamp)) {
            return;
        }
        match &mut self.current {
            Some(current) if current.timestamp == timestamp => {
                current.duration = current.duration.max(event.duration);
                current.last_at = now;
            }
            // A long event goes on as a new segment (§2.5.1.3).
            Some(current)
                if current.digit == digit
                    && timestamp == current.timestamp.wrapping_add(u32::from(u16::MAX)) =>
            {
                current.before += u64::from(u16::MAX);
                (current.timestamp, current.duration, current.last_at) = (timestamp, event.duration, now);
            }
            Some(current) if is_earlier(timestamp, current.timestamp, self.clock_rate) => return,
            _ => {
                self.conclude(tell);
                let duration = event.duration;
                self.current = Some(Current { digit, timestamp, before: 0, duration, last_at: now });
            }
        }
        if event.end {
            self.conclude(tell);
        }
    }

    /// When [`EventReceiver::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.current.map(|current| current.last_at + END_LOST)
    }

    /// Tells a digit whose end packets were all lost.
    pub fn handle_timeout(&mut self, now: Moment, tell: &mut impl FnMut(Digit, Duration)) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.conclude(tell);
        }
    }

    /// The stream is over or begins anew: tells the digit that was sounding and forgets all timestamps, but for
    /// packets of a digit that was told and goes on all the same.
    pub fn reset(&mut self, tell: &mut impl FnMut(Digit, Duration)) {
        self.conclude(tell);
        self.told_before = self.told.take().or(self.told_before);
    }

    /// Events come with another clock: as [`EventReceiver::reset`].
    pub fn set_clock(&mut self, clock_rate: u32, tell: &mut impl FnMut(Digit, Duration)) {
        self.reset(tell);
        self.clock_rate = clock_rate.max(1);
    }

    fn conclude(&mut self, tell: &mut impl FnMut(Digit, Duration)) {
        let Some(current) = self.current.take() else { return };
        let Current { digit, timestamp, last_at, .. } = current;
        self.told = Some(Told { digit, timestamp, last_at });
        let ticks = u128::from(current.before + u64::from(current.duration));
        let nanos = ticks * 1_000_000_000 / u128::from(self.clock_rate);
        tell(digit, Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
    }

    fn is_same_or_earlier(&self, timestamp: u32, than: u32) -> bool {
        timestamp == than || is_earlier(timestamp, than, self.clock_rate)
    }
}

impl Told {
    /// Whether a packet is one more of this digit.
    fn goes_on(&mut self, now: Moment, digit: Digit, timestamp: u32) -> bool {
        let segment = self.timestamp.wrapping_add(u32::from(u16::MAX));
        let is_its = digit == self.digit && (timestamp == self.timestamp || timestamp == segment);
        let goes_on = is_its && now - self.last_at <= GOES_ON;
        if goes_on {
            (self.timestamp, self.last_at) = (timestamp, now);
        }
        goes_on
    }
}

/// Earlier by at most two seconds: a packet that strayed. More is a clock that was set anew.
fn is_earlier(timestamp: u32, than: u32, clock_rate: u32) -> bool {
    let behind = than.wrapping_sub(timestamp);
    behind > 0 && behind <= clock_rate.saturating_mul(2).min(u32::MAX / 2)
}

/// Event packets come at least every 60 ms: after three of them nothing more will.
const END_LOST: Duration = Duration::from_millis(200);
/// A digit that was told before its stream began anew goes on within this time of its last packet.
const GOES_ON: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(event: u8, end: bool, duration: u16) -> [u8; 4] {
        EventPayload { event, end, volume: 10, duration }.to_bytes()
    }

    /// Feeds (timestamp, event, end, duration) 20 ms apart and then waits.
    fn hear(packets: &[(u32, u8, bool, u16)]) -> Vec<(char, u64)> {
        let (mut receiver, mut heard) = (EventReceiver::new(8_000), Vec::new());
        let mut now = Moment::START;
        for (timestamp, event, end, duration) in packets {
            now = now + Duration::from_millis(20);
            let mut tell =
                |digit: Digit, lasted: Duration| heard.push((digit.as_char(), lasted.as_millis() as u64));
            receiver.handle_timeout(now, &mut tell);
            receiver.handle(now, *timestamp, &packet(*event, *end, *duration), &mut tell);
        }
        if let Some(due) = receiver.poll_timeout() {
            receiver.handle_timeout(due, &mut |digit, lasted| {
                heard.push((digit.as_char(), lasted.as_millis() as u64))
            });
        }
        assert_eq!(receiver.poll_timeout(), None);
        heard
    }

    #[test]
    fn three_end_packets_are_one_digit_told_at_its_end() {
        let end = (160, 5, true, 800);
        assert_eq!(hear(&[(160, 5, false, 160), (160, 5, false, 480), end, end, end]), [('5', 100)]);
    }

    #[test]
    fn a_lost_start_and_a_lost_end_still_are_one_digit() {
        assert_eq!(hear(&[(160, 5, true, 800)]), [('5', 100)]);
        assert_eq!(hear(&[(160, 5, false, 160), (160, 5, false, 640)]), [('5', 80)]);
        let next = [(160, 5, false, 640), (1_760, 6, false, 160), (1_760, 6, true, 320)];
        assert_eq!(hear(&next), [('5', 80), ('6', 40)]);
    }

    #[test]
    fn the_same_key_pressed_twice_is_two_digits() {
        assert_eq!(hear(&[(160, 1, true, 800), (1_760, 1, true, 400)]), [('1', 100), ('1', 50)]);
    }

    #[test]
    fn packets_of_a_digit_that_was_told_say_nothing_new() {
        let (mut receiver, mut heard) = (EventReceiver::new(8_000), 0);
        receiver.handle(Moment::START, 160, &packet(5, false, 160), &mut |_, _| heard += 1);
        receiver.handle_timeout(Moment::from_millis(199), &mut |_, _| heard += 1);
        assert_eq!(heard, 0);
        receiver.handle_timeout(Moment::from_millis(200), &mut |_, _| heard += 1);
        receiver.handle(Moment::from_millis(210), 160, &packet(5, true, 800), &mut |_, _| heard += 1);
        receiver.handle(Moment::from_millis(220), 100, &packet(4, true, 800), &mut |_, _| heard += 1);
        assert_eq!(heard, 1);
    }

    #[test]
    fn a_clock_set_back_far_is_a_new_clock() {
        assert_eq!(hear(&[(1_000_000, 1, true, 800), (160, 2, true, 800)]), [('1', 100), ('2', 100)]);
        assert_eq!(hear(&[(u32::MAX - 100, 1, true, 800), (1_500, 2, true, 800)]), [('1', 100), ('2', 100)]);
    }

    #[test]
    fn flash_and_short_payloads_are_no_digits() {
        assert_eq!(hear(&[(160, 16, true, 800)]), []);
        let mut receiver = EventReceiver::new(8_000);
        receiver.handle(Moment::START, 0, &[5, 0x80, 0], &mut |_, _| panic!("told a digit"));
    }

    proptest! {
        #[test]
        fn at_any_loss_that_leaves_one_packet_a_digit_is_told_exactly_once(
            kept in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 7), 1..20),
        ) {
            let (mut sent, mut expected) = (Vec::new(), 0);
            for (at, kept) in kept.iter().enumerate() {
                let timestamp = 160 + at as u32 * 1_600;
                expected += usize::from(kept.contains(&true));
                for (step, kept) in kept.iter().enumerate() {
                    if *kept {
                        sent.push((timestamp, (at % 16) as u8, step >= 4, 160 * (step as u16 + 1).min(5)));
                    }
                }
            }
            prop_assert_eq!(hear(&sent).len(), expected);
        }

        #[test]
        fn any_payloads_are_survived(
            packets in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..8)), 0..50),
        ) {
            let mut receiver = EventReceiver::new(0);
            for (timestamp, payload) in packets {
                receiver.handle(Moment::START, timestamp, &payload, &mut |_, _| {});
            }
        }
    }
}
