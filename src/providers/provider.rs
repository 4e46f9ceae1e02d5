//! A provider: a base URL, a wire format and a key.
//!
//! In: `builtin.toml` and the operator's config. Out: [`Provider`], and [`ProviderRow`] for those known
//! from the start. Invariant: `Debug` never prints a key. Not here: HTTP.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::domain::ProviderName;

const BUILTIN: &str = include_str!("builtin.toml");

/// Who serves models, ready to be called.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name here.
    pub name: ProviderName,
    /// The wire format it speaks.
    pub protocol: Protocol,
    /// Where its API begins, without a slash at the end, for instance `https://api.openai.com/v1`.
    pub base_url: String,
    /// What it wants to see before it answers.
    pub key: ApiKey,
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OpenAI's chat completions, written `openai`.
    OpenAi,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 1] = [Self::OpenAi];

    /// Its name in configs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
        }
    }
}

/// A provider's key, or why there is none.
#[derive(Debug, Clone)]
pub enum ApiKey {
    /// It asks for no key: a server of one's own.
    NotNeeded,
    /// The key; redacted in `Debug`.
    Set(SecretString),
    /// It asks for a key and none was found.
    Missing {
        /// Where the key was looked for: an environment variable or a file.
        place: String,
    },
}

/// A provider known from the start; any of it can be overridden in the config.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderRow {
    /// Its name here.
    pub name: ProviderName,
    /// The wire format it speaks.
    pub protocol: Protocol,
    /// Where its API begins, without a slash at the end.
    pub base_url: String,
    /// The environment variable its own documentation names for the key; `None`: it needs no key.
    pub api_key_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<ProviderRow>,
}

/// The providers known from the start, hosted ones first.
///
/// # Errors
/// Never for the file that was shipped, which a test reads.
pub fn builtin_rows() -> Result<Vec<ProviderRow>, toml::de::Error> {
    toml::from_str::<File>(BUILTIN).map(|it| it.provider)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_shipped_rows_are_sound() {
        let rows = builtin_rows().unwrap();
        let names: BTreeSet<_> = rows.iter().map(|it| &it.name).collect();
        assert_eq!(names.len(), rows.len(), "a name stands twice");
        for row in &rows {
            assert!(
                row.base_url.parse::<http::Uri>().is_ok_and(|it| it.host().is_some()),
                "{row:?}"
            );
            assert!(!row.base_url.ends_with('/'), "{row:?}");
            assert_eq!(row.base_url.starts_with("https://"), row.api_key_env.is_some(), "{row:?}");
        }
    }

    #[test]
    fn debug_never_prints_the_key() {
        let provider = Provider {
            name: ProviderName::new("openai").unwrap(),
            protocol: Protocol::OpenAi,
            base_url: "https://api.openai.com/v1".to_owned(),
            key: ApiKey::Set(SecretString::from("sk-very-secret")),
        };
        let printed = format!("{provider:?} {provider:#?}");
        assert!(!printed.contains("very-secret"), "{printed}");
    }

    #[test]
    fn protocols_read_as_they_are_written() {
        for protocol in Protocol::ALL {
            let json = format!("\"{}\"", protocol.as_str());
            assert_eq!(serde_json::from_str::<Protocol>(&json).unwrap(), protocol);
        }
    }
}
