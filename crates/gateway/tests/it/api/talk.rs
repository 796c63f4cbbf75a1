//! The page that talks, and somebody who listens to it: two WebSockets of the API, by key and by role.

use base64_simd::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::client::get;
use super::keys::KEYS;
use crate::serve::phone::PATIENCE;
use crate::serve::{Gateway, cause};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const OPERATOR: &str = "Bearer operator-0123456789";
const ADMIN: &str = "Bearer admin-0123456789";
const READER: &str = "Bearer reader-0123456789";

/// Opens a WebSocket with a key; the status of a refusal.
async fn open(address: &str, path: &str, key: &str) -> Result<Socket, u16> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    if !key.is_empty() {
        request.headers_mut().insert("authorization", key.parse().unwrap());
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn next(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.expect("nothing came").expect("it has ended").unwrap()
}

/// The texts that come, and the code with which the server closes.
async fn closed(socket: &mut Socket) -> (Vec<String>, u16) {
    let mut texts = Vec::new();
    loop {
        match next(socket).await {
            Message::Text(text) => texts.push(text.as_str().to_owned()),
            Message::Close(frame) => return (texts, frame.map_or(1_005, |frame| frame.code.into())),
            _ => {}
        }
    }
}

async fn next_json(socket: &mut Socket) -> Value {
    serde_json::from_str(next(socket).await.to_text().unwrap()).unwrap()
}

/// Talks to `bot` as the page does; gives the socket and our id of the call.
async fn talk(address: &str, query: &str) -> (Socket, String) {
    let mut socket = open(address, &format!("/talk/ws?{query}"), OPERATOR).await.unwrap();
    let told = next_json(&mut socket).await;
    assert_eq!(told["event"], "call");
    say(&mut socket, json!({ "event": "connected" })).await;
    let media_format = json!({ "encoding": "raw/slin", "sample_rate": 16000 });
    let start = json!({ "stream_sid": "talk_1", "call_sid": "talk_1", "from": "browser", "to": "echo", "media_format": media_format });
    say(
        &mut socket,
        json!({ "event": "start", "sequence_number": 1, "stream_sid": "talk_1", "start": start }),
    )
    .await;
    (socket, told["call_id"].as_str().unwrap().to_owned())
}

async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// 20 ms of a square wave at 16 kHz.
fn loud() -> Value {
    let bytes: Vec<u8> =
        (0..320i16).flat_map(|at| if at % 32 < 16 { 8_000i16 } else { -8_000 }.to_le_bytes()).collect();
    json!({ "event": "media", "stream_sid": "talk_1", "media": { "payload": STANDARD.encode_to_string(bytes) } })
}

/// Speaks for so many frames; gives the loudest sample of what came back.
async fn speak(socket: &mut Socket, frames: usize) -> u16 {
    let mut clock = interval(std::time::Duration::from_millis(20));
    let (mut spoken, mut peak) = (0, 0);
    while spoken < frames {
        tokio::select! {
            _ = clock.tick() => {
                spoken += 1;
                say(socket, loud()).await;
            }
            message = next(socket) => {
                let message: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
                if let Some(audio) = message["delta"].as_str() {
                    peak = peak.max(loudest(&STANDARD.decode_to_vec(audio).unwrap(), 1, 0));
                }
            }
        }
    }
    peak
}

/// The loudest sample of one of the channels.
fn loudest(bytes: &[u8], channels: usize, channel: usize) -> u16 {
    let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs());
    samples.skip(channel).step_by(channels).max().unwrap_or(0)
}

#[tokio::test]
async fn a_page_talks_to_a_bot_and_somebody_listens_to_both_sides() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let (mut page, call_id) = talk(&address, "bot=echo&rate=16000").await;
    assert!(speak(&mut page, 25).await > 7_000, "the echo did not come back");

    let path = format!("/calls/{call_id}/listen");
    assert_eq!(open(&address, &path, READER).await.err(), Some(403));
    assert_eq!(open(&address, &path, "").await.err(), Some(401));
    assert_eq!(open(&address, "/calls/call_1_0/listen", OPERATOR).await.err(), Some(404));
    let mut listener = open(&address, &path, OPERATOR).await.unwrap();
    speak(&mut page, 50).await;
    let began = next_json(&mut listener).await;
    assert_eq!(
        (&began["type"], &began["channels"], &began["sample_rate"]),
        (&json!("listening"), &json!(2), &json!(16_000))
    );
    let mut heard = Vec::new();
    while heard.len() < 16_000 {
        if let Message::Binary(bytes) = next(&mut listener).await {
            heard.extend_from_slice(&bytes);
        }
    }
    for channel in 0..2 {
        assert!(loudest(&heard, 2, channel) > 7_000, "side {channel} is silent");
    }
    assert_eq!(
        listener.send(Message::text("nobody listens to me")).await.err().map(|error| error.to_string()),
        None
    );

    say(&mut page, json!({ "event": "stop", "stream_sid": "talk_1", "stop": { "reason": "callended" } }))
        .await;
    let last = loop {
        if let Message::Text(text) = next(&mut listener).await {
            break text;
        }
    };
    assert_eq!(last.as_str(), r#"{"type":"ended"}"#);
    let closed = next(&mut listener).await;
    assert!(matches!(&closed, Message::Close(Some(frame)) if u16::from(frame.code) == 1_000), "{closed}");
    let records = gateway.stop().await;
    assert_eq!((&records[0]["call_id"], &records[0]["from"]), (&json!(call_id), &json!("browser")));
    assert_eq!((&records[0]["bot"], &records[0]["counters"]["listened_in"]), (&json!("echo"), &json!(1)));
}

