//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966), as far as a user agent needs them.

use std::net::{IpAddr, SocketAddr};

use super::token::is_escaped;

/// A parsed URI. Escapes are kept; [`SipUri::user_decoded`] resolves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipUri {
    /// `sip`, `sips` or `tel`, in lower case.
    pub scheme: String,
    /// The user part (the number of a `tel` URI); empty when absent.
    pub user: String,
    /// The host, IPv6 without brackets; empty for `tel`.
    pub host: String,
    /// The port, when given.
    pub port: Option<u16>,
    /// Parameters, names in lower case.
    pub params: Vec<(String, Option<String>)>,
    /// Whether a `?headers` part is there: not allowed in a request URI (§19.1.1).
    pub has_headers: bool,
}

/// Why a URI is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriFault {
    /// It breaks the grammar.
    Malformed,
    /// A well-formed scheme that we do not serve (416).
    Scheme,
}

impl SipUri {
    /// Parses a `sip:`, `sips:` or `tel:` URI.
    ///
    /// # Errors
    /// [`UriFault::Scheme`] for another scheme, [`UriFault::Malformed`] for everything else.
    pub fn parse(text: &str) -> Result<Self, UriFault> {
        let (scheme, rest) = text.split_once(':').ok_or(UriFault::Malformed)?;
        let first = scheme.bytes().next().ok_or(UriFault::Malformed)?;
        let lexical = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !first.is_ascii_alphabetic() || !lexical {
            return Err(UriFault::Malformed);
        }
        if rest.bytes().any(|b| b <= b' ' || b == 0x7f || b"<>\"".contains(&b)) {
            return Err(UriFault::Malformed);
        }
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "sip" | "sips" => parse_sip(scheme, rest).ok_or(UriFault::Malformed),
            "tel" => parse_tel(scheme, rest).ok_or(UriFault::Malformed),
            _ => Err(UriFault::Scheme),
        }
    }

    /// A URI of a user at a host, both plain text: what a user part does not allow is escaped, an IPv6 address put
    /// in brackets. Without a user the host alone.
    pub fn format(scheme: &str, user: &str, host: &str) -> String {
        let mut text = format!("{scheme}:");
        for byte in user.bytes() {
            if is_unreserved(byte) || byte == b'+' {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        let at = if user.is_empty() { "" } else { "@" };
        if host.contains(':') { format!("{text}{at}[{host}]") } else { format!("{text}{at}{host}") }
    }

    /// A URI of a peer as a request may be sent to it: without header fields and `method` (§19.1.1, table 1).
    /// `None` when it is no URI that we serve.
    pub fn as_target(text: &str) -> Option<String> {
        let uri = Self::parse(text).ok()?;
        let (address, _) = split_headers(text);
        if uri.param("method").is_none() {
            return Some(address.to_owned());
        }
        let host_at = address.rfind('@').unwrap_or(0);
        let (user, rest) = address.split_at(host_at);
        let is_kept = |param: &&str| {
            let name = param.split('=').next().unwrap_or(param);
            !name.eq_ignore_ascii_case("method")
        };
        let kept: Vec<&str> = rest.split(';').filter(is_kept).collect();
        Some(format!("{user}{}", kept.join(";")))
    }

    /// Whom the user part means: of a telephone number what stands before its parameters, such as those of number
    /// portability (RFC 3966 §3, RFC 4694); of other names all, since a semicolon may belong to them (RFC 3261 §25.1).
    pub fn subscriber(&self) -> String {
        let user = self.user_decoded();
        match user.split_once(';') {
            Some((number, _)) if is_telephone_number(number) => number.to_owned(),
            _ => user,
        }
    }

    /// The user part with its escapes resolved; bytes that are no UTF-8 become U+FFFD.
    pub fn user_decoded(&self) -> String {
        let bytes = self.user.as_bytes();
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let hex = self.user.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
            match hex.filter(|_| byte == b'%') {
                Some(value) => {
                    out.push(value);
                    at += 3;
                }
                None => {
                    out.push(byte);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A parameter's value; `Some("")` for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_deref().unwrap_or(""))
    }

    /// Whether it wants TLS: `sips:`, or `transport=tls`.
    pub fn is_tls(&self) -> bool {
        self.scheme == "sips" || self.param("transport").is_some_and(|t| t.eq_ignore_ascii_case("tls"))
    }

    /// The port, or the default of its transport (§19.1.2).
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.is_tls() { 5061 } else { 5060 })
    }

    /// The address when the host is an IP literal.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port_or_default()))
    }
}

