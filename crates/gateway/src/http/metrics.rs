//! `/metrics`: the sums of all calls as Prometheus reads them, in base units, with closed sets of labels.
//!
//! Nothing is counted here: calls keep their own counters, and a scrape adds them up.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use patchcord_core::vocabulary::AudioVerdict;
use patchcord_sip::SipCounters;

use super::limits::RequestCounts;
use crate::calls::{
    ConfigApiMeter, Exchange, Histogram, QualityTotals, TrunkReach, TrunkStatus, metric_label,
};
use crate::jobs::{CallbackMeter, ExtractionMeter};
use crate::leavings::LeavingsFigures;
use crate::recording::RecorderFigures;
use crate::store::{COMMIT_BOUNDS_MS, StoreFigures};

/// The whole page.
pub fn render(exchange: &Exchange, sip: &SipCounters, requests: &RequestCounts) -> String {
    let totals = exchange.registry.totals();
    let mut page = Page(String::new());
    page.head("patchcord_calls_active", "gauge", "Calls that are up.");
    page.value("patchcord_calls_active", "", totals.active as f64);
    page.head("patchcord_calls_ended_total", "counter", "Calls that ended, refused ones included, by cause.");
    for (cause, count) in totals.causes() {
        let labels = format!("{{class=\"{}\",reason=\"{}\"}}", cause.class().word(), cause.row().word);
        page.value("patchcord_calls_ended_total", &labels, count as f64);
    }
    page.counter("patchcord_answered_seconds_total", "Time from answer to end.", totals.billable_s as f64);
    for (name, count) in totals.counters.named() {
        match name.strip_suffix("_ms") {
            Some(audio) => page.counter(
                &format!("patchcord_audio_{audio}_seconds_total"),
                "Audio; see the call record.",
                count as f64 / 1_000.0,
            ),
            None => page.counter(&format!("patchcord_{name}_total"), "See the call record.", count as f64),
        }
    }
    page.quality(&totals.quality);
    let records = exchange.records();
    page.counter("patchcord_records_written_total", "Call records on the disk.", records.written() as f64);
    page.counter(
        "patchcord_records_lost_total",
        "Call records that could not be written.",
        records.lost() as f64,
    );
    page.store(&exchange.store.figures());
    page.recordings(exchange.studio.recorder.figures());
    page.leavings(exchange.leavings.figures());
    let reloads = exchange.current.reloads();
    page.head(
        "patchcord_config_reloads_total",
        "counter",
        "Reloads of the configuration, by what became of them.",
    );
    for (outcome, count) in [("applied", reloads.applied), ("refused", reloads.refused)] {
        let labels = format!("{{outcome=\"{outcome}\"}}");
        page.value("patchcord_config_reloads_total", &labels, count as f64);
    }
    if let Some(log) = &exchange.wire_log {
        for (name, help, count) in [
            ("written", "Messages in the wire log.", log.written()),
            ("dropped", "Messages for which the wire log had no room.", log.dropped()),
        ] {
            page.counter(&format!("patchcord_wire_log_{name}_total"), help, count as f64);
        }
    }
    page.config_api(&exchange.config_api);
    page.queues(exchange);
    page.trunks(&exchange.trunk_lines.statuses());
    page.callbacks(&exchange.callbacks);
    page.extractions(&exchange.extractions);
    #[cfg(feature = "otel")]
    page.traces(exchange.traces.outcomes());
    page.head("patchcord_draining", "gauge", "Whether new calls are refused because of a stop.");
    page.value("patchcord_draining", "", f64::from(u8::from(exchange.registry.is_draining())));
    page.requests(requests);
    page.head("patchcord_registered_phones", "gauge", "Phones of extensions that are registered.");
    page.value("patchcord_registered_phones", "", exchange.locations.count() as f64);
    page.sip(sip);
    page.0
}

/// A page that is being written; writing to a string does not fail.
struct Page(String);

