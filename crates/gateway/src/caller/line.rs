//! One call on the wire: its SIP dialog, its RTP socket, and the agreement between them.
//!
//! A [`Phone`] places calls, a [`Placed`] one rings, a [`Line`] is answered and carries frames both ways. Who
//! speaks and who listens stands above, in [`super::conversation`] and [`super::load`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use patchcord_core::media::MediaFormat;
use patchcord_core::media::g711::Law;
use patchcord_core::rtp::{EventFrame, OurStream, RtpSendSettings, RtpSender, SrtpSession, is_rtcp};
use patchcord_core::vocabulary::Moment;
use patchcord_sip::message::SipUri;
use patchcord_sip::sdp::{self, CodecSpec, Direction, LocalSession, Order, Protection, Sdes};
use patchcord_sip::{
    BindError, CallLeg, IncomingCall, InviteRequest, LegEvent, LegEvents, ListenAddr, SipAgent, SipConfig,
    SipError, SipLimits,
};
use socket2::SockRef;
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::mpsc;

pub use super::agreement::Media;
use super::agreement::{agree, take_answer};
use super::call_log::Ending;
use super::watermark::Watermark;
use crate::clock::Clock;
use crate::net::{local_address_towards, sdes, sip_tls_of_caller, srtp_keys};

/// A SIP phone that places any number of calls and takes none.
pub struct Phone {
    agent: SipAgent,
    /// Nobody reads it: calls to a caller wait until they give up.
    _incoming: mpsc::Receiver<IncomingCall>,
    address: IpAddr,
    /// Where it calls, unless that is over TCP.
    udp_peer: Option<SocketAddr>,
    clock: Clock,
}

/// Whom to call, and as whom.
#[derive(Debug, Clone)]
pub struct Dial {
    /// `sip:user@host[:port][;transport=tcp]`.
    pub target: String,
    /// The user part of From.
    pub from: String,
    /// Which law is offered first.
    pub law: Law,
    /// Whether audio is to be encrypted, keys by SDES.
    pub srtp: Protection,
}

/// Why no call could be placed.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    /// The target is no SIP address.
    #[error("not a SIP address: write sip:NAME@HOST, with :PORT if it is not 5060")]
    BadTarget,
    /// The target's name or address leads nowhere.
    #[error("{0}")]
    Unreachable(io::Error),
    /// This machine gives no socket.
    #[error("no socket for calling: {0}")]
    NoSocket(io::Error),
    /// The SIP agent could not listen.
    #[error("{0}")]
    Bind(#[from] BindError),
    /// The SIP agent refused.
    #[error("{0}")]
    Sip(SipError),
}

/// A call that was placed and is not answered.
pub struct Placed {
    leg: CallLeg,
    events: LegEvents,
    socket: UdpSocket,
    local: LocalSession,
    codecs: Vec<CodecSpec>,
    sdes: Sdes,
    placed: Moment,
    clock: Clock,
    /// A description in a provisional response, for an answer without one.
    early: Option<String>,
}

/// An answered call.
pub struct Line {
    leg: CallLeg,
    events: LegEvents,
    socket: UdpSocket,
    local: LocalSession,
    codecs: Vec<CodecSpec>,
    media: Media,
    sender: RtpSender,
    sdes: Sdes,
    srtp: Option<Box<SrtpSession>>,
    coded: [u8; Watermark::SAMPLES],
    packet: Vec<u8>,
    sent: u64,
    /// When the INVITE left.
    pub placed: Moment,
    /// When the answer came.
    pub answered: Moment,
}

/// What comes out of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum FromLine {
    /// A datagram of this length.
    Datagram(usize),
    /// The session changed: payload types or hold.
    Renegotiated,
    /// The call is over.
    Over(Ending),
}

