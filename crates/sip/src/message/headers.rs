//! Header fields in wire order, found by their long name whatever form the peer used (RFC 3261 §7.3.3).

use std::borrow::Cow;

/// One header field.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: Cow<'static, str>,
    /// The value, unfolded, without leading and trailing white space.
    pub value: String,
}

impl Header {
    /// A field; the compact form and any case of a known name become its long form.
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: canonical(name), value: value.into() }
    }

    /// The field's long name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The header fields of one message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// Appends a field.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(Header::new(name, value));
    }

    /// Replaces the first field of this name, or appends it.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|h| h.name.eq_ignore_ascii_case(name)) {
            Some(header) => header.value = value.into(),
            None => self.push(name, value),
        }
    }

    /// Drops every field of this name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|h| !h.name.eq_ignore_ascii_case(name));
    }

    /// The first value of this (long) name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }

    /// Every value of this (long) name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_str())
    }

    /// Every element of a comma-separated list that may be spread over several fields.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.all(name).flat_map(super::split_list)
    }

    /// Every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn canonical(name: &str) -> Cow<'static, str> {
    if let [letter] = name.as_bytes() {
        let long = COMPACT.iter().find(|(short, _)| short.eq_ignore_ascii_case(letter));
        if let Some((_, long)) = long {
            return Cow::Borrowed(long);
        }
    }
    match KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(name.to_owned()),
    }
}

/// Compact forms (RFC 3261 §20, RFC 3515, RFC 3892, RFC 4028, RFC 6665).
const COMPACT: &[(u8, &str)] = &[
    (b'c', "Content-Type"),
    (b'e', "Content-Encoding"),
    (b'f', "From"),
    (b'i', "Call-ID"),
    (b'k', "Supported"),
    (b'l', "Content-Length"),
    (b'm', "Contact"),
    (b'o', "Event"),
    (b'r', "Refer-To"),
    (b's', "Subject"),
    (b't', "To"),
    (b'u', "Allow-Events"),
    (b'v', "Via"),
    (b'x', "Session-Expires"),
    (b'b', "Referred-By"),
];

const KNOWN: &[&str] = &[
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Max-Forwards",
    "Content-Type",
    "Content-Length",
    "Route",
    "Record-Route",
    "Allow",
    "Supported",
    "Require",
    "Accept",
    "User-Agent",
    "Server",
    "Reason",
    "Expires",
    "Content-Encoding",
    "Retry-After",
    "Warning",
    "Unsupported",
    "Proxy-Require",
    "Session-Expires",
    "Min-SE",
    "RSeq",
    "RAck",
];
