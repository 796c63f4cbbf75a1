//! A vendor that was held up and sends seconds of audio at once: the bot gets all of it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

use super::Gateway;
use super::phone::PATIENCE;

#[tokio::test]
async fn two_seconds_of_a_vendors_audio_at_once_reach_a_bot_that_reads_and_none_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bot = listener.local_addr().unwrap();
    let gateway = Gateway::start(&format!(
        "[[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"ozonetel\"\nbot = \"far\"\n\
         [bots.far]\nurl = \"ws://{bot}/\"\ndialect = \"ozonetel\"\naudio = {{ frame = \"100ms\" }}\n"
    ))
    .await;
    let port = gateway.app.places().listeners[0];
    let stream = TcpStream::connect(port).await.unwrap();
    let (mut vendor, _) = client_async(format!("ws://{port}/"), stream).await.unwrap();
    let start = json!({"event": "start", "type": "text", "ucid": "1", "did": "2000"});
    vendor.send(Message::text(start.to_string())).await.unwrap();
    let mut called = accept_async(listener.accept().await.unwrap().0).await.unwrap();
    let mut heard_ms = 0;
    let mut burst_sent = false;
    timeout(PATIENCE, async {
        while heard_ms < 2_000 {
            let Message::Text(text) = called.next().await.unwrap().unwrap() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            let samples = message["data"]["samples"].as_array().cloned().unwrap_or_default();
            heard_ms += samples.iter().filter(|sample| **sample == 7).count() / 8;
            if !std::mem::replace(&mut burst_sent, true) {
                for _ in 0..40 {
                    vendor.feed(Message::text(media())).await.unwrap();
                }
                vendor.flush().await.unwrap();
            }
        }
    })
    .await
    .unwrap_or_else(|_| panic!("the bot heard {heard_ms} ms"));
    drop((vendor, called));
    let records = gateway.stop_at_once().await;
    assert_eq!(records[0]["counters"]["outbox_dropped"], 0, "{}", records[0]);
}

/// 50 ms of a sound that cannot be mistaken for silence, and is short when it is written.
fn media() -> String {
    json!({"event": "media", "type": "media", "ucid": "1", "data": {
        "samples": vec![7; 400], "bitsPerSample": 16, "sampleRate": 8_000, "channelCount": 1,
        "numberOfFrames": 400, "type": "data"}})
    .to_string()
}
