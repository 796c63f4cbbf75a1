//! Reading typed values out of a table: each getter notes what is wrong and goes on.
//!
//! A getter returns `None` when it has noted a problem (or, for the optional ones, when the key is absent);
//! since a noted problem fails the whole load, a reader only has to pass `None` on.

use std::time::Duration;

use super::keys::{self, Default};
use super::problem::{Place, Problem, Refusal, Report};
use super::secret::Secret;
use super::tree::{Node, Table, Value, parse_default};

/// A table with its path, both as declared (`bots.*`) and as written (`bots.sales`).
pub struct Section<'a> {
    /// The path as declared.
    pattern: String,
    /// The path as written.
    pub path: String,
    /// The table's own place.
    pub place: Place,
    /// Where problems go.
    pub report: &'a Report,
    table: Option<&'a Table>,
}

impl<'a> Section<'a> {
    /// The file itself.
    pub fn root(table: &'a Table, report: &'a Report) -> Section<'a> {
        Section {
            pattern: String::new(),
            path: String::new(),
            place: Place::Default,
            report,
            table: Some(table),
        }
    }

    /// The table `name`, which may be absent.
    pub fn section(&self, name: &str) -> Section<'a> {
        let node = self.table.and_then(|table| table.find(name));
        self.below(join(&self.pattern, name), join(&self.path, name), node)
    }

    /// The tables of the list `name`.
    pub fn list_of_sections(&self, name: &str) -> Vec<Section<'a>> {
        let (pattern, path) = (join(&self.pattern, name), join(&self.path, name));
        let Some(node) = self.table.and_then(|table| table.find(name)) else { return Vec::new() };
        let Value::List(items) = &node.value else {
            self.report.refuse(&path, &node.place, wrong_kind(node, &format!("tables: [[{path}]]")));
            return Vec::new();
        };
        let sections = items.iter().enumerate();
        sections
            .map(|(i, item)| self.below(format!("{pattern}[]"), format!("{path}[{i}]"), Some(item)))
            .collect()
    }

    /// The tables under `name`, each with the name that the user gave it.
    pub fn named_sections(&self, name: &str) -> Vec<(&'a str, Section<'a>)> {
        let parent = self.section(name);
        let Some(table) = parent.table else { return Vec::new() };
        let entries = table.0.iter();
        entries
            .map(|entry| {
                let path = join(&parent.path, &entry.key);
                (entry.key.as_str(), self.below(format!("{}.*", parent.pattern), path, Some(&entry.node)))
            })
            .collect()
    }

    /// Whether the user wrote `name`.
    pub fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.find(name).is_some())
    }

    /// The place of `name`, or of the section where it is absent.
    pub fn place_of(&self, name: &str) -> Place {
        self.table
            .and_then(|table| table.find(name))
            .map_or_else(|| self.place.clone(), |node| node.place.clone())
    }

    /// The path of `name` as written.
    pub fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Refuses the value of `name` at its place.
    pub fn refuse(&self, name: &str, refusal: Refusal) {
        self.report.refuse(&self.path_of(name), &self.place_of(name), refusal);
    }

    /// The value of `name`, or its declared default.
    pub fn value<T: Setting>(&self, name: &str) -> Option<T> {
        let pattern = join(&self.pattern, name);
        let written = self.table.and_then(|table| table.find(name)).cloned();
        let node = match (written, keys::find(&pattern).map(|key| key.default)) {
            (Some(node), Some(_)) => node,
            (None, Some(Default::Is(literal))) => parse_default(literal)?,
            (None, Some(Default::Required)) => {
                self.report.add(Problem {
                    key: self.path_of(name),
                    place: self.place.clone(),
                    what: format!("\"{name}\" is missing"),
                    cure: keys::find(&pattern).map_or("", |key| key.sentence).to_owned(),
                    did_you_mean: None,
                });
                return None;
            }
            (None, Some(Default::Absent(_))) => return None,
            (_, None) => unreachable!("the key {pattern} is read but not declared"),
        };
        self.read(name, &node)
    }

    /// The value of `name`, or `default` where the declared default depends on other keys.
    pub fn value_or<T: Setting>(&self, name: &str, default: T) -> Option<T> {
        if self.has(name) { self.value(name) } else { Some(default) }
    }

    /// The values of the list `name`, or its declared default; an absent list without one is `None`.
    pub fn list<T: Setting>(&self, name: &str) -> Option<Vec<T>> {
        let Nodes(items) = self.value(name)?;
        let path = self.path_of(name);
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match T::from_node(item) {
                Ok(value) => values.push(value),
                Err(refusal) => self.report.refuse(&format!("{path}[{index}]"), &item.place, refusal),
            }
        }
        (values.len() == items.len()).then_some(values)
    }

    /// The entries of the table `name`, each with its place.
    pub fn map(&self, name: &str) -> Vec<(&'a str, &'a Node)> {
        let section = self.section(name);
        section
            .table
            .map(|table| table.0.iter().map(|e| (e.key.as_str(), &e.node)).collect())
            .unwrap_or_default()
    }

    /// The items of the list `name`, as written.
    pub fn nodes(&self, name: &str) -> Option<Vec<Node>> {
        self.value(name).map(|Nodes(items)| items)
    }

    fn read<T: Setting>(&self, name: &str, node: &Node) -> Option<T> {
        T::from_node(node)
            .map_err(|refusal| self.report.refuse(&self.path_of(name), &node.place, refusal))
            .ok()
    }

    fn below(&self, pattern: String, path: String, node: Option<&'a Node>) -> Section<'a> {
        let table = node.and_then(|node| match &node.value {
            Value::Table(table) => Some(table),
            _ => {
                self.report.refuse(&path, &node.place, wrong_kind(node, "a table"));
                None
            }
        });
        let place = node.map_or_else(|| self.place.clone(), |node| node.place.clone());
        Section { pattern, path, place, report: self.report, table }
    }
}

