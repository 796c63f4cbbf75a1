//! `POST /calls`: seed 000's body, what is refused before anything leaves, and the same request twice.

use insta::assert_json_snapshot;
use patchcord_sip::{IncomingCall, ListenAddr, SipAgent, SipConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::client::{Answer, Ask, ask, get, until};
use crate::serve::Gateway;

/// Seed 000 §3B, to the letter.
const SEED: &str = r#"{
  "from": "7415100898",
  "callTo": "9876543210",
  "wsUrl": "wss://your-bot.example.com/voice",
  "wsHeaders": {
    "Authorization": "Bearer YOUR_TOKEN"
  },
  "audioFormat": {
    "encoding": "pcm",
    "sampleRate": 8000
  }
}"#;

async fn post(address: &str, headers: &str, body: &str) -> Answer {
    let headers = format!("Content-Type: application/json\r\n{headers}");
    ask(address, Ask { method: "POST", path: "/calls", headers: &headers, body }).await
}

/// A carrier that is called, and a gateway that may dial by it.
struct Carrier {
    agent: SipAgent,
    calls: mpsc::Receiver<IncomingCall>,
}

impl Carrier {
    async fn start() -> Self {
        let listen = vec![ListenAddr::Udp("127.0.0.1:0".parse().unwrap())];
        let (agent, calls) = SipAgent::bind(SipConfig { listen, ..SipConfig::default() }).await.unwrap();
        Self { agent, calls }
    }

    /// A gateway with this carrier as its trunk.
    async fn gateway(&self, more: &str) -> Gateway {
        let port = self.agent.local_addrs()[0].addr().port();
        Gateway::start(&format!(
            "[[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"udp\"\n\
             allow = [\"98*\"]\ncaller_ids = [\"7415100898\"]\n{more}"
        ))
        .await
    }

    /// Whether nobody has called.
    fn is_quiet(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }
}

#[tokio::test]
async fn the_seeds_call_is_stored_and_under_way_when_it_is_answered() {
    let mut carrier = Carrier::start().await;
    let gateway = carrier.gateway("").await;
    let address = gateway.http();
    let answer = post(&address, "", SEED).await;
    assert_eq!((answer.status, answer.header("content-type")), (201, Some("application/json")), "{answer:?}");
    let call_id = answer.json()["call_id"].as_str().unwrap().to_owned();
    assert_json_snapshot!(
        "the_seeds_call",
        json!({ "status": answer.json()["status"], "fields": answer.json().as_object().unwrap().len() })
    );
    let shown = get(&address, &format!("/calls/{call_id}"), "").await.json();
    assert_eq!(
        (&shown["direction"], &shown["from"], &shown["to"]),
        (&json!("outbound"), &json!("7415100898"), &json!("9876543210"))
    );
    let incoming = carrier.calls.recv().await.unwrap();
    assert_eq!(
        (incoming.invitation.request_user.as_str(), incoming.invitation.from_user.as_str()),
        ("9876543210", "7415100898")
    );
    gateway.stop_at_once().await;
}

#[tokio::test]
async fn the_bot_of_the_request_gets_its_headers_and_custom_params() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bot = listener.local_addr().unwrap();
    let mut carrier = Carrier::start().await;
    let gateway = carrier.gateway("[egress]\nallow_private = true\n").await;
    let address = gateway.http();
    let body = json!({
        "from": "7415100898", "callTo": "9876543210", "wsUrl": format!("ws://{bot}/voice"),
        "wsHeaders": { "Authorization": "Bearer YOUR_TOKEN" }, "connect": "early",
        "custom_params": { "order": "A-7", "tries": 2, "vip": true },
        "callback_url": "https://api.example.com/status", "ring_timeout": 20, "max_duration": 60,
    });
    let answer = post(&address, "", &body.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let call_id = answer.json()["call_id"].as_str().unwrap().to_owned();
    let shown = get(&address, &format!("/calls/{call_id}"), "").await.json();
    assert_eq!(shown["custom_params"], json!({ "order": "A-7", "tries": "2", "vip": "true" }));
    let ringing = carrier.calls.recv().await.unwrap();
    ringing.leg.ringing().await.unwrap();
    let mut seen = None;
    #[expect(clippy::result_large_err, reason = "the callback's own type")]
    let look = |request: &Request, response: Response| {
        seen = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        Ok(response)
    };
    let accepted = async {
        let (stream, _) = listener.accept().await.unwrap();
        tokio_tungstenite::accept_hdr_async(stream, look).await.unwrap()
    };
    let _socket = tokio::time::timeout(std::time::Duration::from_secs(10), accepted).await.unwrap();
    assert_eq!(seen.as_deref(), Some("Bearer YOUR_TOKEN"));
    gateway.stop_at_once().await;
}

