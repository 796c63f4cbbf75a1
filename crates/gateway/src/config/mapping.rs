//! The table `mapping` of a bot or listener that speaks `custom` (seed 000 §9), its keys as on the wire.
//!
//! What the keys mean is decided in core; here its problems get the path and the place of their keys.

use std::sync::Arc;

use patchcord_core::dialect::{MAPPING_KEYS, Mapping, MappingProblem};
use serde_json::{Map, Value as Json};

use super::dialect_names::DialectName;
use super::problem::{Refusal, nearest};
use super::section::{Section, join};
use super::tree::{Node, Value};

/// Reads the table `mapping` beside `dialect`; it must stand with `custom` and with nothing else.
pub(super) fn read(section: &Section<'_>, dialect: Option<DialectName>) -> Option<Arc<Mapping>> {
    let is_custom = dialect.is_some_and(|dialect| dialect.as_str() == CUSTOM);
    if !section.has("mapping") {
        if is_custom {
            let cure = "write a table with messageType and its templates; see examples/";
            section.refuse("mapping", Refusal::new("the dialect custom needs a mapping", cure));
        }
        return None;
    }
    let entries = section.map("mapping");
    if dialect.is_some() && !is_custom {
        let cure = format!("leave it out of {}", section.path);
        section.refuse("mapping", Refusal::new(format!("only {CUSTOM} has this key"), cure));
    }
    let path = section.path_of("mapping");
    for (key, node) in entries.iter().filter(|(key, _)| !MAPPING_KEYS.contains(key)) {
        let refusal = Refusal {
            did_you_mean: nearest(key, MAPPING_KEYS.into_iter()),
            ..Refusal::new(format!("unknown key \"{key}\""), format!("one of: {}", MAPPING_KEYS.join(", ")))
        };
        section.report.refuse(&join(&path, key), &node.place, refusal);
    }
    let keys: Map<String, Json> = entries.iter().map(|(key, node)| ((*key).to_owned(), json(node))).collect();
    match Mapping::from_json(&keys) {
        Ok(mapping) => Some(Arc::new(mapping)),
        Err(problems) => {
            problems.into_iter().for_each(|problem| refuse(section, &entries, &path, problem));
            None
        }
    }
}

/// Notes a problem at the key it belongs to, or at the table where the key is missing.
fn refuse(section: &Section<'_>, entries: &[(&str, &Node)], path: &str, problem: MappingProblem) {
    let MappingProblem { key, line, column, what, cure } = problem;
    let name = key.split('.').next().unwrap_or(&key);
    let node = entries.iter().find(|(key, _)| *key == name);
    let place = node.map_or_else(|| section.place_of("mapping"), |(_, node)| node.place.clone());
    let what = match (line, column) {
        (1, 1) => what,
        (1, column) => format!("column {column} of the text: {what}"),
        (line, column) => format!("line {line}, column {column} of the text: {what}"),
    };
    section.report.refuse(&join(path, &key), &place, Refusal::new(what, cure));
}

/// What was written, as JSON.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Text(text) => text.as_str().into(),
        Value::Whole(number) => (*number).into(),
        Value::Fraction(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Table(table) => table.0.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect(),
        Value::Foreign(_) => Json::Bool(false),
    }
}

/// The dialect that a mapping belongs to.
pub const CUSTOM: &str = "custom";
