//! The words that a call and its user exchange: what came in, what to send, what happened.
//!
//! Numbers and digits are in here, so the `Debug` of these types prints none of them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::machine::{Flow, Transport, TxId};
use crate::message::{Headers, Message, NameAddr, SipUri};

/// An INVITE that wants to become a call.
#[derive(Clone)]
pub struct Invitation {
    /// The Call-ID: the peer's word, of any length, never a path.
    pub call_id: String,
    /// User part of From, escapes resolved.
    pub from_user: String,
    /// Display name of From, without quotes; empty when absent.
    pub from_display: String,
    /// User part of To.
    pub to_user: String,
    /// User part of the request URI: what was dialled.
    pub request_user: String,
    /// Host of the request URI.
    pub request_host: String,
    /// The extension that proved to be the caller; its number is [`Invitation::from_user`].
    pub extension: Option<String>,
    /// Where the INVITE came from.
    pub source: SocketAddr,
    /// Our address as the caller sees it: what an SDP answer names when nothing else is configured.
    pub local_ip: IpAddr,
    /// Over what.
    pub transport: Transport,
    /// The caller's own words: X-* and User-to-User (RFC 7433) header fields in order, at most
    /// [`FREE_FIELDS_MAX`] of them, names and values without control characters and cut at
    /// [`FREE_FIELD_CHARS_MAX`]. They may hold anything: nothing prints them.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// The SDP offer; `None` when the INVITE leaves the offer to us (delayed offer, RFC 3261 §13.2.1).
    pub offer: Option<String>,
}

/// A call to place.
#[derive(Clone)]
pub struct InviteRequest {
    /// `sip:user@host[:port][;transport=tcp]`.
    pub target: String,
    /// User part of From; characters that a URI does not allow are escaped.
    pub from_user: String,
    /// Display name of From; empty for none.
    pub from_display: String,
    /// Our SDP offer.
    pub offer: String,
    /// Further header fields. Fields that the dialog owns (Via, From, …) are refused.
    pub headers: Vec<(String, String)>,
}

/// A final refusal of an INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// 300–699; anything else becomes 500.
    pub code: u16,
    /// The reason phrase.
    pub reason: String,
    /// Retry-After in seconds.
    pub retry_after: Option<u32>,
    /// The Q.850 cause for the Reason header (RFC 3326) and its text.
    pub q850: Option<(u8, String)>,
}

impl Rejection {
    /// A refusal with a code and its phrase, nothing else.
    pub fn new(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned(), retry_after: None, q850: None }
    }

    /// Adds `Reason: Q.850;cause=…;text="…"`.
    #[must_use]
    pub fn with_q850(mut self, cause: u8, text: &str) -> Self {
        self.q850 = Some((cause, text.to_owned()));
        self
    }

    /// Adds Retry-After.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

