//! Text to [`Session`]: every line looked at once, unknown ones skipped, everything bounded.

use std::net::IpAddr;

use super::{CryptoLine, Direction, MediaLine, PayloadType, Session};

/// Why a description is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpFault {
    /// It does not begin with `v=0`.
    #[error("not a session description")]
    NotSdp,
    /// A line is not `x=…`.
    #[error("malformed line {0}")]
    Line(usize),
    /// An `m=`, `o=` or `c=` line is malformed.
    #[error("malformed field in line {0}")]
    Field(usize),
    /// Longer than 64 KiB, more than 32 media lines or more than 64 formats in one.
    #[error("description too large")]
    TooLarge,
}

/// Reads a description.
///
/// # Errors
/// [`SdpFault`] with the number of the line, from 1.
pub fn parse(text: &str) -> Result<Session, SdpFault> {
    if text.len() > TEXT_OCTETS_MAX {
        return Err(SdpFault::TooLarge);
    }
    let mut lines = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).enumerate();
    if lines.next().is_none_or(|(_, first)| first.trim_end() != "v=0") {
        return Err(SdpFault::NotSdp);
    }
    let mut reader = Reader::default();
    for (index, line) in lines {
        if line.is_empty() {
            continue;
        }
        let number = index + 1;
        let (letter, value) = line.split_once('=').ok_or(SdpFault::Line(number))?;
        reader.take(letter.trim(), value.trim(), number)?;
    }
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    version: u64,
    address: Option<IpAddr>,
    direction: Option<Direction>,
    media: Vec<Draft>,
}

/// A media line whose attributes are still coming.
struct Draft {
    line: MediaLine,
    direction: Option<Direction>,
    has_connection: bool,
    rtpmaps: Vec<(u8, String, u32, u8)>,
    fmtps: Vec<(u8, String)>,
}

impl Reader {
    fn take(&mut self, letter: &str, value: &str, number: usize) -> Result<(), SdpFault> {
        match letter {
            "o" => self.version = origin_version(value).ok_or(SdpFault::Field(number))?,
            "c" => {
                let address = connection(value).ok_or(SdpFault::Field(number))?;
                match self.media.last_mut() {
                    Some(draft) => (draft.line.address, draft.has_connection) = (address, true),
                    None => self.address = address,
                }
            }
            "m" => {
                if self.media.len() == MEDIA_MAX {
                    return Err(SdpFault::TooLarge);
                }
                let line = media_line(value).ok_or(SdpFault::Field(number))?;
                if line.formats.len() > FORMATS_MAX {
                    return Err(SdpFault::TooLarge);
                }
                self.media.push(Draft {
                    line,
                    direction: None,
                    has_connection: false,
                    rtpmaps: Vec::new(),
                    fmtps: Vec::new(),
                });
            }
            "a" => self.attribute(value),
            // v, s, t, b, k and whatever comes: nothing here depends on them.
            _ if letter.len() == 1 => {}
            _ => return Err(SdpFault::Line(number)),
        }
        Ok(())
    }

    /// A malformed attribute is as good as none (RFC 4566 §5.13).
    fn attribute(&mut self, value: &str) {
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        let direction = match name {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        };
        let Some(draft) = self.media.last_mut() else {
            self.direction = direction.or(self.direction);
            return;
        };
        draft.direction = direction.or(draft.direction);
        let value = value.trim();
        match name {
            "rtpmap" if draft.rtpmaps.len() < FORMATS_MAX => draft.rtpmaps.extend(rtpmap(value)),
            "fmtp" if draft.fmtps.len() < FORMATS_MAX => draft.fmtps.extend(fmtp(value)),
            // Some phones write fractions ("20.0").
            "ptime" => draft.line.ptime_ms = leading_number(value),
            "maxptime" => draft.line.maxptime_ms = leading_number(value),
            "rtcp" => (draft.line.rtcp_port, draft.line.rtcp_address) = rtcp(value),
            "crypto" if draft.line.cryptos.len() < CRYPTO_LINES_MAX => {
                draft.line.cryptos.extend(CryptoLine::parse(value));
            }
            "rtcp-mux" => draft.line.rtcp_mux = true,
            _ => {}
        }
    }

    fn finish(self) -> Session {
        let (address, direction) = (self.address, self.direction);
        let media = self.media.into_iter().map(|draft| draft.finish(address, direction)).collect();
        Session { version: self.version, media }
    }
}

