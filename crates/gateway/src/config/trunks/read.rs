//! Reads `[[trunks]]`, and refuses what contradicts itself.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use patchcord_sip::message::SipUri;

use super::super::numbers::NumberPattern;
use super::super::problem::Refusal;
use super::super::section::{Section, Setting};
use super::super::sip::{PhoneCodec, Sip, SipTransport};
use super::{Account, Carrier, DialRules, OutboundProxy, Trunk, TrunkLimits, is_number};

impl Trunk {
    pub(in crate::config) fn read(section: &Section<'_>) -> Option<Trunk> {
        let name: Option<String> = section.value("name");
        if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            section.refuse("name", Refusal::new("this is too long for a name", "at most 64 bytes"));
        }
        let accept_from = read_accept_from(section);
        let (country, srtp) = (section.value("country"), section.value("srtp"));
        let codecs: Option<Vec<PhoneCodec>> = section.list("codecs");
        if codecs.as_ref().is_some_and(|codecs| !PhoneCodec::are_distinct(codecs)) {
            section.refuse("codecs", Refusal::new("no codec, or one twice", "[\"PCMU\", \"G722\"]"));
        }
        let (carrier, refer) = (Carrier::read(section), section.value("refer"));
        let rules = DialRules::read(section);
        let limits = TrunkLimits::read(&section.section("limits"));
        if !section.has("host") {
            refuse_without_host(section);
        }
        Some(Trunk {
            name: name?,
            accept_from: accept_from?,
            country,
            srtp,
            codecs,
            refer: refer?,
            carrier: carrier?,
            rules: rules?,
            limits: limits?,
        })
    }
}

fn read_accept_from<T: Setting>(section: &Section<'_>) -> Option<Vec<T>> {
    let accept_from: Option<Vec<T>> = section.list("accept_from");
    let cure = "name the networks that the carrier calls from: \"203.0.113.0/24\"";
    match (section.has("accept_from"), section.has("host")) {
        (false, true) => return Some(Vec::new()),
        (false, false) => {
            let what = "\"accept_from\" and \"host\" are missing: no call comes in and none goes out";
            section.refuse("accept_from", Refusal::new(what, cure));
        }
        (true, _) if accept_from.as_ref().is_some_and(Vec::is_empty) => {
            section.refuse("accept_from", Refusal::new("an empty list means nobody", cure));
        }
        (true, _) => {}
    }
    accept_from
}

/// Keys that say nothing without a carrier to send to.
fn refuse_without_host(section: &Section<'_>) {
    for name in ["port", "transport", "username", "password", "outbound_proxy", "allow", "caller_ids"] {
        if section.has(name) {
            let cure = "name the carrier's host, or leave this out";
            section.refuse(name, Refusal::new(format!("\"{name}\" needs \"host\""), cure));
        }
    }
}

impl Carrier {
    /// The outer option is none when something is wrong, the inner one when there is no host.
    fn read(section: &Section<'_>) -> Option<Option<Carrier>> {
        let host: Option<Host> = section.value("host");
        let port = read_port(section);
        let (transport, outbound_proxy) = (section.value("transport"), section.value("outbound_proxy"));
        let account = Account::read(section);
        let register: Option<bool> = section.value("register");
        let (expires, interval) = (section.value("register_expires"), section.value("options_interval"));
        check_range(section, "register_expires", expires, REGISTER_TIMES);
        if interval != Some(Duration::ZERO) {
            check_range(section, "options_interval", interval, OPTIONS_TIMES);
        }
        if register == Some(true) && account.is_none() {
            section.refuse("register", Refusal::new("registering needs \"username\"", "name the account"));
        }
        if !section.has("host") {
            return Some(None);
        }
        Some(Some(Carrier {
            host: host?.0,
            port,
            transport,
            outbound_proxy,
            account,
            registration: expires.filter(|_| register == Some(true)),
            options_interval: interval.filter(|interval| !interval.is_zero()),
        }))
    }
}

