//! Secrets are planted wherever the configuration takes one, and numbers and digits in calls by every way in and out;
//! then nothing of them may stand in the log at its finest, in the metrics, or in what the API says to who has no key.

use std::net::SocketAddr;
use std::time::Duration;

use super::agent::PASSWORD;
use super::callbacks::start_receiver;
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::program::Program;
use super::{ask, peer};

/// What nobody may read who reads logs, metrics or errors: secrets, then numbers and digits of calls.
const SECRETS: &[&str] = &[
    PASSWORD,
    "planted-trunk-password",
    "planted-operator-key-0001",
    "planted-callback-secret-0001",
    "planted-bucket-secret",
    "planted-token-of-a-bot",
    "planted-word-in-a-body",
];
const OF_CALLS: &[&str] = &["9876543219", "7415100898", "86421975", "9103000077"];

#[tokio::test]
async fn no_secret_number_or_digit_is_told_to_whom_it_is_none_of_their_business() {
    let folder = Folder::new("sweep");
    let mut carrier = Program::start("carrier", peer("sipp/carrier.sh"), ["1", "60"], folder.path());
    let port = carrier.line_after("LISTENING", Duration::from_secs(10)).await;
    let (_receiver, callbacks) = start_receiver(&folder).await;
    let loud = [("PATCHCORD_LOG__LEVEL", "trace,hyper=trace,sqlx=trace".to_owned())];
    let settings = settings(&port, &callbacks);
    let gateway = Gateway::start_with(folder.path(), &[], &settings, &loud).await;

    // An extension registers, calls a bot and types digits; the API dials out and makes mistakes; strangers ask.
    let heard = folder.file("heard.wav");
    let at = gateway.sip.to_string();
    let register = ["--registrar", &at, "--password", PASSWORD].map(str::to_owned);
    let dial = Dial {
        from: "9876543219",
        options: register.to_vec(),
        digits: Some("86421975@1s".to_owned()),
        ..Dial::new(gateway.sip_uri("echo"), 6.0, &heard)
    };
    let call = phone::call("caller", &dial, folder.path()).await;
    assert_eq!(call.summary["established"], true, "{} {:?}", call.summary, call.events);
    let mut answers = vec![place(gateway.http, "9103000077"), place(gateway.http, "not a number 9876543219")];
    answers.extend(strangers(gateway.http));
    answers.push(ask::get(gateway.http, "/metrics"));
    carrier.json_after("", Duration::from_secs(60)).await;
    let gone = ask::until(Duration::from_secs(15), || (gateway.records().len() >= 2).then_some(())).await;
    assert!(gone.is_some(), "{:?}", gateway.records());
    let metrics = ask::anything(gateway.http, "GET /metrics", KEY, "");
    assert!(gateway.stop().await.success());

    let log = std::fs::read_to_string(folder.file("gateway.err")).unwrap();
    assert!(log.contains("TRACE") && log.matches("call ended").count() >= 2, "the log is at its finest");
    for (place, text) in [("the log", &log), ("the metrics", &metrics)] {
        for planted in SECRETS.iter().chain(OF_CALLS) {
            let line = text.lines().find(|line| line.contains(planted));
            assert!(line.is_none(), "{planted} stands in {place}: {line:?}");
        }
    }
    let records = std::fs::read_to_string(folder.file("patchcord-data/calls.jsonl")).unwrap();
    for secret in SECRETS {
        assert!(!records.contains(secret), "{secret} stands in the records");
        assert!(!answers.iter().any(|answer| answer.contains(secret)), "{secret} stands in an answer");
    }
    assert!(!records.contains("86421975"), "digits stand in the records");
}

/// What the API says to who has a key and asks for a call.
fn place(http: SocketAddr, number: &str) -> String {
    let body = format!(
        "{{\"callTo\": \"{number}\", \"wsUrl\": \"wss://bot.example/x\", \
         \"wsHeaders\": {{\"Authorization\": \"Bearer planted-token-of-a-bot\"}}}}"
    );
    ask::anything(http, "POST /calls", &format!("{KEY}Content-Type: application/json\r\n"), &body)
}

/// What it says to who has none, or makes mistakes.
fn strangers(http: SocketAddr) -> Vec<String> {
    let wrong = "Authorization: Bearer planted-operator-key-0002\r\n";
    let json = format!("{KEY}Content-Type: application/json\r\n");
    vec![
        ask::anything(http, "GET /calls", wrong, ""),
        ask::anything(http, "GET /calls", "", ""),
        ask::anything(http, "POST /calls", &json, "{\"planted-word-in-a-body"),
        ask::anything(http, "POST /calls/call_1_00/transfer", &json, "{\"extension\": 1}"),
        ask::anything(http, "GET /trunks", KEY, ""),
        ask::anything(http, "GET /extensions", KEY, ""),
        ask::anything(http, "GET /bots", KEY, ""),
    ]
}

fn settings(carrier: &str, callbacks: &str) -> String {
    format!(
        "[[http.keys]]\nname = \"ops\"\nkey = \"planted-operator-key-0001\"\nrole = \"admin\"\n\
         [callbacks]\nurl = \"http://127.0.0.1:{callbacks}/ok/cb\"\nsecret = \"planted-callback-secret-0001\"\n\
         [storage]\nrecordings = \"s3://calls\"\n[storage.s3]\nendpoint = \"http://127.0.0.1:9\"\nregion = \"x\"\n\
         access_key = \"someone\"\nsecret_key = \"planted-bucket-secret\"\n\
         [[extensions]]\nnumber = \"9876543219\"\npassword = \"{PASSWORD}\"\n\
         [[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = {carrier}\ntransport = \"udp\"\n\
         options_interval = \"0s\"\nusername = \"7415100898\"\npassword = \"planted-trunk-password\"\nallow = [\"91*\"]\n\
         [bots.desk]\nurl = \"wss://bot.example/\"\ndialect = \"ivr-solutions\"\n\
         headers = {{ Authorization = \"Bearer planted-token-of-a-bot\" }}\n"
    )
}

const KEY: &str = "Authorization: Bearer planted-operator-key-0001\r\n";
