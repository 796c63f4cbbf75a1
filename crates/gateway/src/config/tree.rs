//! The file as a tree of values that know where they were written.
//!
//! TOML, the JSON of an import and environment variables all become [`Node`]s here, so that everything after
//! this file has one shape to read and one way to say where.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem, Report};

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it was written.
    pub place: Place,
    /// What was written.
    pub value: Value,
}

/// What can be written.
#[derive(Debug, Clone)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Whole(i64),
    /// A number with a fraction.
    Fraction(f64),
    /// `true` or `false`.
    Flag(bool),
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(Table),
    /// A kind of value that no key takes: a date, no number at all, an integer beyond 64 bits.
    Foreign(&'static str),
}

impl Value {
    /// The kind, for a sentence.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Whole(_) => "a whole number",
            Value::Fraction(_) => "a fraction",
            Value::Flag(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Foreign(kind) => kind,
        }
    }
}

/// A table in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Table(pub Vec<Entry>);

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

impl Table {
    /// The value of `key`.
    pub fn find(&self, key: &str) -> Option<&Node> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The value of `key` for a change.
    pub fn find_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    /// The value of `key` for a change, made by `new` when it is missing.
    pub fn find_or_insert(&mut self, key: &str, new: impl FnOnce() -> Node) -> &mut Node {
        let index = match self.0.iter().position(|entry| entry.key == key) {
            Some(index) => index,
            None => {
                let node = new();
                self.0.push(Entry { key: key.to_owned(), place: node.place.clone(), node });
                self.0.len() - 1
            }
        };
        &mut self.0[index].node
    }

    /// Puts `node` under `key`, in the place of what stood there.
    pub fn put(&mut self, key: &str, node: Node) {
        match self.0.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.node = node,
            None => self.insert_if_absent(key, node),
        }
    }

    /// Puts `node` under `key` unless something stands there.
    pub fn insert_if_absent(&mut self, key: &str, node: Node) {
        self.find_or_insert(key, || node);
    }
}

/// Reads TOML; syntax errors go to `report`, and what could be read is returned.
pub fn parse_toml(text: &str, file: &Arc<str>, report: &Report) -> Table {
    let source = Source { file, line_starts: line_starts(text), text };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.add(Problem {
            key: String::new(),
            place: source.place(error.span().unwrap_or(0..0)),
            what: format!("not TOML: {}", error.message()),
            cure: "strings stand in double quotes, tables in [brackets]".to_owned(),
            did_you_mean: None,
        });
    }
    source.table(document.get_ref())
}

/// Turns one TOML value (a declared default) into a node.
pub fn parse_default(literal: &str) -> Option<Node> {
    let value = DeValue::parse(literal).ok()?;
    let file: Arc<str> = Arc::from("");
    let mut node = Source { file: &file, line_starts: vec![0], text: literal }.node(&value);
    node.settle(&Place::Default);
    Some(node)
}

/// Turns a JSON value of an imported file into a node.
pub fn from_json(value: &serde_json::Value, place: &Place) -> Node {
    let value = match value {
        serde_json::Value::Null => Value::Foreign("null"),
        serde_json::Value::Bool(flag) => Value::Flag(*flag),
        serde_json::Value::Number(number) => {
            let fraction = || number.as_f64().map_or(Value::Foreign("a number"), Value::Fraction);
            number.as_i64().map_or_else(fraction, Value::Whole)
        }
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(items) => {
            Value::List(items.iter().map(|item| from_json(item, place)).collect())
        }
        serde_json::Value::Object(fields) => Value::Table(Table(
            fields
                .iter()
                .map(|(key, field)| Entry {
                    key: key.clone(),
                    place: place.clone(),
                    node: from_json(field, place),
                })
                .collect(),
        )),
    };
    Node { place: place.clone(), value }
}

impl Node {
    /// Gives the node and all below it one place.
    fn settle(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.settle(place)),
            Value::Table(table) => {
                for entry in &mut table.0 {
                    entry.place = place.clone();
                    entry.node.settle(place);
                }
            }
            Value::Text(_) | Value::Whole(_) | Value::Fraction(_) | Value::Flag(_) | Value::Foreign(_) => {}
        }
    }
}

/// A text with its lines, to turn byte offsets into places.
struct Source<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl Source<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= span.start).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..span.start).unwrap_or("");
        Place::File { file: self.file.clone(), line, column: before.chars().count() + 1 }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        Table(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    key: key.get_ref().to_string(),
                    place: self.place(key.span()),
                    node: self.node(value),
                })
                .collect(),
        )
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Foreign("a number beyond 64 bits"), Value::Whole),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Float(number) => fraction(number.as_str()),
            DeValue::Datetime(_) => Value::Foreign("a date"),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { place, value }
    }
}

fn fraction(text: &str) -> Value {
    let number = text.replace('_', "").parse::<f64>().ok().filter(|number| number.is_finite());
    number.map_or(Value::Foreign("no number"), Value::Fraction)
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(index, _)| index + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line_and_column() {
        let report = Report::default();
        let table = parse_toml("# Ω\n[server]\nid = \"delhi\"\n", &"f".into(), &report);
        let Some(Node { value: Value::Table(server), .. }) = table.find("server") else { panic!("no table") };
        let entry = &server.0[0];
        assert_eq!((entry.place.to_string(), entry.node.place.to_string()), ("f:3:1".into(), "f:3:6".into()));
        assert!(report.into_problems().is_none());
    }

    #[test]
    fn several_syntax_errors_are_found_in_one_reading() {
        let report = Report::default();
        parse_toml("[server]\nid = delhi\n[http]\nlisten = 'x\n", &"f".into(), &report);
        let problems = report.into_problems().unwrap();
        assert!(problems.0.len() >= 2, "{problems}");
    }
}
