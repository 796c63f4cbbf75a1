//! A SIP phone for tests: it calls, speaks µ-law, and keeps what it hears.

use std::net::SocketAddr;
use std::time::Duration;

use patchcord_sip::{
    InviteRequest, LegEvent, ListenAddr, OutgoingCall, SipAgent, SipConfig,
    sdp::{self, CodecSpec, Direction, LocalSession},
};
use tokio::net::UdpSocket;
use tokio::time::{Instant, interval, timeout};

/// A phone with a call.
pub struct Phone {
    agent: SipAgent,
    pub call: OutgoingCall,
    rtp: UdpSocket,
    session: LocalSession,
    pub remote: Option<SocketAddr>,
    sequence: u16,
}

impl Phone {
    /// Dials `sip:user@sip`, offering the codecs.
    pub async fn dial(user: &str, sip: &str, codecs: &[CodecSpec]) -> Self {
        Self::dial_with(user, sip, codecs, Vec::new()).await
    }

    /// [`Phone::dial`] with further header fields.
    pub async fn dial_with(
        user: &str,
        sip: &str,
        codecs: &[CodecSpec],
        headers: Vec<(String, String)>,
    ) -> Self {
        let listen = vec![ListenAddr::Udp("127.0.0.1:0".parse().unwrap())];
        let (agent, _calls) = SipAgent::bind(SipConfig { listen, ..SipConfig::default() }).await.unwrap();
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut session = LocalSession::new(7, rtp.local_addr().unwrap());
        let request = InviteRequest {
            target: format!("sip:{user}@{sip}"),
            from_user: "1001".to_owned(),
            from_display: String::new(),
            offer: session.offer(codecs, 20, Direction::SendRecv),
            headers,
        };
        let call = agent.invite(request).await.unwrap();
        Self { agent, call, rtp, session, remote: None, sequence: 0 }
    }

    /// Dials with µ-law and waits for the answer.
    pub async fn call(user: &str, sip: &str) -> Self {
        let mut phone = Self::dial(user, sip, &[pcmu()]).await;
        match phone.event(|event| matches!(event, LegEvent::Answered { .. } | LegEvent::Failed { .. })).await
        {
            LegEvent::Answered { sdp: Some(answer) } => {
                let audio = sdp::parse(&answer).unwrap().audio().unwrap();
                phone.remote = Some(audio.media);
                phone
            }
            other => panic!("not answered: {other:?}"),
        }
    }

    /// The next event that `wanted` accepts.
    pub async fn event(&mut self, wanted: impl Fn(&LegEvent) -> bool) -> LegEvent {
        timeout(PATIENCE, async {
            loop {
                let event = self.call.events.next().await.expect("the leg ended");
                if wanted(&event) {
                    return event;
                }
            }
        })
        .await
        .expect("no such event in time")
    }

    /// Sends `frames` of 20 ms, the payload of each made from its number, and returns the payloads heard meanwhile.
    pub async fn talk(&mut self, frames: u16, payload: impl Fn(u16) -> [u8; 160]) -> Vec<Vec<u8>> {
        let mut clock = interval(Duration::from_millis(20));
        let mut heard = Vec::new();
        for frame in 0..frames {
            clock.tick().await;
            self.send(&payload(frame)).await;
            heard.extend(self.heard_already());
        }
        heard
    }

    /// What arrives until `enough` says so.
    pub async fn listen_until(&mut self, heard: &mut Vec<Vec<u8>>, enough: impl Fn(&[Vec<u8>]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut packet = [0; 2_048];
        while !enough(heard) {
            let received = tokio::time::timeout_at(deadline, self.rtp.recv(&mut packet)).await;
            let length = received.expect("not enough heard in time").unwrap();
            heard.push(packet[12..length].to_vec());
        }
    }

    /// Holds or resumes by re-INVITE, and waits for the answer.
    pub async fn reoffer(&mut self, direction: Direction) -> String {
        let offer = self.session.offer(&[pcmu()], 20, direction);
        self.call.leg.reoffer(offer).await.unwrap();
        match self.event(|event| matches!(event, LegEvent::ReofferAnswered { .. })).await {
            LegEvent::ReofferAnswered { sdp: Some(answer) } => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    /// Hangs up and goes away.
    pub async fn hang_up(self) {
        self.call.leg.hang_up(None).await.unwrap();
        self.agent.shutdown().await;
    }

    async fn send(&mut self, payload: &[u8; 160]) {
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(self.sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&7u32.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence += 1;
        self.rtp.send_to(&packet, self.remote.unwrap()).await.unwrap();
    }

    fn heard_already(&mut self) -> Vec<Vec<u8>> {
        let mut packet = [0; 2_048];
        std::iter::from_fn(|| self.rtp.try_recv(&mut packet).ok().map(|length| packet[12..length].to_vec()))
            .collect()
    }
}

/// G.711 µ-law.
pub fn pcmu() -> CodecSpec {
    CodecSpec::new("PCMU", 8_000, 0)
}

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);
