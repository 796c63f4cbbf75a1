//! The Via header field (RFC 3261 §20.42) with `received` and `rport` (RFC 3581).

use std::net::SocketAddr;

use super::token::{find_outside_quotes, is_token, parse_params};
use super::uri::parse_hostport;

/// One hop of a Via.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, … in upper case.
    pub transport: String,
    /// `host[:port]` in lower case, as the peer wrote it: never resolved, only compared.
    pub sent_by: String,
    params: Vec<(String, Option<String>)>,
}

impl Via {
    /// Parses the first element of a Via value; the rest must be there but is not looked at.
    pub fn parse_first(value: &str) -> Option<Self> {
        Self::parse(super::split_list(value).next()?)
    }

    /// Parses one element.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let protocol = parts.next()?.trim();
        let version = parts.next()?.trim();
        let rest = parts.next()?.trim_start();
        if !protocol.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let (transport, rest) = rest.split_once([' ', '\t'])?;
        let end = rest.find(';').unwrap_or(rest.len());
        let (sent_by, params) = rest.split_at(end);
        let sent_by: String = sent_by.split_ascii_whitespace().collect();
        if !is_token(transport) || parse_hostport(&sent_by).is_none() {
            return None;
        }
        let params = parse_params(params)?;
        Some(Self {
            transport: transport.to_ascii_uppercase(),
            sent_by: sent_by.to_ascii_lowercase(),
            params,
        })
    }

    /// The branch when it carries more than the magic cookie: a key of RFC 3261 §17.2.3.
    pub fn rfc3261_branch(&self) -> Option<&str> {
        self.param("branch").filter(|b| b.len() > COOKIE.len() && b.starts_with(COOKIE))
    }

    /// The host of `sent_by`, IPv6 without brackets.
    pub fn host(&self) -> Option<String> {
        parse_hostport(&self.sent_by).map(|(host, _)| host)
    }

    /// The port of `sent_by`, when given.
    pub fn port(&self) -> Option<u16> {
        parse_hostport(&self.sent_by)?.1
    }

    /// A parameter's value; `Some("")` for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_deref().unwrap_or(""))
    }
}

/// A Via value with `received` and `rport` of its first element set to where the request came from
/// (RFC 3261 §18.2.1, RFC 3581 §4). What the sender wrote there is replaced.
pub(crate) fn stamp_received(value: &str, source: SocketAddr) -> String {
    let end = find_outside_quotes(value, b',').unwrap_or(value.len());
    let (first, rest) = value.split_at(end);
    let wants_rport = Via::parse(first.trim()).is_some_and(|via| via.param("rport").is_some());
    let mut kept: String = String::with_capacity(value.len() + 48);
    for (index, part) in super::token::split_outside_quotes(first, b';').enumerate() {
        let name = part.split('=').next().unwrap_or("").trim();
        let ours = name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport");
        if index == 0 {
            kept.push_str(part.trim_end());
        } else if !ours {
            kept.push(';');
            kept.push_str(part.trim_end());
        }
    }
    kept.push_str(&format!(";received={}", source.ip()));
    if wants_rport {
        kept.push_str(&format!(";rport={}", source.port()));
    }
    kept.push_str(rest);
    kept
}

const COOKIE: &str = "z9hG4bK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_every_separator_is_allowed() {
        let via = Via::parse_first(
            "SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8  , SIP/2.0/UDP x",
        )
        .unwrap();
        assert_eq!((via.transport.as_str(), via.sent_by.as_str()), ("TCP", "spindle.example.com"));
        assert_eq!(via.rfc3261_branch(), Some("z9hG4bK9ikj8"));
    }

    #[test]
    fn the_source_replaces_what_the_sender_claims() {
        let source = "192.0.2.9:4242".parse().unwrap();
        assert_eq!(
            stamp_received("SIP/2.0/UDP h;rport;received=6.6.6.6;branch=z9hG4bKa, SIP/2.0/UDP i", source),
            "SIP/2.0/UDP h;branch=z9hG4bKa;received=192.0.2.9;rport=4242, SIP/2.0/UDP i"
        );
    }

    #[test]
    fn a_bare_cookie_is_no_branch_and_empty_parameters_are_a_fault() {
        assert_eq!(Via::parse("SIP/2.0/UDP h;branch=z9hG4bK").unwrap().rfc3261_branch(), None);
        assert_eq!(Via::parse("SIP/2.0/UDP 192.0.2.15;;,;,,"), None);
    }
}
