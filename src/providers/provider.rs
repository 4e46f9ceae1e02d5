//! A provider: who serves models, where, in which wire format, and with which key.
//!
//! In: rows of config. Out: [`Provider`]. Invariant: `Debug` never prints a key.

use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::ProviderName;

/// Who serves models, and how it is reached.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// Its wire format.
    pub protocol: Protocol,
    /// Where it is, without a trailing slash, for instance `https://api.openai.com/v1`.
    pub base_url: String,
    /// What opens it.
    pub key: ApiKey,
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// OpenAI's chat completions, which most providers speak.
    #[serde(rename = "openai")]
    OpenAi,
}

/// The key of a provider.
#[derive(Debug, Clone)]
pub enum ApiKey {
    /// The provider asks for none.
    NotNeeded,
    /// The key.
    Set(SecretString),
    /// It is needed but not set.
    Missing {
        /// Where it should be, for instance `OPENAI_API_KEY`.
        place: String,
    },
}
