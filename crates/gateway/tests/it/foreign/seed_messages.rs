//! Every example message of the seeds, said as it stands there by an end that knows no dialect.
//!
//! Placeholders of the seeds (`<base64-audio>`, `[1234, 5678, ...]`) are said too, and must do no harm.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::folder::Folder;
use super::gateway::Gateway;
use super::plain_socket::{PlainServer, PlainSocket};

/// A gateway whose bot `plain`, of that dialect, is the test itself.
async fn with_plain_bot(folder: &Folder, dialect: &str) -> (Gateway, PlainServer) {
    let server = PlainServer::open().await;
    let settings = format!("[bots.plain]\nurl = \"{}\"\ndialect = \"{dialect}\"\n", server.url());
    (Gateway::start(folder.path(), &settings).await, server)
}

async fn expect_cause(gateway: &Gateway, key: &str, value: &str, reason: &str) -> Value {
    let record = gateway.record(key, value).await.unwrap();
    assert_eq!(record["cause"]["reason"], reason, "{record}");
    record
}

#[tokio::test]
async fn the_events_of_seed_000_make_a_call_from_an_ivr_solutions_platform() {
    let folder = Folder::new("seed-000-vendor");
    let gateway = Gateway::start(folder.path(), "").await;
    let mut vendor = PlainSocket::dial(&gateway.ws_url("/ws/ivr-solutions/dtmf")).await;
    for event in SEED_000_EVENTS {
        vendor.say(event).await;
    }
    let tone = loudest(&vendor.audio().await);
    assert!(tone > 1_000, "the digit's answer is heard: {tone}");
    vendor.say(SEED_000_STOP).await;
    vendor.expect_close().await;
    let record = expect_cause(&gateway, "phone_leg_id", "call_1707204900000_a1b2c3", "caller_hung_up").await;
    assert_eq!((&record["from"], &record["to"]), (&json!("9876543210"), &json!("18001234567")));
    let counters = &record["counters"];
    assert_eq!((&counters["digits_in"], &counters["clears"]), (&json!(1), &json!(1)), "{record}");
    assert_eq!(counters["malformed_messages"], 1, "the placeholder is no base64: {record}");
    assert_eq!(counters["unknown_messages"], 0, "{record}");
}

#[tokio::test]
async fn the_messages_of_seed_000_do_what_it_says_for_an_ivr_solutions_bot() {
    let folder = Folder::new("seed-000-bot");
    let (gateway, server) = with_plain_bot(&folder, "ivr-solutions").await;
    let mut vendor = PlainSocket::dial(&gateway.ws_url("/ws/ivr-solutions/plain")).await;
    for event in &SEED_000_EVENTS[..2] {
        vendor.say(event).await;
    }
    let mut bot = server.accept().await;
    assert_eq!(bot.json().await, json!({"event": "connected"}));
    let start = bot.json().await;
    assert_eq!((&start["event"], &start["sequence_number"]), (&json!("start"), &json!(1)));
    let sid = start["stream_sid"].as_str().unwrap().to_owned();
    assert_eq!(start["start"]["media_format"], json!({"encoding": "raw/slin", "sample_rate": 8000}));
    assert_eq!(
        (&start["start"]["from"], &start["start"]["to"]),
        (&json!("9876543210"), &json!("18001234567"))
    );

    bot.say("{\n  \"type\": \"response.audio.delta\",\n  \"delta\": \"<base64-audio>\"\n}").await;
    let loud = base64_of_loud_samples();
    bot.say(&format!("{{\n  \"type\": \"response.audio.delta\",\n  \"delta\": \"{loud}\"\n}}")).await;
    assert_eq!(loudest(&vendor.audio().await), 10_000);
    bot.send(&[0x10, 0x27].repeat(160)).await;
    vendor.audio().await;

    bot.say("{ \"type\": \"session.dtmf\", \"dtmf\": \"123#\" }").await;
    assert_eq!(vendor.json().await, json!({"type": "session.dtmf", "dtmf": "123#"}));
    bot.say("{ \"type\": \"audio.clear\" }").await;
    assert_eq!(vendor.json().await, json!({"type": "audio.clear"}));
    assert_eq!(bot.json().await, json!({"event": "clear", "stream_sid": sid}));
    for transfer in SEED_000_TRANSFERS {
        bot.say(transfer).await;
        let refusal = bot.json().await;
        assert_eq!((&refusal["event"], &refusal["stream_sid"]), (&json!("error"), &json!(sid)));
        let command = serde_json::from_str::<Value>(transfer).unwrap()["type"].clone();
        assert_eq!(refusal["error"]["command"], command, "{refusal}");
    }
    vendor.say(SEED_000_EVENTS[3]).await;
    let digit = bot.json().await;
    assert_eq!(digit["dtmf"], json!({"digit": "1", "duration": "120"}), "{digit}");
    bot.say("{ \"type\": \"session.hangup\" }").await;
    assert_eq!(vendor.json().await, json!({"type": "session.hangup"}));
    let stop = bot.json().await;
    assert_eq!(stop["stop"]["reason"], "callended", "{stop}");
    assert_eq!(stop["stop"]["call_sid"], start["start"]["call_sid"]);
    bot.expect_close().await;
    vendor.say(SEED_000_STOP).await;
    let record = expect_cause(&gateway, "bot", "plain", "bot_hung_up").await;
    assert_eq!(record["counters"]["refused_commands"], SEED_000_TRANSFERS.len(), "{record}");
}