fn parse_sip(scheme: String, rest: &str) -> Option<SipUri> {
    let (address, has_headers) = split_headers(rest);
    let (userinfo, hostpart) = match address.rsplit_once('@') {
        Some((userinfo, hostpart)) => (Some(userinfo), hostpart),
        None => (None, address),
    };
    let (hostport, params) = match hostpart.split_once(';') {
        Some((hostport, params)) => (hostport, parse_uri_params(params)?),
        None => (hostpart, Vec::new()),
    };
    let user = match userinfo {
        Some(userinfo) => parse_userinfo(userinfo)?,
        None => String::new(),
    };
    let (host, port) = parse_hostport(hostport)?;
    Some(SipUri { scheme, user, host, port, params, has_headers })
}

/// A `?` before the last `@` belongs to the user part, where it is allowed unescaped.
fn split_headers(rest: &str) -> (&str, bool) {
    let host_at = rest.split('?').next().and_then(|head| head.rfind('@')).map(|_| 0);
    let from = host_at.or_else(|| rest.rfind('@')).unwrap_or(0);
    match rest.get(from..).and_then(|tail| tail.find('?')) {
        Some(at) => (rest.get(..from + at).unwrap_or(rest), true),
        None => (rest, false),
    }
}

fn parse_userinfo(userinfo: &str) -> Option<String> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let user_ok = !user.is_empty() && is_escaped(user, |b| is_unreserved(b) || b"&=+$,;?/".contains(&b));
    // Wider than §25.1, which allows no `;`, `?`, `/`, `*:` in passwords: nobody reads them here.
    let password_ok = is_escaped(password, |b| is_unreserved(b) || b"&=+$,;?/:".contains(&b));
    (user_ok && password_ok).then(|| user.to_owned())
}

pub(super) fn parse_hostport(text: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, after) = rest.split_once(']')?;
        let _valid: std::net::Ipv6Addr = ip.parse().ok()?;
        return Some((ip.to_owned(), parse_port(after)?));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, _)) => (host, parse_port(text.get(host.len()..)?)?),
        None => (text, None),
    };
    // `_` is no hostname character, but real DNS names of carriers carry it.
    let ok = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    ok.then(|| (host.to_ascii_lowercase(), port))
}

/// `""` or `:port`; the outer option is the grammar's verdict.
fn parse_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    let digits = text.strip_prefix(':')?;
    let ok = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if ok { digits.parse().ok().map(Some) } else { None }
}

fn parse_uri_params(text: &str) -> Option<Vec<(String, Option<String>)>> {
    let allowed = |b| is_unreserved(b) || b"[]/:&+$".contains(&b);
    let mut params = Vec::new();
    for param in text.split(';') {
        let (name, value) = match param.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (param, None),
        };
        if name.is_empty() || params.len() == 64 || !is_escaped(name, allowed) {
            return None;
        }
        if !value.is_none_or(|v| is_escaped(v, allowed)) {
            return None;
        }
        params.push((name.to_ascii_lowercase(), value.map(str::to_owned)));
    }
    Some(params)
}

