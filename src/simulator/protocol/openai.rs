//! OpenAI's chat completions, as of 2025.
//!
//! In: a body. Out: `chat.completion`, `chat.completion.chunk` events that end with `[DONE]`,
//! errors. Invariant: same call, same bytes: even `created` counts calls, not seconds. Thoughts go
//! out as `reasoning_content`, as DeepSeek and vLLM send them: OpenAI itself hides them.

use serde_json::{Value, json};

use super::{Event, Reply, Spot, Target, Voice, items, sse, texts};
use crate::simulator::{
    answer::{Block, Finish},
    refusal::{ErrorBody, Refusal, Why},
    request::{Choice, Reading, Rejection, Tool, ToolResult, Turn, Who, any_object},
};

/// `created` of call 0, in Unix seconds; an arbitrary past time.
const CREATED_S: u64 = 1_735_689_600;

pub(super) struct OpenAi;

impl Voice for OpenAi {
    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn read<'a>(&self, body: &'a Value, _: &'a Target) -> Result<Reading<'a>, Rejection> {
        let (Some(model_id), Some(messages)) =
            (body["model"].as_str(), body["messages"].as_array())
        else {
            return Err(Rejection::NotAChatRequest);
        };
        let limits = ["max_tokens", "max_completion_tokens"].map(|it| body[it].as_i64());
        let effort = body["reasoning_effort"].as_str();
        Ok(Reading {
            turns: messages.iter().map(turn).collect::<Result<_, _>>()?,
            tools: items(&body["tools"]).iter().filter_map(|it| tool(&it["function"])).collect(),
            choice: match (body["tool_choice"].as_str(), &body["tool_choice"]["function"]["name"]) {
                (Some("none"), _) => Choice::Never,
                (Some("required"), _) => Choice::Any,
                (_, Value::String(name)) => Choice::Named(name),
                _ => Choice::Auto,
            },
            parallel: body["parallel_tool_calls"] != false,
            schema: match body["response_format"]["type"].as_str() {
                Some("json_object") => Some(any_object()),
                Some("json_schema") => {
                    Some(body["response_format"]["json_schema"]["schema"].clone())
                }
                _ => None,
            },
            limit: limits.into_iter().flatten().min(),
            thinks: effort.is_some_and(|it| it != "none"),
            streamed: body["stream"] == true,
            usage_in_stream: body["stream_options"]["include_usage"] == true,
            ..Reading::of(model_id)
        })
    }

    fn whole(&self, reply: &Reply) -> Value {
        let calls: Vec<Value> = reply.content.calls().map(call).collect();
        let content = if calls.is_empty() { json!(reply.content.text()) } else { Value::Null };
        let mut message = json!({"role": "assistant", "content": content, "refusal": null});
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        if let Some(thought) = reply.content.thought() {
            message["reasoning_content"] = json!(thought);
        }
        json!({
            "id": format!("chatcmpl-sim{}", reply.number),
            "object": "chat.completion",
            "created": CREATED_S + reply.number,
            "model": reply.model_id,
            "choices": [{
                "index": 0,
                "message": message,
                "logprobs": null,
                "finish_reason": finish(reply),
            }],
            "usage": usage(reply),
            "system_fingerprint": "fp_simulated",
        })
    }

    fn event(&self, reply: &Reply, event: Event<'_>, out: &mut Vec<u8>) {
        let delta = match event {
            Event::Start => {
                let calls = reply.content.finish == Finish::ToolCalls;
                let content = if calls { Value::Null } else { json!("") };
                json!({"role": "assistant", "content": content, "refusal": null})
            }
            Event::Open(Spot { call: index, block: Block::Call { id, name, .. }, .. }) => {
                let mut opened = call((id, name, ""));
                opened["index"] = json!(index);
                json!({"tool_calls": [opened]})
            }
            Event::Part(spot, text) => match spot.block {
                Block::Text(_) => json!({"content": text}),
                Block::Thinking(_) => json!({"reasoning_content": text}),
                Block::Call { .. } => {
                    let piece = json!({"index": spot.call, "function": {"arguments": text}});
                    json!({"tool_calls": [piece]})
                }
            },
            Event::Open(_) | Event::Close(_) => return,
            Event::End => {
                chunk(reply, json!({}), json!(finish(reply)), out);
                if reply.usage_in_stream {
                    let mut last = head(reply);
                    last["choices"] = json!([]);
                    last["usage"] = usage(reply);
                    sse(out, None, &last);
                }
                return out.extend_from_slice(b"data: [DONE]\n\n");
            }
            Event::Overloaded => {
                return sse(out, None, &self.error(&Refusal::of_status(503, None)).body);
            }
            Event::Broken => {
                return out.extend_from_slice(b"data: {\"choices\":[{\"delta\":{\"con\n\n");
            }
        };
        chunk(reply, delta, Value::Null, out);
    }

