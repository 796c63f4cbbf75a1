//! A foreign chat completions service that answers in every way, and a foreign receiver of what came of the calls: each
//! call is told once, under one id, also when the process is killed again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use patchcord::config::Database;
use patchcord::store::{Beside, NewCall, PlacedUtterance};
use patchcord_core::vocabulary::{HeardPart, Role, Utterance};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::callbacks::{SECRET, start_receiver};
use super::folder::Folder;
use super::gateway::Gateway;
use super::program::Program;
use super::report::{Row, conclude};
use super::{ask, is_long, peer};
use crate::store::ground::{Ground, Open, ended_with_bot, new_call};

/// What the service does, what its receiver does, and the attempts at the service.
const CASES: &[(&str, &str, u64)] = &[
    ("right", "fails/2", 1),
    ("busy", "ok", 2),
    ("down", "later/1", 3),
    ("hang-once", "ok", 2),
    ("closes-once", "ok", 2),
];

/// The same where nothing comes of it.
const DEAD: &[(&str, u64, &str)] = &[
    ("refused", 1, "the service answered 400"),
    ("denied", 1, "the service answered 401"),
    ("redirect", 1, "the service answered 307"),
    ("declines", 3, "the model declined to answer"),
    ("prose", 3, "the model's answer is not JSON"),
    ("misfit", 3, "the answer does not fit the schema"),
    ("cut", 3, "the model's answer was cut off"),
    ("html", 3, "the service's answer is no chat completion"),
    ("giant", 3, "the service's answer is too large"),
];

/// Words that nobody but the service and the receiver may see.
const NAME: &str = "Gulshan <script>alert(7)</script> Mehta";

#[tokio::test]
async fn however_the_service_answers_every_call_is_told_once_signed_with_its_fields_or_the_reason() {
    let folder = Folder::new("extraction");
    let (service, at) = start_service(&folder, &[]).await;
    let (mut receiver, hook) = start_receiver(&folder).await;
    let hooks = CASES.iter().map(|(mode, hook, ..)| (*mode, *hook));
    let modes: Vec<_> = hooks.chain(DEAD.iter().map(|(mode, ..)| (*mode, "ok"))).collect();
    let open = seed(&folder).await;
    for (mode, _) in &modes {
        talk(&open, &format!("call_{mode}"), mode).await;
    }
    open.close().await;
    let bots: String = modes.iter().map(|(mode, kind)| bot(mode, (&at, mode), (&hook, kind))).collect();
    let gateway = Gateway::start(folder.path(), &format!("[callbacks]\nsecret = \"{SECRET}\"\n{bots}")).await;
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    while told.len() < modes.len() || told["call_right"].len() < 3 || told["call_down"].len() < 2 {
        let got = receiver.json_after("GOT ", Duration::from_secs(60)).await;
        told.entry(got["call_id"].as_str().unwrap().to_owned()).or_default().push(got);
    }
    let rows: Vec<_> =
        modes.iter().map(|(mode, _)| judge(&gateway, mode, &told[&format!("call_{mode}")])).collect();
    conclude("extraction", &["attempts", "state"], &rows, &gateway.log());
    let dead = ask::json(gateway.http, "/extractions?state=dead");
    assert_eq!(dead["data"].as_array().unwrap().len(), DEAD.len(), "{dead}");
    for page in [gateway.log(), ask::get(gateway.http, "/metrics"), dead.to_string()] {
        assert!(!page.contains("Gulshan") && !page.contains("sk-test"), "{page}");
    }
    assert!(gateway.stop().await.success());
    service.terminate();
    for line in service.finish(Duration::from_secs(20)).await.0 {
        let asked: Value = serde_json::from_str(line.strip_prefix("ASKED ").unwrap()).unwrap();
        assert_eq!(asked["violations"], json!([]), "{asked}");
        let said = asked["said"].as_str().unwrap();
        assert!(said.contains("my city is Pune") && said.contains("Which city?"), "{asked}");
    }
}

