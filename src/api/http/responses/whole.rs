//! The `response` object.
//!
//! In: our own answer, and the request, parts of which OpenAI repeats. Out: the object. Invariant:
//! every field that the SDKs require is there; the prompt is not repeated. Not here: its items (see
//! [`super::output`]).

use serde_json::{Value, json};

use super::output::{Item, Status};
use crate::api::http::dialect::About;
use crate::domain::{
    ChatRequest, ChatResponse, Effort, FinishReason, Json, ResponseFormat, StreamEnd, Text, Tool,
    ToolChoice, Usage,
};

/// A whole answer.
pub(super) fn answered(about: &About, response: ChatResponse, details: Value) -> Value {
    let logprobs = response.logprobs.as_ref().map(content).unwrap_or_default();
    let thoughts = response
        .reasoning
        .into_iter()
        .map(|it| Item::Reasoning { text: it.text.map(Text::into_string), seal: it.seal });
    let text = response.text.map(|it| Item::Message { text: it.into_string(), logprobs });
    let calls = response.tool_calls.into_iter().map(|it| Item::Call {
        id: it.id,
        name: it.name,
        arguments: it.arguments.into_string(),
        seal: it.seal,
    });
    let items: Vec<_> = thoughts.chain(text).chain(calls).collect();
    let last = items.len().saturating_sub(1);
    let items = items.iter().enumerate().map(|(at, it)| {
        let status = if at == last { item_status(response.finish) } else { Status::Completed };
        it.to_json(&it.id(&about.id, at), status)
    });
    let end = StreamEnd { finish: response.finish, usage: response.usage };
    ended(about, items.collect(), end, details)
}

/// The response at its end.
pub(super) fn ended(about: &About, output: Vec<Value>, end: StreamEnd, details: Value) -> Value {
    let mut response = begun(about);
    let reason = incomplete(end.finish);
    response["status"] = if reason.is_some() { "incomplete" } else { "completed" }.into();
    response["incomplete_details"] = reason.map_or(Value::Null, |it| json!({"reason": it}));
    response["output"] = output.into();
    response["usage"] = usage(end.usage);
    response["pointsman"] = details;
    response
}

/// The response before anything is told of it.
pub(super) fn begun(about: &About) -> Value {
    let chat: &ChatRequest = &about.chat;
    json!({
        "id": format!("resp_{}", about.id),
        "object": "response",
        "created_at": about.created_s,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": chat.sampling.max_output_tokens,
        "metadata": {},
        "model": about.model,
        "output": [],
        "parallel_tool_calls": chat.parallel_tool_calls.unwrap_or(true),
        "previous_response_id": null,
        "reasoning": {"effort": chat.effort.and_then(effort), "summary": null},
        "store": false,
        "temperature": chat.sampling.temperature,
        "text": {"format": format(&chat.response_format)},
        "tool_choice": tool_choice(&chat.tool_choice),
        "tools": chat.tools.iter().map(tool).collect::<Vec<_>>(),
        "top_logprobs": chat.sampling.logprobs,
        "top_p": chat.sampling.top_p,
        "truncation": "disabled",
        "usage": null,
        "user": null,
    })
}

/// Why a response is not whole; `None` where it is.
pub(super) fn incomplete(finish: FinishReason) -> Option<&'static str> {
    match finish {
        FinishReason::Stop | FinishReason::ToolCalls => None,
        FinishReason::Length => Some("max_output_tokens"),
        FinishReason::ContentFilter => Some("content_filter"),
    }
}

/// What that makes of the last item.
pub(super) fn item_status(finish: FinishReason) -> Status {
    if incomplete(finish).is_some() { Status::Incomplete } else { Status::Completed }
}

/// The log-probabilities in `{"content": [...]}`.
pub(super) fn content(logprobs: &Json) -> Vec<Value> {
    let content = logprobs.value().get("content").and_then(Value::as_array);
    content.cloned().unwrap_or_default()
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_written_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
    })
}

fn tool(tool: &Tool) -> Value {
    json!({
        "type": "function",
        "name": tool.name,
        "description": tool.description.as_str(),
        "parameters": tool.parameters.value(),
        "strict": tool.strict,
    })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool(name) => json!({"type": "function", "name": name}),
    }
}

fn format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, schema, strict } => json!({
            "type": "json_schema", "name": name, "schema": schema.value(), "strict": strict,
        }),
    }
}

fn effort(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::Off => Some("none"),
        Effort::Minimal => Some("minimal"),
        Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
        Effort::Tokens(_) => None,
    }
}
