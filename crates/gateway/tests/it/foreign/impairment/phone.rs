//! A phone behind a bad line: what it sends and what it hears passes a link with faults, both by a seed.

use std::time::Duration;

use patchcord::clock::Clock;
use patchcord_core::rtp::{EventFrame, RtpPacket, RtpSendSettings, RtpSender};
use patchcord_core::vocabulary::{Digit, Moment};
use patchcord_sip::sdp::{self, CodecSpec, Direction, LocalSession};
use patchcord_sip::{InviteRequest, LegEvent, SipAgent};
use patchcord_testkit::lossy_link::{LinkFaults, LossyLink};
use tokio::net::UdpSocket;

use super::frame::{Numbers, numbered};

/// What happens in the middle of a call besides the line's faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing.
    None,
    /// The phone's NAT gives it another port.
    OtherPort,
    /// The phone goes on as another source, with numbers of its own.
    OtherSource,
    /// The phone's timestamps jump.
    ClockJump,
    /// The phone says nothing for the whole call.
    SaysNothing,
    /// Nothing passes for so long, either way.
    Blackout(Duration),
}

/// A call to make.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `sip:NAME@HOST:PORT`.
    pub target: String,
    /// The caller's number, by which the bot and the record know the call.
    pub from: String,
    /// Keys: half of them before the middle of the call, half after it.
    pub digits: String,
    /// Both ways.
    pub faults: LinkFaults,
    /// In the middle.
    pub mishap: Mishap,
    /// What the faults come from.
    pub seed: u64,
}

/// What a call was like for the phone.
#[derive(Debug, Default)]
pub struct Experience {
    /// Why it was not a call.
    pub failure: Option<String>,
    /// Packets that it sent, and what the line lost of them.
    pub sent: (u64, u64),
    /// Keys in order, those left out of which the line let no packet pass.
    pub digits_passed: String,
    /// Packets that were sent to it, and what the line lost of them.
    pub received: (u64, u64),
    /// Times that the gateway's sequence numbers or timestamps did not go on.
    pub holes: u32,
    /// Its own frames that it heard again.
    pub echo: Numbers,
    /// Packets that came to its last port after the middle.
    pub after: u64,
    /// From the answer to the end.
    pub talk: Duration,
}

struct Call<'a> {
    plan: &'a Plan,
    clock: Clock,
    answered: Moment,
    socket: UdpSocket,
    sender: RtpSender,
    up: LossyLink,
    down: LossyLink,
    next_frame: u64,
    /// Something of the key that is pressed passed the line.
    key_passed: bool,
    /// Sequence number and timestamp that the gateway's next packet must have.
    expected: Option<(u16, u32)>,
    experience: Experience,
}

/// Makes the call to its end.
pub async fn call(agent: &SipAgent, clock: Clock, plan: &Plan) -> Experience {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let codecs = [CodecSpec::new("PCMU", 8_000, 0)];
    let mut local = LocalSession::new(plan.seed, socket.local_addr().unwrap());
    let request = InviteRequest {
        target: plan.target.clone(),
        from_user: plan.from.clone(),
        from_display: String::new(),
        offer: local.offer(&codecs, 20, Direction::SendRecv),
        headers: Vec::new(),
    };
    let mut outgoing = agent.invite(request).await.unwrap();
    let answer = loop {
        match outgoing.events.next().await {
            Some(LegEvent::Answered { sdp: Some(answer) }) => break answer,
            Some(event) if event.is_terminal() => return failed(format!("{event:?}")),
            Some(_) => {}
            None => return failed("the leg is gone".to_owned()),
        }
    };
    let audio = sdp::parse(&answer).unwrap().audio().unwrap();
    socket.connect(audio.media).await.unwrap();
    let sender = RtpSender::new(RtpSendSettings {
        ssrc: plan.seed as u32,
        // Numbers and stamps that wrap within the call.
        sequence: 65_400,
        timestamp: u32::MAX - 8_000,
        payload_type: 0,
        telephone_event: audio.telephone_events.first().map(|event| (event.number, 8_000)),
        clock_rate: 8_000,
    });
    let mut call = Call {
        plan,
        clock,
        answered: clock.now(),
        socket,
        sender,
        up: LossyLink::new(plan.faults, plan.seed),
        down: LossyLink::new(plan.faults, plan.seed ^ 0xFFFF),
        next_frame: 0,
        key_passed: false,
        expected: None,
        experience: Experience::default(),
    };
    let end = call.frames();
    while call.next_frame < end {
        tokio::select! {
            event = outgoing.events.next() => match event {
                Some(event) if !event.is_terminal() => {}
                event => {
                    call.experience.failure = Some(format!("{event:?}"));
                    break;
                }
            },
            () = call.step() => {}
        }
    }
    let _ = outgoing.leg.hang_up(None).await;
    call.finish()
}

fn failed(failure: String) -> Experience {
    Experience { failure: Some(failure), ..Experience::default() }
}

