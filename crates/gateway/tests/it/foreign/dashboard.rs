//! A browser that nobody here wrote opens the dashboard: every screen, by keyboard, judged and photographed.
//!
//! The binary has the dashboard in it where npm built it; where it was built without, there is nothing to open.
//! `PATCHCORD_PICTURES=FOLDER` keeps the pictures.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::ask;
use super::filled::fill;
use super::folder::Folder;
use super::gateway::{Gateway, binary};
use super::peer;
use super::program::Program;

/// Screens show what they are for within 500 ms with 10,000 stored calls; all JavaScript is below 250 kB.
#[tokio::test]
async fn every_screen_opens_at_once_with_ten_thousand_calls_and_is_usable_by_keyboard_and_screen_reader() {
    let folder = Folder::new("dashboard");
    fill(folder.path(), 10_000).await;
    let gateway = Gateway::start(folder.path(), SETTINGS).await;
    if !has_dashboard(&gateway) {
        assert!(gateway.stop().await.success());
        return;
    }
    let calls = callers(&gateway, &folder, 3).await;
    let arguments = ["--url", &format!("http://{}", gateway.http), "--out", &pictures(&folder)];
    let verdict = run("visit", &arguments, &folder).await;
    eprintln!("{} kB of JavaScript; {}", verdict["script_kb"], verdict["screens"]);
    assert_eq!(verdict["violations"], serde_json::json!([]), "{}", gateway.log());
    drop(calls);
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn with_keys_a_browser_logs_in_sees_what_its_role_opens_and_logs_out() {
    let folder = Folder::new("dashboard-login");
    let settings = format!("{KEYS}{SETTINGS}");
    let gateway = Gateway::start(folder.path(), &settings).await;
    if !has_dashboard(&gateway) {
        assert!(gateway.stop().await.success());
        return;
    }
    let calls = callers(&gateway, &folder, 2).await;
    let url = format!("http://{}", gateway.http);
    let pictures = pictures(&folder);
    let (reader, operator) = ("reader-0123456789abcdef", "operator-0123456789abcdef");
    let arguments = ["--url", &url, "--out", &pictures, "--reader", reader, "--operator", operator];
    let verdict = run("login", &arguments, &folder).await;
    assert_eq!(verdict["violations"], serde_json::json!([]), "{}", gateway.log());
    assert!(!gateway.log().contains(operator));
    drop(calls);
    assert!(gateway.stop().await.success());
}

/// Has a browser do what `script` says; gives its verdict.
pub async fn run(script: &str, arguments: &[&str], folder: &Folder) -> Value {
    let script = peer(&format!("web/{script}.mjs"));
    let arguments = std::iter::once(script.to_str().unwrap()).chain(arguments.iter().copied());
    let mut browser = Program::start("browser", "node", arguments, folder.path());
    browser.json_after("VERDICT ", BROWSER_MAX).await
}

/// Whether the binary has the dashboard in it.
pub fn has_dashboard(gateway: &Gateway) -> bool {
    let is_there = ask::get(gateway.http, "/theme.js").starts_with("HTTP/1.1 200");
    if !is_there {
        eprintln!("this binary was built without the dashboard");
    }
    is_there
}

/// Calls to the echo that last until they are dropped.
async fn callers(gateway: &Gateway, folder: &Folder, count: usize) -> Vec<Program> {
    let target = gateway.sip_uri("echo");
    let start = |number: usize| {
        let from = format!("987654321{number}");
        let arguments = ["call", &target, "--from", &from, "--duration", "600s", "--json"];
        Program::start(&format!("caller-{number}"), binary(), arguments, folder.path())
    };
    let callers = (0..count).map(start).collect();
    let up = ask::until(Duration::from_secs(20), || {
        (gateway.log().matches("call answered").count() >= count).then_some(())
    });
    up.await.unwrap_or_else(|| panic!("the calls are not answered: {}", gateway.log()));
    callers
}

/// Where pictures are kept.
pub fn pictures(folder: &Folder) -> String {
    let kept = std::env::var_os("PATCHCORD_PICTURES").map(PathBuf::from);
    kept.unwrap_or_else(|| folder.path().join("pictures")).display().to_string()
}

const KEYS: &str = "\
[[http.keys]]\nname = \"board\"\nkey = \"reader-0123456789abcdef\"\nrole = \"reader\"\n\
[[http.keys]]\nname = \"desk\"\nkey = \"operator-0123456789abcdef\"\nrole = \"operator\"\n";

/// A carrier that nobody is, bots that nobody runs, numbers that lead to them.
const SETTINGS: &str = "\
[bots.sales]\nurl = \"wss://bots.example.com/voice\"\ndialect = \"ivr-solutions\"\nname = \"Sales, Delhi\"\n\
[[numbers]]\nnumber = \"18001234567\"\nbot = \"sales\"\n\
[[numbers]]\nnumber = \"*\"\nbot = \"echo\"\n\
[[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = 9\ntransport = \"udp\"\nallow = [\"91*\"]\n";

/// How long the browser may take for all of it.
const BROWSER_MAX: Duration = Duration::from_secs(280);
