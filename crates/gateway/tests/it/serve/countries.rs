//! National numbers become E.164 for a bot whose wire shows it, from a phone and from a vendor.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use super::Gateway;
use super::phone::{Phone, pcmu};

type Socket = WebSocketStream<TcpStream>;

/// The first text message that names `event`.
async fn event(socket: &mut Socket, event: &str) -> Value {
    loop {
        let message = socket.next().await.expect("the gateway left").unwrap();
        let Message::Text(text) = message else { continue };
        let value: Value = serde_json::from_str(&text).unwrap();
        if value["event"] == event {
            return value;
        }
    }
}

/// A gateway whose only bot speaks smartpbx at `bot`, and one more table.
async fn gateway(bot: &TcpListener, table: &str) -> Gateway {
    let url = bot.local_addr().unwrap();
    Gateway::start(&format!("{table}\n[bots.far]\nurl = \"ws://{url}/\"\ndialect = \"smartpbx\"\n")).await
}

#[tokio::test]
async fn a_number_with_a_country_reaches_the_bot_in_e164() {
    let bot = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = gateway(&bot, "[[numbers]]\nnumber = \"*\"\nbot = \"far\"\ncountry = \"91\"").await;
    let sip = gateway.sip();
    let codecs = [pcmu()];
    let (phone, mut called) = tokio::join!(Phone::dial("07415100898", &sip, &codecs), async {
        accept_async(bot.accept().await.unwrap().0).await.unwrap()
    });
    let start = event(&mut called, "start").await;
    assert_eq!(
        (&start["start"]["calleeIdNumber"], &start["start"]["callerIdNumber"]),
        (&json!("+917415100898"), &json!("+911001"))
    );
    drop((phone, called));
    let records = gateway.stop_at_once().await;
    assert_eq!(records[0]["to"], "07415100898", "the record keeps the number as received");
    assert_eq!(records[0]["server"], "patchcord");
}

#[tokio::test]
async fn a_listener_with_a_country_gives_the_vendors_numbers_in_e164() {
    let bot = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let table = "[[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"incoming-call\"\nbot = \"far\"\ncountry = \"91\"";
    let gateway = gateway(&bot, table).await;
    let port = gateway.app.places().listeners[0];
    let stream = TcpStream::connect(port).await.unwrap();
    let (mut vendor, _) = client_async(format!("ws://{port}/"), stream).await.unwrap();
    let call = json!({"event": "incoming_call", "callerId": "09876543210", "didNumber": "918001234567", "sessionId": "s1"});
    vendor.send(Message::text(call.to_string())).await.unwrap();
    let mut called = accept_async(bot.accept().await.unwrap().0).await.unwrap();
    let start = event(&mut called, "start").await;
    assert_eq!(
        (&start["start"]["callerIdNumber"], &start["start"]["calleeIdNumber"]),
        (&json!("+919876543210"), &json!("+918001234567"))
    );
    drop((vendor, called));
    assert_eq!(gateway.stop_at_once().await.len(), 1);
}
