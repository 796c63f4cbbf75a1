//! Numbers whose bot a CONFIG_API names: what it is asked, what its answers lead to, and every way it can fail.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use patchcord_sip::LegEvent;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::Request;
use tokio_tungstenite::{WebSocketStream, accept_async, accept_hdr_async};

use super::config_server::ConfigServer;
use super::doors::get;
use super::phone::{PATIENCE, Phone, pcmu};
use super::{Gateway, cause};

/// What the phone is refused with.
async fn refused(phone: &mut Phone) -> u16 {
    match phone.event(LegEvent::is_terminal).await {
        LegEvent::Failed { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_bot_of_the_answer_gets_the_call_with_its_headers_and_parameters_and_the_request_is_the_seeds() {
    let (server, bot) = (ConfigServer::start().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let keys = "config_api_headers = { Authorization = \"Bearer k\" }\nconfig_api_sip_headers = true\n\
                flow_id = \"sales_flow\"\n[egress]\nallow_private = true\n";
    let number = server.number("busy", keys);
    let headers = "headers = [\"User-to-User\", \"x-crm-*\"]\n";
    let gateway = Gateway::named("delhi", &format!("{headers}{number}")).await;
    let told =
        [("X-Crm-Id", "7\"x"), ("X-Other", "no"), ("User-to-User", "00AB;encoding=hex"), ("X-CRM-ID", "8")];
    let told = told.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut phone = Phone::dial_with("18001234567", &gateway.sip(), &[pcmu()], told).await;
    let mut question = server.question().await;
    assert!(question.head.starts_with("POST /config?k=v HTTP/1.1\r\n"), "{}", question.head);
    for line in ["\r\nauthorization: Bearer k", "\r\ncontent-type: application/json"] {
        assert!(question.head.contains(line), "{}", question.head);
    }
    let session = serde_json::from_str::<Value>(&question.body).unwrap()["SessionId"].clone();
    let expected = format!(
        r#"{{"From":"1001","To":"18001234567","Direction":"inbound","FlowId":"sales_flow","SessionId":{session},"ServerId":"delhi","Headers":{{"User-to-User":"00AB;encoding=hex","X-Crm-Id":"7\"x, 8"}}}}"#
    );
    assert_eq!(question.body, expected);
    // The caller hears that it rings while the answer is awaited.
    phone.event(|event| matches!(event, LegEvent::Ringing { .. })).await;
    let answer = json!({
        "url": format!("ws://{}/voice", bot.local_addr().unwrap()),
        "wsHeaders": {"Authorization": "Bearer YOUR_TOKEN"},
        "audioFormat": {"encoding": "mulaw", "sampleRate": 8000},
        "custom_params": {"tier": "gold", "User-to-User": "mine"},
    });
    question.say("200 OK", &answer.to_string()).await;
    let mut authorization = String::new();
    let stream = timeout(PATIENCE, bot.accept()).await.unwrap().unwrap().0;
    #[allow(clippy::result_large_err, reason = "the library's own signature")]
    let mut socket = accept_hdr_async(stream, |request: &Request, response| {
        authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
        Ok(response)
    })
    .await
    .unwrap();
    assert_eq!(authorization, "Bearer YOUR_TOKEN");
    let start = started(&mut socket).await;
    assert_eq!(
        start["custom_parameters"],
        json!({"X-Crm-Id": "7\"x, 8", "tier": "gold", "User-to-User": "mine"})
    );
    assert_eq!(
        (&start["stream_sid"], &start["media_format"]["encoding"]),
        (&session, &json!("audio/x-mulaw"))
    );
    phone.event(|event| matches!(event, LegEvent::Answered { .. })).await;
    let metrics = get(&gateway.http(), "/metrics", "").await;
    assert!(metrics.contains("\npatchcord_config_api_total{outcome=\"answered\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\npatchcord_config_api_seconds_count 1\n"), "{metrics}");
    phone.hang_up().await;
    let records = gateway.stop().await;
    assert_eq!((records.len(), cause(&records[0])), (1, "completed/caller_hung_up".to_owned()));
    assert_eq!(
        (&records[0]["bot"], &records[0]["bot_dialect"]),
        (&"config_api".into(), &"ivr-solutions".into())
    );
}

#[tokio::test]
async fn a_bot_of_the_configuration_is_named_and_nothing_more_is_told_than_the_six_fields() {
    let server = ConfigServer::start().await;
    let number = server.number("busy", "");
    let gateway = Gateway::start(&format!("headers = [\"X-*\"]\n{number}")).await;
    let told = vec![("X-Account".to_owned(), "7".to_owned())];
    let mut phone = Phone::dial_with("18001234567", &gateway.sip(), &[pcmu()], told).await;
    let question = server.answer(&json!({"bot": "echo"})).await;
    let object: serde_json::Map<String, Value> = serde_json::from_str(&question.body).unwrap();
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["Direction", "FlowId", "From", "ServerId", "SessionId", "To"]);
    assert_eq!(object["FlowId"], "default_flow");
    phone.event(|event| matches!(event, LegEvent::Answered { .. })).await;
    phone.hang_up().await;
    let records = gateway.stop().await;
    assert_eq!((&records[0]["bot"], &records[0]["stream_id"]), (&"echo".into(), &object["SessionId"]));
}

#[tokio::test]
async fn an_answer_with_a_mapping_is_spoken_to_its_bot() {
    let (server, bot) = (ConfigServer::start().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let gateway = Gateway::start(&server.number("busy", "[egress]\nallow_private = true\n")).await;
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    let answer = json!({
        "url": format!("ws://{}/", bot.local_addr().unwrap()),
        "messageType": "json",
        "inputTemplate": r#"{"type":"input_audio_buffer.append","audio":"{{audio}}"}"#,
        "outputMessageType": "response.audio.delta",
        "outputAudioPath": "delta",
        "sessionStartMessage": r#"{"type":"session.update","call":"{{callId}}"}"#,
    });
    server.answer(&answer).await;
    let mut socket = accept_async(timeout(PATIENCE, bot.accept()).await.unwrap().unwrap().0).await.unwrap();
    let mut texts = Vec::new();
    while texts.len() < 2 {
        if let Message::Text(text) = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            texts.push(serde_json::from_str::<Value>(&text).unwrap());
        }
    }
    phone.event(|event| matches!(event, LegEvent::Answered { .. })).await;
    phone.hang_up().await;
    let records = gateway.stop().await;
    assert_eq!(texts[0], json!({"type": "session.update", "call": records[0]["call_id"]}));
    assert_eq!(texts[1]["type"], "input_audio_buffer.append");
    assert_eq!(records[0]["bot_dialect"], "custom");
}

#[tokio::test]
async fn of_the_invites_headers_a_bot_is_told_what_sip_headers_names_and_without_it_none() {
    let bot = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let number = format!(
        "[[numbers]]\nnumber = \"*\"\nbot = \"far\"\n[bots.far]\nurl = \"ws://{}/\"\ndialect = \"ivr-solutions\"\n",
        bot.local_addr().unwrap()
    );
    for (keys, told) in [("", Value::Null), ("headers = [\"x-account\"]\n", json!({"X-Account": "7"}))] {
        let gateway = Gateway::start(&format!("{keys}{number}")).await;
        let headers = [("X-Account", "7"), ("X-Route", "internal")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let phone = Phone::dial_with("18001234567", &gateway.sip(), &[pcmu()], headers).await;
        let stream = timeout(PATIENCE, bot.accept()).await.unwrap().unwrap().0;
        let mut socket = accept_async(stream).await.unwrap();
        assert_eq!(started(&mut socket).await["custom_parameters"], told);
        drop((phone, socket));
        gateway.stop_at_once().await;
    }
}

/// What the start tells a bot that speaks ivr-solutions.
async fn started(socket: &mut WebSocketStream<TcpStream>) -> Value {
    loop {
        if let Message::Text(text) = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["event"] == "start" {
                return message["start"].clone();
            }
        }
    }
}

#[tokio::test]
async fn every_answer_that_names_no_bot_gives_the_fallback_with_its_own_reason() {
    let server = ConfigServer::start().await;
    let gateway = Gateway::start(&server.number("busy", "")).await;
    let large = format!("HTTP/1.1 200 OK\r\n\r\n{{\"x\":\"{}", "x".repeat(70_000));
    let cases = [
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "config_api_status", "status"),
        (
            "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
            "config_api_status",
            "status",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "config_api_status", "status"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "config_api_bad_answer", "bad_answer"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"url\":\"x\"}",
            "config_api_bad_answer",
            "bad_answer",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"bot\":", "config_api_bad_answer", "bad_answer"),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 14\r\n\r\n{\"bot\":\"echo\"}",
            "config_api_bad_answer",
            "bad_answer",
        ),
        ("220 smtp.example ESMTP\r\n\r\n", "config_api_bad_answer", "bad_answer"),
        (&large, "config_api_too_large", "too_large"),
    ];
    for (answer, reason, _) in cases {
        let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
        let mut question = server.question().await;
        question.say_raw(answer).await;
        drop(question);
        assert_eq!(refused(&mut phone).await, 486, "{reason}");
    }
    let metrics = get(&gateway.http(), "/metrics", "").await;
    for outcome in ["status", "bad_answer", "too_large"] {
        let count = cases.iter().filter(|(_, _, counted)| *counted == outcome).count();
        let line = format!("\npatchcord_config_api_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    let records = gateway.stop().await;
    let causes: Vec<_> = records.iter().map(cause).collect();
    assert_eq!(causes, cases.map(|(_, reason, _)| format!("upstream/{reason}")));
    assert!(records.iter().all(|record| record["bot"] == "config_api"), "{records:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_five_seconds_and_one_that_is_away_two_attempts() {
    let server = ConfigServer::start().await;
    let gateway = Gateway::start(&server.number("unavailable", "")).await;
    let began = Instant::now();
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    let question = server.question().await;
    assert_eq!(refused(&mut phone).await, 503);
    let waited = began.elapsed();
    assert!((Duration::from_millis(4_900)..Duration::from_millis(6_000)).contains(&waited), "{waited:?}");
    drop(question);
    // The first connection ends without an answer, the second is answered.
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    drop(server.connection().await);
    server.answer(&json!({"bot": "echo"})).await;
    phone.event(|event| matches!(event, LegEvent::Answered { .. })).await;
    phone.hang_up().await;
    // Both end without an answer: there is no third.
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    drop(server.connection().await);
    drop(server.connection().await);
    assert_eq!(refused(&mut phone).await, 503);
    drop(server);
    // And nobody listens.
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    assert_eq!(refused(&mut phone).await, 503);
    let causes: Vec<_> = gateway.stop().await.iter().map(cause).collect();
    let unreachable = "upstream/config_api_unreachable";
    assert_eq!(causes, ["upstream/config_api_timeout", "completed/caller_hung_up", unreachable, unreachable]);
}

#[tokio::test]
async fn a_caller_who_gives_up_while_the_answer_is_awaited_leaves_one_canceled_record_at_once() {
    let server = ConfigServer::start().await;
    let gateway = Gateway::start(&server.number("sorry", "")).await;
    for _ in 0..5 {
        let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
        let mut question = server.question().await;
        let began = Instant::now();
        phone.call.leg.hang_up(None).await.unwrap();
        assert_eq!(refused(&mut phone).await, 487);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        question.say("200 OK", r#"{"bot":"echo"}"#).await;
    }
    // A stop ends such a call as well.
    let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
    let question = server.question().await;
    let (records, code) = tokio::join!(gateway.stop_at_once(), refused(&mut phone));
    drop(question);
    let mut causes: Vec<_> = records.iter().map(cause).collect();
    assert_eq!((causes.pop().as_deref(), code), (Some("us/drained"), 503));
    assert_eq!(causes, ["caller/canceled"; 5]);
}

/// 127.0.0.1 as `inet_aton` reads it: one to four parts, each decimal, octal or hexadecimal; and other disguises.
fn spellings() -> Vec<String> {
    let write = |part: u32, radix: usize| match radix {
        0 => format!("{part}"),
        1 => format!("0{part:o}"),
        _ => format!("0x{part:x}"),
    };
    let mut spellings: Vec<String> = (0..3).map(|radix| write(0x7f00_0001, radix)).collect();
    for first in 0..3 {
        for last in 0..3 {
            spellings.push(format!("{}.{}", write(127, first), write(1, last)));
            spellings.extend(
                (0..3).map(|mid| format!("{}.{}.{}", write(127, first), write(0, mid), write(1, last))),
            );
        }
        spellings.push([127, 0, 0, 1].map(|part| write(part, first)).join("."));
    }
    let others = [
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
    ];
    spellings.extend(others.map(str::to_owned));
    spellings
}

#[tokio::test]
async fn no_spelling_of_this_machine_in_an_answer_reaches_a_listener_here() {
    let (server, victim) = (ConfigServer::start().await, std::net::TcpListener::bind("0.0.0.0:0").unwrap());
    victim.set_nonblocking(true).unwrap();
    let port = victim.local_addr().unwrap().port();
    let gateway = Gateway::start(&server.number("busy", "")).await;
    let spellings = spellings();
    assert!(spellings.len() >= 41, "{}", spellings.len());
    for host in &spellings {
        let mut phone = Phone::dial("18001234567", &gateway.sip(), &[pcmu()]).await;
        server.answer(&json!({"url": format!("ws://{host}:{port}/")})).await;
        assert_eq!(refused(&mut phone).await, 486, "{host}");
    }
    let records = gateway.stop().await;
    assert_eq!(records.len(), spellings.len());
    for (record, host) in records.iter().zip(&spellings) {
        assert_eq!(cause(record), "bot/forbidden_address", "{host}");
    }
    assert_eq!(victim.accept().map(|_| ()).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
