//! What becomes of a message before anything remembers it: handed on, refused, or silence.
//!
//! Pure and stateless, run by the socket readers. The order follows RFC 3261 §8.2 (method, then header
//! fields, then content); the verdicts on broken messages follow RFC 4475, one row each in
//! `tests/data/rfc4475/verdicts.tsv`.

use crate::message::{Message, MessageFault, NameAddr, Parsed, SipUri, StartLine, UriFault, Via};

/// What to do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well-formed and within what we serve.
    Accept,
    /// A request to answer statelessly.
    Refuse(Refusal),
    /// Nothing is sent: a broken response, a broken ACK, or no SIP at all.
    Silence,
}

/// A stateless final response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 4xx or 5xx.
    pub code: u16,
    /// The reason phrase: what exactly was wrong.
    pub reason: &'static str,
    /// A header field that the code requires (Allow, Accept, Unsupported).
    pub header: Option<(&'static str, String)>,
}

/// Judges a parsed message.
pub fn judge(parsed: &Parsed) -> Verdict {
    match &parsed.message.start {
        StartLine::Response { code, .. } => judge_response(parsed, *code),
        StartLine::Request { method, uri, version } => match judge_request(parsed, method, uri, version) {
            Ok(()) => Verdict::Accept,
            Err(_) if method == "ACK" || parsed.fault == Some(MessageFault::NotSip) => Verdict::Silence,
            Err(refusal) => Verdict::Refuse(refusal),
        },
    }
}

/// Responses are never answered (RFC 3261 §17.1): a bad one is dropped.
fn judge_response(parsed: &Parsed, code: u16) -> Verdict {
    let message = &parsed.message;
    let whole = parsed.fault.is_none()
        && (100..700).contains(&code)
        && message.headers.all("Call-ID").count() == 1
        && ["From", "To"].iter().all(|name| {
            // Our ACK repeats them.
            let mut values = message.headers.all(name);
            values.next().is_some_and(|value| NameAddr::parse(value).is_some()) && values.next().is_none()
        })
        && message.headers.list("Via").count() == 1
        && message.top_via().is_some()
        && message.cseq().is_some();
    if whole { Verdict::Accept } else { Verdict::Silence }
}

fn judge_request(parsed: &Parsed, method: &str, uri: &str, version: &str) -> Result<(), Refusal> {
    let message = &parsed.message;
    match parsed.fault {
        Some(fault) => return Err(bad(fault_phrase(fault))),
        None if !version.eq_ignore_ascii_case("SIP/2.0") => {
            return Err(Refusal { code: 505, reason: "Version Not Supported", header: None });
        }
        None => {}
    }
    let is_served = SERVED.contains(&method) || method == "REGISTER";
    if !is_served && !KNOWN.contains(&method) {
        return Err(Refusal { code: 501, reason: "Not Implemented", header: None });
    }
    check_mandatory(message, method)?;
    check_addresses(message, method)?;
    check_request_uri(uri)?;
    if !is_served {
        let allow = Some(("Allow", allow()));
        return Err(Refusal { code: 405, reason: "Method Not Allowed", header: allow });
    }
    check_required_extensions(message, method)?;
    if method == "INVITE" { check_content(message) } else { Ok(()) }
}

/// Exactly one of each field that every request carries, each well-formed (§8.1.1).
fn check_mandatory(message: &Message, method: &str) -> Result<(), Refusal> {
    let headers = &message.headers;
    for (name, missing, repeated) in [
        ("From", "Missing From", "Repeated From"),
        ("To", "Missing To", "Repeated To"),
        ("Call-ID", "Missing Call-ID", "Repeated Call-ID"),
        ("CSeq", "Missing CSeq", "Repeated CSeq"),
    ] {
        match headers.all(name).count() {
            0 => return Err(bad(missing)),
            1 => {}
            _ => return Err(bad(repeated)),
        }
    }
    let call_id = headers.first("Call-ID").unwrap_or("");
    if call_id.is_empty() || call_id.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(bad("Malformed Call-ID"));
    }
    match message.cseq() {
        None => return Err(bad("Malformed CSeq")),
        Some((_, named)) if named != method => return Err(bad("CSeq Method Mismatch")),
        Some(_) => {}
    }
    let mut vias = headers.list("Via").peekable();
    if vias.peek().is_none() {
        return Err(bad("Missing Via"));
    }
    if vias.any(|via| Via::parse(via).is_none()) {
        return Err(bad("Malformed Via"));
    }
    let mut hops = headers.all("Max-Forwards");
    match (hops.next(), hops.next()) {
        // Absent in requests of RFC 2543 peers; 0 is the last hop, and that is us (RFC 4475 §3.3.11).
        (None, _) => Ok(()),
        (Some(hops), None) if hops.parse::<u32>().is_ok_and(|n| n <= 255) => Ok(()),
        _ => Err(bad("Malformed Max-Forwards")),
    }
}

