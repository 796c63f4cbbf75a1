//! `GET /calls/{call_id}/timeline`: a call on one axis of time.

use patchcord::config::Database;
use patchcord::store::Trace;
use serde_json::{Value, json};

use super::client::{Ask, ask, get, until};
use crate::serve::Gateway;
use crate::serve::phone::Phone;
use crate::store::ground::Ground;

const KEYS: &str = "[[http.keys]]\nname = \"look\"\nkey = \"0123456789abcdef\"\nrole = \"reader\"\n\
                    [[http.keys]]\nname = \"ops\"\nkey = \"fedcba9876543210\"\nrole = \"operator\"\n";
const READER: &str = "Authorization: Bearer 0123456789abcdef\r\n";
const OPERATOR: &str = "Authorization: Bearer fedcba9876543210\r\n";

/// A loud tone for a while, then silence.
fn words(frame: u16) -> [u8; 160] {
    if frame % 100 < 40 {
        std::array::from_fn(|at| if at % 8 < 4 { 0x10 } else { 0x90 })
    } else {
        [0xFF; 160]
    }
}

async fn in_status(address: &str, status: &str, key: &str) -> String {
    until(async || {
        let page = get(address, &format!("/calls?status={status}"), key).await.json();
        page["data"][0]["call_id"].as_str().map(str::to_owned)
    })
    .await
}

async fn up(address: &str, key: &str) -> String {
    in_status(address, "in-progress", key).await
}

async fn ended(address: &str, key: &str) -> String {
    in_status(address, "completed", key).await
}

async fn timeline(address: &str, call_id: &str, key: &str) -> Value {
    let answer = get(address, &format!("/calls/{call_id}/timeline"), key).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_call_stands_on_one_axis_with_its_sound_its_speech_and_its_sip_messages() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    phone.talk(250, words).await;
    let call_id = up(&address, "").await;
    let up = timeline(&address, &call_id, "").await;
    assert_eq!(
        (&up["is_up"], &up["call"]["status"], up.get("cause")),
        (&json!(true), &json!("in-progress"), None)
    );
    assert_eq!(up["sip"]["dialogs"][0]["messages"][0]["method"], "INVITE");
    phone.hang_up().await;
    ended(&address, "").await;
    let over = until(async || {
        let over = timeline(&address, &call_id, "").await;
        let messages = over["sip"]["dialogs"][0]["messages"].as_array()?;
        messages.iter().any(|message| message["method"] == "BYE" && message["status"] == 200).then_some(over)
    })
    .await;
    assert_eq!((&over["is_up"], &over["phone_dialect"]), (&json!(false), &json!("sip")));
    assert_eq!(over["cause"]["reason"], "caller_hung_up");
    assert_eq!(over["cause"].get("sip_status"), None, "it was answered");
    assert_eq!(over["record"]["call_id"], json!(call_id));
    let length = over["length_ms"].as_u64().unwrap();
    let curve = &over["curve"];
    assert_eq!(curve["step_ms"], 20);
    assert!(curve["caller"].as_str().unwrap().len() > 200 && curve["at_ms"].as_u64().unwrap() < length);
    let spans = |lane: &str| over["lanes"][lane].as_array().unwrap().clone();
    for lane in ["caller", "heard"] {
        let spans = spans(lane);
        assert!((2..=3).contains(&spans.len()), "{lane}: {spans:?}");
        for span in &spans {
            let (at, long) = (span["at_ms"].as_u64().unwrap(), span["for_ms"].as_u64().unwrap());
            assert!((600..=1_200).contains(&long) && at + long <= length, "{lane}: {span}");
        }
    }
    assert!(!spans("sent").is_empty());
    assert_eq!(over["lanes"]["bots"][0]["step"], "connected");
    let text = over.to_string();
    assert!(!text.contains("\"Via") && !text.contains("tag="), "{text}");
    let few = get(&address, &format!("/calls/{call_id}/timeline?points=10"), "").await.json();
    assert!(few["curve"]["step_ms"].as_u64().unwrap() >= 400, "{few}");
    for wrong in ["points=0", "points=100001", "point=1"] {
        let answer = get(&address, &format!("/calls/{call_id}/timeline?{wrong}"), "").await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    let unknown = get(&address, "/calls/call_1_x/timeline", "").await;
    assert_eq!(unknown.problem(), (404, "unknown_call".to_owned()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_that_ends_with_the_process_keeps_its_ladder_and_its_history() {
    let gateway = Gateway::start("").await;
    let phone = Phone::call("echo", &gateway.sip()).await;
    let call_id = up(&gateway.http(), "").await;
    phone.hang_up().await;
    let folder = gateway.stop_and_leave().await;
    let open = Ground::at(Database::in_folder(&folder)).open().await;
    for (trace, holds) in [(Trace::Ladder, "\"BYE\""), (Trace::History, "bot_connected")] {
        let text = open.store.find_trace(&call_id, trace).await.unwrap();
        assert!(text.as_ref().is_some_and(|text| text.contains(holds)), "{trace:?}: {text:?}");
    }
    open.close().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn which_key_was_pressed_is_not_for_readers() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let phone = Phone::call("dtmf", &gateway.sip()).await;
    let up = up(&address, READER).await;
    let digits = Ask {
        method: "POST",
        path: &format!("/calls/{up}/dtmf"),
        headers: &format!("{OPERATOR}Content-Type: application/json\r\n"),
        body: r#"{"dtmf":"42#"}"#,
    };
    let sent = ask(&address, digits).await;
    assert!(sent.status < 300, "{sent:?}");
    phone.hang_up().await;
    ended(&address, READER).await;
    let keys = async |key| {
        let lanes = timeline(&address, &up, key).await["lanes"].take();
        lanes["digits"].as_array().unwrap().iter().map(|digit| digit.get("key").cloned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(OPERATOR).await, [Some(json!("4")), Some(json!("2")), Some(json!("#"))]);
    assert_eq!(keys(READER).await, [None, None, None]);
    gateway.stop().await;
}

#[test]
fn every_reason_has_its_words_in_the_dashboard() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/src/screens/call/causes.ts");
    let words = std::fs::read_to_string(path).unwrap();
    for row in patchcord_core::vocabulary::REASONS {
        assert!(words.contains(&format!("\n  {}: {{", row.word)), "causes.ts has no words for {}", row.word);
    }
}
