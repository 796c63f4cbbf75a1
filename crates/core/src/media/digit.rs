//! A key of a telephone keypad. Digits are private to the caller (they may be a PIN): `Debug` hides them.

use std::fmt;

/// One of `0-9`, `*`, `#`, `A-D` (RFC 4733 §3.2, events 0 to 15).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit(u8);

/// A character that is no key of a telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a telephone digit: expected one of 0-9, *, #, A-D")]
pub struct DigitError;

impl Digit {
    /// The star key.
    pub const STAR: Self = Self(b'*');
    /// `#`, which ends what is keyed in.
    pub const HASH: Self = Self(b'#');

    /// All sixteen keys in the order of their RFC 4733 event codes.
    pub const ALL: [Self; 16] = {
        let mut all = [Self(b'0'); 16];
        let mut code = 0;
        while code < 16 {
            all[code] = Self(KEYS[code]);
            code += 1;
        }
        all
    };

    /// The key that an RFC 4733 event code stands for; codes above 15 are no digits.
    pub fn from_event(code: u8) -> Option<Self> {
        KEYS.get(usize::from(code)).map(|key| Self(*key))
    }

    /// The RFC 4733 event code, 0 to 15.
    pub fn event(self) -> u8 {
        match self.0 {
            key @ b'0'..=b'9' => key - b'0',
            b'*' => 10,
            b'#' => 11,
            key => key - b'A' + 12,
        }
    }

    /// The key as an upper-case character.
    pub fn as_char(self) -> char {
        char::from(self.0)
    }

    /// Whether this is one of the keys `A` to `D` that most telephones lack.
    pub fn is_extended(self) -> bool {
        self.0 >= b'A'
    }
}

impl TryFrom<char> for Digit {
    type Error = DigitError;

    fn try_from(key: char) -> Result<Self, DigitError> {
        match key.to_ascii_uppercase() {
            key @ ('0'..='9' | '*' | '#' | 'A'..='D') => Ok(Self(key as u8)),
            _ => Err(DigitError),
        }
    }
}

impl TryFrom<&str> for Digit {
    type Error = DigitError;

    fn try_from(text: &str) -> Result<Self, DigitError> {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(key), None) => Self::try_from(key),
            _ => Err(DigitError),
        }
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit(_)")
    }
}

const KEYS: [u8; 16] = *b"0123456789*#ABCD";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_code_has_its_key_and_back() {
        for (code, digit) in Digit::ALL.iter().enumerate() {
            assert_eq!(usize::from(digit.event()), code);
            assert_eq!(Digit::from_event(digit.event()), Some(*digit));
            assert_eq!(Digit::try_from(digit.as_char()), Ok(*digit));
        }
        assert_eq!(Digit::from_event(16), None);
    }

    #[test]
    fn a_digit_is_never_shown_by_debug() {
        assert_eq!(format!("{:?}", Digit::ALL[5]), "Digit(_)");
    }

    #[test]
    fn anything_but_one_key_is_refused() {
        for text in ["", "12", "E", "x", " ", "é"] {
            assert_eq!(Digit::try_from(text), Err(DigitError), "{text:?}");
        }
    }
}
