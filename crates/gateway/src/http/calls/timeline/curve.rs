//! The loudness of a call in as many points as a picture has room for.

use base64_simd::STANDARD;
use patchcord_core::call::LOUDNESS_STEP;
use serde::Serialize;
use utoipa::ToSchema;

/// The loudness of both sides: peaks, 0 silence, 127 full scale, a decibel a step.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TimelineCurve)]
pub struct CurveView {
    /// Where the first point stands.
    at_ms: u64,
    /// From point to point.
    step_ms: u64,
    /// What the caller said: a byte a point, as base64.
    #[schema(example = "AAAaHh8g")]
    caller: String,
    /// What the caller heard.
    heard: String,
}

impl CurveView {
    /// Pairs of `levels` from `at_ms` on, in at most `points` points: the loudest of those that share one.
    pub(super) fn of(levels: &[u8], at_ms: u64, points: u64) -> Self {
        let steps = levels.len() / 2;
        let shared = steps.div_ceil(usize::try_from(points.max(1)).unwrap_or(usize::MAX)).max(1);
        let side = |side: usize| {
            let peaks = levels
                .chunks(2 * shared)
                .map(|pairs| pairs.iter().skip(side).step_by(2).copied().max().unwrap_or(0));
            STANDARD.encode_to_string(peaks.collect::<Vec<_>>())
        };
        let step_ms = u64::try_from(LOUDNESS_STEP.as_millis()).unwrap_or(0) * shared as u64;
        Self { at_ms, step_ms, caller: side(0), heard: side(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        STANDARD.decode_to_vec(text).unwrap()
    }

    #[test]
    fn a_curve_keeps_its_peaks_in_as_few_points_as_are_wanted() {
        let levels = [1, 10, 2, 20, 9, 30, 4, 0, 5, 50];
        let whole = CurveView::of(&levels, 120, 10);
        assert_eq!((whole.at_ms, whole.step_ms), (120, 20));
        assert_eq!(
            (bytes(&whole.caller), bytes(&whole.heard)),
            (vec![1, 2, 9, 4, 5], vec![10, 20, 30, 0, 50])
        );
        let few = CurveView::of(&levels, 0, 3);
        assert_eq!(
            (few.step_ms, bytes(&few.caller), bytes(&few.heard)),
            (40, vec![2, 9, 5], vec![20, 30, 50])
        );
        let one = CurveView::of(&levels, 0, 1);
        assert_eq!((one.step_ms, bytes(&one.caller)), (100, vec![9]));
        assert_eq!(CurveView::of(&[], 0, 0).caller, "");
    }
}
