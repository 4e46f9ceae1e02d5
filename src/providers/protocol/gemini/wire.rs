//! The bodies that Gemini answers with, as far as they are read.
//!
//! In: JSON. Out: plain structs. Invariant: a field that is missing or null is `None`; unknown
//! fields are ignored. Not here: what they mean.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::{Json, Usage};

/// A `GenerateContentResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    pub(super) candidates: Option<Vec<Candidate>>,
    pub(super) prompt_feedback: Option<PromptFeedback>,
    pub(super) usage_metadata: Option<UsageMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate {
    pub(super) content: Option<Content>,
    pub(super) finish_reason: Option<String>,
    pub(super) logprobs_result: Option<LogprobsResult>,
}

#[derive(Deserialize)]
pub(super) struct Content {
    pub(super) parts: Option<Vec<PartBody>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartBody {
    pub(super) text: Option<String>,
    pub(super) thought: Option<bool>,
    pub(super) thought_signature: Option<String>,
    pub(super) function_call: Option<FunctionCall>,
}

#[derive(Deserialize)]
pub(super) struct FunctionCall {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) args: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    pub(super) block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    prompt_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
}

impl From<UsageMetadata> for Usage {
    fn from(told: UsageMetadata) -> Self {
        let count = |it: Option<u64>| it.unwrap_or(0);
        let thoughts = count(told.thoughts_token_count);
        let tools = count(told.tool_use_prompt_token_count);
        Self {
            input_tokens: count(told.prompt_token_count).saturating_add(tools),
            cached_tokens: count(told.cached_content_token_count),
            cache_written_tokens: 0,
            output_tokens: count(told.candidates_token_count).saturating_add(thoughts),
            reasoning_tokens: thoughts,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogprobsResult {
    chosen_candidates: Option<Vec<Logprob>>,
    top_candidates: Option<Vec<TopLogprobs>>,
}

#[derive(Deserialize)]
struct TopLogprobs {
    candidates: Option<Vec<Logprob>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logprob {
    token: Option<String>,
    log_probability: Option<f64>,
}

impl LogprobsResult {
    /// In OpenAI's shape; `None` when no token is told.
    pub(super) fn into_openai(self) -> Option<Json> {
        let one = |it: &Logprob| {
            let token = it.token.as_deref().unwrap_or_default();
            json!({ "token": token, "logprob": it.log_probability, "bytes": null })
        };
        let chosen = self.chosen_candidates.filter(|it| !it.is_empty())?;
        let tops = self.top_candidates.unwrap_or_default();
        let token = |(at, chosen): (usize, &Logprob)| {
            let top = tops.get(at).and_then(|it| it.candidates.as_deref()).unwrap_or_default();
            let mut token = one(chosen);
            token["top_logprobs"] = top.iter().map(one).collect();
            token
        };
        let content: Vec<_> = chosen.iter().enumerate().map(token).collect();
        Some(json!({ "content": content }).into())
    }
}
