//! Speech engines with the packages of the service itself: its realtime clients talk to bots behind us, and what we say to an
//! engine is validated message by message with its types.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::folder::Folder;
use super::gateway::Gateway;
use super::program::Program;
use super::{peer, sound, vendor};

/// A foreign engine.
struct Engine {
    program: Program,
    port: String,
}

impl Engine {
    /// An engine that does what `script` says, for as many calls as come.
    async fn start(name: &str, script: &Value, folder: &Path) -> Self {
        let (file, script) = (peer("python/engine_openai.py").display().to_string(), script.to_string());
        let arguments = [file.as_str(), "--script", &script];
        let mut program = Program::start(name, peer(".venv/bin/python"), arguments, folder);
        let port = program.line_after("LISTENING ", START_MAX).await;
        Self { program, port }
    }

    fn toml(&self, name: &str, more: &str) -> String {
        format!(
            "[bots.{name}]\nurl = \"ws://127.0.0.1:{}/v1/realtime\"\ndialect = \"openai-realtime\"\n\
             api_key = \"sk-test\"\nmodel = \"gpt-realtime\"\ninstructions = \"Sell cars.\"\n{more}\n",
            self.port
        )
    }

    /// What it thinks of its next call.
    async fn verdict(&mut self) -> Value {
        self.program.json_after("VERDICT ", VERDICT_MAX).await
    }
}

/// A certificate that nobody but these tests trusts, and its key.
fn certificate(folder: &Folder) -> (String, String) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.file("cert.pem"), folder.file("key.pem"));
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    (cert, key)
}

