//! Octets to [`Message`]: one pass, nothing lost, the first fault told.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Headers, Message, StartLine, token::is_token};

/// What [`parse`] found.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Everything that could be read.
    pub message: Message,
    /// The first thing that was wrong.
    pub fault: Option<MessageFault>,
}

/// Structural faults of a message; each is a 400 for a request (RFC 3261 §21.4.1) unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// No SIP start line: there is nobody to answer.
    #[error("not a SIP message")]
    NotSip,
    /// The start line does not have its three parts with single spaces.
    #[error("malformed start line")]
    StartLine,
    /// The header section has no end.
    #[error("no empty line after the header fields")]
    NoEnd,
    /// A header line without a name and a colon.
    #[error("malformed header field")]
    HeaderLine,
    /// Header text that is no UTF-8 (§25.1), or holds a bare CR or LF.
    #[error("header field is not UTF-8 text")]
    HeaderText,
    /// More header fields than allowed.
    #[error("too many header fields")]
    TooManyHeaders,
    /// Content-Length twice, or not a number.
    #[error("malformed Content-Length")]
    ContentLength,
    /// Content-Length beyond the octets that came (§18.3).
    #[error("body shorter than Content-Length")]
    ShortBody,
}

/// Reads one message from one datagram or frame. Octets behind Content-Length are dropped (§18.3).
pub fn parse(octets: &Bytes, header_fields_max: usize) -> Parsed {
    let end = find_blank_line(octets);
    let head = octets.get(..end.unwrap_or(octets.len())).unwrap_or_default();
    let body_at = end.map_or(octets.len(), |at| at + 4);
    let mut fault = None;
    let mut lines = unfold(head);
    let first = lines.next().unwrap_or_default();
    let start = match start_line(&first) {
        Ok(start) => start,
        Err((start, found)) => {
            fault = Some(found);
            start
        }
    };
    if end.is_none() {
        note(&mut fault, MessageFault::NoEnd);
    }
    let mut headers = Headers::default();
    for line in lines {
        if headers.len() == header_fields_max {
            note(&mut fault, MessageFault::TooManyHeaders);
            break;
        }
        match header_line(&line) {
            Ok((name, value)) => headers.push(&name, value),
            Err(found) => note(&mut fault, found),
        }
    }
    let available = octets.slice(body_at.min(octets.len())..);
    let body = match content_length(&headers) {
        Ok(None) => available,
        Ok(Some(length)) if length <= available.len() => available.slice(..length),
        Ok(Some(_)) => {
            note(&mut fault, MessageFault::ShortBody);
            available
        }
        Err(found) => {
            note(&mut fault, found);
            Bytes::new()
        }
    };
    Parsed { message: Message { start, headers, body }, fault }
}

/// The one Content-Length, if any.
pub(crate) fn content_length(headers: &Headers) -> Result<Option<usize>, MessageFault> {
    let mut values = headers.all("Content-Length");
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(MessageFault::ContentLength);
    }
    value.parse().map(Some).map_err(|_| MessageFault::ContentLength)
}

/// Where the header section ends: the index of its CRLF CRLF.
pub(crate) fn find_blank_line(octets: &[u8]) -> Option<usize> {
    octets.windows(4).position(|w| w == b"\r\n\r\n")
}

fn note(fault: &mut Option<MessageFault>, found: MessageFault) {
    fault.get_or_insert(found);
}

