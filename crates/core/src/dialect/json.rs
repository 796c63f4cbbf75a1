//! The hot half of JSON dialects: writers that append to a reused buffer, base64 both ways, and lenient fields.
//!
//! No parser: messages are read by `serde_json` into each dialect's wire types, which use [`Text`] and
//! [`Number`] where vendors disagree about types. Sources: RFC 8259 §7 (strings), RFC 4648 §4 (base64).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::Malformed;

/// Appends `text` as a JSON string with its quotes, escaping only what RFC 8259 §7 asks for.
pub fn write_string(to: &mut Vec<u8>, text: &str) {
    to.push(b'"');
    write_escaped(to, text);
    to.push(b'"');
}

/// Appends `text` as it stands between the quotes of a JSON string.
pub fn write_escaped(to: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !matches!(byte, 0..=0x1f | b'"' | b'\\') {
            continue;
        }
        to.extend_from_slice(&bytes[start..at]);
        start = at + 1;
        match byte {
            b'"' => to.extend_from_slice(br#"\""#),
            b'\\' => to.extend_from_slice(br"\\"),
            b'\n' => to.extend_from_slice(br"\n"),
            b'\r' => to.extend_from_slice(br"\r"),
            b'\t' => to.extend_from_slice(br"\t"),
            control => {
                to.extend_from_slice(br"\u00");
                to.push(HEX[usize::from(control >> 4)]);
                to.push(HEX[usize::from(control & 15)]);
            }
        }
    }
    to.extend_from_slice(&bytes[start..]);
}

/// Appends `number` in decimal.
pub fn write_u64(to: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; U64_DIGITS];
    let mut start = U64_DIGITS;
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    to.extend_from_slice(&digits[start..]);
}

/// Appends `number` in decimal, with a `-` if it is negative.
pub fn write_i64(to: &mut Vec<u8>, number: i64) {
    if number < 0 {
        to.push(b'-');
    }
    write_u64(to, number.unsigned_abs());
}

/// Appends `bytes` as padded base64, without quotes; the alphabet needs no escapes in JSON.
pub fn write_base64(to: &mut Vec<u8>, bytes: &[u8]) {
    base64_simd::STANDARD.encode_append(bytes, to);
}

/// Checks that a message begins like a JSON object and is nested at most 32 deep; `serde` alone would take an array
/// for a message too, and skips what it does not know at any depth.
///
/// # Errors
/// [`Malformed::NotJson`], [`Malformed::TooDeep`].
pub fn expect_object(text: &str) -> Result<(), Malformed> {
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return Err(Malformed::NotJson);
    }
    // A message of audio has few brackets, and counting costs next to nothing; only others are followed.
    if count_openings(text) <= DEPTH_MAX { Ok(()) } else { expect_shallow(text) }
}

/// Every `{` and `[`, those in strings too.
fn count_openings(text: &str) -> usize {
    let is_opening = |byte: &u8| u8::from(byte | 0x20 == b'{');
    // Blocks whose sum fits into a byte become vector instructions.
    text.as_bytes().chunks(128).map(|block| usize::from(block.iter().map(is_opening).sum::<u8>())).sum()
}

fn expect_shallow(text: &str) -> Result<(), Malformed> {
    let mut depth = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (outside, behind) = rest.split_once('"').unwrap_or((rest, ""));
        for byte in outside.bytes() {
            match byte {
                b'{' | b'[' if depth == DEPTH_MAX => return Err(Malformed::TooDeep),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        rest = behind_string(behind);
    }
    Ok(())
}

/// What follows the string whose opening quote stood before `text`; nothing, if it does not end.
fn behind_string(text: &str) -> &str {
    let mut rest = text;
    while let Some((inside, behind)) = rest.split_once('"') {
        let escapes = inside.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if escapes % 2 == 0 {
            return behind;
        }
        rest = behind;
    }
    ""
}

/// Says what is wrong with a message of which not even the kind could be read; `kind` names its field.
pub fn unreadable(error: &serde_json::Error, kind: &'static str) -> Malformed {
    match error.classify() {
        serde_json::error::Category::Data => Malformed::Field(kind),
        _ => Malformed::NotJson,
    }
}

/// Text that is not base64 of the standard alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not base64 of the standard alphabet")]
pub struct Base64Error;

/// Decodes base64 and appends the bytes to `to`; padding may be there, wrong or missing, and spaces and line
/// breaks are skipped.
///
/// # Errors
/// [`Base64Error`] for any other character or an impossible length; `to` is then as it was.
pub fn decode_base64(text: &str, to: &mut Vec<u8>) -> Result<(), Base64Error> {
    let unpadded = text.strip_suffix('=').unwrap_or(text);
    let unpadded = unpadded.strip_suffix('=').unwrap_or(unpadded).as_bytes();
    if base64_simd::STANDARD_NO_PAD.decode_append(unpadded, to).is_ok() {
        return Ok(());
    }
    let start = to.len();
    to.resize(start + text.len(), 0);
    let room = base64_simd::Out::from_slice(&mut to[start..]);
    let decoded = base64_simd::forgiving_decode(text.as_bytes(), room).map(|bytes| bytes.len());
    to.truncate(start + *decoded.as_ref().unwrap_or(&0));
    decoded.map(drop).map_err(|_| Base64Error)
}

/// A string of a message: borrowed unless it holds escapes. Unlike `Cow` it borrows inside `Option` too.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Text<'_> {
    /// Shows the length only: fields carry numbers, digits and audio.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    /// Takes whole numbers too: some peers write telephone numbers and extensions without quotes.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
        }
        from.deserialize_any(Borrowing)
    }
}

