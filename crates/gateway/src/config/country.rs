//! The calling code of a country, which makes its national numbers international (ITU-T E.164 §6.2.1).

use super::problem::Refusal;
use super::section::Setting;

/// A country's calling code: one to three digits, the first not 0, without `+`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountryCode(Box<str>);

impl CountryCode {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for CountryCode {
    fn from_text(text: &str) -> Result<CountryCode, Refusal> {
        let is_code = |text: &str| {
            (1..=CODE_DIGITS_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && !text.starts_with('0')
        };
        if is_code(text) {
            return Ok(CountryCode(text.into()));
        }
        let bare = text.trim_start_matches(['+', '0']);
        Err(Refusal {
            did_you_mean: is_code(bare).then(|| bare.to_owned()),
            ..Refusal::new(
                format!("\"{text}\" is not a calling code"),
                "one to three digits without \"+\", for example \"91\"",
            )
        })
    }
}

/// The longest calling code.
const CODE_DIGITS_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calling_code_has_one_to_three_digits_and_no_plus() {
        for good in ["1", "91", "880"] {
            assert_eq!(CountryCode::from_text(good).unwrap().as_str(), good);
        }
        for (wrong, meant) in
            [("+91", Some("91")), ("0091", Some("91")), ("", None), ("0", None), ("IN", None), ("1234", None)]
        {
            assert_eq!(CountryCode::from_text(wrong).unwrap_err().did_you_mean.as_deref(), meant, "{wrong}");
        }
    }
}
