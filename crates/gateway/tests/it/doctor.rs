//! `patchcord doctor` as a user runs it: beside a server that is well, and where things are wrong.

use std::net::TcpListener;
use std::process::{Output, Stdio};

use patchcord::caller::scratch_folder::ScratchFolder;
use serde_json::Value;
use tokio::process::Command;

use super::serve::Gateway;

/// Runs the doctor on `file` in a folder of its own.
async fn doctor(file: &str, words: &[&str]) -> Output {
    let folder = ScratchFolder::new().unwrap();
    std::fs::write(folder.path().join("patchcord.toml"), file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchcord"));
    command.arg("doctor").args(words).current_dir(folder.path()).stdin(Stdio::null());
    let ran = tokio::time::timeout(std::time::Duration::from_secs(30), command.output()).await;
    let output = ran.expect("the doctor takes too long").unwrap();
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["patchcord.toml"], "the doctor leaves nothing behind");
    output
}

/// The checks of a JSON report whose subject is `subject`.
fn about<'a>(report: &'a Value, subject: &str) -> Vec<&'a Value> {
    let checks = report["checks"].as_array().unwrap().iter();
    let found: Vec<_> = checks.filter(|check| check["subject"] == subject).collect();
    assert!(!found.is_empty(), "nothing is said about {subject}: {report:#}");
    found
}

/// Whether a check came out so and says these words.
fn says(check: &Value, verdict: &str, words: &[&str]) -> bool {
    let text = format!("{} {}", check["found"].as_str().unwrap(), check["cure"].as_str().unwrap_or_default());
    check["verdict"] == verdict && words.iter().all(|word| text.contains(word))
}

#[tokio::test]
async fn a_server_that_is_well_is_recognised_with_its_ports_and_nothing_is_to_be_done() {
    let gateway = Gateway::named("delhi", "").await;
    let bot = Gateway::start("").await;
    let (http, sip) = (gateway.http(), gateway.sip());
    let file = format!(
        "[server]\nid = \"delhi\"\n[http]\nlisten = \"{http}\"\n[sip]\nlisten = [\"udp:{sip}\"]\n\
         rtp_ports = \"20000-29999\"\n[bots.a]\nurl = \"ws://{}/ws/ivr-solutions/echo\"\ndialect = \"ivr-solutions\"\n",
        bot.http()
    );
    let output = doctor(&file, &["--json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ok"]), (Some(0), &true.into()), "{report:#}");
    assert_eq!(report["server"], format!("http://{http}/"));
    assert!(says(about(&report, &format!("http://{http}/"))[0], "ok", &["\"delhi\" answers"]));
    assert!(says(about(&report, "http.listen")[0], "ok", &["as it should be"]), "{report:#}");
    assert!(says(about(&report, "sip.listen")[0], "ok", &["Patchcord/", "answers"]), "{report:#}");
    assert!(says(about(&report, "a")[0], "ok", &["opens in"]), "{report:#}");
    let records = bot.stop().await;
    assert_eq!(records.len(), 1, "the greeting is a vendor that left");
    assert_eq!(records[0]["answered_at"], Value::Null, "{records:?}");
    assert_eq!(gateway.stop().await.len(), 0, "the doctor starts no call");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_change_where_and_without_secrets() {
    let (taken, closed) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (taken, free) =
        (taken.local_addr().map(|address| (taken, address)).unwrap(), closed.local_addr().unwrap());
    drop(closed);
    let file = format!(
        "[server]\ndata_dir = \"/proc/patchcord\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [\"tcp:{}\"]\nrtp_ports = \"20000-20009\"\naccept_from = [\"203.0.113.0/24\"]\n\
         [bots.away]\nurl = \"ws://{free}/?token=hunter2\"\ndialect = \"smartpbx\"\n\
         [bots.nowhere]\nurl = \"wss://nobody.invalid/\"\ndialect = \"smartpbx\"\n\
         headers = {{ Authorization = \"Bearer hunter2\" }}\n\
         [[numbers]]\nnumber = \"18001234567\"\nconfig_api = \"http://{free}/config?key=hunter2\"\n",
        taken.1
    );
    let output = doctor(&file, &["--json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ok"]), (Some(1), &false.into()));
    for (subject, verdict, words) in [
        ("sip.listen", "fail", &["another program", "set sip.listen"][..]),
        ("sip.listen", "warn", &["loopback: nobody reaches it", "0.0.0.0"]),
        ("sip.rtp_ports", "warn", &["room for 5 calls", "widen sip.rtp_ports"]),
        ("away", "fail", &["refused", "bots.away.url", "?***"]),
        ("nowhere", "fail", &["cannot be resolved", "bots.nowhere.url"]),
        ("numbers[0].config_api", "fail", &["refused", "fallback"]),
        ("server.data_dir", "fail", &["cannot be written", "set server.data_dir"]),
    ] {
        let found = about(&report, subject);
        assert!(found.iter().any(|check| says(check, verdict, words)), "{subject}: {found:#?}");
    }
    let table = doctor(&file, &[]).await;
    let text = String::from_utf8(table.stdout).unwrap();
    assert_eq!(table.status.code(), Some(1), "{text}");
    assert!(text.contains("→ stop that program, or set sip.listen to another port\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour where nobody sees it");
    assert!(!text.contains("18001234567"), "{text}");
    assert!(!text.contains("hunter2") && !report.to_string().contains("hunter2"), "{text}");
    drop(taken);
}

#[tokio::test]
async fn a_server_that_was_named_and_is_away_is_three_and_a_wrong_file_is_one() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = "[http]\nlisten = \"127.0.0.1:0\"\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n";
    let away = doctor(file, &["--server", &format!("http://{nobody}"), "--json"]).await;
    assert_eq!(away.status.code(), Some(3), "{}", String::from_utf8_lossy(&away.stdout));
    let wrong = doctor("[server]\ndrian = \"30s\"\n", &["--json"]).await;
    let report: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    let told = about(&report, "file")[0];
    assert!(says(told, "fail", &["1 problem", "patchcord.toml:2:1", "config check"]), "{told}");
    assert_eq!(doctor(file, &["--server", "ftp://h/"]).await.status.code(), Some(2));
}
