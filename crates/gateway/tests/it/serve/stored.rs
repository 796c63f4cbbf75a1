//! What is stored of calls: a row, its events, and a delivery of each where somebody wants to know.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchcord::config::Database;
use patchcord::store::{DeliveryFilter, StoredCall};
use patchcord_sip::LegEvent;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::Gateway;
use super::config_server::ConfigServer;
use super::phone::{Phone, pcmu};
use crate::callbacks::receiver::{Answer, Receiver};
use crate::store::ground::{Ground, Open};

/// What a stopped gateway left of its calls.
struct Left {
    open: Open,
    folder: std::path::PathBuf,
    call: StoredCall,
}

impl Left {
    /// The only call.
    async fn by(gateway: Gateway) -> Self {
        let folder = gateway.stop_and_leave().await;
        let open = Ground::at(Database::in_folder(&folder)).open_as("patchcord").await;
        let mut calls = open.store.list_calls(&Default::default(), None, 10).await.unwrap();
        assert_eq!(calls.len(), 1, "{calls:?}");
        let call = calls.remove(0);
        Self { open, folder, call }
    }

    fn cause(&self) -> String {
        let cause = self.call.cause.as_ref().unwrap();
        format!("{}/{}", cause.class, cause.reason)
    }

    async fn words(&self) -> Vec<&'static str> {
        self.open.words(&self.call.call_id).await
    }

    async fn bodies(&self) -> Vec<Value> {
        let events = self.open.store.events_of(&self.call.call_id).await.unwrap();
        events.iter().map(|event| serde_json::from_str(&event.body).unwrap()).collect()
    }

    /// The words of its deliveries, and where they go.
    async fn deliveries(&self) -> Vec<(&'static str, String)> {
        let deliveries = self.open.store.list_deliveries(&DeliveryFilter::default(), None, 50).await.unwrap();
        deliveries.into_iter().rev().map(|delivery| (delivery.name.word(), delivery.url)).collect()
    }

    async fn close(self) {
        self.open.close().await;
        let _ = std::fs::remove_dir_all(self.folder);
    }
}

#[tokio::test]
async fn whoever_is_to_be_told_of_a_call_that_a_stop_ends_is_told_before_the_stop_is_over() {
    let mut receiver = Receiver::start(|_, _| Answer::Status(200)).await;
    let number = format!(
        "[[numbers]]\nnumber = \"18001234567\"\nbot = \"echo\"\n[callbacks]\nurl = \"{}\"\n",
        receiver.url("/")
    );
    let gateway = Gateway::start(&number).await;
    let mut phone = Phone::call("18001234567", &gateway.sip()).await;
    phone.talk(10, |_| [0x21; 160]).await;
    gateway.stop_at_once().await;
    let told: Vec<_> = std::iter::from_fn(|| receiver.try_take()).map(|got| got.event()).collect();
    assert_eq!(told, ["call.initiated", "call.ringing", "call.in-progress", "call.completed"]);
}

#[tokio::test]
async fn an_answered_call_is_told_of_four_times_and_each_is_on_its_way() {
    let number =
        "[[numbers]]\nnumber = \"18001234567\"\nbot = \"echo\"\ncallbacks = \"http://127.0.0.1:9/n?k=v\"\n";
    let gateway = Gateway::start(&format!("{number}[callbacks]\nurl = \"http://127.0.0.1:9/all\"\n")).await;
    let mut phone = Phone::call("18001234567", &gateway.sip()).await;
    phone.talk(10, |_| [0x21; 160]).await;
    phone.hang_up().await;
    let left = Left::by(gateway).await;
    let words = ["call.initiated", "call.ringing", "call.in-progress", "call.completed"];
    assert_eq!(left.words().await, words);
    let expected: Vec<_> = words.iter().map(|word| (*word, "http://127.0.0.1:9/n?k=v".to_owned())).collect();
    assert_eq!(left.deliveries().await, expected);
    let bodies = left.bodies().await;
    let base = |body: &Value| body["call_id"] == *left.call.call_id && body["direction"] == "inbound";
    assert!(bodies.iter().all(base), "{bodies:?}");
    assert_eq!((&bodies[0]["from"], &bodies[0]["to"]), (&json!("1001"), &json!("18001234567")));
    assert_eq!((&bodies[3]["hangup_cause"], &bodies[3]["disconnected_by"]), (&json!("16"), &json!("caller")));
    assert_eq!(left.cause(), "completed/caller_hung_up");
    let StoredCall { ringing_ms, answered_ms, ended_ms, started_ms, .. } = left.call;
    assert!(Some(started_ms) <= ringing_ms && ringing_ms <= answered_ms && answered_ms < ended_ms);
    let record: Value = serde_json::from_str(left.call.record.as_deref().unwrap()).unwrap();
    assert_eq!(record["call_id"], *left.call.call_id);
    left.close().await;
}

