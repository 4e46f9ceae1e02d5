//! In what a provider differs from its protocol's own words: data, not code.
//!
//! In: `builtin.toml` and the operator's config. Out: [`Quirks`]. Invariant: the default is the
//! protocol as its inventor speaks it. Not here: the protocols.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::domain::FailureClass;
pub use crate::domain::Parameter;

/// How a provider differs from its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// What the limit on output tokens is called (OpenAI's protocol).
    pub max_tokens_field: MaxTokensField,
    /// How a JSON schema is asked for; `None`: as the protocol does.
    pub json_schema: Option<SchemaBy>,
    /// Parameters it does not take: they are left out and named to the caller.
    pub lacks: BTreeSet<Parameter>,
    /// Whether it fetches images by their URLs; `None`: as the protocol does.
    pub image_urls: Option<bool>,
    /// Whether it takes `stream_options`; `None`: as the protocol does (OpenAI's).
    pub stream_options: Option<bool>,
    /// Whether it wants the words of past thinking back, as `reasoning_content` (OpenAI's protocol);
    /// `None`: as the protocol does, which has no place for them.
    pub past_reasoning: Option<bool>,
    /// How it is told to go on with an answer that was begun (OpenAI's protocol).
    pub assistant_prefix: AssistantPrefix,
    /// Whether it says the beginning once more before it goes on.
    pub repeats_prefix: bool,
    /// Words of its errors, in lower case, that mean a class other than the protocol's words say.
    pub errors: BTreeMap<String, FailureClass>,
}

/// What the limit on output tokens is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// Everyone's name for it but OpenAI's.
    #[default]
    MaxTokens,
    /// OpenAI's own since its reasoning models.
    MaxCompletionTokens,
}

/// How a server is told to go on with an answer that was begun, which is the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssistantPrefix {
    /// It cannot: what it says is another answer.
    #[default]
    None,
    /// Not at all: it goes on whenever the last message is an assistant's.
    Plain,
    /// By `prefix` on that message.
    PrefixField,
    /// By `continue_final_message`, and `add_generation_prompt` turned off.
    ContinueFinalMessage,
}

/// How a JSON schema is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaBy {
    /// By the protocol's own field.
    Native,
    /// By a tool that must be called, whose arguments are the answer.
    Tool,
}