    fn error(&self, refusal: &Refusal) -> ErrorBody {
        let error = |status, message: &str, kind: &str, param: Option<&str>, code: Option<&str>| {
            let error = json!({"message": message, "type": kind, "param": param, "code": code});
            let (body, retry_after) = (json!({"error": error}), refusal.retry_after);
            ErrorBody { status, body, amazon_type: None, retry_after }
        };
        let invalid = |status, message: &str, param, code| {
            error(status, message, "invalid_request_error", param, code)
        };
        match &refusal.why {
            Why::Status(code) => {
                let (kind, name, message) = of_status(*code);
                error(*code, message, kind, None, name)
            }
            Why::Auth | Why::Unsigned => {
                let message = "Incorrect API key provided. You can find your API key at \
                               https://platform.openai.com/account/api-keys.";
                invalid(401, message, None, Some("invalid_api_key"))
            }
            Why::Quota => {
                let message = "You exceeded your current quota, please check your plan and billing \
                               details.";
                error(429, message, "insufficient_quota", None, Some("insufficient_quota"))
            }
            Why::Unsupported => {
                let (param, code) = (Some("temperature"), Some("unsupported_parameter"));
                let message =
                    "Unsupported parameter: 'temperature' is not supported with this model.";
                invalid(400, message, param, code)
            }
            Why::ContextTooLong(tokens) => {
                let message = format!(
                    "This model's maximum context length is {} tokens. However, your messages \
                     resulted in {tokens} tokens. Please reduce the length of the messages.",
                    tokens.saturating_sub(1)
                );
                invalid(400, &message, Some("messages"), Some("context_length_exceeded"))
            }
            // The shape of OpenAI's models on Azure.
            Why::ContentFilter => {
                let message = "The response was filtered due to the prompt triggering content \
                               management policy. Please modify your prompt and retry.";
                invalid(400, message, Some("prompt"), Some("content_filter"))
            }
            Why::WrongModel(name) => {
                let message =
                    format!("The model `{name}` does not exist or you do not have access to it.");
                invalid(404, &message, None, Some("model_not_found"))
            }
            Why::TooLarge => invalid(413, &refusal.why.sentence(), None, None),
            Why::NoSuchPath => invalid(404, &refusal.why.sentence(), None, None),
            Why::Bad(it) => invalid(400, it.message, it.param, it.code),
        }
    }

    /// As aggregators send it.
    fn inside_200(&self) -> Value {
        json!({"error": {
            "message": "Provider returned error",
            "type": "server_error",
            "param": null,
            "code": 502,
        }})
    }
}

fn turn(message: &Value) -> Result<Turn<'_>, Rejection> {
    let content = texts(&message["content"]);
    Ok(match message["role"].as_str() {
        Some("system" | "developer") => Turn::of(Who::System, content),
        Some("user") => {
            let images = items(&message["content"]).iter().filter(|it| it["type"] == "image_url");
            Turn { images: images.count(), ..Turn::of(Who::User, content) }
        }
        Some("assistant") => {
            let ids = items(&message["tool_calls"]).iter().filter_map(|it| it["id"].as_str());
            Turn { call_ids: ids.collect(), ..Turn::of(Who::Assistant, content) }
        }
        Some("tool") => {
            let result = ToolResult { call_id: message["tool_call_id"].as_str(), texts: content };
            Turn { results: vec![result], ..Turn::new(Who::User) }
        }
        _ => return Err(Rejection::NotAChatRequest),
    })
}

/// A tool from its `function`; Ollama writes it alike.
pub(super) fn tool(function: &Value) -> Option<Tool<'_>> {
    let parameters = function.get("parameters").cloned().unwrap_or_else(|| json!({}));
    Some(Tool { name: function["name"].as_str()?, parameters })
}

fn call((id, name, arguments): (&str, &str, &str)) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!({"id": format!("call_{id}"), "type": "function", "function": function})
}

fn finish(reply: &Reply) -> &'static str {
    match reply.content.finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Filtered => "content_filter",
    }
}

fn usage(reply: &Reply) -> Value {
    json!({
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.tokens(),
        "total_tokens": reply.prompt_tokens + reply.tokens(),
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reply.content.thinking_tokens()},
    })
}

fn head(reply: &Reply) -> Value {
    json!({
        "id": format!("chatcmpl-sim{}", reply.number),
        "object": "chat.completion.chunk",
        "created": CREATED_S + reply.number,
        "model": reply.model_id,
        "system_fingerprint": "fp_simulated",
    })
}

fn chunk(reply: &Reply, delta: Value, finish: Value, out: &mut Vec<u8>) {
    let mut chunk = head(reply);
    let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    chunk["choices"] = json!([choice]);
    if reply.usage_in_stream {
        chunk["usage"] = Value::Null;
    }
    sse(out, None, &chunk);
}

/// Type, code and message of an error status.
fn of_status(code: u16) -> (&'static str, Option<&'static str>, &'static str) {
    let quota = "insufficient_quota";
    match code {
        402 => (
            quota,
            Some(quota),
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        403 => (
            "invalid_request_error",
            Some("unsupported_country_region_territory"),
            "Country, region, or territory not supported",
        ),
        408 => ("server_error", None, "Request timed out."),
        429 => (
            "requests",
            Some("rate_limit_exceeded"),
            "Rate limit reached for requests. Please try again later.",
        ),
        400..=499 => ("invalid_request_error", None, "The request was refused."),
        503 | 529 => (
            "server_error",
            Some("server_overloaded"),
            "The engine is currently overloaded, please try again later.",
        ),
        _ => (
            "server_error",
            None,
            "The server had an error while processing your request. Sorry about that!",
        ),
    }
}