fn read_port(section: &Section<'_>) -> Option<u16> {
    let port: u32 = section.value("port")?;
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    if port.is_none() {
        section.refuse("port", Refusal::new("this is not a port", "a number from 1 to 65535"));
    }
    port
}

impl Account {
    fn read(section: &Section<'_>) -> Option<Account> {
        let username: Option<String> = section.value("username");
        let auth_username: Option<String> = section.value("auth_username");
        let password = section.value("password");
        for name in ["password", "auth_username"] {
            if section.has(name) && !section.has("username") {
                let what = format!("\"{name}\" needs \"username\"");
                section.refuse(name, Refusal::new(what, "name the account that it belongs to"));
            }
        }
        for (name, text) in [("username", &username), ("auth_username", &auth_username)] {
            if text.as_ref().is_some_and(|text| text.len() > NAME_BYTES_MAX) {
                section.refuse(name, Refusal::new("this is too long for an account", "at most 64 bytes"));
            }
        }
        let username = username?;
        let auth_username = auth_username.unwrap_or_else(|| username.clone());
        Some(Account { username, auth_username, password })
    }
}

impl DialRules {
    fn read(section: &Section<'_>) -> Option<DialRules> {
        let patterns = |name| -> Option<Vec<NumberPattern>> {
            if section.has(name) { section.list(name) } else { Some(Vec::new()) }
        };
        let (allow, caller_ids) = (patterns("allow"), patterns("caller_ids"));
        let strip: Option<u32> = section.value("strip");
        let prefix: Option<String> = section.value("prefix");
        if prefix.as_ref().is_some_and(|prefix| !is_number(prefix) || prefix.len() > PREFIX_BYTES_MAX) {
            let cure = "digits, with \"+\" in front where the carrier wants it";
            section.refuse("prefix", Refusal::new("this is not the beginning of a number", cure));
        }
        Some(DialRules {
            allow: allow?,
            strip: usize::try_from(strip?).unwrap_or(usize::MAX),
            prefix: prefix.unwrap_or_default(),
            caller_ids: caller_ids?,
            privacy: section.value("privacy")?,
        })
    }
}

impl TrunkLimits {
    fn read(section: &Section<'_>) -> Option<TrunkLimits> {
        let (calls, per_minute) = (section.value::<u32>("calls"), section.value::<u32>("per_minute"));
        let max_duration = section.value("max_duration");
        for (name, value) in [("calls", calls), ("per_minute", per_minute)] {
            if value == Some(0) {
                let cure = "at least 1; leave \"allow\" out where nothing may be dialled";
                section.refuse(name, Refusal::new("0 lets no call out", cure));
            }
        }
        check_range(section, "max_duration", max_duration, CALL_TIMES);
        Some(TrunkLimits {
            calls: usize::try_from(calls?).unwrap_or(usize::MAX),
            per_minute: per_minute?,
            max_duration: max_duration?,
        })
    }
}

fn check_range(section: &Section<'_>, name: &str, value: Option<Duration>, (from, to): (u64, u64)) {
    let range = Duration::from_secs(from)..=Duration::from_secs(to);
    if value.is_some_and(|value| !range.contains(&value)) {
        let what = format!("this is below {from} s or above {} h", to / 3600);
        section.refuse(name, Refusal::new(what, "a time between them"));
    }
}

/// A host's name or address.
struct Host(String);

impl Setting for Host {
    fn from_text(text: &str) -> Result<Host, Refusal> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(address) = bare.unwrap_or(text).parse::<Ipv6Addr>().ok().filter(|ip| !ip.is_unspecified())
        {
            return Ok(Host(address.to_string()));
        }
        let is_name = (1..=HOST_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && !text.starts_with(['.', '-']);
        let is_nowhere = text.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified() || ip.is_multicast());
        if is_name && !is_nowhere {
            return Ok(Host(text.to_ascii_lowercase()));
        }
        Err(Refusal::new(
            format!("\"{text}\" is not a host"),
            "a name or an address alone, as in \"sip.carrier.example\"; the port has a key of its own",
        ))
    }
}

