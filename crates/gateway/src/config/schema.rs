//! The table of keys as a JSON Schema (draft 2020-12), for editors and for tools that write configurations.
//!
//! It knows names, kinds, defaults and closed sets of words. What depends on more than one key is left to
//! `config check`.

use serde_json::{Map, Value, json};

use patchcord_core::dialect::registry;

use super::flows::STEP_KEYS;
use super::keys::{self, Declaration, Default, Kind};
use super::section::join;
use super::tree::parse_default;

/// The schema of the whole file.
pub fn json_schema() -> Value {
    let mut schema = table("");
    let head = [
        ("$schema", "https://json-schema.org/draft/2020-12/schema"),
        ("title", "Patchcord"),
        ("description", "The configuration of `patchcord serve`, a TOML file."),
    ];
    if let Value::Object(fields) = &mut schema {
        fields.extend(head.map(|(name, text)| (name.to_owned(), text.into())));
    }
    schema
}

/// The table at `pattern` as declared; empty for the file itself.
fn table(pattern: &str) -> Value {
    let names = keys::children(pattern);
    if names == ["*"] {
        let below = table(&join(pattern, "*"));
        return json!({ "type": "object", "additionalProperties": below });
    }
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    for name in &names {
        let path = join(pattern, name);
        let items = format!("{path}[]");
        let property = match keys::find(&path) {
            Some(key) if key.kind == Kind::Later => continue,
            Some(key) => {
                if matches!(key.default, Default::Required) {
                    required.push(name);
                }
                value(key)
            }
            None if keys::is_parent(&items) => json!({ "type": "array", "items": table(&items) }),
            None => table(&path),
        };
        properties.insert((*name).to_owned(), property);
    }
    // A file that is taken in may bring what would be required beside it.
    let is_importing = properties.contains_key("import");
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    match (required.is_empty(), is_importing) {
        (true, _) => {}
        (false, false) => schema["required"] = required.into(),
        (false, true) => {
            schema["anyOf"] = json!([{ "required": required }, { "required": ["import"] }]);
        }
    }
    schema
}

/// The value of one key.
fn value(key: &Declaration) -> Value {
    let mut schema = match key.kind {
        Kind::Text => text(&words(key)),
        Kind::Duration => json!({ "type": "string", "pattern": DURATION }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Number => json!({ "type": "number", "minimum": 0 }),
        Kind::TextOrTable => json!({ "type": ["string", "object"] }),
        Kind::List => json!({ "type": "array", "items": { "type": "string", "minLength": 1 } }),
        Kind::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Table => {
            let strings = json!({ "type": "object", "additionalProperties": { "type": "string" } });
            json!({ "type": "object", "additionalProperties": { "anyOf": [{ "type": "string" }, strings] } })
        }
        Kind::Steps => {
            let known: Map<String, Value> =
                STEP_KEYS.iter().map(|key| ((*key).to_owned(), json!({}))).collect();
            let step = json!({ "type": "object", "properties": known, "additionalProperties": false });
            json!({ "type": "array", "minItems": 1, "items": step })
        }
        Kind::FlagOrTable => {
            let values = json!({ "anyOf": [{ "type": "string" }, { "type": "boolean" }] });
            json!({ "anyOf": [{ "type": "boolean" }, { "type": "object", "additionalProperties": values }] })
        }
        Kind::Later => Value::Bool(false),
    };
    let restart = if key.restart { " A new value waits for a restart." } else { "" };
    schema["description"] = format!("{}{restart}", key.sentence).into();
    if let Default::Is(literal) = key.default
        && let Some(node) = parse_default(literal)
    {
        schema["default"] = super::print::to_json(&node.value, false);
    }
    if key.secret {
        schema["writeOnly"] = true.into();
    }
    schema
}

/// A string: one of `words` where there are any, or what `${…}` makes of it.
fn text(words: &[&str]) -> Value {
    if words.is_empty() {
        return json!({ "type": "string", "minLength": 1 });
    }
    json!({ "type": "string", "anyOf": [{ "enum": words }, { "pattern": SUBSTITUTION }] })
}

/// The words that a key takes, where they are a closed set.
fn words(key: &Declaration) -> Vec<&'static str> {
    if key.path.ends_with(".dialect") {
        return registry::DIALECTS.iter().map(|row| row.name).collect();
    }
    key.words.to_vec()
}

/// What stands for something else: an environment variable or a file.
const SUBSTITUTION: &str = r"\$\{[^}]+\}";

/// `250ms`, `30s`, `5m`, `4h`, or what stands for it.
const DURATION: &str = r"^[0-9]+(ms|s|m|h)$|\$\{[^}]+\}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_this_version_stands_in_the_schema_with_its_sentence() {
        let schema = json_schema();
        for key in keys::KEYS {
            let pointer = key.path.split('.').fold(String::new(), |pointer, word| {
                match (word, word.strip_suffix("[]")) {
                    ("*", _) => format!("{pointer}/additionalProperties"),
                    (_, Some(list)) => format!("{pointer}/properties/{list}/items"),
                    (word, None) => format!("{pointer}/properties/{word}"),
                }
            });
            let found = schema.pointer(&pointer);
            assert_eq!(found.is_some(), key.kind != Kind::Later, "{pointer}");
            let described = found.map(|found| found["description"].as_str().unwrap());
            assert!(described.is_none_or(|sentence| sentence.starts_with(key.sentence)), "{pointer}");
        }
    }

    #[test]
    fn a_default_and_the_words_of_a_key_are_told() {
        let schema = json_schema();
        let format = &schema["properties"]["log"]["properties"]["format"];
        assert_eq!(format["default"], "auto");
        assert_eq!(format["anyOf"][0]["enum"], json!(["auto", "human", "json"]));
        let listen = &schema["properties"]["sip"]["properties"]["listen"];
        assert_eq!(listen["default"], json!(["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]));
        let bot = &schema["properties"]["bots"]["additionalProperties"];
        assert_eq!(bot["anyOf"][0]["required"], json!(["url", "dialect"]));
        assert!(
            bot["properties"]["dialect"]["anyOf"][0]["enum"].as_array().unwrap().contains(&"smartpbx".into())
        );
    }

    #[test]
    fn the_words_of_a_key_are_those_that_the_reader_takes() {
        let taken = |key: &Declaration, word: &str| {
            let (section, name) = key.path.rsplit_once('.').unwrap();
            let text = match section {
                "numbers[]" => format!("[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\n{name} = \"{word}\"\n"),
                "bots.*" => {
                    format!("[bots.a]\nurl = \"ws://h/\"\ndialect = \"smartpbx\"\n{name} = \"{word}\"\n")
                }
                "http.keys[]" => {
                    format!("[[http.keys]]\nname = \"a\"\nkey = \"0123456789abcdef\"\n{name} = \"{word}\"\n")
                }
                "trunks[]" => format!("[[trunks]]\nname = \"c\"\nhost = \"h\"\n{name} = \"{word}\"\n"),
                section => format!("[{section}]\n{name} = \"{word}\"\n"),
            };
            super::super::Config::parse(&text)
        };
        for key in keys::KEYS.iter().filter(|key| !key.words.is_empty()) {
            for word in key.words {
                assert!(taken(key, word).is_ok(), "{} = {word}: {:?}", key.path, taken(key, word));
            }
            assert!(taken(key, "klingon").is_err(), "{} takes any word", key.path);
        }
    }
}
