//! What chat completions and their chunks look like, as far as it is read.
//!
//! In: JSON. Out: plain structs. Invariant: tolerant of what compatible servers add, leave out or
//! write as null; what carries meaning is checked where it is used.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::{FailureClass, FinishReason, Usage};

/// A whole answer or one chunk of it.
#[derive(Deserialize)]
pub(super) struct Body {
    #[serde(default)]
    pub(super) error: Value,
    /// vLLM's errors are `{"object": "error", ...}` (2025).
    pub(super) object: Option<String>,
    pub(super) choices: Option<Vec<Choice>>,
    usage: Option<UsageBody>,
    x_groq: Option<Groq>,
}

/// Where Groq's streams put the usage (2025).
#[derive(Deserialize)]
struct Groq {
    usage: Option<UsageBody>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) index: u64,
    pub(super) message: Option<Said>,
    /// In chunks; Perplexity's hold the whole `message` so far beside it (2025).
    pub(super) delta: Option<Said>,
    pub(super) finish_reason: Option<String>,
    pub(super) logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
pub(super) struct Logprobs {
    pub(super) content: Option<Vec<Value>>,
}

/// What a model said, whole or in part.
#[derive(Deserialize)]
pub(super) struct Said {
    pub(super) content: Option<Content>,
    pub(super) refusal: Option<String>,
    pub(super) tool_calls: Option<Vec<CallBody>>,
    /// DeepSeek's name of it (2025), and that of most others.
    #[serde(default)]
    pub(super) reasoning_content: Value,
    /// OpenRouter's, Groq's and newer vLLM's name of it (2025).
    #[serde(default)]
    pub(super) reasoning: Value,
    /// OpenRouter's blocks with their signatures (2025).
    #[serde(default)]
    pub(super) reasoning_details: Value,
}

/// A string, or with some servers (Mistral's reasoning models, 2025) a list of parts.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Whole(String),
    Parts(Vec<PartBody>),
}

#[derive(Deserialize)]
pub(super) struct PartBody {
    pub(super) text: Option<String>,
    pub(super) thinking: Option<Vec<Thought>>,
}

#[derive(Deserialize)]
pub(super) struct Thought {
    pub(super) text: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CallBody {
    pub(super) index: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) function: Option<FunctionBody>,
    #[serde(default)]
    pub(super) extra_content: Value,
}

#[derive(Deserialize)]
pub(super) struct FunctionBody {
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) arguments: Value,
}

impl Body {
    /// What it says was used, if it does.
    pub(super) fn usage(&self) -> Option<Usage> {
        let groq = || self.x_groq.as_ref().and_then(|it| it.usage.as_ref());
        self.usage.as_ref().or_else(groq).map(Usage::from)
    }

    /// Whether it is no answer but an error.
    pub(super) fn is_error(&self) -> bool {
        !self.error.is_null() || self.object.as_deref() == Some("error")
    }
}

/// Reads the finish reason in the words of OpenAI and of those servers that differ (2025): Mistral
/// says `model_length`, DeepSeek `insufficient_system_resource`, OpenRouter `error`.
pub(super) fn finish(reason: &str) -> Result<FinishReason, FailureClass> {
    match reason {
        "stop" | "eos" | "end_turn" | "stop_sequence" => Ok(FinishReason::Stop),
        "length" | "max_tokens" | "model_length" => Ok(FinishReason::Length),
        "tool_calls" | "function_call" => Ok(FinishReason::ToolCalls),
        "content_filter" | "refusal" | "safety" => Ok(FinishReason::ContentFilter),
        "error" | "insufficient_system_resource" => Err(FailureClass::Overloaded),
        _ => Err(FailureClass::Malformed),
    }
}

#[derive(Deserialize)]
struct UsageBody {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    /// DeepSeek's name of the cached ones (2025).
    prompt_cache_hit_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    /// Only OpenRouter tells it (2025).
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<&UsageBody> for Usage {
    fn from(body: &UsageBody) -> Self {
        let prompt = body.prompt_tokens_details.as_ref();
        let cached = prompt.and_then(|it| it.cached_tokens).or(body.prompt_cache_hit_tokens);
        let reasoning = body.completion_tokens_details.as_ref().and_then(|it| it.reasoning_tokens);
        let input = body.prompt_tokens.unwrap_or(0);
        // xAI and Google's compatible endpoint count reasoning in the total only (2025).
        let rest = body.total_tokens.unwrap_or(0).saturating_sub(input);
        Self {
            input_tokens: input,
            cached_tokens: cached.unwrap_or(0),
            cache_written_tokens: prompt.and_then(|it| it.cache_write_tokens).unwrap_or(0),
            output_tokens: body.completion_tokens.unwrap_or(0).max(rest),
            reasoning_tokens: reasoning.unwrap_or(0),
        }
    }
}
