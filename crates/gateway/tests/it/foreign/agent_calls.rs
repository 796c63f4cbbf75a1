//! Seed 001 by its checklist: a foreign vendor streams a call, a foreign engine talks, and what is left of the call is
//! there when the vendor is closed, however the call ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::ask;
use super::folder::Folder;
use super::gateway::Gateway;
use super::program::Program;
use super::report::{Row, conclude};
use super::{is_long, peer, sipp};

#[tokio::test]
async fn the_checklist_of_seed_001_holds_with_its_own_script_as_the_vendor() {
    let folder = Folder::new("agent-checklist");
    let mut engine = Engine::start(&folder, "engine", &[]).await;
    let gateway = Gateway::start(folder.path(), &dealer("dealer", &engine)).await;
    let verdict =
        vendors(&folder, "vendor", &gateway.ws_url("/ws/ozonetel/dealer"), &["--talk-ms", "4500"]).await;
    let call = &verdict[0];
    assert_eq!(call["wrong"], json!([]), "{call}");
    assert!(call["heard_before_speaking"].as_u64().unwrap() > 0, "no greeting: {call}");
    assert!(call["heard"].as_u64().unwrap() > 100, "{call}");
    assert_eq!(call["close_code"], 1000);
    let waited = call["stop_to_close_ms"].as_u64().unwrap();
    assert!(waited <= 5_000, "closed {waited} ms after the stop");
    // In the moment of the close both were there, whole.
    assert_eq!((lines(&call["transcripts"]), lines(&call["call_files"])), (1, 1), "{call}");
    assert_eq!(call["transcripts"][0]["bot"], true);
    assert!(call["transcripts"][0]["said"].as_u64().unwrap() >= 3, "{call}");

    let left = Left::of(&folder, call["ucid"].as_str().unwrap());
    left.fit_their_schemas(&folder).await;
    let (transcript, file) = (&left.transcripts[0].1, &left.calls[0].1);
    let roles: BTreeSet<_> = transcript["conversation"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, BTreeSet::from(["bot", "caller"]));
    assert!(file["fields"].is_object() && file["analytics"]["question_answer_pairs"].as_u64().unwrap() >= 1);
    assert_eq!(file["cause"]["reason"], "caller_hung_up");
    let call_id = transcript["call_id"].as_str().unwrap();
    assert_eq!(&ask::json(gateway.http, &format!("/calls/{call_id}/transcript")), transcript);
    assert_eq!(&ask::json(gateway.http, &format!("/calls/{call_id}/record")), file);
    let text = ask::get(gateway.http, &format!("/calls/{call_id}/transcript?format=text"));
    assert!(text.contains(" caller: caller words 1"), "{text}");
    assert!(ask::get(gateway.http, &format!("/calls/{call_id}/transcript?format=vtt")).contains("WEBVTT"));
    // The engine heard the caller in its own rate, without a mistake of ours, and was left in good order.
    let session = engine.program.json_after("SESSION ", Duration::from_secs(5)).await;
    assert_eq!(session["format"], json!({"type": "audio/pcm", "rate": 24_000}));
    assert_eq!((&session["code"], &session["problems"]), (&json!(1_000), &json!([])));
    assert!(session["appended_ms"].as_u64().unwrap() >= 4_000, "{session}");
    // What the caller was saying when it left was written down as well.
    let callers: Vec<_> = transcript["conversation"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["role"] == "caller")
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    let turns = session["turns"].as_u64().unwrap();
    assert_eq!(callers, (1..=turns).map(|turn| format!("caller words {turn}")).collect::<Vec<_>>());
    expect_log(&folder, call["ucid"].as_str().unwrap(), &left.transcripts[0].0);
    assert!(gateway.stop().await.success());
}

/// The lines that seed 001 has people look for, with lengths for words.
fn expect_log(folder: &Folder, ucid: &str, file: &str) {
    let log = std::fs::read_to_string(folder.file("gateway.err")).unwrap();
    let mut rest = log.as_str();
    for wanted in [
        &format!("call started ucid={ucid}"),
        "connected to the engine",
        "transcription completed characters=14",
        "stop received",
        "duration_ms=",
        "duration_s=",
        "saving transcript",
        &format!("transcript saved file={file}"),
    ] {
        let at = rest.find(wanted).unwrap_or_else(|| panic!("no {wanted:?} in its turn:\n{log}"));
        rest = &rest[at..];
    }
    assert!(!log.contains("caller words"), "a caller's words are in the log");
}