#[tokio::test]
async fn the_manual_test_of_seed_001_opens_hears_and_closes() {
    let folder = Folder::new("seed-001-vendor");
    let gateway = Gateway::start(folder.path(), "").await;
    let mut vendor = PlainSocket::dial(&gateway.ws_url("/ws")).await;
    vendor.say(r#"{"event":"start","ucid":"TEST-001","type":"text"}"#).await;
    // The seed's example as it stands (it is no JSON), then with eighty samples.
    vendor.say(&SEED_001_MEDIA.replace("{samples}", "[1234, 5678, ...],  // Int16 array")).await;
    let samples = format!("{:?},", (1..=80).map(|n| n * 100).collect::<Vec<i32>>());
    let media = SEED_001_MEDIA.replace("{samples}", &samples).replace("unique-call-id-123", "TEST-001");
    vendor.say(&media).await;
    let Message::Text(echo) = vendor.audio().await else { panic!("this wire is text") };
    let echo: Value = serde_json::from_str(&echo).unwrap();
    let mut sent: Value = serde_json::from_str(&media).unwrap();
    let (heard, said) = (echo["data"]["samples"].as_array().unwrap(), sent["data"]["samples"].take());
    assert_eq!(heard.len(), 80);
    assert!(heard.iter().any(|sample| said.as_array().unwrap().contains(sample)), "{heard:?}");
    for key in ["bitsPerSample", "sampleRate", "channelCount", "numberOfFrames", "type"] {
        assert_eq!(echo["data"][key], sent["data"][key], "{key}");
    }
    assert_eq!(
        (&echo["event"], &echo["type"], &echo["ucid"]),
        (&sent["event"], &sent["type"], &sent["ucid"])
    );
    vendor.say(r#"{"event":"stop","ucid":"TEST-001","type":"text"}"#).await;
    vendor.expect_close().await;
    let record = expect_cause(&gateway, "phone_leg_id", "TEST-001", "caller_hung_up").await;
    assert_eq!(record["counters"]["malformed_messages"], 1, "{record}");
}

#[tokio::test]
async fn the_events_of_seed_002_make_a_call_from_an_incoming_call_platform() {
    let folder = Folder::new("seed-002-vendor");
    let gateway = Gateway::start(folder.path(), "").await;
    let mut vendor = PlainSocket::dial(&gateway.ws_url("/ws/incoming-call/echo")).await;
    let incoming =
        r#"{ "event": "incoming_call", "callerId": "...", "didNumber": "...", "sessionId": "..." }"#;
    vendor.say(incoming).await;
    assert_eq!(vendor.json().await, json!({"event": "answer"}));
    vendor.say(r#"{ "event": "dtmf", "digit": "1" }"#).await;
    vendor.send(&[0x10, 0x27].repeat(160)).await;
    assert!(matches!(vendor.audio().await, Message::Binary(_)));
    vendor.say("{\n  \"event\": \"hangup\"\n}").await;
    vendor.say(SEED_002_CDR).await;
    vendor.expect_close().await;
    let record = expect_cause(&gateway, "phone_leg_id", "...", "caller_hung_up").await;
    assert_eq!(record["counters"]["digits_in"], 1, "{record}");
    assert_eq!(record["counters"]["unknown_messages"], 0, "{record}");
}

#[tokio::test]
async fn the_actions_of_seed_002_do_what_it_says_for_an_incoming_call_bot() {
    let folder = Folder::new("seed-002-bot");
    let (gateway, server) = with_plain_bot(&folder, "incoming-call").await;
    let mut vendor = PlainSocket::dial(&gateway.ws_url("/ws/incoming-call/plain")).await;
    vendor
        .say(r#"{ "event": "incoming_call", "callerId": "1001", "didNumber": "1002", "sessionId": "s-1" }"#)
        .await;
    let mut bot = server.accept().await;
    let incoming = bot.json().await;
    assert_eq!((&incoming["callerId"], &incoming["didNumber"]), (&json!("1001"), &json!("1002")));
    bot.say("{  \n  \"event\": \"answer\"  \n}").await;
    assert_eq!(vendor.json().await, json!({"event": "answer"}));
    bot.say(r#"{ "event": "dtmf", "digit": "1", "duration": 200 }"#).await;
    assert_eq!(vendor.json().await, json!({"event": "dtmf", "digit": "1", "duration": 200}));
    vendor.say(r#"{ "event": "dtmf", "digit": "1" }"#).await;
    assert_eq!(bot.json().await, json!({"event": "dtmf", "digit": "1"}));
    bot.say(r#"{ "event": "hangup" }"#).await;
    assert_eq!(vendor.json().await, json!({"event": "hangup"}));
    vendor.close().await;
    let cdr = bot.json().await;
    assert_eq!((&cdr["event"], &cdr["sessionId"]), (&json!("cdr"), &incoming["sessionId"]));
    assert_eq!((&cdr["disposition"], &cdr["hangupBy"]), (&json!("ANSWERED"), &json!("callee")));
    assert_eq!((&cdr["hangupCauseCode"], &cdr["destination"]), (&json!("16"), &json!("1002")));
    bot.expect_close().await;
    expect_cause(&gateway, "bot", "plain", "bot_hung_up").await;
}

#[tokio::test]
async fn the_events_of_seed_004_make_a_call_and_reach_a_smartpbx_bot() {
    let folder = Folder::new("seed-004");
    let (gateway, server) = with_plain_bot(&folder, "smartpbx").await;
    let mut vendor = PlainSocket::dial(&gateway.ws_url("/ws/smartpbx/plain")).await;
    vendor.say(SEED_004_START).await;
    let mut bot = server.accept().await;
    let start = bot.json().await;
    let sent: Value = serde_json::from_str(SEED_004_START).unwrap();
    for key in ["callerIdNumber", "calleeIdNumber", "mediaFormat"] {
        assert_eq!(start["start"][key], sent["start"][key], "{start}");
    }
    vendor.say(SEED_004_MEDIA).await;
    vendor.say(SEED_004_DTMF).await;
    let digit = bot.json().await;
    assert_eq!((&digit["dtmf"]["digit"], &digit["dtmf"]["duration"]), (&json!("5"), &json!(100)));
    for id in ["callId", "otherLegCallId"] {
        assert_eq!(digit["dtmf"][id], start["start"][id], "{digit}");
    }
    // The example of a payload is a WebM file's beginning: it is never played as samples.
    bot.say(SEED_004_MEDIA).await;
    let loud = base64_of_loud_samples();
    bot.say(&format!("{{\"event\": \"media\", \"media\": {{\"payload\": \"{loud}\"}}}}")).await;
    vendor.audio().await;
    vendor.say(SEED_004_HANGUP).await;
    let hangup = bot.json().await;
    assert_eq!(
        (&hangup["event"], &hangup["hangup"]["reason"]),
        (&json!("hangup"), &json!("NORMAL_CLEARING"))
    );
    assert_eq!(hangup["hangup"]["callId"], start["start"]["callId"]);
    bot.expect_close().await;
    vendor.expect_close().await;
    let record = expect_cause(&gateway, "phone_leg_id", "call_12345", "caller_hung_up").await;
    assert_eq!(record["counters"]["malformed_messages"], 2, "both examples of a payload: {record}");
}

/// The loudest sample of a platform's message: seed 000 §6.1 lets it be binary or a base64 delta.
fn loudest(audio: &Message) -> i16 {
    let samples = match audio {
        Message::Text(text) => {
            let delta: Value = serde_json::from_str(text).unwrap();
            base64_simd::STANDARD.decode_to_vec(delta["delta"].as_str().unwrap()).unwrap()
        }
        audio => audio.clone().into_data().to_vec(),
    };
    assert_eq!(samples.len() % 2, 0, "whole samples");
    samples.chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]])).max().unwrap()
}

/// 20 ms of 10 000 at 8 kHz as base64.
fn base64_of_loud_samples() -> String {
    // 0x2710 little-endian three times is "ECcQJxAn".
    "ECcQJxAn".repeat(53) + "ECc="
}

/// §5.1 to §5.6.
const SEED_000_EVENTS: &[&str] = &[
    r#"{ "event": "connected" }"#,
    r#"{
  "event": "start",
  "sequence_number": 1,
  "stream_sid": "1707204900.123",
  "start": {
    "stream_sid": "1707204900.123",
    "call_sid": "call_1707204900000_a1b2c3",
    "from": "9876543210",
    "to": "18001234567",
    "media_format": {
      "encoding": "raw/slin",
      "sample_rate": 8000
    }
  }
}"#,
    r#"{
  "event": "media",
  "sequence_number": 3,
  "stream_sid": "1707204900.123",
  "media": {
    "chunk": 2,
    "timestamp": "10",
    "payload": "<base64-audio>"
  }
}"#,
    r#"{
  "event": "dtmf",
  "sequence_number": 5,
  "stream_sid": "1707204900.123",
  "dtmf": {
    "digit": "1",
    "duration": "120"
  }
}"#,
    r#"{
  "event": "mark",
  "sequence_number": 15,
  "stream_sid": "1707204900.123",
  "mark": { "name": "intro_complete" }
}"#,
    r#"{ "event": "clear", "stream_sid": "1707204900.123" }"#,
];

