//! In what a provider differs from its protocol's own words: data, not code.
//!
//! In: `builtin.toml` and the operator's config. Out: [`Quirks`]. Invariant: the default is the
//! protocol as its inventor speaks it. Not here: the protocols.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::domain::FailureClass;

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

/// A parameter that may be left out where a provider lacks it: the answer is less steered, but it
/// is an answer. What changes its meaning (tools, images, schemas) is no such parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// How far from the likeliest token.
    Temperature,
    /// From how much of the probability.
    TopP,
    /// From how many tokens.
    TopK,
    /// Strings that end the answer.
    Stop,
    /// For repeatable answers.
    Seed,
    /// Against frequent tokens.
    FrequencyPenalty,
    /// Against tokens that were there.
    PresencePenalty,
    /// Log-probabilities.
    Logprobs,
    /// Whether several tools may be called at once.
    ParallelToolCalls,
    /// How hard the model thinks.
    ReasoningEffort,
    /// The caller's id of its user.
    User,
    /// How closely images are looked at.
    ImageDetail,
    /// That arguments must satisfy their schema.
    StrictTools,
    /// That the prompt is kept in the cache.
    PromptCache,
    /// Thinking of earlier answers.
    PastReasoning,
}

impl Parameter {
    /// Every parameter.
    pub const ALL: [Self; 15] = [
        Self::Temperature,
        Self::TopP,
        Self::TopK,
        Self::Stop,
        Self::Seed,
        Self::FrequencyPenalty,
        Self::PresencePenalty,
        Self::Logprobs,
        Self::ParallelToolCalls,
        Self::ReasoningEffort,
        Self::User,
        Self::ImageDetail,
        Self::StrictTools,
        Self::PromptCache,
        Self::PastReasoning,
    ];

    /// Its name as callers are told it: OpenAI's, where there is one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::TopP => "top_p",
            Self::TopK => "top_k",
            Self::Stop => "stop",
            Self::Seed => "seed",
            Self::FrequencyPenalty => "frequency_penalty",
            Self::PresencePenalty => "presence_penalty",
            Self::Logprobs => "logprobs",
            Self::ParallelToolCalls => "parallel_tool_calls",
            Self::ReasoningEffort => "reasoning_effort",
            Self::User => "user",
            Self::ImageDetail => "image_detail",
            Self::StrictTools => "strict_tools",
            Self::PromptCache => "prompt_cache",
            Self::PastReasoning => "past_reasoning",
        }
    }
}
