//! Puts packets in order towards a bot: at once when they are, after 40 ms at most when they are not.
//!
//! Not a jitter buffer: nothing is delayed to even out arrival times. Holds ten packets; never invents one.

use std::time::Duration;

use crate::vocabulary::Moment;

/// The order of one stream, by sequence number.
#[derive(Debug, Default)]
pub struct Reorder {
    /// The sequence number that is due.
    next: Option<u16>,
    slots: [Slot; SLOTS],
    held: usize,
    /// Which of the 64 numbers before `next` came; the lowest bit is the newest.
    came: u64,
    /// A packet far off: the first of a restarted stream, if another follows it.
    stray: Slot,
}

#[derive(Debug, Default)]
struct Slot {
    packet: Vec<u8>,
    sequence: u16,
    since: Option<Moment>,
}

/// What a packet's number says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Released at once.
    InOrder,
    /// Released at once, after packets that had overtaken it had been waiting.
    Overtaken,
    /// Waits for those before it, or for another packet that confirms a restart.
    Held,
    /// Its place was given up; dropped.
    Late,
    /// Came before; dropped.
    Duplicate,
}

/// What leaves, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Released<'a> {
    /// A packet, as it was pushed.
    Packet(&'a [u8]),
    /// So many packets before the next one never came in time.
    Missing(u16),
    /// The numbers begin anew with the next packet.
    Restart,
}

impl Reorder {
    /// An order that begins with the first packet pushed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet with its sequence number; releases it and what waited for it, or holds it.
    pub fn push(
        &mut self,
        now: Moment,
        sequence: u16,
        packet: &[u8],
        release: &mut impl FnMut(Released<'_>),
    ) -> Arrival {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        let behind = next.wrapping_sub(sequence);
        if ahead == 0 {
            let overtaken = self.held > 0;
            self.advance(1, true);
            release(Released::Packet(packet));
            self.drain(release);
            return if overtaken { Arrival::Overtaken } else { Arrival::InOrder };
        }
        if ahead <= HELD_MAX {
            return self.hold(now, sequence, packet);
        }
        if ahead <= JUMP_MAX {
            self.flush(release);
            let missing = self.next.map_or(0, |next| sequence.wrapping_sub(next));
            if missing > 0 {
                self.advance(missing, false);
                release(Released::Missing(missing));
            }
            self.advance(1, true);
            release(Released::Packet(packet));
            return Arrival::InOrder;
        }
        if behind <= LATE_MAX {
            let came = behind <= 64 && self.came >> (behind - 1) & 1 == 1;
            return if came { Arrival::Duplicate } else { Arrival::Late };
        }
        self.suspect_restart(now, sequence, packet, release)
    }

    /// When [`Reorder::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Moment> {
        if self.held == 0 {
            return None;
        }
        self.slots.iter().filter_map(|slot| slot.since).min().map(|since| since + HOLD)
    }

    /// Gives up on the packets that those waiting for `HOLD` were waiting for.
    pub fn handle_timeout(&mut self, now: Moment, release: &mut impl FnMut(Released<'_>)) {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            self.skip_gap(release);
        }
    }

    /// Releases everything that is held.
    pub fn flush(&mut self, release: &mut impl FnMut(Released<'_>)) {
        while self.held > 0 {
            self.skip_gap(release);
        }
    }

    /// Forgets the order; what is held is dropped.
    pub fn reset(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.since = None);
        self.stray.since = None;
        (self.next, self.held, self.came) = (None, 0, 0);
    }

    fn hold(&mut self, now: Moment, sequence: u16, packet: &[u8]) -> Arrival {
        let Some(slot) = self.slots.get_mut(usize::from(sequence) % SLOTS) else { return Arrival::Late };
        if slot.since.is_some() {
            return Arrival::Duplicate;
        }
        slot.keep(now, sequence, packet);
        self.held += 1;
        Arrival::Held
    }