/// Lines with their continuations joined by one space (§7.3.1).
fn unfold(head: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut rest = Some(head);
    let mut next_line = move || {
        let text = rest?;
        match text.windows(2).position(|w| w == b"\r\n") {
            Some(at) => {
                rest = text.get(at + 2..);
                text.get(..at)
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    };
    let mut ahead = next_line();
    std::iter::from_fn(move || {
        let mut line = Cow::Borrowed(ahead.take()?);
        loop {
            ahead = next_line();
            match ahead {
                Some(more) if more.starts_with(b" ") || more.starts_with(b"\t") => {
                    let joined = line.to_mut();
                    joined.push(b' ');
                    joined.extend_from_slice(more.trim_ascii());
                }
                _ => return Some(line),
            }
        }
    })
}

fn start_line(line: &[u8]) -> Result<StartLine, (StartLine, MessageFault)> {
    let nothing = || StartLine::Response { code: 0, reason: String::new() };
    let Ok(text) = std::str::from_utf8(line) else {
        let looks_sip = line.windows(4).any(|w| w == b"SIP/") && !line.starts_with(b"SIP/");
        return Err((broken_request(&String::from_utf8_lossy(line)), fault_if(looks_sip)));
    };
    if text.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("SIP/")) {
        let mut parts = text.splitn(3, ' ');
        let version = parts.next().unwrap_or("");
        let code = parts.next().unwrap_or("");
        let reason = parts.next().unwrap_or("").to_owned();
        let digits = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
        return match code.parse() {
            Ok(code) if digits && version.eq_ignore_ascii_case("SIP/2.0") => {
                Ok(StartLine::Response { code, reason })
            }
            _ => Err((nothing(), MessageFault::StartLine)),
        };
    }
    let parts: Vec<&str> = text.split(' ').collect();
    if let [method, uri, version] = parts.as_slice() {
        let whole = is_token(method) && !uri.is_empty() && is_version(version);
        if whole && !uri.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Ok(StartLine::Request {
                method: (*method).to_owned(),
                uri: (*uri).to_owned(),
                version: (*version).to_owned(),
            });
        }
    }
    Err((broken_request(text), fault_if(text.contains("SIP/"))))
}

/// A request whose line is broken keeps its method, so that an ACK is never answered.
fn broken_request(text: &str) -> StartLine {
    let method = text.split_ascii_whitespace().next().unwrap_or("").to_owned();
    StartLine::Request { method, uri: String::new(), version: "SIP/2.0".to_owned() }
}

fn fault_if(looks_sip: bool) -> MessageFault {
    if looks_sip { MessageFault::StartLine } else { MessageFault::NotSip }
}

fn is_version(text: &str) -> bool {
    let Some(rest) = text.get(..4).filter(|p| p.eq_ignore_ascii_case("SIP/")).and_then(|_| text.get(4..))
    else {
        return false;
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    rest.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
}

fn header_line(line: &[u8]) -> Result<(String, String), MessageFault> {
    let colon = line.iter().position(|b| *b == b':').ok_or(MessageFault::HeaderLine)?;
    let (name, value) = line.split_at(colon);
    let name = std::str::from_utf8(name).map_err(|_| MessageFault::HeaderText)?.trim_end();
    if !is_token(name) {
        return Err(MessageFault::HeaderLine);
    }
    let value = value.get(1..).unwrap_or_default();
    let value = std::str::from_utf8(value).map_err(|_| MessageFault::HeaderText)?.trim();
    if value.contains(['\r', '\n']) {
        return Err(MessageFault::HeaderText);
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> Parsed {
        parse(&Bytes::copy_from_slice(text), 256)
    }

    #[test]
    fn a_header_that_is_no_utf8_hides_none_of_the_others() {
        let found = parsed(b"OPTIONS sip:a@b SIP/2.0\r\nSubject: \xff\r\nCall-ID: 7\r\n\r\n");
        assert_eq!(found.fault, Some(MessageFault::HeaderText));
        assert_eq!(found.message.headers.first("Call-ID"), Some("7"));
    }

    #[test]
    fn folded_lines_join_and_compact_names_become_long() {
        let found = parsed(b"OPTIONS sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP\r\n  h;branch=1\r\ns :\r\n\r\n");
        assert_eq!(found.fault, None);
        assert_eq!(found.message.headers.first("Via"), Some("SIP/2.0/UDP h;branch=1"));
        assert_eq!(found.message.headers.first("Subject"), Some(""));
    }

    #[test]
    fn octets_behind_the_content_length_are_dropped_and_missing_ones_told() {
        let found = parsed(b"OPTIONS sip:a@b SIP/2.0\r\nl: 2\r\n\r\nabc");
        assert_eq!((found.fault, found.message.body.as_ref()), (None, b"ab".as_slice()));
        let short = parsed(b"OPTIONS sip:a@b SIP/2.0\r\nl: 4\r\n\r\nabc");
        assert_eq!(short.fault, Some(MessageFault::ShortBody));
    }

    #[test]
    fn garbage_is_not_sip_and_a_torn_request_line_is() {
        assert_eq!(parsed(b"\x00\x01\x02").fault, Some(MessageFault::NotSip));
        assert_eq!(parsed(b"INVITE  sip:a@b  SIP/2.0\r\n\r\n").fault, Some(MessageFault::StartLine));
    }
}
