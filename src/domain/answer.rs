//! What a model gave back, in our own shape.
//!
//! In: decoded provider bodies. Out: [`ChatResponse`]. Not here: who answered and at what price
//! (see [`super::Attempt`]).

use serde::{Deserialize, Serialize};

use super::chat::ToolCall;
use super::text::Text;

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
    /// Tools it wants called, in its order.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub finish: FinishReason,
    /// What it used.
    pub usage: Usage,
}
