//! Digest authentication (RFC 7616, RFC 8760, RFC 2617): the sums and the header fields, the same for whoever asks
//! and whoever answers.
//!
//! Pure: what is worth answering is in `machine`, which nonces are good is the registrar's. MD5 and SHA-256, with
//! `qop=auth` and without; `-sess` and `auth-int` are neither offered nor answered.

mod challenge;
mod credentials;

use std::fmt;

use md5::Md5;
use sha2::{Digest as _, Sha256};

pub use challenge::Challenge;
pub use credentials::{Credentials, Use};

/// The hash of a digest; the stronger one is the smaller in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256 (RFC 8760).
    Sha256,
    /// MD5, which most carriers still ask for.
    Md5,
}

/// A name and its password, which no format prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The name that the password belongs to.
    pub username: String,
    /// The password.
    pub password: String,
}

/// What a request's answer to a challenge is made of, besides who and with what password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The `uri` of the credentials: as a rule the request URI.
    pub uri: &'a str,
    /// The challenge's nonce.
    pub nonce: &'a str,
    /// `qop=auth`: how often the nonce was used, in eight hex digits, and the client's own nonce.
    pub counted: Option<(&'a str, &'a str)>,
}

impl Algorithm {
    /// Both, the stronger one first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Md5];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// The algorithm of that name; a field without one means MD5 (RFC 7616 §3.3).
    pub fn parse(name: Option<&str>) -> Option<Self> {
        let name = name.unwrap_or("MD5");
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Md5 => hex(&Md5::digest(text)),
        }
    }

    /// What stands for user and password within a realm: H(A1), as good as the password there, so it is kept as
    /// secret (RFC 7616 §3.4.2).
    pub fn secret(self, username: &str, realm: &str, password: &str) -> String {
        self.hash(&[username, realm, password])
    }

    /// The `response` for a request, from H(A1) (RFC 7616 §3.4.1; without `qop` as in RFC 2617 §3.2.2.1).
    pub fn response(self, secret: &str, asked: &Asked<'_>) -> String {
        let request = self.hash(&[asked.method, asked.uri]);
        match asked.counted {
            Some((nc, cnonce)) => self.hash(&[secret, asked.nonce, nc, cnonce, "auth", &request]),
            None => self.hash(&[secret, asked.nonce, &request]),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}

/// The parameters of a `Digest …` value: names in lower case, values without their quotes, escapes kept as sent
/// (they are hashed so). `None` for another scheme, a broken parameter or a name that stands twice.
fn parameters(value: &str) -> Option<Vec<(String, &str)>> {
    let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let mut found: Vec<(String, &str)> = Vec::new();
    for parameter in crate::message::split_list(rest).filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let is_quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
        let value = if is_quoted { value.get(1..value.len() - 1)? } else { value };
        let is_double = found.iter().any(|(earlier, _)| *earlier == name);
        if is_double || found.len() == PARAMETERS_MAX || value.len() > VALUE_OCTETS_MAX {
            return None;
        }
        found.push((name, value));
    }
    Some(found)
}

fn find<'a>(parameters: &[(String, &'a str)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
}

/// Whether a text can stand between quotes as it is.
fn is_quotable(text: &str) -> bool {
    let (mut escaped, mut clean) = (false, true);
    for c in text.chars() {
        clean &= !c.is_control() && (escaped || c != '"');
        escaped = !escaped && c == '\\';
    }
    clean && !escaped
}

/// A text of ours as it stands between quotes.
fn quoted(text: &str) -> String {
    let kept = text.chars().filter(|c| !c.is_control());
    kept.fold(String::with_capacity(text.len()), |mut out, c| {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// Parameters of one field.
const PARAMETERS_MAX: usize = 32;
/// Octets of one parameter's value.
const VALUE_OCTETS_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfcs_come_out() {
        let of = |algorithm: Algorithm, realm, password, nonce, counted| {
            let secret = algorithm.secret("Mufasa", realm, password);
            algorithm.response(&secret, &Asked { method: "GET", uri: "/dir/index.html", nonce, counted })
        };
        let rfc2617 = ("testrealm@host.com", "Circle Of Life", "dcd98b7102dd2f0e8b11d0f600bfb0c093");
        let counted = of(Algorithm::Md5, rfc2617.0, rfc2617.1, rfc2617.2, Some(("00000001", "0a4f113b")));
        assert_eq!(counted, "6629fae49393a05397450978507c4ef1", "RFC 2617 §3.5");
        let plain = of(Algorithm::Md5, rfc2617.0, rfc2617.1, rfc2617.2, None);
        assert_eq!(plain, "670fd8c2df070c60b045671b8b24ff02", "without qop, RFC 2617 §3.2.2.1");
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let found =
                of(algorithm, "http-auth@example.org", "Circle of Life", nonce, Some(("00000001", cnonce)));
            assert_eq!(found, response, "RFC 7616 §3.9.1, {}", algorithm.name());
        }
    }

    #[test]
    fn the_stronger_algorithm_comes_first_and_foreign_ones_are_none() {
        assert!(Algorithm::Sha256 < Algorithm::Md5);
        assert_eq!(Algorithm::parse(None), Some(Algorithm::Md5));
        assert_eq!(Algorithm::parse(Some("sha-256")), Some(Algorithm::Sha256));
        for foreign in ["MD5-sess", "SHA-512-256", "SHA-256-sess", ""] {
            assert_eq!(Algorithm::parse(Some(foreign)), None, "{foreign}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let account = Account { username: "me".to_owned(), password: "hunter2".to_owned() };
        assert_eq!(format!("{account:?}"), "Account");
    }

    #[test]
    fn what_is_quoted_can_be_read_again() {
        for text in ["plain", "with \"quotes\"", "back\\slash", "\\", "\""] {
            assert!(is_quotable(&quoted(text)), "{text}");
        }
        assert!(!is_quotable("a\"b") && !is_quotable("a\\") && !is_quotable("a\r\nb"));
    }
}
