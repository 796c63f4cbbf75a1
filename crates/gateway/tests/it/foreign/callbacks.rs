//! Foreign phones call numbers whose status goes to a foreign receiver, which fails in every way and checks all it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::folder::Folder;
use super::gateway::Gateway;
use super::program::Program;
use super::report::{Row, conclude};
use super::{is_long, peer, sipp};

/// What the receiver does, the attempts at each event, and how long the last may be behind the end of its call.
const CASES: &[(&str, usize, f64)] =
    &[("ok", 1, 1.0), ("fails/2", 3, 13.0), ("later/2", 2, 9.0), ("huge", 1, 1.0)];

/// Receivers that never take anything, while the others are served.
const NEVER: &[&str] = &["stalls", "resets", "redirect", "gone"];

const CALLS: usize = 5;
const COURSE: [&str; 4] = ["call.initiated", "call.ringing", "call.in-progress", "call.completed"];

#[tokio::test]
async fn a_foreign_receiver_gets_every_event_signed_in_order_and_under_one_id_however_it_fails() {
    let folder = Folder::new("callbacks");
    let mut receiver = start_receiver(&folder).await;
    let gateway = Gateway::start(folder.path(), &settings(&receiver.1)).await;
    let names = CASES.iter().map(|(name, ..)| *name).chain(NEVER.iter().copied());
    join_all(names.clone().enumerate().map(|(at, _)| {
        let (user, sip, path) = (number(at), gateway.sip, folder.path());
        let calls = CALLS.to_string();
        async move { sipp::run("call", &user, sip, &[&calls, "5", "300"], path).await }
    }))
    .await;
    gateway.records_when(CALLS * names.count()).await;
    let wanted: usize = CASES.iter().map(|(_, attempts, _)| attempts * CALLS * COURSE.len()).sum();
    let mut got = Vec::new();
    let of_cases = |got: &[Value]| got.iter().filter(|request| case(request).is_some()).count();
    while of_cases(&got) < wanted {
        got.push(receiver.0.json_after("GOT ", Duration::from_secs(20)).await);
    }
    let rows: Vec<_> = CASES.iter().map(|case| judge(case, &got)).collect();
    conclude("callbacks", &["attempts", "events"], &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

/// The retries of the requirement document: six attempts within 31 s outlast 30 s of nobody there.
#[tokio::test]
async fn a_receiver_that_was_down_gets_all_it_missed_in_order_and_once_by_id() {
    let down_s = if is_long() { 30 } else { 6 };
    miss_and_catch_up("seed", Duration::from_secs(down_s), Duration::from_secs(40)).await;
}

/// The long profile's third wait is 5 minutes and its fourth 30: what was missed in 10 minutes has come after 36.
#[tokio::test]
async fn with_the_profile_of_days_ten_minutes_without_a_receiver_lose_nothing() {
    let (down_s, patience_s) = if is_long() { (600, 2_400) } else { (4, 40) };
    miss_and_catch_up("days", Duration::from_secs(down_s), Duration::from_secs(patience_s)).await;
}

/// Calls while nobody takes their callbacks for `down_for`; then every event comes, each within `patience` of the one
/// before it.
async fn miss_and_catch_up(profile: &str, down_for: Duration, patience: Duration) {
    let folder = Folder::new(&format!("callbacks-down-{profile}"));
    let down = folder.file("down");
    File::create(&down).unwrap();
    let mut receiver = start_receiver(&folder).await;
    let of_profile = settings(&receiver.1).replacen('\n', &format!("\nprofile = \"{profile}\"\n"), 1);
    let gateway = Gateway::start(folder.path(), &of_profile).await;
    let back = async {
        let waited = tokio::time::timeout(down_for, std::future::pending::<()>()).await;
        std::fs::remove_file(&down).unwrap();
        waited
    };
    let count = if is_long() { 40 } else { 10 };
    let calls = count.to_string();
    let user = number(0);
    let options = [&*calls, "10", "300"];
    let call = sipp::run("call", &user, gateway.sip, &options, folder.path());
    let _ = tokio::join!(back, call);
    let mut got = Vec::new();
    while got.len() < count * COURSE.len() {
        got.push(receiver.0.json_after("GOT ", patience).await);
    }
    let row = judge(&("ok", 1, f64::INFINITY), &got);
    let name = format!("callbacks after an outage, {profile}");
    conclude(&name, &["attempts", "events"], &[row], &gateway.log());
    assert!(gateway.stop().await.success());
}

/// A receiver of callbacks and its port.
pub async fn start_receiver(folder: &Folder) -> (Program, String) {
    let script = peer("python/callback_receiver.py").display().to_string();
    let down = folder.file("down");
    let arguments = [&script, "--secret", SECRET, "--down", &down];
    let mut receiver = Program::start("receiver", peer(".venv/bin/python"), arguments, folder.path());
    let port = receiver.line_after("LISTENING ", Duration::from_secs(20)).await;
    (receiver, port)
}

fn number(at: usize) -> String {
    format!("1800555{at:04}")
}

fn settings(port: &str) -> String {
    let names = CASES.iter().map(|(name, ..)| *name).chain(NEVER.iter().copied());
    let numbers: String = names
        .enumerate()
        .map(|(at, name)| {
            let (number, url) = (number(at), format!("http://127.0.0.1:{port}/{name}/cb"));
            format!("[[numbers]]\nnumber = \"{number}\"\nbot = \"echo\"\ncallbacks = \"{url}\"\n")
        })
        .collect();
    format!("[callbacks]\nsecret = \"{SECRET}\"\n{numbers}")
}

fn case(request: &Value) -> Option<&'static str> {
    let path = request["path"].as_str().unwrap().trim_start_matches('/');
    CASES.iter().map(|(name, ..)| *name).find(|name| path.starts_with(name))
}

/// Whether every call of a case was told of as it should be.
fn judge((name, attempts, late_s): &(&str, usize, f64), got: &[Value]) -> Row {
    let mut row = Row::new(*name);
    let mut calls: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for request in got.iter().filter(|request| case(request) == Some(name)) {
        row.expect(request["bad"] == Value::Array(Vec::new()), format!("{request}"));
        calls.entry(request["call_id"].as_str().unwrap()).or_default().push(request);
    }
    let mut ids = BTreeSet::new();
    for (call, requests) in &calls {
        let mut events: Vec<(&str, &str, &str, usize)> = Vec::new();
        for request in requests {
            let text = |field: &str| request[field].as_str().unwrap();
            match events.last_mut() {
                Some((_, id, digest, count)) if *id == text("id") && *digest == text("digest") => *count += 1,
                _ => events.push((text("event"), text("id"), text("digest"), 1)),
            }
        }
        let names: Vec<_> = events.iter().map(|(event, ..)| *event).collect();
        row.expect(names == COURSE, format!("{call} was told as {names:?}"));
        let counts: Vec<_> = events.iter().map(|(.., count)| *count).collect();
        row.expect(counts.iter().all(|count| count == attempts), format!("{call}: attempts {counts:?}"));
        row.expect(
            events.iter().all(|(_, id, ..)| ids.insert((*id).to_owned())),
            format!("{call}: an id twice"),
        );
        let last = requests.last().unwrap();
        let late = last["late"].as_f64().unwrap();
        row.expect(late <= *late_s, format!("{call}: the last event came {late:.1} s after the end"));
    }
    row.expect(!calls.is_empty(), "no call was told of".to_owned());
    row.cell(attempts.to_string());
    row.cell(format!("{} of {} calls", ids.len(), calls.len()));
    row
}

/// What callbacks are signed with.
pub const SECRET: &str = "0123456789abcdef0123";