/// A string of base64, taken out of its message with quotes and escapes as it stands, so that decoding it needs no
/// copy; some peers write every `/` as `\/`.
#[derive(Clone, Copy)]
pub struct Base64Text<'a>(&'a str);

impl<'a> Base64Text<'a> {
    /// What stands between the quotes of a string of a message, with its escapes.
    pub fn new(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The text between the quotes, with its escapes.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Decodes and appends the bytes to `to`, as [`decode_base64`] does.
    ///
    /// # Errors
    /// [`Base64Error`]; `to` is then as it was.
    pub fn decode(self, to: &mut Vec<u8>) -> Result<(), Base64Error> {
        match decode_base64(self.0, to) {
            Err(Base64Error) if self.0.contains('\\') => self.decode_escaped(to),
            decided => decided,
        }
    }

    /// Takes the escapes out within `to`, then decodes there: some write `/` as `\/`, others `+` as `\u002B` and `=` as
    /// `\u003d` (RFC 8259 §7).
    fn decode_escaped(self, to: &mut Vec<u8>) -> Result<(), Base64Error> {
        let start = to.len();
        let mut pieces = self.0.split('\\');
        to.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
        for piece in pieces {
            let Some((letter, rest)) = unescape(piece) else {
                to.truncate(start);
                return Err(Base64Error);
            };
            to.push(letter);
            to.extend_from_slice(rest.as_bytes());
        }
        let decoded = base64_simd::forgiving_decode_inplace(&mut to[start..]).map(|bytes| bytes.len());
        to.truncate(start + *decoded.as_ref().unwrap_or(&0));
        decoded.map(drop).map_err(|_| Base64Error)
    }
}

/// What the escape stands for whose backslash was taken off, and what follows it; `None` for what is no base64.
fn unescape(piece: &str) -> Option<(u8, &str)> {
    let (letter, rest) = piece.split_at_checked(1)?;
    match letter {
        "/" => Some((b'/', rest)),
        "n" | "r" | "t" => Some((b' ', rest)),
        "u" => {
            let (digits, rest) = rest.split_at_checked(4)?;
            let code = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)?;
            Some((code, rest))
        }
        _ => None,
    }
}

impl fmt::Debug for Base64Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64Text({} bytes)", self.0.len())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Base64Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?.get();
        let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        inner.map(Base64Text).ok_or_else(|| D::Error::custom("a string is expected"))
    }
}

/// A whole number that vendors write as `8000`, `8000.0` or `"8000"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Lenient;
        impl Visitor<'_> for Lenient {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a string of digits")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                let whole = (0.0..=EXACT_F64_MAX).contains(&number) && number.fract() == 0.0;
                if whole {
                    Ok(Number(number as u64))
                } else {
                    Err(E::invalid_value(Unexpected::Float(number), &self))
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                let digits = text.trim();
                let number = if digits.starts_with('+') { None } else { digits.parse().ok() };
                number.map(Number).ok_or_else(|| E::custom("a whole number is expected"))
            }
        }
        from.deserialize_any(Lenient)
    }
}

/// How deep a message may be nested, its own object counted.
const DEPTH_MAX: usize = 32;

const HEX: [u8; 16] = *b"0123456789abcdef";

/// Digits of `u64::MAX`.
const U64_DIGITS: usize = 20;

