//! Finds keys that nobody declared, and keys whose feature is not in this version.

use super::keys::{self, Kind};
use super::problem::{Problem, Refusal, Report, nearest};
use super::section::join;
use super::tree::{Table, Value};

/// Notes every unknown or unbuilt key of `table`, which stands at `pattern` (as declared) and `path` (as written).
pub(super) fn check(table: &Table, pattern: &str, path: &str, report: &Report) {
    let known = keys::children(pattern);
    let free = known == ["*"];
    for entry in &table.0 {
        let path = join(path, &entry.key);
        if !free && !known.contains(&entry.key.as_str()) {
            report.add(Problem {
                key: path,
                place: entry.place.clone(),
                what: format!("unknown key \"{}\"", entry.key),
                cure: format!("one of: {}", served(pattern, &known).join(", ")),
                did_you_mean: nearest(&entry.key, known.iter().copied()),
            });
            continue;
        }
        let pattern = join(pattern, if free { "*" } else { &entry.key });
        match keys::find(&pattern).map(|key| key.kind) {
            Some(Kind::Later) => report.refuse(&path, &entry.place, Refusal::later(&format!("\"{path}\""))),
            Some(_) => {}
            None => check_below(&entry.node.value, &pattern, &path, report),
        }
    }
}

fn check_below(value: &Value, pattern: &str, path: &str, report: &Report) {
    match value {
        Value::Table(below) => check(below, pattern, path, report),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                check_below(&item.value, &format!("{pattern}[]"), &format!("{path}[{index}]"), report);
            }
        }
        // Another kind than declared: the reader of the section says so.
        Value::Text(_) | Value::Whole(_) | Value::Fraction(_) | Value::Flag(_) | Value::Foreign(_) => {}
    }
}

fn served<'a>(pattern: &str, names: &[&'a str]) -> Vec<&'a str> {
    let later = |name: &str| keys::find(&join(pattern, name)).is_some_and(|key| key.kind == Kind::Later);
    names.iter().copied().filter(|name| !later(name)).collect()
}
