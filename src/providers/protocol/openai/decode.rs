//! The body of a chat completion as an answer, or as the way in which it failed.
//!
//! In: status and body. Out: [`ChatResponse`] or [`CallFailure`] with the usage that is paid
//! anyway. Invariant: only an answer that is whole, or cut at the caller's own limit, passes:
//! an unknown finish reason is malformed, not an end. Not here: validation against a JSON schema.

use serde::Deserialize;
use serde_json::Value;

use super::super::{Answered, Asking};
use super::classify::classify;
use crate::domain::{ChatResponse, FailureClass, FinishReason, Text, ToolCall, Usage};
use crate::providers::call::CallFailure;

/// Reads what came back.
///
/// # Errors
/// [`CallFailure`] with the class of `failure.md`'s table.
pub(in super::super) fn decode(
    answered: &Answered<'_>,
    _asking: &Asking<'_>,
) -> Result<ChatResponse, CallFailure> {
    if !(200..300).contains(&answered.status) {
        return Err(classify(answered));
    }
    let failed = |class, usage| CallFailure {
        class,
        status: Some(answered.status),
        retry_after: answered.retry_after,
        usage,
    };
    let malformed = |_| failed(FailureClass::Malformed, Usage::default());
    let body: Body = serde_json::from_slice(answered.body).map_err(malformed)?;
    if !body.error.is_null() {
        return Err(classify(answered));
    }
    let usage = body.usage.map(Usage::from).unwrap_or_default();
    let choice = body.choices.unwrap_or_default().into_iter().next();
    let choice = choice.ok_or_else(|| failed(FailureClass::Malformed, usage))?;
    whole(choice, usage).map_err(|class| failed(class, usage))
}

fn whole(choice: Choice, usage: Usage) -> Result<ChatResponse, FailureClass> {
    let Choice { message, finish_reason } = choice;
    let finish = finish(finish_reason.as_deref())?;
    let refused = message.refusal.is_some_and(|it| !it.is_empty());
    if refused || finish == FinishReason::ContentFilter {
        return Err(FailureClass::ContentFiltered);
    }
    let calls = message.tool_calls.unwrap_or_default();
    let tool_calls = calls.into_iter().map(tool_call).collect::<Result<Vec<_>, _>>()?;
    let text = message.content.map(Content::text).filter(|it| !it.is_blank());
    if finish != FinishReason::Length && text.is_none() && tool_calls.is_empty() {
        return Err(FailureClass::EmptyAnswer);
    }
    let finish = match finish {
        FinishReason::Length => FinishReason::Length,
        // Some servers say "stop" where they ask for tools, or the other way round.
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::ContentFilter => {
            if tool_calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls }
        }
    };
    let (reasoning, logprobs) = (vec![], None);
    Ok(ChatResponse { text, reasoning, tool_calls, finish, usage, logprobs })
}

/// Reads the finish reason in the words of OpenAI and of those servers that differ (2025): Mistral
/// says `model_length`, DeepSeek `insufficient_system_resource`, OpenRouter `error`.
fn finish(reason: Option<&str>) -> Result<FinishReason, FailureClass> {
    match reason {
        Some("stop" | "eos" | "end_turn" | "stop_sequence") => Ok(FinishReason::Stop),
        Some("length" | "max_tokens" | "model_length") => Ok(FinishReason::Length),
        Some("tool_calls" | "function_call") => Ok(FinishReason::ToolCalls),
        Some("content_filter" | "refusal" | "safety") => Ok(FinishReason::ContentFilter),
        Some("error" | "insufficient_system_resource") => Err(FailureClass::Overloaded),
        Some(_) | None => Err(FailureClass::Malformed),
    }
}

fn tool_call(call: CallBody) -> Result<ToolCall, FailureClass> {
    let CallBody { id, function } = call;
    let arguments = match function.arguments {
        // A call without arguments comes as "" or null from some servers.
        Value::Null => "{}".to_owned(),
        Value::String(text) if text.trim().is_empty() => "{}".to_owned(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    if function.name.is_empty() || !is_json(&arguments) {
        return Err(FailureClass::Malformed);
    }
    Ok(ToolCall { id, name: function.name, arguments: arguments.into(), seal: None })
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error: Value,
    choices: Option<Vec<Choice>>,
    usage: Option<UsageBody>,
}

#[derive(Deserialize)]
struct Choice {
    message: MessageBody,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct MessageBody {
    content: Option<Content>,
    refusal: Option<String>,
    tool_calls: Option<Vec<CallBody>>,
}

/// A string, or with some servers (Mistral's reasoning models) a list of parts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Whole(String),
    Parts(Vec<PartBody>),
}

impl Content {
    fn text(self) -> Text {
        match self {
            Self::Whole(text) => text.into(),
            Self::Parts(parts) => {
                parts.into_iter().filter_map(|it| it.text).collect::<String>().into()
            }
        }
    }
}

#[derive(Deserialize)]
struct PartBody {
    text: Option<String>,
}

#[derive(Deserialize)]
struct CallBody {
    #[serde(default)]
    id: String,
    function: FunctionBody,
}

#[derive(Deserialize)]
struct FunctionBody {
    #[serde(default)]
    name: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct UsageBody {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

impl From<UsageBody> for Usage {
    fn from(body: UsageBody) -> Self {
        let cached = body.prompt_tokens_details.and_then(|it| it.cached_tokens);
        let reasoning = body.completion_tokens_details.and_then(|it| it.reasoning_tokens);
        Self {
            input_tokens: body.prompt_tokens.unwrap_or(0),
            cached_tokens: cached.unwrap_or(0),
            cache_written_tokens: 0,
            output_tokens: body.completion_tokens.unwrap_or(0),
            reasoning_tokens: reasoning.unwrap_or(0),
        }
    }
}