impl Page {
    /// What became of recordings.
    fn recordings(&mut self, recordings: &RecorderFigures) {
        for (name, help, count) in [
            ("finished", "Recordings that are durable.", &recordings.finished),
            (
                "damaged",
                "Recordings of which something is silence because the disk was too slow.",
                &recordings.damaged,
            ),
            ("refused", "Recordings beyond those that one call may have.", &recordings.refused),
            (
                "curve_stretches_lost",
                "Stretches of loudness curves that were not written.",
                &recordings.levels_lost,
            ),
        ] {
            self.counter(
                &format!("patchcord_recordings_{name}_total"),
                help,
                count.load(Ordering::Relaxed) as f64,
            );
        }
        let lost = recordings.lost_ms.load(Ordering::Relaxed) as f64 / 1_000.0;
        self.counter(
            "patchcord_recordings_lost_seconds_total",
            "Of recordings, what is silence instead.",
            lost,
        );
        let failing = recordings.failing.load(Ordering::Relaxed);
        self.head("patchcord_recordings_failing", "gauge", "1 while recordings cannot be written.");
        self.value("patchcord_recordings_failing", "", f64::from(u8::from(failing)));
    }

    /// What became of the files of calls with an agent.
    fn leavings(&mut self, leavings: &LeavingsFigures) {
        for (name, help, count) in [
            ("written", "Calls with an agent whose files are durable.", &leavings.written),
            ("failed", "Attempts at the files of a call that failed; each is made again.", &leavings.failed),
        ] {
            let count = count.load(Ordering::Relaxed) as f64;
            self.counter(&format!("patchcord_call_files_{name}_total"), help, count);
        }
        let failing = leavings.failing.load(Ordering::Relaxed);
        self.head("patchcord_call_files_failing", "gauge", "1 while files of calls cannot be written.");
        self.value("patchcord_call_files_failing", "", f64::from(u8::from(failing)));
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn queues(&mut self, exchange: &Exchange) {
        let figures = exchange.queues.figures(&exchange.config().queues, exchange.clock.now());
        if figures.is_empty() {
            return;
        }
        let (waiting, longest) = ("patchcord_queue_waiting", "patchcord_queue_longest_wait_seconds");
        self.head(waiting, "gauge", "Callers in a queue.");
        for line in &figures {
            self.value(waiting, &format!("{{queue=\"{}\"}}", line.name), line.waiting as f64);
        }
        self.head(longest, "gauge", "How long the first caller of a queue has waited.");
        for line in &figures {
            self.value(longest, &format!("{{queue=\"{}\"}}", line.name), line.longest.as_secs_f64());
        }
    }

    fn quality(&mut self, quality: &QualityTotals) {
        let name = "patchcord_calls_audio_total";
        self.head(name, "counter", "Ended calls by who heard whom.");
        for verdict in AudioVerdict::ALL {
            let count = quality.verdicts.get(&verdict).copied().unwrap_or(0);
            self.value(name, &format!("{{verdict=\"{}\"}}", verdict.word()), count as f64);
        }
        for (name, help, ways) in [
            ("packet_loss_ratio", "Share of packets that did not come in time, per call.", &quality.loss),
            ("jitter_seconds", "Mean interarrival jitter, per call.", &quality.jitter_s),
            ("mos", "Mean opinion score by the E-model, per call.", &quality.mos),
        ] {
            let name = format!("patchcord_call_{name}");
            self.head(&name, "histogram", help);
            self.histogram(&name, "way=\"from_phone\",", &ways.from_phone);
            self.histogram(&name, "way=\"to_phone\",", &ways.to_phone);
        }
        for (name, help, histogram) in [
            ("call_round_trip_seconds", "Mean round trip to the phone, per call.", &quality.round_trip_s),
            ("call_playout_depth_seconds", "Mean bot audio that waited, per call.", &quality.depth_s),
            ("bot_response_seconds", "From the caller's last word to the bot's first.", &quality.response_s),
        ] {
            let name = format!("patchcord_{name}");
            self.head(&name, "histogram", help);
            self.histogram(&name, "", histogram);
        }
        self.counter("patchcord_playout_underruns_total", "Holes in bots' speech.", quality.underruns as f64);
        self.counter(
            "patchcord_bot_unanswered_turns_total",
            "Times that a caller had to begin again.",
            quality.unanswered as f64,
        );
    }

    /// Buckets, sum and count; `labels` ends in a comma where there are any.
    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        let mut below = 0;
        for (bound, count) in histogram.bounds.iter().zip(&histogram.counts) {
            below += count;
            self.value(&format!("{name}_bucket"), &format!("{{{labels}le=\"{bound}\"}}"), below as f64);
        }
        let all = histogram.count as f64;
        self.value(&format!("{name}_bucket"), &format!("{{{labels}le=\"+Inf\"}}"), all);
        let labels = labels.trim_end_matches(',');
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        self.value(&format!("{name}_sum"), &labels, histogram.sum);
        self.value(&format!("{name}_count"), &labels, all);
    }

