//! The keys of one step, or of a table in it: typed values, each refused at its own place.

use super::super::problem::{Place, Refusal, Report, nearest};
use super::super::section::{Setting, join, wrong_kind};
use super::super::tree::{Node, Table, Value};

/// A table of a step with its path.
pub(super) struct Fields<'a> {
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) report: &'a Report,
    table: &'a Table,
}

impl<'a> Fields<'a> {
    /// The table that `node` must be.
    pub(super) fn of(node: &'a Node, path: String, report: &'a Report) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            report.refuse(&path, &node.place, wrong_kind(node, "a table: { play = \"clip:closed\" }"));
            return None;
        };
        Some(Self { path, place: node.place.clone(), report, table })
    }

    /// The table `key`, if it is there.
    pub(super) fn table(&self, key: &str) -> Option<Fields<'a>> {
        Fields::of(self.node(key)?, join(&self.path, key), self.report)
    }

    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.table.find(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// Whether `key` is a string.
    pub(super) fn is_text(&self, key: &str) -> bool {
        self.node(key).is_some_and(|node| matches!(node.value, Value::Text(_)))
    }

    /// Whether `key` is a list without items.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.node(key).is_some_and(|node| matches!(&node.value, Value::List(items) if items.is_empty()))
    }

    /// The names of the keys that are there.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.table.0.iter().map(|entry| entry.key.as_str())
    }

    /// The value of `key`; none where it is absent or was refused.
    pub(super) fn value<T: Setting>(&self, key: &str) -> Option<T> {
        let node = self.node(key)?;
        T::from_node(node)
            .map_err(|refusal| self.report.refuse(&join(&self.path, key), &node.place, refusal))
            .ok()
    }

    /// The value of `key`, or `default`; a refused one fails the load whatever stands here.
    pub(super) fn value_or<T: Setting>(&self, key: &str, default: T) -> T {
        self.value(key).unwrap_or(default)
    }

    /// What `make` makes of the string `key`.
    pub(super) fn make<T>(&self, key: &str, make: impl FnOnce(&str) -> Result<T, Refusal>) -> Option<T> {
        let text: String = self.value(key)?;
        make(&text).map_err(|refusal| self.refuse(key, refusal)).ok()
    }

    /// The entries of the table `key` as strings, each as `make` makes it of its name and its value.
    pub(super) fn entries<T>(
        &self,
        key: &str,
        mut make: impl FnMut(&str, &str) -> Result<T, Refusal>,
    ) -> Vec<T> {
        let Some(below) = self.table(key) else { return Vec::new() };
        let mut made = Vec::new();
        for entry in &below.table.0 {
            match String::from_node(&entry.node).and_then(|text| make(&entry.key, &text)) {
                Ok(value) => made.push(value),
                Err(refusal) => {
                    self.report.refuse(&join(&below.path, &entry.key), &entry.node.place, refusal);
                }
            }
        }
        made
    }

    /// The strings of the list `key`, each as `make` makes it.
    pub(super) fn list<T>(&self, key: &str, mut make: impl FnMut(&str) -> Result<T, Refusal>) -> Vec<T> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let path = join(&self.path, key);
        let Value::List(items) = &node.value else {
            self.report.refuse(&path, &node.place, wrong_kind(node, "a list: [\"…\", \"…\"]"));
            return Vec::new();
        };
        let mut made = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match String::from_node(item).and_then(|text| make(&text)) {
                Ok(value) => made.push(value),
                Err(refusal) => self.report.refuse(&format!("{path}[{index}]"), &item.place, refusal),
            }
        }
        made
    }

    /// Refuses the value of `key`, or the table where it is absent.
    pub(super) fn refuse(&self, key: &str, refusal: Refusal) {
        let place = self.node(key).map_or(&self.place, |node| &node.place);
        self.report.refuse(&join(&self.path, key), place, refusal);
    }

    /// Says that `key` is missing, if it is.
    pub(super) fn require(&self, key: &str, cure: &str) {
        if !self.has(key) {
            self.refuse(key, Refusal::new(format!("\"{key}\" is missing"), cure));
        }
    }

    /// Refuses every key that is none of `known`.
    pub(super) fn check_known(&self, known: &[&str]) {
        for entry in self.table.0.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let refusal = Refusal {
                did_you_mean: nearest(&entry.key, known.iter().copied()),
                ..Refusal::new(
                    format!("unknown key \"{}\"", entry.key),
                    format!("one of: {}", known.join(", ")),
                )
            };
            self.report.refuse(&join(&self.path, &entry.key), &entry.place, refusal);
        }
    }
}
