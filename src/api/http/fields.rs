//! A JSON object of a caller, read field by field, every problem with its path.
//!
//! In: JSON that a caller wrote. Out: values of the type that is wanted; everything else becomes a
//! [`Violation`]. Invariant: null is the same as absent; no content is quoted in a problem, and no
//! name but a short plain one. Not here: which fields there are (see the dialects), and what the
//! dialects say alike (see [`super::alike`]).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::policy;
use crate::domain::Violation;

/// Most problems reported of one body: enough to mend it, and a bound on the answer.
const PROBLEMS_MAX: usize = 100;
/// Longest name of a caller's own that a path quotes, in bytes.
const QUOTED_BYTES_MAX: usize = 64;

type Found = Vec<Violation>;

/// A value and the path to it.
#[derive(Debug)]
pub(super) struct Placed {
    /// For instance `messages[0].content[1]`.
    pub(super) path: String,
    /// What stands there.
    pub(super) value: Value,
}

/// An object and the path to it.
#[derive(Debug)]
pub(super) struct Fields {
    path: String,
    map: Map<String, Value>,
}

/// Reports a problem, unless there are too many already.
pub(super) fn report(found: &mut Found, path: impl Into<String>, message: impl Into<String>) {
    if found.len() < PROBLEMS_MAX {
        found.push(Violation::new(path, message));
    }
}

/// Whether a name that the caller made up may stand in a path.
fn is_plain(word: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
    !word.is_empty() && word.len() <= QUOTED_BYTES_MAX && word.bytes().all(plain)
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

impl Placed {
    /// Reports that something else was wanted.
    pub(super) fn mismatch(&self, wanted: &str, found: &mut Found) {
        let message = format!("{wanted} is wanted, not {}", kind(&self.value));
        report(found, self.path.as_str(), message);
    }

    /// Reads it as a string.
    pub(super) fn text(self, found: &mut Found) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text),
            _ => {
                self.mismatch("a string", found);
                None
            }
        }
    }

    /// Reads it as an object.
    pub(super) fn object(self, found: &mut Found) -> Option<Fields> {
        match self.value {
            Value::Object(map) => Some(Fields { path: self.path, map }),
            _ => {
                self.mismatch("an object", found);
                None
            }
        }
    }

    /// Its elements, if it is a list.
    pub(super) fn elements(self, found: &mut Found) -> Vec<Self> {
        let Self { path, value: Value::Array(list) } = self else {
            self.mismatch("a list", found);
            return Vec::new();
        };
        let places = list.into_iter().enumerate();
        places.map(|(at, value)| Self { path: format!("{path}[{at}]"), value }).collect()
    }

    /// Its elements, if it is a list of strings.
    pub(super) fn texts(self, found: &mut Found) -> Vec<String> {
        let list = self.elements(found).into_iter();
        list.filter_map(|it| it.text(found)).collect()
    }
}

impl Fields {
    /// The fields of a whole body.
    pub(super) fn body(map: Map<String, Value>) -> Self {
        Self { path: String::new(), map }
    }

    /// The fields of the object at `path`.
    pub(super) fn of(path: &str, value: Value, found: &mut Found) -> Option<Self> {
        Placed { path: path.to_owned(), value }.object(found)
    }

    /// Where the object itself stands.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of a field.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The path of a field that the caller has named.
    fn at_own(&self, name: &str) -> String {
        self.at(if is_plain(name) { name } else { "?" })
    }

