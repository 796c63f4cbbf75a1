//! `patchcord call` and `patchcord bench` as their users run them: processes, exit codes, JSON.

use std::process::{Command, Output};

use patchcord::caller::scratch_folder::ScratchFolder;
use serde_json::Value;

#[test]
fn a_call_to_the_echo_needs_nothing_else_and_hears_itself() {
    let folder = ScratchFolder::new().unwrap();
    let tape = folder.path().join("call.wav");
    let (code, report) = json(&[
        "call",
        "echo",
        "--say-tone",
        "--dtmf",
        "5#@1s",
        "--duration",
        "2s",
        "--record",
        tape.to_str().unwrap(),
        "--json",
    ]);
    assert_eq!((code, &report["ok"], &report["ending"]), (0, &true.into(), &"caller".into()), "{report:#}");
    assert_eq!(report["record"]["cause"]["class"], "completed");
    let hertz = event(&report, "tone_heard")["hertz"].as_u64().unwrap();
    assert!(hertz.abs_diff(440) <= 3, "{hertz} Hz");
    assert_eq!(event(&report, "key_pressed")["key"], "5");
    assert_eq!(report["rtp_in"]["missing"], 0);
    let sent =
        report["rtp_out"]["packets"].as_u64().unwrap() + report["rtp_out"]["skipped"].as_u64().unwrap();
    // 100 frames, and the ends of two keys twice more.
    assert!((99..=105).contains(&sent), "{sent}");
    let said_and_heard = hound::WavReader::open(&tape).unwrap();
    assert_eq!((said_and_heard.spec().channels, said_and_heard.spec().sample_rate), (2, 8_000));
    assert!(said_and_heard.duration().abs_diff(16_000) < 800, "{}", said_and_heard.duration());
}

#[test]
fn keys_reach_the_bot_and_its_tones_come_back() {
    let (code, report) = json(&["call", "dtmf", "--dtmf", "7@200ms", "--duration", "1500ms", "--json"]);
    assert_eq!(code, 0);
    let heard = event(&report, "key_heard");
    assert_eq!((&heard["key"], &heard["in_band"]), (&"7".into(), &true.into()));
}

#[test]
fn nobody_there_ends_with_three_at_once() {
    // A port that was free a moment ago.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let begun = std::time::Instant::now();
    let nobody = run(&["call", &format!("sip:echo@{free}")]);
    assert_eq!(nobody.status.code(), Some(3), "{nobody:?}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    let (code, refused) =
        json(&["call", &format!("ws://{free}/bot"), "--dialect", "ivr-solutions", "--json"]);
    assert_eq!((code, &refused["status"]), (3, &503.into()), "{refused:#}");
    assert_eq!(refused["record"]["cause"]["class"], "bot");
}

#[test]
fn what_cannot_be_called_is_a_usage_error_with_a_cure() {
    for (words, cure) in [
        (&["call", "nobody"][..], "name a built-in bot"),
        (&["call", "ws://127.0.0.1:9/x"], "--dialect NAME"),
        (&["call", "sip:"], "sip:NAME@HOST"),
        (&["bench", "--dialect", "klingon"], "ivr-solutions"),
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(talk.contains(cure), "{words:?}: {talk}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_small_bench_measures_every_figure() {
    let (code, report) = json(&["bench", "--calls", "3", "--seconds", "1", "--json"]);
    assert_eq!((code, &report["held"], &report["failed"]), (0, &3.into(), &0.into()), "{report:#}");
    let frames = &report["frames"];
    assert!(frames["sent"].as_u64().unwrap() >= 100 && frames["foreign"] == 0, "{frames}");
    assert!(frames["heard"].as_u64().unwrap() > 50, "{frames}");
    assert!(report["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert!(report["rss_idle_kb"].as_u64().unwrap() > 1_000);
    assert!(report["set_up_ms"]["max"].as_f64().unwrap() > 0.0);
}

fn event<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut events = report["events"].as_array().unwrap().iter();
    events.find(|event| event["event"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

fn json(words: &[&str]) -> (i32, Value) {
    let output = run(words);
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text);
    let report = report.unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

/// In an empty folder, without the environment of whoever runs the tests.
fn run(words: &[&str]) -> Output {
    let folder = ScratchFolder::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchcord"));
    command.args(words).current_dir(folder.path()).env_clear().output().unwrap()
}
