//! The JSON Schema of the fields that are taken from a transcript: read and compiled once, at the start.
//!
//! Structured output in its strict form wants every object closed and every property required, so that what is not
//! there has to be `null`. The operator writes an ordinary schema; it is brought into that form here. Sources: JSON
//! Schema 2020-12; the "Structured Outputs" guide of OpenAI for the strict form.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use boon::{CompileError, Compiler, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::{Map, Value, json};

use super::agent::ObjectSchema;
use super::contradictions;
use super::extraction_answer::complete;
use super::problem::Refusal;
use super::section::Setting;
use super::tree::Node;

/// The fields that are wanted of a transcript.
#[derive(Clone)]
pub struct ExtractionSchema {
    strict: Arc<Value>,
    compiled: Arc<(Schemas, SchemaIndex)>,
}

/// Why an answer is not what the schema wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The field of the schema that is wrong; `None` where it is the answer as a whole.
    pub field: Option<String>,
}

impl ExtractionSchema {
    /// Takes a schema.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead: no properties, no schema, a reference that leads out of it.
    pub fn new(schema: &ObjectSchema) -> Result<Self, Refusal> {
        let mut schema = schema.as_json().clone();
        let fields = schema.get("properties").and_then(Value::as_object).map_or(0, Map::len);
        if fields == 0 {
            return Err(Refusal::new("the schema has no properties: nothing would be extracted", CURE));
        }
        if fields > FIELDS_MAX {
            let what = format!("the schema has {fields} fields, {FIELDS_MAX} are allowed");
            return Err(Refusal::new(what, "ask for fewer fields"));
        }
        // What the operator wrote is what an error speaks of.
        compile(&schema)?;
        if let Some(what) = contradictions::find(&schema) {
            return Err(Refusal::new(
                format!("the schema cannot be: {what}"),
                "say what a value may be there",
            ));
        }
        close(&mut schema, Missing::EveryField);
        let compiled = compile(&schema)?;
        Ok(Self { strict: Arc::new(schema), compiled: Arc::new(compiled) })
    }

    /// Reads a schema.
    ///
    /// # Errors
    /// As [`ExtractionSchema::new`], and where it is no JSON.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        ObjectSchema::from_text(text).and_then(|schema| Self::new(&schema))
    }

    /// The schema in its strict form.
    pub fn strict(&self) -> &Value {
        &self.strict
    }

    /// Whether services take it as strict: every object in it has its properties listed, every array its items.
    pub fn is_strict(&self) -> bool {
        is_listed(&self.strict)
    }

    /// The names of the fields.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let properties = self.strict.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str))
    }

    /// Takes an answer that fits; what it lacks is `null`, and what was not asked for is dropped.
    ///
    /// # Errors
    /// [`Misfit`], which holds nothing of the answer.
    pub fn admit(&self, mut answer: Value) -> Result<Map<String, Value>, Misfit> {
        let (schemas, index) = &*self.compiled;
        // An object of other things is another answer, and none in which nothing was said.
        let said = answer.as_object().filter(|fields| !fields.is_empty());
        if said.is_some_and(|fields| !self.fields().any(|name| fields.contains_key(name))) {
            return Err(Misfit { field: None });
        }
        complete(&self.strict, &self.strict, &mut answer, DEPTH_MAX);
        if let Err(error) = schemas.validate(&answer, *index) {
            return Err(Misfit { field: self.culprit(&error) });
        }
        match answer {
            Value::Object(fields) => Ok(fields),
            _ => Err(Misfit { field: None }),
        }
    }

    /// The name of the field that an error is about. Other names may be words of the answer.
    fn culprit(&self, error: &ValidationError<'_, '_>) -> Option<String> {
        let mut error = error;
        loop {
            if let Some(boon::InstanceToken::Prop(name)) = error.instance_location.tokens.first() {
                return self.fields().find(|field| *field == &**name).map(str::to_owned);
            }
            error = error.causes.first()?;
        }
    }
}

impl Setting for ExtractionSchema {
    fn from_node(node: &Node) -> Result<Self, Refusal> {
        ObjectSchema::from_node(node).and_then(|schema| Self::new(&schema))
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        Self::parse(text)
    }
}

impl fmt::Debug for ExtractionSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExtractionSchema").field(&self.strict).finish()
    }
}

impl PartialEq for ExtractionSchema {
    fn eq(&self, other: &Self) -> bool {
        self.strict == other.strict
    }
}

impl Eq for ExtractionSchema {}

/// A schema refers to nothing outside itself.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, _url: &str) -> Result<Value, Box<dyn Error>> {
        Err("the schema refers to another document".into())
    }
}

