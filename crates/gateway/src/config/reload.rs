//! A reload: the file once more, for a program that is running.
//!
//! What needs a restart keeps the value that it runs with, and the whole is checked like any configuration: a file
//! that is right by itself may be wrong for a port that stays open. Either everything is taken, or nothing.

use std::path::Path;

use super::changes::Changes;
use super::environment::Environment;
use super::keys;
use super::problem::{Problem, Problems};
use super::tree::{Node, Table, Value};
use super::{Loaded, folder_of, load, read};

impl Loaded {
    /// Reads `file` again, as [`load`] did, while `self` is in effect. Returns what is to be in effect, and what
    /// that changes.
    ///
    /// # Errors
    /// Every problem of the file, or of the file with what stays until a restart.
    pub fn reload(
        &self,
        file: Option<&Path>,
        environment: &Environment,
    ) -> Result<(Loaded, Changes), Problems> {
        // Where no file is named and the one that was found is gone, it is missed: it did not become empty.
        let fresh = load(file.or(self.file.as_deref()), environment)?;
        let changes = Changes::between(&self.shown, &fresh.shown);
        if changes.restart.is_empty() {
            return Ok((fresh, changes));
        }
        let mut root = fresh.root.0;
        for key in keys::KEYS.iter().filter(|key| key.restart) {
            match key.path.split_once("[]") {
                Some((list, _)) => keep_list(&mut root, &self.root.0, list),
                None => keep_value(&mut root, &self.root.0, key.path),
            }
        }
        let folder = fresh.file.as_deref().map_or_else(|| Path::new("."), folder_of);
        let kept = read(root, folder).map_err(|problems| blame(problems, &changes.restart))?;
        Ok((Loaded { file: fresh.file, ..kept }, changes))
    }
}

/// Gives `root` the value that `running` has at `path`, or none where `running` has none.
fn keep_value(root: &mut Table, running: &Table, path: &str) {
    let Some((section, name)) = path.rsplit_once('.') else { return };
    let found = section.split('.').try_fold(running, |table, word| table.find(word).and_then(as_table));
    match found.and_then(|table| table.find(name)) {
        Some(node) => {
            let place = node.place.clone();
            let new_table = || Node { place: place.clone(), value: Value::Table(Table::default()) };
            let mut table = root;
            for word in section.split('.') {
                match &mut table.find_or_insert(word, new_table).value {
                    Value::Table(below) => table = below,
                    _ => return,
                }
            }
            table.put(name, node.clone());
        }
        None => {
            let mut table = root;
            for word in section.split('.') {
                let entry = table.0.iter_mut().find(|entry| entry.key == word);
                match entry.map(|entry| &mut entry.node.value) {
                    Some(Value::Table(below)) => table = below,
                    _ => return,
                }
            }
            table.0.retain(|entry| entry.key != name);
        }
    }
}

/// Gives `root` the items of `list` that `running` has, each as `root` describes it where it does.
fn keep_list(root: &mut Table, running: &Table, list: &str) {
    let fresh = named_items(root, list);
    let kept: Vec<Node> = named_items(running, list)
        .into_iter()
        .map(|(name, item)| {
            fresh.iter().find(|(same, _)| *same == name).map_or(item, |(_, item)| item.clone())
        })
        .collect();
    root.0.retain(|entry| entry.key != list);
    if let Some(node) = running.find(list) {
        root.put(list, Node { place: node.place.clone(), value: Value::List(kept) });
    }
}

/// The items of `list`, each with the value of its first key, and how many before it have the same.
fn named_items(root: &Table, list: &str) -> Vec<((String, usize), Node)> {
    let Some(Value::List(items)) = root.find(list).map(|node| &node.value) else { return Vec::new() };
    let first_key = keys::children(&format!("{list}[]")).first().copied().unwrap_or_default();
    let mut named: Vec<((String, usize), Node)> = Vec::with_capacity(items.len());
    for item in items {
        let name = match as_table(item).and_then(|table| table.find(first_key)).map(|node| &node.value) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let before = named.iter().filter(|((same, _), _)| *same == name).count();
        named.push(((name, before), item.clone()));
    }
    named
}

fn as_table(node: &Node) -> Option<&Table> {
    match &node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// Says of each problem that it comes from what a restart would change.
fn blame(problems: Problems, restart: &[&'static str]) -> Problems {
    let waiting = restart.join(", ");
    let blamed = |problem: Problem| Problem {
        cure: format!("the file is right, but {waiting} changes at a restart only: restart"),
        ..problem
    };
    Problems(problems.0.into_iter().map(blamed).collect())
}
