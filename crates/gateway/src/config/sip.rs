//! `[sip]`: the phone side's sockets, ports and codecs.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use patchcord_sip::Strangers;
use patchcord_sip::digest::Algorithm;
use patchcord_sip::sdp::Protection;

use super::addresses::Socket;
use super::network::{Network, admits};
use super::problem::Refusal;
use super::section::{Section, Setting};
use super::sip_headers::HeaderPattern;

/// The settings of `[sip]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// The sockets, at least one.
    pub listen: Vec<SipListen>,
    /// The networks whose calls are accepted besides loopback.
    pub accept_from: Vec<Network>,
    /// What those get who may not call and have no phone that could register.
    pub strangers: Strangers,
    /// The digests that extensions are challenged with, the first one offered first.
    pub digest: Vec<Algorithm>,
    /// The address that SDP and Contact show.
    pub external_ip: ExternalIp,
    /// The networks whose phones see us without the NAT that `external_ip` stands for.
    pub local_networks: Vec<Network>,
    /// How long a session may go without a refresh.
    pub session_expires: Duration,
    /// The shortest time without a refresh that a phone may ask for.
    pub min_se: Duration,
    /// What TLS uses.
    pub tls: Option<SipTlsFiles>,
    /// The ports for RTP and RTCP.
    pub rtp_ports: RtpPorts,
    /// The codecs, preferred first, without repetition.
    pub codecs: Vec<PhoneCodec>,
    /// The caller's own header fields that go to the bot.
    pub headers: Vec<HeaderPattern>,
    /// Whether audio is encrypted.
    pub srtp: Protection,
}

/// One SIP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SipListen {
    /// How bytes travel.
    pub transport: SipTransport,
    /// The address.
    pub address: SocketAddr,
}

/// How SIP messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// An encrypted stream.
    Tls,
}

/// The files of `[sip.tls]`, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipTlsFiles {
    /// Our certificate, with those between it and the authority's.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities that are trusted besides the public ones.
    pub ca: Option<PathBuf>,
}

/// The address that SDP and Contact show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalIp {
    /// The one of the interface that faces the caller.
    Auto,
    /// This one, for a server behind NAT.
    Fixed(IpAddr),
}

/// A range of UDP ports, at least one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPorts {
    /// The lowest port, even.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

/// A codec of the phone side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhoneCodec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722, wideband.
    G722,
    /// Opus, where this program was built with it.
    Opus,
}

impl Sip {
    /// Whether a call from `address` is let in.
    pub fn admits(&self, address: IpAddr) -> bool {
        admits(&self.accept_from, address)
    }

    /// The address that a phone at `peer` is shown, where that is not the one which faces it.
    pub fn shown_to(&self, peer: IpAddr) -> Option<IpAddr> {
        match self.external_ip {
            // An address of the other family leads nowhere.
            ExternalIp::Fixed(ip) if ip.is_ipv4() == peer.is_ipv4() && !self.is_near(peer) => Some(ip),
            ExternalIp::Fixed(_) | ExternalIp::Auto => None,
        }
    }

    /// Whether a phone at `peer` sees us without NAT: on this machine, or in `local_networks`.
    pub fn is_near(&self, peer: IpAddr) -> bool {
        admits(&self.local_networks, peer)
    }

    /// The sockets with the entries of `section` that name them.
    pub(super) fn sockets<'a>(&'a self, section: &'a Section<'a>) -> impl Iterator<Item = Socket<'a>> {
        self.listen.iter().enumerate().map(move |(index, socket)| {
            let open = match socket.transport {
                SipTransport::Udp => Socket::udp,
                SipTransport::Tcp | SipTransport::Tls => Socket::tcp,
            };
            open(socket.address, section, "listen").at(index)
        })
    }

    pub(super) fn read(section: &Section<'_>, is_guarded: bool) -> Option<Sip> {
        let listen: Option<Vec<SipListen>> = section.list("listen");
        let accept_from =
            if section.has("accept_from") { section.list("accept_from") } else { Some(Vec::new()) };
        let (strangers, digest) = (section.value("strangers"), read_digest(section));
        let (external_ip, rtp_ports) = (section.value("external_ip"), section.value("rtp_ports"));
        let local_networks =
            if section.has("local_networks") { section.list("local_networks") } else { Some(Vec::new()) };
        let (session_expires, min_se) = read_session_times(section);
        let tls = SipTlsFiles::read(&section.section("tls"));
        let mut codecs: Option<Vec<PhoneCodec>> = section.list("codecs");
        let headers = if section.has("headers") { section.list("headers") } else { Some(Vec::new()) };
        let srtp = section.value("srtp");
        if let Some(listen) = &listen {
            check_listen(section, listen, is_guarded);
            if tls == Some(None) && listen.iter().any(|socket| socket.transport == SipTransport::Tls) {
                let cure = "set sip.tls.cert and sip.tls.key";
                section.refuse("listen", Refusal::new("a tls socket needs a certificate", cure));
            }
        }
        if !cfg!(feature = "opus")
            && let Some(codecs) = &mut codecs
        {
            leave_out_opus(section, codecs);
        }
        if let Some(codecs) = &codecs
            && !PhoneCodec::are_distinct(codecs)
        {
            section.refuse("codecs", Refusal::new("no codec, or one twice", "[\"PCMU\", \"G722\"]"));
        }
        Some(Sip {
            listen: listen?,
            accept_from: accept_from?,
            strangers: strangers?,
            digest: digest?,
            external_ip: external_ip?,
            local_networks: local_networks?,
            session_expires: session_expires?,
            min_se: min_se?,
            tls: tls?,
            rtp_ports: rtp_ports?,
            codecs: codecs?,
            headers: headers?,
            srtp: srtp?,
        })
    }
}

