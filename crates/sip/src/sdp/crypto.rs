//! `a=crypto`: the keys of SRTP in the description itself (RFC 4568), readable by whoever reads the signalling.
//!
//! A line that asks for something we do not do is as good as none: a line less to choose from (§7.1.2).

use std::fmt::{self, Write as _};

use base64_simd::{STANDARD, STANDARD_NO_PAD};

/// One usable `a=crypto` line: one inline key, no session parameters that change the packets.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoLine {
    /// Names the line in the answer.
    pub tag: u32,
    /// The crypto suite, as written.
    pub suite: String,
    /// Master key and salt, one behind the other.
    pub key: Vec<u8>,
    /// For how many packets its owner uses the key before changing it.
    pub lifetime: Option<u64>,
    /// Value and length in bytes (1 to 4) of what its owner's packets carry before their tag.
    pub mki: Option<(u32, u8)>,
}

impl CryptoLine {
    /// Reads what stands behind `a=crypto:`. `None` for a malformed line, and for one with several keys, a long
    /// MKI, or a session parameter that may not be ignored.
    pub fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split_ascii_whitespace();
        let tag = fields.next()?;
        // 1 to 9 digits (§9.1).
        let tag = (tag.len() <= 9 && tag.bytes().all(|b| b.is_ascii_digit())).then(|| tag.parse().ok())??;
        let suite = fields.next()?;
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if suite.len() > SUITE_OCTETS_MAX || !suite.bytes().all(is_word) {
            return None;
        }
        let parameters = fields.next()?.strip_prefix("inline:")?;
        let mut parts = parameters.split('|');
        let key = decode(parts.next()?)?;
        let (mut lifetime, mut mki) = (None, None);
        for part in parts {
            match part.split_once(':') {
                Some((value, length)) if mki.is_none() => mki = Some(key_identifier(value, length)?),
                // The lifetime stands before the MKI.
                None if lifetime.is_none() && mki.is_none() => lifetime = Some(packets(part)?),
                Some(_) | None => return None,
            }
        }
        fields.all(may_be_ignored).then(|| Self { tag, suite: suite.to_owned(), key, lifetime, mki })
    }

    /// Appends the line, with its end.
    pub(super) fn write(&self, out: &mut String) {
        let key = STANDARD.encode_to_string(&self.key);
        let _infallible = write!(out, "a=crypto:{} {} inline:{key}", self.tag, self.suite);
        if let Some(packets) = self.lifetime {
            let _infallible = write!(out, "|{packets}");
        }
        if let Some((value, length)) = self.mki {
            let _infallible = write!(out, "|{value}:{length}");
        }
        out.push_str("\r\n");
    }
}

impl fmt::Debug for CryptoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CryptoLine({} {} ***)", self.tag, self.suite)
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > KEY_OCTETS_MAX {
        return None;
    }
    // Some phones leave out the padding.
    let padded = STANDARD.decode_to_vec(text).or_else(|_| STANDARD_NO_PAD.decode_to_vec(text));
    padded.ok().filter(|key| !key.is_empty())
}

/// `2^20` or a number, at most 2^48 (§6.1).
fn packets(text: &str) -> Option<u64> {
    let packets = match text.strip_prefix("2^") {
        Some(power) => 1u64.checked_shl(power.parse().ok().filter(|power| *power <= 48)?),
        None => text.parse().ok(),
    };
    packets.filter(|packets| (1..=1 << 48).contains(packets))
}

/// `1:4`: the value, and its length in the packets.
fn key_identifier(value: &str, length: &str) -> Option<(u32, u8)> {
    let (value, length): (u32, u8) = (value.parse().ok()?, length.parse().ok()?);
    let fits = length == 4 || (1..4).contains(&length) && value >> (8 * u32::from(length)) == 0;
    fits.then_some((value, length))
}

/// Session parameters (§6.3): what begins with `-` may be ignored, and the window is a hint; every other one
/// changes what packets look like.
fn may_be_ignored(parameter: &str) -> bool {
    parameter.starts_with('-') || parameter.starts_with("WSH=")
}

/// Longer than the name of any suite.
const SUITE_OCTETS_MAX: usize = 64;

/// Longer than any key in base64.
const KEY_OCTETS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    fn parse(rest: &str) -> Option<CryptoLine> {
        CryptoLine::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{rest}"))
    }

    #[test]
    fn the_lines_of_the_standard_are_read() {
        let line = parse("|2^20|1:4 FEC_ORDER=FEC_SRTP");
        assert_eq!(line, None, "another order of correction is not ours");
        let line = parse("|2^20|1:4").unwrap();
        assert_eq!((line.tag, line.suite.as_str(), line.key.len()), (1, "AES_CM_128_HMAC_SHA1_80", 30));
        assert_eq!((line.lifetime, line.mki), (Some(1 << 20), Some((1, 4))));
        assert_eq!(parse("|1048576").unwrap().lifetime, Some(1 << 20));
        assert_eq!(parse("|1:1 WSH=128 -X=1").map(|line| line.mki), Some(Some((1, 1))));
    }

    #[test]
    fn what_changes_the_packets_is_refused_and_so_is_what_is_broken() {
        for rest in [
            " UNENCRYPTED_SRTP",
            " UNENCRYPTED_SRTCP",
            " UNAUTHENTICATED_SRTP",
            " KDR=1",
            " FEC_KEY=inline:abc",
            " SOMETHING=NEW",
            &format!(";inline:{KEY}|2:4"),
            "|1:5",
            "|1:0",
            "|256:1",
            "|2^49",
            "|0",
            "|2^20|2^20",
            "|1:4|2^20",
            "|",
        ] {
            assert_eq!(parse(rest), None, "{rest}");
        }
        for line in
            ["", "1", "1 AES", "x AES inline:AAAA", "1 AES prompt:AAAA", "1 AES inline:", "1 A/S inline:AAAA"]
        {
            assert_eq!(CryptoLine::parse(line), None, "{line}");
        }
        assert_eq!(CryptoLine::parse("1234567890 AES inline:AAAA"), None);
    }

    #[test]
    fn what_is_written_is_read_again_and_never_printed() {
        let line = parse("|2^31|1:1").unwrap();
        let mut text = String::new();
        line.write(&mut text);
        assert_eq!(CryptoLine::parse(text.trim().strip_prefix("a=crypto:").unwrap()), Some(line.clone()));
        assert_eq!(format!("{line:?}"), "CryptoLine(1 AES_CM_128_HMAC_SHA1_80 ***)");
    }
}
