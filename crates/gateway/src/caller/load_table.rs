//! A load run's report for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::call_table::phrase_of;
use super::histogram::Histogram;
use super::load::LoadReport;
use super::process_figures::{MachineFigures, ProcessFigures};

/// What a process and its machine did while frames were counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Before the first call.
    pub idle: ProcessFigures,
    /// At the beginning of the window.
    pub begin: ProcessFigures,
    /// At its end.
    pub end: ProcessFigures,
    /// The machine at the beginning of the window.
    pub machine_begin: MachineFigures,
    /// And at its end.
    pub machine_end: MachineFigures,
}

/// The figures that are derived from a run.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Processor seconds (user and system) per 1000 seconds of call; calls per core are 1000 divided by it.
    pub processor_per_1000: f64,
    /// Of these, the kernel's share (0 to 1).
    pub kernel_share: f64,
    /// Memory per call in kB: what came on top of the idle process.
    pub rss_kb_per_call: f64,
    /// Waits and interruptions of its threads per second of call.
    pub switches_per_call_second: f64,
}

impl Cost {
    /// What the calls of a run cost the process.
    pub fn of(usage: &Usage, report: &LoadReport) -> Self {
        let calls = f64::from(report.held.max(1));
        let call_seconds = (calls * report.window.as_secs_f64()).max(f64::MIN_POSITIVE);
        let user = usage.end.user.saturating_sub(usage.begin.user).as_secs_f64();
        let system = usage.end.system.saturating_sub(usage.begin.system).as_secs_f64();
        let switches = usage.end.switches.saturating_sub(usage.begin.switches);
        Self {
            processor_per_1000: (user + system) / call_seconds * 1_000.0,
            kernel_share: system / (user + system).max(f64::MIN_POSITIVE),
            rss_kb_per_call: usage.end.rss_kb.saturating_sub(usage.idle.rss_kb) as f64 / calls,
            switches_per_call_second: switches as f64 / call_seconds,
        }
    }
}

/// Why the figures of a run are not to be trusted; empty when the machine left it alone.
pub fn disturbances(usage: &Usage, report: &LoadReport) -> Vec<String> {
    let mut found = Vec::new();
    let late = report.lateness.quantile(0.99).unwrap_or_default();
    if late > LATE_MAX {
        found.push(format!(
            "the meter itself was late: 1 % of its frames left {} ms late or more",
            late.as_millis()
        ));
    }
    if report.skipped > 0 {
        found.push(format!("the machine stood still: {} frames were never sent", report.skipped));
    }
    let stolen = usage.machine_end.stolen_since(&usage.machine_begin);
    if stolen > STOLEN_MAX {
        found.push(format!("the host took {:.1} % of the processors for others", stolen * 100.0));
    }
    let busy = usage.machine_end.busy_since(&usage.machine_begin);
    if busy > BUSY_MAX {
        found.push(format!(
            "the processors were {:.0} % busy: latency is that of waiting for one",
            busy * 100.0
        ));
    }
    found
}

/// The figures, one subject a line.
pub fn as_text(dialect: &str, usage: &Usage, report: &LoadReport) -> String {
    let (cost, frames, reception) = (Cost::of(usage, report), &report.frames, &report.reception);
    let mut text = String::new();
    let mut line = |name: &str, what: String| {
        let _infallible = writeln!(text, "{name:<10}{what}");
    };
    let window = report.window.as_secs_f64();
    let failed = match (report.failed, report.first_failure) {
        (0, _) => String::new(),
        (failed, Some(ending)) => format!(", {failed} failed ({})", phrase_of(ending)),
        (failed, None) => format!(", {failed} failed"),
    };
    line("calls", format!("{} of {} through {dialect} for {window:.1} s{failed}", report.held, report.calls));
    line(
        "processor",
        format!(
            "{:.2} s per 1000 call-seconds ({:.0} % of it kernel), {:.0} switches per call-second",
            cost.processor_per_1000,
            cost.kernel_share * 100.0,
            cost.switches_per_call_second
        ),
    );
    line(
        "memory",
        format!(
            "{:.0} kB per call (idle {} kB, under load {} kB), {} threads",
            cost.rss_kb_per_call, usage.idle.rss_kb, usage.end.rss_kb, usage.end.threads
        ),
    );
    line("latency", format!("{} ms there and back", spread(&frames.latency)));
    line(
        "frames",
        format!(
            "{} sent, {} heard, {} lost, {} doubled, {} damaged, {} foreign, {} overtaken; \
             silence put in {} times, {} times something taken out",
            frames.sent,
            frames.heard,
            frames.lost(),
            frames.doubled,
            frames.damaged,
            frames.foreign,
            frames.overtaken,
            frames.stretched,
            frames.squeezed
        ),
    );
    line(
        "rtp",
        format!(
            "{} packets, {} missing, {} late, {} doubled, jitter {:.1} ms, {} gaps, longest {} ms",
            reception.received,
            reception.missing,
            reception.late,
            reception.doubled,
            reception.jitter.as_secs_f64() * 1_000.0,
            reception.gaps,
            reception.longest_gap.as_millis()
        ),
    );
    line(
        "set-up",
        format!("{} ms; first audio {} ms later", spread(&report.set_up), spread(&report.first_audio)),
    );
    for disturbance in disturbances(usage, report) {
        line("DISTURBED", disturbance);
    }
    text
}