/// Up to here an `f64` holds every whole number (2^53).
pub(super) const EXACT_F64_MAX: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut to = Vec::new();
        write(&mut to);
        String::from_utf8(to).unwrap()
    }

    fn decoded(text: &str) -> Result<Vec<u8>, Base64Error> {
        let mut to = vec![7];
        let result = decode_base64(text, &mut to);
        assert_eq!(to[0], 7);
        result.map(|()| to.split_off(1)).inspect_err(|_| assert_eq!(to, [7]))
    }

    #[test]
    fn strings_are_escaped_as_rfc_8259_asks_and_no_further() {
        assert_eq!(
            written(|to| write_string(to, "a\"b\\c\n\r\t\u{1}\u{1f}é/")),
            "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u001fé/\""
        );
    }

    #[test]
    fn numbers_are_written_at_their_limits() {
        for number in [0, 9, 10, u64::MAX] {
            assert_eq!(written(|to| write_u64(to, number)), number.to_string());
        }
        for number in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(written(|to| write_i64(to, number)), number.to_string());
        }
    }

    #[test]
    fn base64_is_read_with_without_and_with_wrong_padding_and_across_spaces() {
        for text in ["+/8BAg==", "+/8BAg=", "+/8BAg", " +/8B\r\nAg==", "+/8B Ag"] {
            assert_eq!(decoded(text), Ok(vec![0xfb, 0xff, 1, 2]), "{text:?}");
        }
        assert_eq!(decoded(""), Ok(vec![]));
    }

    #[test]
    fn what_is_not_base64_leaves_the_buffer_as_it_was() {
        for text in ["A", "AAAAA", "AA-_", "AA*A", "A=AA", "===="] {
            assert_eq!(decoded(text), Err(Base64Error), "{text:?}");
        }
    }

    #[test]
    fn base64_is_decoded_out_of_its_message_with_any_harmless_escape() {
        let decoded = |json: &str| {
            let mut to = vec![7];
            let text: Base64Text<'_> = serde_json::from_str(json).unwrap();
            let result = text.decode(&mut to);
            result.map(|()| to.split_off(1)).inspect_err(|_| assert_eq!(to, [7]))
        };
        for json in [
            r#""//8B""#,
            r#""\/\/8B""#,
            r#""/\/8\r\nB""#,
            r#" "\/\/8B" "#,
            r#""//8\u0042""#,
            r#""\u002f/8B""#,
        ] {
            assert_eq!(decoded(json), Ok(vec![0xff, 0xff, 1]), "{json}");
        }
        assert_eq!(decoded(r#""""#), Ok(vec![]));
        assert_eq!(decoded(r#""\u002B/8BAg\u003d\u003D""#), Ok(vec![0xfb, 0xff, 1, 2]));
        for json in
            [r#""//8\u00e9""#, r#""//8\u0142""#, r#""\\\/8B""#, r#""//8B\"""#, r#""\/""#, r#""=\/8B""#]
        {
            assert_eq!(decoded(json), Err(Base64Error), "{json}");
        }
        for json in ["7", "null", "[]", "{}"] {
            assert!(serde_json::from_str::<Base64Text<'_>>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_message_is_an_object_of_at_most_thirty_two_levels_whatever_its_strings_hold() {
        let nested =
            |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert_eq!(expect_object(&nested(32)), Ok(()));
        assert_eq!(expect_object(&nested(33)), Err(Malformed::TooDeep));
        assert_eq!(expect_object(&format!(" {}", "{\"a\":".repeat(33))), Err(Malformed::TooDeep));
        let brackets = "[{".repeat(40);
        for text in [
            format!("{{\"a\":\"{brackets}\"}}"),
            format!("{{\"a\":\"\\\"{brackets}\\\\\",\"b\":\"{brackets}\"}}"),
            format!("{{\"a\":\"{brackets}"),
            format!("{{\"a\":[{}]}}", "[],{},".repeat(40)),
        ] {
            assert_eq!(expect_object(&text), Ok(()), "{text}");
        }
        let behind = format!("{{\"a\":\"\\\\\",\"b\":{brackets}");
        assert_eq!(expect_object(&behind), Err(Malformed::TooDeep));
        assert_eq!(expect_object("[1]"), Err(Malformed::NotJson));
    }

    #[test]
    fn fields_are_borrowed_where_they_can_be_and_numbers_may_be_digit_strings() {
        #[derive(serde::Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            plain: Option<Text<'a>>,
            #[serde(borrow)]
            escaped: Option<Text<'a>>,
            #[serde(borrow)]
            bare: Text<'a>,
            rates: Vec<Number>,
        }
        let text = r#"{"plain":"AA+/","escaped":"AA+\/","bare":101,"rates":[8000,"8000",8000.0," 8000 "]}"#;
        let fields: Fields<'_> = serde_json::from_str(text).unwrap();
        assert!(matches!(fields.plain, Some(Text(Cow::Borrowed("AA+/")))));
        assert_eq!(fields.escaped.unwrap().as_str(), "AA+/");
        assert_eq!(fields.bare.as_str(), "101");
        assert_eq!(fields.rates, [Number(8000); 4]);
        for bad in ["-1", "1.5", "\"x\"", "\"+1\"", "\"\"", "1e300", "null", "{}"] {
            assert!(serde_json::from_str::<Number>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_written_reads_back_the_same(text in any::<String>()) {
            let json = written(|to| write_string(to, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn any_bytes_written_as_base64_read_back_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            prop_assert_eq!(decoded(&written(|to| write_base64(to, &bytes))), Ok(bytes));
        }

        #[test]
        fn any_text_is_decoded_or_refused_without_a_panic(text in any::<String>()) {
            let _ = decoded(&text);
        }
    }
}
