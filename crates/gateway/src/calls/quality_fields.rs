//! How a call sounded, as it stands in its record: times in milliseconds, shares from 0 to 1, scores to a tenth.

use std::time::Duration;

use patchcord_core::vocabulary::{Counters, FromPhone, Quality, Range, ResponseTimes, ToPhone};
use serde::Serialize;

/// The object `quality` of a record.
#[derive(Debug, Serialize)]
pub struct QualityFields {
    audio: Option<&'static str>,
    from_phone: Option<FromPhoneFields>,
    to_phone: Option<ToPhoneFields>,
    playout: PlayoutFields,
    bot_response_ms: Option<ResponseFields>,
    unanswered_turns: u64,
}

#[derive(Debug, Serialize)]
struct FromPhoneFields {
    #[serde(flatten)]
    packets: Option<PacketFields>,
    jitter_ms: Option<RangeFields>,
    longest_gap_ms: f64,
    concealed_ms: f64,
    comfort_silence_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mos: Option<f64>,
}

#[derive(Debug, Serialize)]
struct PacketFields {
    expected: u64,
    received: u64,
    lost: u64,
    loss: f64,
    late: u64,
    duplicate: u64,
}

#[derive(Debug, Serialize)]
struct ToPhoneFields {
    reports: u64,
    loss: Option<f64>,
    jitter_ms: Option<RangeFields>,
    round_trip_ms: Option<RoundTripFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_buffer_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_mos: Option<f64>,
    mos: Option<f64>,
}

#[derive(Debug, Serialize)]
struct RangeFields {
    mean: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct RoundTripFields {
    last: f64,
    mean: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct PlayoutFields {
    depth_ms: Option<RangeFields>,
    underruns: u64,
    trimmed_ms: u64,
    marks_played: u64,
    marks_cleared: u64,
    clears: u64,
}

#[derive(Debug, Serialize)]
struct ResponseFields {
    count: u64,
    min: f64,
    mean: f64,
    p50: f64,
    p95: f64,
    max: f64,
}

impl QualityFields {
    /// The fields of a call; `counters` are those of the same call.
    pub fn of(quality: &Quality, counters: &Counters) -> Self {
        Self {
            audio: quality.audio.map(|verdict| verdict.word()),
            from_phone: quality.from_phone.as_ref().map(from_phone),
            to_phone: quality.to_phone.as_ref().map(to_phone),
            playout: PlayoutFields {
                depth_ms: quality.playout.depth.map(range),
                underruns: quality.playout.underruns,
                trimmed_ms: counters.trimmed_ms,
                marks_played: counters.marks_played,
                marks_cleared: counters.marks_cleared,
                clears: counters.clears,
            },
            bot_response_ms: response(&quality.response),
            unanswered_turns: quality.response.unanswered,
        }
    }
}

fn from_phone(figures: &FromPhone) -> FromPhoneFields {
    FromPhoneFields {
        packets: figures.packets.map(|packets| PacketFields {
            expected: packets.expected,
            received: packets.received,
            lost: packets.lost,
            loss: share(packets.loss()),
            late: packets.late,
            duplicate: packets.duplicate,
        }),
        jitter_ms: figures.jitter.map(range),
        longest_gap_ms: ms(figures.longest_gap),
        concealed_ms: ms(figures.concealed),
        comfort_silence_ms: ms(figures.comfort_silence),
        mos: figures.mos,
    }
}

fn to_phone(figures: &ToPhone) -> ToPhoneFields {
    ToPhoneFields {
        reports: figures.reports,
        loss: figures.loss.map(share),
        jitter_ms: figures.jitter.map(range),
        round_trip_ms: figures.round_trip.zip(figures.last_round_trip).map(|(range, last)| RoundTripFields {
            last: ms(last),
            mean: ms(range.mean),
            max: ms(range.max),
        }),
        discarded: figures.discarded.map(share),
        jitter_buffer_ms: figures.jitter_buffer.map(ms),
        phone_mos: figures.listening_score,
        mos: figures.mos,
    }
}

fn response(times: &ResponseTimes) -> Option<ResponseFields> {
    let (min, max) = times.extremes?;
    Some(ResponseFields {
        count: times.count,
        min: ms(min),
        mean: ms(times.mean),
        p50: ms(times.percentile(0.5)?),
        p95: ms(times.percentile(0.95)?),
        max: ms(max),
    })
}

fn range(range: Range) -> RangeFields {
    RangeFields { mean: ms(range.mean), max: ms(range.max) }
}

/// Milliseconds to a tenth.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A share to a hundredth of a per cent.
fn share(share: f64) -> f64 {
    (share * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::vocabulary::{AudioVerdict, PacketFigures, PlayoutFigures};
    use serde_json::json;

    fn fields(quality: &Quality) -> serde_json::Value {
        let counters = Counters { clears: 1, marks_played: 2, ..Counters::default() };
        serde_json::to_value(QualityFields::of(quality, &counters)).unwrap()
    }

    #[test]
    fn a_call_in_which_nothing_was_measured_has_every_object_and_no_figure() {
        assert_eq!(
            fields(&Quality::default()),
            json!({
                "audio": null, "from_phone": null, "to_phone": null, "bot_response_ms": null, "unanswered_turns": 0,
                "playout": {"depth_ms": null, "underruns": 0, "trimmed_ms": 0, "marks_played": 2, "marks_cleared": 0,
                    "clears": 1},
            })
        );
    }

    #[test]
    fn the_figures_stand_in_milliseconds_shares_and_scores() {
        let ms = Duration::from_micros;
        let range = Range { mean: ms(1_234), max: ms(5_678) };
        let quality = Quality {
            audio: Some(AudioVerdict::CallerDeaf),
            from_phone: Some(FromPhone {
                packets: Some(PacketFigures {
                    expected: 300,
                    received: 290,
                    lost: 10,
                    late: 3,
                    duplicate: 1,
                }),
                jitter: Some(range),
                longest_gap: ms(80_000),
                concealed: ms(200_000),
                comfort_silence: Duration::ZERO,
                mos: Some(4.1),
            }),
            to_phone: Some(ToPhone {
                reports: 2,
                loss: Some(0.012_345),
                round_trip: Some(range),
                last_round_trip: Some(ms(2_000)),
                ..ToPhone::default()
            }),
            playout: PlayoutFigures { depth: Some(range), underruns: 3 },
            response: ResponseTimes {
                count: 2,
                kept: vec![ms(500_000), ms(700_000)],
                mean: ms(600_000),
                extremes: Some((ms(500_000), ms(700_000))),
                unanswered: 1,
            },
        };
        let told = fields(&quality);
        assert_eq!(told["audio"], "caller_deaf");
        assert_eq!(
            told["from_phone"],
            json!({
                "expected": 300, "received": 290, "lost": 10, "loss": 0.0333, "late": 3, "duplicate": 1,
                "jitter_ms": {"mean": 1.2, "max": 5.7}, "longest_gap_ms": 80.0, "concealed_ms": 200.0,
                "comfort_silence_ms": 0.0, "mos": 4.1,
            })
        );
        assert_eq!(
            told["to_phone"],
            json!({
                "reports": 2, "loss": 0.0123, "jitter_ms": null, "mos": null,
                "round_trip_ms": {"last": 2.0, "mean": 1.2, "max": 5.7},
            })
        );
        assert_eq!(
            told["bot_response_ms"],
            json!({"count": 2, "min": 500.0, "mean": 600.0, "p50": 500.0, "p95": 700.0, "max": 700.0})
        );
    }
}
