//! The effective configuration as it may be shown: every key, its value, where it came from, secrets masked.

use std::fmt::Write as _;

use super::keys::{self, Declaration, Default, Kind};
use super::problem::Place;
use super::secret::{MASK, Secret};
use super::section::join;
use super::tree::{Node, Table, Value, parse_default};
use super::url::mask_query;

/// One key as it is in effect.
#[derive(Debug, Clone)]
pub struct ShownKey {
    /// The table it stands in, as written: `bots.sales`, `numbers[0]`.
    pub section: String,
    /// The key's own name.
    pub name: String,
    /// Its value, masked where it is secret.
    pub value: serde_json::Value,
    /// Where it came from.
    pub place: Place,
    /// Its declared path.
    pub(super) pattern: &'static str,
    /// Its value unmasked, to compare with.
    pub(super) exact: Secret,
}

impl ShownKey {
    /// The entry of a user's table or list that the key stands in, and that table or list as declared:
    /// `bots.sales` of `bots`, `numbers[0]` of `numbers[]`.
    pub(super) fn entry(&self) -> Option<(String, &'static str)> {
        let (table, tail) = match self.pattern.split_once(".*") {
            Some(halves) => halves,
            None => {
                let end = self.pattern.find("[]")? + "[]".len();
                self.pattern.split_at(end)
            }
        };
        let path = join(&self.section, &self.name);
        Some((path.strip_suffix(tail).unwrap_or(&path).to_owned(), table))
    }
}

/// Every key in effect, in the order of the declarations.
pub(super) fn effective(root: &Table) -> Vec<ShownKey> {
    let mut shown = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for section in sections() {
        if done.contains(&section) {
            continue;
        }
        // The tables of an item stand with it: TOML gives them to the item before.
        let mut nested: Vec<&str> = sections().filter(|other| is_inside_item(section, other)).collect();
        nested.dedup();
        for (path, table) in instances(root, section) {
            show_section(section, &path, table, &mut shown);
            for below in &nested {
                let of_item = |(found, _): &(String, _)| found.starts_with(&format!("{path}."));
                for (path, table) in instances(root, below).into_iter().filter(of_item) {
                    show_section(below, &path, table, &mut shown);
                }
            }
        }
        done.push(section);
        done.extend(nested);
    }
    shown
}

/// The tables as declared, each as often as it has keys.
fn sections() -> impl Iterator<Item = &'static str> {
    keys::KEYS.iter().filter_map(|key| Some(key.path.rsplit_once('.')?.0))
}

fn is_inside_item(list: &str, other: &str) -> bool {
    list.ends_with("[]") && other.strip_prefix(list).is_some_and(|rest| rest.starts_with('.'))
}

fn show_section(section: &str, path: &str, table: Option<&Table>, shown: &mut Vec<ShownKey>) {
    let keys = keys::KEYS.iter().filter(|key| key.path.rsplit_once('.').is_some_and(|(s, _)| s == section));
    shown.extend(keys.filter_map(|key| show(key, path, table)));
}

/// Writes keys as TOML with the place of each behind it.
pub fn to_toml(keys: &[ShownKey]) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in keys {
        if key.section != section {
            section = &key.section;
            let header = match section.split_once('[') {
                Some((name, item)) => match item.split_once("].") {
                    Some((_, below)) => format!("[{name}.{below}]"),
                    None => format!("[[{name}]]"),
                },
                None => format!("[{}]", quoted_path(section)),
            };
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{header}");
        }
        let value = toml::Value::try_from(&key.value).map(|value| value.to_string()).unwrap_or_default();
        let _ = writeln!(text, "{:<48} # {}", format!("{} = {value}", key.name), key.place);
    }
    text
}

/// The tables that `pattern` means, with their paths; a fixed table that is absent counts as empty.
fn instances<'a>(root: &'a Table, pattern: &str) -> Vec<(String, Option<&'a Table>)> {
    let mut found = vec![(String::new(), Some(root))];
    for word in pattern.split('.') {
        let (word, is_list) = word.strip_suffix("[]").map_or((word, false), |word| (word, true));
        found = found.into_iter().flat_map(|(path, table)| step(&path, table, word, is_list)).collect();
    }
    found
}

fn step<'a>(
    path: &str,
    table: Option<&'a Table>,
    word: &str,
    is_list: bool,
) -> Vec<(String, Option<&'a Table>)> {
    let as_table = |node: &'a Node| match &node.value {
        Value::Table(table) => Some(table),
        _ => None,
    };
    if word == "*" {
        let entries = table.map(|table| table.0.as_slice()).unwrap_or_default();
        return entries.iter().map(|entry| (join(path, &entry.key), as_table(&entry.node))).collect();
    }
    let node = table.and_then(|table| table.find(word));
    let path = join(path, word);
    if !is_list {
        return vec![(path, node.and_then(as_table))];
    }
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => {
            items.iter().enumerate().map(|(i, item)| (format!("{path}[{i}]"), as_table(item))).collect()
        }
        _ => Vec::new(),
    }
}

fn show(key: &Declaration, section: &str, table: Option<&Table>) -> Option<ShownKey> {
    if key.kind == Kind::Later {
        return None;
    }
    let (_, name) = key.path.rsplit_once('.')?;
    let node = match (table.and_then(|table| table.find(name)), key.default) {
        (Some(node), _) => node.clone(),
        (None, Default::Is(literal)) => parse_default(literal)?,
        (None, Default::Required | Default::Absent(_)) => return None,
    };
    let mut value = to_json(&node.value, key.secret);
    mask_queries(&mut value);
    let exact = Secret::new(to_json(&node.value, false).to_string());
    let (section, name) = (section.to_owned(), name.to_owned());
    Some(ShownKey { section, name, value, place: node.place, pattern: key.path, exact })
}

/// Masks the query of every URL, wherever it stands: keys are given in them.
fn mask_queries(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) if is_url(text) => *text = mask_query(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(mask_queries),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(mask_queries),
        _ => {}
    }
}

fn is_url(text: &str) -> bool {
    text.contains("://") && !text.contains(char::is_whitespace)
}

pub(super) fn to_json(value: &Value, secret: bool) -> serde_json::Value {
    match value {
        Value::Table(table) => {
            table.0.iter().map(|entry| (entry.key.clone(), to_json(&entry.node.value, secret))).collect()
        }
        _ if secret => MASK.into(),
        Value::Text(text) => text.as_str().into(),
        Value::Whole(number) => (*number).into(),
        Value::Fraction(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::List(items) => items.iter().map(|item| to_json(&item.value, secret)).collect(),
        Value::Foreign(kind) => (*kind).into(),
    }
}

fn quoted_path(path: &str) -> String {
    match path.strip_prefix("bots.") {
        Some(name) if name.contains('.') && !name.ends_with(".audio") => format!("bots.\"{name}\""),
        _ => path.to_owned(),
    }
}
