//! Content that must never reach a log: prompts, answers, schemas.
//!
//! In: strings and JSON of callers and providers. Out: the same, behind a `Debug` that tells only
//! the size. Invariant: content leaves through [`Text::as_str`] and [`Json::value`], never through
//! formatting. Not here: API keys, which are `secrecy::SecretString`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text of a caller or a model. `Debug` prints its length in bytes, nothing else.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The content itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing but white space.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The content, given away.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<String> for Text {
    fn from(content: String) -> Self {
        Self(content)
    }
}

impl From<&str> for Text {
    fn from(content: &str) -> Self {
        Self(content.to_owned())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<{} bytes>", self.0.len())
    }
}

/// JSON of a caller (a tool's parameters, a response schema). `Debug` prints only its kind.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(serde_json::Value);

impl Json {
    /// The value itself.
    pub fn value(&self) -> &serde_json::Value {
        &self.0
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            serde_json::Value::Null => "null",
            serde_json::Value::Bool(_) => "bool",
            serde_json::Value::Number(_) => "number",
            serde_json::Value::String(_) => "string",
            serde_json::Value::Array(_) => "array",
            serde_json::Value::Object(_) => "object",
        };
        write!(out, "<json {kind}>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_the_size_and_nothing_else() {
        assert_eq!(format!("{:?}", Text::from("secret")), "<6 bytes>");
        assert_eq!(format!("{:?}", Json::from(serde_json::json!({"secret": 1}))), "<json object>");
    }
}
