//! A carrier for tests: it takes the calls that we place and does what the number says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use patchcord::net::Dns;
use patchcord_sip::digest::Account;
use patchcord_sip::sdp::{self, CodecSpec, Direction, LocalSession, Order};
use patchcord_sip::trunk::{LineSettings, Place};
use patchcord_sip::{
    CallLeg, IncomingCall, Invitation, LegEvent, LegEvents, ListenAddr, Rejection, SipAgent, SipConfig,
    Subscriber, Transport, TrunkLine,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A running carrier.
pub struct Carrier {
    agent: Arc<SipAgent>,
    address: SocketAddr,
    seen: mpsc::Receiver<Course>,
    invitations: Arc<Mutex<Vec<Invitation>>>,
}

/// A trunk by a carrier that says nothing as long as the socket lives, with these numbers.
pub async fn silent_trunk(allow: &str) -> (UdpSocket, String) {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let trunk = format!(
        "[[trunks]]\nname = \"silent\"\nhost = \"127.0.0.1\"\nport = {port}\noptions_interval = \"0s\"\n\
         allow = [\"{allow}\"]\ncaller_ids = [\"*\"]\n"
    );
    (silent, trunk)
}

/// One call, from the carrier's side.
pub struct Course {
    /// What was asked.
    pub invitation: Invitation,
    /// To act on.
    pub leg: CallLeg,
    /// What happens.
    pub events: LegEvents,
    rtp: UdpSocket,
    session: LocalSession,
}

impl Carrier {
    /// A carrier that refuses numbers that end in a status, as in `91486`, and hands out all others.
    pub async fn start() -> Self {
        let listen = vec![ListenAddr::Udp("127.0.0.1:0".parse().unwrap())];
        let (agent, mut calls) = SipAgent::bind(SipConfig { listen, ..SipConfig::default() }).await.unwrap();
        let address = agent.local_addrs()[0].addr();
        let (courses, seen) = mpsc::channel(16);
        let invitations = Arc::<Mutex<Vec<Invitation>>>::default();
        let told = invitations.clone();
        tokio::spawn(async move {
            while let Some(IncomingCall { invitation, leg, events }) = calls.recv().await {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(invitation.clone());
                let number = &invitation.request_user;
                let status = number
                    .get(number.len().saturating_sub(3)..)
                    .and_then(|status| status.parse::<u16>().ok());
                if let Some(status) = status.filter(|status| (400..700).contains(status)) {
                    leg.reject(Rejection::new(status, "Test")).await.unwrap();
                    continue;
                }
                let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                let session = LocalSession::new(9, rtp.local_addr().unwrap());
                let course = Course { invitation, leg, events, rtp, session };
                if courses.send(course).await.is_err() {
                    return;
                }
            }
        });
        Self { agent: agent.into(), address, seen, invitations }
    }

    /// Registers as that extension of the gateway at `house`, `host:port`, as long as the test runs.
    pub fn register(&self, house: &str, number: &str, password: &str) {
        let house: SocketAddr = house.parse().unwrap();
        let (host, port) = (house.ip().to_string(), Some(house.port()));
        let account = Account { username: number.to_owned(), password: password.to_owned() };
        let subscriber = Subscriber { domain: host.clone(), account: Some(account), user: number.to_owned() };
        let settings = LineSettings {
            carrier: Place { host, port, transport: Some(Transport::Udp) },
            proxy: None,
            subscriber: subscriber.into(),
            registration: Some(Duration::from_secs(600)),
            options_interval: None,
            is_private: false,
        };
        let line = TrunkLine::new(self.agent.clone(), Arc::new(Dns::system()), settings);
        tokio::spawn(async move { line.run(std::future::pending()).await });
    }

    /// A trunk of ours by it, with these keys besides.
    pub fn trunk(&self, name: &str, more: &str) -> String {
        let (host, port) = (self.address.ip(), self.address.port());
        format!(
            "[[trunks]]\nname = \"{name}\"\nhost = \"{host}\"\nport = {port}\ntransport = \"udp\"\n\
             options_interval = \"0s\"\n{more}\n"
        )
    }

    /// The next call that is not refused by its number.
    pub async fn next(&mut self) -> Course {
        timeout(PATIENCE, self.seen.recv()).await.expect("no call came in time").unwrap()
    }

    /// How many calls came.
    pub fn calls(&self) -> usize {
        self.invitations.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Stops.
    pub async fn stop(self) {
        self.agent.shutdown().await;
    }
}

impl Course {
    /// Rings.
    pub async fn ring(&self) {
        self.leg.ringing().await.unwrap();
    }

    /// Lets us hear something before the answer.
    pub async fn progress(&mut self) {
        let answer = self.description();
        self.leg.progress(answer).await.unwrap();
    }

    /// Answers; false when we were faster.
    pub async fn answer(&mut self) -> bool {
        let answer = self.description();
        self.leg.answer(answer).await.is_ok()
    }

    /// Holds or resumes by re-INVITE.
    pub async fn reoffer(&mut self, direction: Direction) -> LegEvent {
        let offer = self.session.offer(&[CodecSpec::new("PCMU", 8_000, 0)], 20, direction);
        self.leg.reoffer(offer).await.unwrap();
        self.event(|event| {
            matches!(event, LegEvent::ReofferAnswered { .. } | LegEvent::ReofferRefused { .. })
        })
        .await
    }

    /// The next event that `wanted` accepts.
    pub async fn event(&mut self, wanted: impl Fn(&LegEvent) -> bool) -> LegEvent {
        timeout(PATIENCE, async {
            loop {
                let event = self.events.next().await.expect("the leg ended");
                if wanted(&event) {
                    return event;
                }
            }
        })
        .await
        .expect("no such event in time")
    }

    /// Its end: BYE or CANCEL of ours.
    pub async fn end(&mut self) -> LegEvent {
        self.event(LegEvent::is_terminal).await
    }

    /// Speaks one packet of `byte`s.
    pub async fn speak(&self, sequence: u16, byte: u8) {
        let offered = sdp::parse(self.invitation.offer.as_ref().unwrap()).unwrap().audio().unwrap();
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&77_u32.to_be_bytes());
        packet.extend_from_slice(&[byte; 160]);
        self.rtp.send_to(&packet, offered.media).await.unwrap();
    }

    /// Waits for a packet whose payload `wanted` accepts.
    pub async fn hear(&self, wanted: impl Fn(&[u8]) -> bool) {
        timeout(PATIENCE, async {
            let mut packet = [0; 2_048];
            loop {
                let length = self.rtp.recv(&mut packet).await.unwrap();
                if packet.get(12..length).is_some_and(&wanted) {
                    return;
                }
            }
        })
        .await
        .expect("nothing of the kind was heard in time");
    }

    fn description(&mut self) -> String {
        let offered = sdp::parse(self.invitation.offer.as_ref().unwrap()).unwrap();
        let audio = offered.audio().unwrap();
        let codecs = [CodecSpec::new("PCMU", 8_000, 0)];
        let choice = sdp::choose(&audio, &codecs, Order::Ours).unwrap();
        self.session.answer(&offered, &audio, &choice)
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
