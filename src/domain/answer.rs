//! What a model gave back, in our own shape.
//!
//! In: decoded provider bodies. Out: [`ChatResponse`]. Not here: who answered and at what price
//! (see [`super::Attempt`]).

use serde::{Deserialize, Serialize};

use super::chat::ToolCall;
use super::reasoning::Reasoning;
use super::text::{Json, Text};

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was done, or met a stop sequence.
    Stop,
    /// It reached the limit on output tokens: the text is cut, and the caller asked for that limit.
    Length,
    /// It asks for tools to be called.
    ToolCalls,
    /// The provider withheld the content.
    ContentFilter,
}

/// Tokens a call used, as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: u64,
    /// Those of the input that came from the provider's cache.
    pub cached_tokens: u64,
    /// Those of the input that the provider wrote into its cache.
    #[serde(default)]
    pub cache_written_tokens: u64,
    /// All output tokens, reasoning included.
    pub output_tokens: u64,
    /// Those of the output that were reasoning.
    pub reasoning_tokens: u64,
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatResponse {
    /// The text; `None` when it only calls tools.
    pub text: Option<Text>,
    /// What it thought before it answered, as far as the provider shows it.
    pub reasoning: Vec<Reasoning>,
    /// Tools it wants called, in its order.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub finish: FinishReason,
    /// What it used.
    pub usage: Usage,
    /// Log-probabilities of the text, in OpenAI's shape: `{"content": [...]}`.
    pub logprobs: Option<Json>,
}

impl ChatResponse {
    /// Bytes of it that the model wrote, as far as they are seen.
    pub fn written_bytes(&self) -> u64 {
        let text = self.text.as_ref().map_or(0, Text::len);
        let thoughts = self.reasoning.iter().filter_map(|it| it.text.as_ref());
        let calls = self.tool_calls.iter().map(|it| it.name.len() + it.arguments.len());
        (text + thoughts.map(Text::len).sum::<usize>() + calls.sum::<usize>()) as u64
    }
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            cache_written_tokens: self
                .cache_written_tokens
                .saturating_add(other.cache_written_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
        }
    }
}