#[tokio::test]
async fn the_realtime_clients_of_both_openai_packages_talk_to_a_bot_over_tls_as_to_the_service() {
    let folder = Folder::new("clients");
    let (cert, key) = certificate(&folder);
    let gateway =
        Gateway::start(folder.path(), &format!("[http.tls]\ncert = \"{cert}\"\nkey = \"{key}\"\n")).await;
    let url = format!("wss://localhost:{}/ws/openai-realtime/parrot", gateway.http.port());
    let play = peer("sounds/aperiodic.wav").display().to_string();
    let clients = [
        (peer(".venv/bin/python"), "python/client_openai.py", "audio/pcm"),
        (peer(".venv/bin/python"), "python/client_openai.py", "audio/pcmu"),
        ("node".into(), "node/client_openai.mjs", "audio/pcm"),
        ("node".into(), "node/client_openai.mjs", "audio/pcmu"),
    ];
    let talks = clients.into_iter().enumerate().map(|(at, (program, script, format))| {
        let (folder, url, cert, play) = (&folder, &url, &cert, &play);
        async move {
            let name = format!("client-{at}");
            let (script, heard) = (peer(script).display().to_string(), folder.file(&format!("{name}.wav")));
            let arguments = [
                script.as_str(),
                "--url",
                url,
                "--ca",
                cert,
                "--play",
                play,
                "--record",
                &heard,
                "--format",
                format,
            ];
            let mut client = Program::start(&name, program, arguments, folder.path());
            let verdict = client.json_after("VERDICT ", VERDICT_MAX).await;
            assert_eq!(verdict["ok"], true, "{name}: {verdict}");
            let again = sound::judge(&heard, 0.3, Some(1.8)).await;
            assert!(again.correlation() >= 0.98, "{name}: {again:?}");
        }
    });
    join_all(talks).await;
    // Two of them came as a page of the web does as well, and left before a call began.
    let records = gateway.records_when(6).await;
    let talked =
        records.iter().filter(|record| record["bot"] == "parrot" && record["counters"]["clears"] == 0);
    assert_eq!(talked.count(), 6, "{records:?}");
    assert!(records.iter().all(|record| record["phone_dialect"] == "openai-realtime"), "{records:?}");
    assert_eq!(records.iter().filter(|record| !record["answered_at"].is_null()).count(), 4, "{records:?}");
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn every_message_to_an_engine_is_valid_and_an_engine_that_fails_hurts_only_its_own_call() {
    let folder = Folder::new("engines");
    let scripts = [
        // The caller cuts the greeting short, then an answer is heard; nothing of it is beyond what was sent.
        (
            "talks",
            json!({ "vad": false, "greeting": { "text": "Good morning to you", "ms": 4000 },
            "answers": [{ "text": "Yes of course", "ms": 800 }],
            "beats": [{ "at_ms": 1500, "do": "speech_started" },
                      { "at_ms": 2200, "do": "speech_stopped", "text": "Have you a Thar?" }] }),
        ),
        ("unready", json!({ "vad": false, "never_updated": true })),
        (
            "babbles",
            json!({ "vad": false, "beats": [
            { "at_ms": 300, "do": "write", "text": "{" },
            { "at_ms": 400, "do": "write", "text": "[1,2]" },
            { "at_ms": 500, "do": "write", "text": "{\"type\":\"response.output_audio.delta\",\"delta\":\"*\"}" },
            { "at_ms": 600, "do": "write", "text": "{\"type\":\"who.knows\",\"session\":7}" },
            { "at_ms": 700, "do": "call", "name": "nobody_has_this", "arguments": { "a": 1 } }] }),
        ),
        ("dies", json!({ "vad": false, "beats": [{ "at_ms": 800, "do": "die" }] })),
    ];
    let mut engines = Vec::new();
    for (name, script) in &scripts {
        engines.push((*name, Engine::start(name, script, folder.path()).await));
    }
    let more = "greeting = \"Greet the caller by saying: Namaskar.\"";
    let settings: String = engines.iter().map(|(name, engine)| engine.toml(name, more)).collect();
    let gateway = Gateway::start(folder.path(), &settings).await;
    let calls = engines.iter_mut().map(|(name, engine)| {
        let (gateway, folder) = (&gateway, &folder);
        async move {
            let url = gateway.ws_url(&format!("/ws/ozonetel/{name}"));
            let heard = folder.file(&format!("{name}-heard.wav"));
            let options = ["--seconds", "6", "--record", &heard];
            let vendor = format!("{name}-vendor");
            let call = vendor::call(&vendor, "ozonetel", &url, &options, folder.path());
            let (verdict, engine) = tokio::join!(call, engine.verdict());
            assert_eq!(engine["ok"], true, "{name}: {engine}");
            assert_eq!(engine["headers"]["authorization"], "Bearer sk-test", "{name}");
            assert_eq!(engine["path"], "/v1/realtime?model=gpt-realtime", "{name}");
            assert_eq!(engine["order"][0], "session.update", "{name}: {engine}");
            let session = &engine["session"];
            assert_eq!(session["audio"]["input"]["format"]["type"], "audio/pcm", "{name}");
            assert_eq!(session["instructions"], "Sell cars.", "{name}");
            (*name, verdict, engine)
        }
    });
    for (name, vendor, engine) in join_all(calls).await {
        let asked = engine["messages_in"]["response.create"].as_u64().unwrap_or(0);
        assert!(asked >= 1 || name == "dies", "{name}: the engine was not asked for its greeting: {engine}");
        assert!(vendor["audio_ms"].as_u64().unwrap_or(0) > 0, "{name}: the caller heard nothing: {vendor}");
        if name == "talks" {
            let [cut] = engine["truncated"].as_array().unwrap().as_slice() else { panic!("{engine}") };
            let (ms, at_ms) = (cut["ms"].as_u64().unwrap(), cut["at_ms"].as_u64().unwrap());
            // Never more than the time that there was to hear it; how much less, a busy machine decides.
            assert!((1..4_000).contains(&ms) && ms <= at_ms, "{cut}");
        }
    }
    assert_eq!(gateway.records_when(scripts.len()).await.len(), scripts.len());
    assert!(gateway.stop().await.success());
}

const START_MAX: Duration = Duration::from_secs(30);
const VERDICT_MAX: Duration = Duration::from_secs(90);
