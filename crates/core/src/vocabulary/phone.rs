//! A telephone number as it was received. `Debug` shows its length only: numbers never reach logs.

use std::fmt;

/// A caller's or called party's number or name, at most 128 characters, kept as received.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct PhoneNumber(Box<str>);

impl PhoneNumber {
    /// Keeps the first [`PHONE_NUMBER_CHARS_MAX`] characters of `text`. A control character leaves its mark, so that what
    /// held one is nobody's number.
    pub fn new(text: &str) -> Self {
        let shown = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
        Self(shown.take(PHONE_NUMBER_CHARS_MAX).collect::<String>().into())
    }

    /// The number as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The E.164 form with its `+`, if the number is international already or `country` (its calling code)
    /// makes it so: one trunk `0` gives way to the country code.
    pub fn e164(&self, country: Option<&str>) -> Option<String> {
        let text = self.as_str();
        let digits = text.strip_prefix('+').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if text.starts_with('+') {
            return Some(text.to_owned());
        }
        let country = country?;
        if digits.starts_with(country) && digits.len() > NATIONAL_DIGITS_MAX {
            return Some(format!("+{digits}"));
        }
        Some(format!("+{country}{}", digits.strip_prefix('0').unwrap_or(digits)))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({} characters)", self.0.chars().count())
    }
}

/// Characters of a number or id from outside that are kept.
pub const PHONE_NUMBER_CHARS_MAX: usize = 128;

/// National numbers have at most this many digits, so a longer one that begins with the country's code has it.
const NATIONAL_DIGITS_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_gives_the_e164_form_and_none_leaves_it_unknown() {
        let e164 = |text: &str, country| PhoneNumber::new(text).e164(country);
        assert_eq!(e164("09876543210", Some("91")).as_deref(), Some("+919876543210"));
        assert_eq!(e164("9876543210", Some("91")).as_deref(), Some("+919876543210"));
        assert_eq!(e164("919876543210", Some("91")).as_deref(), Some("+919876543210"));
        assert_eq!(e164("+1234567890", None).as_deref(), Some("+1234567890"));
        assert_eq!(e164("9876543210", None), None);
        assert_eq!(e164("alice", Some("91")), None);
    }

    #[test]
    fn a_number_is_bounded_free_of_control_characters_and_never_shown() {
        let number = PhoneNumber::new(&format!("1\r\n{}", "2".repeat(300)));
        assert_eq!(number.as_str().chars().count(), PHONE_NUMBER_CHARS_MAX);
        assert!(
            number.as_str().starts_with("1\u{fffd}\u{fffd}22"),
            "what stood between is not drawn together"
        );
        assert_eq!(format!("{:?}", PhoneNumber::new("9876543210")), "PhoneNumber(10 characters)");
    }
}