    /// Two packets in a row far off the order begin a new one (RFC 3550 appendix A.1).
    fn suspect_restart(
        &mut self,
        now: Moment,
        sequence: u16,
        packet: &[u8],
        release: &mut impl FnMut(Released<'_>),
    ) -> Arrival {
        if self.stray.since.is_none() || self.stray.sequence.wrapping_add(1) != sequence {
            if self.stray.since.is_some() && self.stray.sequence == sequence {
                return Arrival::Duplicate;
            }
            self.stray.keep(now, sequence, packet);
            return Arrival::Held;
        }
        self.flush(release);
        let first = self.stray.take();
        release(Released::Restart);
        release(Released::Packet(&first));
        release(Released::Packet(packet));
        self.stray.packet = first;
        (self.next, self.came) = (Some(sequence.wrapping_add(1)), 0b11);
        Arrival::InOrder
    }

    /// Moves on to the first packet that waits, and releases from there.
    fn skip_gap(&mut self, release: &mut impl FnMut(Released<'_>)) {
        let Some(next) = self.next else { return };
        let waiting = |ahead: &u16| {
            let sequence = next.wrapping_add(*ahead);
            self.slots.get(usize::from(sequence) % SLOTS).is_some_and(|slot| slot.since.is_some())
        };
        let Some(missing) = (1..=HELD_MAX).find(waiting) else {
            self.held = 0;
            return;
        };
        self.advance(missing, false);
        release(Released::Missing(missing));
        self.drain(release);
    }

    /// Releases what is next for as long as it is there.
    fn drain(&mut self, release: &mut impl FnMut(Released<'_>)) {
        while self.held > 0 {
            let Some(next) = self.next else { return };
            let Some(slot) = self.slots.get_mut(usize::from(next) % SLOTS) else { return };
            if slot.since.is_none() {
                return;
            }
            let packet = slot.take();
            release(Released::Packet(&packet));
            slot.packet = packet;
            self.held -= 1;
            self.advance(1, true);
        }
    }

    fn advance(&mut self, by: u16, came: bool) {
        self.next = self.next.map(|next| next.wrapping_add(by));
        self.came = self.came.checked_shl(u32::from(by)).unwrap_or(0) | u64::from(came);
    }
}

impl Slot {
    fn keep(&mut self, now: Moment, sequence: u16, packet: &[u8]) {
        self.packet.clear();
        self.packet.shrink_to(PACKET_KEPT_MAX);
        self.packet.extend_from_slice(packet);
        (self.sequence, self.since) = (sequence, Some(now));
    }

    fn take(&mut self) -> Vec<u8> {
        self.since = None;
        std::mem::take(&mut self.packet)
    }
}

/// How long a packet waits for those before it.
pub const HOLD: Duration = Duration::from_millis(40);
/// How far ahead of the order a packet may be to wait, and so how many can.
const HELD_MAX: u16 = 10;
const SLOTS: usize = 16;
/// Beyond what was lost in a minute, and behind what could still be under way, numbers were set anew.
const JUMP_MAX: u16 = 3_000;
const LATE_MAX: u16 = 100;
/// Buffers that held more give it back.
const PACKET_KEPT_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What left: packet numbers, `-n` for n missing, `None` for a restart.
    #[derive(Default)]
    struct Bench {
        reorder: Reorder,
        out: Vec<Option<i64>>,
    }

    impl Bench {
        fn push(&mut self, ms: u64, sequence: u16) -> Arrival {
            let out = &mut self.out;
            self.reorder
                .push(Moment::from_millis(ms), sequence, &sequence.to_be_bytes(), &mut |r| record(r, out))
        }

        fn wait_until(&mut self, ms: u64) {
            let out = &mut self.out;
            self.reorder.handle_timeout(Moment::from_millis(ms), &mut |r| record(r, out));
        }

        fn left(&mut self) -> Vec<i64> {
            std::mem::take(&mut self.out).into_iter().map(|left| left.unwrap_or(i64::MIN)).collect()
        }
    }

    fn record(released: Released<'_>, out: &mut Vec<Option<i64>>) {
        out.push(match released {
            Released::Packet(bytes) => Some(i64::from(u16::from_be_bytes(bytes.try_into().unwrap()))),
            Released::Missing(count) => Some(-i64::from(count)),
            Released::Restart => None,
        });
    }

    #[test]
    fn packets_in_order_leave_at_once_also_where_numbers_wrap() {
        let mut bench = Bench::default();
        for sequence in [65_534, 65_535, 0, 1] {
            assert_eq!(bench.push(0, sequence), Arrival::InOrder);
        }
        assert_eq!(bench.left(), [65_534, 65_535, 0, 1]);
        assert_eq!(bench.reorder.poll_timeout(), None);
    }

    #[test]
    fn an_overtaken_packet_is_put_in_its_place() {
        let mut bench = Bench::default();
        bench.push(0, 1);
        assert_eq!(bench.push(20, 3), Arrival::Held);
        assert_eq!(bench.push(30, 4), Arrival::Held);
        assert_eq!(bench.push(35, 2), Arrival::Overtaken);
        assert_eq!(bench.left(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_gap_is_declared_after_forty_milliseconds_and_a_late_packet_dropped() {
        let mut bench = Bench::default();
        bench.push(0, 1);
        bench.push(40, 3);
        assert_eq!(bench.reorder.poll_timeout(), Some(Moment::from_millis(80)));
        bench.wait_until(79);
        assert_eq!(bench.left(), [1]);
        bench.wait_until(80);
        assert_eq!(bench.left(), [-1, 3]);
        assert_eq!(bench.push(81, 2), Arrival::Late);
        assert_eq!(bench.push(82, 3), Arrival::Duplicate);
        assert_eq!(bench.push(83, 4), Arrival::InOrder);
        assert_eq!(bench.left(), [4]);
    }

    #[test]
    fn two_gaps_are_each_waited_for_in_their_own_time() {
        let mut bench = Bench::default();
        bench.push(0, 1);
        bench.push(10, 3);
        bench.push(30, 5);
        bench.wait_until(50);
        assert_eq!(bench.left(), [1, -1, 3]);
        assert_eq!(bench.reorder.poll_timeout(), Some(Moment::from_millis(70)));
        bench.wait_until(70);
        assert_eq!(bench.left(), [-1, 5]);
    }

    #[test]
    fn a_held_packet_that_comes_again_is_a_duplicate() {
        let mut bench = Bench::default();
        bench.push(0, 1);
        bench.push(0, 3);
        assert_eq!(bench.push(0, 3), Arrival::Duplicate);
        assert_eq!(bench.push(0, 1), Arrival::Duplicate);
    }

    #[test]
    fn more_than_ten_packets_are_never_waited_for() {
        let mut bench = Bench::default();
        bench.push(0, 1);
        bench.push(0, 4);
        assert_eq!(bench.push(0, 13), Arrival::InOrder);
        assert_eq!(bench.left(), [1, -2, 4, -8, 13]);
        assert_eq!(bench.reorder.poll_timeout(), None);
    }

    #[test]
    fn a_stray_packet_is_not_followed_but_two_in_a_row_are() {
        let mut bench = Bench::default();
        bench.push(0, 1_000);
        assert_eq!(bench.push(20, 30_000), Arrival::Held);
        assert_eq!(bench.push(40, 1_001), Arrival::InOrder);
        assert_eq!(bench.left(), [1_000, 1_001]);
        assert_eq!(bench.push(60, 500), Arrival::Held);
        assert_eq!(bench.push(80, 501), Arrival::InOrder);
        assert_eq!(bench.push(100, 502), Arrival::InOrder);
        assert_eq!(bench.left(), [i64::MIN, 500, 501, 502]);
    }

    proptest! {
        #[test]
        fn no_packet_is_invented_doubled_or_out_of_order(
            steps in proptest::collection::vec((0u16..40, 0u64..30), 1..200),
            start in any::<u16>(),
        ) {
            let mut bench = Bench::default();
            let (mut now, mut front, mut pushed) = (0, start, Vec::new());
            for (offset, wait) in steps {
                now += wait;
                bench.wait_until(now);
                prop_assert!(bench.reorder.poll_timeout().is_none_or(|due| due > Moment::from_millis(now)));
                let sequence = front.wrapping_add(offset).wrapping_sub(20);
                if pushed.is_empty() { front = sequence; }
                if offset > 20 { front = sequence; }
                pushed.push(sequence);
                bench.push(now, sequence);
                prop_assert!(bench.reorder.held <= usize::from(HELD_MAX));
            }
            bench.wait_until(now + 40);
            prop_assert_eq!(bench.reorder.held, 0);
            let mut due = None;
            for left in bench.left() {
                prop_assert!(left != i64::MIN);
                if left < 0 {
                    due = due.map(|due: u16| due.wrapping_add(left.unsigned_abs() as u16));
                    continue;
                }
                let sequence = left as u16;
                prop_assert!(pushed.contains(&sequence));
                prop_assert_eq!(*due.get_or_insert(sequence), sequence);
                due = Some(sequence.wrapping_add(1));
            }
        }
    }
}
