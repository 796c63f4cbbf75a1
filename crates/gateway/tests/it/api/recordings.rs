//! Recordings from the phone to the file that the API gives: who may have it, ranges, orders, deletion, the curve.

use std::io::Cursor;
use std::time::Duration;

use patchcord::calls::Exchange;
use serde_json::json;
use tokio::time::{Instant, interval};

use super::client::{Answer, Ask, ask, get};
use super::keys::KEYS;
use crate::serve::Gateway;
use crate::serve::phone::{PATIENCE, Phone};

const READER: &str = "Authorization: Bearer reader-0123456789\r\n";
const OPERATOR: &str = "Authorization: Bearer operator-0123456789\r\n";
const ADMIN: &str = "Authorization: Bearer admin-0123456789\r\n";

/// A loud frame among silent ones.
fn frame(number: u16) -> [u8; 160] {
    if number % 50 == 30 { [0x08; 160] } else { [0xFF; 160] }
}

/// Asks until the answer is as wanted.
async fn until(address: &str, path: &str, key: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    let mut clock = interval(Duration::from_millis(50));
    loop {
        clock.tick().await;
        let answer = get(address, path, key).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path}: {} {}", answer.status, answer.text());
    }
}

/// The id of the one call that is up.
fn call_up(exchange: &Exchange) -> String {
    let handles = exchange.registry.handles();
    let [handle] = handles.as_slice() else { panic!("{} calls are up", handles.len()) };
    handle.id.as_str().to_owned()
}

fn channels(wav: &[u8]) -> [Vec<i16>; 2] {
    let mut file = hound::WavReader::new(Cursor::new(wav)).unwrap();
    assert_eq!((file.spec().channels, file.spec().sample_rate), (2, 8_000));
    let samples: Vec<i16> = file.samples::<i16>().map(Result::unwrap).collect();
    [0, 1].map(|side| samples.iter().skip(side).step_by(2).copied().collect())
}

/// Where each loud stretch begins.
fn onsets(channel: &[i16]) -> Vec<usize> {
    let mut onsets: Vec<usize> = Vec::new();
    for (at, sample) in channel.iter().enumerate() {
        if sample.unsigned_abs() > 5_000 && onsets.last().is_none_or(|last| at - last > 2_000) {
            onsets.push(at);
        }
    }
    onsets
}

async fn order(address: &str, call_id: &str, action: &str) -> Answer {
    let path = format!("/calls/{call_id}/recording");
    let body = json!({ "action": action }).to_string();
    let headers = format!("{OPERATOR}Content-Type: application/json\r\n");
    ask(address, Ask { method: "POST", path: &path, headers: &headers, body: &body }).await
}

/// A number whose calls are recorded.
const RECORDED: &str = "[[numbers]]\nnumber = \"18001234567\"\nbot = \"echo\"\nrecording = true\n";