#[tokio::test]
async fn who_listens_or_talks_by_a_key_that_opens_it_no_more_is_shown_out() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let (mut page, call_id) = talk(&address, "bot=echo&rate=16000").await;
    let mut listener = open(&address, &format!("/calls/{call_id}/listen"), ADMIN).await.unwrap();
    speak(&mut page, 25).await;
    assert_eq!(next_json(&mut listener).await["type"], "listening");

    let demoted = KEYS.replace("role = \"admin\"", "role = \"reader\"");
    gateway.reload(&demoted);
    assert_eq!(closed(&mut listener).await, (Vec::new(), 1_008));
    assert!(speak(&mut page, 25).await > 7_000, "the call did not go on");

    gateway.reload(&demoted.replace("operator-0123456789", "changed-0123456789"));
    while next_json(&mut page).await["type"] != "session.hangup" {}
    say(&mut page, json!({ "event": "stop", "stream_sid": "talk_1", "stop": { "reason": "callended" } }))
        .await;
    assert_eq!(closed(&mut page).await.1, 1_000);
    let records = gateway.stop().await;
    assert_eq!(cause(&records[0]), "completed/asked");
}

#[tokio::test]
async fn nobody_listens_to_a_call_beyond_those_who_may_and_when_it_is_over_nobody() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let (mut page, call_id) = talk(&address, "bot=tone").await;
    let path = format!("/calls/{call_id}/listen");
    let mut ears = Vec::new();
    for _ in 0..4 {
        ears.push(open(&address, &path, OPERATOR).await.unwrap());
    }
    assert_eq!(open(&address, &path, OPERATOR).await.err(), Some(409));
    assert!(speak(&mut page, 25).await > 1_000, "who listens does not hold up the call");
    say(&mut page, json!({ "event": "stop", "stream_sid": "talk_1", "stop": { "reason": "callended" } }))
        .await;
    super::client::until(async || (gateway.exchange().registry.totals().active == 0).then_some(())).await;
    assert_eq!(open(&address, &path, OPERATOR).await.err(), Some(409));
    gateway.stop().await;
}

#[tokio::test]
async fn a_wish_that_cannot_be_is_refused_before_the_upgrade_in_words() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    for (query, refusal) in [
        ("", (400, "bad_parameter")),
        ("bot=nobody", (404, "unknown_bot")),
        ("bot=echo&url=ws://a.example", (400, "bad_parameter")),
        ("bot=echo&dialect=ozonetel", (400, "bad_parameter")),
        ("url=http://a.example", (400, "bad_parameter")),
        ("url=ws://a.example&dialect=klingon", (400, "bad_parameter")),
        ("url=ws://a.example&dialect=custom", (400, "bad_parameter")),
        ("bot=echo&rate=11025", (400, "bad_parameter")),
        ("bot=echo&bots=2", (400, "unknown_parameter")),
        ("bot=echo", (426, "no_websocket")),
    ] {
        let (status, code) = get(&address, &format!("/talk/ws?{query}"), "").await.problem();
        assert_eq!((status, code.as_str()), refusal, "{query}");
    }
    let page = get(&address, "/talk/ws?bot=echo", "Origin: https://evil.example\r\n").await;
    assert_eq!(page.problem(), (403, "foreign_origin".to_owned()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_pasted_address_on_this_machine_is_not_dialled_unless_the_operator_allows_it() {
    let bot = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("url=ws://{}&dialect=ivr-solutions", bot.local_addr().unwrap());
    let gateway = Gateway::start(KEYS).await;
    let (mut page, _) = talk(&gateway.http(), &url).await;
    say(&mut page, json!({ "event": "stop", "stream_sid": "talk_1", "stop": { "reason": "callended" } }))
        .await;
    let records = gateway.stop().await;
    assert!(timeout(std::time::Duration::ZERO, bot.accept()).await.is_err(), "it was dialled");
    assert!(cause(&records[0]).starts_with("bot") || cause(&records[0]).contains("caller"), "{}", records[0]);

    let gateway = Gateway::start(&format!("{KEYS}[egress]\nallow_private = true\n")).await;
    let (page, _) = talk(&gateway.http(), &url).await;
    assert!(timeout(PATIENCE, bot.accept()).await.is_ok(), "it was not dialled");
    drop(page);
    gateway.stop().await;
}
