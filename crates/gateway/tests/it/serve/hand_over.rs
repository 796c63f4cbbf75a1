//! A bot behind a WebSocket gives the call to another one by `session.transfer_ws`.

use futures_util::{SinkExt, StreamExt};
use patchcord_sip::LegEvent;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::config_server::ConfigServer;
use super::phone::{PATIENCE, Phone, pcmu};
use super::{Gateway, cause};

/// A bot's end of a call, and what its request brought along.
pub(super) struct Bot {
    pub(super) socket: WebSocketStream<TcpStream>,
    authorization: Option<String>,
    path: String,
}

impl Bot {
    #[expect(clippy::result_large_err, reason = "the library's own signature")]
    pub(super) async fn accept(listener: &TcpListener) -> Self {
        let stream = timeout(PATIENCE, listener.accept()).await.expect("nobody dials the bot").unwrap().0;
        let (mut authorization, mut path) = (None, String::new());
        let keep = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let header = request.headers().get("authorization");
            authorization = header.map(|value| value.to_str().unwrap().to_owned());
            path = request.uri().path().to_owned();
            Ok(response)
        };
        let socket = accept_hdr_async(stream, keep).await.unwrap();
        Self { socket, authorization, path }
    }

    pub(super) async fn say(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message that `wanted` accepts.
    async fn hear(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        let heard = async {
            loop {
                let message = self.socket.next().await.expect("the bot's socket ended").unwrap();
                if wanted(&message) {
                    return message;
                }
            }
        };
        timeout(PATIENCE, heard).await.expect("the bot did not hear it in time")
    }

    /// Everything until the gateway has closed the connection.
    pub(super) async fn gone(&mut self) {
        let gone = async { while let Some(Ok(_)) = self.socket.next().await {} };
        timeout(PATIENCE, gone).await.expect("the connection stays open");
    }

    pub(super) async fn event(&mut self, name: &str) -> Value {
        let named = |message: &Message| read(message).is_some_and(|value| value["event"] == name);
        read(&self.hear(named).await).unwrap()
    }
}

fn read(message: &Message) -> Option<Value> {
    message.to_text().ok().and_then(|text| serde_json::from_str(text).ok())
}

#[tokio::test]
async fn a_bot_names_another_ones_address_and_the_caller_goes_on_with_that_one() {
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let next = format!("ws://{}/voice", second.local_addr().unwrap());
    let gateway = Gateway::start(&format!(
        "[[numbers]]\nnumber = \"*\"\nbot = \"desk\"\n\
         [bots.desk]\nurl = \"ws://{}/\"\ndialect = \"ivr-solutions\"\nheaders = {{ Authorization = \"t\" }}\n\
         [bots.sales]\nurl = \"{next}\"\ndialect = \"ivr-solutions\"\n",
        first.local_addr().unwrap()
    ))
    .await;
    let sip = gateway.sip();
    let (mut phone, mut desk) = tokio::join!(Phone::call("18001234567", &sip), Bot::accept(&first));
    let start = desk.event("start").await;
    desk.say(&json!({"type": "session.transfer_ws", "url": next})).await;
    let (_, mut sales) = tokio::join!(phone.talk(25, |_| [0x21; 160]), Bot::accept(&second));
    assert_eq!((sales.path.as_str(), sales.authorization.as_deref()), ("/voice", Some("t")));
    let stop = desk.event("stop").await;
    assert_eq!(stop["stop"]["reason"], "stopped", "{stop}");
    let close = desk.hear(Message::is_close).await;
    let Message::Close(Some(frame)) = close else { panic!("{close:?}") };
    assert_eq!(u16::from(frame.code), 1000);
    let again = sales.event("start").await;
    assert_eq!(again["start"]["call_sid"], start["start"]["call_sid"]);
    assert_ne!(again["stream_sid"], start["stream_sid"]);
    sales.event("media").await;
    sales.socket.send(Message::binary(vec![0x10; 3_200])).await.unwrap();
    let mut heard = phone.talk(5, |_| [0x21; 160]).await;
    let loud = |payload: &Vec<u8>| payload.iter().all(|byte| *byte & 0x7F < 0x70);
    phone.listen_until(&mut heard, |heard| heard.iter().filter(|payload| loud(payload)).count() >= 9).await;
    phone.hang_up().await;
    let records = gateway.stop().await;
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(cause(record), "completed/caller_hung_up");
    assert_eq!((&record["bots"], &record["bot"]), (&json!(["desk", "sales"]), &json!("sales")));
    assert_eq!(record["stream_ids"], json!([start["stream_sid"], again["stream_sid"]]));
}

