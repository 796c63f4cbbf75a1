//! What may be kept of a SIP message (RFC 3261): the start line, who of the protocol's fields, the shape of the SDP.
//!
//! The rules are those of `redaction`, for SIP's own syntax: hosts, tags and parameters of the protocol stay; users,
//! display names, credentials, keys, unknown fields and bodies that are no SDP become their length.

use std::fmt::Write as _;

use bytes::Bytes;
use patchcord_sip::message::{self, NameAddr, SipUri, StartLine};

use super::redaction::{masked, name_shown, token, without_numbers};

/// The shape of a SIP message, line by line.
pub fn sip(octets: &Bytes) -> String {
    let parsed = message::parse(octets, FIELDS_SHOWN).message;
    let mut shown = match &parsed.start {
        StartLine::Request { method, uri, .. } => format!("{} {} SIP/2.0", word(method), shown_uri(uri)),
        StartLine::Response { code, reason } => format!("SIP/2.0 {code} {}", without_numbers(reason)),
    };
    shown.push('\n');
    for header in parsed.headers.iter() {
        let value = shown_value(header.name(), &header.value);
        // Writing to a string does not fail.
        let _ = writeln!(shown, "{}: {value}", name_shown(header.name()));
    }
    let is_sdp = parsed
        .headers
        .first("Content-Type")
        .is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("application/sdp"));
    match std::str::from_utf8(&parsed.body) {
        Ok("") => {}
        Ok(body) if is_sdp => {
            shown.push('\n');
            for line in body.lines().take(FIELDS_SHOWN) {
                let _ = writeln!(shown, "{}", shown_sdp(line));
            }
        }
        _ => {
            let _ = write!(shown, "\n<{} bytes>\n", parsed.body.len());
        }
    }
    shown
}

fn shown_value(name: &str, value: &str) -> String {
    if ADDRESSES.contains(&name) {
        let shown: Vec<_> = split_addresses(value).map(shown_address).collect();
        shown.join(", ")
    } else if name == "Call-ID" {
        format!("<id {:08x}>", token(value))
    } else if PLAIN.contains(&name) {
        without_numbers(value)
    } else {
        masked(value)
    }
}

/// Splits a list of addresses at commas outside quotes and brackets.
fn split_addresses(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut bracketed) = (false, false);
    value.split(move |c| {
        match c {
            '"' => quoted = !quoted,
            '<' => bracketed = true,
            '>' => bracketed = false,
            _ => {}
        }
        c == ',' && !quoted && !bracketed
    })
}

fn shown_address(text: &str) -> String {
    let Some(address) = NameAddr::parse(text) else { return masked(text.trim()) };
    let display = match address.display.as_str() {
        "" => String::new(),
        display => format!("{} ", masked(display)),
    };
    let mut shown = format!("{display}<{}>", shown_uri(&address.uri));
    for name in PARAMETERS {
        match address.param(name) {
            Some("") => drop(write!(shown, ";{name}")),
            Some(value) => drop(write!(shown, ";{name}={}", without_numbers(value))),
            None => {}
        }
    }
    shown
}

fn shown_uri(text: &str) -> String {
    let Ok(uri) = SipUri::parse(text) else { return masked(text) };
    let at = if uri.user.is_empty() || uri.host.is_empty() { "" } else { "@" };
    let user = format!("{}{at}", masked(&uri.user));
    // Where a URI has no user, a number stands in the host's place.
    let host = if uri.host.contains(':') { format!("[{}]", uri.host) } else { without_numbers(&uri.host) };
    let port = uri.port.map_or(String::new(), |port| format!(":{port}"));
    let mut shown = format!("{}:{user}{host}{port}", uri.scheme);
    for name in PARAMETERS {
        match uri.param(name) {
            Some("") => drop(write!(shown, ";{name}")),
            Some(value) => drop(write!(shown, ";{name}={}", without_numbers(value))),
            None => {}
        }
    }
    shown
}

/// One line of an SDP (RFC 8866): media, addresses and the attributes that describe them stay.
fn shown_sdp(line: &str) -> String {
    let Some((kind, value)) = line.split_once('=') else { return masked(line) };
    match kind {
        "v" | "c" | "t" | "m" | "b" => line.to_owned(),
        "o" => match value.split_once(' ') {
            Some((_, rest)) => format!("o=<user> {rest}"),
            None => masked(line),
        },
        "a" => {
            let (name, value) =
                value.split_once(':').map_or((value, None), |(name, value)| (name, Some(value)));
            match (name, value) {
                (name, value) if ATTRIBUTES.contains(&name) => {
                    value.map_or(format!("a={name}"), |value| format!("a={name}:{value}"))
                }
                // RFC 4568 §9.1: the key stands behind the tag and the suite.
                ("crypto", Some(value)) => {
                    let suite: Vec<_> = value.split(' ').take(2).map(without_numbers).collect();
                    format!("a=crypto:{} <key>", suite.join(" "))
                }
                (name, value) => format!("a={}:{}", name_shown(name), masked(value.unwrap_or_default())),
            }
        }
        _ => format!("{}={}", name_shown(kind), masked(value)),
    }
}

/// A method, or what stands in its place.
fn word(text: &str) -> String {
    if text.len() <= 16 && text.chars().all(|c| c.is_ascii_uppercase()) {
        text.to_owned()
    } else {
        masked(text)
    }
}

