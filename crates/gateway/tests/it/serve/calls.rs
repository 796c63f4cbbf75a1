//! Calls that come in by SIP, to built-in bots and to a bot behind a WebSocket.

use patchcord::app::{App, Parts};
use patchcord::config::{Config, DialectName, Listener, VendorAccess};
use patchcord_sip::LegEvent;
use patchcord_sip::sdp::{CodecSpec, Direction};

use super::phone::{Phone, pcmu};
use super::{Gateway, cause};

/// A payload that no other frame has: its number in every byte pair, away from silence.
fn numbered(frame: u16) -> [u8; 160] {
    let mut payload = [0x21; 160];
    payload[..2].copy_from_slice(&(0x2000 | frame).to_be_bytes());
    payload
}

fn is_numbered(payload: &[u8]) -> bool {
    payload.len() == 160 && payload[0] & 0xF0 == 0x20 && payload[2..].iter().all(|byte| *byte == 0x21)
}

/// The frames of ours among what was heard, by number.
fn own(heard: &[Vec<u8>]) -> Vec<u16> {
    let number = |payload: &Vec<u8>| u16::from_be_bytes([payload[0], payload[1]]) & 0x0FFF;
    heard.iter().filter(|payload| is_numbered(payload)).map(number).collect()
}

#[tokio::test]
async fn echo_returns_every_frame_in_order_and_the_call_leaves_its_record() {
    let gateway = Gateway::start("").await;
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    let mut heard = phone.talk(100, numbered).await;
    phone.listen_until(&mut heard, |heard| own(heard).len() >= 95).await;
    phone.hang_up().await;
    let frames = own(&heard);
    assert!(frames.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{frames:?}");
    let records = gateway.stop().await;
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(cause(record), "completed/caller_hung_up");
    assert_eq!((record["from"].as_str(), record["to"].as_str()), (Some("1001"), Some("echo")));
    assert_eq!(
        (record["phone_dialect"].as_str(), record["bot_dialect"].as_str()),
        (Some("sip"), Some("built-in"))
    );
    assert!(record["counters"]["rtp_received"].as_u64() >= Some(98), "{record}");
    assert!(record["answered_at"].is_string() && record["call_id"].as_str().unwrap().starts_with("call_"));
}

#[tokio::test]
async fn a_remote_bot_hears_the_caller_and_is_heard_in_every_dialect() {
    for dialect in ["ivr-solutions", "incoming-call", "smartpbx", "ozonetel"] {
        let mut config = Config::default_serve();
        let folder = std::env::temp_dir().join(format!("patchcord-bot-{dialect}-{}", std::process::id()));
        config.server.data_dir.clone_from(&folder);
        config.listeners = vec![Listener {
            listen: "127.0.0.1:0".parse().unwrap(),
            dialect: DialectName::parse(dialect).unwrap(),
            bot: "tone".to_owned(),
            country: None,
            audio: DialectName::parse(dialect).unwrap().row().default_audio,
            mapping: None,
            access: VendorAccess { token: None, accept_from: None },
        }];
        let bot = App::start(config, Parts::Listeners).await.unwrap();
        let address = bot.places().listeners[0];
        let number = "[[numbers]]\nnumber = \"*\"\nbot = \"far\"\n[bots.far]\n";
        let gateway =
            Gateway::start(&format!("{number}url = \"ws://{address}/\"\ndialect = \"{dialect}\"\n")).await;
        let mut phone = Phone::call("18001234567", &gateway.sip()).await;
        let mut heard = phone.talk(50, numbered).await;
        // A loud packet is one whose bytes are far from µ-law silence.
        let loud = |payload: &&Vec<u8>| payload.iter().filter(|byte| **byte & 0x7F < 0x40).count() > 80;
        phone.listen_until(&mut heard, |heard| heard.iter().filter(loud).count() >= 10).await;
        phone.hang_up().await;
        let records = gateway.stop().await;
        let [record] = records.as_slice() else { panic!("{dialect}: {records:?}") };
        assert_eq!(cause(record), "completed/caller_hung_up", "{dialect}");
        assert_eq!(record["bot_dialect"].as_str(), Some(dialect));
        assert_eq!(record["counters"]["malformed_messages"], 0, "{dialect}");
        bot.stop(std::time::Duration::from_secs(5), std::future::pending()).await;
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[tokio::test]
async fn hold_and_resume_are_answered_and_the_call_goes_on() {
    let gateway = Gateway::start("").await;
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    assert!(phone.reoffer(Direction::SendOnly).await.contains("a=recvonly"));
    assert!(phone.reoffer(Direction::SendRecv).await.contains("a=sendrecv"));
    let mut heard = phone.talk(50, numbered).await;
    phone.listen_until(&mut heard, |heard| own(heard).len() >= 40).await;
    phone.hang_up().await;
    assert_eq!(cause(&gateway.stop().await[0]), "completed/caller_hung_up");
}

#[tokio::test]
async fn a_number_that_leads_nowhere_gets_404_and_a_record() {
    let gateway = Gateway::start("").await;
    let mut phone = Phone::dial("nobody", &gateway.sip(), &[pcmu()]).await;
    let refused = phone.event(LegEvent::is_terminal).await;
    assert!(matches!(refused, LegEvent::Failed { code: 404, q850: Some(1), .. }), "{refused:?}");
    let records = gateway.stop().await;
    assert_eq!((records.len(), cause(&records[0])), (1, "caller/unknown_number".to_owned()));
}

#[tokio::test]
async fn a_phone_without_a_common_codec_gets_488() {
    let gateway = Gateway::start("").await;
    let other = CodecSpec::new("iLBC", 8_000, 96);
    let mut phone = Phone::dial("echo", &gateway.sip(), &[other]).await;
    let refused = phone.event(LegEvent::is_terminal).await;
    assert!(matches!(refused, LegEvent::Failed { code: 488, q850: Some(88), .. }), "{refused:?}");
    assert_eq!(cause(&gateway.stop().await[0]), "upstream/no_common_codec");
}

#[tokio::test]
async fn a_bot_that_refuses_connections_gives_the_configured_fallback() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Gateway::start(&format!(
        "[[numbers]]\nnumber = \"*\"\nbot = \"gone\"\nfallback = \"busy\"\n\
         [bots.gone]\nurl = \"ws://{nobody}/\"\ndialect = \"ivr-solutions\"\n"
    ))
    .await;
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    let refused = phone.event(LegEvent::is_terminal).await;
    assert!(matches!(refused, LegEvent::Failed { code: 486, .. }), "{refused:?}");
    assert_eq!(cause(&gateway.stop().await[0]), "bot/refused");
}

#[tokio::test]
async fn a_stop_ends_the_calls_that_are_left_with_a_bye_and_their_records() {
    let gateway = Gateway::start("").await;
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    let (records, ended) = tokio::join!(gateway.stop_at_once(), phone.event(LegEvent::is_terminal));
    assert!(matches!(ended, LegEvent::Ended { q850: Some(16), .. }), "{ended:?}");
    assert_eq!(cause(&records[0]), "us/drained");
}
