//! Ten turns with four interruptions, between a vendor and an engine that nobody here wrote the wires of: what the engine is
//! told of each cut is what the vendor received, the transcript is the script, response times are those measured outside.

use std::time::Duration;

use serde_json::{Value, json};

use super::ask;
use super::folder::Folder;
use super::gateway::Gateway;
use super::peer;
use super::program::Program;

type Turn = (&'static str, &'static str, u64, u64, u64);

/// The caller's words, the bot's, its audio in milliseconds, how long it thinks, and after how much of it the next caller
/// cuts it off.
const SCRIPT: [Turn; 10] = [
    ("good morning", "good morning this is the dealer how can I help you", 2_000, 200, 0),
    ("which cars are there", "there are red ones and blue ones and green ones", 3_000, 150, 900),
    ("only the blue", "the blue one costs a lot of money to most people", 1_600, 250, 0),
    ("how much", "it is twelve lakh and it comes with a spare wheel", 2_500, 180, 400),
    ("and the taxes", "the taxes are already in it", 1_200, 200, 0),
    ("hm", "would you like to come and drive it", 2_400, 300, 1_400),
    ("yes tomorrow", "tomorrow at ten or at eleven or in the afternoon", 3_000, 160, 600),
    ("at ten", "ten it is may I have your name", 1_400, 220, 0),
    ("Asha", "thank you Asha", 800, 200, 0),
    ("goodbye", "goodbye and see you tomorrow", 1_200, 200, 0),
];

#[tokio::test]
async fn ten_turns_with_four_interruptions_are_told_to_engine_and_transcript_as_the_vendor_heard_them() {
    let folder = Folder::new("agent-talk");
    let (gateway, heard, told) = talk(&folder, &SCRIPT, None).await;
    let record = gateway.record("phone_leg_id", "SCRIPT-1").await.unwrap();
    let call_id = record["call_id"].as_str().unwrap();
    let transcript = ask::json(gateway.http, &format!("/calls/{call_id}/transcript"));
    let said = transcript["conversation"].as_array().unwrap();
    assert_eq!(said.len(), 2 * SCRIPT.len(), "{transcript:#}");
    for (at, ((caller, bot, audio_ms, _, cut), pair)) in SCRIPT.iter().zip(said.chunks(2)).enumerate() {
        let received = heard["received_ms"][at.to_string()].as_f64().unwrap_or_default();
        assert_eq!((pair[0]["role"].as_str(), pair[0]["text"].as_str()), (Some("caller"), Some(*caller)));
        assert_eq!((pair[1]["role"].as_str(), pair[1]["text"].as_str()), (Some("bot"), Some(*bot)));
        let truncated = told["truncated"][at.to_string()].as_f64();
        if *cut == 0 {
            assert_eq!((truncated, &pair[1]["heard"]), (None, &json!(true)), "turn {at}");
            assert!((received - *audio_ms as f64).abs() <= 20.0, "turn {at}: {received} of {audio_ms}");
        } else {
            let truncated = truncated.unwrap_or_else(|| panic!("turn {at} was not truncated: {told}"));
            assert!((truncated - received).abs() <= 20.0, "turn {at}: told {truncated}, received {received}");
            assert_eq!(pair[1]["heard"], "partial", "turn {at}: {}", pair[1]);
            assert_eq!(pair[1]["heard_ms"].as_f64(), Some(truncated), "turn {at}");
        }
    }
    check_response_times(&heard, said);
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn an_engine_that_breaks_off_while_it_is_heard_is_followed_by_itself_and_the_caller_misses_nothing() {
    let folder = Folder::new("agent-breaks");
    let script = [SCRIPT[0], SCRIPT[2], SCRIPT[7]];
    let (gateway, heard, told) = talk(&folder, &script, Some(1)).await;
    assert_eq!(told["sessions"], 2, "{told}");
    let remembered = json!([
        "user: good morning",
        format!("assistant: {}", script[0].1),
        "user: only the blue",
        format!("assistant: {}", script[1].1)
    ]);
    assert_eq!(told["remembered"], remembered, "{told}");
    for (at, (_, _, audio_ms, ..)) in script.iter().enumerate() {
        let received = heard["received_ms"][at.to_string()].as_f64().unwrap_or_default();
        assert!((received - *audio_ms as f64).abs() <= 20.0, "turn {at}: {received} of {audio_ms}");
    }
    let record = gateway.record("phone_leg_id", "SCRIPT-1").await.unwrap();
    assert_eq!(record["cause"]["reason"], "caller_hung_up", "{record}");
    assert!(gateway.stop().await.success());
}

/// Has both ends talk by the script, which tells of the call and of what each heard; the engine breaks off in that turn.
async fn talk(folder: &Folder, turns: &[Turn], breaks_in: Option<usize>) -> (Gateway, Value, Value) {
    let engine_lines: Vec<Value> = turns
        .iter()
        .enumerate()
        .map(|(at, (caller, bot, audio_ms, think_ms, _))| {
            let breaks = if breaks_in == Some(at) { 600 } else { 0 };
            json!({
                "caller": caller, "bot": bot, "audio_ms": audio_ms, "think_ms": think_ms, "breaks_after_ms": breaks
            })
        })
        .collect();
    let vendor_lines: Vec<Value> =
        turns.iter().map(|(.., cut)| json!({ "speaks_ms": 700, "cut_after_ms": cut })).collect();
    std::fs::write(folder.file("engine.json"), json!(engine_lines).to_string()).unwrap();
    std::fs::write(folder.file("vendor.json"), json!(vendor_lines).to_string()).unwrap();
    let script = |name: &str| peer(&format!("node/{name}")).display().to_string();
    let lines = |name: &str| folder.file(name);
    let mut engine =
        Program::start("engine", "node", [script("engine_script.mjs"), lines("engine.json")], folder.path());
    let port = engine.line_after("LISTENING ", Duration::from_secs(20)).await;
    let settings = format!(
        "[bots.dealer]\ndialect = \"openai-realtime\"\nurl = \"ws://127.0.0.1:{port}/v1/realtime\"\n\
         model = \"by-script\"\ninstructions = \"Sell cars.\"\n"
    );
    let gateway = Gateway::start(folder.path(), &settings).await;
    let url = gateway.ws_url("/ws/ozonetel/dealer");
    let arguments = [script("vendor_script.mjs"), lines("vendor.json"), url];
    let mut vendor = Program::start("vendor", "node", arguments, folder.path());
    let heard = vendor.json_after("VERDICT ", Duration::from_secs(120)).await;
    let told = engine.json_after("VERDICT ", Duration::from_secs(20)).await;
    assert_eq!((&heard["problems"], &told["problems"]), (&json!([]), &json!([])), "{heard} {told}");
    (gateway, heard, told)
}

/// Every answer's time in the transcript is the one that the vendor measured, within 20 ms.
fn check_response_times(heard: &Value, said: &[Value]) {
    // The vendor's own lateness, nothing on a quiet machine, is in what it measured.
    let near = 20.0 + heard["late_ms"].as_f64().unwrap();
    let pairs: Vec<_> = (0..SCRIPT.len())
        .map(|at| (said[2 * at + 1]["response_ms"].as_f64(), heard["response_ms"][at.to_string()].as_f64()))
        .collect();
    let is_near = |(told, outside): &(Option<f64>, Option<f64>)| {
        told.zip(*outside).is_some_and(|(told, outside)| (told - outside).abs() <= near)
    };
    assert!(pairs.iter().all(is_near), "(told, outside) ± {near}: {pairs:?}");
}