fn parse_tel(scheme: String, rest: &str) -> Option<SipUri> {
    let (number, params) = match rest.split_once(';') {
        Some((number, params)) => (number, parse_uri_params(params)?),
        None => (rest, Vec::new()),
    };
    let digits = number.strip_prefix('+').unwrap_or(number);
    let ok = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit() || b"*#-.()".contains(&b));
    let user = number.to_owned();
    ok.then_some(SipUri { scheme, user, host: String::new(), port: None, params, has_headers: false })
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

/// Digits, their separators, and what keys have besides (RFC 3966 §3).
fn is_telephone_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || b"-.()*#".contains(&byte);
    digits.bytes().any(|byte| byte.is_ascii_digit()) && digits.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_part_keeps_its_escapes_until_it_is_decoded() {
        let uri = SipUri::parse("sip:sips%3Auser%40example.com@example.net:5070;lr").unwrap();
        assert_eq!(uri.user_decoded(), "sips:user@example.com");
        assert_eq!((uri.host.as_str(), uri.port, uri.param("lr")), ("example.net", Some(5070), Some("")));
    }

    #[test]
    fn headers_are_told_from_a_question_mark_in_the_user_part() {
        assert!(SipUri::parse("sip:user@example.com?Route=%3Csip:example.com%3E").unwrap().has_headers);
        let odd = SipUri::parse("sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com").unwrap();
        assert!(!odd.has_headers);
        assert_eq!(odd.host, "example.com");
    }

    #[test]
    fn a_request_goes_to_a_uri_without_header_fields_and_method() {
        for (text, target) in [
            ("sip:a@b;method=BYE;lr?Route=%3Csip:x%3E", Some("sip:a@b;lr")),
            ("sip:a;method=x@b:5070?x=y", Some("sip:a;method=x@b:5070")),
            ("sip:[2001:db8::1];transport=tcp", Some("sip:[2001:db8::1];transport=tcp")),
            ("mailto:a@b", None),
        ] {
            assert_eq!(SipUri::as_target(text).as_deref(), target, "{text}");
        }
    }

    #[test]
    fn a_users_name_is_escaped_so_that_it_stays_one() {
        for (user, host, text) in [
            ("+919876543210", "carrier.example", "sip:+919876543210@carrier.example"),
            ("a@b;c>\r\n", "h", "sip:a%40b%3Bc%3E%0D%0A@h"),
            ("", "2001:db8::1", "sip:[2001:db8::1]"),
        ] {
            assert_eq!(SipUri::format("sip", user, host), text);
            assert_eq!(SipUri::parse(text).unwrap().user_decoded(), user);
        }
    }

    #[test]
    fn the_parameters_of_a_telephone_number_are_not_part_of_it() {
        for (text, subscriber) in [
            ("sip:18001234567;npdi=yes;rn=1999@h", "18001234567"),
            ("sip:+49-123;phone-context=x@h;user=phone", "+49-123"),
            ("sip:*31%23;isub=1@h", "*31#"),
            ("sip:alice;day=tuesday@h", "alice;day=tuesday"),
            ("sip:;a=b@h", ";a=b"),
        ] {
            assert_eq!(SipUri::parse(text).unwrap().subscriber(), subscriber, "{text}");
        }
    }

    #[test]
    fn other_schemes_are_told_from_broken_ones() {
        assert_eq!(SipUri::parse("nobodyKnowsThisScheme:totallyopaquecontent"), Err(UriFault::Scheme));
        assert_eq!(SipUri::parse("<sip:user@example.com>"), Err(UriFault::Malformed));
        assert_eq!(SipUri::parse("sip:user@example.com:70000"), Err(UriFault::Malformed));
        assert_eq!(SipUri::parse("sip:%4@x"), Err(UriFault::Malformed));
        assert_eq!(SipUri::parse("sip:[::1]:5060").unwrap().socket_addr(), "[::1]:5060".parse().ok());
        assert_eq!(SipUri::parse("tel:+919876543210").unwrap().user, "+919876543210");
    }
}