/// Header fields whose values are addresses.
const ADDRESSES: &[&str] = &[
    "Contact",
    "Diversion",
    "From",
    "History-Info",
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Path",
    "Record-Route",
    "Refer-To",
    "Referred-By",
    "Remote-Party-ID",
    "Route",
    "Service-Route",
    "To",
];

/// Header fields that say nothing about anybody.
const PLAIN: &[&str] = &[
    "Accept",
    "Accept-Encoding",
    "Allow",
    "Allow-Events",
    "CSeq",
    "Content-Disposition",
    "Content-Length",
    "Content-Type",
    "Date",
    "Event",
    "Expires",
    "MIME-Version",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Reason",
    "Require",
    "Retry-After",
    "Server",
    "Session-Expires",
    "Subscription-State",
    "Supported",
    "Timestamp",
    "Unsupported",
    "User-Agent",
    "Via",
];

/// Parameters of addresses and URIs that belong to the protocol.
const PARAMETERS: &[&str] = &["transport", "lr", "tag", "expires", "q", "ob", "user"];

/// Attributes of an SDP that describe media.
const ATTRIBUTES: &[&str] = &[
    "fmtp",
    "group",
    "inactive",
    "maxptime",
    "mid",
    "msid-semantic",
    "ptime",
    "recvonly",
    "rtcp",
    "rtcp-mux",
    "rtcp-fb",
    "rtpmap",
    "sendonly",
    "sendrecv",
    "setup",
    "silenceSupp",
];

/// Header fields, and lines of an SDP, that are shown.
const FIELDS_SHOWN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:+918001234567:pw@192.0.2.1:5060;transport=udp;pin=4711 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK77ef\r\n\
        From: \"Asha Rao\" <sip:9876543210@example.com>;tag=a7\r\n\
        To: <sip:18001234567@192.0.2.1>\r\n\
        Call-ID: 9876543210-x@192.0.2.9\r\n\
        CSeq: 1 INVITE\r\n\
        Contact: <sip:9876543210@192.0.2.9:5062;gr=urn:uuid:f81d4fae>\r\n\
        P-Asserted-Identity: \"Rao, Asha\" <tel:+919876543210>, <sip:9876543210@carrier.example>\r\n\
        Authorization: Digest username=\"asha\", response=\"6629fae49393a05397450978507c4ef1\"\r\n\
        X-Customer: Asha, card 4111111111111111\r\n\
        User-to-User: 3435363738393a\r\n\
        Cookie: session=sekret\r\n\
        User-Agent: phone/1.2\r\n\
        Content-Type: application/sdp\r\nContent-Length: ";
    const SDP: &str = "v=0\r\no=asha 1707204900 1 IN IP4 192.0.2.9\r\ns=call of Asha\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
        m=audio 40000 RTP/SAVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VrcmV0LW9mLXRoZS1tZWRpYQ==\r\na=ice-pwd:sekretsekretsekret\r\n";

    #[test]
    fn an_invitation_keeps_what_support_needs_and_nothing_of_anybody() {
        let shown = sip(&format!("{INVITE}{}\r\n\r\n{SDP}", SDP.len()).into());
        for secret in [
            "8001234567",
            "9876543210",
            "Asha",
            "asha",
            "Rao",
            "4711",
            "4111",
            "6629",
            "sekret",
            "c2Vrcm",
            ":pw",
            "3435",
            "f81d",
        ] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        for kept in [
            "INVITE sip:<13 characters>@192.0.2.1:5060;transport=udp SIP/2.0\n",
            "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK77ef\n",
            "From: <10 characters> <sip:<10 digits>@example.com>;tag=a7\n",
            "CSeq: 1 INVITE\n",
            "Authorization: <67 characters>\n",
            "User-Agent: phone/1.2\n",
            "c=IN IP4 192.0.2.9\n",
            "m=audio 40000 RTP/SAVP 0 101\na=rtpmap:0 PCMU/8000\na=sendrecv\n",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 <key>\n",
        ] {
            assert!(shown.contains(kept), "{kept} not in {shown}");
        }
    }

    #[test]
    fn a_number_in_the_place_of_a_host_is_masked() {
        let text = "INVITE sip:18001234567 SIP/2.0\r\nFrom: <sip:9876543210;user=phone>;tag=1\r\n\
                    To: sip:18001234567\r\nRoute: <sip:10.11.12.13:5060;lr>\r\n\r\n";
        let shown = sip(&text.to_owned().into());
        assert!(!shown.contains("8001234567") && !shown.contains("9876543210"), "{shown}");
        assert!(shown.contains("Route: <sip:10.11.12.13:5060;lr>"), "{shown}");
    }

    #[test]
    fn a_digit_by_info_and_what_is_no_sip_show_their_length_alone() {
        let info = "INFO sip:a@b SIP/2.0\r\nContent-Type: application/dtmf-relay\r\nContent-Length: 23\r\n\r\n\
                    Signal=5\r\nDuration=160";
        let shown = sip(&info.to_owned().into());
        assert!(shown.contains("bytes>") && !shown.contains("Signal"), "{shown}");
        let shown = sip(&Bytes::from_static(b"my card is 4111111111111111"));
        assert!(!shown.contains("4111") && !shown.contains("card"), "{shown}");
    }
}
