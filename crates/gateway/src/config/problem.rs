//! What is wrong with a configuration, where, and what to do about it.
//!
//! A load collects every problem before it gives up, so that one edit can cure them all.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A position in the configuration file; lines and columns count from 1.
    File {
        /// The file's name as the user gave it.
        file: Arc<str>,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// Another file that the configuration names, as a whole.
    Import(Arc<str>),
    /// An environment variable.
    Variable(String),
    /// Nobody wrote it: the declared default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Place::Import(file) => f.write_str(file),
            Place::Variable(name) => write!(f, "${name}"),
            Place::Default => f.write_str("default"),
        }
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key's path as in the file: `bots.sales.url`, `numbers[0].bot`; empty for the file as a whole.
    pub key: String,
    /// Where it stands.
    pub place: Place,
    /// What is wrong, without the value of a secret.
    pub what: String,
    /// What to write instead.
    pub cure: String,
    /// The nearest known word, when the value looks like a slip of the pen.
    pub did_you_mean: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        if let Some(word) = &self.did_you_mean {
            write!(f, "; did you mean \"{word}\"?")?;
        }
        if !self.cure.is_empty() {
            write!(f, " ({})", self.cure)?;
        }
        Ok(())
    }
}

/// Every problem of one configuration, in the order of the file. Never empty as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Why one value was refused; the reader adds the key and the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub cure: String,
    /// The nearest known word.
    pub did_you_mean: Option<String>,
}

impl Refusal {
    /// A refusal with its cure.
    pub fn new(what: impl Into<String>, cure: impl Into<String>) -> Refusal {
        Refusal { what: what.into(), cure: cure.into(), did_you_mean: None }
    }

    /// A word that is none of the `known` ones; names the nearest.
    pub fn unknown(what: &str, word: &str, known: &[&str]) -> Refusal {
        Refusal {
            what: format!("unknown {what} \"{word}\""),
            cure: format!("one of: {}", known.join(", ")),
            did_you_mean: nearest(word, known.iter().copied()),
        }
    }

    /// A word that belongs to the language of the file, but not to what this version does.
    pub fn later(what: &str) -> Refusal {
        Refusal::new(format!("{what} is known but not in this version"), "leave it out")
    }
}

/// Collects problems while a configuration is read.
#[derive(Debug, Default)]
pub struct Report(RefCell<Vec<Problem>>);

impl Report {
    /// Notes why the value of `key` at `place` was refused.
    pub fn refuse(&self, key: &str, place: &Place, refusal: Refusal) {
        let Refusal { what, cure, did_you_mean } = refusal;
        self.add(Problem { key: key.to_owned(), place: place.clone(), what, cure, did_you_mean });
    }

    /// Notes a problem.
    pub fn add(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    /// The problems, by line; `None` if there are none.
    pub fn into_problems(self) -> Option<Problems> {
        let mut found = self.0.into_inner();
        found.sort_by_key(|problem| match problem.place {
            Place::File { line, column, .. } => (line, column),
            _ => (usize::MAX, 0),
        });
        found.dedup();
        (!found.is_empty()).then_some(Problems(found))
    }
}

/// The known word that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let lower = word.to_lowercase();
    let allowed = (lower.chars().count() / 3).max(1);
    known
        .map(|candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || (lower.len() >= 3 && candidate.starts_with(lower.as_str()))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word_and_a_stranger_finds_none() {
        let known = ["listen", "ws_bot", "ws_token"];
        assert_eq!(nearest("listen", known.into_iter()).as_deref(), Some("listen"));
        assert_eq!(nearest("litsen", known.into_iter()).as_deref(), Some("listen"));
        assert_eq!(nearest("WS_bot", known.into_iter()).as_deref(), Some("ws_bot"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }

    #[test]
    fn a_problem_reads_as_place_key_trouble_and_cure() {
        let place = Place::File { file: "patchcord.toml".into(), line: 3, column: 7 };
        let report = Report::default();
        report.refuse("bots.a.dialect", &place, Refusal::unknown("dialect", "ozontel", &["ozonetel"]));
        assert_eq!(
            report.into_problems().unwrap().to_string(),
            "patchcord.toml:3:7: bots.a.dialect: unknown dialect \"ozontel\"; did you mean \"ozonetel\"? \
             (one of: ozonetel)"
        );
    }
}