/// What happens on a leg. `Cancelled`, `Failed` and `Ended` are terminal: exactly one of them comes, last.
#[derive(Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// Inbound: the caller gave up before the answer; 487 was sent.
    Cancelled {
        /// The Reason header of the CANCEL, or of the BYE that took its place (§15).
        reason: Option<String>,
    },
    /// Inbound: our 200 was acknowledged.
    Acked {
        /// The answer to our delayed offer.
        answer: Option<String>,
    },
    /// The peer wants to change the session (re-INVITE, UPDATE, PRACK): answer or refuse within 10 s, else it gets 500.
    Reoffer {
        /// For [`crate::CallLeg::answer_reoffer`].
        id: ReofferId,
        /// The SDP; `None` asks us for an offer.
        offer: Option<String>,
    },
    /// The peer answered the offer that we sent in a 200 to its re-INVITE without SDP, or in a reliable 183.
    ReofferAcked {
        /// The answer.
        answer: Option<String>,
    },
    /// The peer asks us to call somebody in its place; answer by [`crate::CallLeg::answer_refer`].
    Refer {
        /// For the answer.
        id: ReferId,
        /// Whom.
        target: ReferTarget,
    },
    /// The peer answered our REFER: below 300 it tries, and [`LegEvent::ReferProgress`] follows.
    ReferAnswered {
        /// The status; 408 also stands for no answer.
        code: u16,
    },
    /// How the call goes that we asked for: from 200 on that is its end, 200 that somebody answered, or that the peer
    /// tells no more.
    ReferProgress {
        /// The status.
        code: u16,
    },
    /// An INFO with a digit type; [`crate::parse_info_digit`] reads it. It was answered 200.
    Info {
        /// The Content-Type.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// Our INFO was refused.
    InfoRefused {
        /// The status.
        code: u16,
    },
    /// Outbound: the peer has the INVITE (100); nothing rings.
    Trying,
    /// Outbound: a provisional response above 100.
    Ringing {
        /// 101–199.
        code: u16,
        /// Early media.
        sdp: Option<String>,
    },
    /// Outbound: the call was answered; the ACK is sent.
    Answered {
        /// The answer, of a reliable response before the 200 if there was one.
        sdp: Option<String>,
    },
    /// Our re-INVITE was answered; also one that only refreshed the session, whose answer may have moved.
    ReofferAnswered {
        /// The answer.
        sdp: Option<String>,
    },
    /// Our re-INVITE was refused; the session stays as it was.
    ReofferRefused {
        /// The status.
        code: u16,
    },
    /// Outbound: the call was not answered. 408 also stands for no response at all, 487 for our own cancel.
    Failed {
        /// The status.
        code: u16,
        /// Whether a response with it came; else it stands for what happened.
        received: bool,
        /// The reason phrase.
        reason: String,
        /// The Q.850 cause of the Reason header.
        q850: Option<u8>,
    },
    /// The leg is over.
    Ended {
        /// By whom.
        by: EndedBy,
        /// The Reason header.
        reason: Option<String>,
        /// Its Q.850 cause.
        q850: Option<u8>,
    },
}

impl LegEvent {
    /// Whether nothing follows.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Cancelled { .. } | Self::Failed { .. } | Self::Ended { .. })
    }
}

/// Whom a REFER names. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct ReferTarget {
    /// User part, escapes resolved.
    pub user: String,
    /// Host.
    pub host: String,
}

impl fmt::Debug for ReferTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReferTarget")
    }
}

/// Who ended a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The peer, with a BYE.
    Remote,
    /// We.
    Local,
    /// Nobody: an ACK or PRACK did not come in time.
    Timeout,
    /// Nobody: the peer knows the call no more, or neither refreshed its session nor answered (RFC 4028 §10).
    Lost,
}

/// One re-INVITE or UPDATE with an offer.
pub type ReofferId = TxId;

/// One REFER of the peer.
pub type ReferId = TxId;

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("source", &self.source)
            .field("transport", &self.transport)
            .field("offer", &self.offer.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InviteRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteRequest").finish_non_exhaustive()
    }
}

impl fmt::Debug for LegEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled { .. } => f.write_str("Cancelled"),
            Self::Acked { answer } => write!(f, "Acked {{ answer: {} }}", answer.is_some()),
            Self::Reoffer { id, offer } => write!(f, "Reoffer {{ id: {id:?}, offer: {} }}", offer.is_some()),
            Self::ReofferAcked { answer } => write!(f, "ReofferAcked {{ answer: {} }}", answer.is_some()),
            Self::Refer { id, .. } => write!(f, "Refer {{ id: {id:?} }}"),
            Self::ReferAnswered { code } => write!(f, "ReferAnswered {{ code: {code} }}"),
            Self::ReferProgress { code } => write!(f, "ReferProgress {{ code: {code} }}"),
            Self::Info { content_type, .. } => write!(f, "Info {{ content_type: {content_type:?} }}"),
            Self::InfoRefused { code } => write!(f, "InfoRefused {{ code: {code} }}"),
            Self::Trying => f.write_str("Trying"),
            Self::Ringing { code, sdp } => write!(f, "Ringing {{ code: {code}, sdp: {} }}", sdp.is_some()),
            Self::Answered { .. } => f.write_str("Answered"),
            Self::ReofferAnswered { .. } => f.write_str("ReofferAnswered"),
            Self::ReofferRefused { code } => write!(f, "ReofferRefused {{ code: {code} }}"),
            Self::Failed { code, q850, .. } => write!(f, "Failed {{ code: {code}, q850: {q850:?} }}"),
            Self::Ended { by, q850, .. } => write!(f, "Ended {{ by: {by:?}, q850: {q850:?} }}"),
        }
    }
}

