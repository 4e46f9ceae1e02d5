//! The fields of a JSON object, taken one by one.
//!
//! In: JSON that a caller wrote. Out: values of the type that is wanted; everything else becomes a
//! [`Violation`] with its path. Invariant: null means absent; no value is ever quoted.

use serde_json::{Map, Value};

use crate::api::policy;
use crate::domain::Violation;

/// An object and where it stands.
#[derive(Debug)]
pub(super) struct Fields {
    path: String,
    map: Map<String, Value>,
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// That something else was wanted at a path.
pub(super) fn mismatch(path: &str, wanted: &str, value: &Value, found: &mut Vec<Violation>) {
    let message = format!("{wanted} is wanted, not {}", kind(value));
    found.push(Violation::new(path, message));
}

impl Fields {
    /// The fields of a whole body.
    pub(super) fn body(map: Map<String, Value>) -> Self {
        Self { path: String::new(), map }
    }

    /// The fields of the object at `path`.
    pub(super) fn of(path: &str, value: Value, found: &mut Vec<Violation>) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self { path: path.to_owned(), map }),
            other => {
                mismatch(path, "an object", &other, found);
                None
            }
        }
    }

    /// The path of a field.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Where the object itself stands.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A value of any type.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|it| !it.is_null())
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }

    fn read<T>(
        &mut self,
        name: &str,
        wanted: &str,
        found: &mut Vec<Violation>,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(name)?;
        let taken = read(&value);
        if taken.is_none() {
            mismatch(&self.at(name), wanted, &value, found);
        }
        taken
    }

    /// A string.
    pub(super) fn text(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => {
                mismatch(&self.at(name), "a string", &other, found);
                None
            }
        }
    }

    /// A string that has to be there; empty where it is not.
    pub(super) fn needed(&mut self, name: &str, found: &mut Vec<Violation>) -> String {
        let before = found.len();
        let text = self.text(name, found);
        if text.is_none() && found.len() == before {
            found.push(Violation::new(self.at(name), "this field is needed"));
        }
        text.unwrap_or_default()
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<f64> {
        self.read(name, "a number", found, Value::as_f64)
    }

    /// A whole number, zero or more. `10.0` is one, too: some clients write it so.
    pub(super) fn count(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<u64> {
        let whole = |it: f64| (it.fract() == 0.0 && (0.0..1e15).contains(&it)).then_some(it as u64);
        let read = |it: &Value| it.as_u64().or_else(|| it.as_f64().and_then(whole));
        self.read(name, "a whole number, zero or more,", found, read)
    }

    /// A whole number.
    pub(super) fn integer(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<i64> {
        self.read(name, "a whole number", found, Value::as_i64)
    }

    /// True or false.
    pub(super) fn flag(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<bool> {
        self.read(name, "true or false", found, Value::as_bool)
    }

    /// A list.
    pub(super) fn list(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<Vec<Value>> {
        match self.take(name)? {
            Value::Array(items) => Some(items),
            other => {
                mismatch(&self.at(name), "a list", &other, found);
                None
            }
        }
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, name: &str, found: &mut Vec<Violation>) -> Vec<String> {
        let items = self.list(name, found).unwrap_or_default();
        let mut texts = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other => {
                    mismatch(&format!("{}[{at}]", self.at(name)), "a string", &other, found);
                }
            }
        }
        texts
    }

    /// An object.
    pub(super) fn object(&mut self, name: &str, found: &mut Vec<Violation>) -> Option<Self> {
        let value = self.take(name)?;
        Self::of(&self.at(name), value, found)
    }

    /// The fields nobody took, those with null left out.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.map.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// A violation for every field nobody took, with the name that was perhaps meant.
    pub(super) fn deny_rest(self, known: &[&str], found: &mut Vec<Violation>) {
        for name in self.map.keys() {
            let message = match policy::nearest(name, known.iter().copied()) {
                Some(nearest) => format!("no such field; did you mean `{nearest}`?"),
                None => format!("no such field; the fields are {}", known.join(", ")),
            };
            found.push(Violation::new(self.at(name), message));
        }
    }
}