    fn sip(&mut self, sip: &SipCounters) {
        let machine = &sip.machine;
        self.head(
            "patchcord_sip_refused_total",
            "counter",
            "SIP requests refused before any state, by status.",
        );
        for (status, count) in sip.refused.iter().filter(|(_, count)| *count > 0) {
            self.value("patchcord_sip_refused_total", &format!("{{status=\"{status}\"}}"), *count as f64);
        }
        self.head(
            "patchcord_sip_calls_refused_total",
            "counter",
            "INVITEs that admission refused, by reason.",
        );
        for (reason, count) in [("full", machine.refused_full), ("rate", machine.refused_rate)] {
            let labels = format!("{{reason=\"{reason}\"}}");
            self.value("patchcord_sip_calls_refused_total", &labels, count as f64);
        }
        self.head(
            "patchcord_sip_proofs_total",
            "counter",
            "SIP requests that had to prove an extension, by what became of them.",
        );
        for (outcome, count) in [
            ("registered", machine.registers),
            ("challenged", machine.challenged),
            ("unproven", machine.unproven),
            ("guessing", machine.guessing),
            ("unanswered", machine.unanswered),
        ] {
            let labels = format!("{{outcome=\"{outcome}\"}}");
            self.value("patchcord_sip_proofs_total", &labels, count as f64);
        }
        for (name, help, count) in [
            (
                "intruders",
                "SIP requests within a call from an address without part in it.",
                machine.intruders,
            ),
            ("datagrams", "SIP datagrams received.", sip.datagrams),
            ("stream_messages", "SIP messages received over TCP.", sip.stream_messages),
            ("strangers", "SIP requests of strangers.", sip.strangers),
            ("silenced", "SIP messages answered with nothing.", sip.silenced),
            ("dropped_in", "SIP datagrams dropped because the agent was behind.", sip.dropped_in),
            ("dropped_out", "SIP messages that could not be sent.", sip.dropped_out),
            ("retransmissions_in", "SIP retransmissions absorbed.", machine.retransmissions_in),
            ("retransmissions_out", "SIP messages sent again.", machine.retransmissions_out),
        ] {
            self.counter(&format!("patchcord_sip_{name}_total"), help, count as f64);
        }
        for (name, help, level) in [
            ("connections", "SIP connections that are open.", sip.connections_open),
            ("transactions", "SIP transactions that exist.", machine.transactions),
            ("legs", "SIP dialogs that exist, those that are being made or ended included.", machine.legs),
        ] {
            let name = format!("patchcord_sip_{name}");
            self.head(&name, "gauge", help);
            self.value(&name, "", level as f64);
        }
    }

    fn requests(&mut self, requests: &RequestCounts) {
        let name = "patchcord_http_requests_total";
        self.head(
            name,
            "counter",
            "Requests of the main HTTP port, by kind of resource and class of status.",
        );
        for (route, class, count) in requests.all() {
            self.value(name, &format!("{{route=\"{route}\",status=\"{class}\"}}"), count as f64);
        }
    }

    fn store(&mut self, store: &StoreFigures) {
        for (name, help, level) in [
            ("waiting", "Writes that wait for the database.", store.waiting as f64),
            ("oldest_seconds", "How long the oldest of them has waited.", store.oldest.as_secs_f64()),
            ("failing", "Whether the last commit failed.", f64::from(u8::from(store.failing))),
        ] {
            let name = format!("patchcord_storage_{name}");
            self.head(&name, "gauge", help);
            self.value(&name, "", level);
        }
        for (name, help, count) in [
            ("written", "Writes that are durable.", store.written),
            ("failures", "Commits that failed and were tried again.", store.failures),
            ("refused", "Writes that the database refuses for ever.", store.refused),
            ("skipped", "Refused calls for which there was no room; calls.jsonl has them.", store.skipped),
            ("strays", "Facts of calls that are not stored.", store.strays),
        ] {
            self.counter(&format!("patchcord_storage_{name}_total"), help, count as f64);
        }
        let name = "patchcord_storage_commit_seconds";
        self.head(name, "histogram", "Transactions, from the first write to the end of the commit.");
        let mut below = 0;
        for (bound, count) in COMMIT_BOUNDS_MS.iter().zip(store.commits_within) {
            below += count;
            let labels = format!("{{le=\"{}\"}}", *bound as f64 / 1_000.0);
            self.value(&format!("{name}_bucket"), &labels, below as f64);
        }
        self.value(&format!("{name}_bucket"), "{le=\"+Inf\"}", store.commits as f64);
        self.value(&format!("{name}_sum"), "", store.commit_time.as_secs_f64());
        self.value(&format!("{name}_count"), "", store.commits as f64);
    }