/// §5.7.
const SEED_000_STOP: &str = r#"{
  "event": "stop",
  "sequence_number": 42,
  "stream_sid": "1707204900.123",
  "stop": {
    "call_sid": "call_1707204900000_a1b2c3",
    "reason": "callended"
  }
}"#;

/// §7.
const SEED_000_TRANSFERS: &[&str] = &[
    r#"{ "type": "session.transfer", "destination": "09876543210" }"#,
    r#"{
  "type": "session.transfer",
  "destination": ["09876543210", "09876543211", "09876543212"]
}"#,
    r#"{
  "type": "session.transfer",
  "destination": ["09876543210", "09876543211", "09876543212"],
  "strategy": "sequential"
}"#,
    r#"{ "type": "session.transfer_ws", "url": "wss://new-bot.example.com/voice" }"#,
    r#"{ "type": "session.flow_transfer", "flow_id": "sales_flow" }"#,
    r#"{ "type": "session.transfer_extension", "extension": "101" }"#,
];

/// The MEDIA event.
const SEED_001_MEDIA: &str = r#"{
  "event": "media",
  "type": "media",
  "ucid": "unique-call-id-123",
  "data": {
    "samples": {samples}
    "bitsPerSample": 16,
    "sampleRate": 8000,
    "channelCount": 1,
    "numberOfFrames": 80,
    "type": "data"
  }
}"#;