    /// Takes a field as it is.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|it| !it.is_null())
    }

    /// Takes a field with its path.
    pub(super) fn place(&mut self, name: &str) -> Option<Placed> {
        let value = self.take(name)?;
        Some(Placed { path: self.at(name), value })
    }

    /// Takes a field that must be there.
    pub(super) fn needed(&mut self, name: &str, found: &mut Found) -> Option<Placed> {
        let place = self.place(name);
        if place.is_none() {
            report(found, self.at(name), "this field is needed");
        }
        place
    }

    /// Takes a string.
    pub(super) fn text(&mut self, name: &str, found: &mut Found) -> Option<String> {
        self.place(name)?.text(found)
    }

    /// Takes a string that must be there; where it is not, `?` stands in, so that it is reported
    /// only once.
    pub(super) fn needed_text(&mut self, name: &str, found: &mut Found) -> String {
        let place = self.needed(name, found);
        place.and_then(|it| it.text(found)).unwrap_or_else(|| "?".to_owned())
    }

    /// Takes one of the words of a table.
    pub(super) fn choice<T: Clone>(
        &mut self,
        name: &str,
        table: &[(&str, T)],
        found: &mut Found,
    ) -> Option<T> {
        let place = self.place(name)?;
        chosen(place, table, found)
    }

    /// Takes one of the words of a table, which must be there.
    pub(super) fn needed_choice<T: Clone>(
        &mut self,
        name: &str,
        table: &[(&str, T)],
        found: &mut Found,
    ) -> Option<T> {
        let place = self.needed(name, found)?;
        chosen(place, table, found)
    }

    /// Takes a number.
    pub(super) fn number(&mut self, name: &str, found: &mut Found) -> Option<f64> {
        self.typed(name, "a number", found, Value::as_f64)
    }

    /// Takes a whole number, zero or more. `10.0` is one, too: some clients write it so.
    pub(super) fn count(&mut self, name: &str, found: &mut Found) -> Option<u64> {
        let whole = |it: f64| (it.fract() == 0.0 && (0.0..1e15).contains(&it)).then_some(it as u64);
        let read = |it: &Value| it.as_u64().or_else(|| it.as_f64().and_then(whole));
        self.typed(name, "a whole number, zero or more,", found, read)
    }

    /// Takes a whole number.
    pub(super) fn integer(&mut self, name: &str, found: &mut Found) -> Option<i64> {
        self.typed(name, "a whole number", found, Value::as_i64)
    }

    /// Takes true or false.
    pub(super) fn flag(&mut self, name: &str, found: &mut Found) -> Option<bool> {
        self.typed(name, "true or false", found, Value::as_bool)
    }

    fn typed<T>(
        &mut self,
        name: &str,
        wanted: &str,
        found: &mut Found,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let place = self.place(name)?;
        let read = read(&place.value);
        if read.is_none() {
            place.mismatch(wanted, found);
        }
        read
    }

    /// Takes an object.
    pub(super) fn object(&mut self, name: &str, found: &mut Found) -> Option<Self> {
        self.place(name)?.object(found)
    }

    /// Takes an object that must be there.
    pub(super) fn needed_object(&mut self, name: &str, found: &mut Found) -> Option<Self> {
        self.needed(name, found)?.object(found)
    }

    /// Takes the elements of a list; absent is empty.
    pub(super) fn list(&mut self, name: &str, found: &mut Found) -> Vec<Placed> {
        self.place(name).map(|it| it.elements(found)).unwrap_or_default()
    }

    /// Takes the strings of a list; absent is empty.
    pub(super) fn texts(&mut self, name: &str, found: &mut Found) -> Vec<String> {
        self.place(name).map(|it| it.texts(found)).unwrap_or_default()
    }

    /// Takes an object of strings, whatever their names; absent is empty.
    pub(super) fn named_texts(
        &mut self,
        name: &str,
        found: &mut Found,
    ) -> BTreeMap<String, String> {
        let Some(inner) = self.object(name, found) else { return BTreeMap::new() };
        let mut texts = BTreeMap::new();
        for (key, value) in inner.rest_with_paths() {
            texts.extend(value.text(found).map(|text| (key, text)));
        }
        texts
    }

    fn rest_with_paths(mut self) -> Vec<(String, Placed)> {
        let map = std::mem::take(&mut self.map);
        let fields = map.into_iter().filter(|(_, value)| !value.is_null());
        fields
            .map(|(key, value)| (key.clone(), Placed { path: self.at_own(&key), value }))
            .collect()
    }

    /// The fields nobody took.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.map.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// A violation for every field nobody took, with the name that was perhaps meant.
    pub(super) fn deny_rest(self, known: &[&str], found: &mut Found) {
        for name in self.map.keys() {
            let message = match policy::nearest(name, known.iter().copied()) {
                Some(nearest) => format!("no such field; did you mean `{nearest}`?"),
                None => format!("no such field; the fields are {}", known.join(", ")),
            };
            report(found, self.at_own(name), message);
        }
    }
}

fn chosen<T: Clone>(place: Placed, table: &[(&str, T)], found: &mut Found) -> Option<T> {
    let path = place.path.clone();
    let word = place.text(found)?;
    let hit = table.iter().find(|(it, _)| *it == word).map(|(_, meaning)| meaning.clone());
    if hit.is_none() {
        let words: Vec<_> = table.iter().map(|(it, _)| *it).collect();
        report(found, path, format!("this is none of: {}", words.join(", ")));
    }
    hit
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(value: Value) -> Fields {
        Fields::of("", value, &mut Vec::new()).unwrap()
    }

    #[test]
    fn what_has_another_type_is_reported_with_its_path() {
        let mut body = body(json!({
            "a": 1, "b": {"c": "secret words", "d": [1, "x"], "e": null}, "f": -1, "g": 10.0,
            "m": {"k": "v", "secret key": 1, "n": null},
        }));
        let found = &mut Vec::new();
        assert_eq!(body.text("a", found), None);
        assert_eq!(body.count("f", found), None);
        assert_eq!(body.count("g", found), Some(10));
        assert_eq!(body.needed_text("h", found), "?");
        let mut inner = body.object("b", found).unwrap();
        assert_eq!(inner.choice("c", &[("low", 1)], found), None);
        assert_eq!(inner.texts("d", found), ["x"]);
        assert_eq!(inner.flag("e", found), None);
        assert_eq!(body.named_texts("m", found).into_keys().collect::<Vec<_>>(), ["k"]);
        let fields: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["a", "f", "h", "b.c", "b.d[0]", "m.?"]);
        assert!(found.iter().all(|it| !it.message.contains("secret")));
    }

    #[test]
    fn what_nobody_took_is_told_and_not_without_end() {
        let found = &mut Vec::new();
        body(json!({"buget": 1, "a secret": 1})).deny_rest(&["budget"], found);
        let fields: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["?", "buget"]);
        assert!(found[1].message.contains("did you mean `budget`"));
        let many: Vec<_> = (0..2 * PROBLEMS_MAX).collect();
        assert_eq!(body(json!({ "list": many })).texts("list", found), [""; 0]);
        assert_eq!(found.len(), PROBLEMS_MAX);
    }
}
