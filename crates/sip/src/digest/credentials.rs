//! `Authorization` and `Proxy-Authorization`: the answer to a challenge (RFC 7616 §3.4).

use std::fmt;

use super::{Account, Algorithm, Asked, Challenge, find, is_quotable, parameters, quoted};

/// The answer to a challenge. Its `Debug` shows nothing: the response is as good as the request that it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who answers, as sent: escapes are kept.
    pub username: String,
    /// The challenge's realm.
    pub realm: String,
    /// The challenge's nonce.
    pub nonce: String,
    /// What the response was made for.
    pub uri: String,
    /// The response, in hex.
    pub response: String,
    /// The hash.
    pub algorithm: Algorithm,
    /// The challenge's opaque.
    pub opaque: Option<String>,
    /// `qop=auth`.
    pub counted: Option<Use>,
}

/// A counted use of a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Which use it is, from 1.
    pub count: u32,
    /// The same in eight hex digits as they stand on the wire: they are hashed so, in whichever case they were sent.
    pub nc: String,
    /// The client's own nonce.
    pub cnonce: String,
}

impl Use {
    /// That use, with the client's own nonce.
    pub fn new(count: u32, cnonce: String) -> Self {
        Self { count, nc: format!("{count:08x}"), cnonce }
    }
}

impl Credentials {
    /// Answers a challenge for a request. `used` is counted only where the server asks for it.
    pub fn answer(challenge: &Challenge, account: &Account, (method, uri): (&str, &str), used: Use) -> Self {
        let Challenge { algorithm, realm, nonce, .. } = challenge;
        let username = quoted(&account.username);
        let counted = challenge.is_counted.then_some(used);
        let secret = algorithm.secret(&username, realm, &account.password);
        let count = counted.as_ref().map(|used| (used.nc.as_str(), used.cnonce.as_str()));
        let response = algorithm.response(&secret, &Asked { method, uri, nonce, counted: count });
        Self {
            username,
            realm: realm.clone(),
            nonce: nonce.clone(),
            uri: uri.to_owned(),
            response,
            algorithm: *algorithm,
            opaque: challenge.opaque.clone(),
            counted,
        }
    }

