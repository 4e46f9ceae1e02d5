//! A JSON value held against a caller's JSON schema, with bounded work.
//!
//! In: a schema that a stranger wrote, a value that a model wrote. Out: a [`Verdict`]. Invariant:
//! nothing is fetched; a schema whose evaluation could take long is not judged by. Not here: what
//! follows from the verdict.
//!
//! A small schema can mean endless work: references that lead back to themselves, or that double at
//! every step. So [`Walk`] first counts the steps that this schema takes on this value.

use jsonschema::PatternOptions;
use serde_json::Value;

/// Largest schema that is judged by, in bytes of its keys and strings and one for every value:
/// several times what providers' own strict modes take.
const SCHEMA_BYTES_MAX: usize = 256 << 10;
/// Most regular expressions in it; each costs up to [`PATTERN_BYTES_MAX`].
const PATTERNS_MAX: usize = 64;
/// Largest compiled regular expression, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// Most steps of an evaluation: some tens of milliseconds.
const STEPS_MAX: usize = 100_000;
/// Deepest evaluation, in subschemas: serde_json reads at most 128 levels of value, most schemas
/// take one or two references per level.
const LEVELS_MAX: usize = 512;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The value satisfies the schema.
    Satisfied,
    /// It does not.
    Violated,
    /// The schema is wrong, refers elsewhere, or asks for too much work.
    NotJudged,
}

/// Holds the value against the schema.
pub(super) fn judge(schema: &Value, value: &Value) -> Verdict {
    let mut size = Size::default();
    let mut walk = Walk { root: schema, steps: 0 };
    if size.add(schema, 0).is_none() || walk.step(schema, value, 0).is_none() {
        return Verdict::NotJudged;
    }
    // This engine takes time linear in the text, but knows no look-around: then it does not build.
    let patterns =
        PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    match jsonschema::options().offline().with_pattern_options(patterns).build(schema) {
        Ok(validator) if validator.is_valid(value) => Verdict::Satisfied,
        Ok(_) => Verdict::Violated,
        Err(_) => Verdict::NotJudged,
    }
}

/// How large a schema is.
#[derive(Default)]
struct Size {
    bytes: usize,
    patterns: usize,
}

impl Size {
    /// Adds a part of the schema; `None` once it is too large, or has parts with names of their own,
    /// so that its references mean something else than [`Walk`] takes them for.
    fn add(&mut self, part: &Value, level: usize) -> Option<()> {
        self.bytes += 1;
        match part {
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.bytes += key.len();
                    match key.as_str() {
                        "pattern" => self.patterns += 1,
                        "patternProperties" => {
                            self.patterns += value.as_object().map_or(0, serde_json::Map::len);
                        }
                        "$id" | "id" if level > 0 && value.is_string() => return None,
                        _ => {}
                    }
                    self.add(value, level + 1)?;
                }
            }
            Value::Array(items) => {
                items.iter().try_for_each(|it| self.add(it, level + 1))?;
            }
            Value::String(text) => self.bytes += text.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        (self.bytes <= SCHEMA_BYTES_MAX && self.patterns <= PATTERNS_MAX).then_some(())
    }
}

/// An evaluation of a schema, as far as its steps are concerned: it goes wherever a validator may.
struct Walk<'a> {
    root: &'a Value,
    steps: usize,
}

impl<'a> Walk<'a> {
    /// Takes the steps of one subschema on one value; `None` when they are too many.
    fn step(&mut self, schema: &'a Value, value: &Value, level: usize) -> Option<()> {
        self.count(1)?;
        let Value::Object(fields) = schema else { return Some(()) };
        let deeper = (level < LEVELS_MAX).then_some(level + 1)?;
        for (key, part) in fields {
            match key.as_str() {
                "$ref" => self.step(self.target(part)?, value, deeper)?,
                "$dynamicRef" | "$recursiveRef" => return None,
                "enum" => self.count(part.as_array().map_or(0, Vec::len))?,
                "not" | "if" | "then" | "else" => self.step(part, value, deeper)?,
                "allOf" | "anyOf" | "oneOf" | "dependentSchemas" | "dependencies" => {
                    children(part).try_for_each(|it| self.step(it, value, deeper))?;
                }
                "properties" => {
                    for (name, part) in part.as_object().into_iter().flatten() {
                        self.count(1)?;
                        value.get(name).map_or(Some(()), |it| self.step(part, it, deeper))?;
                    }
                }
                "patternProperties" | "prefixItems" => {
                    children(part).try_for_each(|it| self.each(it, value, deeper))?;
                }
                "items"
                | "additionalItems"
                | "contains"
                | "unevaluatedItems"
                | "additionalProperties"
                | "propertyNames"
                | "unevaluatedProperties" => {
                    let list = part.as_array().map(Vec::as_slice);
                    let parts = list.unwrap_or(std::slice::from_ref(part));
                    parts.iter().try_for_each(|it| self.each(it, value, deeper))?;
                }
                _ => {}
            }
        }
        Some(())
    }

    /// The steps of a subschema on everything directly inside a value.
    fn each(&mut self, schema: &'a Value, value: &Value, level: usize) -> Option<()> {
        children(value).try_for_each(|it| self.step(schema, it, level))
    }

    /// What a reference within this schema leads to.
    fn target(&self, reference: &Value) -> Option<&'a Value> {
        let pointer = reference.as_str()?.strip_prefix('#')?;
        if pointer.contains('%') { None } else { self.root.pointer(pointer) }
    }

    fn count(&mut self, steps: usize) -> Option<()> {
        self.steps += steps;
        (self.steps <= STEPS_MAX).then_some(())
    }
}

/// The values directly inside.
fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Box::new(std::iter::empty())
        }
    }
}
