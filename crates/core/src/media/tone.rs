//! A sine, for the `tone` bot, for comfort and for measurements.

/// A steady tone whose phase goes on from frame to frame.
#[derive(Debug, Clone)]
pub struct SineTone {
    /// Turns per sample, and turns so far (0 to 1).
    step: f64,
    phase: f64,
    amplitude: f64,
}

impl SineTone {
    /// A tone of `frequency` Hz with a peak of `amplitude` on the 16-bit scale.
    pub fn new(sample_rate: u32, frequency: f64, amplitude: i16) -> Self {
        let step = frequency / f64::from(sample_rate.max(1));
        Self { step, phase: 0.0, amplitude: f64::from(amplitude) }
    }

    /// Overwrites `samples` with the next stretch of the tone.
    pub fn fill(&mut self, samples: &mut [i16]) {
        samples.fill_with(|| self.next_value().round() as i16);
    }

    /// The next value, unrounded.
    pub(super) fn next_value(&mut self) -> f64 {
        let value = self.amplitude * (self.phase * std::f64::consts::TAU).sin();
        self.phase = (self.phase + self.step).fract();
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kilohertz_at_eight_kilohertz_has_eight_samples_a_turn() {
        let mut tone = SineTone::new(8_000, 1_000.0, 10_000);
        let mut samples = [0; 10];
        tone.fill(&mut samples);
        assert_eq!(samples, [0, 7_071, 10_000, 7_071, 0, -7_071, -10_000, -7_071, 0, 7_071]);
    }

    #[test]
    fn frames_join_without_a_seam() {
        let mut whole = [0; 320];
        SineTone::new(8_000, 441.0, 12_000).fill(&mut whole);
        let mut tone = SineTone::new(8_000, 441.0, 12_000);
        let mut pieces = [0; 320];
        pieces.chunks_mut(7).for_each(|piece| tone.fill(piece));
        assert_eq!(pieces, whole);
    }
}
