//! Bodies: the SDP of a message (bare or as one part of a multipart), and digits in INFO.

use crate::message::Message;

/// The SDP text of a message; `None` when the body holds none. Octets that are no UTF-8 (a Latin-1 session
/// name, binary ISUP beside the SDP) become U+FFFD: nothing that is read here has them.
pub(crate) fn sdp_text(message: &Message) -> Option<String> {
    let content_type = message.headers.first("Content-Type")?;
    let (media_type, params) = content_type.split_once(';').unwrap_or((content_type, ""));
    let body = String::from_utf8_lossy(&message.body);
    if media_type.trim().eq_ignore_ascii_case("application/sdp") {
        return (!body.is_empty()).then(|| body.into_owned());
    }
    if !media_type.trim().eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let boundary = params.split(';').find_map(|p| {
        let (name, value) = p.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    sdp_part(&body, boundary)
}

/// RFC 2046 §5.1: parts between `--boundary` lines; ISUP and others beside SDP are not looked at.
fn sdp_part(body: &str, boundary: &str) -> Option<String> {
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let delimiter = format!("--{boundary}");
    body.split(delimiter.as_str()).skip(1).take(16).find_map(|part| {
        let (head, content) = part.trim_start_matches([' ', '\t']).split_once("\r\n\r\n")?;
        let is_sdp = head.lines().any(|line| {
            line.split_once(':').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("content-type")
                    && value.trim().get(..15).is_some_and(|v| v.eq_ignore_ascii_case("application/sdp"))
            })
        });
        is_sdp.then(|| content.trim_end_matches("\r\n").to_owned() + "\r\n")
    })
}

/// A digit that came in a SIP INFO.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InfoDigit {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub digit: char,
    /// How long it sounded; `None` when the peer does not say.
    pub duration_ms: Option<u32>,
}

impl std::fmt::Debug for InfoDigit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InfoDigit").field("duration_ms", &self.duration_ms).finish_non_exhaustive()
    }
}

/// Reads the digit of an INFO: `application/dtmf-relay` (`Signal=5`, `Duration=160`) or `application/dtmf`
/// (the digit alone). `None` when there is no valid digit in it.
pub fn parse_info_digit(content_type: &str, body: &[u8]) -> Option<InfoDigit> {
    let text = std::str::from_utf8(body).ok()?;
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    if media_type.eq_ignore_ascii_case("application/dtmf") && !text.contains('=') {
        return Some(InfoDigit { digit: parse_digit(text)?, duration_ms: None });
    }
    let field = |wanted: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then_some(value)
        })
    };
    let duration_ms = field("Duration").and_then(|v| v.trim().parse().ok());
    Some(InfoDigit { digit: parse_digit(field("Signal")?)?, duration_ms })
}

/// The body of an `application/dtmf-relay` INFO.
pub(crate) fn format_info_digit(digit: char, duration_ms: u32) -> String {
    format!("Signal={digit}\r\nDuration={duration_ms}\r\n")
}

/// One digit; 10 and 11 are `*` and `#` in the numbering that some phones send.
fn parse_digit(text: &str) -> Option<char> {
    match text.trim() {
        "10" => Some('*'),
        "11" => Some('#'),
        text => {
            let mut chars = text.chars();
            let digit = chars.next()?.to_ascii_uppercase();
            (chars.next().is_none() && "0123456789*#ABCD".contains(digit)).then_some(digit)
        }
    }
}

/// Whether an INFO of this content type is one that carries digits.
pub(crate) fn is_digit_type(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    ["application/dtmf-relay", "application/dtmf"].iter().any(|t| media_type.eq_ignore_ascii_case(t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_in_both_forms_and_nothing_else_is_one() {
        let relay = parse_info_digit("application/dtmf-relay", b"Signal= #\r\nDuration= 160\r\n").unwrap();
        assert_eq!((relay.digit, relay.duration_ms), ('#', Some(160)));
        assert_eq!(parse_info_digit("application/dtmf", b"5").unwrap().digit, '5');
        assert_eq!(parse_info_digit("application/dtmf", b"55"), None);
        assert_eq!(parse_info_digit("application/dtmf-relay", b"Signal=x"), None);
        assert_eq!(parse_info_digit("application/dtmf-relay", b"\xff"), None);
    }

    #[test]
    fn sdp_is_found_beside_other_parts() {
        let mut message = Message::request("INVITE", "sip:a@b");
        let body = "--x\r\nContent-Type: application/isup\r\n\r\n\x01\u{fe}\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n";
        message.set_body("multipart/mixed;boundary=\"x\"", body);
        assert_eq!(sdp_text(&message).as_deref(), Some("v=0\r\n"));
    }
}