impl Phone {
    /// A phone on the interface that faces `target`.
    ///
    /// # Errors
    /// [`PhoneError`] when the target is no SIP address, its name is unknown, or no socket is to be had.
    pub async fn facing(target: &str, clock: Clock) -> Result<Self, PhoneError> {
        let uri = SipUri::parse(target).map_err(|_| PhoneError::BadTarget)?;
        let remote = match uri.socket_addr() {
            Some(address) => address,
            None => lookup_host((uri.host.clone(), uri.port_or_default()))
                .await
                .map_err(PhoneError::Unreachable)?
                .next()
                .ok_or_else(|| PhoneError::Unreachable(io::ErrorKind::NotFound.into()))?,
        };
        let address = local_address_towards(remote).map_err(PhoneError::Unreachable)?;
        let socket = SocketAddr::new(address, 0);
        let config = SipConfig {
            listen: vec![ListenAddr::Udp(socket), ListenAddr::Tcp(socket)],
            user_agent: concat!("Patchcord-Caller/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: SipLimits { calls_max: CALLS_MAX, ..SipLimits::default() },
            tls: uri.is_tls().then(sip_tls_of_caller),
            ..SipConfig::default()
        };
        let (agent, incoming) = SipAgent::bind(config).await?;
        let over_tcp =
            uri.is_tls() || uri.param("transport").is_some_and(|name| name.eq_ignore_ascii_case("tcp"));
        Ok(Self { agent, _incoming: incoming, address, udp_peer: (!over_tcp).then_some(remote), clock })
    }

    /// Resolves when the machine that is called says that nobody listens there (ICMP), else never. SIP over UDP
    /// alone would try for 32 seconds.
    pub async fn refused(&self) -> io::Error {
        if let Some(peer) = self.udp_peer
            && let Err(error) = knock(self.address, peer).await
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            return error;
        }
        std::future::pending().await
    }

    /// Sends an INVITE.
    ///
    /// # Errors
    /// [`PhoneError`] when it cannot be sent.
    pub async fn place(&self, dial: &Dial) -> Result<Placed, PhoneError> {
        let socket = bind(self.address).map_err(PhoneError::NoSocket)?;
        let rtp = socket.local_addr().map_err(PhoneError::NoSocket)?;
        let mut codecs = vec![CodecSpec::new("PCMU", 8_000, 0), CodecSpec::new("PCMA", 8_000, 8)];
        if dial.law == Law::A {
            codecs.reverse();
        }
        let mut local = LocalSession::new(random_u64()?, rtp);
        let mut sdes = sdes(dial.srtp);
        let (profile, lines) =
            sdes.offer().map_err(|fault| PhoneError::NoSocket(io::Error::other(fault.to_string())))?;
        local.set_cryptos(profile, lines);
        let request = InviteRequest {
            target: dial.target.clone(),
            from_user: dial.from.clone(),
            from_display: String::new(),
            offer: local.offer(&codecs, 20, Direction::SendRecv),
            headers: Vec::new(),
        };
        let placed = self.clock.now();
        let call = self.agent.invite(request).await.map_err(|error| match error {
            SipError::BadTarget => PhoneError::BadTarget,
            SipError::Unreachable(error) => PhoneError::Unreachable(error),
            error => PhoneError::Sip(error),
        })?;
        let (leg, events) = (call.leg, call.events);
        Ok(Placed { leg, events, socket, local, codecs, sdes, placed, clock: self.clock, early: None })
    }

    /// The time that calls are measured in.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Ends what is left of its calls and waits a moment for the other ends to confirm it.
    pub async fn close(self) {
        self.agent.shutdown().await;
    }
}

impl Placed {
    /// When the INVITE left.
    pub fn placed(&self) -> Moment {
        self.placed
    }

