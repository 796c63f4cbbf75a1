//! Where a bot may send a call: telephone numbers and the addresses of other bots, checked for their form only.

use crate::dialect::json::write_string;
use crate::vocabulary::{DESTINATIONS_MAX, PhoneNumber};

/// Telephone numbers to dial, in their order.
///
/// # Errors
/// A sentence about the first that is none, or about their count.
pub fn phones<'a>(list: impl ExactSizeIterator<Item = &'a str>) -> Result<Vec<PhoneNumber>, String> {
    if list.len() == 0 || list.len() > DESTINATIONS_MAX {
        return Err(format!("destination: expected 1 to {DESTINATIONS_MAX} telephone numbers"));
    }
    let number = |(at, text): (usize, &str)| match dialable(text) {
        Some(number) => Ok(PhoneNumber::new(&number)),
        None => Err(format!("destination {}: not a telephone number", at + 1)),
    };
    list.enumerate().map(number).collect()
}

/// Appends one number as a string, several as a list of strings.
pub fn write_phones(to: &mut Vec<u8>, phones: &[PhoneNumber]) {
    if let [one] = phones {
        return write_string(to, one.as_str());
    }
    to.push(b'[');
    for (at, phone) in phones.iter().enumerate() {
        if at > 0 {
            to.push(b',');
        }
        write_string(to, phone.as_str());
    }
    to.push(b']');
}

/// Whether that may be a bot's address; the shell guards the rest.
pub fn is_bot_url(url: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    let rest = url.strip_prefix("wss://").or_else(|| url.strip_prefix("ws://"));
    url.len() <= URL_BYTES_MAX && rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain))
}

/// The number without what people write between its digits; `None` if it is no number.
fn dialable(text: &str) -> Option<String> {
    let number: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    let keys = number.strip_prefix('+').unwrap_or(&number);
    let fits = (1..=NUMBER_KEYS_MAX).contains(&keys.len());
    let numeric = keys.bytes().all(|key| key.is_ascii_digit() || matches!(key, b'*' | b'#'));
    (fits && numeric).then_some(number)
}

/// Keys of a number to dial; E.164 has 15 digits, prefixes and codes before them come on top.
const NUMBER_KEYS_MAX: usize = 32;

/// Bytes of a bot's address.
const URL_BYTES_MAX: usize = 2_048;
