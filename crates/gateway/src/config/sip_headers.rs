//! `sip.headers`: which of a caller's own header fields may leave for the bot.

use super::problem::Refusal;
use super::section::Setting;

/// One header field, or all that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPattern {
    /// In lower case.
    name: String,
    /// Whether `name` is only the beginning.
    open: bool,
}

impl HeaderPattern {
    /// Whether the field `name` is meant, in any case.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        if self.open { name.starts_with(&self.name) } else { name == self.name }
    }
}

impl Setting for HeaderPattern {
    fn from_text(text: &str) -> Result<HeaderPattern, Refusal> {
        let lower = text.to_ascii_lowercase();
        let (name, open) = lower.strip_suffix('*').map_or((lower.as_str(), false), |name| (name, true));
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!%+~".contains(&byte);
        let known = name == USER_TO_USER && !open || name.starts_with("x-");
        if !known || !name.bytes().all(token) || name.len() > NAME_BYTES_MAX {
            return Err(Refusal::new(
                "this is none of the caller's own header fields",
                "\"User-to-User\", \"X-Account\", a beginning as in \"X-Crm-*\", or \"X-*\"",
            ));
        }
        Ok(HeaderPattern { name: name.to_owned(), open })
    }
}

/// RFC 7433.
const USER_TO_USER: &str = "user-to-user";
/// The longest name of a header field.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_one_field_in_any_case_and_a_star_all_that_begin_so() {
        let one = HeaderPattern::from_text("X-Account").unwrap();
        assert!(one.matches("x-account") && !one.matches("X-Account-2"));
        let some = HeaderPattern::from_text("x-crm-*").unwrap();
        assert!(some.matches("X-CRM-Id") && !some.matches("X-Account"));
        assert!(HeaderPattern::from_text("X-*").unwrap().matches("X-Anything"));
        assert!(HeaderPattern::from_text("User-to-User").unwrap().matches("user-to-user"));
        for wrong in ["", "*", "From", "User-*", "X-a b", "P-Asserted-Identity", "x"] {
            assert!(HeaderPattern::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
