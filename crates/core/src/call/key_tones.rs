//! Keys that sound one after the other, each followed by silence, as frames in a leg's format.

use std::collections::VecDeque;
use std::time::Duration;

use crate::media::{DtmfTones, MediaFormat, encode_samples};
use crate::vocabulary::{DIAL_DIGITS_MAX, Digit};

/// A queue of sounding keys and pauses.
pub(super) struct KeyTones {
    format: MediaFormat,
    waiting: VecDeque<KeyTone>,
    tones: DtmfTones,
    /// Samples of the first that are still to come, tone and silence.
    left: u64,
    samples: Vec<i16>,
}

/// One key, or a pause without one.
#[derive(Clone, Copy)]
pub(super) struct KeyTone {
    pub(super) digit: Option<Digit>,
    pub(super) tone: Duration,
    pub(super) silence: Duration,
}

impl KeyTones {
    pub(super) fn new(format: MediaFormat) -> Self {
        let tones = DtmfTones::new(format.sample_rate);
        Self { format, waiting: VecDeque::new(), tones, left: 0, samples: Vec::new() }
    }

    /// Queues a key; with [`DIAL_DIGITS_MAX`] waiting, one more is beyond what anybody types and is dropped.
    pub(super) fn push(&mut self, key: KeyTone) {
        if self.waiting.len() < DIAL_DIGITS_MAX {
            self.waiting.push_back(key);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.left == 0 && self.waiting.is_empty()
    }

    /// How long what waits will sound.
    pub(super) fn remaining(&self) -> Duration {
        let waiting: Duration = self.waiting.iter().map(|key| key.tone + key.silence).sum();
        waiting + self.format.duration_of_samples(self.left)
    }

    /// Appends `samples` samples of what comes next, in the format's encoding.
    pub(super) fn write(&mut self, samples: usize, out: &mut Vec<u8>) {
        self.samples.clear();
        for _ in 0..samples {
            if self.left == 0 {
                self.start_next();
            }
            self.left = self.left.saturating_sub(1);
            self.samples.push(self.tones.next_sample());
        }
        encode_samples(self.format, &self.samples, out);
    }

    fn start_next(&mut self) {
        let Some(key) = self.waiting.pop_front() else { return };
        self.left = self.format.samples_in(key.tone + key.silence);
        if let Some(digit) = key.digit {
            self.tones.start(digit, key.tone);
        }
    }
}
