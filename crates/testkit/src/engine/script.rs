//! What an engine is to do, as text: lines with a stamp, and answers that wait until they are asked for.

use std::time::Duration;

/// One thing to do at a moment since the session was ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// When.
    pub at: Duration,
    /// What.
    pub deed: Deed,
}

/// What an engine does.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// It finds that the caller speaks; what it is saying is cancelled.
    CallerStarts,
    /// It finds that the caller has ceased to speak, and what was said.
    CallerStops(Option<String>),
    /// It says something.
    Says(Speech),
    /// It calls a tool.
    Calls {
        /// Its name.
        name: String,
        /// Its arguments as JSON.
        arguments: String,
    },
    /// It reports an error with that code.
    Fails(String),
    /// It writes that, whatever it is.
    Writes(String),
    /// It closes the connection with that code.
    Closes(u16),
}

/// One item of speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Speech {
    /// How long it sounds.
    pub length: Duration,
    /// Its words.
    pub text: String,
}

/// What an engine does: at moments, and when it is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Script {
    /// In the order of their moments.
    pub beats: Vec<Beat>,
    /// What it says to one `response.create` after the other.
    pub answers: Vec<Speech>,
}

impl Script {
    /// Reads a script: `answer 1200ms WORDS`, and with a stamp (`+3000ms`, or that of the line before)
    /// `caller starts`, `caller stops [WORDS]`, `says 900ms WORDS`, `calls NAME JSON`, `fails CODE`, `writes TEXT`,
    /// `closes CODE`. `#` begins a comment.
    ///
    /// # Errors
    /// Names the line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        let mut at = Duration::ZERO;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| format!("line {}: {what}: {line}", number + 1);
            let rest = match line.strip_prefix('+') {
                Some(stamped) => {
                    let (stamp, rest) = stamped.split_once(' ').ok_or_else(|| wrong("a stamp alone"))?;
                    at = millis(stamp).ok_or_else(|| wrong("no time"))?;
                    rest.trim()
                }
                None => line,
            };
            let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            match deed(word, rest.trim()) {
                Some(Deed::Says(speech)) if word == "answer" => script.answers.push(speech),
                Some(deed) => script.beats.push(Beat { at, deed }),
                None => return Err(wrong("not a line of a script")),
            }
        }
        script.beats.sort_by_key(|beat| beat.at);
        Ok(script)
    }
}

fn deed(word: &str, rest: &str) -> Option<Deed> {
    let (first, last) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(match (word, first) {
        ("answer" | "says", length) => {
            Deed::Says(Speech { length: millis(length)?, text: last.trim().to_owned() })
        }
        ("caller", "starts") => Deed::CallerStarts,
        ("caller", "stops") => {
            Deed::CallerStops(Some(last.trim().to_owned()).filter(|words| !words.is_empty()))
        }
        ("calls", name) => Deed::Calls { name: name.to_owned(), arguments: last.trim().to_owned() },
        ("fails", code) => Deed::Fails(code.to_owned()),
        ("writes", _) => Deed::Writes(rest.to_owned()),
        ("closes", code) => Deed::Closes(code.parse().ok()?),
        _ => return None,
    })
}

fn millis(word: &str) -> Option<Duration> {
    word.strip_suffix("ms")?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_line_by_line_and_a_wrong_line_is_named() {
        let script = Script::parse(
            "# A greeting, and a barge-in.\nanswer 1200ms Hello there\n+500ms caller starts\n  caller stops yes please\n\
             +100ms calls stock {\"a\":1}\n+900ms closes 1011\n",
        )
        .unwrap();
        let speech = Speech { length: Duration::from_millis(1_200), text: "Hello there".to_owned() };
        assert_eq!(script.answers, [speech]);
        let at: Vec<_> = script.beats.iter().map(|beat| beat.at.as_millis()).collect();
        assert_eq!(at, [100, 500, 500, 900]);
        assert_eq!(script.beats[2].deed, Deed::CallerStops(Some("yes please".to_owned())));
        assert_eq!(Script::parse("+1ms sings\n").unwrap_err(), "line 1: not a line of a script: +1ms sings");
        assert!(Script::parse("says soon x").is_err());
    }
}
