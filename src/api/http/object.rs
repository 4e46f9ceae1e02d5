//! A JSON object of a caller, read field by field, every problem with its path.
//!
//! In: parsed JSON. Out: typed values; what has another type goes to `found`. Invariant: null is
//! the same as absent; no content is quoted in a problem. Not here: which fields there are.

use serde_json::{Map, Value};

use crate::domain::{Effort, Violation};

/// Most problems reported of one request: enough to mend it, and a bound on the answer.
const PROBLEMS_MAX: usize = 100;
/// Longest word of a caller that a problem quotes, in bytes.
const QUOTED_BYTES_MAX: usize = 64;

/// How hard to think, in the words that OpenAI and Anthropic share (2026).
pub(super) const EFFORTS: [(&str, Effort); 7] = [
    ("none", Effort::Off),
    ("minimal", Effort::Minimal),
    ("low", Effort::Low),
    ("medium", Effort::Medium),
    ("high", Effort::High),
    ("xhigh", Effort::High),
    ("max", Effort::High),
];

/// A value and the path to it.
pub(super) struct Placed {
    /// For instance `messages[0].content[1]`.
    pub(super) path: String,
    /// What stands there.
    pub(super) value: Value,
}

/// An object and the path to it.
pub(super) struct Object {
    path: String,
    fields: Map<String, Value>,
}

/// Reports a problem, unless there are too many already.
pub(super) fn report(
    found: &mut Vec<Violation>,
    path: impl Into<String>,
    message: impl Into<String>,
) {
    if found.len() < PROBLEMS_MAX {
        found.push(Violation::new(path, message));
    }
}

/// A caller's word for a problem's text; what is no plain short word is not quoted.
pub(super) fn quoted(word: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    if !word.is_empty() && word.len() <= QUOTED_BYTES_MAX && word.bytes().all(plain) {
        format!("`{word}`")
    } else {
        "this".to_owned()
    }
}

impl Placed {
    /// Reads it as an object.
    pub(super) fn object(self, found: &mut Vec<Violation>) -> Option<Object> {
        match self.value {
            Value::Object(fields) => Some(Object { path: self.path, fields }),
            other => {
                report(found, self.path, format!("an object is needed, not {}", kind(&other)));
                None
            }
        }
    }

    /// Its elements, if it is a list.
    pub(super) fn elements(self, found: &mut Vec<Violation>) -> Vec<Placed> {
        let Self { path, value } = self;
        match value {
            Value::Array(list) => {
                let places = list.into_iter().enumerate();
                places.map(|(at, value)| Placed { path: format!("{path}[{at}]"), value }).collect()
            }
            other => {
                report(found, path, format!("a list is needed, not {}", kind(&other)));
                Vec::new()
            }
        }
    }
}

impl Object {
    /// The body itself.
    pub(super) fn root(fields: Map<String, Value>) -> Self {
        Self { path: String::new(), fields }
    }

    /// Its path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of a field.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Its fields, each with its path.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (String, Placed)> {
        let Self { path, fields } = self;
        fields.into_iter().map(move |(name, value)| {
            let path = format!("{path}.{name}");
            (name, Placed { path, value })
        })
    }

    /// Takes a field as it is.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|it| !it.is_null())
    }

    /// Takes a field with its path.
    pub(super) fn place(&mut self, name: &str) -> Option<Placed> {
        let value = self.take(name)?;
        Some(Placed { path: self.at(name), value })
    }

    /// Takes a field that must be there.
    pub(super) fn needed(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<Placed> {
        let place = self.place(name);
        if place.is_none() {
            report(found, self.at(name), "this field is needed");
        }
        place
    }

    /// Takes a string.
    pub(super) fn string(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<String> {
        let place = self.place(name)?;
        string(place, found)
    }

    /// Takes a string that must be there; where it is not, `?` stands in.
    pub(super) fn needed_string(&mut self, name: &str, found: &mut Vec<Violation>) -> String {
        let place = self.needed(name, found);
        place.and_then(|it| string(it, found)).unwrap_or_else(|| "?".to_owned())
    }

    /// Takes yes or no.
    pub(super) fn flag(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<bool> {
        self.typed(name, "true or false is", Value::as_bool, found)
    }

    /// Takes a number.
    pub(super) fn number(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<f64> {
        self.typed(name, "a number is", Value::as_f64, found)
    }

    /// Takes a whole number.
    pub(super) fn count(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<u64> {
        self.typed(name, "a whole number, 0 or more, is", Value::as_u64, found)
    }

    /// Takes an object.
    pub(super) fn object(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<Self> {
        self.place(name)?.object(found)
    }

    /// Takes the elements of a list; absent is empty.
    pub(super) fn list(&mut self, name: &str, found: &mut Vec<Violation>) -> Vec<Placed> {
        self.place(name).map(|it| it.elements(found)).unwrap_or_default()
    }

    /// Takes the strings of a list; absent is empty.
    pub(super) fn strings(&mut self, name: &str, found: &mut Vec<Violation>) -> Vec<String> {
        let list = self.list(name, found);
        list.into_iter().filter_map(|it| string(it, found)).collect()
    }

    /// Takes one of the words of a table.
    pub(super) fn choice<T: Clone>(
        &mut self,
        name: &str,
        table: &[(&str, T)],
        found: &mut Vec<Violation>,
    ) -> Option<T> {
        let word = self.string(name, found)?;
        let hit = table.iter().find(|(it, _)| *it == word).map(|(_, meaning)| meaning.clone());
        if hit.is_none() {
            let words: Vec<_> = table.iter().map(|(it, _)| *it).collect();
            let message = format!("{} is none of: {}", quoted(&word), words.join(", "));
            report(found, self.at(name), message);
        }
        hit
    }

    /// Takes one of the words of a table, which must be there.
    pub(super) fn needed_choice<T: Clone>(
        &mut self,
        name: &str,
        table: &[(&str, T)],
        found: &mut Vec<Violation>,
    ) -> Option<T> {
        let place = self.needed(name, found)?;
        self.fields.insert(name.to_owned(), place.value);
        self.choice(name, table, found)
    }

    fn typed<T>(
        &mut self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
        found: &mut Vec<Violation>,
    ) -> Option<T> {
        let value = self.take(name)?;
        let read = read(&value);
        if read.is_none() {
            report(found, self.at(name), format!("{wanted} needed, not {}", kind(&value)));
        }
        read
    }
}

/// Reads a string.
pub(super) fn string(place: Placed, found: &mut Vec<Violation>) -> Option<String> {
    match place.value {
        Value::String(text) => Some(text),
        other => {
            report(found, place.path, format!("a string is needed, not {}", kind(&other)));
            None
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "this number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_another_type_is_reported_with_its_path() {
        let body = serde_json::json!({
            "a": 1, "b": {"c": "secret words", "d": [1, "x"], "e": null}, "f": -1,
        });
        let Value::Object(body) = body else { unreachable!() };
        let mut body = Object::root(body);
        let found = &mut Vec::new();
        assert_eq!(body.string("a", found), None);
        assert_eq!(body.count("f", found), None);
        assert_eq!(body.needed_string("g", found), "?");
        let mut inner = body.object("b", found).unwrap();
        assert_eq!(inner.choice("c", &EFFORTS, found), None);
        assert_eq!(inner.strings("d", found), ["x"]);
        assert_eq!(inner.flag("e", found), None);
        let fields: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["a", "f", "g", "b.c", "b.d[0]"]);
        assert!(found.iter().all(|it| !it.message.contains("secret")));
    }
}
