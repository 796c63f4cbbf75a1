//! Real calls through flows: as a number's taker, in a bot's place, and after a bot that is away.

use std::path::Path;
use std::time::Duration;

use patchcord_sip::LegEvent;
use serde_json::json;
use tokio::net::TcpListener;

use super::hand_over::Bot;
use super::phone::Phone;
use super::{Gateway, cause};

/// A key, as SIP INFO carries it.
async fn press(phone: &Phone, keys: &str) {
    for key in keys.chars() {
        phone.call.leg.send_info(key, Duration::from_millis(160)).await.unwrap();
    }
}

/// Waits until a voice was heard for 200 ms.
async fn hear(phone: &mut Phone) {
    let is_loud = |payload: &&Vec<u8>| payload.iter().any(|byte| byte & 0x7F < 0x40);
    phone.listen_until(&mut Vec::new(), |heard| heard.iter().filter(is_loud).count() >= 10).await;
}

async fn sales() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let config = format!("[bots.sales]\nurl = \"{url}\"\ndialect = \"ivr-solutions\"\n");
    (listener, config)
}

#[tokio::test]
async fn a_caller_goes_from_menu_to_menu_to_a_bot_that_learns_what_was_keyed_in() {
    let (listener, bot) = sales().await;
    let gateway = Gateway::start(&format!(
        "{bot}[[numbers]]\nnumber = \"*\"\nflow = \"desk\"\n\
         [flows.desk]\nsteps = [{{ menu = \"clip:choose\", keys = {{ 1 = \"account\" }} }}]\n\
         [flows.account]\nsteps = [{{ gather = \"clip:number\", name = \"account\" }}, {{ bot = \"sales\" }}]\n"
    ))
    .await;
    let mut phone = Phone::call("18001234567", &gateway.sip()).await;
    hear(&mut phone).await;
    press(&phone, "1").await;
    hear(&mut phone).await;
    press(&phone, "4711#").await;
    let mut sales = Bot::accept(&listener).await;
    let start = sales.event("start").await;
    assert!(start.to_string().contains(r#""account":"4711""#), "{start}");
    phone.hang_up().await;
    let records = gateway.stop().await;
    assert_eq!(cause(&records[0]), "completed/caller_hung_up");
    assert_eq!(records[0]["bots"], json!(["flow:desk", "sales"]));
}

#[tokio::test]
async fn a_flow_is_the_fallback_of_a_bot_that_is_away() {
    let (listener, bot) = sales().await;
    drop(listener);
    let gateway = Gateway::start(&format!(
        "{bot}[[numbers]]\nnumber = \"*\"\nbot = \"sales\"\nfallback = \"flow:night\"\n\
         [flows.night]\nsteps = [{{ play = \"clip:goodbye\" }}]\n"
    ))
    .await;
    let mut phone = Phone::call("18001234567", &gateway.sip()).await;
    hear(&mut phone).await;
    phone.event(|event| matches!(event, LegEvent::Ended { .. })).await;
    let records = gateway.stop().await;
    assert_eq!(cause(&records[0]), "completed/bot_hung_up");
    assert_eq!(records[0]["bots"], json!(["sales", "flow:night"]));
}

#[tokio::test]
async fn a_bot_gives_the_call_to_a_flow_and_learns_when_there_is_none_of_that_name() {
    let (listener, bot) = sales().await;
    let gateway = Gateway::start(&format!(
        "{bot}[[numbers]]\nnumber = \"*\"\nbot = \"sales\"\n\
         [flows.night]\nsteps = [{{ play = \"clip:goodbye\" }}]\n"
    ))
    .await;
    let sip = gateway.sip();
    let (mut phone, mut sales) = tokio::join!(Phone::call("18001234567", &sip), Bot::accept(&listener));
    sales.event("start").await;
    sales.say(&json!({"type": "session.flow_transfer", "flow_id": "day"})).await;
    let error = sales.event("error").await;
    assert_eq!(error["error"]["code"], "unknown_flow", "{error}");
    sales.say(&json!({"type": "session.flow_transfer", "flow_id": "night"})).await;
    assert_eq!(sales.event("stop").await["stop"]["reason"], "stopped");
    hear(&mut phone).await;
    phone.event(|event| matches!(event, LegEvent::Ended { .. })).await;
    assert_eq!(gateway.stop().await[0]["bots"], json!(["sales", "flow:night"]));
}

#[tokio::test]
async fn a_message_is_a_recording_of_the_caller_alone_and_a_short_one_is_none() {
    let gateway = Gateway::start(
        "[[numbers]]\nnumber = \"*\"\nflow = \"mailbox\"\n\
         [flows.mailbox]\nsteps = [{ voicemail = { greeting = \"clip:goodbye\", min = \"2s\" } }]\n",
    )
    .await;
    // The greeting lasts a second and the tone half of one.
    let say = |frame: u16| if frame % 15 < 10 { [0x21; 160] } else { [0xFF; 160] };
    for frames in [110, 280] {
        let mut phone = Phone::call("18001234567", &gateway.sip()).await;
        phone.talk(frames, say).await;
        phone.hang_up().await;
    }
    let messages = gateway.stop_and_look(voicemails).await;
    let [seconds] = messages.as_slice() else { panic!("{messages:?}") };
    assert!((3.5..5.0).contains(seconds), "{messages:?}");
}

/// The seconds of each voicemail below `folder`, all of one channel.
fn voicemails(folder: &Path) -> Vec<f64> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => voicemails(&path),
            false if path.extension().is_some_and(|end| end == "wav") => {
                assert!(path.display().to_string().contains("voicemail"), "{}", path.display());
                let reader = hound::WavReader::open(&path).unwrap();
                assert_eq!(reader.spec().channels, 1);
                vec![f64::from(reader.duration()) / f64::from(reader.spec().sample_rate)]
            }
            false => Vec::new(),
        })
        .collect()
}
