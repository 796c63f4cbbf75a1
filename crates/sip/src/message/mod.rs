//! One SIP message as our machine reads and writes it: start line, header fields in order, body.
//!
//! Parsing keeps everything it can, and says what was wrong beside it, so that a broken request can
//! still be answered by its own Via, From, To, Call-ID and CSeq (RFC 3261 §8.2.6, RFC 4475).
//! It judges nothing: [`crate::validate`] does.

mod headers;
mod name_addr;
mod parse;
mod token;
mod uri;
mod via;

use std::fmt::{self, Write as _};

use bytes::Bytes;

pub use headers::{Header, Headers};
pub use name_addr::NameAddr;
pub use parse::{MessageFault, Parsed, parse};
pub(crate) use parse::{content_length, find_blank_line};
pub(crate) use token::{is_token, split_list};
pub use uri::{SipUri, UriFault};
pub use via::Via;
pub(crate) use via::stamp_received;

/// A SIP request or response. Its `Debug` shows no content: messages carry numbers and credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: StartLine,
    /// Header fields in the order of the wire, long names.
    pub headers: Headers,
    /// The body, as long as Content-Length says.
    pub body: Bytes,
}

/// The first line of a message (RFC 3261 §7.1, §7.2).
#[derive(Clone, PartialEq, Eq)]
pub enum StartLine {
    /// `METHOD uri version`.
    Request {
        /// The method, as sent (methods are case-sensitive).
        method: String,
        /// The request URI, as sent.
        uri: String,
        /// The version, as sent.
        version: String,
    },
    /// `version code reason`.
    Response {
        /// 100–699 once validated.
        code: u16,
        /// The reason phrase; may be empty.
        reason: String,
    },
}

impl Message {
    /// A request with no header fields and no body.
    pub fn request(method: &str, uri: &str) -> Self {
        let start = StartLine::Request {
            method: method.to_owned(),
            uri: uri.to_owned(),
            version: "SIP/2.0".to_owned(),
        };
        Self { start, headers: Headers::default(), body: Bytes::new() }
    }

    /// A response with no header fields and no body.
    pub fn response(code: u16, reason: &str) -> Self {
        let start = StartLine::Response { code, reason: reason.to_owned() };
        Self { start, headers: Headers::default(), body: Bytes::new() }
    }

    /// Sets the body and its Content-Type.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.push("Content-Type", content_type);
        self.body = body.into();
    }

    /// The method of a request; `None` for a response.
    pub fn method(&self) -> Option<&str> {
        match &self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The request URI; `None` for a response.
    pub fn uri(&self) -> Option<&str> {
        match &self.start {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The status code of a response; `None` for a request.
    pub fn code(&self) -> Option<u16> {
        match &self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { code, .. } => Some(*code),
        }
    }

    /// The CSeq number and method (RFC 3261 §20.16); `None` when absent or malformed.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.headers.first("CSeq")?.split_once([' ', '\t'])?;
        Some((number.parse().ok().filter(|n| *n <= CSEQ_MAX)?, method.trim()))
    }

    /// The topmost Via; `None` when absent or malformed.
    pub fn top_via(&self) -> Option<Via> {
        Via::parse_first(self.headers.first("Via")?)
    }

    /// The `tag` of From or To.
    pub fn tag(&self, header: &str) -> Option<String> {
        NameAddr::parse(self.headers.first(header)?)?.param("tag").map(str::to_owned)
    }

    /// The message as octets, with a Content-Length that fits the body.
    pub fn encode(&self) -> Bytes {
        let mut text = String::with_capacity(512 + self.body.len());
        let _infallible = match &self.start {
            StartLine::Request { method, uri, version } => write!(text, "{method} {uri} {version}\r\n"),
            StartLine::Response { code, reason } => write!(text, "SIP/2.0 {code} {reason}\r\n"),
        };
        for header in self.headers.iter().filter(|h| h.name() != "Content-Length") {
            text.push_str(header.name());
            text.push_str(": ");
            text.push_str(&header.value);
            text.push_str("\r\n");
        }
        let _infallible = write!(text, "Content-Length: {}\r\n\r\n", self.body.len());
        let mut octets = text.into_bytes();
        octets.extend_from_slice(&self.body);
        octets.into()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.start {
            StartLine::Request { method, .. } => method.clone(),
            StartLine::Response { code, .. } => code.to_string(),
        };
        write!(f, "Message({what}, {} header fields, {} octets of body)", self.headers.len(), self.body.len())
    }
}

/// The largest CSeq number (RFC 3261 §8.1.1.5).
const CSEQ_MAX: u32 = (1 << 31) - 1;
