//! `"Display" <uri>;params` and `uri;params`: From, To, Contact, Route, Record-Route (RFC 3261 §20.10).

use super::token::{find_outside_quotes, is_token, parse_params, quoted_string_len};

/// One address of a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name as sent, quotes included; empty when absent.
    pub display: String,
    /// The URI as sent.
    pub uri: String,
    params: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// Parses exactly one address. `None` when the grammar is broken.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (display, uri, params) = match find_angle(text) {
            Some(at) => {
                let display = text.get(..at)?.trim();
                let (uri, params) = text.get(at + 1..)?.split_once('>')?;
                if !is_display(display) {
                    return None;
                }
                (display, uri, params)
            }
            None => {
                // Without brackets, `;` begins the header's parameters, and `?` and `,` may not occur (§20).
                let end = text.find(';').unwrap_or(text.len());
                let (uri, params) = text.split_at(end);
                if uri.contains(['?', ',', '"']) {
                    return None;
                }
                ("", uri.trim_end(), params)
            }
        };
        let params = parse_params(params)?;
        let malformed = uri.bytes().any(|b| b <= b' ' || b == 0x7f || b"<>\"".contains(&b));
        let scheme_ok =
            uri.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty());
        if malformed || !scheme_ok {
            return None;
        }
        Some(Self { display: display.to_owned(), uri: uri.to_owned(), params })
    }

    /// A header parameter's value; `Some("")` for a flag.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_deref().unwrap_or(""))
    }

    /// How many parameters of this name there are (a second tag is a fault).
    pub fn param_count(&self, name: &str) -> usize {
        self.params.iter().filter(|(n, _)| n == name).count()
    }

    /// The display name without quotes and escapes.
    pub fn display_decoded(&self) -> String {
        let Some(inner) = self.display.strip_prefix('"').and_then(|d| d.strip_suffix('"')) else {
            return self.display.clone();
        };
        let mut out = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
        }
        out
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn find_angle(text: &str) -> Option<usize> {
    find_outside_quotes(text, b'<')
}

/// quoted-string, or tokens separated by white space, or nothing.
fn is_display(text: &str) -> bool {
    if text.starts_with('"') {
        return quoted_string_len(text) == Some(text.len());
    }
    text.split_ascii_whitespace().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_display_name_may_hold_anything_and_touch_the_bracket() {
        let addr = NameAddr::parse(r#""J \"<R>\", x"<sip:a@b>;tag=7"#).unwrap();
        assert_eq!(addr.display_decoded(), r#"J "<R>", x"#);
        assert_eq!((addr.uri.as_str(), addr.param("tag")), ("sip:a@b", Some("7")));
    }

    #[test]
    fn broken_addresses_are_refused() {
        for text in [
            "Bell, Alexander <sip:a@b>;tag=1",
            "\"Watson\" < sip:a@b >",
            "\"Mr. J. User <sip:j.user@example.com>",
            "sip:user@example.com?Route=%3Csip:x%3E",
            "\"Joe\" <sip:joe@example.org>;;;;",
            "",
            "nothing",
        ] {
            assert_eq!(NameAddr::parse(text), None, "{text}");
        }
    }
}