    /// Waits for the answer; `ringing` hears of every provisional status. Dropped, it cancels the call.
    ///
    /// # Errors
    /// How the call ended instead.
    pub async fn answered(mut self, ringing: &mut dyn FnMut(Moment, u16)) -> Result<Line, Ending> {
        let answer = loop {
            match self.events.next().await {
                Some(LegEvent::Ringing { code, sdp }) => {
                    ringing(self.clock.now(), code);
                    self.early = sdp.or(self.early);
                }
                Some(LegEvent::Answered { sdp }) => break sdp.or(self.early.take()),
                Some(LegEvent::Failed { code, q850, .. }) => {
                    return Err(Ending::Refused { status: code, q850 });
                }
                Some(event) if event.is_terminal() => return Err(Ending::Vanished),
                Some(_) => {}
                None => return Err(Ending::Vanished),
            }
        };
        let answered = self.clock.now();
        let media = answer
            .and_then(|sdp| take_answer(&sdp, &self.codecs, &mut self.sdes))
            .ok_or(Ending::BadAnswer)?;
        let start = random_u64().map_err(|_| Ending::Vanished)?;
        let sender = RtpSender::new(RtpSendSettings {
            ssrc: (start >> 32) as u32,
            sequence: (start >> 16) as u16 >> 1,
            timestamp: start as u32,
            payload_type: media.payload_type,
            telephone_event: media.events.map(|payload_type| (payload_type, 8_000)),
            clock_rate: 8_000,
        });
        let Self { leg, events, socket, local, codecs, sdes, placed, .. } = self;
        let srtp = srtp_keys(sdes.agreed()).map(|keys| Box::new(SrtpSession::new(keys)));
        Ok(Line {
            leg,
            events,
            socket,
            local,
            codecs,
            media,
            sender,
            sdes,
            srtp,
            coded: [0; Watermark::SAMPLES],
            packet: Vec::new(),
            sent: 0,
            placed,
            answered,
        })
    }
}

impl Line {
    /// What was agreed on.
    pub fn media(&self) -> Media {
        self.media
    }

    /// The agreed audio.
    pub fn format(&self) -> MediaFormat {
        match self.media.law {
            Law::Mu => MediaFormat::PCMU_8K,
            Law::A => MediaFormat::PCMA_8K,
        }
    }

    /// Packets that were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends a frame of audio; on hold, time passes without.
    pub fn send_audio(&mut self, frame: &[i16; Watermark::SAMPLES]) {
        let samples = frame.len() as u32;
        if self.media.held {
            return self.sender.skip(samples);
        }
        self.media.law.encode(frame, &mut self.coded);
        self.sender.audio(&self.coded, samples, &mut self.packet);
        self.send();
    }

    /// Sends a frame of a key instead of audio; its end three times (RFC 4733 §2.5.1.4).
    pub fn send_event(&mut self, event: EventFrame) {
        if !self.sender.event(event, &mut self.packet) {
            return;
        }
        self.send();
        for _ in 0..if event.last { 2 } else { 0 } {
            if self.sender.repeat_event(&mut self.packet) {
                self.send();
            }
        }
    }

    /// Lets the time of frames pass that were not sent.
    pub fn skip(&mut self, frames: u64) {
        if frames == 0 {
            return;
        }
        let samples = frames.saturating_mul(Watermark::SAMPLES as u64);
        self.sender.skip(u32::try_from(samples).unwrap_or(u32::MAX));
    }

    /// Waits for a datagram or a change of the call. Cancel-safe.
    pub async fn next(&mut self, buffer: &mut [u8]) -> FromLine {
        loop {
            tokio::select! {
                biased;
                event = self.events.next() => {
                    if let Some(out) = self.take_event(event).await {
                        return out;
                    }
                }
                received = self.socket.recv_from(buffer) => {
                    // An error tells of an earlier datagram that nobody took (ICMP).
                    if let Ok((length, _)) = received
                        && let Some(length) = self.unprotect(buffer, length)
                    {
                        return FromLine::Datagram(length);
                    }
                }
            }
        }
    }

    /// Whether packets are encrypted, and how many of theirs were not authentic.
    pub fn protection(&self) -> Option<u64> {
        self.srtp.as_ref().map(|srtp| srtp.counts().auth_failed)
    }

    /// Puts the packet of a protected datagram in its place; `None` when there is none.
    fn unprotect(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let Some(srtp) = &mut self.srtp else { return Some(length) };
        let datagram = buffer.get(..length).filter(|datagram| !is_rtcp(datagram))?;
        let plain = srtp.unprotect(datagram)?;
        buffer.get_mut(..plain.len())?.copy_from_slice(plain);
        Some(plain.len())
    }

    /// Ends the call.
    pub async fn hang_up(&self) {
        // The other end may have been faster.
        let _ = self.leg.hang_up(None).await;
    }

