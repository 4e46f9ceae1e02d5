//! Answers as `chat.completion` objects, and the pieces that chunks share with them.
//!
//! In: [`ChatResponse`]. Out: JSON. Invariant: `model` is who answered; our own facts stand under
//! `pointsman` and nowhere else.

use serde_json::{Map, Value, json};

use crate::api::http::dialect::About;
use crate::api::http::extension;
use crate::domain::{ChatResponse, FinishReason, Reasoning, Seal, Text, ToolCall, Usage};

/// The answer's own id.
pub(super) fn id(about: &About) -> String {
    format!("chatcmpl-{}", about.id)
}

/// An answer in one piece.
pub(super) fn completion(about: &About, response: ChatResponse, details: Value) -> Value {
    let ChatResponse { text, reasoning, tool_calls, finish, usage, logprobs } = response;
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), text.map(Text::into_string).into());
    message.insert("refusal".into(), Value::Null);
    message.insert("annotations".into(), json!([]));
    if !tool_calls.is_empty() {
        message.insert("tool_calls".into(), tool_calls.into_iter().map(tool_call).collect());
    }
    let words: Vec<_> =
        reasoning.iter().filter_map(|it| it.text.as_ref()).map(Text::as_str).collect();
    if !words.is_empty() {
        message.insert("reasoning_content".into(), words.join("\n").into());
    }
    let sealed: Vec<_> = reasoning.iter().filter_map(detail).collect();
    if !sealed.is_empty() {
        message.insert("reasoning_details".into(), sealed.into());
    }
    let mut body = json!({
        "id": id(about),
        "object": "chat.completion",
        "created": about.created_s,
        "model": about.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": logprobs.map(|it| it.value().clone()),
            "finish_reason": finish_reason(finish),
        }],
        "usage": self::usage(&usage, &details),
    });
    body[extension::NAME] = details;
    body
}

fn tool_call(call: ToolCall) -> Value {
    let arguments = call.arguments.into_string();
    let mut value = json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": arguments },
    });
    if let Some(seal) = &call.seal {
        value["extra_content"] = extra_content(seal);
    }
    value
}

/// Where a tool call's seal stands.
pub(super) fn extra_content(seal: &Seal) -> Value {
    json!({ "pointsman": { "seal": seal.to_wire() } })
}

/// A sealed block of thinking.
pub(super) fn detail(block: &Reasoning) -> Option<Value> {
    let seal = block.seal.as_ref()?.to_wire();
    Some(match &block.text {
        Some(text) => json!({ "type": "reasoning.text", "text": text, "signature": seal }),
        None => json!({ "type": "reasoning.encrypted", "data": seal }),
    })
}

/// Why it stopped.
pub(super) fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
    }
}

/// What the answer used, and as OpenRouter tells it (2026) what everything cost, USD.
pub(super) fn usage(of: &Usage, details: &Value) -> Value {
    json!({
        "cost": details["cost_usd"],
        "prompt_tokens": of.input_tokens,
        "completion_tokens": of.output_tokens,
        "total_tokens": of.input_tokens.saturating_add(of.output_tokens),
        "prompt_tokens_details": { "cached_tokens": of.cached_tokens },
        "completion_tokens_details": { "reasoning_tokens": of.reasoning_tokens },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProviderName;
    use std::sync::Arc;

    #[test]
    fn everything_of_an_answer_is_told() {
        let provider = ProviderName::new("google").unwrap();
        let seal = Some(Seal { provider, value: "s".into() });
        let response = ChatResponse {
            text: None,
            reasoning: vec![
                Reasoning { text: Some("hm".into()), seal: seal.clone() },
                Reasoning { text: None, seal: seal.clone() },
            ],
            tool_calls: vec![ToolCall {
                id: "c1".into(),
                name: "f".into(),
                arguments: "{}".into(),
                seal,
            }],
            finish: FinishReason::ToolCalls,
            usage: Usage {
                input_tokens: 5,
                cached_tokens: 2,
                output_tokens: 3,
                ..Usage::default()
            },
            logprobs: None,
        };
        let about =
            About { id: "1-2".into(), created_s: 7, model: "m".into(), chat: Arc::default() };
        let told = completion(&about, response, json!({ "cost_usd": 0.5 }));
        assert_eq!((&told["id"], &told["model"]), (&json!("chatcmpl-1-2"), &json!("m")));
        let message = &told["choices"][0]["message"];
        let wanted = json!([
            {"type": "reasoning.text", "text": "hm", "signature": "pointsman:google:s"},
            {"type": "reasoning.encrypted", "data": "pointsman:google:s"},
        ]);
        assert_eq!(message["reasoning_details"], wanted);
        assert_eq!(
            (&message["content"], &message["reasoning_content"]),
            (&Value::Null, &json!("hm"))
        );
        let wanted = json!([{
            "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"pointsman": {"seal": "pointsman:google:s"}},
        }]);
        assert_eq!(message["tool_calls"], wanted);
        assert_eq!(told["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(told["usage"]["total_tokens"], 8);
        assert_eq!(told["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
        assert_eq!(
            (&told["usage"]["cost"], &told["pointsman"]["cost_usd"]),
            (&json!(0.5), &json!(0.5))
        );
    }
}
