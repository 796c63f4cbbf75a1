//! Session descriptions (RFC 4566) and the offer/answer model (RFC 3264) for one stream of RTP audio.
//!
//! Pure: text in, types out, text out. Which codecs there are is the caller's list; nothing is negotiated
//! behind its back. Of several `m=` lines the first acceptable audio is used, the others are answered with
//! port 0. Names in `c=` are never resolved.

mod choose;
mod crypto;
mod parse;
mod sdes;
mod write;

use std::net::{IpAddr, SocketAddr};

pub use choose::{Choice, Order, choose};
pub use crypto::CryptoLine;
pub use parse::{SdpFault, parse};
pub use sdes::{AgreedKeys, DrawKey, Protection, Sdes, SdesFault, SuiteSpec};
pub use write::LocalSession;

/// A codec as the caller knows it, in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecSpec {
    /// The encoding name of RFC 3551: `PCMU`, `PCMA`, `G722`, `opus`.
    pub name: String,
    /// The RTP clock rate in Hz (8000 for G722 too).
    pub clock: u32,
    /// Channels in the rtpmap; 1 is not written.
    pub channels: u8,
    /// The payload type in our offers; in answers the peer's number is used.
    pub payload_type: u8,
    /// The fmtp in our offers.
    pub fmtp: Option<String>,
}

impl CodecSpec {
    /// A codec of one channel without parameters.
    pub fn new(name: &str, clock: u32, payload_type: u8) -> Self {
        Self { name: name.to_owned(), clock, channels: 1, payload_type, fmtp: None }
    }
}

/// A parsed description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session version of `o=`: it changes when the description does.
    pub version: u64,
    /// The `m=` lines in order.
    pub media: Vec<MediaLine>,
}

/// One `m=` line with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLine {
    /// `audio`, `video`, …
    pub kind: String,
    /// The port; 0 means refused or switched off.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// The formats as written.
    pub formats: Vec<String>,
    /// The address of `c=`, of this line or of the session; `None` for a name or nothing.
    pub address: Option<IpAddr>,
    /// The RTP payload types among the formats that have a known name.
    pub payload_types: Vec<PayloadType>,
    /// `a=ptime`.
    pub ptime_ms: Option<u32>,
    /// `a=maxptime`.
    pub maxptime_ms: Option<u32>,
    /// The direction as the sender sees it, of this line or of the session.
    pub direction: Direction,
    /// The port of `a=rtcp` (RFC 3605).
    pub rtcp_port: Option<u16>,
    /// The address of `a=rtcp`, if it names one.
    pub rtcp_address: Option<IpAddr>,
    /// Whether RTCP may share the RTP port.
    pub rtcp_mux: bool,
    /// The usable `a=crypto` lines, in order.
    pub cryptos: Vec<CryptoLine>,
}

/// One RTP payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadType {
    /// 0–127.
    pub number: u8,
    /// The encoding name, as written.
    pub name: String,
    /// The clock rate in Hz.
    pub clock: u32,
    /// Channels.
    pub channels: u8,
    /// `a=fmtp`.
    pub fmtp: Option<String>,
}

impl PayloadType {
    /// Whether this is the codec of the specification.
    pub fn is(&self, codec: &CodecSpec) -> bool {
        self.name.eq_ignore_ascii_case(&codec.name)
            && self.clock == codec.clock
            && self.channels == codec.channels
    }

    /// Whether this is DTMF (RFC 4733).
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }
}

/// Who may send, as the writer of the description sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// Only the writer: the reader is on hold.
    SendOnly,
    /// Only the reader.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// The direction that answers this one and keeps both sides' wishes (RFC 3264 §6.1).
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::SendRecv => Self::SendRecv,
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// The transport of an `m=` line, as far as we have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// `RTP/AVP`: in the clear, or protected where both ends want it (RFC 8643).
    #[default]
    Avp,
    /// `RTP/SAVP`: protected (RFC 3711 §12).
    Savp,
    /// `RTP/SAVPF`: protected, with feedback, of which we send none (RFC 5124).
    Savpf,
}