impl Invitation {
    pub(crate) fn of(request: &Message, flow: Flow, uri: &str) -> Self {
        let address = |name| request.headers.first(name).and_then(NameAddr::parse);
        let user = |uri: &str| SipUri::parse(uri).map(|u| u.subscriber()).unwrap_or_default();
        let request_uri = SipUri::parse(uri).ok();
        let from = address("From");
        Self {
            call_id: request.headers.first("Call-ID").unwrap_or("").to_owned(),
            from_user: from.as_ref().map(|f| user(&f.uri)).unwrap_or_default(),
            from_display: from.map(|f| f.display_decoded()).unwrap_or_default(),
            to_user: address("To").map(|t| user(&t.uri)).unwrap_or_default(),
            request_user: user(uri),
            request_host: request_uri.map(|u| u.host).unwrap_or_default(),
            extension: None,
            source: flow.peer,
            local_ip: flow.local.ip(),
            transport: flow.transport,
            headers: free_fields(&request.headers),
            offer: crate::body::sdp_text(request),
        }
    }
}

fn free_fields(headers: &Headers) -> Vec<(Box<str>, Box<str>)> {
    let is_free = |name: &str| {
        let begins = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("X-"));
        begins || name.eq_ignore_ascii_case("User-to-User")
    };
    let cut = |text: &str| -> Box<str> {
        text.chars().filter(|c| !c.is_control()).take(FREE_FIELD_CHARS_MAX).collect::<String>().into()
    };
    let free = headers.iter().filter(|field| is_free(field.name())).take(FREE_FIELDS_MAX);
    free.map(|field| (cut(field.name()), cut(&field.value))).collect()
}

/// The Q.850 cause of a Reason header (RFC 3326); several reasons may be listed.
pub fn parse_q850(reason: &str) -> Option<u8> {
    crate::message::split_list(reason).find_map(|one| {
        let (protocol, params) = one.split_once(';')?;
        if !protocol.trim().eq_ignore_ascii_case("Q.850") {
            return None;
        }
        params.split(';').find_map(|param| {
            let (name, value) = param.split_once('=')?;
            if name.trim().eq_ignore_ascii_case("cause") { value.trim().parse().ok() } else { None }
        })
    })
}

/// A Reason header value with a Q.850 cause.
pub fn format_q850(cause: u8, text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() && *c != '"' && *c != '\\').collect();
    format!("Q.850;cause={cause};text=\"{text}\"")
}

/// X-* and User-to-User header fields of an INVITE that are kept.
pub const FREE_FIELDS_MAX: usize = 32;

/// Characters of the name of such a field, and of its value, that are kept.
pub const FREE_FIELD_CHARS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_invite_the_free_header_fields_alone_are_kept_in_order_and_bounded() {
        let mut headers = Headers::default();
        headers.push("Subject", "no");
        headers.push("x-ticket", "a\tb\u{7f}c");
        headers.push("User-To-User", "3a;encoding=hex");
        headers.push("X-Long", "é".repeat(2 * FREE_FIELD_CHARS_MAX));
        headers.push("P-Asserted-Identity", "<sip:a@b>");
        for n in 0..2 * FREE_FIELDS_MAX {
            headers.push("X-More", n.to_string());
        }
        let kept = free_fields(&headers);
        let pair = |at: usize| (kept[at].0.as_ref(), kept[at].1.as_ref());
        assert_eq!((pair(0), pair(1)), (("x-ticket", "abc"), ("User-To-User", "3a;encoding=hex")));
        assert_eq!(kept[2].1.chars().count(), FREE_FIELD_CHARS_MAX);
        assert_eq!((kept.len(), pair(3)), (FREE_FIELDS_MAX, ("X-More", "0")));
    }

    #[test]
    fn a_q850_cause_is_found_among_other_reasons() {
        assert_eq!(parse_q850("SIP;cause=200;text=\"a, b\", Q.850 ; cause=16 ;text=\"x\""), Some(16));
        assert_eq!(parse_q850(&format_q850(17, "User \"busy\"\r\n")), Some(17));
        assert_eq!(parse_q850("Q.850;cause=999"), None);
    }
}