#[tokio::test]
async fn after_kill_9_at_any_moment_every_call_is_told_under_one_id() {
    let (lives, calls) = if is_long() { (40, 200) } else { (5, 40) };
    let folder = Folder::new("extraction-kill9");
    let (_service, at) = start_service(&folder, &["--quiet"]).await;
    let (mut receiver, hook) = start_receiver(&folder).await;
    let open = seed(&folder).await;
    let modes = ["right", "busy", "hang-once", "denied"];
    for call in 0..calls {
        talk(&open, &format!("call_{call:03}"), modes[call % modes.len()]).await;
    }
    open.close().await;
    let bots: String = modes.iter().map(|mode| bot(mode, (&at, mode), (&hook, "fails/1"))).collect();
    let settings = format!("[callbacks]\nsecret = \"{SECRET}\"\n{bots}");
    for life in 0..lives {
        let gateway = Gateway::start(folder.path(), &settings).await;
        let moment = Duration::from_millis(20 + (life * 7_919) % 400);
        sleep_until(Instant::now() + moment).await;
        gateway.kill().await;
    }
    let gateway = Gateway::start(folder.path(), &settings).await;
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    while taken.len() < calls {
        let got = receiver.json_after("GOT ", Duration::from_secs(60)).await;
        assert_eq!(got["bad"], json!([]), "{got}");
        let call_id = got["call_id"].as_str().unwrap().to_owned();
        ids.entry(call_id.clone()).or_default().insert(got["id"].as_str().unwrap().to_owned());
        if got["status"] == "200 OK" {
            taken.insert(call_id);
        }
    }
    assert!(gateway.stop().await.success());
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    let open = seed(&folder).await;
    for call in 0..calls {
        let words = open.words(&format!("call_{call:03}")).await;
        assert_eq!(words.iter().filter(|word| **word == "call.result").count(), 1, "{call}: {words:?}");
    }
    open.close().await;
}

/// What a caller says to an agent, and what the agent says.
const TALK: [(&str, &str); 3] = [
    ("my name is Gulshan Mehta", "good morning, and where do you live"),
    ("my city is Pune", "and what would you like to spend"),
    ("my budget is 900000", "thank you and goodbye"),
];

#[tokio::test]
async fn what_a_caller_tells_an_agent_is_asked_for_at_every_turn_and_told_once_at_the_end() {
    let folder = Folder::new("extraction-talk");
    let (service, at) = start_service(&folder, &[]).await;
    let (mut receiver, hook) = start_receiver(&folder).await;
    let engine_lines: Vec<Value> = TALK
        .iter()
        .map(|(caller, bot)| json!({ "caller": caller, "bot": bot, "audio_ms": 900, "think_ms": 200 }))
        .collect();
    let vendor_lines = vec![json!({ "speaks_ms": 700, "cut_after_ms": 0 }); TALK.len()];
    std::fs::write(folder.file("engine.json"), json!(engine_lines).to_string()).unwrap();
    std::fs::write(folder.file("vendor.json"), json!(vendor_lines).to_string()).unwrap();
    let script = |name: &str| peer(&format!("node/{name}")).display().to_string();
    let arguments = [script("engine_script.mjs"), folder.file("engine.json")];
    let mut engine = Program::start("engine", "node", arguments, folder.path());
    let port = engine.line_after("LISTENING ", Duration::from_secs(20)).await;
    let bot =
        bot("dealer", (&at, "right"), (&hook, "ok")).replace("127.0.0.1:9/", &format!("127.0.0.1:{port}/"));
    let gateway = Gateway::start(folder.path(), &format!("[callbacks]\nsecret = \"{SECRET}\"\n{bot}")).await;
    let arguments =
        [script("vendor_script.mjs"), folder.file("vendor.json"), gateway.ws_url("/ws/ozonetel/dealer")];
    let mut vendor = Program::start("vendor", "node", arguments, folder.path());
    vendor.json_after("VERDICT ", Duration::from_secs(60)).await;
    let told = receiver.json_after("GOT ", Duration::from_secs(20)).await;
    assert_eq!(told["bad"], json!([]), "{told}");
    let fields = json!({"name": "Gulshan Mehta", "city": "Pune", "budget": 900_000, "model": null});
    let body = &told["body"];
    assert_eq!((&body["fields"], &body["field_reasons"]), (&fields, &json!({"model": "not said"})), "{body}");
    assert_eq!(body["conversation"].as_array().unwrap().len(), 2 * TALK.len(), "{body}");
    let name = body["files"]["call"].as_str().unwrap();
    let file = std::fs::read(folder.path().join("patchcord-data/calls").join(name)).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&file).unwrap()["fields"], fields);
    let log = gateway.log();
    assert!(log.contains("extraction started") && !log.contains("Gulshan") && !log.contains("Pune"), "{log}");
    assert!(gateway.stop().await.success());
    service.terminate();
    let asked = service.finish(Duration::from_secs(20)).await.0;
    let asked: Vec<Value> = asked
        .iter()
        .map(|line| serde_json::from_str(line.strip_prefix("ASKED ").unwrap()).unwrap())
        .collect();
    assert!(asked.iter().all(|asked| asked["violations"] == json!([])), "{asked:?}");
    let of_first = |asked: &&Value| !asked["said"].as_str().unwrap().contains("budget");
    assert!(asked.iter().any(|one| of_first(&one)), "nothing was asked during the call: {asked:?}");
    let last = asked.last().unwrap()["said"].as_str().unwrap();
    assert!(TALK.iter().all(|(caller, bot)| last.contains(caller) && last.contains(bot)), "{last}");
}

