//! `[bots.X] import = "provider.json"`: the config object of seed 004, taken as it is.
//!
//! The object's fields become keys of the bot (`media.audioFormat` → `audio.encoding`); keys that stand beside
//! `import` win. The dialect is smartpbx.

use std::path::Path;
use std::sync::Arc;

use super::problem::{Place, Problem, Refusal, Report, nearest};
use super::section::join;
use super::tree::{Node, Table, Value, from_json};

/// Takes every import of `[bots]` into the tree.
pub(super) fn apply(root: &mut Table, folder: &Path, report: &Report) {
    let Some(bots) = root.0.iter_mut().find(|entry| entry.key == "bots") else { return };
    let Value::Table(bots) = &mut bots.node.value else { return };
    for entry in &mut bots.0 {
        let path = format!("bots.{}.import", entry.key);
        let Value::Table(bot) = &mut entry.node.value else { continue };
        let Some(import) = bot.find("import") else { continue };
        let place = import.place.clone();
        let result = match &import.value {
            Value::Text(file) => take_in(bot, &file.clone(), folder, report),
            _ => Err(super::section::wrong_kind(import, "the name of a JSON file")),
        };
        if let Err(refusal) = result {
            report.refuse(&path, &place, refusal);
        }
    }
}

fn take_in(bot: &mut Table, file: &str, folder: &Path, report: &Report) -> Result<(), Refusal> {
    let text = std::fs::read_to_string(folder.join(file)).map_err(|error| {
        let cure = "paths start at the folder of the configuration file";
        Refusal::new(format!("the file {file} cannot be read: {error}"), cure)
    })?;
    let object: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        let what = format!("{file}:{}:{}: not JSON", error.line(), error.column());
        Refusal::new(what, "the provider's config object: { \"name\", \"media\", \"websocket\" }")
    })?;
    let place = Place::Import(Arc::from(file));
    let root = from_json(&object, &place);
    let Value::Table(fields) = &root.value else {
        return Err(Refusal::new(format!("{file} holds {}", root.value.kind()), "a JSON object"));
    };
    bot.insert_if_absent("dialect", Node { place: place.clone(), value: Value::Text("smartpbx".to_owned()) });
    let importer = Importer { place: &place, report };
    importer.table(bot, fields, "", FIELDS);
    Ok(())
}

struct Importer<'a> {
    place: &'a Place,
    report: &'a Report,
}

impl Importer<'_> {
    /// Moves the known fields of one JSON object to their keys; notes the unknown ones.
    fn table(&self, bot: &mut Table, fields: &Table, path: &str, known: &[(&str, &str)]) {
        for entry in &fields.0 {
            let full = join(path, &entry.key);
            let target = known.iter().find(|(field, _)| *field == full);
            match (target, &entry.node.value) {
                (Some((_, "")), Value::Table(below)) => self.table(bot, below, &full, known),
                (Some((_, "")), _) => {
                    self.report.refuse(
                        &full,
                        self.place,
                        super::section::wrong_kind(&entry.node, "an object"),
                    );
                }
                (Some((_, key)), _) => self.put(bot, key, &entry.node),
                (None, _) => self.report.add(Problem {
                    key: full.clone(),
                    place: self.place.clone(),
                    what: format!("unknown field \"{}\"", entry.key),
                    cure: "name, media.audioFormat, media.sampleRate, websocket.url, websocket.headers"
                        .to_owned(),
                    did_you_mean: nearest(&full, known.iter().map(|(field, _)| *field)),
                }),
            }
        }
    }

    fn put(&self, bot: &mut Table, key: &str, node: &Node) {
        let Some(("audio", key)) = key.split_once('.') else {
            bot.insert_if_absent(key, node.clone());
            return;
        };
        let new = || Node { place: self.place.clone(), value: Value::Table(Table::default()) };
        if let Value::Table(audio) = &mut bot.find_or_insert("audio", new).value {
            audio.insert_if_absent(key, node.clone());
        }
    }
}

/// The object's fields and the bot's keys; an empty key for objects that hold further fields.
const FIELDS: &[(&str, &str)] = &[
    ("name", "name"),
    ("media", ""),
    ("media.audioFormat", "audio.encoding"),
    ("media.sampleRate", "audio.sample_rate"),
    ("websocket", ""),
    ("websocket.url", "url"),
    ("websocket.headers", "headers"),
];
