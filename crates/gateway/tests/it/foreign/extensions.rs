//! Phones that register here: a real one, and one by hand that also forges.

use std::time::Duration;

use super::agent::{Agent, PASSWORD, extensions};
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
async fn one_real_phone_calls_another_by_its_number_and_both_hear_each_other() {
    let folder = Folder::new("extension-to-extension");
    let gateway = Gateway::start(folder.path(), &extensions(&["101", "102"])).await;
    let called =
        Agent::register(&gateway, &folder, ("called", "102"), &["--hangup-by", "them", "--seconds", "30"])
            .await;
    let heard = folder.file("caller.wav");
    let options = ["--registrar", &gateway.sip.to_string(), "--password", PASSWORD];
    let options = options.map(str::to_owned).to_vec();
    let dial = Dial { from: "101", options, ..Dial::new(gateway.sip_uri("102"), 8.0, &heard) };
    let call = phone::call("caller", &dial, folder.path()).await;
    assert_eq!(call.summary["ok"], true, "{} {:?}", call.summary, call.events);
    let (told, called_heard) = called.finish().await;
    assert_eq!(told["ok"], true, "{told}");
    let rang = call.unix_ms("ringing").expect("the caller's phone rings");
    assert!(call.unix_ms("established").unwrap() - rang >= 1_500, "answered when the other one answers");
    for heard in [&heard, &called_heard] {
        let judged = sound::judge(heard, 1.0, Some(6.0)).await;
        assert!(judged.correlation() > 0.99, "{heard}: {judged:?}");
    }
    let [record] = gateway.records_when(1).await.try_into().unwrap();
    assert_eq!(
        (&record["from"], &record["to"], &record["bot"]),
        (&"101".into(), &"102".into(), &"dial:extension".into())
    );
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

const EXTENSION: &str = "[[extensions]]\nnumber = \"101\"\npassword = \"correct-horse-battery\"\n";
