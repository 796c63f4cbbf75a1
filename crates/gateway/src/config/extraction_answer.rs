//! A model's answer, brought to the strict form of the schema: services that know no structured output leave out what
//! was not said and add what was not asked for.

use serde_json::{Map, Value};

/// Adds `null` for every property of `schema` that `answer` lacks, and drops what `schema` does not know. `root` is the
/// whole schema, for its references.
pub(super) fn complete(root: &Value, schema: &Value, answer: &mut Value, depth: u32) {
    let Some(schema) = depth.checked_sub(1).and_then(|_| shape(root, schema, answer, REFERENCES_MAX)) else {
        return;
    };
    match answer {
        Value::Object(fields) => {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            fields.retain(|name, _| properties.contains_key(name));
            for (name, property) in properties {
                let value = fields.entry(name.as_str()).or_insert(Value::Null);
                complete(root, property, value, depth - 1);
            }
        }
        Value::Array(items) => {
            let Some(of_items) = schema.get("items") else { return };
            items.iter_mut().for_each(|item| complete(root, of_items, item, depth - 1));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The part of a schema that says what an object or an array looks like: behind references, and in the only branch
/// that speaks of one.
fn shape<'a>(
    root: &'a Value,
    schema: &'a Value,
    answer: &Value,
    references: u32,
) -> Option<&'a Map<String, Value>> {
    let object = schema.as_object()?;
    let below = references.checked_sub(1)?;
    if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
        return shape(root, root.pointer(reference.strip_prefix('#')?)?, answer, below);
    }
    let word = if answer.is_object() { "properties" } else { "items" };
    if object.contains_key(word) {
        return Some(object);
    }
    let branches = ["anyOf", "oneOf"].into_iter().filter_map(|key| object.get(key)?.as_array()).flatten();
    let mut speaking = branches.filter_map(|branch| shape(root, branch, answer, below));
    let found = speaking.next()?;
    (found.contains_key(word) && speaking.next().is_none()).then_some(found)
}

/// The text inside a fence of Markdown, if that is all there is.
pub fn unfenced(text: &str) -> &str {
    let inner = text.trim().strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let inner = inner.map(|inner| inner.trim_start_matches(|c: char| c.is_ascii_alphanumeric()));
    inner.unwrap_or(text)
}

/// References that lead to references.
const REFERENCES_MAX: u32 = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn completed(schema: &Value, mut answer: Value) -> Value {
        complete(schema, schema, &mut answer, 64);
        answer
    }

    #[test]
    fn what_an_answer_lacks_is_null_and_what_it_adds_is_dropped_at_every_depth() {
        let schema = json!({
            "properties": {
                "name": { "type": "string" },
                "visit": { "anyOf": [{ "properties": { "day": {}, "hour": {} } }, { "type": "null" }] },
                "models": { "type": "array", "items": { "$ref": "#/$defs/model" } },
            },
            "$defs": { "model": { "properties": { "name": {}, "year": {} } } },
        });
        assert_eq!(completed(&schema, json!({})), json!({"name": null, "visit": null, "models": null}));
        let answer = json!({"visit": {"day": "Monday", "x": 1}, "models": [{"name": "XUV"}, 7], "y": 2});
        assert_eq!(
            completed(&schema, answer),
            json!({
                "name": null, "visit": {"day": "Monday", "hour": null},
                "models": [{"name": "XUV", "year": null}, 7],
            })
        );
    }

    #[test]
    fn a_schema_that_leads_in_circles_or_two_ways_leaves_the_answer_as_it_is() {
        let circle = json!({"properties": {"a": {"$ref": "#/properties/a"}}});
        assert_eq!(completed(&circle, json!({"a": {"b": 1}})), json!({"a": {"b": 1}}));
        let endless = json!({"properties": {"a": {"$ref": "#"}}});
        assert_eq!(completed(&endless, json!({"a": {"a": {}}})), json!({"a": {"a": {"a": null}}}));
        let either = json!({"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]});
        assert_eq!(completed(&either, json!({"b": 1})), json!({"b": 1}));
    }

    #[test]
    fn a_fence_around_an_answer_is_none_of_it() {
        for fenced in ["```json\n{\"a\": 1}\n```", " ```\n{\"a\": 1}```\n", "{\"a\": 1}"] {
            let value: Value = serde_json::from_str(unfenced(fenced)).unwrap();
            assert_eq!(value, json!({"a": 1}), "{fenced}");
        }
        assert_eq!(unfenced("```"), "```");
    }
}