fn compile(schema: &Value) -> Result<(Schemas, SchemaIndex), Refusal> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.use_loader(Box::new(Nowhere));
    let refusal = |error: CompileError| {
        let what = format!("{error:#}").replace(PLACE, "").replace('\n', " ");
        Refusal::new(format!("the schema cannot be: {what}"), CURE)
    };
    compiler.add_resource(PLACE, schema.clone()).map_err(refusal)?;
    let index = compiler.compile(PLACE, &mut schemas).map_err(refusal)?;
    Ok((schemas, index))
}

/// Which properties of an object may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// All: nobody has to say anything on the telephone.
    EveryField,
    /// Those that are not required.
    Optional,
}

/// Closes every object and requires every property; what may be missing may be null instead.
fn close(schema: &mut Value, missing: Missing) {
    let Some(object) = schema.as_object_mut() else { return };
    let required: Vec<Value> = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, property) in properties.iter_mut() {
            close(property, Missing::Optional);
            let is_required = required.iter().any(|required| required == name.as_str());
            if missing == Missing::EveryField || !is_required {
                allow_null(property);
            }
        }
        let names = properties.keys().map(|name| Value::from(name.as_str())).collect();
        object.insert("required".to_owned(), names);
        object.insert("additionalProperties".to_owned(), false.into());
    }
    for key in ["items", "not", "additionalItems"] {
        if let Some(below) = object.get_mut(key) {
            close(below, Missing::Optional);
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        for below in object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            close(below, Missing::Optional);
        }
    }
    for key in ["$defs", "definitions"] {
        for (_, below) in object.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten() {
            close(below, Missing::Optional);
        }
    }
}

