//! What a JSON Schema says that no value can fit; compilers take it, and every answer would fail.

use serde_json::{Map, Value};

/// The first contradiction in `schema`, with its place; `None` where there is none that can be seen.
pub(super) fn find(schema: &Value) -> Option<String> {
    look(schema, &mut String::new())
}

fn look(schema: &Value, place: &mut String) -> Option<String> {
    let told = |place: &str, what: String| {
        Some(format!("{} {what}", if place.is_empty() { "the schema" } else { place }))
    };
    let Some(object) = schema.as_object() else {
        return (*schema == Value::Bool(false)).then(|| format!("{place} allows no value"));
    };
    if object.get("not").is_some_and(|not| *not == Value::Bool(true) || *not == Value::Object(Map::new())) {
        return told(place, "allows no value: its \"not\" is everything".to_owned());
    }
    for (least, most) in BOUNDS {
        let bound = |key: &str| object.get(key).and_then(Value::as_f64);
        if let (Some(low), Some(high)) = (bound(least), bound(most))
            && low > high
        {
            return told(place, format!("has {least} {low} above {most} {high}"));
        }
    }
    if let (Some(kinds), Some(values)) = (object.get("type"), object.get("enum").and_then(Value::as_array))
        && !values.iter().any(|value| is_of(kinds, value))
    {
        return told(place, "has no value in its enum that is of its type".to_owned());
    }
    let length = place.len();
    for (key, below) in object {
        let parts: Vec<(String, &Value)> = match below {
            Value::Object(named) if NAMED.contains(&key.as_str()) => {
                named.iter().map(|(name, part)| (format!("/{key}/{name}"), part)).collect()
            }
            Value::Array(list) if key == "allOf" || key == "prefixItems" => {
                list.iter().enumerate().map(|(at, part)| (format!("/{key}/{at}"), part)).collect()
            }
            part if key == "items" => vec![(format!("/{key}"), part)],
            _ => continue,
        };
        for (name, part) in parts {
            place.push_str(&name);
            let found = look(part, place);
            if found.is_some() {
                return found;
            }
            place.truncate(length);
        }
    }
    None
}

/// Whether a value is of the type, or of one of the types, that a schema names.
fn is_of(kinds: &Value, value: &Value) -> bool {
    match kinds {
        Value::Array(several) => several.iter().any(|kind| is_of(kind, value)),
        kind => match kind.as_str() {
            Some("string") => value.is_string(),
            Some("number") => value.is_number(),
            Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Some("boolean") => value.is_boolean(),
            Some("null") => value.is_null(),
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            _ => true,
        },
    }
}

/// Bounds that belong together (JSON Schema 2020-12, validation §6).
const BOUNDS: [(&str, &str); 4] = [
    ("minLength", "maxLength"),
    ("minimum", "maximum"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
];
/// The words whose value is an object of schemas.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_value_can_fit_is_told_with_its_place() {
        for (property, wanted) in [
            (json!({"minLength": 5, "maxLength": 2}), "/properties/a has minLength 5 above maxLength 2"),
            (json!({"minimum": 5, "maximum": 1.5}), "/properties/a has minimum 5 above maximum 1.5"),
            (
                json!({"type": "integer", "enum": ["x"]}),
                "/properties/a has no value in its enum that is of its type",
            ),
            (json!(false), "/properties/a allows no value"),
            (json!({"not": {}}), "/properties/a allows no value: its \"not\" is everything"),
            (
                json!({"items": {"not": true}}),
                "/properties/a/items allows no value: its \"not\" is everything",
            ),
        ] {
            let schema = json!({"properties": {"good": {"type": "string"}, "a": property}});
            assert_eq!(find(&schema).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn what_a_value_can_fit_is_left_alone() {
        for schema in [
            json!({"properties": {"a": {"minLength": 2, "maxLength": 2, "not": {"const": ""}}}}),
            json!({"properties": {"a": {"type": ["integer", "null"], "enum": [1, "x"], "minimum": 0}}}),
            json!({"$defs": {"b": true}, "properties": {"not": {"type": "string"}, "a": {"$ref": "#/$defs/b"}}}),
            json!({"anyOf": [false, {"type": "object"}]}),
        ] {
            assert_eq!(find(&schema), None, "{schema}");
        }
    }
}
