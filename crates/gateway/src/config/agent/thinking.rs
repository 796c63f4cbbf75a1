//! The soft sound that a caller hears while a tool takes long: two quiet notes and a pause, made here.

use std::f32::consts::TAU;
use std::sync::{Arc, LazyLock};

/// One round of it, linear 16-bit samples at 8 kHz.
pub(super) fn clip() -> Arc<[i16]> {
    static CLIP: LazyLock<Arc<[i16]>> = LazyLock::new(|| (0..ROUND).map(sample).collect());
    CLIP.clone()
}

fn sample(at: usize) -> i16 {
    let note = |from: usize, hertz: f32| {
        let since = at.checked_sub(from).filter(|since| *since < NOTE)? as f32;
        let length = NOTE as f32;
        // It swells and fades, so that nothing clicks.
        let envelope = (TAU * since / length / 2.0).sin().powi(2);
        Some((TAU * hertz * since / RATE).sin() * envelope * LOUDNESS)
    };
    note(0, 523.0).or_else(|| note(NOTE, 659.0)).unwrap_or_default() as i16
}

const RATE: f32 = 8_000.0;
/// Samples of one note.
const NOTE: usize = 1_600;
/// Samples of notes and pause.
const ROUND: usize = 12_800;
/// A quiet voice is five times as loud.
const LOUDNESS: f32 = 1_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sound_is_soft_ends_in_silence_and_does_not_click() {
        let clip = clip();
        assert_eq!(clip.len(), ROUND);
        assert!(clip.iter().all(|sample| sample.unsigned_abs() <= 1_000));
        assert!(clip[2 * NOTE..].iter().all(|sample| *sample == 0));
        assert!(clip.windows(2).all(|two| two[0].abs_diff(two[1]) < 600));
        assert!(clip.iter().any(|sample| sample.unsigned_abs() > 800));
    }
}