#[tokio::test]
async fn an_address_that_may_not_be_dialled_is_refused_by_an_error_and_the_bot_talks_on() {
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::start(&format!(
        "[[numbers]]\nnumber = \"*\"\nbot = \"desk\"\n\
         [bots.desk]\nurl = \"ws://{}/\"\ndialect = \"ivr-solutions\"\n",
        first.local_addr().unwrap()
    ))
    .await;
    let sip = gateway.sip();
    let (phone, mut desk) = tokio::join!(Phone::call("18001234567", &sip), Bot::accept(&first));
    let url = format!("ws://{}/", elsewhere.local_addr().unwrap());
    desk.say(&json!({"type": "session.transfer_ws", "url": url})).await;
    let error = desk.event("error").await;
    assert_eq!(error["error"]["code"], "not_allowed", "{error}");
    assert_eq!(error["error"]["command"], "session.transfer_ws", "{error}");
    desk.event("media").await;
    phone.hang_up().await;
    desk.event("stop").await;
    assert_eq!(gateway.stop().await[0]["bots"], json!(["desk"]));
}

#[tokio::test]
async fn an_address_that_egress_allows_is_dialled_without_the_first_bots_headers() {
    let (first, second) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let gateway = Gateway::start(&format!(
        "[egress]\nallow_private = true\n[[numbers]]\nnumber = \"*\"\nbot = \"desk\"\n\
         [bots.desk]\nurl = \"ws://{}/\"\ndialect = \"ivr-solutions\"\nheaders = {{ Authorization = \"t\" }}\n",
        first.local_addr().unwrap()
    ))
    .await;
    let sip = gateway.sip();
    let (phone, mut desk) = tokio::join!(Phone::call("18001234567", &sip), Bot::accept(&first));
    let origin = format!("ws://{}", second.local_addr().unwrap());
    desk.say(&json!({"type": "session.transfer_ws", "url": format!("{origin}/secret/path")})).await;
    let mut sales = Bot::accept(&second).await;
    assert_eq!((sales.path.as_str(), sales.authorization.as_deref()), ("/secret/path", None));
    sales.event("media").await;
    phone.hang_up().await;
    sales.event("stop").await;
    assert_eq!(gateway.stop().await[0]["bots"], json!(["desk", origin]));
}

#[tokio::test]
async fn a_bot_that_came_from_outside_gets_no_further_into_the_network_than_to_a_configured_bots_own_address()
{
    let server = ConfigServer::start().await;
    let (stranger, ours) =
        (TcpListener::bind("127.0.0.2:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let origin = format!("ws://{}", ours.local_addr().unwrap());
    let gateway = Gateway::start(&server.number(
        "busy",
        &format!(
            "[egress]\nallow = [\"127.0.0.2\"]\n\
             [bots.sales]\nurl = \"{origin}/voice\"\ndialect = \"ivr-solutions\"\n"
        ),
    ))
    .await;
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    server.answer(&json!({"url": format!("ws://{}/", stranger.local_addr().unwrap())})).await;
    let mut evil = Bot::accept(&stranger).await;
    phone.event(|event| matches!(event, LegEvent::Answered { .. })).await;
    evil.say(&json!({"type": "session.transfer_ws", "url": format!("{origin}/admin?restart=1")})).await;
    let error = evil.event("error").await;
    assert_eq!(error["error"]["code"], "not_allowed", "{error}");
    evil.say(&json!({"type": "session.transfer_ws", "url": format!("{origin}/voice")})).await;
    let mut sales = Bot::accept(&ours).await;
    assert_eq!(sales.path, "/voice");
    sales.event("start").await;
    phone.hang_up().await;
    gateway.stop().await;
}
