//! `WWW-Authenticate` and `Proxy-Authenticate`: what a server asks for (RFC 7616 §3.3).

use std::fmt;

use super::{Algorithm, find, is_quotable, parameters, quoted};
use crate::message::split_list;

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Whose passwords are meant, as sent: escapes are kept.
    pub realm: String,
    /// The server's word, as sent.
    pub nonce: String,
    /// What has to be sent back as it is.
    pub opaque: Option<String>,
    /// The hash.
    pub algorithm: Algorithm,
    /// `qop=auth` is offered: uses of the nonce are counted.
    pub is_counted: bool,
    /// The password was right, the nonce was too old.
    pub is_stale: bool,
}

impl Challenge {
    /// A challenge of our own, with counted uses. `realm` and `nonce` are plain text.
    pub fn new(realm: &str, nonce: &str, algorithm: Algorithm, is_stale: bool) -> Self {
        let (realm, nonce) = (quoted(realm), quoted(nonce));
        Self { realm, nonce, opaque: None, algorithm, is_counted: true, is_stale }
    }

    /// Reads the value of a field; `None` when it is no digest that can be answered: another scheme or algorithm,
    /// `qop=auth-int` alone, no realm or nonce.
    pub fn parse(value: &str) -> Option<Self> {
        let found = parameters(value)?;
        let text = |name| find(&found, name).filter(|text| is_quotable(text)).map(str::to_owned);
        let qop = find(&found, "qop");
        let is_counted = qop.is_some_and(|qop| split_list(qop).any(|one| one.eq_ignore_ascii_case("auth")));
        if qop.is_some() && !is_counted {
            return None;
        }
        Some(Self {
            realm: text("realm")?,
            nonce: text("nonce").filter(|nonce| !nonce.is_empty())?,
            opaque: text("opaque"),
            algorithm: Algorithm::parse(find(&found, "algorithm"))?,
            is_counted,
            is_stale: find(&found, "stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// Of the challenges of a response, the first of those with the strongest algorithm (RFC 8760 §2.4).
    pub fn strongest<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        values.filter_map(Self::parse).min_by_key(|challenge| challenge.algorithm)
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest realm=\"{}\", nonce=\"{}\"", self.realm, self.nonce)?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque=\"{opaque}\"")?;
        }
        write!(f, ", algorithm={}", self.algorithm.name())?;
        if self.is_counted {
            f.write_str(", qop=\"auth\"")?;
        }
        if self.is_stale {
            f.write_str(", stale=true")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_as_servers_write_it() {
        let plain = Challenge::parse("Digest realm=\"asterisk\", nonce=\"1a2b\"").unwrap();
        assert_eq!((plain.algorithm, plain.is_counted, plain.is_stale), (Algorithm::Md5, false, false));
        let full = "digest  Realm=\"a, b\",nonce=\"n\" , opaque=\"\",stale=TRUE,algorithm=SHA-256,\
                    qop=\"auth-int, auth\",x=y";
        let full = Challenge::parse(full).unwrap();
        assert_eq!((full.realm.as_str(), full.opaque.as_deref()), ("a, b", Some("")));
        assert!(full.is_counted && full.is_stale && full.algorithm == Algorithm::Sha256);
    }

    #[test]
    fn what_cannot_be_answered_is_none() {
        for value in [
            "",
            "Basic realm=\"a\"",
            "Digest realm=\"a\"",
            "Digest nonce=\"a\"",
            "Digest realm=\"a\", nonce=\"\"",
            "Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"",
            "Digest realm=\"a\", nonce=\"b\", algorithm=MD5-sess",
            "Digest realm=\"a\", nonce=\"b\", nonce=\"c\"",
            "Digest realm=\"a\", nonce",
            "Digest realm=\"a\\\", nonce=\"b\"",
        ] {
            assert_eq!(Challenge::parse(value), None, "{value}");
        }
    }

    #[test]
    fn the_strongest_of_several_is_taken_and_ours_reads_back() {
        let (weak, strong) = [Algorithm::Md5, Algorithm::Sha256]
            .map(|algorithm| Challenge::new("a \"b\"", "n", algorithm, false))
            .into();
        let texts = [weak.to_string(), strong.to_string(), weak.to_string()];
        assert_eq!(Challenge::strongest(texts.iter().map(String::as_str)), Some(strong));
        assert_eq!(Challenge::parse(&texts[0]), Some(weak));
        assert_eq!(Challenge::strongest(["NTLM realm=\"x\""].into_iter()), None);
    }
}