#[tokio::test]
async fn a_recorded_call_is_a_file_of_both_sides_for_a_key_or_a_link_until_it_is_deleted() {
    let gateway = Gateway::start(&format!("{KEYS}{RECORDED}")).await;
    let address = gateway.http();
    let mut phone = Phone::call("18001234567", &gateway.sip()).await;
    phone.talk(25, frame).await;
    let call_id = call_up(gateway.exchange());
    let path = format!("/calls/{call_id}/recording");
    assert_eq!(get(&address, &path, READER).await.problem(), (404, "not_finished".to_owned()));
    phone.talk(175, frame).await;
    phone.hang_up().await;

    let whole = until(&address, &path, READER, |answer| answer.status == 200).await;
    assert_eq!(whole.header("content-type"), Some("audio/wav"));
    assert_eq!(whole.header("cache-control"), Some("private, no-store"));
    let [caller, heard] = channels(&whole.body);
    assert_eq!(caller.len(), heard.len());
    assert!((3_900 * 8..4_400 * 8).contains(&caller.len()), "{}", caller.len());
    let (said, echoed) = (onsets(&caller), onsets(&heard));
    assert_eq!((said.len(), echoed.len()), (3, 3), "{said:?} {echoed:?}");
    // The echo leaves within a frame and a margin, and each side stands within a frame of its time.
    let apart = said.iter().zip(&echoed).map(|(said, echoed)| echoed.abs_diff(*said)).max();
    assert!(apart.is_some_and(|apart| apart <= 480), "{said:?} {echoed:?}");

    let part = get(&address, &path, &format!("{READER}Range: bytes=44-143\r\n")).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[44..144]));
    assert_eq!(part.header("content-range").unwrap(), format!("bytes 44-143/{}", whole.body.len()));
    let beyond = get(&address, &path, &format!("{READER}Range: bytes=99999999-\r\n")).await;
    assert_eq!(beyond.problem(), (416, "no_such_range".to_owned()));
    let full = get(&address, &format!("/calls/{call_id}/full-recording"), READER).await;
    assert_eq!(full.body, whole.body, "nobody but the bot had the call");

    assert_eq!(get(&address, &path, "").await.problem(), (401, "key_required".to_owned()));
    let links = &gateway.exchange().studio.links;
    let signed = links.sign(&path, u64::MAX / 2);
    assert_eq!(get(&address, &signed, "").await.body, whole.body);
    for (bad, code) in [
        (links.sign(&path, 1), "link_expired"),
        (signed.replace(&call_id, "call_1_0"), "bad_link"),
        (signed.replace("expires=", "expires=1"), "bad_link"),
        (format!("{path}?signature=00"), "bad_link"),
    ] {
        assert_eq!(get(&address, &bad, READER).await.problem(), (403, code.to_owned()), "{bad}");
    }

    let noted = get(&address, &format!("/calls/{call_id}/recordings"), READER).await.json();
    assert_eq!((&noted["data"][0]["part"], &noted["data"][0]["lost_ms"]), (&json!("call"), &json!(0)));
    let stored = gateway.exchange().store.find_call(&call_id).await.unwrap().unwrap();
    assert!(
        stored.bot_recording.is_some_and(|file| file.contains(&call_id)) && stored.full_recording.is_none()
    );
    let events = gateway.exchange().store.events_of(&call_id).await.unwrap();
    let told: Vec<_> = events.iter().filter(|event| event.name.word() == "call.recording").collect();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    let shown = get(&address, &format!("/calls/{call_id}"), READER).await.json();
    for told in [serde_json::from_str(&told.body).unwrap(), shown] {
        let link = told["recording_url"].as_str().unwrap();
        assert_eq!(get(&address, link, "").await.body, whole.body, "a link that needs no key");
    }

    let delete = Ask { method: "DELETE", path: &path, headers: OPERATOR, body: "" };
    assert_eq!(ask(&address, delete).await.problem(), (403, "role_too_low".to_owned()));
    let deleted = ask(&address, Ask { method: "DELETE", path: &path, headers: ADMIN, body: "" }).await;
    assert_eq!((deleted.status, deleted.json()["deleted"].as_u64()), (200, Some(1)));
    assert_eq!(get(&address, &signed, "").await.problem(), (410, "recording_deleted".to_owned()));
    let noted = get(&address, &format!("/calls/{call_id}/recordings"), READER).await.json();
    assert_eq!(noted["data"][0]["deleted_why"], "asked");
    let shown = get(&address, &format!("/calls/{call_id}"), READER).await.json();
    assert!(shown["deleted_at"].is_string() && shown["recording_url"].is_null(), "{shown}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_is_recorded_on_request_and_has_a_loudness_curve_all_the_same() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    phone.talk(50, frame).await;
    let call_id = call_up(gateway.exchange());
    for action in ["start", "pause", "resume", "stop"] {
        let answer = order(&address, &call_id, action).await;
        assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("accepted")));
        phone.talk(50, |_| [0x08; 160]).await;
    }
    let wrong = order(&address, &call_id, "erase").await;
    assert_eq!(wrong.problem(), (400, "bad_field".to_owned()));
    let path = format!("/calls/{call_id}/recording");
    let recording = until(&address, &path, READER, |answer| answer.status == 200).await;
    let [caller, _] = channels(&recording.body);
    let seconds = caller.len() as f64 / 8_000.0;
    assert!((2.8..3.4).contains(&seconds), "{seconds} s");
    let is_loud = |second: f64| caller[(second * 8_000.0) as usize].unsigned_abs() > 5_000;
    assert!(is_loud(0.5) && !is_loud(1.5) && is_loud(2.5));
    phone.hang_up().await;

    let over = order(&address, "call_1_0", "start").await;
    assert_eq!(over.problem(), (404, "unknown_call".to_owned()));
    let curve =
        |answer: &Answer| answer.status == 200 && answer.json()["caller"].as_array().unwrap().len() > 240;
    let curve = until(&address, &format!("/calls/{call_id}/loudness"), READER, curve).await.json();
    let over = order(&address, &call_id, "start").await;
    assert_eq!(over.problem(), (409, "call_over".to_owned()));
    assert_eq!(curve["step_ms"], 20);
    let level = |side: &str, step: usize| curve[side][step].as_u64().unwrap();
    let loud = |side: &str| (60..200).filter(|step| level(side, *step) > 100).count();
    assert!(loud("caller") > 130 && loud("heard") > 130, "{curve}");
    let silent = curve["caller"].as_array().unwrap()[..25].iter().all(|level| level.as_u64() == Some(0));
    assert!(silent, "{curve}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_message_beside_a_recording_has_a_path_and_a_link_of_its_own() {
    let number = "[[numbers]]\nnumber = \"18001234567\"\nflow = \"mailbox\"\nrecording = true\n\
                  [flows.mailbox]\nsteps = [{ voicemail = { greeting = \"clip:goodbye\", min = \"2s\" } }]\n";
    let gateway = Gateway::start(&format!("{KEYS}{number}")).await;
    let address = gateway.http();
    let mut phone = Phone::call("18001234567", &gateway.sip()).await;
    // The greeting lasts a second and the tone half of one.
    phone.talk(280, |frame| if frame % 15 < 10 { [0x21; 160] } else { [0xFF; 160] }).await;
    let call_id = call_up(gateway.exchange());
    phone.hang_up().await;

    let list = format!("/calls/{call_id}/recordings");
    let both = |answer: &Answer| answer.status == 200 && answer.json()["data"].as_array().unwrap().len() == 2;
    let noted = until(&address, &list, READER, both).await.json();
    let channels = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        hound::WavReader::new(Cursor::new(&answer.body)).unwrap().spec().channels
    };
    let mut parts = Vec::new();
    for file in noted["data"].as_array().unwrap() {
        let (part, path) = (file["part"].as_str().unwrap(), file["path"].as_str().unwrap());
        assert_eq!(channels(&get(&address, path, READER).await), if part == "voicemail" { 1 } else { 2 });
        assert_eq!(get(&address, path, "").await.problem(), (401, "key_required".to_owned()));
        parts.push(part.to_owned());
    }
    parts.sort();
    assert_eq!(parts, ["call", "voicemail"]);
    assert_eq!(get(&address, &format!("{list}/9/call"), READER).await.status, 404);
    assert_eq!(channels(&get(&address, &format!("/calls/{call_id}/recording"), READER).await), 2);

    // What was told of each leads to it for good, whatever was recorded after it.
    let deadline = Instant::now() + PATIENCE;
    let told = loop {
        let events = gateway.exchange().store.events_of(&call_id).await.unwrap();
        let told = events.into_iter().filter(|event| event.name.word() == "call.recording");
        let told: Vec<_> = told.collect();
        if told.len() == 2 {
            break told;
        }
        assert!(Instant::now() < deadline, "{told:?}");
    };
    let mut led_to = Vec::new();
    for event in told {
        let body: serde_json::Value = serde_json::from_str(&event.body).unwrap();
        led_to.push(channels(&get(&address, body["recording_url"].as_str().unwrap(), "").await));
    }
    led_to.sort_unstable();
    assert_eq!(led_to, [1, 2]);
    gateway.stop().await;
}
