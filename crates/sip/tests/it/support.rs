//! An agent whose calls are handled by a small script, and raw peers to talk to it.

use std::net::SocketAddr;
use std::time::Duration;

use patchcord_sip::sdp::{CodecSpec, Direction, LocalSession, Order, SdpAudio, choose};
use patchcord_sip::{
    EndedBy, IncomingCall, InviteRequest, LegEvent, LegEvents, ListenAddr, Rejection, SipAgent, SipConfig,
    SipLimits,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;

pub const DEADLINE: Duration = Duration::from_secs(10);

/// Lines that wait for the test.
const LOG_LINES: usize = 4_096;

/// What happened on inbound calls, for tests that watch from outside.
pub type Log = mpsc::Receiver<String>;

pub struct Fixture {
    pub agent: SipAgent,
    pub udp: SocketAddr,
    pub tcp: SocketAddr,
    pub log: Log,
}

impl Fixture {
    pub async fn start() -> Self {
        Self::with_limits(SipLimits::default()).await
    }

    pub async fn with_limits(limits: SipLimits) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = SipConfig {
            listen: vec![ListenAddr::Udp(any), ListenAddr::Tcp(any)],
            limits,
            ..SipConfig::default()
        };
        Self::with_config(config).await
    }

    /// The first socket of the configuration is UDP, the second TCP.
    pub async fn with_config(config: SipConfig) -> Self {
        let (agent, mut calls) = SipAgent::bind(config).await.unwrap();
        let (note, log) = mpsc::channel(LOG_LINES);
        tokio::spawn(async move {
            while let Some(call) = calls.recv().await {
                tokio::spawn(serve(call, note.clone()));
            }
        });
        let bound = agent.local_addrs();
        Self { agent, udp: bound[0].addr(), tcp: bound[1].addr(), log }
    }

    /// Waits until the log has a line that begins so.
    pub async fn logged(&mut self, wanted: &str) -> String {
        loop {
            let line = timeout(DEADLINE, self.log.recv()).await.expect(wanted).expect("log ended");
            if line.starts_with(wanted) {
                return line;
            }
        }
    }
}

pub fn codecs() -> Vec<CodecSpec> {
    vec![CodecSpec::new("PCMU", 8000, 0), CodecSpec::new("PCMA", 8000, 8)]
}

/// `busy` is busy, `ring` rings for ever, `early` lets itself be heard and answers when the session has changed,
/// `echo` and `late` answer; nobody else is found.
async fn serve(call: IncomingCall, note: mpsc::Sender<String>) {
    let IncomingCall { invitation, leg, mut events } = call;
    let say = |text: String| {
        // Tests with more calls than this look at counters.
        let _full_or_unheard = note.try_send(text);
    };
    say(format!("call {}", invitation.request_user));
    let mut session = LocalSession::new(7 << 8, "127.0.0.1:40000".parse().unwrap());
    match invitation.request_user.as_str() {
        "echo" | "late" => leg.ringing().await.unwrap_or(()),
        "ring" => leg.ringing().await.unwrap_or(()),
        "early" => {
            let described = invitation.offer.as_deref().and_then(|offer| answer(&mut session, offer));
            leg.progress(described.unwrap().0).await.unwrap();
        }
        "busy" => {
            let busy = Rejection::new(486, "Busy Here").with_q850(17, "User busy");
            return leg.reject(busy).await.unwrap_or(());
        }
        _ => {
            let unknown = Rejection::new(404, "Not Found").with_q850(1, "Unallocated number");
            return leg.reject(unknown).await.unwrap_or(());
        }
    }
    let waits = ["ring", "early"].contains(&invitation.request_user.as_str());
    if !waits {
        let sdp = match &invitation.offer {
            Some(offer) => match answer(&mut session, offer) {
                Some((sdp, _)) => sdp,
                None => {
                    let nothing = Rejection::new(488, "Not Acceptable Here").with_q850(88, "Incompatible");
                    return leg.reject(nothing).await.unwrap_or(());
                }
            },
            None => session.offer(&codecs(), 20, Direction::SendRecv),
        };
        if leg.answer(sdp).await.is_err() {
            say("late".to_owned());
        }
    }
    while let Some(event) = events.next().await {
        say(describe(&event));
        if let LegEvent::Reoffer { id, offer } = event {
            let sdp = match offer {
                Some(offer) => answer(&mut session, &offer).map(|(sdp, _)| sdp),
                None => Some(session.offer(&codecs(), 20, Direction::SendRecv)),
            };
            match sdp {
                Some(sdp) => {
                    leg.answer_reoffer(id, sdp.clone()).await.unwrap_or(());
                    if invitation.request_user == "early" {
                        leg.answer(sdp).await.unwrap_or(());
                    }
                }
                None => leg.refuse_reoffer(id, 488).await.unwrap_or(()),
            }
        }
    }
}

fn describe(event: &LegEvent) -> String {
    match event {
        LegEvent::Acked { answer } => format!("acked {}", answer.is_some()),
        LegEvent::Reoffer { offer, .. } => {
            let audio =
                offer.as_deref().and_then(|o| patchcord_sip::sdp::parse(o).ok()).and_then(|s| s.audio());
            format!("reoffer {:?}", audio.map(|a| a.direction))
        }
        LegEvent::ReofferAcked { answer } => format!("reoffer acked {}", answer.is_some()),
        LegEvent::Info { content_type, body } => {
            let digit = patchcord_sip::parse_info_digit(content_type, body).map(|d| d.digit);
            format!("digit {digit:?}")
        }
        LegEvent::Cancelled { .. } => "cancelled".to_owned(),
        LegEvent::Ended { by: EndedBy::Remote, q850, .. } => format!("ended remote {q850:?}"),
        other => format!("{other:?}"),
    }
}

