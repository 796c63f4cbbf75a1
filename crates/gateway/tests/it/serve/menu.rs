//! The built-in menu, for a caller at a vendor: a key leads to the next bot, and the call goes on with that one.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::phone::PATIENCE;
use super::{Gateway, cause};

/// A caller at a vendor that speaks `incoming-call`.
struct Caller {
    socket: WebSocketStream<TcpStream>,
}

impl Caller {
    async fn call(gateway: &Gateway, bot: &str) -> Self {
        let stream = TcpStream::connect(gateway.http()).await.unwrap();
        let url = format!("ws://{}/ws/incoming-call/{bot}", gateway.http());
        let mut caller = Self { socket: client_async(url, stream).await.unwrap().0 };
        let start = json!({"event": "incoming_call", "callerId": "1", "didNumber": "2", "sessionId": "s"});
        caller.say(&start).await;
        caller
    }

    async fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn press(&mut self, key: &str) {
        self.say(&json!({"event": "dtmf", "digit": key, "duration": 200})).await;
    }

    /// Speaks, a frame of `sample`s every 20 ms, and presses `key` every fifth of a second, until something that
    /// `enough` accepts was heard.
    async fn go_on_until(&mut self, sample: i16, key: Option<&str>, enough: impl Fn(&Message) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut clock = interval(Duration::from_millis(20));
        for frame in 0_u32.. {
            let heard = async {
                loop {
                    let message = self.socket.next().await.expect("closed").unwrap();
                    if enough(&message) {
                        return;
                    }
                }
            };
            tokio::select! {
                () = heard => return,
                now = clock.tick() => assert!(now < deadline, "not heard in time"),
            }
            self.socket.send(Message::binary(sample.to_le_bytes().repeat(160))).await.unwrap();
            if let Some(key) = key.filter(|_| frame % 10 == 0) {
                self.press(key).await;
            }
        }
    }

    async fn hang_up(mut self) {
        self.say(&json!({"event": "hangup"})).await;
        self.go_on_until(0, None, Message::is_close).await;
    }
}

/// What nobody else says.
const SAMPLE: i16 = 0x1234;

fn is_ours(message: &Message) -> bool {
    samples(message).contains(&SAMPLE)
}

fn is_loud(message: &Message) -> bool {
    samples(message).iter().any(|sample| sample.unsigned_abs() > 2_000)
}

/// A kilohertz: eight samples a turn.
fn is_the_tone(message: &Message) -> bool {
    let samples = samples(message);
    is_loud(message) && samples.iter().zip(&samples[8..]).all(|(one, next)| one.abs_diff(*next) < 3)
}

fn samples(message: &Message) -> Vec<i16> {
    let bytes = if message.is_binary() { message.clone().into_data() } else { return Vec::new() };
    bytes.as_chunks::<2>().0.iter().map(|two| i16::from_le_bytes(*two)).collect()
}

#[tokio::test]
async fn a_key_leads_from_the_menu_to_the_bot_behind_it() {
    let gateway = Gateway::start("").await;
    let mut caller = Caller::call(&gateway, "ivr").await;
    caller.go_on_until(0, None, is_loud).await;
    caller.press("1").await;
    caller.go_on_until(SAMPLE, None, is_ours).await;
    caller.hang_up().await;
    let records = gateway.stop().await;
    assert_eq!(cause(&records[0]), "completed/caller_hung_up");
    assert_eq!((&records[0]["bots"], &records[0]["bot"]), (&json!(["ivr", "echo"]), &json!("echo")));
}

#[tokio::test]
async fn a_bot_of_the_configuration_that_is_away_is_told_and_the_menu_goes_on() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::start(&format!(
        "[ivr]\nkeys = {{ 5 = \"sales\", 6 = \"tone\" }}\n\
         [bots.sales]\nurl = \"ws://{nobody}/\"\ndialect = \"ivr-solutions\"\n"
    ))
    .await;
    let mut caller = Caller::call(&gateway, "ivr").await;
    caller.go_on_until(0, None, is_loud).await;
    caller.press("5").await;
    // Keys are borne while the bot is being reached.
    caller.go_on_until(0, Some("6"), is_the_tone).await;
    caller.hang_up().await;
    let records = gateway.stop().await;
    assert_eq!(records[0]["bots"], json!(["ivr", "tone"]));
    assert_eq!(records[0]["counters"]["refused_commands"], 1);
}