    fn trunks(&mut self, trunks: &[TrunkStatus]) {
        let name = "patchcord_trunk_reach";
        self.head(name, "gauge", "Whether the carrier of a trunk answers, by trunk.");
        for trunk in trunks {
            for reach in TrunkReach::ALL {
                let labels =
                    format!("{{trunk=\"{}\",reach=\"{}\"}}", metric_label(&trunk.name), reach.as_str());
                self.value(name, &labels, f64::from(u8::from(trunk.reach == reach)));
            }
        }
        let name = "patchcord_trunk_registered";
        self.head(name, "gauge", "Whether the carrier knows where we are, for trunks that register.");
        for (trunk, registration) in trunks.iter().filter_map(|trunk| Some((trunk, trunk.registration?))) {
            let labels = format!("{{trunk=\"{}\"}}", metric_label(&trunk.name));
            self.value(name, &labels, f64::from(u8::from(registration.state == "registered")));
        }
    }

    fn config_api(&mut self, meter: &ConfigApiMeter) {
        let name = "patchcord_config_api_total";
        self.head(name, "counter", "Questions to a number's CONFIG_API, by what became of them.");
        let mut asked = 0;
        for (outcome, count) in meter.outcomes() {
            self.value(name, &format!("{{outcome=\"{}\"}}", outcome.word()), count as f64);
            asked += count;
        }
        let name = "patchcord_config_api_seconds";
        self.head(name, "histogram", "From the question to its outcome.");
        for (bound, count) in meter.buckets() {
            self.value(
                &format!("{name}_bucket"),
                &format!("{{le=\"{}\"}}", bound.as_secs_f64()),
                count as f64,
            );
        }
        self.value(&format!("{name}_bucket"), "{le=\"+Inf\"}", asked as f64);
        self.value(&format!("{name}_sum"), "", meter.total().as_secs_f64());
        self.value(&format!("{name}_count"), "", asked as f64);
    }

    fn callbacks(&mut self, meter: &CallbackMeter) {
        let name = "patchcord_callback_attempts_total";
        self.head(name, "counter", "Attempts to deliver callbacks, by what became of them.");
        for (outcome, count) in meter.outcomes() {
            self.value(name, &format!("{{outcome=\"{outcome}\"}}"), count as f64);
        }
        self.counter(
            "patchcord_callback_dead_letters_total",
            "Callbacks that were given up.",
            meter.dead() as f64,
        );
        let name = "patchcord_callback_attempts_under_way";
        self.head(name, "gauge", "Attempts to deliver callbacks at this moment.");
        self.value(name, "", meter.under_way() as f64);
    }

    fn extractions(&mut self, meter: &ExtractionMeter) {
        let name = "patchcord_extraction_attempts_total";
        self.head(name, "counter", "Attempts to take fields from transcripts, by what became of them.");
        for (kind, outcome, count) in meter.outcomes() {
            self.value(name, &format!("{{kind=\"{kind}\",outcome=\"{outcome}\"}}"), count as f64);
        }
        self.counter(
            "patchcord_extraction_attempt_seconds_total",
            "How long these attempts took.",
            meter.took().as_secs_f64(),
        );
        self.counter(
            "patchcord_extraction_dead_letters_total",
            "Extractions of whole calls that were given up.",
            meter.dead() as f64,
        );
        let name = "patchcord_extractions_under_way";
        self.head(name, "gauge", "Calls at whose fields somebody works at this moment.");
        self.value(name, "", meter.under_way() as f64);
    }

    #[cfg(feature = "otel")]
    fn traces(&mut self, outcomes: [(&'static str, u64); 3]) {
        let name = "patchcord_traces_total";
        self.head(name, "counter", "Traces of ended calls, by what became of them.");
        for (outcome, count) in outcomes {
            self.value(name, &format!("{{outcome=\"{outcome}\"}}"), count as f64);
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.head(name, "counter", help);
        self.value(name, "", value);
    }
}
