//! A plain WebSocket end that knows no dialect: it says texts as they stand and shows what comes.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

/// One open WebSocket.
pub struct PlainSocket(WebSocketStream<TcpStream>);

/// An end that waits for the gateway to dial it.
pub struct PlainServer(TcpListener);

/// What came, audio aside.
#[derive(Debug)]
pub enum Came {
    /// A JSON message.
    Json(Value),
    /// The close, with its code.
    Closed(Option<CloseCode>),
}

impl PlainServer {
    /// Listens on a free port.
    pub async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("ws://{}/", self.0.local_addr().unwrap())
    }

    /// The next connection.
    pub async fn accept(&self) -> PlainSocket {
        let handshake = async { accept_async(self.0.accept().await.unwrap().0).await.unwrap() };
        PlainSocket(timeout(PATIENCE, handshake).await.expect("nobody connected"))
    }
}

impl PlainSocket {
    /// Dials `url`.
    pub async fn dial(url: &str) -> Self {
        let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        Self(client_async(url, stream).await.unwrap().0)
    }

    /// Says a text as it stands.
    pub async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Sends a binary message.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    /// Closes with 1000 and waits until the other end has closed too.
    pub async fn close(mut self) {
        self.0.close(None).await.unwrap();
        while let Ok(Some(Ok(_))) = timeout(PATIENCE, self.0.next()).await {}
    }

    /// The next message of any kind.
    pub async fn message(&mut self) -> Message {
        let next = timeout(PATIENCE, self.0.next()).await;
        next.expect("nothing came").unwrap_or(Ok(Message::Close(None))).unwrap()
    }

    /// The next message that is no audio: neither binary nor one that `is_audio`.
    pub async fn next_word(&mut self) -> Came {
        loop {
            match self.message().await {
                Message::Text(text) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    if !is_audio(&value) {
                        return Came::Json(value);
                    }
                }
                Message::Close(frame) => return Came::Closed(frame.map(|frame| frame.code)),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// The next message that is no audio, as JSON.
    pub async fn json(&mut self) -> Value {
        match self.next_word().await {
            Came::Json(value) => value,
            Came::Closed(code) => panic!("closed with {code:?}"),
        }
    }

    /// Expects the close with 1000, audio aside.
    pub async fn expect_close(&mut self) {
        match self.next_word().await {
            Came::Closed(Some(CloseCode::Normal)) => {}
            other => panic!("{other:?} instead of a close with 1000"),
        }
    }

    /// The next audio: a binary message, or a text whose value `is_audio`.
    pub async fn audio(&mut self) -> Message {
        loop {
            let message = self.message().await;
            match &message {
                Message::Binary(_) => return message,
                Message::Text(text) if is_audio(&serde_json::from_str(text).unwrap()) => return message,
                Message::Close(frame) => panic!("closed with {frame:?}"),
                _ => {}
            }
        }
    }
}

fn is_audio(value: &Value) -> bool {
    value["event"] == "media" || value["type"] == "response.audio.delta"
}

const PATIENCE: Duration = Duration::from_secs(10);