/// The same as JSON: times in milliseconds.
pub fn as_json(dialect: &str, usage: &Usage, report: &LoadReport) -> Value {
    let (cost, frames, reception) = (Cost::of(usage, report), &report.frames, &report.reception);
    json!({
        "dialect": dialect,
        "calls": report.calls,
        "held": report.held,
        "failed": report.failed,
        "first_failure": report.first_failure.map(phrase_of),
        "window_s": report.window.as_secs_f64(),
        "cpu_s_per_1000_call_s": cost.processor_per_1000,
        "cpu_kernel_share": cost.kernel_share,
        "switches_per_call_s": cost.switches_per_call_second,
        "rss_kb_per_call": cost.rss_kb_per_call,
        "rss_idle_kb": usage.idle.rss_kb,
        "rss_kb": usage.end.rss_kb,
        "threads": usage.end.threads,
        "latency_ms": spread_json(&frames.latency),
        "frames": {
            "sent": frames.sent,
            "heard": frames.heard,
            "lost": frames.lost(),
            "doubled": frames.doubled,
            "damaged": frames.damaged,
            "foreign": frames.foreign,
            "overtaken": frames.overtaken,
            "stretched": frames.stretched,
            "squeezed": frames.squeezed,
        },
        "rtp": {
            "packets": reception.received,
            "missing": reception.missing,
            "late": reception.late,
            "doubled": reception.doubled,
            "restarts": reception.restarts,
            "jitter_ms": millis(reception.jitter),
            "deviation_ms": spread_json(&reception.deviation),
            "gaps": reception.gaps,
            "longest_gap_ms": millis(reception.longest_gap),
        },
        "set_up_ms": spread_json(&report.set_up),
        "first_audio_ms": spread_json(&report.first_audio),
        "meter_late_ms": spread_json(&report.lateness),
        "machine_busy": usage.machine_end.busy_since(&usage.machine_begin),
        "machine_stolen": usage.machine_end.stolen_since(&usage.machine_begin),
        "disturbed": disturbances(usage, report),
    })
}

/// `min 1.0, p50 2.0, p95 3.0, p99 4.0, max 5.0`.
fn spread(histogram: &Histogram) -> String {
    let shown = SHARES.iter().filter_map(|(name, share)| {
        Some(format!("{name} {:.1}", value(histogram, *share)?.as_secs_f64() * 1_000.0))
    });
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

fn spread_json(histogram: &Histogram) -> Value {
    SHARES
        .iter()
        .map(|(name, share)| ((*name).to_owned(), json!(value(histogram, *share).map(millis))))
        .collect()
}

fn value(histogram: &Histogram, share: f64) -> Option<Duration> {
    if share == 0.0 { histogram.min() } else { histogram.quantile(share) }
}

/// To a hundredth of a millisecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

const SHARES: &[(&str, f64)] = &[("min", 0.0), ("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// Beyond these a run should be repeated on a quieter machine.
const LATE_MAX: Duration = Duration::from_millis(5);
const STOLEN_MAX: f64 = 0.01;
const BUSY_MAX: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::frame_meter::FrameTally;

    fn run() -> (Usage, LoadReport) {
        let figures = |ms, rss_kb| ProcessFigures {
            user: Duration::from_millis(ms),
            system: Duration::from_millis(ms * 3),
            rss_kb,
            threads: 4,
            switches: ms,
        };
        let usage = Usage {
            idle: figures(10, 20_000),
            begin: figures(100, 29_000),
            end: figures(600, 30_000),
            ..Usage::default()
        };
        let frames = FrameTally { sent: 100_000, heard: 99_900, ..FrameTally::default() };
        let window = Duration::from_secs(10);
        (usage, LoadReport { calls: 100, held: 100, window, frames, ..LoadReport::default() })
    }

    #[test]
    fn the_cost_is_told_per_call_and_per_thousand_seconds_of_call() {
        let (usage, report) = run();
        let cost = Cost::of(&usage, &report);
        assert!((cost.processor_per_1000 - 2.0).abs() < 1e-9);
        assert!((cost.kernel_share - 0.75).abs() < 1e-9);
        assert!((cost.rss_kb_per_call - 100.0).abs() < 1e-9);
        let text = as_text("ivr-solutions", &usage, &report);
        assert!(text.contains("processor 2.00 s per 1000 call-seconds (75 % of it kernel)"), "{text}");
        assert!(text.contains("frames    100000 sent, 99900 heard, 100 lost"), "{text}");
        let json = as_json("ivr-solutions", &usage, &report);
        assert_eq!((&json["frames"]["lost"], &json["disturbed"]), (&json!(100), &json!([])));
    }

    #[test]
    fn a_run_that_the_machine_disturbed_says_so() {
        let (usage, mut report) = run();
        (0..100).for_each(|_| report.lateness.add(Duration::from_millis(9)));
        report.skipped = 3;
        let text = as_text("ivr-solutions", &usage, &report);
        assert_eq!(text.matches("DISTURBED").count(), 2, "{text}");
    }

    #[test]
    fn a_run_without_a_single_call_has_figures_too() {
        let report = LoadReport { calls: 5, failed: 5, ..LoadReport::default() };
        let text = as_text("ivr-solutions", &Usage::default(), &report);
        assert!(text.contains("calls     0 of 5") && text.contains("latency   none"), "{text}");
    }
}
