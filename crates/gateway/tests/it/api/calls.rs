//! Calls as the API shows them, while they are up and after; orders for them.

use std::time::Duration;

use insta::assert_json_snapshot;
use patchcord_sip::LegEvent;
use serde_json::{Value, json};

use super::client::{Answer, Ask, ask, get, until};
use crate::serve::Gateway;
use crate::serve::phone::Phone;

async fn post(address: &str, path: &str, body: &str) -> Answer {
    ask(address, Ask { method: "POST", path, headers: "Content-Type: application/json\r\n", body }).await
}

/// The ids of the calls, newest first.
async fn ids(address: &str, query: &str) -> Vec<String> {
    let page = get(address, &format!("/calls{query}"), "").await;
    assert_eq!(page.status, 200, "{page:?}");
    let data = page.json()["data"].as_array().unwrap().clone();
    data.iter().map(|call| call["call_id"].as_str().unwrap().to_owned()).collect()
}

/// The one call that is in progress.
async fn up(address: &str) -> String {
    until(async || ids(address, "?status=in-progress").await.pop()).await
}

/// Texts that differ from run to run, by what they are.
fn settled(mut value: Value, call_id: &str) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let is_time = name.ends_with("_at") || name == "timestamp";
                if let (true, Value::String(text)) = (is_time, &*field) {
                    assert!(text.len() == 24 && text.ends_with('Z'), "{name}: {text}");
                }
                *field = match name.as_str() {
                    "telephony_call_id" => json!("<the phone's>"),
                    "event_id" => json!("<its id>"),
                    "duration" => json!("<seconds>"),
                    _ if is_time => json!("<time>"),
                    _ => settled(field.take(), call_id),
                };
            }
            value
        }
        Value::Array(items) => items.iter_mut().map(|item| settled(item.take(), call_id)).collect(),
        Value::String(text) if text == call_id => json!("<call>"),
        _ => value,
    }
}

#[tokio::test]
async fn a_call_is_shown_while_it_is_up_and_after_it() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let phone = Phone::call("echo", &gateway.sip()).await;
    let call_id = up(&address).await;
    let live = get(&address, &format!("/calls/{call_id}"), "").await.json();
    assert_json_snapshot!("a_call_that_is_up", settled(live, &call_id));
    let early = get(&address, &format!("/calls/{call_id}/record"), "").await;
    assert_eq!(early.problem(), (404, "no_record".to_owned()));
    phone.hang_up().await;
    until(async || (ids(&address, "?status=completed").await == [call_id.clone()]).then_some(())).await;
    let over = get(&address, &format!("/calls/{call_id}"), "").await.json();
    assert_json_snapshot!("a_call_that_is_over", settled(over, &call_id));
    let events = get(&address, &format!("/calls/{call_id}/events"), "").await.json();
    assert_json_snapshot!("the_events_of_a_call", settled(events, &call_id));
    let legs = get(&address, &format!("/calls/{call_id}/transfer-legs"), "").await.json();
    assert_eq!(legs, json!({ "call_id": call_id, "count": 0, "transfer_legs": [] }));
    let record = get(&address, &format!("/calls/{call_id}/record"), "").await;
    assert_eq!(record.header("content-type"), Some("application/json"));
    let line = gateway.stop().await.pop().unwrap();
    assert_eq!(record.json(), line);
}