/// The `cdr`, its types replaced by values.
const SEED_002_CDR: &str = r#"{
  "event": "cdr",
  "sessionId": "string",
  "destination": "string",
  "startTime": "string",
  "answerTime": "string",
  "endTime": "string",
  "duration": 17,
  "billableSeconds": 12,
  "disposition": "string",
  "hangupBy": "string",
  "hangupCauseCode": "string",
  "hangupCauseText": "string"
}"#;

const SEED_004_START: &str = r#"{
  "event": "start",
  "start": {
    "callId": "call_12345",
    "otherLegCallId": "call_67890",
    "callerIdNumber": "+1234567890",
    "calleeIdNumber": "+1234567891",
    "accountId": "acc_abc123",
    "mediaFormat": {
      "encoding": "pcm16",
      "sampleRate": 24000
    }
  }
}"#;

const SEED_004_MEDIA: &str = r#"{
  "event": "media",
  "media": {
    "payload": "GkXfo59ChoEBQveBAULygQRC84EIQoKEd2VibUKHgQCh..."
  }
}"#;

const SEED_004_DTMF: &str = r#"{
  "event": "dtmf",
  "dtmf": {
    "callId": "call_12345",
    "otherLegCallId": "call_67890",
    "digit": "5",
    "duration": 100
  }
}"#;

const SEED_004_HANGUP: &str = r#"{
  "event": "hangup",
  "hangup": {
    "callId": "call_12345",
    "otherLegCallId": "call_67890",
    "reason": "NORMAL_CLEARING"
  }
}"#;
