//! `${VAR}` and `${file:/path}` in the strings of the file.
//!
//! `$${` stands for a literal `${`. A file's last line break is left out, so that a secret in a file of its own
//! needs no care. Relative paths start at the folder of the configuration file.

use std::path::Path;

use super::environment::Environment;
use super::problem::{Refusal, Report};
use super::section::join;
use super::tree::{Node, Table, Value};

/// What the words in braces are looked up in.
pub struct Lookup<'a> {
    /// Variables.
    pub environment: &'a Environment,
    /// The folder that relative paths start at.
    pub folder: &'a Path,
}

impl Lookup<'_> {
    /// Replaces in every string of `table`; what cannot be found is noted in `report`.
    pub fn apply(&self, table: &mut Table, path: &str, report: &Report) {
        for entry in &mut table.0 {
            self.apply_node(&mut entry.node, &join(path, &entry.key), report);
        }
    }

    fn apply_node(&self, node: &mut Node, path: &str, report: &Report) {
        match &mut node.value {
            Value::Text(text) if text.contains("${") => match self.expand(text) {
                Ok(expanded) => *text = expanded,
                Err(refusal) => report.refuse(path, &node.place, refusal),
            },
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.apply_node(item, &format!("{path}[{index}]"), report);
                }
            }
            Value::Table(table) => self.apply(table, path, report),
            Value::Text(_) | Value::Whole(_) | Value::Fraction(_) | Value::Flag(_) | Value::Foreign(_) => {}
        }
    }

    fn expand(&self, text: &str) -> Result<String, Refusal> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, after) = (&rest[..start], &rest[start + 2..]);
            if let Some(escaped) = before.strip_suffix('$') {
                expanded.push_str(escaped);
                expanded.push_str("${");
                rest = after;
                continue;
            }
            expanded.push_str(before);
            let Some(end) = after.find('}') else {
                return Err(Refusal::new(
                    "\"${\" has no closing \"}\"",
                    "write $${ for the characters themselves",
                ));
            };
            expanded.push_str(&self.resolve(&after[..end])?);
            rest = &after[end + 1..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn resolve(&self, word: &str) -> Result<String, Refusal> {
        if let Some(path) = word.strip_prefix("file:") {
            return self.read_file(path);
        }
        self.environment.find(word).map(str::to_owned).ok_or_else(|| {
            Refusal::new(
                format!("the environment variable {word} is not set"),
                format!("export {word}=… before the start"),
            )
        })
    }

    fn read_file(&self, path: &str) -> Result<String, Refusal> {
        let full = self.folder.join(path);
        let size = std::fs::metadata(&full).map(|metadata| metadata.len());
        if size.is_ok_and(|size| size > INCLUDED_BYTES_MAX) {
            return Err(Refusal::new(format!("the file {path} has more than 1 MiB"), "name a smaller file"));
        }
        let mut text = std::fs::read_to_string(&full).map_err(|error| {
            Refusal::new(
                format!("the file {path} cannot be read: {error}"),
                "paths start at the folder of the configuration file",
            )
        })?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }
}

/// The largest file that `${file:…}` takes in.
const INCLUDED_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, Refusal> {
        let environment = Environment::of([("NAME", "delhi"), ("EMPTY", "")]);
        Lookup { environment: &environment, folder: Path::new("/nowhere") }.expand(text)
    }

    #[test]
    fn variables_are_replaced_and_doubled_dollars_are_kept() {
        assert_eq!(expand("a-${NAME}-${EMPTY}b").unwrap(), "a-delhi-b");
        assert_eq!(expand("$${NAME} costs 5$").unwrap(), "${NAME} costs 5$");
        assert_eq!(expand("${NAME}${NAME}").unwrap(), "delhidelhi");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(expand("${ABSENT}").unwrap_err().what.contains("ABSENT"));
        assert!(expand("${file:secret.txt}").unwrap_err().what.contains("secret.txt"));
        assert!(expand("${NAME").is_err());
    }

    #[test]
    fn a_replaced_text_is_not_read_again() {
        let environment = Environment::of([("A", "${B}"), ("B", "x")]);
        let lookup = Lookup { environment: &environment, folder: Path::new("/") };
        assert_eq!(lookup.expand("${A}").unwrap(), "${B}");
    }
}
