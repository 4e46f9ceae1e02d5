//! JSON that satisfies a JSON schema, for answers and tool arguments.
//!
//! In: a schema, a random stream. Out: a value. Invariant: always ends, with at most
//! [`NODES_MAX`] values; satisfies `type`, `enum`, `const`, `required`, `properties`, `items`, the
//! bounds on numbers, lengths and items, `anyOf`, `oneOf` and local `$ref`. Not here: `pattern`,
//! `not`, `allOf`, `uniqueItems`, conditions. A schema that asks for more than the bounds give, or
//! that is its own required part, gets less than it asks for.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// Values in one answer: far above a real schema, so that a hostile one cannot fill the memory.
const NODES_MAX: usize = 4096;
/// Nesting of one answer, references included: providers allow five to ten.
const DEPTH_MAX: usize = 24;
/// From this depth on only what is required is written, so that recursive schemas end.
const DEPTH_SPARSE: usize = 4;
/// Longest string made for a `minLength`, in characters.
const STRING_CHARS_MAX: usize = 4096;
/// Integers up to here are exact in a float: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// Words of made-up strings.
const WORDS: [&str; 8] = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbour"];

/// A value that satisfies the schema.
pub(super) fn example(schema: &Value, rng: &mut ChaCha8Rng) -> Value {
    Maker { root: schema, rng, nodes_left: NODES_MAX }.value(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    rng: &'a mut ChaCha8Rng,
    nodes_left: usize,
}

impl<'a> Maker<'a> {
    fn value(&mut self, schema: &'a Value, depth: usize) -> Value {
        if self.nodes_left == 0 {
            return Value::Null;
        }
        self.nodes_left -= 1;
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(choices) = schema["enum"].as_array().filter(|it| !it.is_empty()) {
            return choices[self.rng.random_range(0..choices.len())].clone();
        }
        if let Some(path) = schema["$ref"].as_str().and_then(|it| it.strip_prefix('#')) {
            return match self.root.pointer(path) {
                Some(target) => self.value(target, depth + 1),
                None => Value::Null,
            };
        }
        if let Some(branch) = branch(schema, depth) {
            return self.value(branch, depth + 1);
        }
        match kind(schema, depth) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" => self.integer(schema),
            "number" => self.number(schema),
            "boolean" => Value::Bool(self.rng.random()),
            "null" => Value::Null,
            _ => self.string(schema),
        }
    }

    /// The required properties; where none is required, all of them.
    fn object(&mut self, schema: &'a Value, depth: usize) -> Value {
        let required: Vec<&str> = match schema["required"].as_array() {
            Some(names) => names.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        };
        let properties = schema["properties"].as_object();
        let names = match properties {
            Some(all) if required.is_empty() && depth < DEPTH_SPARSE => {
                all.keys().map(String::as_str).collect()
            }
            _ => required,
        };
        let mut object = Map::new();
        for name in names {
            // A name that is required but nowhere described may be anything.
            let value = match properties.and_then(|it| it.get(name)) {
                Some(property) => self.value(property, depth + 1),
                None => Value::String(self.word().to_owned()),
            };
            object.insert(name.to_owned(), value);
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &'a Value, depth: usize) -> Value {
        let usual = if depth < DEPTH_SPARSE { 2 } else { 0 };
        let most = size(schema, "maxItems").unwrap_or(usize::MAX);
        let len = size(schema, "minItems").unwrap_or(0).max(usual).min(most);
        let items = schema.get("items").unwrap_or(&Value::Null);
        let mut array = Vec::new();
        while array.len() < len && self.nodes_left > 0 {
            array.push(self.value(items, depth + 1));
        }
        Value::Array(array)
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let step = schema["multipleOf"].as_i64().filter(|it| *it > 0).unwrap_or(1);
        let (low, high) = bounds(schema, 1.0);
        let [low, high] =
            [low.ceil(), high.floor()].map(|it| it.clamp(-EXACT_MAX, EXACT_MAX) as i64);
        let (first, last) = (-(-low).div_euclid(step), high.div_euclid(step));
        let drawn = if first < last { self.rng.random_range(first..=last) } else { first };
        json!(drawn.saturating_mul(step))
    }

    fn number(&mut self, schema: &Value) -> Value {
        if schema["multipleOf"].as_i64().is_some() {
            return self.integer(schema);
        }
        let (low, high) = bounds(schema, 0.001);
        json!(low + (high - low) * self.rng.random::<f64>())
    }

    fn string(&mut self, schema: &Value) -> Value {
        let fixed = match schema["format"].as_str() {
            Some("date-time") => Some("2025-01-31T12:00:00Z"),
            Some("date") => Some("2025-01-31"),
            Some("time") => Some("12:00:00Z"),
            Some("email") => Some("someone@example.com"),
            Some("uri") => Some("https://example.com/"),
            Some("uuid") => Some("00000000-0000-4000-8000-000000000000"),
            _ => None,
        };
        if let Some(fixed) = fixed {
            return json!(fixed);
        }
        let least = size(schema, "minLength").unwrap_or(0).min(STRING_CHARS_MAX);
        let most = size(schema, "maxLength").unwrap_or(STRING_CHARS_MAX);
        let mut text = self.word().to_owned();
        while text.len() < least {
            text.push(' ');
            text.push_str(self.word());
        }
        // The words are ASCII: bytes are characters.
        text.truncate(most.max(least).min(text.len()));
        Value::String(text)
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.rng.random_range(0..WORDS.len())]
    }
}

