//! What a call has to know before it begins: names, both legs, what to do when the bot fails, and the deadlines.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::RecordingPlan;
use crate::agent::AgentTerms;
use crate::dialect::{BotSide, PhoneSide, WireAudio};
use crate::media::LineCodec;
use crate::rtp::SrtpKeys;
use crate::vocabulary::{CallId, Direction, PhoneNumber, StreamId, WallClock};

use super::{OnTransfer, TransferSettings};

/// Everything that a call is given.
pub struct CallSettings {
    /// Our id of the call.
    pub call_id: CallId,
    /// Our id of its stream.
    pub stream_id: StreamId,
    /// The id of our phone leg on its own wire (SIP Call-ID); a vendor's is learned from its start.
    pub phone_leg_id: Box<str>,
    /// The account that calls belong to.
    pub account: Box<str>,
    /// Who calls; a vendor's start overrides it.
    pub from: PhoneNumber,
    /// Who is called; a vendor's start overrides it.
    pub to: PhoneNumber,
    /// The calling code by which numbers become E.164.
    pub country: Option<Box<str>>,
    /// Who began the call.
    pub direction: Direction,
    /// Wall time.
    pub clock: WallClock,
    /// Names and values that go to the bot.
    pub custom: Vec<(String, String)>,
    /// The phone.
    pub phone: PhoneSettings,
    /// The bot.
    pub bot: BotSettings,
    /// What the caller gets when the bot fails.
    pub fallback: Fallback,
    /// The spoken apology of [`Fallback::Sorry`], linear 16-bit samples at 8 kHz.
    pub sorry_clip: Arc<[i16]>,
    /// Whether and how it is recorded.
    pub recording: RecordingPlan,
    /// How long anything may take.
    pub deadlines: Deadlines,
    /// How transfers to people are run.
    pub transfers: TransferSettings,
}

/// The phone leg.
pub enum PhoneSettings {
    /// A SIP call whose audio is RTP.
    Sip {
        /// The random beginnings of our RTP stream.
        rtp: RtpIdentity,
        /// What was negotiated; `None` while our offer is unanswered (delayed offer).
        media: Option<PhoneMedia>,
        /// Whether the caller hears a bot that has to answer before it does.
        early_media: bool,
    },
    /// A phone that we call, whose audio is RTP.
    Dialled {
        /// The random beginnings of our RTP stream.
        rtp: RtpIdentity,
        /// When the bot joins.
        joins: BotJoins,
    },
    /// A vendor that streams the call to us over a WebSocket.
    Vendor {
        /// The dialect's name.
        dialect: &'static str,
        /// Its phone side.
        side: Box<PhoneSide>,
        /// The wire's audio until the vendor's start says otherwise.
        audio: WireAudio,
    },
}

/// The bot leg.
pub struct BotSettings {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// The dialect's name, or `built-in`.
    pub dialect: &'static str,
    /// Its bot side; a built-in bot is one too, without a wire.
    pub side: Box<BotSide>,
    /// The wire's audio.
    pub audio: WireAudio,
    /// Where it is.
    pub place: BotPlace,
    /// What becomes of it when it gives the call to people.
    pub on_transfer: OnTransfer,
    /// What it may do, if it is an agent of ours.
    pub agent: Option<Arc<AgentTerms>>,
}

/// Where a bot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BotPlace {
    /// In this process: there is nothing to connect.
    BuiltIn,
    /// Behind a WebSocket that the shell dials when [`Output::ConnectBot`](super::Output::ConnectBot) says so.
    Remote,
    /// Nobody knows yet: the shell asks when [`Output::FindBot`](super::Output::FindBot) says so.
    Unknown,
}

/// What the caller gets when the bot cannot be reached or fails.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fallback {
    /// 486 before the answer; after it the busy tone and a hang-up.
    Busy,
    /// 503 before the answer; after it the congestion tone and a hang-up.
    Unavailable,
    /// The call is answered, an apology is spoken, and we hang up.
    #[default]
    Sorry,
    /// The flow of that name takes the call; if it cannot, [`Fallback::Sorry`].
    Flow(Box<str>),
    /// This number is called and joined to the caller; if that fails, the apology is spoken.
    Transfer(PhoneNumber),
    /// The call ends at once.
    HangUp,
}

/// When the bot of a call that we place joins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BotJoins {
    /// When the phone has answered.
    #[default]
    AtTheAnswer,
    /// As soon as it rings: it hears what the phone's network lets us hear.
    WhileItRings,
}

/// The random beginnings of an RTP stream (RFC 3550 §5.1), drawn by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpIdentity {
    /// Synchronisation source.
    pub ssrc: u32,
    /// First sequence number.
    pub sequence: u16,
    /// First timestamp.
    pub timestamp: u32,
}

/// The audio that was negotiated with a SIP phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneMedia {
    /// Where its SDP wants RTP.
    pub remote: SocketAddr,
    /// Where its SDP wants RTCP (`a=rtcp`, RFC 3605); `None` is the next port.
    pub rtcp: Option<SocketAddr>,
    /// Who signals: behind a NAT, media comes from that host instead.
    pub signalling: Option<IpAddr>,
    /// The codec, one for both ways.
    pub codec: LineCodec,
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type and the clock of RFC 4733 events, if the phone knows them.
    pub telephone_event: Option<(u8, u32)>,
    /// Audio per packet that the phone wants.
    pub ptime: Duration,
    /// Who may send.
    pub direction: MediaDirection,
    /// The keys of both ways where packets are protected.
    pub srtp: Option<Arc<SrtpKeys>>,
}

/// Who sends and who hears, seen from us (RFC 3264 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaDirection {
    /// Both.
    SendReceive,
    /// Only we send.
    SendOnly,
    /// Only the phone sends.
    ReceiveOnly,
    /// Nobody: the phone is on hold.
    Inactive,
}

impl MediaDirection {
    /// Whether the phone wants to hear us.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// Whether the phone speaks.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }
}

/// How long anything may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From [`Output::FindBot`](super::Output::FindBot) to the bot that was found.
    pub find_bot: Duration,
    /// From [`Output::ConnectBot`](super::Output::ConnectBot) to the open WebSocket.
    pub bot_connect: Duration,
    /// From the bot's connection to its answer, where there is an answer gate.
    pub ring: Duration,
    /// From [`Output::DialPhone`](super::Output::DialPhone) to the phone's answer.
    pub phone_answer: Duration,
    /// From a vendor's connection to its start.
    pub vendor_start: Duration,
    /// From our hang-up to the vendor's last word.
    pub vendor_end: Duration,
    /// Without RTP or vendor media.
    pub media_timeout: Duration,
    /// From the answer to the end.
    pub max_duration: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            find_bot: Duration::from_secs(5),
            bot_connect: Duration::from_secs(5),
            ring: Duration::from_secs(30),
            phone_answer: Duration::from_secs(30),
            vendor_start: Duration::from_secs(15),
            vendor_end: Duration::from_secs(5),
            media_timeout: Duration::from_secs(30),
            max_duration: Duration::from_secs(4 * 3600),
        }
    }
}
