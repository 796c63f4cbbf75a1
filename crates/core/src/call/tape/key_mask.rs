//! Finds the keys that sound in the caller's audio, so that a recording does not keep them.

use std::time::Duration;

use crate::media::{DtmfDetector, Resampler};

/// Listens for keys.
#[derive(Debug)]
pub(super) struct KeyMask {
    detector: DtmfDetector,
    /// To the detector's rate, where the tape has another.
    resampler: Option<Resampler>,
    resampled: Vec<i16>,
}

impl KeyMask {
    /// Within this time of its beginning a key is known for one; so much before it is erased as well.
    pub(super) const FOUND_WITHIN: Duration = Duration::from_millis(80);

    pub(super) fn new(sample_rate: u32) -> Self {
        let resampler = Resampler::new(sample_rate, DETECTOR_RATE).filter(|_| sample_rate != DETECTOR_RATE);
        Self { detector: DtmfDetector::new(), resampler, resampled: Vec::new() }
    }

    /// Listens on; says whether a key sounds, or sounded, in these samples.
    pub(super) fn hear(&mut self, samples: &[i16]) -> bool {
        let samples = match &mut self.resampler {
            None => samples,
            Some(resampler) => {
                self.resampled.clear();
                resampler.process(samples, &mut self.resampled);
                &self.resampled
            }
        };
        let mut sounds = self.detector.is_sounding();
        self.detector.listen(samples, &mut |_| sounds = true);
        sounds || self.detector.is_sounding()
    }
}

const DETECTOR_RATE: u32 = 8_000;