pub fn answer(session: &mut LocalSession, offer: &str) -> Option<(String, SdpAudio)> {
    let parsed = patchcord_sip::sdp::parse(offer).ok()?;
    let audio = parsed.audio()?;
    let choice = choose(&audio, &codecs(), Order::Ours)?;
    Some((session.answer(&parsed, &audio, &choice), audio))
}

pub fn offer() -> String {
    LocalSession::new(3 << 8, "127.0.0.1:40002".parse().unwrap()).offer(&codecs(), 20, Direction::SendRecv)
}

pub fn request_to(target: &str) -> InviteRequest {
    InviteRequest {
        target: target.to_owned(),
        from_user: "alice".to_owned(),
        from_display: "Alice \"A\"".to_owned(),
        offer: offer(),
        headers: vec![("X-Trace".to_owned(), "7".to_owned())],
    }
}

/// 100 comes or not, as fast as the answer is.
pub async fn next(events: &mut LegEvents) -> LegEvent {
    loop {
        let event = timeout(DEADLINE, events.next()).await.expect("no event in time").expect("events ended");
        if event != LegEvent::Trying {
            return event;
        }
    }
}

/// One whole call: ringing, answer, a digit, BYE.
pub async fn call_works(agent: &SipAgent, target: &str) {
    let mut call = agent.invite(request_to(target)).await.unwrap();
    loop {
        match next(&mut call.events).await {
            LegEvent::Ringing { code: 180, .. } => {}
            LegEvent::Answered { sdp } => {
                assert!(sdp.unwrap().contains("m=audio 40000"));
                break;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    call.leg.send_info('5', Duration::from_millis(100)).await.unwrap();
    call.leg.hang_up(Some("Q.850;cause=16".to_owned())).await.unwrap();
    let ended = next(&mut call.events).await;
    assert!(matches!(ended, LegEvent::Ended { by: EndedBy::Local, q850: Some(16), .. }), "{ended:?}");
    assert!(call.events.next().await.is_none());
}

/// A UDP peer of raw octets.
pub struct RawUdp {
    pub socket: UdpSocket,
    to: SocketAddr,
}

impl RawUdp {
    pub async fn to(to: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(), to }
    }

    pub async fn send(&self, octets: &[u8]) {
        self.socket.send_to(octets, self.to).await.unwrap();
    }

    /// The next message, if one comes within `wait`.
    pub async fn receive(&self, wait: Duration) -> Option<String> {
        let mut buffer = vec![0; 65_536];
        let length = timeout(wait, self.socket.recv(&mut buffer)).await.ok()?.unwrap();
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// The next message whose first line contains `wanted`.
    pub async fn expect(&self, wanted: &str) -> String {
        loop {
            let message = self.receive(DEADLINE).await.unwrap_or_else(|| panic!("no {wanted}"));
            if message.lines().next().unwrap_or("").contains(wanted) {
                return message;
            }
        }
    }
}

/// A TCP peer of raw octets.
pub struct RawTcp {
    pub stream: TcpStream,
    unread: String,
}

impl RawTcp {
    pub async fn to(to: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(to).await.unwrap(), unread: String::new() }
    }

    pub async fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// Whether the peer ends the stream.
    pub async fn is_closed_within(&mut self, wait: Duration) -> bool {
        let mut buffer = [0; 4096];
        timeout(wait, async { while self.stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {} })
            .await
            .is_ok()
    }

    /// The next response's head, if one comes within `wait`; `None` at the end of the stream too.
    pub async fn receive(&mut self, wait: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.unread.find("\r\n\r\n") {
                let head: String = self.unread.drain(..end + 4).collect();
                let body = header(&head, "Content-Length").and_then(|l| l.parse().ok()).unwrap_or(0);
                if self.unread.len() >= body {
                    self.unread.drain(..body);
                    return Some(head);
                }
                self.unread.insert_str(0, &head);
            }
            match timeout(wait, self.stream.read(&mut buffer)).await {
                Ok(Ok(length @ 1..)) => self.unread.push_str(&String::from_utf8_lossy(&buffer[..length])),
                _ => return None,
            }
        }
    }
}

pub fn code(message: &str) -> u16 {
    message.split(' ').nth(1).and_then(|c| c.parse().ok()).unwrap_or(0)
}

pub fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A request of a well-behaved phone; `extra` are whole header lines.
pub fn request(
    method: &str,
    user: &str,
    id: &str,
    cseq: u32,
    to_tag: Option<&str>,
    extra: &str,
    body: &str,
) -> String {
    let tag = to_tag.map(|t| format!(";tag={t}")).unwrap_or_default();
    format!(
        "{method} sip:{user}@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{id}{cseq}{method};rport\r\n\
         From: <sip:raw@127.0.0.1>;tag=raw{id}\r\nTo: <sip:{user}@127.0.0.1>{tag}\r\n\
         Call-ID: {id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:raw@127.0.0.1:9>\r\nMax-Forwards: 70\r\n\
         {extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub const SDP: &str = "Content-Type: application/sdp\r\n";

pub fn to_tag(response: &str) -> String {
    header(response, "To").and_then(|to| to.split("tag=").nth(1)).unwrap_or("").to_owned()
}
