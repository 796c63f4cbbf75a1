//! Where a packet stands in its stream: the index with its rollover counter, and what came before (RFC 3711 §3.3).

/// The packets of one source that were authenticated: the highest index, and which of those below it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReplayWindow {
    highest: u64,
    /// Bit n: the index n below the highest came.
    came: u128,
}

impl ReplayWindow {
    /// A stream of which `index` was the first that came.
    pub(super) const fn beginning(index: u64) -> Self {
        Self { highest: index, came: 1 }
    }

    /// The index of an RTP packet by its sequence number (RFC 3711 §3.3.1): the nearest one. `None` before zero.
    pub(super) fn index_of(&self, sequence: u16) -> Option<u64> {
        nearest(self.highest, sequence)
    }

    /// Whether the index may be taken: it did not come yet, and is not too old to know.
    pub(super) fn admits(&self, index: u64) -> bool {
        let Some(below) = self.highest.checked_sub(index) else { return true };
        below < WINDOW && self.came >> below & 1 == 0
    }

    /// Takes note of an authenticated packet.
    pub(super) fn accept(&mut self, index: u64) {
        match index.checked_sub(self.highest) {
            Some(ahead) => {
                let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
                self.came = self.came.checked_shl(shift).unwrap_or(0) | 1;
                self.highest = index;
            }
            None => self.came |= 1u128.checked_shl((self.highest - index) as u32).unwrap_or(0),
        }
    }
}

/// The index nearest to `highest` that ends in `sequence`; `None` when it would lie before zero or beyond 48 bits.
pub(super) fn nearest(highest: u64, sequence: u16) -> Option<u64> {
    let ahead = sequence.wrapping_sub(highest as u16) as i16;
    highest.checked_add_signed(i64::from(ahead)).filter(|index| *index < 1 << 48)
}

/// Packets below the highest of which we know whether they came (RFC 3711 §3.3.2 asks for 64).
const WINDOW: u64 = u128::BITS as u64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_rollover_counter_rises_at_the_wrap_and_late_packets_belong_before_it() {
        let mut window = ReplayWindow::beginning(65_533);
        for (sequence, index) in [(65_534, 65_534), (1, 65_537), (65_535, 65_535), (0, 65_536), (2, 65_538)] {
            assert_eq!(window.index_of(sequence), Some(index));
            assert!(window.admits(index));
            window.accept(index);
            assert!(!window.admits(index), "{sequence} came twice");
        }
        assert_eq!(ReplayWindow::beginning(5).index_of(65_000), None, "before the beginning");
    }

    #[test]
    fn what_is_too_old_to_know_is_not_taken() {
        let mut window = ReplayWindow::beginning(1_000);
        assert!(window.admits(1_000 - 127));
        assert!(!window.admits(1_000 - 128));
        window.accept(100_000);
        assert!(window.admits(99_999) && !window.admits(1_000));
    }

    proptest! {
        #[test]
        fn nothing_is_taken_twice_and_everything_within_the_window_once(
            moves in proptest::collection::vec(-200i64..200, 1..400)
        ) {
            let mut window = ReplayWindow::beginning(70_000);
            let mut taken = std::collections::HashSet::from([70_000u64]);
            let mut highest = 70_000u64;
            for step in moves {
                let index = highest.saturating_add_signed(step);
                prop_assert_eq!(window.index_of(index as u16), Some(index));
                let fresh = index > highest || (highest - index < 128 && !taken.contains(&index));
                prop_assert_eq!(window.admits(index), fresh);
                if fresh {
                    window.accept(index);
                    taken.insert(index);
                    highest = highest.max(index);
                }
            }
        }
    }
}
