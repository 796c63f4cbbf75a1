//! A JSON Schema of an object, as fields and arguments of tools are described: checked for what cannot be.
//!
//! Not a validator: what a word of the schema means to a value is for those who use it.

use serde_json::{Map, Value as Json};

use super::super::mapping::json;
use super::super::problem::Refusal;
use super::super::section::{Setting, wrong_kind};
use super::super::tree::{Node, Value};

/// A JSON Schema whose instances are objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectSchema(Json);

impl ObjectSchema {
    /// The schema itself.
    pub fn as_json(&self) -> &Json {
        &self.0
    }

    /// The schema of an object without properties.
    pub fn without_properties() -> Self {
        Self(serde_json::json!({ "type": "object", "properties": {} }))
    }

    /// Takes a schema.
    ///
    /// # Errors
    /// A sentence that says where in it what cannot be.
    pub fn new(schema: Json) -> Result<Self, String> {
        let object = schema.as_object().ok_or("the schema is not a JSON object")?;
        if object.get("type").and_then(Json::as_str) != Some("object") {
            return Err("the schema is not that of an object: \"type\": \"object\" is missing".to_owned());
        }
        check(object, "", 0)?;
        Ok(Self(schema))
    }
}

impl Setting for ObjectSchema {
    fn from_node(node: &Node) -> Result<Self, Refusal> {
        match &node.value {
            Value::Text(text) => Self::from_text(text),
            Value::Table(_) => Self::new(json(node)).map_err(|what| Refusal::new(what, CURE)),
            _ => Err(wrong_kind(node, "JSON, or a table")),
        }
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        let schema: Json = serde_json::from_str(text)
            .map_err(|error| Refusal::new(format!("the schema is not JSON: {error}"), CURE))?;
        Self::new(schema).map_err(|what| Refusal::new(what, CURE))
    }
}

/// Checks a schema at `path`.
fn check(schema: &Map<String, Json>, path: &str, depth: usize) -> Result<(), String> {
    let at = |word: &str| format!("{path}/{word}");
    if depth > DEPTH_MAX {
        return Err(format!("{path} is nested deeper than {DEPTH_MAX} levels"));
    }
    match schema.get("type") {
        None => {}
        Some(Json::String(word)) if TYPES.contains(&word.as_str()) => {}
        Some(Json::Array(words))
            if !words.is_empty() && words.iter().all(|word| word.as_str().is_some_and(is_type)) => {}
        Some(_) => return Err(format!("{} is none of {}", at("type"), TYPES.join(", "))),
    }
    for word in ["properties", "$defs", "definitions", "patternProperties"] {
        let Some(below) = schema.get(word) else { continue };
        let below = below.as_object().ok_or_else(|| format!("{} is not an object", at(word)))?;
        for (name, property) in below {
            check_any(property, &format!("{}/{name}", at(word)), depth)?;
        }
    }
    for word in ["items", "additionalProperties", "not", "contains", "propertyNames"] {
        if let Some(below) = schema.get(word) {
            check_any(below, &at(word), depth)?;
        }
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        let Some(below) = schema.get(word) else { continue };
        let below = below.as_array().filter(|list| !list.is_empty());
        for (index, one) in
            below.ok_or_else(|| format!("{} is not a list of schemas", at(word)))?.iter().enumerate()
        {
            check_any(one, &format!("{}/{index}", at(word)), depth)?;
        }
    }
    if let Some(words) = schema.get("enum")
        && words.as_array().is_none_or(Vec::is_empty)
    {
        return Err(format!("{} is not a list of values", at("enum")));
    }
    check_required(schema, path)
}

fn check_required(schema: &Map<String, Json>, path: &str) -> Result<(), String> {
    let Some(required) = schema.get("required") else { return Ok(()) };
    let names: Option<Vec<&str>> =
        required.as_array().and_then(|names| names.iter().map(Json::as_str).collect());
    let names = names.ok_or_else(|| format!("{path}/required is not a list of names"))?;
    let properties = schema.get("properties").and_then(Json::as_object);
    let unknown = names.iter().find(|name| properties.is_none_or(|known| !known.contains_key(**name)));
    match unknown {
        Some(name) => Err(format!("{path}/required names \"{name}\", which is none of the properties")),
        None => Ok(()),
    }
}

fn check_any(schema: &Json, path: &str, depth: usize) -> Result<(), String> {
    match schema {
        Json::Bool(_) => Ok(()),
        Json::Object(object) => check(object, path, depth + 1),
        _ => Err(format!("{path} is not a schema")),
    }
}

fn is_type(word: &str) -> bool {
    TYPES.contains(&word)
}

const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];
const CURE: &str =
    "a JSON Schema: {\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}}}";
/// Levels of a schema.
const DEPTH_MAX: usize = 32;