    async fn take_event(&mut self, event: Option<LegEvent>) -> Option<FromLine> {
        match event {
            Some(LegEvent::Reoffer { id, offer }) => {
                let Some(offer) = offer else {
                    let (profile, lines) = self.sdes.offer().ok()?;
                    self.local.set_cryptos(profile, lines);
                    let offer = self.local.offer(&self.codecs, 20, Direction::SendRecv);
                    let _ = self.leg.answer_reoffer(id, offer).await;
                    return None;
                };
                match self.answer(&offer) {
                    Some(answer) => {
                        let _ = self.leg.answer_reoffer(id, answer).await;
                        return Some(FromLine::Renegotiated);
                    }
                    None => {
                        let _ = self.leg.refuse_reoffer(id, 488).await;
                    }
                }
                None
            }
            Some(LegEvent::ReofferAcked { answer: Some(answer) }) => {
                let media = take_answer(&answer, &self.codecs, &mut self.sdes)?;
                self.change(media);
                Some(FromLine::Renegotiated)
            }
            Some(LegEvent::Ended { by, .. }) => Some(FromLine::Over(match by {
                patchcord_sip::EndedBy::Remote => Ending::OtherHungUp,
                patchcord_sip::EndedBy::Local => Ending::CallerHungUp,
                patchcord_sip::EndedBy::Timeout | patchcord_sip::EndedBy::Lost => Ending::Vanished,
            })),
            Some(event) if event.is_terminal() => Some(FromLine::Over(Ending::Vanished)),
            None => Some(FromLine::Over(Ending::Vanished)),
            Some(_) => None,
        }
    }

    /// Takes part in a change of the session; `None` when nothing is in common.
    fn answer(&mut self, offer: &str) -> Option<String> {
        let offered = sdp::parse(offer).ok()?;
        let (audio, key) = self.sdes.choose(&offered).ok()?;
        let choice = sdp::choose(&audio, &self.codecs, Order::Theirs)?;
        let media = agree(&audio, &self.codecs)?;
        self.local.set_cryptos(audio.profile, self.sdes.answer(audio.profile, key).ok()?);
        self.change(media);
        Some(self.local.answer(&offered, &audio, &choice))
    }

    fn change(&mut self, media: Media) {
        // On hold by 0.0.0.0 their address says nothing.
        let remote = if media.remote.ip().is_unspecified() { self.media.remote } else { media.remote };
        self.media = Media { remote, ..media };
        let events = media.events.map(|payload_type| (payload_type, 8_000));
        match (&mut self.srtp, srtp_keys(self.sdes.agreed())) {
            (Some(srtp), Some(keys)) => {
                if srtp.rekey(keys) == OurStream::BeginsAnew {
                    self.sender.begin_anew();
                }
            }
            (slot, keys) => *slot = keys.map(|keys| Box::new(SrtpSession::new(keys))),
        }
        self.sender.renegotiate(media.payload_type, events, 8_000);
    }

    fn send(&mut self) {
        if let Some(srtp) = &mut self.srtp {
            srtp.protect(&mut self.packet);
        }
        // At once or not at all; what the system cannot take is lost as it would be on the way.
        let sent = SockRef::from(&self.socket).send_to(&self.packet, &self.media.remote.into());
        self.sent += u64::from(sent.is_ok());
    }
}

fn bind(address: IpAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind((address, 0))?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    UdpSocket::from_std(socket)
}

/// Sends a keep-alive (RFC 5626 §3.5.1), which every SIP endpoint answers or ignores.
async fn knock(from: IpAddr, peer: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(peer).await?;
    socket.send(b"\r\n\r\n").await?;
    socket.recv(&mut [0; 64]).await.map(|_| ())
}

fn random_u64() -> Result<u64, PhoneError> {
    getrandom::u64().map_err(|error| PhoneError::NoSocket(io::Error::other(error.to_string())))
}

/// The largest datagram of a call that is read.
pub const DATAGRAM_MAX: usize = 2_048;

/// How long a call may ring before the caller gives up.
pub const RING_TIMEOUT: Duration = Duration::from_secs(45);

/// More calls than a machine can measure.
const CALLS_MAX: usize = 4_096;

/// Room for a second of one stream.
const RECEIVE_BUFFER_BYTES: usize = 64 << 10;
