//! The wire log of a real call: both wires in one file, and nobody's numbers, words or secrets in it.

use futures_util::{SinkExt, StreamExt};
use patchcord::calls::wire_log::{self, Flow, WireName};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::phone::Phone;
use super::{Gateway, records};

const SECRETS: [&str; 5] = ["18001234567", "sekret", "4111111111111111", "my card", "1001@"];

#[tokio::test]
async fn a_call_leaves_its_sip_and_its_bots_messages_in_one_file_without_anything_of_anybody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bot = listener.local_addr().unwrap();
    let gateway = Gateway::start(&format!(
        "[log]\nwire = true\n[[numbers]]\nnumber = \"*\"\nbot = \"far\"\n[bots.far]\nurl = \"ws://{bot}/?token=sekret\"\n\
         dialect = \"smartpbx\"\nheaders = {{ Authorization = \"Bearer sekret\" }}\n"
    ))
    .await;
    let says = tokio::spawn(async move {
        let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
        let secret = r#"{"event":"note","text":"my card is 4111111111111111","token":"sekret","pin":4711}"#;
        socket.send(Message::text(secret)).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut phone = Phone::call("18001234567", &gateway.sip()).await;
    phone.talk(25, |_| [0x21; 160]).await;
    phone.hang_up().await;
    says.await.unwrap();

    let (lines, file) = gateway
        .stop_and_look(|folder| {
            let call = records(folder)[0]["call_id"].as_str().unwrap().to_owned();
            let file = wire_log::file_of(folder, &call).unwrap();
            (wire_log::read(folder, &call).unwrap(), std::fs::read_to_string(file).unwrap())
        })
        .await;
    for secret in SECRETS {
        assert!(!file.contains(secret), "{secret} in {file}");
    }
    let picture = wire_log::ladder(&lines);
    for step in [
        "- INVITE +sdp -",
        "- 180 Ringing (INVITE) -",
        "- 200 OK (INVITE) +sdp -",
        "- ACK -",
        "- BYE -",
        "- 200 OK (BYE) -",
    ] {
        assert!(picture.contains(step), "{step} not in\n{picture}");
    }
    let count = |wire, flow| lines.iter().filter(|line| (line.wire, line.flow) == (wire, flow)).count();
    assert!(count(WireName::Bot, Flow::Out) >= 25 && count(WireName::Bot, Flow::In) >= 25, "{picture}");
    assert!(picture.contains(" × audio, "), "{picture}");
}

#[tokio::test]
async fn without_the_setting_no_wire_is_logged() {
    let gateway = Gateway::start("").await;
    let phone = Phone::call("echo", &gateway.sip()).await;
    phone.hang_up().await;
    assert!(!gateway.stop_and_look(|folder| folder.join("wire").exists()).await);
}