impl Call<'_> {
    /// Frames of the whole call.
    fn frames(&self) -> u64 {
        MIDDLE + self.mishap_frames() + HALF
    }

    fn mishap_frames(&self) -> u64 {
        match self.plan.mishap {
            Mishap::Blackout(length) => length.as_millis() as u64 / 20,
            _ => 0,
        }
    }

    fn is_black(&self) -> bool {
        (MIDDLE..MIDDLE + self.mishap_frames()).contains(&self.next_frame)
    }

    /// Waits for one thing and does it: a datagram comes, a packet leaves the line, a frame is due.
    async fn step(&mut self) {
        let due = self.answered + FRAME * self.next_frame as u32;
        let wake =
            [self.up.poll_timeout(), self.down.poll_timeout()].into_iter().flatten().fold(due, Moment::min);
        let mut datagram = [0; 2_048];
        tokio::select! {
            received = self.socket.recv(&mut datagram) => {
                if let Ok(length) = received {
                    self.arrive(&datagram[..length]);
                }
            }
            () = tokio::time::sleep_until(self.clock.instant(wake)) => {}
        }
        let now = self.clock.now();
        while let Some(packet) = self.down.pull(now) {
            let packet = RtpPacket::parse(&packet).unwrap();
            self.experience.echo.hear(packet.payload);
        }
        if now >= due {
            self.speak(now).await;
        }
        while let Some(packet) = self.up.pull(now) {
            let _ = self.socket.send(&packet).await;
        }
    }

    /// A packet of the gateway's comes to the far end of the line.
    fn arrive(&mut self, datagram: &[u8]) {
        let Ok(packet) = RtpPacket::parse(datagram) else { return };
        let (sequence, timestamp) = (packet.header.sequence, packet.header.timestamp);
        self.experience.holes += u32::from(self.expected.is_some_and(|next| next != (sequence, timestamp)));
        self.expected = Some((sequence.wrapping_add(1), timestamp.wrapping_add(packet.payload.len() as u32)));
        self.experience.after += u64::from(self.next_frame > MIDDLE + self.mishap_frames() + 10);
        if !self.is_black() {
            self.down.push(self.clock.now(), datagram);
        }
    }

    /// Says the frame that is due: a key or audio.
    async fn speak(&mut self, now: Moment) {
        let frame = self.next_frame;
        self.next_frame += 1;
        if frame == MIDDLE {
            self.mishap().await;
        }
        if self.plan.mishap == Mishap::SaysNothing {
            return;
        }
        let mut packet = Vec::new();
        let Some((digit, part)) = self.key(frame) else {
            self.sender.audio(&numbered(frame as u16), 160, &mut packet);
            return self.send(now, &packet);
        };
        let (first, last) = (part == 0, part == KEY - 1);
        let elapsed = FRAME * (part as u32 + 1);
        let passed = self.up.sent() - self.up.lost();
        self.sender.event(EventFrame { digit, elapsed, first, last }, &mut packet);
        self.send(now, &packet);
        for _ in 0..if last { 2 } else { 0 } {
            self.sender.repeat_event(&mut packet);
            self.send(now, &packet);
        }
        self.key_passed |= self.up.sent() - self.up.lost() > passed;
        if last && std::mem::take(&mut self.key_passed) {
            self.experience.digits_passed.push(digit.as_char());
        }
    }

    fn send(&mut self, now: Moment, packet: &[u8]) {
        if !self.is_black() {
            self.up.push(now, packet);
        }
    }

    async fn mishap(&mut self) {
        match self.plan.mishap {
            Mishap::None | Mishap::SaysNothing | Mishap::Blackout(_) => {}
            Mishap::OtherPort => {
                let gateway = self.socket.peer_addr().unwrap();
                self.socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                self.socket.connect(gateway).await.unwrap();
                self.expected = None;
            }
            Mishap::OtherSource => {
                self.sender = RtpSender::new(RtpSendSettings {
                    ssrc: !(self.plan.seed as u32),
                    sequence: 7,
                    timestamp: 12_345_678,
                    payload_type: 0,
                    telephone_event: Some((101, 8_000)),
                    clock_rate: 8_000,
                });
            }
            Mishap::ClockJump => self.sender.skip(3_000_000_000),
        }
    }

    /// The key that sounds in a frame, and which of its frames it is.
    fn key(&self, frame: u64) -> Option<(Digit, u64)> {
        let half = self.plan.digits.len() / 2;
        let (begin, keys) = if frame < MIDDLE {
            (KEYS_AFTER, self.plan.digits.get(..half)?)
        } else {
            (MIDDLE + self.mishap_frames() + KEYS_AFTER, self.plan.digits.get(half..)?)
        };
        let since = frame.checked_sub(begin)?;
        let key = keys.chars().nth((since / KEY_EVERY) as usize)?;
        let part = since % KEY_EVERY;
        (part < KEY).then(|| (Digit::try_from(key).unwrap(), part))
    }

    fn finish(mut self) -> Experience {
        self.experience.talk = self.clock.now() - self.answered;
        self.experience.sent = (self.up.sent(), self.up.lost());
        self.experience.received = (self.down.sent(), self.down.lost());
        self.experience
    }
}

const FRAME: Duration = Duration::from_millis(20);

/// The frame in which the mishap comes, and frames from then to the end.
const MIDDLE: u64 = 150;
const HALF: u64 = 175;

/// Frames before the keys of a half, of one key, and from key to key.
const KEYS_AFTER: u64 = 35;
const KEY: u64 = 5;
const KEY_EVERY: u64 = 15;
