//! sipp, a foreign caller by the hundred, against the gateway's SIP.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::bot::Bot;
use super::folder::Folder;
use super::gateway::Gateway;
use super::program::Program;
use super::{is_long, peer};

/// Runs a scenario of `peers/sipp`; every call must succeed.
pub async fn run(scenario: &str, user: &str, at: SocketAddr, options: &[&str], folder: &Path) -> Value {
    let target = format!("{user}@{at}");
    let arguments = [scenario, &target].into_iter().chain(options.iter().copied());
    let name = format!("sipp-{scenario}-{}", options.join("-"));
    let mut sipp = Program::start(&name, peer("sipp/run.sh"), arguments, folder);
    let counts = sipp.json_after("", SIPP_MAX).await;
    let wanted = options.first().and_then(|calls| calls.parse().ok()).unwrap_or(1_u64);
    let talk = sipp.talk();
    assert_eq!(
        (counts["ok"].as_u64(), counts["failed"].as_u64()),
        (Some(wanted), Some(0)),
        "{counts}\n{talk}"
    );
    counts
}

#[tokio::test]
async fn two_hundred_calls_at_twenty_a_second_talk_to_the_echo() {
    let folder = Folder::new("sipp");
    let gateway = Gateway::start(folder.path(), "").await;
    let (length, packets) = if is_long() { ("10000", 500) } else { ("4000", 200) };
    run("call", "echo", gateway.sip, &["200", "20", length], folder.path()).await;
    let records = gateway.records_when(200).await;
    let of = |record: &Value, key: &str| record["counters"][key].as_u64().unwrap();
    for record in &records {
        assert_eq!(record["cause"]["reason"], "caller_hung_up");
        assert!(of(record, "rtp_received") >= packets * 9 / 10, "{record}");
        assert!(of(record, "rtp_sent") >= packets * 9 / 10, "{record}");
    }
    let lost: u64 = records.iter().map(|record| of(record, "rtp_lost")).sum();
    assert!(lost * 1_000 <= 200 * packets, "{lost} packets were lost");
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn calls_are_cancelled_held_resumed_offered_late_and_typed_into_by_info() {
    let folder = Folder::new("sipp-scenarios");
    let sounds = |name: &str| folder.file(&format!("{name}.wav"));
    let ringing = ["--behaviour", "wait-answer=60", "--calls", "0"];
    let ringing = Bot::start("ringing", "incoming-call", &ringing, &sounds("ringing"), folder.path()).await;
    let mut listening =
        Bot::start("listening", "ivr-solutions", &[], &sounds("listening"), folder.path()).await;
    let leaving = ["--behaviour", "hangup-after=1"];
    let leaving = Bot::start("leaving", "ivr-solutions", &leaving, &sounds("leaving"), folder.path()).await;
    // A port that is held and not listened on refuses connections.
    let held = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = format!(
        "[bots.ringing]\nurl = \"{}\"\ndialect = \"incoming-call\"\n\
         [bots.listening]\nurl = \"{}\"\ndialect = \"ivr-solutions\"\n\
         [bots.leaving]\nurl = \"{}\"\ndialect = \"ivr-solutions\"\n\
         [bots.away]\nurl = \"ws://{held}\"\ndialect = \"ivr-solutions\"\n\
         [[numbers]]\nnumber = \"18005550100\"\nbot = \"away\"\nfallback = \"busy\"\n\
         [[numbers]]\nnumber = \"18005550101\"\nbot = \"away\"\nfallback = \"unavailable\"\n",
        ringing.url, listening.url, leaving.url
    );
    let gateway = Gateway::start(folder.path(), &settings).await;
    let (udp, path) = (gateway.sip, folder.path());
    let scenario = |name, user, options| run(name, user, udp, options, path);
    tokio::join!(
        scenario("cancel", "ringing", &["20", "10", "500"]),
        scenario("hold", "echo", &["10", "5", "500"]),
        scenario("info", "listening", &["1", "1", "500"]),
        scenario("call-them", "leaving", &["1"]),
        scenario("delayed-offer", "echo", &["10", "5", "1000"]),
        scenario("no-codec", "echo", &["10", "10"]),
        scenario("not-found", "nobody", &["10", "10"]),
        scenario("busy", "18005550100", &["10", "10"]),
        scenario("full", "18005550101", &["10", "10"]),
        scenario("options", "127.0.0.1", &["10", "10"]),
        run("call", "echo", gateway.sip_tcp, &["20", "10", "1000", "--", "-t", "t1"], path),
    );
    let verdict = listening.verdict(Duration::from_secs(10)).await;
    assert_eq!(verdict["digits"], "512", "{verdict}");
    assert_eq!(verdict["ok"], true, "{verdict}");

    let records = gateway.records_when(102).await;
    let count = |class: &str, reason: &str, q850: u64| {
        let cause = serde_json::json!({"class": class, "reason": reason, "q850": q850});
        records.iter().filter(|record| record["cause"] == cause).count()
    };
    assert_eq!(count("caller", "canceled", 16), 20);
    assert_eq!(count("completed", "caller_hung_up", 16), 41);
    assert_eq!(count("completed", "bot_hung_up", 16), 1);
    assert_eq!(count("upstream", "no_common_codec", 88), 10);
    assert_eq!(count("caller", "unknown_number", 1), 10);
    assert_eq!(count("bot", "refused", 27), 20);
    assert!(gateway.stop().await.success());
}

const SIPP_MAX: Duration = Duration::from_secs(150);
