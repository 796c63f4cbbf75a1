//! The loudness curve: the peak of both sides of a call every 20 ms, kept for every call, recorded or not.

use std::time::Duration;

use crate::media::{MediaFormat, loudness, peak};
use crate::vocabulary::Moment;

use super::super::output::Outputs;
use super::Side;

/// The curve of one call, given away in stretches.
#[derive(Debug, Default)]
pub(super) struct Curve {
    began: Option<Moment>,
    /// The cell of the first pair in `levels`.
    first: u64,
    /// Pairs of caller and heard.
    levels: Vec<u8>,
    ends: [End; 2],
}

/// How far one side is written.
#[derive(Debug, Default, Clone, Copy)]
struct End {
    cell: u64,
    /// Samples of a whole cell, those of this one that are there, and their peak.
    whole: u64,
    filled: u64,
    peak: u16,
}

impl Curve {
    /// The curve begins; a second beginning changes nothing.
    pub(super) fn begin(&mut self, now: Moment) {
        self.began.get_or_insert(now);
    }

    /// Takes audio that passes at `now`; gives its peak.
    pub(super) fn add(&mut self, side: Side, format: MediaFormat, audio: &[u8], now: Moment) -> u16 {
        let Some(at) = self.cell_at(now) else { return 0 };
        let Some(mut end) = self.ends.get(side as usize).copied() else { return 0 };
        if end.cell + LATE_CELLS_MAX < at || end.cell > at + 1 {
            end = End { cell: at, ..End::default() };
        }
        let cell = u64::from(format.sample_rate / CELLS_PER_SECOND).max(1);
        if end.whole != cell {
            // Another rate: the part that is there stays the same part.
            end.filled = end.filled * cell / end.whole.max(1);
            end.whole = cell;
        }
        let (mut rest, mut most) = (audio, 0);
        while !rest.is_empty() {
            let wanted =
                usize::try_from(cell.saturating_sub(end.filled)).unwrap_or(0) * format.bytes_per_sample();
            let (now, later) = rest.split_at(wanted.min(rest.len()));
            end.peak = end.peak.max(peak(format, now));
            end.filled += format.samples_of(now.len()).max(1);
            most = most.max(end.peak);
            rest = later;
            if end.filled >= cell {
                self.put(end.cell, side, loudness(end.peak));
                end = End { cell: end.cell + 1, whole: cell, ..End::default() };
            }
        }
        if let Some(kept) = self.ends.get_mut(side as usize) {
            *kept = end;
        }
        most
    }

    /// Gives away what is old enough to be whole.
    pub(super) fn advance(&mut self, now: Moment, outputs: &mut Outputs) {
        while self.cell_at(now).is_some_and(|at| at >= self.first + STRETCH_CELLS + LATE_CELLS_MAX) {
            self.give(STRETCH_CELLS, outputs);
            if self.levels.is_empty() {
                // Nothing was heard for long: what is not told is silence.
                self.first = self.cell_at(now).unwrap_or(self.first);
            }
        }
    }

    /// Gives away what is left.
    pub(super) fn end(&mut self, outputs: &mut Outputs) {
        for side in [Side::Caller, Side::Heard] {
            let end = self.ends.get(side as usize).copied().unwrap_or_default();
            self.put(end.cell, side, loudness(end.peak));
        }
        self.give(HELD_CELLS, outputs);
        *self = Self::default();
    }

    fn give(&mut self, cells: u64, outputs: &mut Outputs) {
        let bytes = usize::try_from(2 * cells).unwrap_or(0).min(self.levels.len());
        if bytes > 0 {
            outputs.loudness(self.first, self.levels.get(..bytes).unwrap_or_default());
            self.levels.drain(..bytes);
        }
        self.first += cells;
    }

    fn put(&mut self, cell: u64, side: Side, level: u8) {
        let Some(at) = cell.checked_sub(self.first).filter(|at| *at < HELD_CELLS) else { return };
        let at = usize::try_from(2 * at).unwrap_or(0);
        if level == 0 && at >= self.levels.len() {
            return;
        }
        if self.levels.len() < at + 2 {
            self.levels.reserve_exact(usize::try_from(2 * HELD_CELLS).unwrap_or(0) - self.levels.len());
            self.levels.resize(at + 2, 0);
        }
        if let Some(kept) = self.levels.get_mut(at + side as usize) {
            *kept = level.max(*kept);
        }
    }

    fn cell_at(&self, now: Moment) -> Option<u64> {
        self.began.map(|began| (now - began).as_nanos() as u64 / CELL.as_nanos() as u64)
    }
}

/// One step of the curve.
pub const CELL: Duration = Duration::from_millis(20);
const CELLS_PER_SECOND: u32 = 50;
/// Ten seconds are given away at once.
const STRETCH_CELLS: u64 = 500;
/// Audio is put behind what came before it if it is no later than this, else where its time is.
const LATE_CELLS_MAX: u64 = 6;
/// What is held at most.
const HELD_CELLS: u64 = STRETCH_CELLS + 50;
