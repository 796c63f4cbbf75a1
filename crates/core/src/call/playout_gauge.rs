//! What the caller is sent, measured frame by frame: how much waits, where the bot's speech has holes, when it speaks.

use std::time::Duration;

use crate::media::{MediaFormat, Pulled, Spread};
use crate::vocabulary::{Moment, PlayoutFigures, Range, UNDERRUN_MAX};

use super::voice::Voice;

/// The gauge of one phone's playout.
#[derive(Debug)]
pub(super) struct PlayoutGauge {
    leg: MediaFormat,
    /// What the caller hears.
    pub(super) voice: Voice,
    /// Until when frames have been heard.
    until: Option<Moment>,
    /// Microseconds that waited, where anything did.
    depth_us: Spread,
    /// Since when speech is cut off.
    dry_since: Option<Moment>,
    underruns: u64,
}

impl PlayoutGauge {
    pub(super) fn new(leg: MediaFormat) -> Self {
        Self {
            leg,
            voice: Voice::new(leg),
            until: None,
            depth_us: Spread::default(),
            dry_since: None,
            underruns: 0,
        }
    }

    /// The phone's format changed.
    pub(super) fn set_leg(&mut self, leg: MediaFormat) {
        self.leg = leg;
        self.voice.set_format(leg);
    }

    /// A frame leaves at `now`; `waiting` bytes had been there for it.
    pub(super) fn pulled(&mut self, frame: &[u8], pulled: Pulled, waiting: usize, now: Moment) {
        let end = now + self.leg.duration_of(frame.len());
        if let Some(until) = self.until.replace(end)
            && now - until >= self.leg.duration_of(frame.len())
        {
            // A leg on demand is quiet between utterances; less is a clock that was late.
            self.voice.skip(self.leg.samples_in(now - until), now);
        }
        if waiting > 0 {
            let rate = u64::from(self.leg.sample_rate.max(1));
            self.depth_us.take(self.leg.samples_of(waiting) * 1_000_000 / rate);
        }
        if pulled.audio_bytes > 0 {
            let dry = self.dry_since.take();
            self.underruns += u64::from(dry.is_some_and(|dry| now - dry < UNDERRUN_MAX));
            self.voice.hear(frame, end);
        } else {
            self.voice.skip(self.leg.samples_of(frame.len()), end);
        }
        if pulled.padded > 0 && self.dry_since.is_none() && self.voice.is_speaking() {
            self.dry_since = Some(now + self.leg.duration_of(pulled.audio_bytes));
        }
    }

    /// Nothing has left up to `now`: a leg on demand is quiet, and tells nobody how long.
    pub(super) fn quiet(&mut self, now: Moment) {
        if let Some(until) = self.until.filter(|until| *until < now) {
            self.voice.skip(self.leg.samples_in(now - until), now);
            self.until = Some(now);
        }
    }

    /// The queue was emptied on purpose: what follows is no hole.
    pub(super) fn cleared(&mut self) {
        self.dry_since = None;
    }

    pub(super) fn figures(&self) -> PlayoutFigures {
        PlayoutFigures { depth: range_of_us(&self.depth_us), underruns: self.underruns }
    }
}

/// Mean and maximum of what was measured in microseconds.
pub(super) fn range_of_us(spread: &Spread) -> Option<Range> {
    let (mean, max) = (spread.mean()?, spread.max()?);
    Some(Range { mean: Duration::from_micros(mean as u64), max: Duration::from_micros(max) })
}

#[cfg(test)]
mod tests {
    use super::super::voice::LOUD;
    use super::*;

    /// Twenty milliseconds a step: `true` where a frame of speech is there.
    fn gauge(steps: impl IntoIterator<Item = bool>) -> PlayoutGauge {
        let mut gauge = PlayoutGauge::new(MediaFormat::PCMU_8K);
        for (step, speaks) in steps.into_iter().enumerate() {
            let now = Moment::from_millis(20 * step as u64);
            let (frame, audio_bytes) = if speaks { (LOUD, 160) } else { ([0xFF; 160], 0) };
            let pulled = Pulled { audio_bytes, padded: 160 - audio_bytes };
            gauge.pulled(&frame, pulled, audio_bytes * 2, now);
        }
        gauge
    }

    fn steps(lengths: &[(bool, usize)]) -> Vec<bool> {
        lengths.iter().flat_map(|(speaks, count)| std::iter::repeat_n(*speaks, *count)).collect()
    }

    #[test]
    fn a_hole_in_the_midst_of_speech_is_an_underrun_and_a_pause_is_none() {
        let holes = steps(&[(false, 10), (true, 50), (false, 3), (true, 20), (false, 14), (true, 20)]);
        assert_eq!(gauge(holes).figures().underruns, 2);
        let pauses = steps(&[(true, 50), (false, 16), (true, 20), (false, 100), (true, 5)]);
        assert_eq!(gauge(pauses).figures().underruns, 0);
    }

    #[test]
    fn the_depth_is_taken_where_anything_waits() {
        let depth = gauge(steps(&[(false, 10), (true, 50)])).figures().depth.unwrap();
        assert_eq!((depth.mean, depth.max), (Duration::from_millis(40), Duration::from_millis(40)));
        assert_eq!(gauge(steps(&[(false, 10)])).figures().depth, None);
    }
}
