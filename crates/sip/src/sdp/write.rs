//! Our side of the session: offers and answers with one origin whose version rises only when they change.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use super::{Choice, CodecSpec, CryptoLine, Direction, PayloadType, Profile, SdpAudio, Session};

/// Our half of a call's session (RFC 3264 §5, §6, §8). Its `Debug` shows no description: keys stand in there.
#[derive(Clone)]
pub struct LocalSession {
    id: u64,
    version: u64,
    rtp: SocketAddr,
    /// The transport of our offers.
    profile: Profile,
    cryptos: Vec<CryptoLine>,
    /// The last description without its origin.
    last: Option<String>,
}

impl LocalSession {
    /// A session with a number of the caller's choice (random, so that two calls differ) and the address
    /// where we take RTP; RTCP is expected on the next port.
    pub fn new(id: u64, rtp: SocketAddr) -> Self {
        // 63 bits: some peers read signed numbers.
        let id = id >> 1;
        Self { id, version: id, rtp, profile: Profile::Avp, cryptos: Vec::new(), last: None }
    }

    /// Moves our RTP address; the next description tells.
    pub fn set_rtp(&mut self, rtp: SocketAddr) {
        self.rtp = rtp;
    }

    /// Sets the keys that descriptions carry from here on, and the transport of offers; answers take the offer's.
    pub fn set_cryptos(&mut self, profile: Profile, cryptos: Vec<CryptoLine>) {
        (self.profile, self.cryptos) = (profile, cryptos);
    }

    /// Answers an offer: the chosen codec, DTMF beside it, the peer's packet length, its direction mirrored;
    /// every other `m=` line is refused with port 0.
    pub fn answer(&mut self, offer: &Session, audio: &SdpAudio, choice: &Choice) -> String {
        let mut media = String::new();
        for (index, line) in offer.media.iter().enumerate() {
            if index == audio.index {
                self.write_audio(&mut media, choice, audio);
            } else {
                let format = line.formats.first().map_or("0", String::as_str);
                let _infallible = write!(media, "m={} 0 {} {format}\r\n", line.kind, line.protocol);
            }
        }
        self.describe(media)
    }

    /// Offers codecs in order, and DTMF at each clock rate that they use.
    pub fn offer(&mut self, codecs: &[CodecSpec], packet_ms: u32, direction: Direction) -> String {
        let mut events: Vec<(u8, u32)> = Vec::new();
        for codec in codecs {
            if !events.iter().any(|(_, clock)| *clock == codec.clock)
                && let Some(number) = free_payload_type(codecs, &events)
            {
                events.push((number, codec.clock));
            }
        }
        let mut media = format!("m=audio {} {}", self.rtp.port(), self.profile.name());
        for number in codecs.iter().map(|c| c.payload_type).chain(events.iter().map(|(n, _)| *n)) {
            let _infallible = write!(media, " {number}");
        }
        media.push_str("\r\n");
        for codec in codecs {
            write_rtpmap(&mut media, codec.payload_type, &codec.name, codec.clock, codec.channels);
            if let Some(fmtp) = &codec.fmtp {
                let _infallible = write!(media, "a=fmtp:{} {fmtp}\r\n", codec.payload_type);
            }
        }
        for (number, clock) in events {
            write_telephone_event(&mut media, number, clock, "0-16");
        }
        self.cryptos.iter().for_each(|line| line.write(&mut media));
        let _infallible = write!(media, "a=ptime:{packet_ms}\r\na={}\r\n", direction.name());
        self.describe(media)
    }

    fn write_audio(&self, media: &mut String, choice: &Choice, audio: &SdpAudio) {
        let codec = &choice.codec;
        let (port, profile) = (self.rtp.port(), audio.profile.name());
        let _infallible = write!(media, "m=audio {port} {profile} {}", codec.number);
        if let Some(event) = &choice.telephone_event {
            let _infallible = write!(media, " {}", event.number);
        }
        media.push_str("\r\n");
        write_rtpmap(media, codec.number, &codec.name, codec.clock, codec.channels);
        if let Some(fmtp) = &choice.fmtp {
            let _infallible = write!(media, "a=fmtp:{} {fmtp}\r\n", codec.number);
        }
        if let Some(PayloadType { number, clock, fmtp, .. }) = &choice.telephone_event {
            write_telephone_event(media, *number, *clock, events_in_common(fmtp.as_deref()));
        }
        self.cryptos.iter().for_each(|line| line.write(media));
        let direction = audio.direction.mirrored().name();
        let _infallible = write!(media, "a=ptime:{}\r\na={direction}\r\n", audio.packet_ms());
    }

    fn describe(&mut self, media: String) -> String {
        let ip = self.rtp.ip();
        let family = match ip {
            IpAddr::V4(_) => "IP4",
            IpAddr::V6(_) => "IP6",
        };
        let rest = format!("s=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n{media}");
        if self.last.as_ref().is_some_and(|last| *last != rest) {
            self.version += 1;
        }
        let text = format!("v=0\r\no=- {} {} IN {family} {ip}\r\n{rest}", self.id, self.version);
        self.last = Some(rest);
        text
    }
}

impl fmt::Debug for LocalSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSession")
            .field("rtp", &self.rtp)
            .field("profile", &self.profile)
            .field("cryptos", &self.cryptos)
            .finish_non_exhaustive()
    }
}

/// A dynamic payload type that nobody uses, 101 first: some peers expect DTMF there.
fn free_payload_type(codecs: &[CodecSpec], events: &[(u8, u32)]) -> Option<u8> {
    let taken = |n: u8| codecs.iter().any(|c| c.payload_type == n) || events.iter().any(|(e, _)| *e == n);
    std::iter::once(101).chain(96..=127).find(|n| !taken(*n))
}

fn write_rtpmap(media: &mut String, number: u8, name: &str, clock: u32, channels: u8) {
    let _infallible = write!(media, "a=rtpmap:{number} {name}/{clock}");
    if channels > 1 {
        let _infallible = write!(media, "/{channels}");
    }
    media.push_str("\r\n");
}

/// The 16 digits, and flash if the peer says that it has it (RFC 4733 §2.4.1: none said means 0-15).
fn events_in_common(theirs: Option<&str>) -> &'static str {
    let flash = theirs.is_some_and(|ranges| {
        ranges.split(',').any(|range| {
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            let bound = |text: &str| text.trim().parse::<u8>().ok();
            bound(low).zip(bound(high)).is_some_and(|(low, high)| (low..=high).contains(&16))
        })
    });
    if flash { "0-16" } else { "0-15" }
}

fn write_telephone_event(media: &mut String, number: u8, clock: u32, events: &str) {
    write_rtpmap(media, number, "telephone-event", clock, 1);
    let _infallible = write!(media, "a=fmtp:{number} {events}\r\n");
}
