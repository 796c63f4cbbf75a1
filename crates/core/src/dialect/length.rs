//! Lengths of time as vendors write them in JSON.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json::EXACT_F64_MAX;

/// A length of time in whatever way a vendor writes it: a number whose fraction is rounded off, or the same as a string. What
/// is none is no length, and no fault of the message that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length(pub Option<u64>);

impl Length {
    /// Reads text as a number.
    pub fn of_text(text: &str) -> Self {
        let number = text.trim().parse::<f64>().ok().filter(|number| (0.0..=EXACT_F64_MAX).contains(number));
        Self(number.map(|number| number.round() as u64))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?.get();
        Ok(Self::of_text(raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_a_number_however_it_is_written_and_anything_else_is_none() {
        let length = |json: &str| serde_json::from_str::<Length>(json).unwrap().0;
        for json in ["100", "100.0", "100.4", "99.5", "\"100\"", "\" 100.2 \"", "1e2"] {
            assert_eq!(length(json), Some(100), "{json}");
        }
        for json in ["-1", "null", "true", "\"long\"", "\"\"", "[]", "{}", "1e300", "\"inf\"", "\"NaN\""] {
            assert_eq!(length(json), None, "{json}");
        }
    }
}
