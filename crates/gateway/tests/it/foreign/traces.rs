//! A foreign receiver of traces, which reads them with the types of the OpenTelemetry project: one trace per call, a span
//! per turn, and no number in it unless the operator wants that.

use std::time::Duration;

use super::ask;
use super::folder::Folder;
use super::gateway::{Gateway, binary};
use super::peer;
use super::program::Program;

const CALLER: &str = "9876501234";

#[tokio::test]
async fn every_call_is_one_trace_with_a_span_per_turn_and_numbers_only_where_they_are_wanted() {
    for (content, failures) in [(false, 1), (true, 0)] {
        let folder = Folder::new("traces");
        let (mut receiver, url) = start_receiver(&folder, failures).await;
        let settings = format!(
            "[otel]\nendpoint = \"{url}\"\nheaders = {{ Authorization = \"Bearer t0ken-of-traces\" }}\ncontent = {content}\n"
        );
        let gateway = Gateway::start(folder.path(), &settings).await;
        call(&gateway, &folder).await;
        let record = gateway.records_when(1).await.remove(0);
        let trace = receiver.json_after("TRACE ", Duration::from_secs(20)).await;
        let spans = trace["spans"].as_array().unwrap();
        let named = |name: &str| spans.iter().filter(|span| span["name"] == name).collect::<Vec<_>>();
        let [root] = named("call")[..] else { panic!("{trace}") };
        assert_eq!(root["attributes"]["patchcord.call_id"], record["call_id"], "{record}");
        assert_eq!(root["attributes"]["patchcord.bot"], "parrot");
        assert_eq!(root["attributes"]["patchcord.cause.class"], "completed");
        assert_eq!((root["status"].as_u64(), named("bot connect").len()), (Some(1), 1), "{trace}");
        let lasted = record["duration_ms"].as_f64().unwrap_or(0.0);
        assert!(lasted == 0.0 || (root["ms"].as_f64().unwrap() - lasted).abs() <= 2.0, "{root} {lasted}");
        let turns = named("turn");
        assert!(!turns.is_empty(), "no turn was measured: {trace}");
        assert_eq!(root["attributes"]["patchcord.turns"].as_u64(), Some(turns.len() as u64));
        for turn in turns {
            let response = turn["attributes"]["patchcord.response_s"].as_f64().unwrap() * 1_000.0;
            assert!((turn["ms"].as_f64().unwrap() - response).abs() <= 1.0, "{turn}");
        }
        let bytes = trace["bytes"].as_str().unwrap();
        assert_eq!((bytes.contains("pii."), bytes.contains(CALLER)), (content, content), "{bytes}");
        // The receiver has it before its answer has come back.
        let taken = "patchcord_traces_total{outcome=\"exported\"}";
        let counted = ask::until(Duration::from_secs(5), || (gateway.metric(taken) == 1.0).then_some(()));
        counted.await.expect("the trace is not counted");
        let outcome = |word: &str| gateway.metric(&format!("patchcord_traces_total{{outcome=\"{word}\"}}"));
        assert_eq!((outcome("refused"), outcome("dropped")), (0.0, 0.0));
        assert!(!receiver.talk().contains("WRONG"), "{}", receiver.talk());
        assert!(!gateway.log().contains("t0ken-of-traces"));
        assert!(gateway.stop().await.success());
    }
}

async fn start_receiver(folder: &Folder, failures: u32) -> (Program, String) {
    let script = peer("python/otlp_receiver.py");
    let failures = failures.to_string();
    let arguments = [script.to_str().unwrap(), "--fail", &failures, "--token", "t0ken-of-traces"];
    let mut receiver = Program::start("otlp", peer(".venv/bin/python"), arguments, folder.path());
    let url = receiver.line_after("URL ", Duration::from_secs(20)).await;
    (receiver, url)
}

/// Somebody who says something and waits for the parrot to say it again.
async fn call(gateway: &Gateway, folder: &Folder) {
    let (target, sound) = (gateway.sip_uri("parrot"), folder.file("sentence.wav"));
    sentence(&sound);
    let arguments = ["call", &target, "--from", CALLER, "--duration", "5s", "--play", &sound, "--json"];
    let caller = Program::start("caller", binary(), arguments, folder.path());
    let (lines, status) = caller.finish(Duration::from_secs(30)).await;
    assert!(status.success(), "{lines:?}");
}

/// A second of sound between half a second and two of silence.
fn sentence(path: &str) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    for at in 0..28_000u32 {
        let time = f64::from(at) / 8_000.0;
        let is_sound = (0.5..1.5).contains(&time);
        let sample = if is_sound { 9_000.0 * (time * 440.0 * std::f64::consts::TAU).sin() } else { 0.0 };
        file.write_sample(sample as i16).unwrap();
    }
    file.finalize().unwrap();
}
