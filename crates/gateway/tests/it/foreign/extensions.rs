//! Phones that register here: a real one, and one by hand that also forges.

use std::time::Duration;

use super::ask;
use super::folder::Folder;
use super::gateway::Gateway;
use super::peer;
use super::phone::{self, Dial};
use super::program::Program;
use super::sound;

#[tokio::test]
async fn a_real_phone_registers_with_its_password_only_and_calls() {
    let folder = Folder::new("extensions");
    let gateway = Gateway::start(folder.path(), EXTENSION).await;
    let phone = |transport: &str, password: &str| {
        let (name, heard) =
            (format!("{transport}-{password}"), folder.file(&format!("{transport}-{password}.wav")));
        let at = if transport == "tcp" { gateway.sip_tcp } else { gateway.sip };
        let options = ["--registrar", &at.to_string(), "--transport", transport, "--password", password];
        let options = options.map(str::to_owned).to_vec();
        let (target, path) = (gateway.sip_uri_on(&format!("{transport}:"), "echo"), folder.path());
        async move {
            let dial = Dial { from: "101", options, ..Dial::new(target, 4.0, &heard) };
            let call = phone::call(&name, &dial, path).await;
            (call, sound::judge(&heard, 0.0, None).await)
        }
    };
    let both_registered = ask::until(Duration::from_secs(20), || {
        let shown = ask::get(gateway.http, "/extensions");
        shown.contains("\"registered\":2").then_some(shown)
    });
    let ((by_udp, udp_heard), (by_tcp, tcp_heard), shown) =
        tokio::join!(phone("udp", PASSWORD), phone("tcp", PASSWORD), both_registered);
    let shown = shown.unwrap_or_else(|| panic!("never two phones at a time: {}", gateway.log()));
    assert!(shown.contains("\"number\":\"101\"") && !shown.contains(PASSWORD), "{shown}");
    for (call, heard) in [(&by_udp, udp_heard), (&by_tcp, tcp_heard)] {
        assert!(call.unix_ms("registered").is_some(), "{:?}", call.events);
        assert_eq!(call.summary["ok"], true, "{} {:?}", call.summary, call.events);
        assert!(heard.correlation() > 0.99, "{heard:?}");
    }
    let (wrong, _) = phone("udp", "guessed").await;
    assert!(
        wrong.unix_ms("refused").is_some() && wrong.unix_ms("registered").is_none(),
        "{:?}",
        wrong.events
    );
    assert_eq!(gateway.records_when(2).await.iter().filter(|record| record["from"] == "101").count(), 2);
    assert!(!gateway.log().contains(PASSWORD));
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn nonces_counts_replays_unknown_numbers_contacts_and_forged_byes_are_judged_by_a_foreign_hand() {
    let folder = Folder::new("extension-by-hand");
    let gateway = Gateway::start(folder.path(), EXTENSION).await;
    let arguments = [&gateway.sip.to_string(), "101", PASSWORD];
    let mut hand = Program::start("extension", peer("python/extension.py"), arguments, folder.path());
    let verdict = hand.json_after("VERDICT", Duration::from_secs(60)).await;
    assert_eq!(verdict["ok"], true, "{verdict}\n{}", gateway.log());
    assert!(verdict["steps"].as_array().unwrap().len() >= 39, "{verdict}");
    assert!(gateway.stop().await.success());
}

const PASSWORD: &str = "correct-horse-battery";
const EXTENSION: &str = "[[extensions]]\nnumber = \"101\"\npassword = \"correct-horse-battery\"\n";
