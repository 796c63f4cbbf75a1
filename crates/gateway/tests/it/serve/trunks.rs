//! Trunks of a running gateway: registration, watch, reload, goodbye, as a carrier and an operator see them.

use std::net::SocketAddr;
use std::time::Duration;

use patchcord_sip::digest::Credentials;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Gateway;
use super::phone::PATIENCE;

/// A carrier that takes every registration and is there.
struct Carrier(UdpSocket);

impl Carrier {
    async fn new() -> Self {
        Self(UdpSocket::bind("127.0.0.1:0").await.unwrap())
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Answers everything until a request comes that is wanted; returns it.
    async fn serve_until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let served = async {
            let mut buffer = vec![0; 8192];
            loop {
                let (length, from) = self.0.recv_from(&mut buffer).await.unwrap();
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                self.answer(&request, from).await;
                if wanted(&request) {
                    return request;
                }
            }
        };
        timeout(PATIENCE, served).await.expect("the carrier waits in vain")
    }

    async fn answer(&self, request: &str, to: SocketAddr) {
        self.answer_with("SIP/2.0 200 OK", request, to).await;
    }

    /// Answers with this status line, and what stands behind it.
    async fn answer_with(&self, status: &str, request: &str, to: SocketAddr) {
        let names = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let echoed: Vec<&str> =
            request.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).collect();
        let answer =
            format!("{status}\r\n{}\r\nExpires: 300\r\nContent-Length: 0\r\n\r\n", echoed.join("\r\n"));
        self.0.send_to(answer.as_bytes(), to).await.unwrap();
    }
}

/// The body of a page.
async fn page(gateway: &Gateway, path: &str) -> String {
    let mut stream = TcpStream::connect(gateway.http()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.http());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The first trunk as `/trunks` shows it, once its line is as wanted.
async fn line(gateway: &Gateway, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let looked = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            let shown: serde_json::Value = serde_json::from_str(&page(gateway, "/trunks").await).unwrap();
            let line = shown["data"][0]["line"].clone();
            if wanted(&line) {
                return line;
            }
        }
    };
    timeout(PATIENCE, looked).await.expect("the line does not get there")
}

fn trunk(carrier: &Carrier, more: &str) -> String {
    format!(
        "[[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = {}\nusername = \"me\"\npassword = \"hunter2\"\n\
         register = true\noptions_interval = \"5s\"\n{more}",
        carrier.port()
    )
}

fn registers(request: &str, expires: &str) -> bool {
    request.starts_with("REGISTER ") && request.contains(&format!("\r\nExpires: {expires}\r\n"))
}

#[tokio::test]
async fn a_trunk_registers_is_watched_and_says_goodbye() {
    let carrier = Carrier::new().await;
    let gateway = Gateway::start(&trunk(&carrier, "")).await;
    let request = carrier.serve_until(|request| registers(request, "600")).await;
    assert!(request.starts_with(&format!("REGISTER sip:127.0.0.1:{} SIP/2.0", carrier.port())), "{request}");
    assert!(request.contains(&format!("\r\nContact: <sip:me@{}>\r\n", gateway.sip())), "{request}");
    assert!(!request.contains("hunter2"));
    let is_well =
        |line: &serde_json::Value| line["reach"] == "up" && line["registration"]["state"] == "registered";
    let stands = tokio::select! {
        stands = line(&gateway, is_well) => stands,
        _ = carrier.serve_until(|_| false) => unreachable!("it serves for as long as it is let"),
    };
    assert_eq!(stands["target"], format!("udp:127.0.0.1:{}", carrier.port()));
    assert!(page(&gateway, "/ready").await.contains("\"trunks\":{\"up\":1,\"down\":0,\"unknown\":0}"));
    let metrics = page(&gateway, "/metrics").await;
    assert!(metrics.contains("patchcord_trunk_reach{trunk=\"carrier\",reach=\"up\"} 1\n"), "{metrics}");
    assert!(metrics.contains("patchcord_trunk_registered{trunk=\"carrier\"} 1\n"), "{metrics}");
    let (_, goodbye) = tokio::join!(gateway.stop(), carrier.serve_until(|request| registers(request, "0")));
    assert!(goodbye.contains("\r\nContact: <sip:me@"), "{goodbye}");
}

#[tokio::test]
async fn a_reload_moves_a_trunk_that_changed_and_leaves_the_others_alone() {
    let (first, second, still) = (Carrier::new().await, Carrier::new().await, Carrier::new().await);
    let other = trunk(&still, "").replace("\"carrier\"", "\"other\"");
    let gateway = Gateway::start(&format!("{}{other}", trunk(&first, ""))).await;
    first.serve_until(|request| registers(request, "600")).await;
    still.serve_until(|request| registers(request, "600")).await;
    gateway.reload(&format!("{}{other}", trunk(&second, "")));
    first.serve_until(|request| registers(request, "0")).await;
    second.serve_until(|request| registers(request, "600")).await;
    // Nothing but the watch reaches whom the reload left alone.
    gateway.reload(&other);
    second.serve_until(|request| registers(request, "0")).await;
    let heard = still.serve_until(|request| request.starts_with("OPTIONS ") || registers(request, "0")).await;
    assert!(heard.starts_with("OPTIONS "), "{heard}");
    gateway.stop_at_once().await;
}

/// The value of a header field.
fn field<'a>(message: &'a str, name: &str) -> &'a str {
    message.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default()
}

#[tokio::test]
async fn a_call_by_a_trunk_that_challenges_is_placed_with_the_right_answer_and_shows_whom_it_may() {
    let carrier = Carrier::new().await;
    let rules = "allow = [\"91*\"]\nstrip = 2\nprefix = \"0\"\ncaller_ids = [\"7415100898\"]\n";
    let quiet =
        trunk(&carrier, rules).replace("register = true", "register = false").replace("\"5s\"", "\"0s\"");
    let gateway = Gateway::start(&quiet).await;
    gateway.exchange().place_call(super::outbound::order("919876543210")).await.unwrap();
    let mut buffer = vec![0; 8192];
    let mut challenged = false;
    let invite = loop {
        let received = timeout(PATIENCE, carrier.0.recv_from(&mut buffer)).await.expect("no INVITE came");
        let (length, from) = received.unwrap();
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if !request.starts_with("INVITE ") {
            continue;
        }
        let is_answer = request.contains("\r\nAuthorization: ");
        let more = if is_answer {
            "SIP/2.0 486 Busy Here"
        } else {
            challenged = true;
            "SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256"
        };
        carrier.answer_with(more, &request, from).await;
        if is_answer {
            break request;
        }
    };
    assert!(challenged);
    assert!(
        invite.starts_with(&format!("INVITE sip:09876543210@127.0.0.1:{} SIP/2.0", carrier.port())),
        "{invite}"
    );
    assert!(field(&invite, "From").starts_with("<sip:7415100898@127.0.0.1>;tag="), "{invite}");
    assert_eq!(field(&invite, "P-Asserted-Identity"), "<sip:7415100898@127.0.0.1>");
    let credentials = Credentials::parse(field(&invite, "Authorization")).unwrap();
    let secret = credentials.algorithm.secret("me", "carrier", "hunter2");
    assert_eq!(credentials.expected(&secret, "INVITE"), credentials.response);
    let records = gateway.stop().await;
    assert_eq!(records[0]["status"], "busy");
}
