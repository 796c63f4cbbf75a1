//! A link that loses, doubles, delays and reorders packets by a seed: the same seed does the same again.
//!
//! Sans-IO: packets go in with the moment they were sent and come out when they arrive. No socket, no randomness
//! of the system.

use std::time::Duration;

use patchcord_core::vocabulary::Moment;

/// What a link does to packets; chances are out of 1 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkFaults {
    /// Packets that never arrive, or with which a row of such packets begins.
    pub lost_permille: u32,
    /// Packets that are lost in a row; none and one are the same.
    pub lost_in_a_row: u32,
    /// Packets that arrive twice.
    pub doubled_permille: u32,
    /// Packets that arrive `late_by` later than others, and so behind those sent meanwhile.
    pub late_permille: u32,
    /// Delay of every packet.
    pub delay: Duration,
    /// Further delay, evenly between zero and this.
    pub jitter: Duration,
    /// Further delay of a late packet, and of the copy of a doubled one.
    pub late_by: Duration,
}

/// One direction of a link with faults.
#[derive(Debug)]
pub struct LossyLink {
    faults: LinkFaults,
    random: SeededRandom,
    /// In flight, in no order: arrival, order of sending, packet.
    flying: Vec<(Moment, u64, Vec<u8>)>,
    sent: u64,
    lost: u64,
    /// Packets still to be lost of a row.
    losing: u32,
}

impl LossyLink {
    /// A link with those faults; the same `seed` gives the same fate to the same packets.
    pub fn new(faults: LinkFaults, seed: u64) -> Self {
        Self { faults, random: SeededRandom::new(seed), flying: Vec::new(), sent: 0, lost: 0, losing: 0 }
    }

    /// Sends a packet.
    pub fn push(&mut self, now: Moment, packet: &[u8]) {
        let (lost, doubled) =
            (self.chance(self.faults.lost_permille), self.chance(self.faults.doubled_permille));
        let late = self.chance(self.faults.late_permille);
        let jitter = self.faults.jitter.mul_f64(f64::from(self.random.below(1_001)) / 1_000.0);
        let arrival = now + self.faults.delay + jitter;
        self.sent += 1;
        if lost && self.losing == 0 {
            self.losing = self.faults.lost_in_a_row.max(1);
        }
        if self.losing > 0 {
            self.losing -= 1;
            self.lost += 1;
            return;
        }
        let late_arrival = arrival + self.faults.late_by;
        self.flying.push((if late { late_arrival } else { arrival }, self.sent, packet.to_vec()));
        if doubled {
            self.flying.push((late_arrival, self.sent, packet.to_vec()));
        }
    }

    /// When the next packet arrives.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.flying.iter().map(|(arrival, ..)| *arrival).min()
    }

    /// Takes a packet that has arrived by `now`, the earliest first.
    pub fn pull(&mut self, now: Moment) -> Option<Vec<u8>> {
        let first = (0..self.flying.len()).min_by_key(|at| (self.flying[*at].0, self.flying[*at].1))?;
        (self.flying[first].0 <= now).then(|| self.flying.swap_remove(first).2)
    }

    /// How many packets were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many of them were lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn chance(&mut self, permille: u32) -> bool {
        self.random.below(1_000) < permille
    }
}

/// A repeatable sequence of numbers (SplitMix64), good enough for faults and test sounds.
#[derive(Debug, Clone)]
pub struct SeededRandom(u64);

impl SeededRandom {
    /// The sequence of that seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(seed: u64) -> (Vec<u16>, u64) {
        let faults = LinkFaults {
            lost_permille: 100,
            lost_in_a_row: 1,
            doubled_permille: 20,
            late_permille: 50,
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(3),
            late_by: Duration::from_millis(45),
        };
        let mut link = LossyLink::new(faults, seed);
        let mut arrived = Vec::new();
        for number in 0..2_000_u16 {
            let now = Moment::from_millis(u64::from(number) * 20);
            link.push(now, &number.to_be_bytes());
            while let Some(packet) = link.pull(now) {
                arrived.push(u16::from_be_bytes([packet[0], packet[1]]));
            }
        }
        while let Some(packet) = link.poll_timeout().and_then(|at| link.pull(at)) {
            arrived.push(u16::from_be_bytes([packet[0], packet[1]]));
        }
        (arrived, link.lost())
    }

    #[test]
    fn a_tenth_is_lost_some_are_doubled_or_late_and_a_seed_does_it_again() {
        let (arrived, lost) = fate(7);
        assert!((140..260).contains(&lost), "{lost} lost");
        let doubled = arrived.len() as u64 + lost - 2_000;
        assert!((15..70).contains(&doubled), "{doubled} doubled");
        assert!(arrived.windows(2).filter(|pair| pair[1] < pair[0]).count() > 40);
        assert_eq!(fate(7), (arrived, lost));
        assert_ne!(fate(8).1, 0);
    }

    #[test]
    fn losses_in_a_row_are_as_many_in_all_and_come_together() {
        let mut link =
            LossyLink::new(LinkFaults { lost_permille: 27, lost_in_a_row: 4, ..LinkFaults::default() }, 3);
        let mut arrived = Vec::new();
        for number in 0..10_000_u16 {
            link.push(Moment::START, &number.to_be_bytes());
            arrived.extend(link.pull(Moment::START).map(|packet| u16::from_be_bytes([packet[0], packet[1]])));
        }
        assert!((800..1_200).contains(&link.lost()), "{} lost", link.lost());
        let gaps: Vec<u16> =
            arrived.windows(2).map(|pair| pair[1] - pair[0] - 1).filter(|gap| *gap > 0).collect();
        assert!(gaps.iter().all(|gap| gap % 4 == 0), "{gaps:?}");
    }

    #[test]
    fn a_link_without_faults_passes_everything_in_order() {
        let mut link =
            LossyLink::new(LinkFaults { delay: Duration::from_millis(10), ..LinkFaults::default() }, 1);
        (0..100_u8).for_each(|number| link.push(Moment::from_millis(1), &[number]));
        assert_eq!(link.pull(Moment::from_millis(10)), None);
        let arrived: Vec<u8> = std::iter::from_fn(|| link.pull(Moment::from_millis(11))).flatten().collect();
        assert_eq!(arrived, (0..100).collect::<Vec<u8>>());
    }
}
