//! What comes from outside and goes on to a carrier or a bot: numbers, addresses, headers without a sign that could
//! end a line or begin a parameter there.

use super::problem::Problem;
use crate::config::{Url, UrlKind};
use crate::net::Trust;

/// A telephone number: digits, `*` and `#`, a `+` in front of them or not.
///
/// # Errors
/// 400 that names the field.
pub fn check_number(pointer: &str, number: String) -> Result<String, Problem> {
    let keys = number.strip_prefix('+').unwrap_or(&number);
    let is_key = |byte: u8| byte.is_ascii_digit() || byte == b'*' || byte == b'#';
    let is_number = keys.bytes().all(is_key) && keys.bytes().any(|byte| byte.is_ascii_digit());
    if is_number && number.len() <= NUMBER_CHARS_MAX {
        return Ok(number);
    }
    let detail = format!(
        "expected a telephone number: 1 to {NUMBER_CHARS_MAX} of 0-9, * and #, with + in front or not"
    );
    Err(Problem::field("bad_field", pointer, detail))
}

/// One line of text: no control character, no `<`, `>` and `;`.
///
/// # Errors
/// 400 that names the field.
pub fn check_line(pointer: &str, text: String, chars_max: usize) -> Result<String, Problem> {
    let is_line = !text.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | ';'));
    if is_line && (1..=chars_max).contains(&text.chars().count()) {
        return Ok(text);
    }
    let detail = format!("expected 1 to {chars_max} characters of one line, without <, > and ;");
    Err(Problem::field("bad_field", pointer, detail))
}

/// A URL whose host is no address that `trust` forbids; what a name stands for shows when it is dialled.
///
/// # Errors
/// 400 that names the field.
pub fn check_way<K: UrlKind>(pointer: &str, url: &Url<K>, trust: &Trust) -> Result<(), Problem> {
    let told = |error| Problem::field("forbidden_address", pointer, format!("{error}"));
    trust.check_spelling(url.host()).map_err(told)
}

/// Characters of a telephone number; ITU-T E.164 has 15 digits, access codes come in front.
const NUMBER_CHARS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_its_place_in_a_message_is_no_number_and_no_line() {
        for good in ["09876543210", "+919876543210", "*72#", "1"] {
            assert!(check_number("/to", good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "+", "*#", "1\r\nX: y", "1>", "1;tag=x", "1@h", "1 2", "a1", "++1", "١", "1\0"] {
            let problem = check_number("/to", bad.to_owned()).unwrap_err();
            assert_eq!(problem.errors[0].pointer.as_deref(), Some("#/to"), "{bad:?}");
            assert!(bad.is_empty() || bad == "+" || !format!("{problem:?}").contains(&format!("{bad:?}")));
        }
        assert!(check_number("/to", "1".repeat(33)).is_err());
        assert!(check_line("/a", "Bearer a,b=c".to_owned(), 20).is_ok());
        for bad in ["", "a\nb", "a\r", "a;b", "a>b", "<a", "a\u{7f}b", "a\u{85}b"] {
            assert!(check_line("/a", bad.to_owned(), 20).is_err(), "{bad:?}");
        }
    }
}
