//! A provider: a base URL, a wire format and a key.
//!
//! In: `builtin.toml` and the operator's config. Out: [`Provider`], and [`ProviderRow`] for those known
//! from the start. Invariant: `Debug` never prints a key. Not here: HTTP.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::quirks::Quirks;
use crate::domain::{Billing, Parameter, ParameterSet, ProviderName};

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
    /// How the key is shown.
    pub auth: AuthScheme,
    /// What it wants to see before it answers.
    pub key: ApiKey,
    /// How it differs from its protocol.
    pub quirks: Quirks,
}

impl Provider {
    /// A provider that speaks its protocol as its inventor does.
    pub fn new(name: ProviderName, protocol: Protocol, base_url: String, key: ApiKey) -> Self {
        let auth = protocol.default_auth();
        Self { name, protocol, base_url, auth, key, quirks: Quirks::default() }
    }
}

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OpenAI's chat completions, written `openai`.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
    /// Ollama's own `/api/chat`.
    Ollama,
    /// Amazon Bedrock's Converse.
    Bedrock,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] =
        [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Ollama, Self::Bedrock];

    /// Its name in configs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Bedrock => "bedrock",
        }
    }

    /// Parameters that it has no words for, or that it leaves out of some requests; docs/translation.md
    /// has the table, and a test holds both together.
    pub fn lacks(self) -> ParameterSet {
        use Parameter as P;
        let common = [P::ImageDetail, P::StrictTools];
        let common = ParameterSet::from_iter(common).with_others();
        let unsampled = [P::Seed, P::FrequencyPenalty, P::PresencePenalty, P::Logprobs];
        let unsent = [P::ParallelToolCalls, P::User, P::PromptCache];
        let (unsampled, unsent) =
            (ParameterSet::from_iter(unsampled), ParameterSet::from_iter(unsent));
        match self {
            Self::OpenAi => ParameterSet::EMPTY,
            Self::Anthropic => common.and(unsampled),
            Self::Gemini | Self::Ollama => common.and(unsent),
            Self::Bedrock => {
                common.and(unsampled).and(unsent).with(P::TopK).with(P::ReasoningEffort)
            }
        }
    }

    /// How keys are shown where nothing else is said.
    pub fn default_auth(self) -> AuthScheme {
        match self {
            Self::OpenAi | Self::Ollama => AuthScheme::Bearer,
            Self::Anthropic => AuthScheme::Header("x-api-key".to_owned()),
            Self::Gemini => AuthScheme::Header("x-goog-api-key".to_owned()),
            Self::Bedrock => AuthScheme::SigV4,
        }
    }
}

/// How a key is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key by itself, in the header of this name.
    Header(String),
    /// AWS signature, version 4; a key of [`ApiKey::Set`] is shown as a bearer instead.
    SigV4,
}

/// A provider's key, or why there is none.
#[derive(Debug, Clone)]
pub enum ApiKey {
    /// It asks for no key: a server of one's own.
    NotNeeded,
    /// The key; redacted in `Debug`.
    Set(SecretString),
    /// A key that signs; redacted in `Debug`.
    Aws(AwsKey),
    /// It asks for a key and none was found.
    Missing {
        /// Where the key was looked for: an environment variable or a file.
        place: String,
    },
}

/// What signs requests to AWS.
#[derive(Debug, Clone)]
pub struct AwsKey {
    /// Names the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: SecretString,
    /// Goes with keys that expire.
    pub session_token: Option<SecretString>,
    /// Where the service is, for instance `us-east-1`.
    pub region: String,
}

/// A provider known from the start; any of it can be overridden in the config.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderRow {
    /// Its name here.
    pub name: ProviderName,
    /// The wire format it speaks.
    pub protocol: Protocol,
    /// Where its API begins, without a slash at the end; `${NAME}` stands for that environment
    /// variable.
    pub base_url: String,
    /// The environment variable its own documentation names for the key; `None`: it needs no key.
    pub api_key_env: Option<String>,
    /// Whether it may also be called without its key: a server of one's own that can ask for one.
    #[serde(default)]
    pub api_key_optional: bool,
    /// The header that holds the key, where it is not the protocol's own way.
    pub auth_header: Option<String>,
    /// What it bills of calls that fail.
    pub billing: Billing,
    /// How it differs from its protocol.
    #[serde(default)]
    pub quirks: Quirks,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    provider: Vec<ProviderRow>,
}

/// The text of the rows of [`builtin_rows`].
pub fn builtin_text() -> &'static str {
    BUILTIN
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
            let url = row.base_url.replace("${AZURE_OPENAI_ENDPOINT}", "https://a.example");
            let url = url.replace("${AWS_REGION}", "us-east-1");
            assert!(url.parse::<http::Uri>().is_ok_and(|it| it.host().is_some()), "{row:?}");
            assert!(!url.ends_with('/'), "{row:?}");
            let asks = row.api_key_env.is_some() && !row.api_key_optional;
            assert_eq!(url.starts_with("https://"), asks, "{row:?}");
            let told =
                row.quirks.errors.keys().all(|it| !it.is_empty() && *it == it.to_lowercase());
            assert!(told, "{row:?}");
        }
    }

    #[test]
    fn the_shipped_rows_are_these() {
        let rows = builtin_rows().unwrap();
        let names: Vec<_> = rows.iter().map(|it| it.name.as_str()).collect();
        let wanted = "openai azure anthropic google bedrock openrouter groq mistral deepseek xai \
            together fireworks cerebras perplexity cohere ollama vllm llama-cpp lm-studio litellm";
        assert_eq!(names, wanted.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn the_page_on_money_tells_every_rule() {
        let page = include_str!("../../docs/money.md");
        let table = page.split_once("| provider | rule |\n|---|---|\n").unwrap().1;
        let told: Vec<_> = table.lines().take_while(|it| it.starts_with('|')).collect();
        let row = |it: &ProviderRow| format!("| `{}` | `{}` |", it.name, it.billing.as_str());
        let wanted: Vec<_> = builtin_rows().unwrap().iter().map(row).collect();
        assert_eq!(told, wanted);
    }

    #[test]
    fn debug_never_prints_the_key() {
        let provider = Provider {
            name: ProviderName::new("openai").unwrap(),
            protocol: Protocol::OpenAi,
            base_url: "https://api.openai.com/v1".to_owned(),
            auth: AuthScheme::Bearer,
            key: ApiKey::Set(SecretString::from("sk-very-secret")),
            quirks: Quirks::default(),
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
