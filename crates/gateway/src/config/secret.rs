//! A string that cannot be printed: tokens, passwords, keys.
//!
//! Whoever needs the text says so with [`Secret::expose`], which is easy to search for.

use std::fmt;

/// A secret text; `Debug` and `Display` show `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text that must not be printed.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares with what a stranger presented, in a time that depends only on the stranger's length.
    pub fn matches(&self, candidate: &str) -> bool {
        let own = self.0.as_bytes();
        let mut difference = own.len() ^ candidate.len();
        for (index, byte) in candidate.bytes().enumerate() {
            let expected = own.get(index).copied().unwrap_or(0);
            difference |= usize::from(expected ^ byte);
        }
        difference == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// What stands in the place of a secret wherever settings are shown.
pub const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_three_stars_in_every_format() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
    }

    #[test]
    fn only_the_same_text_matches() {
        let secret = Secret::new("hunter2");
        assert!(secret.matches("hunter2"));
        for wrong in ["", "hunter", "hunter22", "Hunter2", "\0", "hunter2\0"] {
            assert!(!secret.matches(wrong), "{wrong:?} must not match");
        }
        assert!(!Secret::new("").matches("\0"));
    }
}
