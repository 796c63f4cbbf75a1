//! The tones that a caller hears when the bot is gone (ITU-T E.180: 425 Hz, busy 0.5 s, congestion 0.25 s).

use crate::media::SineTone;

/// Three seconds of the busy tone, linear 16-bit at 8 kHz.
pub(super) fn busy_tone() -> Vec<i16> {
    interrupted_tone(4_000)
}

/// Three seconds of the congestion tone, linear 16-bit at 8 kHz.
pub(super) fn congestion_tone() -> Vec<i16> {
    interrupted_tone(2_000)
}

/// A tone of `samples` on and as many off, for three seconds.
fn interrupted_tone(samples: usize) -> Vec<i16> {
    let mut tone = vec![0; 3 * 8_000];
    let mut sine = SineTone::new(8_000, TONE_HZ, AMPLITUDE);
    tone.chunks_mut(samples).step_by(2).for_each(|sounding| sine.fill(sounding));
    tone
}

const TONE_HZ: f64 = 425.0;
const AMPLITUDE: i16 = 6_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busy_tone_sounds_half_a_second_and_rests_half_a_second() {
        let tone = busy_tone();
        assert_eq!(tone.len(), 24_000);
        assert!(tone[..4_000].iter().any(|sample| *sample > 5_000));
        assert!(tone[4_000..8_000].iter().all(|sample| *sample == 0));
        assert!(congestion_tone()[2_000..4_000].iter().all(|sample| *sample == 0));
    }
}