impl Profile {
    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Avp, Self::Savp, Self::Savpf]
            .into_iter()
            .find(|profile| name.eq_ignore_ascii_case(profile.name()))
    }

    /// The name in an `m=` line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avp => "RTP/AVP",
            Self::Savp => "RTP/SAVP",
            Self::Savpf => "RTP/SAVPF",
        }
    }

    /// Whether it promises protection.
    pub const fn is_protected(self) -> bool {
        !matches!(self, Self::Avp)
    }
}

/// The audio of a description: what an offer offers, or what an answer took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdpAudio {
    /// Which `m=` line it is.
    pub index: usize,
    /// Its transport.
    pub profile: Profile,
    /// The keys that it offers or answers with; with [`Profile::Avp`] they are an invitation.
    pub cryptos: Vec<CryptoLine>,
    /// Where the peer wants RTP. On hold by `0.0.0.0` it has no meaning.
    pub media: SocketAddr,
    /// Where the peer wants RTCP: `a=rtcp`, or the next port.
    pub rtcp: SocketAddr,
    /// Codecs in the peer's order, without telephone-event and comfort noise.
    pub codecs: Vec<PayloadType>,
    /// telephone-event payload types in the peer's order.
    pub telephone_events: Vec<PayloadType>,
    /// The packet length that the peer wants.
    pub ptime_ms: Option<u32>,
    /// The longest that it takes.
    pub maxptime_ms: Option<u32>,
    /// Its direction; an address of `0.0.0.0` counts as hold (RFC 3264 §8.4).
    pub direction: Direction,
}

impl Session {
    /// The first audio in the clear: RTP/AVP with an address, a port and a payload type that has a name.
    pub fn audio(&self) -> Option<SdpAudio> {
        self.audios().find(|audio| !audio.profile.is_protected())
    }

    /// Every audio that could be used, in order: of a profile that we have, with an address, a port and a payload
    /// type that has a name.
    pub fn audios(&self) -> impl Iterator<Item = SdpAudio> {
        self.media.iter().enumerate().filter_map(|(index, line)| line.audio(index))
    }
}

impl MediaLine {
    fn audio(&self, index: usize) -> Option<SdpAudio> {
        let ip = self.address?;
        let profile = Profile::from_name(&self.protocol)?;
        if !self.kind.eq_ignore_ascii_case("audio") || self.port == 0 {
            return None;
        }
        let codecs: Vec<PayloadType> = self
            .payload_types
            .iter()
            .filter(|p| !p.is_telephone_event() && p.name != "CN")
            .cloned()
            .collect();
        if codecs.is_empty() {
            return None;
        }
        let direction = match (ip.is_unspecified(), self.direction) {
            (true, Direction::SendRecv | Direction::SendOnly) => Direction::SendOnly,
            (true, Direction::RecvOnly | Direction::Inactive) => Direction::Inactive,
            (false, direction) => direction,
        };
        let rtcp_port = self.rtcp_port.unwrap_or(self.port.saturating_add(1));
        Some(SdpAudio {
            index,
            profile,
            cryptos: self.cryptos.clone(),
            media: SocketAddr::new(ip, self.port),
            rtcp: SocketAddr::new(self.rtcp_address.unwrap_or(ip), rtcp_port),
            codecs,
            telephone_events: self.payload_types.iter().filter(|p| p.is_telephone_event()).cloned().collect(),
            ptime_ms: self.ptime_ms,
            maxptime_ms: self.maxptime_ms,
            direction,
        })
    }
}

impl SdpAudio {
    /// Whether the peer has put us on hold: it does not want to hear us.
    pub fn is_hold(&self) -> bool {
        matches!(self.direction, Direction::SendOnly | Direction::Inactive)
    }

    /// The packet length to send: what the peer asks, within 10–60 ms and its maximum; 20 ms otherwise.
    pub fn packet_ms(&self) -> u32 {
        let asked = self.ptime_ms.filter(|ms| (10..=60).contains(ms) && ms % 10 == 0).unwrap_or(20);
        match self.maxptime_ms {
            Some(max) if max >= 10 => asked.min(max / 10 * 10),
            _ => asked,
        }
    }
}
