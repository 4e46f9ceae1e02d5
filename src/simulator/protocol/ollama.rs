//! Ollama's own `/api/chat`, as of 2025.
//!
//! In: a body. Out: one object, or one per line until `"done": true`; errors as one string.
//! Invariant: streams unless told not to, as Ollama does. Tool calls come whole, without ids, and
//! end with `stop`.

use serde_json::{Value, json};

use super::{Event, Reply, Target, Voice, items, openai::tool, texts};
use crate::simulator::{
    answer::{self, Block, Finish},
    refusal::{ErrorBody, Refusal, Why},
    request::{Reading, Rejection, ToolResult, Turn, Who, any_object},
};

/// An arbitrary past time.
const CREATED_AT: &str = "2025-01-01T00:00:00.000000Z";

pub(super) struct Ollama;

impl Voice for Ollama {
    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn read<'a>(&self, body: &'a Value, _: &'a Target) -> Result<Reading<'a>, Rejection> {
        let (Some(model_id), Some(messages)) =
            (body["model"].as_str(), body["messages"].as_array())
        else {
            return Err(Rejection::NotAChatRequest);
        };
        // -1 is endless, -2 as much as the window holds.
        let limit = body["options"]["num_predict"].as_i64().filter(|it| *it >= 0);
        Ok(Reading {
            turns: messages.iter().map(turn).collect::<Result<_, _>>()?,
            tools: items(&body["tools"]).iter().filter_map(|it| tool(&it["function"])).collect(),
            schema: match &body["format"] {
                Value::String(text) if text == "json" => Some(any_object()),
                schema @ Value::Object(_) => Some(schema.clone()),
                _ => None,
            },
            limit,
            thinks: body["think"] == true || body["think"].is_string(),
            streamed: body["stream"] != false,
            ..Reading::of(model_id)
        })
    }

    fn whole(&self, reply: &Reply) -> Value {
        let mut message = json!({"role": "assistant", "content": reply.content.text()});
        if let Some(thought) = reply.content.thought() {
            message["thinking"] = json!(thought);
        }
        let calls: Vec<Value> = reply.content.calls().map(|(_, name, it)| call(name, it)).collect();
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        done(reply, message)
    }

    fn event(&self, reply: &Reply, event: Event<'_>, out: &mut Vec<u8>) {
        let message = match event {
            Event::Start | Event::Open(_) => return,
            Event::Part(spot, text) => match spot.block {
                Block::Thinking(_) => {
                    json!({"role": "assistant", "content": "", "thinking": text})
                }
                Block::Text(_) => json!({"role": "assistant", "content": text}),
                Block::Call { .. } => return,
            },
            Event::Close(spot) => match spot.block {
                Block::Call { name, arguments, .. } => {
                    let calls = json!([call(name, arguments)]);
                    json!({"role": "assistant", "content": "", "tool_calls": calls})
                }
                Block::Thinking(_) | Block::Text(_) => return,
            },
            Event::End => {
                return line(out, &done(reply, json!({"role": "assistant", "content": ""})));
            }
            Event::Overloaded => return line(out, &self.inside_200()),
            Event::Broken => return out.extend_from_slice(b"{\"message\":{\"role\":\"assis\n"),
        };
        let mut chunk = head(reply, message);
        chunk["done"] = json!(false);
        line(out, &chunk);
    }

    fn error(&self, refusal: &Refusal) -> ErrorBody {
        let status = match &refusal.why {
            Why::Status(code) => *code,
            Why::Auth | Why::Unsigned => 401,
            Why::ContextTooLong(_) | Why::ContentFilter | Why::Unsupported | Why::Bad(_) => 400,
            Why::Quota => 402,
            Why::WrongModel(_) | Why::NoSuchPath => 404,
            Why::TooLarge => 413,
        };
        let message = match &refusal.why {
            Why::Auth | Why::Unsigned => "unauthorized".to_owned(),
            Why::Status(503) => {
                "server busy, please try again. maximum pending requests exceeded".to_owned()
            }
            Why::ContextTooLong(_) => "the input length exceeds the context length".to_owned(),
            other => other.sentence(),
        };
        let body = json!({"error": message});
        ErrorBody { status, body, amazon_type: None, retry_after: refusal.retry_after }
    }
}

fn turn(message: &Value) -> Result<Turn<'_>, Rejection> {
    let content = texts(&message["content"]);
    Ok(match message["role"].as_str() {
        Some("system") => Turn::of(Who::System, content),
        Some("user") => {
            Turn { images: items(&message["images"]).len(), ..Turn::of(Who::User, content) }
        }
        Some("assistant") => {
            let calls = items(&message["tool_calls"]).iter();
            let names = calls.filter_map(|it| it["function"]["name"].as_str());
            Turn { call_ids: names.collect(), ..Turn::of(Who::Assistant, content) }
        }
        Some("tool") => {
            let call_id = message["tool_name"].as_str();
            let results = vec![ToolResult { call_id, texts: content }];
            Turn { results, ..Turn::new(Who::User) }
        }
        _ => return Err(Rejection::NotAChatRequest),
    })
}

fn call(name: &str, arguments: &str) -> Value {
    json!({"function": {"name": name, "arguments": answer::object(arguments)}})
}

fn head(reply: &Reply, message: Value) -> Value {
    json!({"model": reply.model_id, "created_at": CREATED_AT, "message": message})
}

fn done(reply: &Reply, message: Value) -> Value {
    let mut last = head(reply, message);
    last["done"] = json!(true);
    last["done_reason"] = json!(match reply.content.finish {
        Finish::Stop | Finish::ToolCalls | Finish::Filtered => "stop",
        Finish::Length => "length",
    });
    // In nanoseconds, as if every token took 10 ms.
    let (read, said) = (reply.prompt_tokens, reply.tokens());
    for (name, tokens) in
        [("prompt_eval_duration", read), ("eval_duration", said), ("total_duration", read + said)]
    {
        last[name] = json!(tokens.saturating_mul(10_000_000));
    }
    last["load_duration"] = json!(0);
    last["prompt_eval_count"] = json!(read);
    last["eval_count"] = json!(said);
    last
}

fn line(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(format!("{value}\n").as_bytes());
}