/// Whether nothing in a schema is an object with any properties or an array of anything.
fn is_listed(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => {
            let names = |kind: &str| {
                object.get("type").is_some_and(|kinds| {
                    *kinds == kind
                        || kinds.as_array().is_some_and(|several| several.iter().any(|one| one == kind))
                })
            };
            let is_open = (names("object") && !object.contains_key("properties"))
                || (names("array") && !object.contains_key("items"));
            !is_open && object.values().all(is_listed)
        }
        Value::Array(list) => list.iter().all(is_listed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn allow_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    let branches = object.get("anyOf").and_then(Value::as_array);
    if branches.is_some_and(|branches| branches.iter().any(|branch| branch["type"] == "null")) {
        return;
    }
    let is_typed = object.contains_key("type") || object.contains_key("enum");
    if !is_typed || COMPOSED.iter().any(|key| object.contains_key(*key)) {
        let whole = schema.take();
        *schema = json!({ "anyOf": [whole, { "type": "null" }] });
        return;
    }
    match object.get_mut("type") {
        Some(Value::String(one)) if one != "null" => {
            let one = std::mem::take(one);
            object.insert("type".to_owned(), json!([one, "null"]));
        }
        Some(Value::Array(several)) if !several.iter().any(|one| one == "null") => {
            several.push("null".into())
        }
        _ => {}
    }
    if let Some(Value::Array(values)) = object.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

/// The words of a schema that say more of a value than which it may be.
const COMPOSED: [&str; 7] = ["anyOf", "oneOf", "allOf", "$ref", "const", "not", "if"];
/// How deep an answer is looked into for what it lacks.
const DEPTH_MAX: u32 = 32;
/// Fields that are taken from a transcript.
const FIELDS_MAX: usize = 200;
/// What the compiler calls the schema.
const PLACE: &str = "https://schema.invalid/fields.json";
const CURE: &str = "a JSON Schema: {\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}}}; see extraction.md";

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> ExtractionSchema {
        ExtractionSchema::parse(text).unwrap()
    }

    const DEALER: &str = r##"{
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "fuel": {"type": "string", "enum": ["petrol", "diesel"]},
            "kind": {"enum": ["new", "used"]},
            "budget": {"type": ["integer", "null"], "minimum": 0},
            "visit": {"type": "object", "required": ["day"], "properties": {"day": {"type": "string"}, "hour": {"type": "integer"}}},
            "models": {"type": "array", "items": {"$ref": "#/$defs/model"}},
            "first": {"$ref": "#/$defs/model"}
        },
        "$defs": {"model": {"type": "object", "properties": {"name": {"type": "string"}}}}
    }"##;

    #[test]
    fn every_object_is_closed_and_what_nobody_has_to_say_may_be_null() {
        let dealer = schema(DEALER);
        let strict = dealer.strict();
        let property = |name: &str| &strict["properties"][name];
        assert_eq!(property("name"), &json!({"type": ["string", "null"]}));
        assert_eq!(
            property("fuel"),
            &json!({"type": ["string", "null"], "enum": ["petrol", "diesel", null]})
        );
        assert_eq!(property("kind"), &json!({"enum": ["new", "used", null]}));
        assert_eq!(property("budget"), &json!({"type": ["integer", "null"], "minimum": 0}));
        assert_eq!(property("visit")["required"], json!(["day", "hour"]));
        assert_eq!(property("visit")["properties"]["day"], json!({"type": "string"}));
        assert_eq!(property("visit")["properties"]["hour"], json!({"type": ["integer", "null"]}));
        assert_eq!(property("first"), &json!({"anyOf": [{"$ref": "#/$defs/model"}, {"type": "null"}]}));
        assert_eq!(strict["$defs"]["model"]["additionalProperties"], json!(false));
        assert_eq!(strict["required"].as_array().unwrap().len(), 7);
        assert_eq!(dealer.fields().count(), 7);
        assert_eq!(ExtractionSchema::parse(&strict.to_string()).unwrap().strict(), strict, "it is stable");
    }

    #[test]
    fn an_answer_that_fits_is_taken_and_another_is_not_and_no_word_of_it_is_told() {
        let dealer = schema(DEALER);
        let right = json!({"name": "<script>", "fuel": null, "kind": "new", "budget": 5, "visit": null,
            "models": [{"name": null}], "first": {"name": "x"}});
        assert_eq!(dealer.admit(right.clone()).unwrap()["name"], "<script>");
        for (field, value, culprit) in [
            ("budget", json!("secret-7"), Some("budget")),
            ("fuel", json!("secret-7"), Some("fuel")),
            ("visit", json!({"hour": 1}), Some("visit")),
            ("models", json!([{"name": 1, "secret-7": 2}]), Some("models")),
            ("first", json!(["secret-7"]), Some("first")),
        ] {
            let mut wrong = right.clone();
            wrong[field] = value;
            let misfit = dealer.admit(wrong).unwrap_err();
            assert_eq!(misfit.field.as_deref(), culprit, "{field}");
            assert!(!format!("{misfit:?}").contains("secret-7"));
        }
        assert_eq!(dealer.admit(json!([])).unwrap_err().field, None);
        assert_eq!(dealer.admit(json!({"secret-7": 1})).unwrap_err().field, None, "another answer");
        assert!(dealer.admit(json!({})).unwrap().values().all(Value::is_null), "nothing was said");
        let sparse = dealer.admit(json!({"name": "x", "visit": {"day": "Monday"}, "secret-7": 1})).unwrap();
        assert_eq!(
            sparse.len(),
            dealer.fields().count(),
            "what was not said is null, what was not asked for is none"
        );
        assert_eq!((&sparse["fuel"], &sparse["visit"]["hour"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_map_or_a_list_of_anything_is_asked_for_without_the_strict_form() {
        let of = |property: &str| {
            schema(&format!(r#"{{"type": "object", "properties": {{"a": {property}}}}}"#)).is_strict()
        };
        assert!(of(r#"{"type": "array", "items": {"type": "string"}}"#) && schema(DEALER).is_strict());
        assert!(!of(r#"{"type": "array"}"#));
        assert!(!of(r#"{"type": ["object", "null"], "additionalProperties": {"type": "string"}}"#));
    }

    #[test]
    fn a_schema_that_cannot_be_is_refused_with_what_is_wrong() {
        let of = |property: &str| format!(r#"{{"type": "object", "properties": {{"a": {property}}}}}"#);
        for (text, word) in [
            ("{".to_owned(), "not JSON"),
            ("[]".to_owned(), "not a JSON object"),
            (r#"{"type": "string"}"#.to_owned(), "not that of an object"),
            (r#"{"type": "object", "properties": {}}"#.to_owned(), "no properties"),
            (of(r#"{"type": "strnig"}"#), "/properties/a/type"),
            (of(r#"{"type": "string", "pattern": "("}"#), "cannot be"),
            (of(r#"{"minimum": "x"}"#), "cannot be"),
            (of(r#"{"minimum": 2, "maximum": 1}"#), "/properties/a has minimum 2 above maximum 1"),
            (of(r##"{"$ref": "#/$defs/b"}"##), "cannot be"),
            (of(r#"{"$ref": "file:///etc/passwd"}"#), "another document"),
            (of(r#"{"$ref": "http://a.example/b"}"#), "another document"),
        ] {
            let refusal = ExtractionSchema::parse(&text).unwrap_err();
            assert!(refusal.what.contains(word), "{text}: {refusal:?}");
            assert!(!refusal.what.contains("schema.invalid") && !refusal.cure.is_empty(), "{refusal:?}");
        }
        let wide: Map<String, Value> =
            (0..201).map(|n| (format!("f{n}"), json!({"type": "string"}))).collect();
        let wide = json!({"type": "object", "properties": wide}).to_string();
        assert!(ExtractionSchema::parse(&wide).unwrap_err().what.contains("201"));
    }
}
