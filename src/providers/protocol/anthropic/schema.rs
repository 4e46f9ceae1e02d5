//! Whether Anthropic's own structured outputs take a JSON schema.
//!
//! In: a schema. Out: yes or no. Invariant: a schema that is not understood is not taken; it is then
//! asked for by a tool that must be called. Source: Anthropic's page on structured outputs (2026).

use serde_json::{Map, Value};

/// Keywords whose value is a map of schemas.
const MAPS: [&str; 3] = ["properties", "$defs", "definitions"];
/// Keywords whose value is a schema, or a list of them.
const SCHEMAS: [&str; 3] = ["items", "anyOf", "allOf"];
/// Keywords that are taken, whatever their value.
const PLAIN: [&str; 11] = [
    "type",
    "title",
    "description",
    "required",
    "enum",
    "const",
    "default",
    "format",
    "$ref",
    "$schema",
    "examples",
];

/// Whether it is taken: every object closed, no keyword that is refused, no recursion.
pub(super) fn is_taken(schema: &Value) -> bool {
    // serde_json reads at most 128 levels, which bounds this recursion.
    match schema {
        Value::Object(fields) => closed(fields) && fields.iter().all(|(key, it)| field(key, it)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            false
        }
    }
}

fn field(key: &str, value: &Value) -> bool {
    if MAPS.contains(&key) {
        return value.as_object().is_some_and(|it| it.values().all(is_taken));
    }
    if SCHEMAS.contains(&key) {
        return value.as_array().map_or_else(|| is_taken(value), |it| it.iter().all(is_taken));
    }
    match key {
        // A reference from below the root to the root is a recursion.
        "$ref" => value.as_str().is_some_and(|it| it.starts_with("#/")),
        "additionalProperties" => *value == Value::Bool(false),
        "minItems" => value.as_u64().is_some_and(|it| it <= 1),
        _ => PLAIN.contains(&key),
    }
}

fn closed(fields: &Map<String, Value>) -> bool {
    let is_object = match fields.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|it| it == "object"),
        _ => fields.contains_key("properties"),
    };
    !is_object || fields.get("additionalProperties") == Some(&Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_closed_and_plain_schemas_are_taken() {
        let check = |schema: Value, wanted| assert_eq!(is_taken(&schema), wanted, "{schema}");
        let place = json!({
            "type": "object",
            "properties": {
                "minimum": { "type": "number" },
                "tags": { "type": "array", "items": { "enum": ["a", "b"] }, "minItems": 1 },
                "zone": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
            },
            "additionalProperties": false,
        });
        check(place, true);
        check(json!({ "type": "object" }), false);
        check(json!({ "properties": {} }), false);
        check(json!({ "type": "number", "minimum": 1 }), false);
        check(json!({ "type": "string", "pattern": "a+" }), false);
        check(json!({ "type": "array", "items": { "type": "object" } }), false);
        check(json!({ "anyOf": [{ "type": "array", "minItems": 2 }] }), false);
        check(json!({ "$ref": "https://example.org/a" }), false);
        check(json!({ "$ref": "#" }), false);
        check(json!(true), false);
    }
}
