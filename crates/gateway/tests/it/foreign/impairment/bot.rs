//! A bot that returns its caller's audio and keeps what it was told: keys, frames, and how steadily they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::frame::Numbers;

/// What one call's bot was told.
#[derive(Debug, Default)]
pub struct Told {
    /// Keys, in order.
    pub digits: String,
    /// Milliseconds of audio.
    pub audio_ms: u64,
    /// Times that a stamp was not the end of the audio before it.
    pub holes: u32,
    /// The longest wait between two messages of audio.
    pub gap_max: Duration,
    /// By how much the audio is behind the time since its first message, at the end; negative when ahead.
    pub behind_ms: i64,
    /// The caller's own frames.
    pub numbers: Numbers,
}

/// What was told, by who called.
pub type Calls = Arc<Mutex<HashMap<String, Told>>>;

/// Listens on a free port for any number of calls; gives the URL, and what calls that are over were told.
pub async fn listen() -> (String, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let calls = Calls::default();
    let all = calls.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, all.clone()));
        }
    });
    (url, calls)
}

#[derive(Deserialize)]
struct Event<'a> {
    event: &'a str,
    #[serde(borrow)]
    start: Option<Start<'a>>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
    #[serde(borrow)]
    dtmf: Option<Dtmf<'a>>,
}

#[derive(Deserialize)]
struct Start<'a> {
    from: &'a str,
}

#[derive(Deserialize)]
struct Media<'a> {
    timestamp: &'a str,
    payload: &'a str,
}

#[derive(Deserialize)]
struct Dtmf<'a> {
    digit: &'a str,
}

async fn serve(stream: TcpStream, calls: Calls) {
    let mut socket = accept_async(stream).await.unwrap();
    let (mut from, mut told) = (String::new(), Told::default());
    let (mut first, mut last): (Option<Instant>, Option<Instant>) = (None, None);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let event: Event<'_> = serde_json::from_str(&text).unwrap();
        from = event.start.map_or(from, |start| start.from.to_owned());
        told.digits.extend(event.dtmf.map(|dtmf| dtmf.digit));
        if let Some(media) = event.media {
            let now = Instant::now();
            told.gap_max = told.gap_max.max(last.map_or(Duration::ZERO, |last| now - last));
            (first, last) = (first.or(Some(now)), Some(now));
            told.holes += u32::from(media.timestamp.parse() != Ok(told.audio_ms));
            let payload = STANDARD.decode_to_vec(media.payload).unwrap();
            told.audio_ms += payload.len() as u64 / 8;
            told.numbers.hear(&payload);
            if socket.send(Message::Binary(Bytes::from(payload))).await.is_err() {
                break;
            }
        }
        if event.event == "stop" {
            let passed = first.zip(last).map_or(0, |(first, last)| (last - first).as_millis() as i64 + 20);
            told.behind_ms = passed - told.audio_ms as i64;
        }
    }
    calls.lock().unwrap().insert(from, told);
}
