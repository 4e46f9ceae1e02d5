//! A pattern of a condition: a regular expression, kept as it was written.
//!
//! In: its text. Out: whether a text matches. Invariant: bounded in size, and matched in time that is
//! linear in the text, so that no caller can make it slow.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The most memory that a compiled pattern may take: thousands of times what names need.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A regular expression.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

/// A text that is no regular expression, or one that is too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression of a sensible size")]
pub struct BadPattern;

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
        built.map(Self).map_err(|_| BadPattern)
    }

    /// Whether it is found in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = BadPattern;
    fn try_from(text: String) -> Result<Self, BadPattern> {
        Self::new(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}
