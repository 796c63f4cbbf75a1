//! Hears steady tones and tells their frequency: dial tones, the `tone` bot, test signals.

use std::time::Duration;

/// Follows a stream of linear frames at 8 kHz.
#[derive(Debug, Default)]
pub struct ToneFinder {
    /// The tone that sounds and for how long it has.
    sounding: Option<(f64, Duration)>,
}

impl ToneFinder {
    /// Hears a frame of `length`; tells a tone's frequency in Hz once, when it has sounded for [`TONE_MIN`].
    pub fn frame(&mut self, samples: &[i16], length: Duration) -> Option<u32> {
        let Some(hertz) = frequency(samples) else {
            self.sounding = None;
            return None;
        };
        let before = match self.sounding {
            Some((earlier, sounded)) if (earlier - hertz).abs() <= DRIFT_MAX_HZ => sounded,
            Some(_) | None => Duration::ZERO,
        };
        let sounded = before + length;
        self.sounding = Some((hertz, sounded));
        (before < TONE_MIN && sounded >= TONE_MIN).then(|| hertz.round() as u32)
    }
}

/// The frequency of a single sine; `None` for anything else.
///
/// Each sample of a sine is the mean of its neighbours divided by the cosine of the angle between samples: the
/// best-fitting cosine gives the frequency, and how well it fits tells a sine from everything else.
fn frequency(samples: &[i16]) -> Option<f64> {
    let (mut products, mut squares, mut neighbours) = (0.0, 0.0, 0.0);
    for three in samples.windows(3) {
        let &[left, middle, right] = three else { continue };
        let (middle, sum) = (f64::from(middle), f64::from(left) + f64::from(right));
        products += middle * sum;
        squares += middle * middle;
        neighbours += sum * sum;
    }
    if squares < LOUDNESS_MIN * samples.len() as f64 {
        return None;
    }
    let twice_cosine = products / squares;
    let unexplained = neighbours - twice_cosine * products;
    let is_sine = twice_cosine.abs() < 2.0 && unexplained < UNEXPLAINED_MAX * squares;
    is_sine.then(|| (twice_cosine / 2.0).acos() / std::f64::consts::TAU * 8_000.0)
}

/// A tone sounds at least this long.
pub const TONE_MIN: Duration = Duration::from_millis(200);

/// What a steady tone may differ from one frame to the next.
const DRIFT_MAX_HZ: f64 = 10.0;

/// Mean square of the quietest tone: -40 dBFS.
const LOUDNESS_MIN: f64 = 53_687.0;

/// What may be left of a sine beside its best fit: G.711 leaves a thousandth.
const UNEXPLAINED_MAX: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::media::SineTone;
    use patchcord_core::media::g711::Law;

    const FRAME: Duration = Duration::from_millis(20);

    fn hear(finder: &mut ToneFinder, mut source: impl FnMut(&mut [i16]), frames: usize) -> Vec<u32> {
        let mut frame = [0; 160];
        let mut tones = Vec::new();
        for _ in 0..frames {
            source(&mut frame);
            frame.iter_mut().for_each(|s| *s = Law::Mu.decode_sample(Law::Mu.encode_sample(*s)));
            tones.extend(finder.frame(&frame, FRAME));
        }
        tones
    }

    #[test]
    fn a_tone_is_told_once_with_its_frequency_also_after_coding() {
        for hertz in [350.0, 440.0, 1_000.0, 2_100.0, 3_000.0] {
            let mut tone = SineTone::new(8_000, hertz, 8_000);
            let heard = hear(&mut ToneFinder::default(), |frame| tone.fill(frame), 50);
            assert_eq!(heard.len(), 1, "{hertz}");
            assert!((f64::from(heard[0]) - hertz).abs() <= 5.0, "{hertz}: {heard:?}");
        }
    }

    #[test]
    fn a_tone_that_returns_is_told_again_and_another_one_too() {
        let mut finder = ToneFinder::default();
        let mut tone = SineTone::new(8_000, 1_000.0, 8_000);
        let mut other = SineTone::new(8_000, 2_000.0, 8_000);
        assert_eq!(hear(&mut finder, |frame| tone.fill(frame), 20).len(), 1);
        assert_eq!(hear(&mut finder, |frame| frame.fill(0), 5).len(), 0);
        assert_eq!(hear(&mut finder, |frame| tone.fill(frame), 20).len(), 1);
        assert_eq!(hear(&mut finder, |frame| other.fill(frame), 20).len(), 1);
    }

    #[test]
    fn two_tones_at_once_noise_and_silence_are_no_tone() {
        let mut finder = ToneFinder::default();
        let (mut low, mut high) = (SineTone::new(8_000, 770.0, 6_000), SineTone::new(8_000, 1_336.0, 6_000));
        let pair = |frame: &mut [i16]| {
            let mut second = [0; 160];
            low.fill(frame);
            high.fill(&mut second);
            frame.iter_mut().zip(second).for_each(|(one, two)| *one += two);
        };
        assert_eq!(hear(&mut finder, pair, 50), [0_u32; 0]);
        let mut seed = 1u32;
        let noise = |frame: &mut [i16]| {
            for sample in frame {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = ((seed >> 16) as u16 as i16) / 4;
            }
        };
        assert_eq!(hear(&mut finder, noise, 50), [0_u32; 0]);
        assert_eq!(hear(&mut finder, |frame| frame.fill(0), 50), [0_u32; 0]);
    }
}
