//! The environment, and the variables that override keys: `PATCHCORD_HTTP__LISTEN` is `http.listen`.
//!
//! This is the only file that reads the process's environment. Only names with `__` are overrides, so that
//! `PATCHCORD_KEY` and the like stay free for `${…}`. List items are numbered: `PATCHCORD_NUMBERS__0__BOT`.

use std::collections::BTreeMap;

use super::keys::{self, Kind};
use super::problem::{Place, Problem, Refusal, Report, nearest};
use super::section::join;
use super::tree::{Node, Table, Value, from_json};

/// A set of variables.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own; what is not UTF-8 is left out.
    pub fn of_process() -> Environment {
        Environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// These variables.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Environment {
        Environment(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The value of `name`.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Writes every override into `root`.
    pub fn apply(&self, root: &mut Table, report: &Report) {
        for (name, value) in &self.0 {
            let Some(path) = name.strip_prefix(PREFIX).filter(|rest| rest.contains(SEPARATOR)) else {
                continue;
            };
            let words: Vec<String> = path.split(SEPARATOR).map(str::to_lowercase).collect();
            let place = Place::Variable(name.clone());
            let target = Target { name, place: &place, value };
            if let Err(refusal) = target.write(root, "", &words) {
                report.add(Problem {
                    key: String::new(),
                    place: place.clone(),
                    what: refusal.what,
                    cure: refusal.cure,
                    did_you_mean: refusal.did_you_mean,
                });
            }
        }
    }
}

/// One override on its way to its key.
struct Target<'a> {
    name: &'a str,
    place: &'a Place,
    value: &'a str,
}