async fn start_service(folder: &Folder, options: &[&str]) -> (Program, String) {
    let script = peer("python/completions.py").display().to_string();
    let arguments = [&[&*script], options].concat();
    let mut service = Program::start("completions", peer(".venv/bin/python"), arguments, folder.path());
    let port = service.line_after("LISTENING ", Duration::from_secs(20)).await;
    (service, port)
}

/// The store of a gateway that runs in `folder`, while it does not run.
async fn seed(folder: &Folder) -> Open {
    let database = Database::in_folder(&folder.path().join("patchcord-data"));
    Ground::at(database).open_as("patchcord").await
}

/// A call that is over and whose fields nobody has taken yet.
async fn talk(open: &Open, call_id: &str, bot: &str) {
    let new = NewCall {
        leaves_files: true,
        bot: bot.into(),
        bot_dialect: "openai-realtime".into(),
        ..new_call(call_id, 1_707_204_900_000)
    };
    open.begin(new).await;
    let lines = [
        (Role::Bot, "Which city?".to_owned()),
        (Role::Caller, "my city is Pune".to_owned()),
        (Role::Caller, format!("my name is {NAME}")),
        (Role::Caller, "my budget is 900000".to_owned()),
    ];
    for (position, (role, text)) in (0..).zip(lines) {
        let utterance = Utterance {
            role,
            item: format!("item_{position}").into(),
            text: text.into(),
            start: Duration::from_secs(position.into()),
            end: Duration::from_secs(u64::from(position) + 1),
            heard: HeardPart::All,
            played: None,
            response: None,
        };
        open.store.add(
            call_id,
            Beside::Utterance(PlacedUtterance { position, utterance }),
            1_707_204_905_000,
        );
    }
    let record = json!({
        "call_id": call_id, "from": "9876543210", "to": "18001234567", "bots": [bot], "started_at": "2024-02-06T07:35:00.000Z",
        "ended_at": "2024-02-06T07:35:09.000Z", "cause": { "class": "completed", "reason": "caller_hung_up", "q850": 16 },
    });
    open.tell(call_id, ended_with_bot(bot, Some(record.to_string())), 1_707_204_909_000).await;
}

fn bot(name: &str, (service, mode): (&str, &str), (hook, kind): (&str, &str)) -> String {
    let schema = r#"{"type":"object","properties":{"name":{"type":"string"},"city":{"type":"string"},"budget":{"type":"integer"},"model":{"type":"string","enum":["XUV700","Thar"]}}}"#;
    format!(
        "[bots.{name}]\ndialect = \"openai-realtime\"\nmodel = \"m\"\nurl = \"ws://127.0.0.1:9/\"\napi_key = \"sk-test\"\n\
         webhook = \"http://127.0.0.1:{hook}/{kind}/result\"\n\
         extract = {{ url = \"http://127.0.0.1:{service}/{mode}/v1/chat/completions\", model = \"m\", timeout = \"1s\", schema = '{schema}' }}\n"
    )
}

/// Whether a call came to the right end.
fn judge(gateway: &Gateway, mode: &str, told: &[Value]) -> Row {
    let mut row = Row::new(mode);
    let fields = ask::json(gateway.http, &format!("/calls/call_{mode}/fields"));
    let case = CASES.iter().find(|(name, ..)| *name == mode);
    let dead = DEAD.iter().find(|(name, ..)| *name == mode);
    let (state, attempts, error) = match (case, dead) {
        (Some((.., attempts)), _) => ("done", *attempts, Value::Null),
        (None, Some((_, attempts, error))) => ("dead", *attempts, Value::from(*error)),
        (None, None) => unreachable!("{mode} is a case"),
    };
    row.cell(fields["attempts"].to_string());
    row.cell(fields["state"].to_string());
    row.expect(fields["state"] == state && fields["attempts"] == attempts, format!("{fields}"));
    row.expect(fields["last_error"] == error, format!("{fields}"));
    let (values, reasons) = match &error {
        Value::String(error) => {
            let reason = format!("extraction failed: {error}");
            let of_all =
                |value: Value| json!({"name": value, "city": value, "budget": value, "model": value});
            (of_all(Value::Null), of_all(reason.into()))
        }
        _ => {
            let values = json!({"name": NAME, "city": "Pune", "budget": 900_000, "model": null});
            (values, json!({"model": "not said"}))
        }
    };
    row.expect(fields["fields"] == values && fields["reasons"] == reasons, format!("{fields}"));
    let ids: BTreeSet<_> = told.iter().map(|got| got["id"].as_str()).collect();
    row.expect(ids.len() == 1, format!("ids: {ids:?}"));
    for got in told {
        row.expect(got["bad"] == json!([]), format!("{got}"));
        row.expect(
            got["body"]["fields"] == values && got["body"]["field_reasons"] == reasons,
            format!("{got}"),
        );
    }
    row
}
