//! Bots that fail, nine ways, among twenty calls that must not notice.

use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::Value;

use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial, PhoneCall};
use super::program::Program;
use super::report::{Row, conclude};
use super::{bot, is_long, is_wanted, peer, sound};

/// A way to fail: its name, the cause in the record, and from when the time counts.
struct Case {
    behaviour: &'static str,
    cause: &'static str,
    /// What the bot tells at the moment of its failure; none: it fails while the phone rings, from the start.
    fails_at: Option<&'static str>,
    /// The longest that the caller may wait for the apology.
    told_ms_max: i64,
}

#[tokio::test]
async fn a_bot_that_fails_hurts_its_own_call_alone_and_its_caller_is_told() {
    let folder = Folder::new("failing");
    let mut bots = Vec::new();
    let cases: Vec<_> = CASES.iter().filter(|case| is_wanted(case.behaviour)).collect();
    for case in &cases {
        let script = peer("python/bad_bot.py").display().to_string();
        let arguments = [&script, "--behaviour", case.behaviour];
        let mut program = Program::start(case.behaviour, peer(".venv/bin/python"), arguments, folder.path());
        let url = program.line_after("URL ", bot::START_MAX).await;
        bots.push((program, url));
    }
    let settings: String = cases
        .iter()
        .zip(&bots)
        .map(|(case, (_, url))| {
            format!("[bots.{}]\nurl = \"{url}\"\ndialect = \"ivr-solutions\"\n", case.behaviour)
        })
        .collect();
    let gateway = Gateway::start(folder.path(), &settings).await;
    let failing = cases.iter().zip(bots).map(|(case, (program, _))| case.call(program, &gateway, &folder));
    let others = (0..OTHERS).map(|at| other(at, &gateway, &folder));
    let (mut rows, others) = join(join_all(failing), join_all(others)).await;
    rows.extend(others);
    let head = ["apology after", "as it should sound", "cause"];
    conclude("failing bots", &head, &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

impl Case {
    async fn call(&self, mut program: Program, gateway: &Gateway, folder: &Folder) -> Row {
        let mut row = Row::new(self.behaviour);
        let heard = folder.file(&format!("{}-heard.wav", self.behaviour));
        let dial = Dial { hung_up_by_them: true, ..Dial::new(gateway.sip_uri(self.behaviour), 45.0, &heard) };
        let call = phone::call(self.behaviour, &dial, folder.path()).await;
        row.expect(call.summary["ok"] == true, format!("the phone: {} {:?}", call.summary, call.events));
        let record = gateway.record("bot", self.behaviour).await;
        program.terminate();
        let mut events = Vec::new();
        while let Some(line) = program.line(Duration::from_secs(10)).await {
            events.extend(serde_json::from_str::<Value>(&line));
        }
        let Some((failed_at, heard_from)) = self.failure(&call, &events) else {
            row.expect(false, format!("the moment of the failure is not known: {events:?}"));
            return row;
        };
        let seconds = (failed_at - heard_from).max(0) as f64 / 1_000.0;
        let apology = sound::judge_against(&clip(), &heard, seconds, None).await;
        let told = heard_from.max(failed_at) + apology.delay_ms() as i64 - failed_at;
        row.cell(format!("{told} ms"));
        row.cell(format!("{:.4}", apology.correlation()));
        row.expect(apology.correlation() > 0.97, format!("the caller did not hear the apology: {apology:?}"));
        row.expect(told <= self.told_ms_max, format!("the apology came after {told} ms"));
        row.cause(record, self.cause);
        row
    }

    /// When the bot failed, and when the phone began to hear, by the wall clock in milliseconds.
    fn failure(&self, call: &PhoneCall, bot: &[Value]) -> Option<(i64, i64)> {
        let said = |name: &str| bot.iter().find(|row| row["event"] == name)?["unix_ms"].as_i64();
        // Before the answer the bot fails from the start: the phone rings until that is found out.
        let failed_at = self.fails_at.map_or_else(|| call.unix_ms("dialling"), said)?;
        Some((failed_at, call.unix_ms("established")?))
    }
}

/// A call that has nothing to do with any of it.
async fn other(at: usize, gateway: &Gateway, folder: &Folder) -> Row {
    let name = format!("other-{at}");
    let mut row = Row::new(&name);
    let heard = folder.file(&format!("{name}-heard.wav"));
    let from = format!("+9170000000{at:02}");
    let seconds = if is_long() { 33.0 } else { 12.0 };
    let dial = Dial { from: &from, ..Dial::new(gateway.sip_uri("echo"), seconds, &heard) };
    let call = phone::call(&name, &dial, folder.path()).await;
    row.expect(call.summary["ok"] == true, format!("the phone: {} {:?}", call.summary, call.events));
    row.cell("");
    row.hearing("the caller", &sound::judge(&heard, 0.0, None).await);
    row.cause(gateway.record("from", &from).await, "completed/caller_hung_up");
    row
}

/// What a caller hears when the bot fails.
fn clip() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sorry.wav")
}

const fn case(
    behaviour: &'static str,
    cause: &'static str,
    fails_at: Option<&'static str>,
    told_ms_max: i64,
) -> Case {
    Case { behaviour, cause, fails_at, told_ms_max }
}

const CASES: &[Case] = &[
    case("refused", "bot/refused", None, 1_500),
    case("dns", "bot/dns", None, 6_500),
    case("unauthorized", "bot/unauthorized", None, 1_500),
    case("tls-plain", "bot/tls", None, 1_500),
    case("tls-selfsigned", "bot/tls", None, 1_500),
    case("no-handshake", "bot/no_handshake", None, 6_500),
    case("stall", "bot/stalled", Some("stalled"), 26_500),
    case("reset", "bot/reset", Some("reset"), 1_500),
    case("never-reads", "bot/stalled", Some("stopped-reading"), 26_500),
    case("floods", "bot/flooded", Some("call"), 5_500),
];

/// Calls that must not notice.
const OTHERS: usize = 20;
