//! A phone whose ACK carries an answer that we cannot take: it is told by a BYE, at once, and why.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{Gateway, cause};

/// A phone that is nothing but a socket.
struct Wire {
    socket: UdpSocket,
    gateway: String,
}

impl Wire {
    async fn send(&self, method: &str, to_tag: &str, body: &str) {
        let us = self.socket.local_addr().unwrap();
        let sdp = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let message = format!(
            "{method} sip:echo@{gateway} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK-{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1001@{us}>;tag=ours\r\nTo: <sip:echo@{gateway}>{to_tag}\r\n\
             Call-ID: bad-answer@{us}\r\nCSeq: 1 {method}\r\nContact: <sip:1001@{us}>\r\n{sdp}\
             Content-Length: {length}\r\n\r\n{body}",
            gateway = self.gateway,
            length = body.len(),
        );
        self.socket.send_to(message.as_bytes(), &self.gateway).await.unwrap();
    }

    /// The next message that begins with `start`.
    async fn hear(&self, start: &str) -> String {
        let mut datagram = [0; 4_096];
        loop {
            let heard = timeout(PATIENCE, self.socket.recv(&mut datagram));
            let length = heard.await.unwrap_or_else(|_| panic!("no {start} came")).unwrap();
            let message = String::from_utf8_lossy(&datagram[..length]).into_owned();
            if message.starts_with(start) {
                return message;
            }
        }
    }

    async fn confirm(&self, request: &str) {
        let copied = request.lines().filter(|line| {
            ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
        });
        let head: String = copied.map(|line| format!("{line}\r\n")).collect();
        let answer = format!("SIP/2.0 200 OK\r\n{head}Content-Length: 0\r\n\r\n");
        self.socket.send_to(answer.as_bytes(), &self.gateway).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_in_the_ack_without_our_codecs_ends_the_call_with_our_bye_and_our_cause() {
    let gateway = Gateway::start("").await;
    let wire = Wire { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), gateway: gateway.sip() };
    wire.send("INVITE", "", "").await;
    let offer = wire.hear("SIP/2.0 200 ").await;
    let to = offer.lines().find(|line| line.starts_with("To:")).unwrap();
    let tag = to.split_once(";tag=").map(|(_, tag)| format!(";tag={}", tag.trim())).unwrap();
    let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                  m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 iLBC/8000\r\n";
    wire.send("ACK", &tag, answer).await;
    let bye = wire.hear("BYE ").await;
    assert!(bye.lines().any(|line| line.starts_with("Reason:")), "{bye}");
    wire.confirm(&bye).await;
    let records = gateway.stop().await;
    assert_eq!(records.iter().map(cause).collect::<Vec<_>>(), ["upstream/no_common_codec"]);
}

/// Far below the time after which a call without an agreement is given up.
const PATIENCE: Duration = Duration::from_secs(5);