    /// Reads the value of a field; `None` when it is no digest, or lacks what every answer has. `nc` is exactly
    /// eight hex digits, so `0000000a` is ten.
    pub fn parse(value: &str) -> Option<Self> {
        let found = parameters(value)?;
        let text = |name| find(&found, name).filter(|text| is_quotable(text)).map(str::to_owned);
        let counted = match find(&found, "qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let nc = find(&found, "nc").filter(|nc| is_hex(nc, 8))?;
                let count = u32::from_str_radix(nc, 16).ok().filter(|count| *count > 0)?;
                let cnonce = text("cnonce").filter(|cnonce| !cnonce.is_empty())?;
                Some(Use { count, nc: nc.to_owned(), cnonce })
            }
            Some(_) => return None,
            None => None,
        };
        let response = text("response").filter(|response| is_hex(response, response.len()))?;
        Some(Self {
            username: text("username")?,
            realm: text("realm")?,
            nonce: text("nonce")?,
            uri: text("uri")?,
            response: response.to_ascii_lowercase(),
            algorithm: Algorithm::parse(find(&found, "algorithm"))?,
            opaque: text("opaque"),
            counted,
        })
    }

    /// The response that they would have, were they made with this H(A1) for a request of this method.
    pub fn expected(&self, secret: &str, method: &str) -> String {
        let counted = self.counted.as_ref().map(|used| (used.nc.as_str(), used.cnonce.as_str()));
        self.algorithm.response(secret, &Asked { method, uri: &self.uri, nonce: &self.nonce, counted })
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest username=\"{}\", realm=\"{}\"", self.username, self.realm)?;
        write!(f, ", nonce=\"{}\", uri=\"{}\"", self.nonce, self.uri)?;
        write!(f, ", response=\"{}\", algorithm={}", self.response, self.algorithm.name())?;
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque=\"{opaque}\"")?;
        }
        if let Some(Use { nc, cnonce, .. }) = &self.counted {
            write!(f, ", qop=auth, nc={nc}, cnonce=\"{cnonce}\"")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: (&str, &str) = ("REGISTER", "sip:carrier.example");

    fn account() -> Account {
        Account { username: "a \"b\"".to_owned(), password: "pass:word".to_owned() }
    }

    fn used(count: u32) -> Use {
        Use::new(count, "c0".to_owned())
    }

    #[test]
    fn an_answer_is_what_the_server_expects_with_every_algorithm_counted_and_not() {
        for algorithm in Algorithm::ALL {
            for is_counted in [true, false] {
                let challenge =
                    Challenge { is_counted, ..Challenge::new("the \"realm\"", "n/1=", algorithm, false) };
                let answer = Credentials::answer(&challenge, &account(), REQUEST, used(10));
                let read = Credentials::parse(&answer.to_string()).unwrap();
                assert_eq!(read, answer);
                let secret = algorithm.secret(&read.username, &read.realm, "pass:word");
                assert_eq!(read.expected(&secret, "REGISTER"), read.response);
                assert_ne!(read.expected(&secret, "INVITE"), read.response);
                assert_eq!(read.counted.map(|used| used.count), is_counted.then_some(10));
            }
        }
    }

    #[test]
    fn uses_are_counted_in_eight_hex_digits() {
        let challenge = Challenge::new("r", "n", Algorithm::Md5, false);
        let text = Credentials::answer(&challenge, &account(), REQUEST, used(10)).to_string();
        assert!(text.contains("nc=0000000a,"), "{text}");
        for (nc, read) in [
            ("0000000b", Some(11)),
            ("0000000B", Some(11)),
            ("ffffffff", Some(u32::MAX)),
            ("11", None),
            ("0x00000b", None),
            ("00000000", None),
        ] {
            let text = text.replace("nc=0000000a", &format!("nc={nc}"));
            let counted = Credentials::parse(&text).and_then(|read| read.counted);
            assert_eq!(counted.map(|used| used.count), read, "{nc}");
        }
    }

    #[test]
    fn a_count_is_hashed_in_the_case_that_it_was_sent_in() {
        let challenge = Challenge::new("r", "n", Algorithm::Md5, false);
        let upper = Use { nc: "0000000A".to_owned(), ..used(10) };
        let answer = Credentials::answer(&challenge, &account(), REQUEST, upper).to_string();
        let read = Credentials::parse(&answer).unwrap();
        let secret = Algorithm::Md5.secret(&read.username, &read.realm, "pass:word");
        assert_eq!(read.expected(&secret, "REGISTER"), read.response);
        assert_eq!(read.counted.unwrap().count, 10);
        let other = answer.replace("0000000A", "0000000a");
        let other = Credentials::parse(&other).unwrap();
        assert_ne!(other.expected(&secret, "REGISTER"), other.response);
    }

    #[test]
    fn nothing_of_an_answer_is_printed_by_accident() {
        let challenge = Challenge::new("r", "n", Algorithm::Sha256, false);
        let answer = Credentials::answer(&challenge, &account(), REQUEST, used(1));
        assert_eq!(format!("{answer:?}"), "Credentials");
        assert!(!answer.to_string().contains("pass:word"));
    }

    #[test]
    fn broken_answers_are_none() {
        let challenge = Challenge::new("r", "n", Algorithm::Md5, false);
        let good = Credentials::answer(&challenge, &account(), REQUEST, used(1)).to_string();
        for (from, to) in [
            ("Digest", "Basic"),
            ("qop=auth", "qop=auth-int"),
            ("algorithm=MD5", "algorithm=MD5-sess"),
            ("username", "user"),
            ("cnonce=\"c0\"", "cnonce=\"\""),
            ("response=\"", "response=\"zz"),
        ] {
            assert_eq!(Credentials::parse(&good.replace(from, to)), None, "{from} → {to}");
        }
    }
}