/// A build without Opus does not offer it, and says so to whoever asks for it.
fn leave_out_opus(section: &Section<'_>, codecs: &mut Vec<PhoneCodec>) {
    if section.has("codecs") && codecs.contains(&PhoneCodec::Opus) {
        section.refuse(
            "codecs",
            Refusal::new(
                "this program was built without opus",
                "leave it out, or build with the feature `opus`, which is on by default",
            ),
        );
    }
    codecs.retain(|codec| *codec != PhoneCodec::Opus);
}

fn read_digest(section: &Section<'_>) -> Option<Vec<Algorithm>> {
    let digest: Option<Vec<Algorithm>> = section.list("digest");
    let is_odd = |all: &Vec<Algorithm>| all.is_empty() || (1..all.len()).any(|i| all[..i].contains(&all[i]));
    if digest.as_ref().is_some_and(is_odd) {
        section.refuse("digest", Refusal::new("no digest, or one twice", "[\"SHA-256\", \"MD5\"]"));
    }
    digest
}

fn read_session_times(section: &Section<'_>) -> (Option<Duration>, Option<Duration>) {
    let times = (section.value::<Duration>("session_expires"), section.value::<Duration>("min_se"));
    if let (Some(expires), Some(min)) = times {
        if !(SHORTEST_SESSION..=SESSION_MAX).contains(&min) {
            section.refuse("min_se", Refusal::new("this is below 90 s or above 24 h", "\"90s\" (RFC 4028)"));
        }
        if !(min..=SESSION_MAX).contains(&expires) {
            let what = "this is below sip.min_se or above 24 h";
            section.refuse("session_expires", Refusal::new(what, "\"30m\" (RFC 4028)"));
        }
    }
    times
}

impl SipTlsFiles {
    /// The outer option is none when something is wrong, the inner one when there is no TLS.
    fn read(section: &Section<'_>) -> Option<Option<SipTlsFiles>> {
        let (cert, key) = (section.value("cert"), section.value("key"));
        let ca = section.value("ca");
        match (cert, key) {
            (Some(cert), Some(key)) => Some(Some(SipTlsFiles { cert, key, ca })),
            (None, None) if ca.is_none() => Some(None),
            (cert, _) => {
                let absent = if cert.is_none() { "cert" } else { "key" };
                let what = format!("\"{absent}\" is missing: TLS needs a certificate and its key");
                section.refuse(absent, Refusal::new(what, "name two PEM files: cert, key"));
                None
            }
        }
    }
}

fn check_listen(section: &Section<'_>, listen: &[SipListen], is_guarded: bool) {
    if listen.is_empty() {
        section.refuse("listen", Refusal::new("there is no SIP socket", "name one: \"udp:127.0.0.1:5060\""));
    }
    let remote = listen.iter().find(|socket| !socket.address.ip().to_canonical().is_loopback());
    if let Some(socket) = remote.filter(|_| !section.has("accept_from") && !is_guarded) {
        section.refuse(
            "listen",
            Refusal::new(
                format!(
                    "{} is open to others than this machine, and nothing says who may call",
                    socket.address
                ),
                "set sip.accept_from, a trunk or an extension, or listen on 127.0.0.1",
            ),
        );
    }
}

impl SipTransport {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            SipTransport::Udp => "udp",
            SipTransport::Tcp => "tcp",
            SipTransport::Tls => "tls",
        }
    }
}

impl Setting for SipListen {
    fn from_text(text: &str) -> Result<SipListen, Refusal> {
        let cure = "\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\" or \"tls:127.0.0.1:5061\"";
        let (word, address) = text
            .split_once(':')
            .ok_or_else(|| Refusal::new(format!("\"{text}\" is not a SIP socket"), cure))?;
        let transport = match word {
            "udp" => SipTransport::Udp,
            "tcp" => SipTransport::Tcp,
            "tls" => SipTransport::Tls,
            "ws" | "wss" => return Err(Refusal::later(&format!("SIP over {word}"))),
            _ if text.parse::<SocketAddr>().is_ok() => {
                return Err(Refusal::new(format!("\"{text}\" does not say udp, tcp or tls"), cure));
            }
            _ => return Err(Refusal::unknown("transport", word, &["udp", "tcp", "tls"])),
        };
        let address = SocketAddr::from_text(address)?;
        Ok(SipListen { transport, address })
    }
}

