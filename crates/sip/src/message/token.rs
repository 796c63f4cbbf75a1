//! The small lexical pieces of RFC 3261 §25.1: tokens, quoted strings, escapes, lists, parameters.

/// Whether the text is a non-empty `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// The elements of a comma-separated list; commas inside quotes and angle brackets do not split.
pub(crate) fn split_list(value: &str) -> impl Iterator<Item = &str> {
    split_outside_quotes(value, b',').map(str::trim)
}

/// Splits at a separator that stands outside quoted strings and angle brackets.
pub(super) fn split_outside_quotes(value: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        match find_outside_quotes(text, separator) {
            Some(at) => {
                rest = text.get(at + 1..);
                text.get(..at)
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// Where a byte first stands outside quoted strings and angle brackets.
pub(super) fn find_outside_quotes(text: &str, wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match byte {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if byte == wanted && !bracketed {
            return Some(at);
        } else {
            match byte {
                b'"' => quoted = true,
                b'<' => bracketed = true,
                b'>' => bracketed = false,
                _ => {}
            }
        }
    }
    None
}

/// The length of the quoted string that the text begins with, quotes included.
pub(super) fn quoted_string_len(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    if bytes.next()?.1 != b'"' {
        return None;
    }
    let mut escaped = false;
    for (at, byte) in bytes {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == b'"' {
            return Some(at + 1);
        }
    }
    None
}

/// `;name=value;flag` as pairs in order. `None` when one is malformed. The text starts with `;` or is empty.
pub(super) fn parse_params(text: &str) -> Option<Vec<(String, Option<String>)>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut params = Vec::new();
    for param in split_outside_quotes(text.strip_prefix(';')?, b';') {
        if params.len() == PARAMS_MAX {
            return None;
        }
        let (name, value) = match param.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (param.trim(), None),
        };
        if !is_token(name) || !value.is_none_or(is_param_value) {
            return None;
        }
        params.push((name.to_ascii_lowercase(), value.map(str::to_owned)));
    }
    Some(params)
}

/// token / host / quoted-string (gen-value).
fn is_param_value(value: &str) -> bool {
    if value.starts_with('"') {
        return quoted_string_len(value) == Some(value.len());
    }
    !value.is_empty() && value.bytes().all(|b| is_token_byte(b) || b"[]:".contains(&b))
}

/// Whether every `%` begins an escape and every other byte passes.
pub(super) fn is_escaped(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let hex = bytes.get(at + 1..at + 3);
            if !hex.is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) {
                return false;
            }
            at += 3;
        } else if allowed(byte) {
            at += 1;
        } else {
            return false;
        }
    }
    true
}

/// Parameters that one value may carry.
const PARAMS_MAX: usize = 64;