/// How a call ends, the bot that it meets, and the cause that is recorded.
const ENDS: &[(&str, &str, &str)] = &[
    ("own-stop", "dealer", "completed/caller_hung_up"),
    ("close", "dealer", "completed/caller_hung_up"),
    ("reset", "dealer", "upstream/vendor_reset"),
    ("half-open", "dealer", "upstream/vendor_reset"),
    ("silence", "dealer", "caller/media_timeout"),
    ("none", "leaver", "completed/bot_hung_up"),
];

#[tokio::test]
async fn a_call_leaves_its_files_however_it_ends() {
    let folder = Folder::new("agent-ends");
    let engine = Engine::start(&folder, "engine", &[]).await;
    let leaver = Engine::start(&folder, "leaver", &["--hangup", "1"]).await;
    let settings = format!("{}{}", dealer("dealer", &engine), dealer("leaver", &leaver));
    let gateway = Gateway::start(folder.path(), &settings).await;
    let calls = ENDS.iter().map(|(end, bot, _)| {
        let url = gateway.ws_url(&format!("/ws/ozonetel/{bot}"));
        let folder = &folder;
        async move {
            let options = ["--talk-ms", "3500", "--end", end, "--close-patience-ms", "45000"];
            vendors(folder, end, &url, &options).await
        }
    });
    let verdicts = join_all(calls).await;
    let mut rows = Vec::new();
    for ((end, _, cause), verdict) in ENDS.iter().zip(&verdicts) {
        let mut row = Row::new(*end);
        let ucid = verdict[0]["ucid"].as_str().unwrap();
        row.cause(gateway.record("phone_leg_id", ucid).await, cause);
        let left = Left::wait(&folder, ucid, 1).await;
        row.expect(left.is_some(), "it left no files");
        let Some(left) = left else { continue };
        left.fit_their_schemas(&folder).await;
        let said = lines(&left.transcripts[0].1["conversation"]);
        row.cell(format!("{said} utterances"));
        row.expect(said >= 2, "the conversation is lost");
        row.cell(format!("closed after {} ms", verdict[0]["stop_to_close_ms"]));
        rows.push(row);
    }
    conclude("ends", &["cause", "said", "close"], &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn a_vendors_id_is_never_a_path_and_two_calls_of_one_id_leave_two_sets_of_files() {
    let folder = Folder::new("agent-ucids");
    let engine = Engine::start(&folder, "engine", &[]).await;
    let gateway = Gateway::start(folder.path(), &dealer("dealer", &engine)).await;
    let long = "x".repeat(10_000);
    let ucids =
        json!(["../../../escape", "/escape", "a\u{0}b", "same", "same", "same", long, 4711, {"a": 1}, ""]);
    let before = names_beside(&folder);
    let ucids = ucids.to_string();
    let options =
        ["--talk-ms", "1500", "--end", "own-stop", "--ucids", &ucids, "--close-patience-ms", "20000"];
    let verdicts = vendors(&folder, "vendor", &gateway.ws_url("/ws/ozonetel/dealer"), &options).await;
    let records = gateway.records_when(verdicts.len()).await;
    let all = || {
        let data = folder.path().join("patchcord-data");
        let (transcripts, calls) = (files(&data.join("transcripts")), files(&data.join("calls")));
        (transcripts.len() >= records.len() && calls.len() >= records.len()).then_some((transcripts, calls))
    };
    let (transcripts, calls) = ask::until(Duration::from_secs(10), all).await.expect("files are missing");
    assert_eq!((transcripts.len(), calls.len()), (records.len(), records.len()));
    assert_eq!(transcripts.iter().filter(|(name, _)| name.starts_with("call_same_")).count(), 3);
    assert!(transcripts.iter().any(|(name, _)| name.starts_with("call_..%2F..%2F..%2Fescape_")));
    let ids: BTreeSet<_> = transcripts.iter().map(|(_, file)| file["call_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), records.len(), "each call has its own");
    assert_eq!(names_beside(&folder), before, "something was written outside the data folder");
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn a_sip_call_to_an_agent_leaves_files_by_our_own_id() {
    let folder = Folder::new("agent-sip");
    let engine = Engine::start(&folder, "engine", &[]).await;
    let gateway = Gateway::start(folder.path(), &dealer("dealer", &engine)).await;
    sipp::run("call", "dealer", gateway.sip, &["2", "2", "4000"], folder.path()).await;
    for record in gateway.records_when(2).await {
        let call_id = record["call_id"].as_str().unwrap();
        let left = Left::wait(&folder, call_id, 1).await.expect("it left no files");
        left.fit_their_schemas(&folder).await;
        assert!(left.transcripts[0].0.starts_with(&format!("call_{call_id}_")));
        assert!(lines(&left.transcripts[0].1["conversation"]) >= 2, "{}", left.transcripts[0].1);
    }
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn after_kill_9_in_the_midst_of_agents_calls_each_has_its_files_its_record_and_one_webhook_id() {
    let count = if is_long() { 50 } else { 10 };
    let folder = Folder::new("agent-kill9");
    let engine = Engine::start(&folder, "engine", &[]).await;
    let down = folder.file("down");
    std::fs::File::create(&down).unwrap();
    let receiver = [peer("python/callback_receiver.py").display().to_string()];
    let options = ["--secret", SECRET, "--down", &down].map(str::to_owned);
    let python = peer(".venv/bin/python");
    let mut receiver = Program::start("receiver", python, receiver.iter().chain(&options), folder.path());
    let port = receiver.line_after("LISTENING ", Duration::from_secs(20)).await;
    let settings = format!(
        "{}webhook = {{ url = \"http://127.0.0.1:{port}/ok/agents\", secret = \"{SECRET}\" }}\n",
        dealer("dealer", &engine)
    );
    let gateway = Gateway::start(folder.path(), &settings).await;
    let url = gateway.ws_url("/ws/ozonetel/dealer");
    let calls = count.to_string();
    let options = ["--calls", &calls, "--talk-ms", "100000", "--end", "none"];
    let talking = vendors(&folder, "vendor", &url, &options);
    let killing = async {
        let said = all_talk(gateway.http, count).await;
        gateway.kill().await;
        said
    };
    let (verdicts, said) = tokio::join!(talking, killing);
    assert_eq!(verdicts.len(), count);
    // Killed again while it recovers.
    for _ in 0..2 {
        Gateway::start(folder.path(), &settings).await.kill().await;
    }
    let gateway = Gateway::start(folder.path(), &settings).await;
    assert_eq!(gateway.records_when(count).await.len(), count);
    for verdict in &verdicts {
        judge_survivor(&folder, &gateway, verdict["ucid"].as_str().unwrap(), &said).await;
    }
    let data = folder.path().join("patchcord-data");
    assert_eq!((files(&data.join("transcripts")).len(), files(&data.join("calls")).len()), (count, count));

    std::fs::remove_file(&down).unwrap();
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while ids.len() < count {
        note(&mut ids, &receiver.json_after("GOT ", Duration::from_secs(60)).await);
    }
    assert!(gateway.stop().await.success());
    receiver.terminate();
    let (rest, _) = receiver.finish(Duration::from_secs(10)).await;
    for line in rest.iter().filter_map(|line| line.strip_prefix("GOT ")) {
        note(&mut ids, &serde_json::from_str(line).unwrap());
    }
    let called: BTreeSet<_> = said.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.keys().collect::<BTreeSet<_>>(), called);
    assert!(ids.values().all(|ids| ids.len() == 1), "a call has several ids: {ids:?}");
}

/// Keeps the id under which a call was told of.
fn note(ids: &mut BTreeMap<String, BTreeSet<String>>, got: &Value) {
    let (call, id) = (got["call_id"].as_str().unwrap(), got["id"].as_str().unwrap());
    ids.entry(call.to_owned()).or_default().insert(id.to_owned());
}

/// What was said so far in each of `count` calls, once each is in the midst of its conversation.
async fn all_talk(http: SocketAddr, count: usize) -> Vec<(String, Vec<Value>)> {
    let all_up = || {
        let up = ask::json(http, "/calls?status=in-progress&limit=200");
        let id = |call: &Value| call["call_id"].as_str().unwrap().to_owned();
        let ids: Vec<String> = up["data"].as_array()?.iter().map(id).collect();
        (ids.len() == count).then_some(ids)
    };
    let ids = ask::until(Duration::from_secs(60), all_up).await.expect("the calls do not come up");
    for id in &ids {
        let talks = || (conversation(http, id).len() >= 3).then_some(());
        ask::until(Duration::from_secs(60), talks).await.expect("a call does not come to talk");
    }
    ids.into_iter().map(|id| (id.clone(), conversation(http, &id))).collect()
}

fn conversation(http: SocketAddr, call_id: &str) -> Vec<Value> {
    let transcript = ask::json(http, &format!("/calls/{call_id}/transcript"));
    transcript["conversation"].as_array().cloned().unwrap_or_default()
}

/// A call whose process was killed has one set of files, one record, and every utterance that was told of before.
async fn judge_survivor(folder: &Folder, gateway: &Gateway, ucid: &str, said: &[(String, Vec<Value>)]) {
    let left = Left::wait(folder, ucid, 1).await.expect("it left no files");
    let record = gateway.record("phone_leg_id", ucid).await.unwrap();
    assert_eq!((&record["cause"]["class"], &record["cause"]["reason"]), (&json!("us"), &json!("restart")));
    assert_eq!(left.calls[0].1["cause"], record["cause"]);
    let (_, before) = said.iter().find(|(id, _)| record["call_id"] == *id).expect("a call that was not up");
    let kept = left.transcripts[0].1["conversation"].as_array().unwrap();
    assert!(before.iter().all(|line| kept.contains(line)), "{before:?} are not all in {kept:?}");
    let last_word = kept.iter().map(|line| line["end_ms"].as_u64().unwrap()).max().unwrap();
    assert!(left.calls[0].1["duration_ms"].as_u64().unwrap() >= last_word, "it ended before its last word");
    left.fit_their_schemas(folder).await;
}

/// What webhooks are signed with.
const SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";

/// A speech engine that talks by the clock.
struct Engine {
    program: Program,
    url: String,
}

impl Engine {
    async fn start(folder: &Folder, name: &str, options: &[&str]) -> Self {
        let script = peer("node/engine_by_clock.mjs").display().to_string();
        let mut program =
            Program::start(name, "node", [script.as_str()].iter().chain(options), folder.path());
        let port = program.line_after("LISTENING ", Duration::from_secs(20)).await;
        Self { program, url: format!("ws://127.0.0.1:{port}/v1/realtime") }
    }
}

/// The settings of an agent behind that engine.
fn dealer(name: &str, engine: &Engine) -> String {
    format!(
        "[bots.{name}]\ndialect = \"openai-realtime\"\nurl = \"{}\"\napi_key = \"key\"\nmodel = \"by-clock\"\n\
         instructions = \"Sell cars.\"\ngreeting = \"Say: Namaskar, welcome.\"\n",
        engine.url
    )
}

/// Has foreign vendors call, and returns what each says of its call.
async fn vendors(folder: &Folder, name: &str, url: &str, options: &[&str]) -> Vec<Value> {
    let script = peer("node/vendor_seed001.mjs").display().to_string();
    let data = folder.path().join("patchcord-data").display().to_string();
    let first = [script.as_str(), "--url", url, "--data-dir", &data];
    let mut vendor = Program::start(name, "node", first.iter().chain(options), folder.path());
    let mut verdict = vendor.json_after("VERDICT ", Duration::from_secs(150)).await;
    verdict["calls"].as_array_mut().map(std::mem::take).unwrap()
}

/// What calls of one id left.
struct Left {
    transcripts: Vec<(String, Value)>,
    calls: Vec<(String, Value)>,
}

impl Left {
    fn of(folder: &Folder, ucid: &str) -> Self {
        let data = folder.path().join("patchcord-data");
        let mine = |kind: &str| {
            let mut files = files(&data.join(kind));
            files.retain(|(_, file)| file["ucid"] == ucid);
            files
        };
        Self { transcripts: mine("transcripts"), calls: mine("calls") }
    }

    /// Once there are `count` sets.
    async fn wait(folder: &Folder, ucid: &str, count: usize) -> Option<Self> {
        let found = || {
            let left = Self::of(folder, ucid);
            (left.transcripts.len() >= count && left.calls.len() >= count).then_some(left)
        };
        let left = ask::until(Duration::from_secs(10), found).await?;
        assert_eq!((left.transcripts.len(), left.calls.len()), (count, count), "sets of files of {ucid}");
        Some(left)
    }

    /// Has a validator that nobody here wrote judge them by the schemas that we publish.
    async fn fit_their_schemas(&self, folder: &Folder) {
        let data = folder.path().join("patchcord-data");
        for (kind, schema, files) in
            [("transcripts", "transcript", &self.transcripts), ("calls", "call", &self.calls)]
        {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
            let mut arguments = vec![peer("schemacheck.py"), root.join(format!("{schema}.schema.json"))];
            arguments.extend(files.iter().map(|(name, _)| data.join(kind).join(name)));
            let validator = Program::start("validator", peer(".venv/bin/python"), arguments, folder.path());
            let (lines, status) = validator.finish(Duration::from_secs(30)).await;
            assert!(status.success(), "{lines:?}");
            assert_eq!(lines.len(), files.len());
        }
    }
}

/// The whole files in a folder.
fn files(folder: &Path) -> Vec<(String, Value)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let whole = paths.iter().filter(|path| path.extension().is_some_and(|end| end == "json"));
    whole
        .map(|path| (name(path), serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()))
        .collect()
}

/// What stands in the test's folder and the one that holds it, by name; other tests' folders are not ours.
fn names_beside(folder: &Folder) -> BTreeSet<String> {
    let own = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let here = std::fs::read_dir(folder.path()).unwrap().map(|entry| own(entry.unwrap()));
    let above = std::fs::read_dir(folder.path().parent().unwrap()).unwrap().map(|entry| own(entry.unwrap()));
    let words = ["escape", "passwd"];
    here.chain(above).filter(|name| words.iter().any(|word| name.contains(word))).collect()
}

fn lines(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}
