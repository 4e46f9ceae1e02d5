//! Names and ids, each its own type so that a provider is never passed for a model.
//!
//! In: strings of configs and callers. Out: checked names; UUIDv7 decision ids (time-ordered, so
//! that the log's index stays dense). Not here: what a name stands for (see [`crate::catalog`]).

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest name accepted, in bytes: long enough for `provider/org/model:variant`.
const NAME_BYTES_MAX: usize = 200;

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing but white space.
    #[error("the name is empty")]
    Empty,
    /// Longer than the bound.
    #[error("the name has {bytes} bytes, at most {NAME_BYTES_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A control character or white space inside.
    #[error("the name has white space or a control character at byte {at}")]
    BadCharacter {
        /// Where, in bytes.
        at: usize,
    },
}

fn checked(name: &str) -> Result<&str, InvalidName> {
    if name.trim().is_empty() {
        return Err(InvalidName::Empty);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(InvalidName::TooLong { bytes: name.len() });
    }
    match name.find(|it: char| it.is_control() || it.is_whitespace()) {
        Some(at) => Err(InvalidName::BadCharacter { at }),
        None => Ok(name),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and takes a name.
            ///
            /// # Errors
            /// [`InvalidName`] when it is empty, too long, or holds white space.
            pub fn new(name: &str) -> Result<Self, InvalidName> {
                checked(name).map(|it| Self(it.to_owned()))
            }

            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(name: String) -> Result<Self, InvalidName> {
                checked(&name)?;
                Ok(Self(name))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

name! {
    /// What answers, for instance `claude-sonnet-4`.
    ModelName
}
name! {
    /// Who serves it, for instance `openrouter`.
    ProviderName
}
name! {
    /// A model at a provider, for instance `gpt-4o-mini@openai`.
    DeploymentId
}

impl DeploymentId {
    /// The id of a model at a provider: `model@provider`.
    pub fn of(model: &ModelName, provider: &ProviderName) -> Self {
        Self(format!("{model}@{provider}"))
    }
}

/// One decision, from choosing to the last attempt; UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(Uuid);

impl DecisionId {
    /// A fresh id, ordered by the current time.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads an id as callers send it back.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// Its 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From its 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Its low 64 bits, which UUIDv7 draws at random: the seed of this decision's tie-breaking.
    pub fn seed(self) -> u64 {
        self.0.as_u64_pair().1
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let check = |name: &str, wanted: Result<(), InvalidName>| {
            assert_eq!(ModelName::new(name).map(|_| ()), wanted, "{name:?}");
        };
        check("meta-llama/Llama-3.3-70B:free", Ok(()));
        check(" ", Err(InvalidName::Empty));
        check("a b", Err(InvalidName::BadCharacter { at: 1 }));
        check(&"x".repeat(201), Err(InvalidName::TooLong { bytes: 201 }));
    }

    #[test]
    fn decision_ids_round_trip_and_sort_by_time() {
        let (first, second) = (DecisionId::fresh(), DecisionId::fresh());
        assert!(first < second);
        assert_eq!(DecisionId::parse(&first.to_string()), Some(first));
        assert_eq!(DecisionId::parse("not an id"), None);
        assert_eq!(DecisionId::from_bytes(*first.as_bytes()), first);
    }
}