impl Setting for ExternalIp {
    fn from_text(text: &str) -> Result<ExternalIp, Refusal> {
        if text == "auto" {
            return Ok(ExternalIp::Auto);
        }
        let address: Option<IpAddr> = text.parse().ok().filter(|address: &IpAddr| !address.is_unspecified());
        address.map(ExternalIp::Fixed).ok_or_else(|| {
            Refusal::new(
                format!("\"{text}\" is not an address that others can send to"),
                "\"auto\" or an IP address",
            )
        })
    }
}

impl RtpPorts {
    /// The even ports, each with an odd one above it for RTCP.
    pub fn pairs(&self) -> impl Iterator<Item = u16> + Clone + use<> {
        let range: RangeInclusive<u16> = self.first..=self.last.saturating_sub(1);
        range.step_by(2)
    }
}

impl Setting for RtpPorts {
    fn from_text(text: &str) -> Result<RtpPorts, Refusal> {
        let cure = "first-last, from 1024, with room for a pair: \"20000-29999\"";
        let refusal = || Refusal::new(format!("\"{text}\" is not a range of ports"), cure);
        let (first, last) = text.split_once('-').ok_or_else(refusal)?;
        let first: u16 = first.trim().parse().map_err(|_| refusal())?;
        let last: u16 = last.trim().parse().map_err(|_| refusal())?;
        if first < 1024 || first == u16::MAX || first + first % 2 >= last {
            return Err(refusal());
        }
        Ok(RtpPorts { first: first + first % 2, last })
    }
}

impl PhoneCodec {
    /// The name in SDP.
    pub fn as_str(self) -> &'static str {
        match self {
            PhoneCodec::Pcmu => "PCMU",
            PhoneCodec::Pcma => "PCMA",
            PhoneCodec::G722 => "G722",
            PhoneCodec::Opus => "opus",
        }
    }
}

impl PhoneCodec {
    /// Whether there is at least one, and none twice.
    pub(super) fn are_distinct(codecs: &[PhoneCodec]) -> bool {
        !codecs.is_empty() && (1..codecs.len()).all(|i| !codecs[..i].contains(&codecs[i]))
    }
}

impl Setting for PhoneCodec {
    fn from_text(text: &str) -> Result<PhoneCodec, Refusal> {
        match text.to_ascii_uppercase().as_str() {
            "PCMU" => Ok(PhoneCodec::Pcmu),
            "PCMA" => Ok(PhoneCodec::Pcma),
            "G722" => Ok(PhoneCodec::G722),
            "OPUS" => Ok(PhoneCodec::Opus),
            _ => Err(Refusal::unknown("codec", text, &["PCMU", "PCMA", "G722", "opus"])),
        }
    }
}

impl Setting for Algorithm {
    fn from_text(text: &str) -> Result<Algorithm, Refusal> {
        let found = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| Refusal::unknown("digest", text, &["SHA-256", "MD5"]))
    }
}

impl Setting for Strangers {
    fn from_text(text: &str) -> Result<Strangers, Refusal> {
        match text {
            "refuse" => Ok(Strangers::Refuse),
            "silence" => Ok(Strangers::Silence),
            _ => Err(Refusal::unknown("value", text, &["refuse", "silence"])),
        }
    }
}

impl Setting for Protection {
    fn from_text(text: &str) -> Result<Protection, Refusal> {
        match text {
            "off" => Ok(Protection::Off),
            "optional" => Ok(Protection::Optional),
            "required" => Ok(Protection::Required),
            _ => Err(Refusal::unknown("value", text, &["off", "optional", "required"])),
        }
    }
}

/// The shortest session interval (RFC 4028 §5).
const SHORTEST_SESSION: Duration = patchcord_sip::SHORTEST_SESSION;

/// The longest session interval.
const SESSION_MAX: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_ports_come_in_pairs_that_begin_even() {
        let ports = RtpPorts::from_text("20001-20006").unwrap();
        assert_eq!(ports.pairs().collect::<Vec<_>>(), [20002, 20004]);
        assert_eq!(RtpPorts::from_text("65534-65535").unwrap().pairs().collect::<Vec<_>>(), [65534]);
        for wrong in ["", "20000", "29999-20000", "80-90", "65535-65535", "20000-20000", "20000-70000", "a-b"]
        {
            assert!(RtpPorts::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_sip_socket_names_its_transport() {
        let socket = SipListen::from_text("tcp:[::1]:5060").unwrap();
        assert_eq!((socket.transport, socket.address.port()), (SipTransport::Tcp, 5060));
        assert_eq!(SipListen::from_text("tls:127.0.0.1:5061").unwrap().transport, SipTransport::Tls);
        assert!(SipListen::from_text("wss:127.0.0.1:5061").unwrap_err().what.contains("not in this version"));
        assert_eq!(
            SipListen::from_text("udp:localhost:5060").unwrap_err().did_you_mean.as_deref(),
            Some("127.0.0.1:5060")
        );
        for wrong in ["", "127.0.0.1:5060", "upd:127.0.0.1:5060", "udp:5060", "udp:host:5060"] {
            assert!(SipListen::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