#[tokio::test]
async fn the_messages_of_a_mapping_are_json_or_its_text() {
    let gateway = Carrier::start().await.gateway("").await;
    let address = gateway.http();
    let mut body: Value = serde_json::from_str(SEED).unwrap();
    body["inputTemplate"] = json!({ "audio": "{{audio}}" });
    body["outputAudioPath"] = json!("audio");
    body["sessionStartMessage"] = json!({ "type": "hello", "call": "{{callId}}" });
    for start in [body["sessionStartMessage"].clone(), json!(body["sessionStartMessage"].to_string())] {
        body["sessionStartMessage"] = start;
        let answer = post(&address, "", &body.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    body["sessionStartMessage"] = json!({ "type": "{{hunter2}}" });
    let answer = post(&address, "", &body.to_string()).await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "#/sessionStartMessage", "{}", answer.text());
    gateway.stop_at_once().await;
}

/// A wrong field each: the pointer that is told, and the value.
fn wrong_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("/from", json!("7415100898\r\nX-Evil: hunter2")),
        ("/from", json!("<hunter2>")),
        ("/from", json!(7_415_100_898_u64)),
        ("/callTo", json!("9876543210;tag=hunter2")),
        ("/callTo", json!("9876543210>")),
        ("/callTo", json!("98\u{0}")),
        ("/callTo", json!("")),
        ("/callTo", json!(["9876543210"])),
        ("/wsUrl", json!("wss://h/\r\nX-Evil: hunter2")),
        ("/wsUrl", json!("wss://h/;hunter2")),
        ("/wsUrl", json!("wss://h/>hunter2")),
        ("/wsUrl", json!("https://hunter2.example/")),
        ("/wsUrl", json!("wss://user:hunter2@h/")),
        ("/wsUrl", json!("ws://10.0.0.1/hunter2")),
        ("/wsUrl", json!("wss://[::ffff:169.254.169.254]/hunter2")),
        ("/wsHeaders/Authorization", json!({ "Authorization": "Bearer x\r\nX-Evil: hunter2" })),
        ("/wsHeaders/X-A", json!({ "X-A": "hunter2;b" })),
        ("/wsHeaders/X-A\r\nB", json!({ "X-A\r\nB": "hunter2" })),
        ("/wsHeaders/Host", json!({ "Host": "hunter2" })),
        ("/wsHeaders/Sec-WebSocket-Key", json!({ "Sec-WebSocket-Key": "hunter2" })),
        ("/wsHeaders/X-A", json!({ "X-A": ["hunter2"] })),
        ("/audioFormat", json!({ "encoding": "mp3", "sampleRate": 8000 })),
        ("/audioFormat", json!({ "encoding": "pcm", "sampleRate": 44100 })),
        ("/audioFormat/sampleRate", json!({ "encoding": "pcm", "sampleRate": "hunter2" })),
        ("/audioFormat/rate", json!({ "encoding": "pcm", "rate": 8000 })),
        ("/dialect", json!("klingon")),
        ("/bot", json!("echo")),
        ("/status_callback_url", json!("ftp://hunter2/")),
        ("/status_callback_url", json!("https://h/\n")),
        ("/status_callback_url", json!("http://127.0.0.1:22/hunter2")),
        ("/custom_params", json!([1])),
        ("/custom_params/a", json!({ "a": { "hunter2": 1 } })),
        ("/connect", json!("later")),
        ("/ring_timeout", json!(181)),
        ("/max_duration", json!(0)),
        ("/inputTemplate", json!("{{audio}}")),
        ("/wsurl", json!("wss://h/")),
        ("/callto", json!("hunter2")),
    ]
}

