//! An answer as one of Anthropic's messages.
//!
//! In: our own answer. Out: the message. Invariant: thinking comes first, then text, then tool
//! calls; seals leave only in their wire form. Not here: streams, which share the pieces below.

use serde_json::{Value, json};

use crate::api::http::dialect::About;
use crate::domain::{ChatResponse, FinishReason, Reasoning, Seal, ToolCall, Usage};

/// The whole message.
pub(super) fn message(about: &About, response: ChatResponse, details: Value) -> Value {
    let mut message = head(about);
    let thoughts = response.reasoning.into_iter().map(thinking);
    let text = response.text.into_iter();
    let text = text.map(|it| json!({"type": "text", "text": it.into_string()}));
    let calls = response.tool_calls.into_iter().map(tool_use);
    message["content"] = thoughts.chain(text).chain(calls).collect();
    message["stop_reason"] = stop_reason(response.finish).into();
    message["usage"] = usage(response.usage);
    message["pointsman"] = details;
    message
}

/// A message of which nothing is told yet; its usage is not known.
pub(super) fn head(about: &About) -> Value {
    json!({
        "id": format!("msg_{}", about.id),
        "type": "message",
        "role": "assistant",
        "model": about.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage(Usage::default()),
    })
}

/// Why it stopped. Which stop sequence was met is not known here: then it is the turn's end.
pub(super) fn stop_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// Anthropic counts cached input apart from the rest.
pub(super) fn usage(usage: Usage) -> Value {
    let apart = usage.cached_tokens.saturating_add(usage.cache_written_tokens);
    json!({
        "input_tokens": usage.input_tokens.saturating_sub(apart),
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": usage.cache_written_tokens,
        "output_tokens": usage.output_tokens,
    })
}

/// A tool call that has begun. Its seal rides as in the OpenAI face: this protocol has no place
/// for it, and SDKs send back fields that they do not know.
pub(super) fn tool_use_head(id: &str, name: &str, seal: Option<&Seal>) -> Value {
    let mut block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    if let Some(seal) = seal {
        block["extra_content"] = json!({"pointsman": {"seal": seal.to_wire()}});
    }
    block
}

/// Thinking without words.
pub(super) fn redacted(seal: &Seal) -> Value {
    json!({"type": "redacted_thinking", "data": seal.to_wire()})
}

/// Thinking in words; SDKs require a signature, so no seal is an empty one.
fn thinking(block: Reasoning) -> Value {
    match (block.text, block.seal) {
        (None, Some(seal)) => redacted(&seal),
        (text, seal) => json!({
            "type": "thinking",
            "thinking": text.unwrap_or_default().into_string(),
            "signature": seal.map(|it| it.to_wire()).unwrap_or_default(),
        }),
    }
}

fn tool_use(call: ToolCall) -> Value {
    let mut block = tool_use_head(&call.id, &call.name, call.seal.as_ref());
    // Arguments were checked to be JSON before; what is no object has no place in this protocol.
    let input = serde_json::from_str(call.arguments.as_str());
    block["input"] = input.ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
    block
}