impl Draft {
    fn finish(self, session_address: Option<IpAddr>, session_direction: Option<Direction>) -> MediaLine {
        let mut line = self.line;
        if !self.has_connection {
            line.address = session_address;
        }
        line.direction = self.direction.or(session_direction).unwrap_or_default();
        for number in line.formats.iter().filter_map(|f| f.parse::<u8>().ok()).filter(|n| *n < 128) {
            let mapped = self.rtpmaps.iter().find(|(n, ..)| *n == number);
            let named = match mapped {
                Some((_, name, clock, channels)) => Some((name.clone(), *clock, *channels)),
                None => static_name(number),
            };
            if let Some((name, clock, channels)) = named {
                let fmtp = self.fmtps.iter().find(|(n, _)| *n == number).map(|(_, f)| f.clone());
                line.payload_types.push(PayloadType { number, name, clock, channels, fmtp });
            }
        }
        line
    }
}

fn origin_version(value: &str) -> Option<u64> {
    let mut fields = value.split_ascii_whitespace();
    let (_user, _id, version) = (fields.next()?, fields.next()?, fields.next()?);
    if !version.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // NTP-sized numbers and larger are legal; only equality matters.
    Some(version.parse().unwrap_or(u64::MAX))
}

/// `IN IP4 address[/ttl]`; the inner option is `None` for a name.
fn connection(value: &str) -> Option<Option<IpAddr>> {
    let mut fields = value.split_ascii_whitespace();
    let (network, family, address) = (fields.next()?, fields.next()?, fields.next()?);
    if !network.eq_ignore_ascii_case("IN")
        || !(family.eq_ignore_ascii_case("IP4") || family.eq_ignore_ascii_case("IP6"))
    {
        return None;
    }
    let address = address.split('/').next().unwrap_or(address);
    Some(address.parse().ok().filter(|ip: &IpAddr| !ip.is_multicast()))
}

fn media_line(value: &str) -> Option<MediaLine> {
    let mut fields = value.split_ascii_whitespace();
    let kind = fields.next()?;
    let port = fields.next()?;
    let protocol = fields.next()?;
    let formats: Vec<String> = fields.take(FORMATS_MAX + 1).map(str::to_owned).collect();
    let plain = |t: &str| t.bytes().all(|b| b.is_ascii_graphic());
    if formats.is_empty() || !plain(kind) || !plain(protocol) || !formats.iter().all(|f| plain(f)) {
        return None;
    }
    Some(MediaLine {
        kind: kind.to_owned(),
        port: port.split('/').next()?.parse().ok()?,
        protocol: protocol.to_owned(),
        formats,
        address: None,
        payload_types: Vec::new(),
        ptime_ms: None,
        maxptime_ms: None,
        direction: Direction::default(),
        rtcp_port: None,
        rtcp_address: None,
        rtcp_mux: false,
        cryptos: Vec::new(),
    })
}

/// `53020 IN IP4 192.0.2.1`; the address is optional, port 0 is none.
fn rtcp(value: &str) -> (Option<u16>, Option<IpAddr>) {
    let (port, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    let port = port.parse().ok().filter(|port| *port != 0);
    (port, port.and_then(|_| connection(rest)).flatten())
}

/// `97 opus/48000/2`
fn rtpmap(value: &str) -> Option<(u8, String, u32, u8)> {
    let (number, encoding) = value.split_once([' ', '\t'])?;
    let mut parts = encoding.trim().split('/');
    let (name, clock) = (parts.next()?, parts.next()?);
    let channels = parts.next().map_or(Some(1), |c| c.parse().ok())?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    Some((number.parse().ok()?, name.to_owned(), clock.parse().ok()?, channels))
}

fn fmtp(value: &str) -> Option<(u8, String)> {
    let (number, params) = value.split_once([' ', '\t'])?;
    let params: String = params.trim().chars().filter(|c| !c.is_control()).collect();
    Some((number.parse().ok()?, params))
}

fn leading_number(value: &str) -> Option<u32> {
    let digits =
        value.find(|c: char| !c.is_ascii_digit()).map_or(value, |end| value.get(..end).unwrap_or(""));
    digits.parse().ok()
}

/// Payload types that need no rtpmap (RFC 3551 §6).
fn static_name(number: u8) -> Option<(String, u32, u8)> {
    let (name, clock) = match number {
        0 => ("PCMU", 8000),
        3 => ("GSM", 8000),
        4 => ("G723", 8000),
        8 => ("PCMA", 8000),
        9 => ("G722", 8000),
        11 => ("L16", 44_100),
        13 => ("CN", 8000),
        15 => ("G728", 8000),
        18 => ("G729", 8000),
        _ => return None,
    };
    Some((name.to_owned(), clock, 1))
}

const TEXT_OCTETS_MAX: usize = 64 * 1024;
const MEDIA_MAX: usize = 32;
const FORMATS_MAX: usize = 64;
const CRYPTO_LINES_MAX: usize = 16;