impl Target<'_> {
    fn write(&self, table: &mut Table, pattern: &str, words: &[String]) -> Result<(), Refusal> {
        let Some((word, rest)) = words.split_first() else { return Err(self.unknown()) };
        let free =
            keys::children(pattern) == ["*"] || keys::find(pattern).is_some_and(|key| key.kind == Kind::Map);
        let name = if free { same_name(table, word) } else { word.clone() };
        let pattern = join(pattern, if free { "*" } else { word });
        if rest.is_empty() {
            let leaf = self.leaf(&pattern)?;
            table.put(&name, leaf);
            return Ok(());
        }
        if keys::find(&pattern).is_some_and(|key| key.kind == Kind::Later) {
            return Err(Refusal::later(&format!("\"{name}\"")));
        }
        if keys::is_parent(&format!("{pattern}[]")) {
            return self.write_item(table, &name, &pattern, rest);
        }
        if !keys::is_parent(&pattern) && !keys::find(&pattern).is_some_and(|key| key.kind == Kind::Map) {
            return Err(self.unknown());
        }
        let node = table.find_or_insert(&name, || self.node(Value::Table(Table::default())));
        match &mut node.value {
            Value::Table(below) => self.write(below, &pattern, rest),
            _ => Err(Refusal::new(format!("{name} is not a table in the file"), "mend the file first")),
        }
    }

    fn write_item(
        &self,
        table: &mut Table,
        name: &str,
        pattern: &str,
        rest: &[String],
    ) -> Result<(), Refusal> {
        let Some((index, rest)) = rest.split_first() else { return Err(self.unknown()) };
        let node = table.find_or_insert(name, || self.node(Value::List(Vec::new())));
        let Value::List(items) = &mut node.value else {
            return Err(Refusal::new(format!("{name} is not a list in the file"), "mend the file first"));
        };
        let position = index.parse::<usize>().ok().filter(|position| *position <= items.len());
        let Some(position) = position else {
            return Err(Refusal::new(
                format!("\"{index}\" is not the number of an item of {name}"),
                format!("0 to {}, the last one adds an item", items.len()),
            ));
        };
        if position == items.len() {
            items.push(self.node(Value::Table(Table::default())));
        }
        match items.get_mut(position).map(|item| &mut item.value) {
            Some(Value::Table(below)) => self.write(below, &format!("{pattern}[]"), rest),
            _ => Err(Refusal::new(format!("{name}[{position}] is not a table"), "mend the file first")),
        }
    }

    fn leaf(&self, pattern: &str) -> Result<Node, Refusal> {
        let kind = match keys::find(pattern) {
            Some(key) => key.kind,
            None if pattern.ends_with(".headers.*") => Kind::Text,
            None => return Err(self.unknown()),
        };
        let value = match kind {
            Kind::Text | Kind::Duration => Value::Text(self.value.to_owned()),
            Kind::Flag | Kind::FlagOrTable if self.value.parse::<bool>().is_ok() => {
                Value::Flag(self.value == "true")
            }
            Kind::Flag => self.value.parse().map_or_else(|_| Value::Text(self.value.to_owned()), Value::Flag),
            Kind::Whole => {
                self.value.parse().map_or_else(|_| Value::Text(self.value.to_owned()), Value::Whole)
            }
            Kind::List => {
                let words = self.value.split(',').map(str::trim).filter(|word| !word.is_empty());
                Value::List(words.map(|word| self.node(Value::Text(word.to_owned()))).collect())
            }
            Kind::Number => {
                self.value.parse().map_or_else(|_| Value::Text(self.value.to_owned()), Value::Fraction)
            }
            Kind::TextOrTable if !self.value.trim_start().starts_with('{') => {
                Value::Text(self.value.to_owned())
            }
            Kind::Map => {
                return Err(Refusal::new(
                    "a table needs the name of its key",
                    format!("{}__NAME=…", self.name),
                ));
            }
            Kind::Table | Kind::FlagOrTable | Kind::TextOrTable => match serde_json::from_str(self.value) {
                Ok(object) => return Ok(from_json(&object, self.place)),
                Err(_) => return Err(Refusal::new("this is not JSON", "write the table as a JSON object")),
            },
            Kind::Steps => {
                return Err(Refusal::new(
                    "the steps of a flow are not set by a variable",
                    "write them into the file",
                ));
            }
            Kind::Later => return Err(Refusal::later("this key")),
        };
        Ok(self.node(value))
    }

    fn node(&self, value: Value) -> Node {
        Node { place: self.place.clone(), value }
    }

    fn unknown(&self) -> Refusal {
        let known: Vec<String> = keys::KEYS.iter().map(|key| variable_of(key.path)).collect();
        Refusal {
            what: "no key has this name".to_owned(),
            cure: "only names of keys may have \"__\" after PATCHCORD_".to_owned(),
            did_you_mean: nearest(&self.name.to_lowercase(), known.iter().map(String::as_str))
                .map(|name| name.to_uppercase()),
        }
    }
}

/// The variable that overrides the key at `path`, in lower case.
fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace("[].", ".0.").replace('.', SEPARATOR)).to_lowercase()
}

/// The name in `table` that a variable's word means: case and `-` do not survive in variables.
fn same_name(table: &Table, word: &str) -> String {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let found = table.0.iter().find(|entry| plain(&entry.key) == plain(word));
    found.map_or_else(|| word.to_owned(), |entry| entry.key.clone())
}

const PREFIX: &str = "PATCHCORD_";
const SEPARATOR: &str = "__";

#[cfg(test)]
mod tests {
    use super::*;

    fn apply<const N: usize>(variables: [(&str, &str); N]) -> (Table, Option<String>) {
        let (mut table, report) = (Table::default(), Report::default());
        Environment::of(variables).apply(&mut table, &report);
        (table, report.into_problems().map(|problems| problems.to_string()))
    }

    #[test]
    fn only_names_with_two_underscores_are_overrides() {
        let (table, problems) = apply([("PATCHCORD_KEY", "x"), ("HTTP__LISTEN", "y"), ("PATH", "z")]);
        assert!(table.0.is_empty() && problems.is_none());
    }

    #[test]
    fn a_misspelt_override_is_refused_by_name() {
        let problems = apply([("PATCHCORD_HTTP__LISTN", "127.0.0.1:1")]).1.unwrap();
        assert!(problems.contains("$PATCHCORD_HTTP__LISTN"), "{problems}");
        assert!(problems.contains("did you mean \"PATCHCORD_HTTP__LISTEN\""), "{problems}");
    }
}
