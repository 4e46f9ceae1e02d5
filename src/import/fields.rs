//! A table of another's config, field by field, so that what nobody asked for is told.
//!
//! In: a JSON value and its path. Out: values; notes for the rest. Invariant: values are never repeated in
//! notes, since they may be keys.

use serde_json::{Map, Value};

use super::Note;

/// Whatever looks like the value of a key is named and never copied.
pub(super) const SECRETS: [&str; 8] = [
    "api_key",
    "apikey",
    "master_key",
    "aws_access_key_id",
    "aws_secret_access_key",
    "vertex_credentials",
    "password",
    "token",
];
const PLAIN_KEY: &str = "a key in plain text is not copied; put it into an environment variable";

/// A table.
pub(super) struct Fields<'a> {
    pub(super) path: String,
    map: Option<&'a Map<String, Value>>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(path: impl Into<String>, value: &'a Value) -> Self {
        Self { path: path.into(), map: value.as_object(), asked: Vec::new() }
    }

    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.map?.get(key).filter(|it| !it.is_null())
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        self.take(key)?.as_str()
    }

    /// A number, also where it was written as a text.
    pub(super) fn number(&mut self, key: &'static str) -> Option<f64> {
        let value = self.take(key)?;
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        number.filter(|it| it.is_finite())
    }

    pub(super) fn count(&mut self, key: &'static str) -> Option<i64> {
        let number = self.number(key).filter(|it| it.fract() == 0.0 && (0.0..1e15).contains(it));
        number.map(|it| it as i64)
    }

    /// Takes a field that has no place here, and says so.
    pub(super) fn refuse(&mut self, key: &'static str, why: &str, notes: &mut Vec<Note>) {
        if self.take(key).is_some() {
            notes.push(Note { path: self.at(key), why: why.to_owned() });
        }
    }

    /// Notes everything that nobody asked for.
    pub(super) fn done(self, notes: &mut Vec<Note>) {
        for (key, value) in self.map.into_iter().flatten() {
            if self.asked.contains(&key.as_str()) || value.is_null() {
                continue;
            }
            let secret = SECRETS.contains(&key.as_str()) && value.is_string();
            let why = if secret { PLAIN_KEY } else { "has no place here" };
            notes.push(Note { path: self.at(key), why: why.to_owned() });
        }
    }
}

/// Where a key is, as another's config says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyPlace {
    /// In this environment variable.
    Variable(String),
    /// In the file itself; nobody repeats it.
    Plain,
}

/// `os.environ/NAME` or `env.NAME`, or the key itself.
pub(super) fn key_place(text: &str) -> KeyPlace {
    let name = text.strip_prefix("os.environ/").or_else(|| text.strip_prefix("env."));
    name.map_or(KeyPlace::Plain, |it| KeyPlace::Variable(it.to_owned()))
}

/// A name in the form of environment variables.
pub(super) fn variable(name: &str) -> String {
    let fine = |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(fine).collect();
    if name.starts_with(|it: char| it.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// A name in the form that ours have: no white space.
pub(super) fn slug(name: &str) -> String {
    let fine = |it: char| if it.is_whitespace() || it.is_control() || it == '@' { '-' } else { it };
    name.trim().trim_start_matches('@').chars().map(fine).collect()
}