#[tokio::test]
async fn what_a_call_has_not_is_a_reason_and_not_an_empty_answer() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    for unknown in ["call_1_x", "%00", "..%2Fx", "%FF", &"x".repeat(200)] {
        for behind in ["", "/transfer-legs", "/events", "/record", "/ladder", "/transcript"] {
            let answer = get(&address, &format!("/calls/{unknown}{behind}"), "").await;
            assert_eq!(answer.problem(), (404, "unknown_call".to_owned()), "{unknown}{behind}");
        }
    }
    Phone::call("echo", &gateway.sip()).await.hang_up().await;
    let call_id = until(async || ids(&address, "?status=completed").await.pop()).await;
    for (behind, code) in [("ladder", "no_wire_log"), ("transcript", "no_transcript")] {
        let answer = get(&address, &format!("/calls/{call_id}/{behind}"), "").await;
        assert_eq!(answer.problem(), (404, code.to_owned()));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_ladder_of_a_call_is_a_picture() {
    let gateway = Gateway::start("[log]\nwire = true\n").await;
    let address = gateway.http();
    Phone::call("echo", &gateway.sip()).await.hang_up().await;
    let call_id = until(async || ids(&address, "?status=completed").await.pop()).await;
    let picture = until(async || {
        let answer = get(&address, &format!("/calls/{call_id}/ladder"), "").await;
        (answer.status == 200 && answer.text().contains("BYE")).then_some(answer)
    })
    .await;
    assert_eq!(picture.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(picture.text().contains("- INVITE +sdp -"), "{}", picture.text());
    gateway.stop().await;
}

#[tokio::test]
async fn calls_are_found_by_what_they_were_and_pages_neither_repeat_nor_leave_out() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    for bot in ["echo", "tone", "echo", "parrot", "echo"] {
        Phone::call(bot, &gateway.sip()).await.hang_up().await;
    }
    let all =
        until(async || Some(ids(&address, "?status=completed").await).filter(|all| all.len() == 5)).await;
    assert_eq!(ids(&address, "?bot=echo").await.len(), 3);
    assert_eq!(ids(&address, "?to=tone&from=1001").await.len(), 1);
    assert_eq!(ids(&address, "?since=2000-01-01T00:00:00Z&limit=200").await, all);
    assert!(ids(&address, "?since=2999-01-01T00:00:00%2B05:30").await.is_empty());
    assert!(ids(&address, "?status=busy").await.is_empty());
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&address, &format!("/calls?limit=2{cursor}"), "").await.json();
        let calls = page["data"].as_array().unwrap();
        paged.extend(calls.iter().map(|call| call["call_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    for (query, parameter) in [
        ("status=over", "status"),
        ("limit=0", "limit"),
        ("limit=2&limit=3", "limit"),
        ("since=yesterday", "since"),
        ("cursor=x", "cursor"),
        ("form=1", "form"),
        ("from=%0D%0A", "from"),
    ] {
        let answer = get(&address, &format!("/calls?{query}"), "").await;
        assert_eq!(answer.problem().0, 400, "{query}");
        assert_eq!(answer.json()["errors"][0]["parameter"], parameter, "{query}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_is_ended_by_order_and_over_is_not_unknown() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    let call_id = up(&address).await;
    let path = format!("/calls/{call_id}/hangup");
    let answer = post(&address, &path, "").await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json(), json!({ "call_id": call_id, "status": "accepted" }));
    phone.event(|event| matches!(event, LegEvent::Ended { .. })).await;
    until(async || (ids(&address, "?status=completed").await.len() == 1).then_some(())).await;
    for order in ["hangup", "clear"] {
        let answer = post(&address, &format!("/calls/{call_id}/{order}"), "{}").await;
        assert_eq!(answer.problem(), (409, "call_over".to_owned()), "{order}");
    }
    let unknown = post(&address, "/calls/call_1_x/hangup", "").await;
    assert_eq!(unknown.problem(), (404, "unknown_call".to_owned()));
    let record = gateway.stop().await.pop().unwrap();
    assert_eq!(
        (record["cause"]["reason"].as_str(), record["hung_up_by"].as_str()),
        (Some("asked"), Some("system"))
    );
}

#[tokio::test]
async fn an_order_that_comes_again_after_its_call_gets_the_first_answer() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    let path = format!("/calls/{}/hangup", up(&address).await);
    let hang_up = async |key: &str| {
        let headers = format!("Content-Type: application/json\r\nIdempotency-Key: {key}\r\n");
        ask(&address, Ask { method: "POST", path: &path, headers: &headers, body: "" }).await
    };
    let first = hang_up("end-1").await;
    phone.event(|event| matches!(event, LegEvent::Ended { .. })).await;
    until(async || (ids(&address, "?status=completed").await.len() == 1).then_some(())).await;
    let again = hang_up("end-1").await;
    assert_eq!((first.status, again.status, &again.body), (202, 202, &first.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    for _ in 0..2 {
        assert_eq!(hang_up("end-2").await.problem(), (409, "call_over".to_owned()));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn digits_and_clear_and_a_transfer_to_a_bot_are_carried_out() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    let call_id = up(&address).await;
    let order = |name: &str| format!("/calls/{call_id}/{name}");
    assert_eq!(post(&address, &order("dtmf"), r#"{"dtmf":"12#"}"#).await.status, 202);
    assert_eq!(post(&address, &order("clear"), "").await.status, 202);
    assert_eq!(post(&address, &order("transfer"), r#"{"bot":"tone"}"#).await.status, 202);
    let loud = |heard: &[Vec<u8>]| {
        heard.iter().rev().take(5).filter(|audio| audio.iter().any(|b| *b != 0xFF)).count() == 5
    };
    phone.listen_until(&mut Vec::new(), loud).await;
    phone.hang_up().await;
    let record = gateway.stop().await.pop().unwrap();
    assert_eq!(record["bots"], json!(["echo", "tone"]));
    assert_eq!(
        (record["counters"]["digits_out"].as_u64(), record["counters"]["clears"].as_u64()),
        (Some(3), Some(1))
    );
}

#[tokio::test]
async fn a_transfer_to_nobody_who_can_be_dialled_is_refused_at_once_and_there_was_none() {
    let gateway = Gateway::start(
        "[[trunks]]\nname = \"out\"\nhost = \"127.0.0.1\"\nport = 9\ntransport = \"udp\"\nallow = [\"91*\"]\n\
         [[extensions]]\nnumber = \"101\"\npassword = \"one\"\n",
    )
    .await;
    let address = gateway.http();
    let phone = Phone::call("echo", &gateway.sip()).await;
    let call_id = up(&address).await;
    let path = format!("/calls/{call_id}/transfer");
    for (body, code) in [
        (r#"{"destination":"8123"}"#, "not_allowed"),
        (r#"{"destination":["8123","8124"]}"#, "not_allowed"),
        (r#"{"destination":["8123","101"],"strategy":"sequential"}"#, "not_allowed"),
        (r#"{"destination":"101"}"#, "unknown_extension"),
        (r#"{"extension":"101"}"#, "unknown_extension"),
    ] {
        assert_eq!(post(&address, &path, body).await.problem(), (409, code.to_owned()), "{body}");
    }
    let call = get(&address, &format!("/calls/{call_id}"), "").await.json();
    assert_eq!((&call["status"], call.get("transfer_status")), (&json!("in-progress"), None), "{call}");
    // One of several is enough: the others are legs that failed.
    assert_eq!(post(&address, &path, r#"{"destination":["8123","919876543210"]}"#).await.status, 202);
    let told = transferred(&address, &call_id).await;
    assert_eq!(told["transfer_to"], "8123,919876543210", "{told}");
    phone.hang_up().await;
    gateway.stop().await;
}

/// The call, once something of a transfer is told.
async fn transferred(address: &str, call_id: &str) -> Value {
    until(async || {
        let call = get(address, &format!("/calls/{call_id}"), "").await.json();
        call.get("transfer_status").is_some().then_some(call)
    })
    .await
}

#[tokio::test]
async fn a_transfer_to_a_bot_out_of_reach_names_its_server() {
    let gateway = Gateway::start("[egress]\nallow_private = true\n").await;
    let address = gateway.http();
    let phone = Phone::call("echo", &gateway.sip()).await;
    let call_id = up(&address).await;
    let body = r#"{"url":"ws://127.0.0.1:9/voice?token=hidden"}"#;
    assert_eq!(post(&address, &format!("/calls/{call_id}/transfer"), body).await.status, 202);
    let told = transferred(&address, &call_id).await;
    assert_eq!(
        (&told["transfer_status"], &told["transfer_to"]),
        (&json!("failed"), &json!("ws://127.0.0.1:9"))
    );
    phone.hang_up().await;
    gateway.stop().await;
}

#[tokio::test]
async fn an_order_with_an_idempotency_key_is_carried_out_once_and_answered_alike() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let phone = Phone::call("echo", &gateway.sip()).await;
    let call_id = up(&address).await;
    let headers = "Content-Type: application/json\r\nIdempotency-Key: digits-1\r\n";
    let path = format!("/calls/{call_id}/dtmf");
    let digits = async |body| ask(&address, Ask { method: "POST", path: &path, headers, body }).await;
    let first = digits(r#"{"dtmf":"12"}"#).await;
    let again = digits(r#"{"dtmf":"12"}"#).await;
    assert_eq!((first.status, again.status, &again.body), (202, 202, &first.body));
    assert_eq!(
        (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
        (None, Some("true"))
    );
    assert_eq!(digits(r#"{"dtmf":"13"}"#).await.problem(), (422, "idempotency_mismatch".to_owned()));
    let long = format!("Idempotency-Key: {}\r\n", "x".repeat(256));
    for bad in ["Idempotency-Key: \r\n", "Idempotency-Key: a b\r\n", &long] {
        let answer = ask(
            &address,
            Ask { method: "POST", path: &path.replace("dtmf", "clear"), headers: bad, body: "" },
        )
        .await;
        assert_eq!(answer.problem(), (400, "bad_header".to_owned()), "{bad}");
    }
    phone.hang_up().await;
    let record = gateway.stop().await.pop().unwrap();
    assert_eq!(record["counters"]["digits_out"], 2);
}

#[tokio::test]
async fn a_wrong_order_names_its_field_and_changes_nothing() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let phone = Phone::call("echo", &gateway.sip()).await;
    let call_id = up(&address).await;
    for (order, body, pointer) in [
        ("dtmf", "{}", "#/dtmf"),
        ("dtmf", r#"{"dtmf":""}"#, "#/dtmf"),
        ("dtmf", r#"{"dtmf":"12x"}"#, "#/dtmf"),
        ("dtmf", r#"{"dtmf":1}"#, "#/dtmf"),
        ("dtmf", r#"{"dtmf":"1","tone":1}"#, "#/tone"),
        ("clear", r#"{"now":true}"#, "#/now"),
        ("hangup", r#"{"why":"because"}"#, "#/why"),
        ("transfer", "{}", "#"),
        ("transfer", r#"{"destination":"091\r\nX: y"}"#, "#/destination"),
        ("transfer", r#"{"destination":["091","1;x=y"]}"#, "#/destination/1"),
        ("transfer", r#"{"destination":[]}"#, "#/destination"),
        ("transfer", r#"{"destination":7}"#, "#/destination"),
        ("transfer", r#"{"destination":["1","2","3","4","5","6","7","8","9","10","11"]}"#, "#/destination"),
        ("transfer", r#"{"destination":"091","strategy":"random"}"#, "#/strategy"),
        ("transfer", r#"{"extension":"1>2"}"#, "#/extension"),
        ("transfer", r#"{"flow_id":"a\nb"}"#, "#/flow_id"),
        ("transfer", r#"{"url":"https://h/"}"#, "#/url"),
        ("transfer", r#"{"url":"ws://192.168.0.1/"}"#, "#/url"),
        ("transfer", r#"{"extension":"999"}"#, "#/extension"),
        ("transfer", r#"{"flow_id":"nowhere"}"#, "#/flow_id"),
        ("transfer", r#"{"bot":"nobody"}"#, "#/bot"),
        ("transfer", r#"{"url":"wss://h/","bot":"echo"}"#, "#"),
        ("transfer", r#"{"bot":"echo","strategy":"sequential"}"#, "#/strategy"),
    ] {
        let answer = post(&address, &format!("/calls/{call_id}/{order}"), body).await;
        assert_eq!(answer.problem().0, 400, "{order} {body}: {}", answer.text());
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{order} {body}");
    }
    let path = format!("/calls/{call_id}/hangup");
    let plain = ask(&address, Ask { method: "POST", path: &path, headers: "", body: "{}" }).await;
    assert_eq!(plain.problem(), (415, "not_json".to_owned()));
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(post(&address, &path, &large).await.problem(), (413, "body_too_large".to_owned()));
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(post(&address, &path, &deep).await.problem(), (400, "bad_json".to_owned()));
    assert_eq!(up(&address).await, call_id, "the call is up");
    phone.hang_up().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_reader_looks_and_an_operator_acts() {
    let gateway = Gateway::start(super::keys::KEYS).await;
    let address = gateway.http();
    let reader = "Authorization: Bearer reader-0123456789\r\n";
    assert_eq!(get(&address, "/calls", reader).await.status, 200);
    for path in ["hangup", "transfer", "dtmf", "clear"].map(|order| format!("/calls/call_1/{order}")) {
        let answer = ask(&address, Ask { method: "POST", path: &path, headers: reader, body: "" }).await;
        assert_eq!(answer.problem(), (403, "role_too_low".to_owned()), "{path}");
        let operator = "Authorization: Bearer operator-0123456789\r\nContent-Type: application/json\r\n";
        let body = if path.ends_with("dtmf") { r#"{"dtmf":"1"}"# } else { r#"{"bot":"echo"}"# };
        let body = if path.ends_with("hangup") || path.ends_with("clear") { "" } else { body };
        let answer = ask(&address, Ask { method: "POST", path: &path, headers: operator, body }).await;
        assert_eq!(answer.problem(), (404, "unknown_call".to_owned()), "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let gateway = Gateway::start("").await;
    let mut stream = tokio::net::TcpStream::connect(gateway.http()).await.unwrap();
    let head =
        format!("POST /calls/x/hangup HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\n\r\n{{", gateway.http());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    tokio::time::timeout(Duration::from_secs(15), stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");
    gateway.stop().await;
}

#[tokio::test]
async fn calls_are_saved_as_one_file_whatever_their_filter_and_no_cell_of_it_is_a_formula() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    for bot in ["echo", "tone", "echo"] {
        Phone::call(bot, &gateway.sip()).await.hang_up().await;
    }
    until(async || (ids(&address, "?status=completed").await.len() == 3).then_some(())).await;
    let csv = get(&address, "/calls/export", "").await;
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"calls.csv\""));
    let text = csv.text();
    let lines: Vec<_> = text.split("\r\n").filter(|line| !line.is_empty()).collect();
    assert!(lines[0].starts_with("call_id,status,direction,from,to,bot,") && lines.len() == 4, "{text}");
    assert!(lines[1].contains(",completed,inbound,1001,"), "{text}");
    let of = |query: &str| format!("/calls/export{query}");
    assert_eq!(get(&address, &of("?bot=tone"), "").await.text().matches("\r\n").count(), 2);
    let json = get(&address, &of("?format=json&q=1001"), "").await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    let listed: Vec<_> = json.json().as_array().unwrap().iter().map(|call| call["call_id"].clone()).collect();
    assert_eq!(listed, ids(&address, "").await);
    assert_eq!(get(&address, &of("?format=json&bot=nobody"), "").await.json(), json!([]));
    assert_eq!(get(&address, &of("?bot=nobody"), "").await.text().matches("\r\n").count(), 1);
    for wrong in [
        "?format=xls",
        "?status=up",
        "?limit=1",
        "?recorded=maybe",
        "?cause=none",
        "?direction=up",
        "?fields=x",
    ] {
        assert_eq!(get(&address, &of(wrong), "").await.status, 400, "{wrong}");
    }
    let rows = get(&address, "/calls?recorded=false&unheard=false&direction=inbound&cause=completed", "")
        .await
        .json();
    assert_eq!(rows["data"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&rows["data"][0]["cause_class"], &rows["data"][0]["has_unheard"]),
        (&json!("completed"), &json!(false))
    );
    gateway.stop().await;
}