/// A type that one value of the file can become.
pub trait Setting: Sized {
    /// Reads the value, or says what is wrong with it.
    fn from_node(node: &Node) -> Result<Self, Refusal> {
        match &node.value {
            Value::Text(text) => Self::from_text(text),
            _ => Err(wrong_kind(node, "a string")),
        }
    }

    /// Reads the value of a string.
    fn from_text(text: &str) -> Result<Self, Refusal>;
}

impl Setting for String {
    fn from_text(text: &str) -> Result<String, Refusal> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(Refusal::new(
                "the text is empty or has control characters",
                "write one line of text",
            ));
        }
        Ok(text.to_owned())
    }
}

impl Setting for Secret {
    fn from_text(text: &str) -> Result<Secret, Refusal> {
        String::from_text(text).map(Secret::new)
    }
}

impl Setting for std::path::PathBuf {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        String::from_text(text).map(Self::from)
    }
}

impl Setting for bool {
    fn from_node(node: &Node) -> Result<bool, Refusal> {
        match &node.value {
            Value::Flag(flag) => Ok(*flag),
            _ => Err(wrong_kind(node, "true or false, without quotes")),
        }
    }

    fn from_text(text: &str) -> Result<bool, Refusal> {
        text.parse()
            .map_err(|_| Refusal::new(format!("\"{text}\" is neither true nor false"), "true or false"))
    }
}

impl Setting for u32 {
    fn from_node(node: &Node) -> Result<u32, Refusal> {
        match &node.value {
            Value::Whole(number) => u32::try_from(*number).map_err(|_| {
                Refusal::new(format!("{number} is out of range"), "a number from 0 to 4294967295")
            }),
            _ => Err(wrong_kind(node, "a whole number, without quotes")),
        }
    }

    fn from_text(text: &str) -> Result<u32, Refusal> {
        text.parse()
            .map_err(|_| Refusal::new(format!("\"{text}\" is not a whole number"), "for example 8000"))
    }
}

impl Setting for Duration {
    fn from_text(text: &str) -> Result<Duration, Refusal> {
        let cure = "a whole number with ms, s, m or h: \"250ms\", \"30s\", \"5m\", \"4h\"";
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let factor_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        let total_ms = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor_ms));
        match total_ms {
            Some(total) if factor_ms > 0 && total <= DURATION_MS_MAX => Ok(Duration::from_millis(total)),
            _ => Err(Refusal::new(format!("\"{text}\" is not a duration of at most 365 days"), cure)),
        }
    }
}

/// The items of a list, not yet read.
struct Nodes(Vec<Node>);

impl Setting for Nodes {
    fn from_node(node: &Node) -> Result<Nodes, Refusal> {
        match &node.value {
            Value::List(items) => Ok(Nodes(items.clone())),
            _ => Err(wrong_kind(node, "a list: [\"…\", \"…\"]")),
        }
    }

    fn from_text(_: &str) -> Result<Nodes, Refusal> {
        Err(Refusal::new("a list is expected", "[\"…\", \"…\"]"))
    }
}

/// Reads a duration as the configuration writes it: `250ms`, `30s`, `5m`, `4h`.
///
/// # Errors
/// A sentence that says what to write.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    Duration::from_text(text).map_err(|refusal| format!("{}: {}", refusal.what, refusal.cure))
}

/// The refusal of a value of another kind than the expected one.
pub fn wrong_kind(node: &Node, expected: &str) -> Refusal {
    Refusal::new(
        format!("{} stands where something else is expected", node.value.kind()),
        format!("write {expected}"),
    )
}

/// Joins a path with a name.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The longest duration a key takes: 365 days.
const DURATION_MS_MAX: u64 = 365 * 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, ms) in [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("4h", 14_400_000), ("0s", 0)] {
            assert_eq!(Duration::from_text(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "30", "30 s", "-1s", "1.5s", "1d", "99999999999999999999s", "400h0", "9000h"] {
            assert!(Duration::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