#[tokio::test]
async fn what_is_wrong_names_its_field_repeats_nothing_and_nothing_leaves() {
    let mut carrier = Carrier::start().await;
    let gateway = carrier.gateway("").await;
    let address = gateway.http();
    let seed: Value = serde_json::from_str(SEED).unwrap();
    let mut rows = Vec::new();
    for (pointer, value) in wrong_fields() {
        let mut body = seed.clone();
        let field = pointer.split('/').nth(1).unwrap();
        body[field] = value.clone();
        let answer = post(&address, "", &body.to_string()).await;
        let problem = answer.problem();
        assert_eq!(problem.0, 400, "{pointer} {value}: {}", answer.text());
        assert!(!answer.text().contains("hunter2"), "{}", answer.text());
        let found = answer.json()["errors"][0]["pointer"].as_str().unwrap().to_owned();
        let wanted = format!("#{}", pointer.replace("\r\n", ""));
        assert!(found == wanted || found.starts_with("#/messageType"), "{wanted}: {}", answer.text());
        rows.push(json!([
            pointer.escape_debug().to_string(),
            problem.1,
            answer.json()["errors"][0]["detail"]
        ]));
    }
    assert!(get(&address, "/calls", "").await.json()["data"].as_array().unwrap().is_empty());
    assert!(carrier.is_quiet(), "something left");
    assert_json_snapshot!("what_is_wrong_with_a_call", rows);
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_to_nobody_or_with_nobody_is_refused() {
    let gateway = Carrier::start().await.gateway("").await;
    let address = gateway.http();
    for (body, pointer) in [
        ("{}", "#/callTo"),
        (r#"{"callTo":"9876543210"}"#, "#/wsUrl"),
        (r#"{"callTo":"9876543210","bot":"nobody"}"#, "#/bot"),
    ] {
        let answer = post(&address, "", body).await;
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_may_not_be_dialled_is_403_and_too_much_is_429_with_a_time() {
    let mut carrier = Carrier::start().await;
    let gateway = carrier.gateway("limits = { calls = 10, per_minute = 1 }\n").await;
    let address = gateway.http();
    let call = |from: &str, to: &str| format!(r#"{{"from":"{from}","callTo":"{to}","bot":"echo"}}"#);
    for (from, to, code) in
        [("7415100898", "18005550199", "not_allowed"), ("1234567890", "9876543210", "caller_not_allowed")]
    {
        let answer = post(&address, "", &call(from, to)).await;
        assert_eq!(answer.problem(), (403, code.to_owned()));
    }
    assert!(carrier.is_quiet(), "something left");
    assert_eq!(post(&address, "", &call("7415100898", "9876543210")).await.status, 201);
    let refused = post(&address, "", &call("7415100898", "9876543210")).await;
    assert_eq!(refused.problem(), (429, "too_fast".to_owned()));
    assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    gateway.stop_at_once().await;
}

#[tokio::test]
async fn the_same_request_with_the_same_key_is_one_call_and_another_is_refused() {
    let carrier = Carrier::start().await;
    let gateway = carrier.gateway("").await;
    let address = gateway.http();
    let key = "Idempotency-Key: order-7\r\n";
    let body = r#"{"from":"7415100898","callTo":"9876543210","bot":"echo"}"#;
    let first = post(&address, key, body).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, None), "{}", first.text());
    let again = post(&address, key, body).await;
    assert_eq!(
        (again.status, &again.body, again.header("idempotent-replayed")),
        (201, &first.body, Some("true"))
    );
    let other = post(&address, key, &body.replace("9876543210", "9876543211")).await;
    assert_eq!(other.problem(), (422, "idempotency_mismatch".to_owned()));
    let count = async || get(&address, "/calls", "").await.json()["data"].as_array().unwrap().len();
    assert_eq!(count().await, 1);
    // What was refused leaves the key free.
    let key = "Idempotency-Key: order-8\r\n";
    assert_eq!(post(&address, key, &body.replace("9876543210", "1800")).await.status, 403);
    assert_eq!(post(&address, key, body).await.status, 201);
    let both = "Idempotency-Key: order-9\r\n";
    let (one, two) = tokio::join!(post(&address, both, body), post(&address, both, body));
    for answer in [&one, &two] {
        let fits = answer.status == 201 || answer.problem() == (409, "idempotency_in_progress".to_owned());
        assert!(fits, "{}", answer.text());
    }
    until(async || (count().await == 3).then_some(())).await;
    for bad in [
        "Idempotency-Key: \r\n".to_owned(),
        format!("Idempotency-Key: {}\r\n", "x".repeat(256)),
        "Idempotency-Key: a b\r\n".to_owned(),
    ] {
        assert_eq!(post(&address, &bad, body).await.problem(), (400, "bad_header".to_owned()), "{bad}");
    }
    gateway.stop_at_once().await;
}