/// The alternative to follow: the first, or deep down the first that is not nested further.
fn branch(schema: &Value, depth: usize) -> Option<&Value> {
    let branches = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array())?;
    let flat =
        |it: &&Value| it.get("$ref").is_none() && !matches!(kind(it, depth), "object" | "array");
    let shallow = branches.iter().find(flat).filter(|_| depth >= DEPTH_SPARSE);
    shallow.or_else(|| branches.first())
}

/// The type to make: of a list of types the first that is not null, deep down null if allowed.
fn kind(schema: &Value, depth: usize) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            let nullable = kinds.clone().any(|it| it == "null");
            match nullable && depth >= DEPTH_SPARSE {
                true => "null",
                false => kinds.find(|it| *it != "null").unwrap_or("null"),
            }
        }
        _ if schema.get("properties").is_some() || schema.get("required").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

fn size(schema: &Value, name: &str) -> Option<usize> {
    schema[name].as_u64().map(|it| usize::try_from(it).unwrap_or(usize::MAX))
}

/// The closed range to draw a number from; `step` keeps it off an exclusive bound.
fn bounds(schema: &Value, step: f64) -> (f64, f64) {
    let above = schema["exclusiveMinimum"].as_f64().map(|it| it + step);
    let below = schema["exclusiveMaximum"].as_f64().map(|it| it - step);
    let low = schema["minimum"].as_f64().into_iter().chain(above).reduce(f64::max);
    let high = schema["maximum"].as_f64().into_iter().chain(below).reduce(f64::min);
    match (low, high) {
        (Some(low), Some(high)) => (low, high.max(low)),
        (Some(low), None) => (low, low + 100.0),
        (None, Some(high)) => (high - 100.0, high),
        (None, None) => (0.0, 100.0),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn make(schema: &Value) -> Value {
        example(schema, &mut ChaCha8Rng::seed_from_u64(3))
    }

    #[test]
    fn values_satisfy_their_schema() {
        let check = |schema: Value, holds: fn(&Value) -> bool| {
            for seed in 0..50 {
                let value = example(&schema, &mut ChaCha8Rng::seed_from_u64(seed));
                assert!(holds(&value), "{schema}: {value}");
            }
        };
        check(json!({"type": "integer", "minimum": 3, "maximum": 5}), |it| {
            (3..=5).contains(&it.as_i64().unwrap())
        });
        check(json!({"type": "integer", "exclusiveMinimum": -8, "multipleOf": 7}), |it| {
            it.as_i64().unwrap() >= -7 && it.as_i64().unwrap() % 7 == 0
        });
        check(json!({"type": "number", "maximum": -1.5}), |it| it.as_f64().unwrap() <= -1.5);
        check(json!({"type": "string", "minLength": 30, "maxLength": 31}), |it| {
            (30..=31).contains(&it.as_str().unwrap().len())
        });
        check(json!({"type": "string", "maxLength": 2}), |it| it.as_str().unwrap().len() <= 2);
        check(json!({"enum": ["a", 2]}), |it| it == "a" || it == 2);
        check(json!({"type": ["null", "boolean"]}), Value::is_boolean);
        check(json!({"anyOf": [{"const": 4}, {"type": "string"}]}), |it| it == 4);
        check(json!({"type": "array", "items": {"type": "boolean"}, "minItems": 3}), |it| {
            it.as_array().unwrap().len() == 3 && it[2].is_boolean()
        });
        check(
            json!({"properties": {"a": {"type": "null"}, "b": {}}, "required": ["a", "c"]}),
            |it| it.as_object().unwrap().len() == 2 && it["a"].is_null() && it["c"].is_string(),
        );
        check(json!({"$ref": "#/$defs/x", "$defs": {"x": {"type": "boolean"}}}), Value::is_boolean);
    }

    #[test]
    fn recursive_and_hostile_schemas_end() {
        let tree = json!({
            "type": "object",
            "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
            "required": ["children"],
        });
        assert!(make(&tree)["children"][0]["children"].is_array());
        let list = json!({
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
            "required": ["next"],
        });
        assert_eq!(make(&list), json!({"next": {"next": null}}));
        make(&json!({"$ref": "#"}));
        make(&json!({"type": "integer", "minimum": 1e300, "maximum": -1e300}));
        make(&json!({"type": "integer", "minimum": i64::MIN, "multipleOf": i64::MAX}));
        make(&json!({"type": "string", "minLength": u64::MAX}));
        let wide = json!({"type": "array", "minItems": u64::MAX, "items": {"$ref": "#"}});
        assert!(make(&wide).to_string().len() < 100 * NODES_MAX);
    }
}
