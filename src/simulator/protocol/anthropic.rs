//! Anthropic's Messages, as of 2025 (`anthropic-version: 2023-06-01`).
//!
//! In: a body. Out: a `message`, named events from `message_start` to `message_stop`, errors.
//! Invariant: thoughts carry a signature that only this protocol of the simulator takes back.
//! An overloaded server answers 529 here, also where a fault says 503.

use serde_json::{Value, json};

use super::{Dialect, Event, Reply, Spot, Target, Voice, items, sse, texts};
use crate::simulator::{
    answer::{self, Block, Finish},
    refusal::{ErrorBody, Refusal, Why},
    request::{Choice, Reading, Rejection, Tool, ToolResult, Turn, Who},
};

pub(super) struct Anthropic;

impl Voice for Anthropic {
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn read<'a>(&self, body: &'a Value, _: &'a Target) -> Result<Reading<'a>, Rejection> {
        let (Some(model_id), Some(messages)) =
            (body["model"].as_str(), body["messages"].as_array())
        else {
            return Err(Rejection::NotAChatRequest);
        };
        let mut turns = Vec::new();
        if !body["system"].is_null() {
            turns.push(Turn::of(Who::System, texts(&body["system"])));
        }
        for message in messages {
            turns.push(turn(message)?);
        }
        let choice = &body["tool_choice"];
        let format = [&body["output_config"]["format"], &body["output_format"]];
        let schema = format.into_iter().find(|it| it["type"] == "json_schema");
        Ok(Reading {
            turns,
            tools: items(&body["tools"]).iter().filter_map(tool).collect(),
            choice: match (choice["type"].as_str(), &choice["name"]) {
                (Some("none"), _) => Choice::Never,
                (Some("any"), _) => Choice::Any,
                (Some("tool"), Value::String(name)) => Choice::Named(name),
                _ => Choice::Auto,
            },
            parallel: choice["disable_parallel_tool_use"] != true,
            schema: schema.map(|it| it["schema"].clone()),
            limit: Some(body["max_tokens"].as_i64().ok_or(Rejection::NoRoomToAnswer)?),
            thinks: matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive")),
            streamed: body["stream"] == true,
            ..Reading::of(model_id)
        })
    }

    fn whole(&self, reply: &Reply) -> Value {
        let block = |it: &Block| match it {
            Block::Thinking(text) => {
                json!({"type": "thinking", "thinking": text, "signature": seal(reply)})
            }
            Block::Text(text) => json!({"type": "text", "text": text}),
            Block::Call { id, name, arguments } => {
                let input = answer::object(arguments);
                json!({"type": "tool_use", "id": call_id(id), "name": name, "input": input})
            }
        };
        let mut message = head(reply);
        message["content"] = reply.content.blocks.iter().map(block).collect();
        message["stop_reason"] = json!(stop_reason(reply));
        message["usage"]["output_tokens"] = json!(reply.tokens());
        message
    }

    fn event(&self, reply: &Reply, event: Event<'_>, out: &mut Vec<u8>) {
        let mut named = |data: Value| sse(out, data["type"].as_str(), &data);
        match event {
            Event::Start => {
                named(json!({"type": "message_start", "message": head(reply)}));
                named(json!({"type": "ping"}));
            }
            Event::Open(Spot { at, block, .. }) => {
                let opened = match block {
                    Block::Thinking(_) => {
                        json!({"type": "thinking", "thinking": "", "signature": ""})
                    }
                    Block::Text(_) => json!({"type": "text", "text": ""}),
                    Block::Call { id, name, .. } => {
                        json!({"type": "tool_use", "id": call_id(id), "name": name, "input": {}})
                    }
                };
                named(json!({"type": "content_block_start", "index": at, "content_block": opened}));
            }
            Event::Part(Spot { at, block, .. }, text) => {
                let delta = match block {
                    Block::Thinking(_) => json!({"type": "thinking_delta", "thinking": text}),
                    Block::Text(_) => json!({"type": "text_delta", "text": text}),
                    Block::Call { .. } => json!({"type": "input_json_delta", "partial_json": text}),
                };
                named(json!({"type": "content_block_delta", "index": at, "delta": delta}));
            }
            Event::Close(Spot { at, block, .. }) => {
                if matches!(block, Block::Thinking(_)) {
                    let delta = json!({"type": "signature_delta", "signature": seal(reply)});
                    named(json!({"type": "content_block_delta", "index": at, "delta": delta}));
                }
                named(json!({"type": "content_block_stop", "index": at}));
            }
            Event::End => {
                let delta = json!({"stop_reason": stop_reason(reply), "stop_sequence": null});
                let usage = json!({"output_tokens": reply.tokens()});
                named(json!({"type": "message_delta", "delta": delta, "usage": usage}));
                named(json!({"type": "message_stop"}));
            }
            Event::Overloaded => named(self.inside_200()),
            Event::Broken => out.extend_from_slice(
                b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"ind\n\n",
            ),
        }
    }