#[tokio::test]
async fn a_caller_who_gives_up_and_one_who_dials_nothing_leave_their_rows() {
    let server = ConfigServer::start().await;
    let number = server.number("busy", "[egress]\nallow_private = true\n");
    let gateway = Gateway::start(&number).await;
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    let _unanswered = server.question().await;
    phone.event(|event| matches!(event, LegEvent::Ringing { .. })).await;
    phone.hang_up().await;
    let left = Left::by(gateway).await;
    assert_eq!(left.words().await, ["call.initiated", "call.ringing", "call.canceled"]);
    assert_eq!((left.call.status.word(), left.cause().as_str()), ("canceled", "caller/canceled"));
    left.close().await;

    let gateway = Gateway::start("[callbacks]\nurl = \"http://127.0.0.1:9/all\"\n").await;
    let mut phone = Phone::dial("nowhere", &gateway.sip(), &[pcmu()]).await;
    phone.event(LegEvent::is_terminal).await;
    let left = Left::by(gateway).await;
    assert_eq!(left.words().await, ["call.initiated", "call.failed"]);
    assert_eq!(left.cause(), "caller/unknown_number");
    assert!(left.deliveries().await.is_empty(), "it is nobody's call");
    left.close().await;
}

#[tokio::test]
async fn a_vendors_call_is_told_of_once_the_vendor_has_said_whose_it_is() {
    let gateway = Gateway::start("[callbacks]\nurl = \"http://127.0.0.1:9/all\"\n").await;
    let (mut vendor, _) =
        connect_async(format!("ws://{}/ws/ivr-solutions/tone", gateway.http())).await.unwrap();
    let start = json!({
        "event": "start", "sequence_number": 1, "stream_sid": "1707204900.123",
        "start": {
            "stream_sid": "1707204900.123", "call_sid": "call_1707204900000_a1b2c3",
            "from": "9876543210", "to": "18001234567",
            "media_format": {"encoding": "raw/slin", "sample_rate": 8000},
        },
    });
    vendor.send(Message::text(json!({"event": "connected"}).to_string())).await.unwrap();
    vendor.send(Message::text(start.to_string())).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), vendor.next()).await.unwrap().unwrap().unwrap();
    vendor.close(None).await.unwrap();
    let left = Left::by(gateway).await;
    let words = left.words().await;
    assert_eq!((words[0], *words.last().unwrap()), ("call.initiated", "call.completed"), "{words:?}");
    let first = left.bodies().await.remove(0);
    assert_eq!((&first["from"], &first["to"]), (&json!("9876543210"), &json!("18001234567")));
    assert_eq!(left.call.phone_leg_id, "call_1707204900000_a1b2c3");
    assert_eq!(left.deliveries().await.len(), words.len());
    left.close().await;
}

#[tokio::test]
async fn the_address_in_a_config_apis_answer_gets_all_events_of_its_call() {
    let server = ConfigServer::start().await;
    let gateway = Gateway::start(&server.number("busy", "callbacks = \"http://127.0.0.1:9/number\"\n")).await;
    let answer = json!({
        "bot": "echo", "status_callback_url": "https://crm.example.com/calls", "custom_params": {"order": 77},
    });
    let sip = gateway.sip();
    let (mut phone, _question) = tokio::join!(Phone::call("18001234567", &sip), server.answer(&answer));
    // Longer than what is told of a call at once is written at once.
    phone.talk(10, |_| [0x21; 160]).await;
    phone.hang_up().await;
    let left = Left::by(gateway).await;
    let deliveries = left.deliveries().await;
    assert_eq!(deliveries.len(), left.words().await.len());
    assert!(deliveries.iter().all(|(_, url)| url == "https://crm.example.com/calls"), "{deliveries:?}");
    let last = left.bodies().await.pop().unwrap();
    assert_eq!(last["custom_params"], json!({"order": "77"}));
    left.close().await;
}
