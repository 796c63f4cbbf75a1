//! How a call sounds by its figures: the E-model of ITU-T G.107, simplified to delay, codec and loss.
//!
//! R = 93.2 − Id − Ie,eff on the narrowband scale; echo, noise and loudness are taken to be those of the default
//! telephone. An estimate to compare calls by, not a measurement of what anybody heard.

use std::time::Duration;

use super::line_codec::LineCodec;

/// How a codec bears loss (ITU-T G.113 Appendix I): its impairment without any, and its robustness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Ie.
    pub equipment: f64,
    /// Bpl, with concealment.
    pub robustness: f64,
}

impl Impairment {
    /// Of that codec.
    pub const fn of(codec: LineCodec) -> Self {
        match codec {
            LineCodec::Pcmu | LineCodec::Pcma => Self { equipment: 0.0, robustness: 25.1 },
            // The appendix has no values for these on the narrowband scale: assumptions, to compare calls by.
            LineCodec::G722 => Self { equipment: 0.0, robustness: 10.0 },
            LineCodec::Opus => Self { equipment: 0.0, robustness: 20.0 },
        }
    }
}

/// The rating R, 0 to 93.2, of a path with that loss (0 to 1, at random) and mouth-to-ear delay.
pub fn rating(impairment: Impairment, loss: f64, delay: Duration) -> f64 {
    let delay_ms = delay.as_secs_f64() * 1_000.0;
    // G.107's Id in the form of Cole and Rosenbluth: little up to 177.3 ms, steeply more behind it.
    let delayed = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let lost = (95.0 - impairment.equipment) * percent / (percent + impairment.robustness);
    (93.2 - delayed - impairment.equipment - lost).clamp(0.0, 93.2)
}

/// The mean opinion score of a rating, 1.0 to 4.4 (G.107 Annex B), rounded to a tenth.
pub fn mean_opinion_score(rating: f64) -> f64 {
    let r = rating.clamp(0.0, 100.0);
    let score = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7.0e-6;
    // The curve dips below 1 for the worst.
    (score.max(1.0) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(loss: f64, delay_ms: u64) -> f64 {
        let impairment = Impairment::of(LineCodec::Pcmu);
        mean_opinion_score(rating(impairment, loss, Duration::from_millis(delay_ms)))
    }

    #[test]
    fn a_perfect_path_scores_as_g_107_says_and_each_impairment_costs() {
        assert_eq!(score(0.0, 0), 4.4);
        assert_eq!(score(0.0, 150), 4.3);
        // One per cent of loss costs G.711 with concealment 3.6 points of R, five 15.8.
        let of = |loss| rating(Impairment::of(LineCodec::Pcma), loss, Duration::ZERO);
        assert!((93.2 - of(0.01) - 3.64).abs() < 0.01 && (93.2 - of(0.05) - 15.78).abs() < 0.01);
        assert_eq!(score(0.05, 0), 3.9);
        assert!(score(0.0, 400) < 3.7);
    }

    #[test]
    fn no_figures_lead_outside_the_scale() {
        for loss in [-1.0, 0.0, 0.5, 1.0, 2.0] {
            for delay in [0, 1_000, 100_000_000] {
                assert!((1.0..=4.5).contains(&score(loss, delay)), "{loss} {delay}");
            }
        }
        assert!(score(1.0, 0) < 1.6);
    }
}