    fn error(&self, refusal: &Refusal) -> ErrorBody {
        let (status, kind) = match &refusal.why {
            Why::Status(code) => of_status(*code),
            Why::Auth | Why::Unsigned => (401, "authentication_error"),
            // Anthropic answers 400 to an account that is used up.
            Why::ContextTooLong(_)
            | Why::ContentFilter
            | Why::Quota
            | Why::Unsupported
            | Why::Bad(_) => (400, "invalid_request_error"),
            Why::WrongModel(_) | Why::NoSuchPath => (404, "not_found_error"),
            Why::TooLarge => (413, "request_too_large"),
        };
        let message = match &refusal.why {
            Why::Status(503 | 529) => "Overloaded".to_owned(),
            Why::Auth | Why::Unsigned => "invalid x-api-key".to_owned(),
            Why::WrongModel(name) => format!("model: {name}"),
            Why::ContentFilter => "Output blocked by content filtering policy".to_owned(),
            other => other.sentence(),
        };
        let error = json!({"type": kind, "message": message});
        let body = json!({"type": "error", "error": error, "request_id": "req_sim"});
        ErrorBody { status, body, amazon_type: None, retry_after: refusal.retry_after }
    }
}

fn turn(message: &Value) -> Result<Turn<'_>, Rejection> {
    let who = match message["role"].as_str() {
        Some("user") => Who::User,
        Some("assistant") => Who::Assistant,
        // Models of 2026 take them between turns.
        Some("system") => Who::System,
        _ => return Err(Rejection::NotAChatRequest),
    };
    let mut turn = Turn::of(who, message["content"].as_str().into_iter().collect());
    for block in items(&message["content"]) {
        match block["type"].as_str() {
            Some("text") => turn.texts.extend(block["text"].as_str()),
            Some("image") => turn.images += 1,
            Some("tool_use") => turn.call_ids.extend(block["id"].as_str()),
            Some("tool_result") => {
                let content = &block["content"];
                turn.images += items(content).iter().filter(|it| it["type"] == "image").count();
                let call_id = block["tool_use_id"].as_str();
                turn.results.push(ToolResult { call_id, texts: texts(content) });
            }
            Some("thinking") => Dialect::Anthropic.check_seal(&block["signature"])?,
            Some("redacted_thinking") => Dialect::Anthropic.check_seal(&block["data"])?,
            Some(_) => {}
            None => return Err(Rejection::NotAChatRequest),
        }
    }
    Ok(turn)
}

fn tool(tool: &Value) -> Option<Tool<'_>> {
    let parameters = tool.get("input_schema").cloned().unwrap_or_else(|| json!({}));
    Some(Tool { name: tool["name"].as_str()?, parameters })
}

fn call_id(id: &str) -> String {
    format!("toolu_{id}")
}

fn seal(reply: &Reply) -> String {
    Dialect::Anthropic.seal(reply.number)
}

/// The message before anything is said.
fn head(reply: &Reply) -> Value {
    json!({
        "id": format!("msg_sim{}", reply.number),
        "type": "message",
        "role": "assistant",
        "model": reply.model_id,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {
            "input_tokens": reply.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": u64::from(reply.tokens() > 0),
        },
    })
}

fn stop_reason(reply: &Reply) -> &'static str {
    match reply.content.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Filtered => "refusal",
    }
}

/// The status sent for one asked for, and its type.
fn of_status(code: u16) -> (u16, &'static str) {
    match code {
        402 => (402, "billing_error"),
        403 => (403, "permission_error"),
        404 => (404, "not_found_error"),
        413 => (413, "request_too_large"),
        429 => (429, "rate_limit_error"),
        400..=499 => (code, "invalid_request_error"),
        503 | 529 => (529, "overloaded_error"),
        504 => (504, "timeout_error"),
        _ => (code, "api_error"),
    }
}
