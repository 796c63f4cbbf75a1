//! `patchcord calls` against a gateway that runs.

use serde_json::Value;
use tokio::process::Command;

use super::client::until;
use crate::callbacks::receiver::{Answer, Receiver};
use crate::serve::Gateway;
use crate::serve::phone::Phone;

/// Exit code, stdout and stderr of `patchcord calls …`.
async fn calls(gateway: &Gateway, words: &[&str], key: &str) -> (i32, String, String) {
    run(gateway, "calls", words, key).await
}

/// The same of `patchcord NAME …`.
pub async fn run(gateway: &Gateway, name: &str, words: &[&str], key: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchcord"));
    command.arg(name).args(words).args(["--server", &format!("http://{}", gateway.http())]);
    command.env("NO_COLOR", "1").env("PATCHCORD_KEY", key).kill_on_drop(true);
    let done = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

#[tokio::test]
async fn calls_are_listed_shown_transferred_and_ended_by_command() {
    let gateway = Gateway::start(super::keys::KEYS).await;
    let phone = Phone::call("echo", &gateway.sip()).await;
    let operator = "operator-0123456789";
    let list = async || {
        let (code, data, talk) =
            calls(&gateway, &["list", "--status", "in-progress", "--json"], operator).await;
        assert_eq!(code, 0, "{talk}");
        let page: Value = serde_json::from_str(&data).unwrap();
        page["data"][0]["call_id"].as_str().map(str::to_owned)
    };
    let call = until(list).await;
    let (_, table, _) = calls(&gateway, &["list"], operator).await;
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("status") && lines[1].starts_with("in-progress") && lines[1].ends_with(&call),
        "{table}"
    );
    let (_, shown, _) = calls(&gateway, &["show", &call], operator).await;
    assert!(shown.lines().any(|line| line.starts_with("bot") && line.ends_with("echo")), "{shown}");
    let (code, _, talk) = calls(&gateway, &["transfer", &call, "--bot", "tone"], operator).await;
    assert_eq!(code, 0, "{talk}");
    let (code, ..) = calls(&gateway, &["hangup", &call], "reader-0123456789").await;
    assert_eq!(code, 4);
    let (code, _, talk) = calls(&gateway, &["list"], "wrong").await;
    assert_eq!((code, talk.trim()), (4, "401: the key is missing or wrong"));
    let (code, _, talk) = calls(&gateway, &["show", "call_1"], operator).await;
    assert_eq!((code, talk.trim()), (1, "404: no call has this id"));
    let (code, data, _) = calls(&gateway, &["hangup", &call], operator).await;
    assert_eq!((code, data), (0, format!("{call}  accepted\n")));
    drop(phone);
    gateway.stop_at_once().await;
}

#[tokio::test]
async fn nobody_there_is_exit_code_three_and_a_transfer_to_nobody_is_two() {
    let exit = async |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchcord"));
        command.arg("calls").args(words).env_remove("PATCHCORD_KEY").output().await.unwrap().status.code()
    };
    assert_eq!(exit(&["list", "--server", "http://127.0.0.1:1"]).await, Some(3));
    assert_eq!(exit(&["transfer", "call_1", "--server", "http://127.0.0.1:1"]).await, Some(2));
    assert_eq!(exit(&["list", "--server", "nowhere"]).await, Some(2));
}

#[tokio::test]
async fn what_nobody_took_is_listed_and_sent_again_by_command() {
    let mut receiver =
        Receiver::start(|seen, _| if seen == 0 { Answer::Status(410) } else { Answer::Status(200) }).await;
    let settings = format!("{}[callbacks]\nurl = \"{}\"\n", super::keys::KEYS, receiver.url("/"));
    let gateway = Gateway::start(&settings).await;
    Phone::call("echo", &gateway.sip()).await.hang_up().await;
    receiver.take(4).await;
    let admin = "admin-0123456789";
    let dead = until(async || {
        let (code, data, talk) =
            run(&gateway, "callbacks", &["list", "--state", "dead", "--json"], admin).await;
        assert_eq!(code, 0, "{talk}");
        let page: Value = serde_json::from_str(&data).unwrap();
        page["data"][0]["event_id"].as_str().map(str::to_owned)
    })
    .await;
    let (code, ..) = run(&gateway, "callbacks", &["replay", &dead], "operator-0123456789").await;
    assert_eq!(code, 4);
    let (code, data, _) = run(&gateway, "callbacks", &["replay", &dead], admin).await;
    assert_eq!((code, data), (0, format!("{dead}  on its way\n")));
    assert_eq!(receiver.take(1).await[0].header("webhook-id"), dead);
    gateway.stop_at_once().await;
}
