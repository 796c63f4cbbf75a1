//! Walks over the scalars of a JSON text that is known to be good, each with its path and its place in the text.
//!
//! `serde_json` has no places; templates need them to cut the text at its placeholders.

use std::ops::Range;

/// What is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A name of an object.
    Name,
    /// A string.
    Text,
    /// A number, `true`, `false` or `null`.
    Bare,
}

/// Visits every name and scalar: its path, its range with quotes, and what it is.
pub fn walk(json: &str, mut visit: impl FnMut(&[Box<str>], Range<usize>, Token)) {
    let bytes = json.as_bytes();
    // One step a level: the name in an object, the item of an array.
    let mut steps: Vec<Box<str>> = Vec::new();
    let mut items: Vec<Option<usize>> = Vec::new();
    let mut expects_name = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' => {
                steps.push("".into());
                items.push(None);
                expects_name = true;
            }
            b'[' => {
                steps.push("0".into());
                items.push(Some(0));
                expects_name = false;
            }
            b'}' | b']' => {
                steps.pop();
                items.pop();
            }
            b',' => match (items.last_mut(), steps.last_mut()) {
                (Some(Some(item)), Some(step)) => {
                    *item += 1;
                    *step = item.to_string().into();
                    // An empty object before this item has left its own expectation.
                    expects_name = false;
                }
                _ => expects_name = true,
            },
            b':' => expects_name = false,
            b'"' => {
                at = end_of_string(bytes, at);
                let token = if expects_name { Token::Name } else { Token::Text };
                if let (Token::Name, Some(step)) = (token, steps.last_mut()) {
                    *step = serde_json::from_str::<Box<str>>(&json[start..at]).unwrap_or_default();
                }
                visit(&steps, start..at, token);
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => {
                while bytes.get(at).is_some_and(|byte| !b",]} \t\r\n".contains(byte)) {
                    at += 1;
                }
                visit(&steps, start..at, Token::Bare);
            }
        }
    }
}

/// Whether the path is that of a message's kind.
pub fn is_kind(steps: &[Box<str>]) -> bool {
    matches!(steps, [name] if KIND_NAMES.contains(&&**name))
}

/// Behind the closing quote of the string whose text begins at `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

/// The names under which messages say their kind, the first of them first.
pub const KIND_NAMES: [&str; 2] = ["type", "event"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_is_visited_with_its_path_and_its_place() {
        let json = r#"{"a":[1,{"b\"":"x\\"},[],{},"y"],"c":{},"d": true }"#;
        let mut seen = Vec::new();
        walk(json, |steps, range, token| {
            if token != Token::Name {
                seen.push((steps.join("/"), &json[range]));
            }
        });
        let expected = [("a/0", "1"), ("a/1/b\"", r#""x\\""#), ("a/4", r#""y""#), ("d", "true")];
        assert_eq!(seen, expected.map(|(path, text)| (path.to_owned(), text)));
    }
}
