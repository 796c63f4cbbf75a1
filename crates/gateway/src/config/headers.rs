//! Headers that the user adds to a WebSocket request.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::problem::Refusal;
use super::section::Section;
use super::tree::{Node, Value};

/// Reads the table `name` of `section`; refused headers are noted and left out.
///
/// Every value is marked sensitive, so that `Debug` does not show it.
pub(super) fn read(section: &Section<'_>, name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let entries = section.map(name);
    if entries.len() > HEADERS_MAX {
        section.refuse(name, Refusal::new(format!("more than {HEADERS_MAX} headers"), "send fewer"));
    }
    for (key, node) in entries {
        match header(key, node) {
            Ok((name, value)) => {
                headers.insert(name, value);
            }
            Err(refusal) => {
                section.report.refuse(&format!("{}.{key}", section.path_of(name)), &node.place, refusal);
            }
        }
    }
    headers
}

/// Checks one header that someone else than we asks us to send.
///
/// # Errors
/// A refusal for a name or value with characters that HTTP does not allow there (CR and LF first), and for the
/// names that belong to the connection: hop-by-hop, `Host`, `Content-Length`, `Sec-*`.
pub fn check(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Refusal> {
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
    {
        return Err(Refusal::new(
            "this header belongs to the connection",
            "leave it out: it is set by the WebSocket handshake",
        ));
    }
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Refusal::new("this is not the name of a header", "letters, digits and dashes"))?;
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        Refusal::new("the value has a line break or a control character", "write one plain line")
    })?;
    if value.len() > VALUE_BYTES_MAX {
        return Err(Refusal::new("the value has more than 8 KiB", "write a shorter value"));
    }
    value.set_sensitive(true);
    Ok((name, value))
}

fn header(name: &str, node: &Node) -> Result<(HeaderName, HeaderValue), Refusal> {
    match &node.value {
        Value::Text(text) => check(name, text),
        _ => Err(super::section::wrong_kind(node, "a string")),
    }
}

/// Names that only the connection's own ends may set.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const RESERVED_PREFIXES: &[&str] = &["sec-", "proxy-"];
/// The most headers that a bot may have.
pub const HEADERS_MAX: usize = 32;
/// The longest header value, in bytes.
const VALUE_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_header_is_kept_and_its_value_is_not_printed() {
        let (name, value) = check("Authorization", "Bearer hunter2").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Bearer hunter2"));
        assert!(!format!("{value:?}").contains("hunter2"));
    }

    #[test]
    fn headers_of_the_connection_and_broken_lines_are_refused() {
        for name in
            ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Proxy-Authorization", "TE", "a b", ""]
        {
            assert!(check(name, "x").is_err(), "{name}");
        }
        for value in ["a\r\nX-Evil: 1", "a\nb", "\0"] {
            let refusal = check("X-Mine", value).unwrap_err();
            assert!(!refusal.what.contains("Evil"));
        }
        assert!(check("X-Mine", &"x".repeat(VALUE_BYTES_MAX + 1)).is_err());
    }
}