fn check_addresses(message: &Message, method: &str) -> Result<(), Refusal> {
    let headers = &message.headers;
    let one = |name| headers.first(name).and_then(NameAddr::parse).filter(|a| a.param_count("tag") <= 1);
    if one("From").is_none() {
        return Err(bad("Malformed From"));
    }
    if one("To").is_none() {
        return Err(bad("Malformed To"));
    }
    let wild = method == "REGISTER" && headers.first("Contact") == Some("*");
    if !wild && headers.list("Contact").any(|c| NameAddr::parse(c).is_none()) {
        return Err(bad("Malformed Contact"));
    }
    if method == "INVITE" && headers.list("Contact").count() > 1 {
        return Err(bad("Repeated Contact"));
    }
    for (name, reason) in [("Route", "Malformed Route"), ("Record-Route", "Malformed Record-Route")] {
        if headers.list(name).any(|r| NameAddr::parse(r).is_none()) {
            return Err(bad(reason));
        }
    }
    Ok(())
}

fn check_request_uri(uri: &str) -> Result<(), Refusal> {
    match SipUri::parse(uri) {
        Ok(uri) if uri.has_headers => Err(bad("Header Fields In Request-URI")),
        Ok(_) => Ok(()),
        Err(UriFault::Malformed) => Err(bad("Malformed Request-URI")),
        Err(UriFault::Scheme) => Err(Refusal { code: 416, reason: "Unsupported URI Scheme", header: None }),
    }
}

/// 420 names every option tag that we lack (§8.2.2.3); ACK and CANCEL are exempt.
fn check_required_extensions(message: &Message, method: &str) -> Result<(), Refusal> {
    if method == "ACK" || method == "CANCEL" {
        return Ok(());
    }
    let has = |tag: &str| tag.is_empty() || SUPPORTED.iter().any(|ours| ours.eq_ignore_ascii_case(tag));
    let lacking: Vec<&str> = message.headers.list("Require").filter(|tag| !has(tag)).take(16).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let header = Some(("Unsupported", lacking.join(", ")));
    Err(Refusal { code: 420, reason: "Bad Extension", header })
}

/// An INVITE offers SDP or nothing, and takes SDP back (§8.2.3, RFC 4475 §3.3.6, §3.3.15).
fn check_content(message: &Message) -> Result<(), Refusal> {
    let headers = &message.headers;
    let unsupported = |header| Refusal { code: 415, reason: "Unsupported Media Type", header: Some(header) };
    if headers.list("Content-Encoding").any(|e| !e.is_empty() && !e.eq_ignore_ascii_case("identity")) {
        return Err(unsupported(("Accept-Encoding", "identity".to_owned())));
    }
    if !message.body.is_empty() && crate::body::sdp_text(message).is_none() {
        return Err(unsupported(("Accept", "application/sdp".to_owned())));
    }
    let takes_sdp = |range: &str| {
        let range = range.split(';').next().unwrap_or("").trim();
        ["application/sdp", "application/*", "*/*"].iter().any(|ours| range.eq_ignore_ascii_case(ours))
    };
    if headers.first("Accept").is_some() && !headers.list("Accept").any(takes_sdp) {
        return Err(Refusal { code: 406, reason: "Not Acceptable", header: None });
    }
    Ok(())
}

fn bad(reason: &'static str) -> Refusal {
    Refusal { code: 400, reason, header: None }
}

fn fault_phrase(fault: MessageFault) -> &'static str {
    match fault {
        MessageFault::NotSip | MessageFault::StartLine => "Malformed Request-Line",
        MessageFault::NoEnd => "Unterminated Header",
        MessageFault::HeaderLine => "Malformed Header Field",
        MessageFault::HeaderText => "Header Field Is Not UTF-8",
        MessageFault::TooManyHeaders => "Too Many Header Fields",
        MessageFault::ContentLength => "Malformed Content-Length",
        MessageFault::ShortBody => "Body Shorter Than Content-Length",
    }
}

/// The value of Supported.
pub(crate) fn supported() -> String {
    SUPPORTED.join(", ")
}

/// The value of Allow.
pub(crate) fn allow() -> String {
    SERVED.join(", ")
}

/// Methods that we serve; REGISTER besides, where there is a registrar.
const SERVED: [&str; 10] =
    ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY"];

/// Extensions that we have: session timers (RFC 4028), reliable provisional responses (RFC 3262).
const SUPPORTED: [&str; 2] = ["timer", "100rel"];

/// Methods that we know and do not serve here (405 by §8.2.1; others are 501 by §21.5.2).
const KNOWN: [&str; 3] = ["SUBSCRIBE", "PUBLISH", "MESSAGE"];