impl Setting for SipTransport {
    fn from_text(text: &str) -> Result<SipTransport, Refusal> {
        match text {
            "udp" => Ok(SipTransport::Udp),
            "tcp" => Ok(SipTransport::Tcp),
            "tls" => Ok(SipTransport::Tls),
            _ => Err(Refusal::unknown("transport", text, &["udp", "tcp", "tls"])),
        }
    }
}

impl Setting for OutboundProxy {
    fn from_text(text: &str) -> Result<OutboundProxy, Refusal> {
        let refusal = || {
            let cure = "HOST, HOST:PORT or sip:HOST:PORT;transport=tcp";
            Refusal::new(format!("\"{text}\" is not a proxy"), cure)
        };
        let has_scheme = ["sip:", "sips:"].iter().any(|scheme| text.starts_with(scheme));
        let uri = if has_scheme { text.to_owned() } else { format!("sip:{text}") };
        let uri = SipUri::parse(&uri).map_err(|_| refusal())?;
        if !uri.user.is_empty() || uri.has_headers || uri.port == Some(0) {
            return Err(refusal());
        }
        let transport = match uri.param("transport") {
            _ if uri.scheme == "sips" => Some(SipTransport::Tls),
            Some(word) => Some(SipTransport::from_text(&word.to_ascii_lowercase())?),
            None => None,
        };
        Ok(OutboundProxy { host: Host::from_text(&uri.host)?.0, port: uri.port, transport })
    }
}

/// Refuses names and networks that an earlier trunk has.
pub(in crate::config) fn check_order(sections: &[Section<'_>], trunks: &[Option<Trunk>]) {
    for (index, trunk) in trunks.iter().enumerate() {
        let Some(trunk) = trunk else { continue };
        for earlier in trunks[..index].iter().flatten() {
            if earlier.name == trunk.name {
                let what = format!("there is a trunk \"{}\" already", trunk.name);
                sections[index].refuse("name", Refusal::new(what, "give each trunk a name of its own"));
            }
            if trunk.accept_from.iter().any(|network| earlier.accept_from.contains(network)) {
                let what = format!("a network of the trunk \"{}\" stands here again", earlier.name);
                let cure = "the first trunk takes the call: name each network once";
                sections[index].refuse("accept_from", Refusal::new(what, cure));
            }
        }
    }
}

/// Refuses a trunk by UDP where no socket sends any.
pub(in crate::config) fn check_sockets(
    sections: &[Section<'_>],
    trunks: &[Option<Trunk>],
    sip: Option<&Sip>,
) {
    let has_udp = sip.is_none_or(|sip| sip.listen.iter().any(|socket| socket.transport == SipTransport::Udp));
    for (section, trunk) in sections.iter().zip(trunks) {
        let carrier = trunk.as_ref().and_then(|trunk| trunk.carrier.as_ref());
        if !has_udp && carrier.is_some_and(|carrier| carrier.transport == Some(SipTransport::Udp)) {
            let cure = "add one to sip.listen, or choose tcp or tls";
            section.refuse("transport", Refusal::new("sip.listen has no udp socket to send from", cure));
        }
    }
}

/// The longest name of a trunk or account.
const NAME_BYTES_MAX: usize = 64;
/// The longest name of a host (RFC 1035 §3.1).
const HOST_BYTES_MAX: usize = 253;
/// The longest text that is put in front of a number.
const PREFIX_BYTES_MAX: usize = 16;
/// Seconds that a registration may be asked to hold, from and to.
const REGISTER_TIMES: (u64, u64) = (60, 24 * 3600);
/// Seconds between two questions whether a carrier is there.
const OPTIONS_TIMES: (u64, u64) = (5, 3600);
/// Seconds that a call may last.
const CALL_TIMES: (u64, u64) = (1, 24 * 3600);
