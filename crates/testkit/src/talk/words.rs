//! Splits a line of a talk into words and writes words so that they can be split again.

/// Splits at blanks; a part in double quotes is a JSON string and may hold blanks (`name="two words"`).
///
/// # Errors
/// A sentence about a quote that is not closed or not JSON.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut word = String::new();
        while let Some(first) = rest.chars().next().filter(|first| !first.is_whitespace()) {
            if first == '"' {
                let end = quoted_len(rest).ok_or_else(|| format!("a quote is not closed: {rest}"))?;
                let text: String =
                    serde_json::from_str(&rest[..end]).map_err(|error| format!("{rest}: {error}"))?;
                word.push_str(&text);
                rest = &rest[end..];
            } else {
                word.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

/// Writes one word, in quotes where it needs them.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:@+-#*,/".contains(c);
    if !word.is_empty() && word != "->" && word.chars().all(plain) {
        word.to_owned()
    } else {
        serde_json::Value::from(word).to_string()
    }
}

/// Length of the JSON string at the beginning of `text`, quotes included.
pub(super) fn quoted_len(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_survive_being_written_and_split() {
        let words = ["call_1", "", "two words", "a\"b", "->", "+9198"];
        let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
        assert_eq!(split(&line.join("  ")).unwrap(), words);
        assert_eq!(split("custom.a=\"x y\" b").unwrap(), ["custom.a=x y", "b"]);
        assert!(split("\"open").is_err());
    }
}
