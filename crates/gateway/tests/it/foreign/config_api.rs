//! Foreign phones call numbers whose bot a foreign CONFIG_API names, in every way that it can answer and fail to.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::bot::{Bot, START_MAX};
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::program::Program;
use super::report::{Row, conclude};
use super::{peer, sipp, sound};

/// A way to answer, and the cause of its calls; seconds between which they end.
const CASES: &[(&str, &str, u64, u64)] = &[
    ("right", "completed/caller_hung_up", 0, 20),
    ("chunked", "completed/caller_hung_up", 0, 20),
    ("content-type", "completed/caller_hung_up", 0, 20),
    ("first-resets", "completed/caller_hung_up", 0, 20),
    ("status", "upstream/config_api_status", 0, 1),
    ("redirect", "upstream/config_api_status", 0, 1),
    ("wrong-json", "upstream/config_api_bad_answer", 0, 1),
    ("no-object", "upstream/config_api_bad_answer", 0, 1),
    ("gzip", "upstream/config_api_bad_answer", 0, 1),
    ("large", "upstream/config_api_too_large", 0, 1),
    ("closes", "upstream/config_api_unreachable", 0, 1),
    ("hang", "upstream/config_api_timeout", 5, 5),
    ("drip", "upstream/config_api_timeout", 5, 5),
    ("victim", "bot/forbidden_address", 0, 1),
];

/// The number that is asked about in that way.
fn number(mode: &str) -> String {
    let at = CASES.iter().position(|(name, ..)| *name == mode).unwrap();
    format!("1800555{at:04}")
}

#[tokio::test]
async fn a_foreign_config_api_leads_calls_to_a_foreign_bot_or_gives_the_fallback_in_time() {
    let folder = Folder::new("config-api");
    let heard = folder.file("bot.wav");
    let every_call = ["--calls", "0"];
    let mut bot = Bot::start("bot", "ivr-solutions", &every_call, &heard, folder.path()).await;
    // Of this machine only 127.0.0.1 is let through, so that the bot can be one and this a forbidden address.
    let victim = TcpListener::bind("127.0.0.66:0").unwrap();
    victim.set_nonblocking(true).unwrap();
    let forbidden = format!("ws://{}/", victim.local_addr().unwrap());
    let script = peer("python/config_api.py").display().to_string();
    let arguments = [&script, "--bot", &bot.url, "--victim", &forbidden];
    let mut server = Program::start("config-api", peer(".venv/bin/python"), arguments, folder.path());
    let port = server.line_after("LISTENING ", START_MAX).await;
    let gateway = Gateway::start(folder.path(), &settings(&port)).await;

    let recorded = folder.file("heard.wav");
    let dial = Dial::new(gateway.sip_uri(&number("right")), 6.0, &recorded);
    let calls = CASES.iter().map(|(mode, cause, ..)| {
        let answered = cause.starts_with("completed/");
        let (scenario, options) =
            if answered { ("call", ["3", "3", "2000"]) } else { ("busy", ["3", "3", "100"]) };
        let (user, sip, path) = (number(mode), gateway.sip, folder.path());
        async move { sipp::run(scenario, &user, sip, &options, path).await }
    });
    join_all(calls).await;
    // Alone, and only whether it is heard: how calls sound is told elsewhere.
    let call = phone::call("phone", &dial, folder.path()).await;

    let mut rows = Vec::new();
    let mut row = Row::new("right, by baresip");
    row.expect(call.summary["ok"] == true, format!("the phone: {} {:?}", call.summary, call.events));
    let hearing = sound::judge(&recorded, 0.0, None).await;
    row.cell(format!("heard {:.4}", hearing.correlation()));
    row.expect(hearing.correlation() > 0.97, format!("the caller did not hear the bot: {hearing:?}"));
    rows.push(row);
    let records = gateway.records_when(CASES.len() * 3 + 1).await;
    rows.extend(CASES.iter().map(|case| ended(case, &records)));
    rows.push(asked(server).await);
    let mut row = Row::new("the bot");
    for _ in 0..13 {
        let verdict = bot.verdict(Duration::from_secs(10)).await;
        row.verdict("the bot", &verdict);
        let told = &verdict["start"]["start"]["custom_parameters"];
        row.expect(told["tier"] == "gold", format!("the bot was told {}", verdict["start"]));
    }
    rows.push(row);
    conclude("CONFIG_API", &["cause"], &rows, &gateway.log());
    assert_eq!(
        victim.accept().map(|_| ()).unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "a forbidden address was dialled"
    );
    assert!(gateway.stop().await.success());
}

fn settings(port: &str) -> String {
    let number = |(mode, ..): &(&str, &str, u64, u64)| {
        let (number, url) = (number(mode), format!("http://127.0.0.1:{port}/{mode}"));
        format!("[[numbers]]\nnumber = \"{number}\"\nconfig_api = \"{url}\"\nfallback = \"busy\"\n")
    };
    let numbers: String = CASES.iter().map(number).collect();
    format!("{numbers}[egress]\nallow = [\"127.0.0.1\"]\n")
}

/// What the calls of one case left.
fn ended((mode, cause, at_least, at_most): &(&str, &str, u64, u64), records: &[Value]) -> Row {
    let mut row = Row::new(*mode);
    for record in records.iter().filter(|record| record["to"] == number(mode)) {
        row.cause(Ok(record.clone()), cause);
        let seconds = record["duration_s"].as_u64().unwrap();
        row.expect((*at_least..=*at_most).contains(&seconds), format!("it took {seconds} s"));
    }
    row
}

/// What the CONFIG_API thinks of its questions, and how many there were.
async fn asked(mut server: Program) -> Row {
    let mut row = Row::new("the questions");
    let mut counts = [0; CASES.len()];
    server.terminate();
    while let Some(line) = server.line(Duration::from_secs(10)).await {
        let Some(text) = line.strip_prefix("ASKED ") else { continue };
        let question: Value = serde_json::from_str(text).unwrap();
        row.expect(question["ok"] == true, format!("{question}"));
        let at = CASES.iter().position(|(mode, ..)| question["mode"] == *mode).unwrap();
        counts[at] += 1;
    }
    for ((mode, ..), count) in CASES.iter().zip(counts) {
        let wanted = match *mode {
            // Sipp's three and baresip's; a redirect leads nobody here.
            "right" => 4,
            // What had no answer is asked twice.
            "first-resets" | "closes" => 6,
            _ => 3,
        };
        row.expect(count == wanted, format!("{mode} was asked {count} times, not {wanted}"));
    }
    row
}
