//! Amazon Bedrock's Converse and ConverseStream, as of 2025.
//!
//! In: a body, the model and the method from the path. Out: an answer, or frames of Amazon's event
//! stream; errors by `x-amzn-errortype`. Invariant: every frame has its checksums, by Amazon's own
//! crate. Not here: signatures; that one is there is all that the server asks for.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};

use super::{Dialect, Event, Reply, Spot, Target, Voice, items};
use crate::simulator::{
    answer::{self, Block, Finish},
    refusal::{ErrorBody, Refusal, Why},
    request::{Choice, Reading, Rejection, Tool, ToolResult, Turn, Who},
};

pub(super) struct Bedrock;

impl Voice for Bedrock {
    fn stream_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn read<'a>(&self, body: &'a Value, target: &'a Target) -> Result<Reading<'a>, Rejection> {
        let Some(messages) = body["messages"].as_array() else {
            return Err(Rejection::NotAChatRequest);
        };
        let mut turns = Vec::new();
        let system: Vec<&str> =
            items(&body["system"]).iter().filter_map(|it| it["text"].as_str()).collect();
        if !system.is_empty() {
            turns.push(Turn::of(Who::System, system));
        }
        for message in messages {
            turns.push(turn(message)?);
        }
        let choice = &body["toolConfig"]["toolChoice"];
        let more = &body["additionalModelRequestFields"];
        let thinking = [&more["thinking"]["type"], &more["reasoning_config"]["type"]];
        let tools = items(&body["toolConfig"]["tools"]).iter();
        Ok(Reading {
            turns,
            tools: tools.filter_map(|it| tool(&it["toolSpec"])).collect(),
            choice: match &choice["tool"]["name"] {
                Value::String(name) => Choice::Named(name),
                _ if choice["any"].is_object() => Choice::Any,
                _ => Choice::Auto,
            },
            schema: schema(body),
            limit: body["inferenceConfig"]["maxTokens"].as_i64(),
            thinks: thinking.into_iter().any(|it| *it == "enabled" || *it == "adaptive"),
            streamed: target.streamed,
            ..Reading::of(&target.model_id)
        })
    }

    fn whole(&self, reply: &Reply) -> Value {
        let block = |it: &Block| match it {
            Block::Thinking(text) => {
                let text = json!({"text": text, "signature": seal(reply)});
                json!({"reasoningContent": {"reasoningText": text}})
            }
            Block::Text(text) => json!({"text": text}),
            Block::Call { id, name, arguments } => {
                let input = answer::object(arguments);
                json!({"toolUse": {"toolUseId": call_id(id), "name": name, "input": input}})
            }
        };
        let content: Vec<Value> = reply.content.blocks.iter().map(block).collect();
        json!({
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": stop_reason(reply),
            "usage": usage(reply),
            "metrics": {"latencyMs": 1},
        })
    }

    fn event(&self, reply: &Reply, event: Event<'_>, out: &mut Vec<u8>) {
        let mut named = |name: &str, payload: Value| frame(out, EVENT, name, &payload.to_string());
        let delta = |at: usize, delta: Value| json!({"contentBlockIndex": at, "delta": delta});
        match event {
            Event::Start => named("messageStart", json!({"role": "assistant"})),
            Event::Open(Spot { at, block: Block::Call { id, name, .. }, .. }) => {
                let start = json!({"toolUse": {"toolUseId": call_id(id), "name": name}});
                named("contentBlockStart", json!({"contentBlockIndex": at, "start": start}));
            }
            // Only tool calls are announced.
            Event::Open(_) => {}
            Event::Part(Spot { at, block, .. }, text) => {
                let piece = match block {
                    Block::Thinking(_) => json!({"reasoningContent": {"text": text}}),
                    Block::Text(_) => json!({"text": text}),
                    Block::Call { .. } => json!({"toolUse": {"input": text}}),
                };
                named("contentBlockDelta", delta(at, piece));
            }
            Event::Close(Spot { at, block, .. }) => {
                if matches!(block, Block::Thinking(_)) {
                    let seal = json!({"reasoningContent": {"signature": seal(reply)}});
                    named("contentBlockDelta", delta(at, seal));
                }
                named("contentBlockStop", json!({"contentBlockIndex": at}));
            }
            Event::End => {
                named("messageStop", json!({"stopReason": stop_reason(reply)}));
                let metrics = json!({"latencyMs": 1});
                named("metadata", json!({"usage": usage(reply), "metrics": metrics}));
            }
            Event::Overloaded => {
                let payload = self.inside_200().to_string();
                frame(out, EXCEPTION, "serviceUnavailableException", &payload);
            }
            Event::Broken => frame(out, EVENT, "contentBlockDelta", "{\"contentBlockIn"),
        }
    }

    fn error(&self, refusal: &Refusal) -> ErrorBody {
        let (status, name) = match &refusal.why {
            Why::Status(code) => (*code, of_status(*code)),
            Why::Quota => (403, "AccessDeniedException"),
            Why::Auth => (403, "UnrecognizedClientException"),
            Why::Unsigned => (403, "MissingAuthenticationTokenException"),
            // A model that is not there is a fault of the request, as Bedrock sees it (2025).
            Why::WrongModel(_)
            | Why::ContextTooLong(_)
            | Why::ContentFilter
            | Why::Unsupported
            | Why::Bad(_) => (400, "ValidationException"),
            Why::NoSuchPath => (404, "UnknownOperationException"),
            Why::TooLarge => (413, "RequestEntityTooLargeException"),
        };
        let message = match &refusal.why {
            Why::Auth => "The security token included in the request is invalid.".to_owned(),
            Why::WrongModel(_) => "The provided model identifier is invalid.".to_owned(),
            Why::ContextTooLong(_) => "Input is too long for requested model.".to_owned(),
            other => other.sentence(),
        };
        let (body, amazon_type) = (json!({"message": message}), Some(name));
        ErrorBody { status, body, amazon_type, retry_after: refusal.retry_after }
    }
}

/// A kind of frame: `:message-type`, and the name of the header that says which.
type Kind = (&'static str, &'static str);
const EVENT: Kind = ("event", ":event-type");
const EXCEPTION: Kind = ("exception", ":exception-type");

fn frame(out: &mut Vec<u8>, (kind, type_header): Kind, name: &str, payload: &str) {
    let header =
        |name: &'static str, value: String| Header::new(name, HeaderValue::String(value.into()));
    let message = Message::new(payload.as_bytes().to_vec())
        .add_header(header(type_header, name.to_owned()))
        .add_header(header(":content-type", "application/json".to_owned()))
        .add_header(header(":message-type", kind.to_owned()));
    // Fails only for frames of 16 MB and more; a piece is far below.
    let _ = write_message_to(&message, out);
}

fn turn(message: &Value) -> Result<Turn<'_>, Rejection> {
    let mut turn = Turn::new(match message["role"].as_str() {
        Some("user") => Who::User,
        Some("assistant") => Who::Assistant,
        _ => return Err(Rejection::NotAChatRequest),
    });
    for block in items(&message["content"]) {
        turn.texts.extend(block["text"].as_str());
        turn.images += usize::from(block["image"].is_object());
        turn.call_ids.extend(block["toolUse"]["toolUseId"].as_str());
        let thought = &block["reasoningContent"];
        Dialect::Bedrock.check_seal(&thought["reasoningText"]["signature"])?;
        Dialect::Bedrock.check_seal(&thought["redactedContent"])?;
        let result = &block["toolResult"];
        if result.is_object() {
            let content = items(&result["content"]);
            turn.images += content.iter().filter(|it| it["image"].is_object()).count();
            let plain = content.iter().filter_map(|it| it["text"].as_str());
            let json = content.iter().filter_map(|it| it["json"].as_object());
            let json = json.flat_map(|it| it.values()).filter_map(Value::as_str);
            let (texts, call_id) = (plain.chain(json).collect(), result["toolUseId"].as_str());
            turn.results.push(ToolResult { call_id, texts });
        }
    }
    Ok(turn)
}

fn tool(spec: &Value) -> Option<Tool<'_>> {
    let parameters = spec["inputSchema"].get("json").cloned().unwrap_or_else(|| json!({}));
    Some(Tool { name: spec["name"].as_str()?, parameters })
}

/// The schema of structured output, which is JSON in a string.
fn schema(body: &Value) -> Option<Value> {
    let format = &body["outputConfig"]["textFormat"];
    let schema = &format["structure"]["jsonSchema"]["schema"];
    serde_json::from_str(schema.as_str()?).ok()
}

fn call_id(id: &str) -> String {
    format!("tooluse_{id}")
}

fn seal(reply: &Reply) -> String {
    Dialect::Bedrock.seal(reply.number)
}

fn usage(reply: &Reply) -> Value {
    json!({
        "inputTokens": reply.prompt_tokens,
        "outputTokens": reply.tokens(),
        "totalTokens": reply.prompt_tokens + reply.tokens(),
    })
}

fn stop_reason(reply: &Reply) -> &'static str {
    match reply.content.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Filtered => "content_filtered",
    }
}

/// Amazon's name of a status.
fn of_status(code: u16) -> &'static str {
    match code {
        402 => "ServiceQuotaExceededException",
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        400..=499 => "ValidationException",
        503 | 529 => "ServiceUnavailableException",
        _ => "InternalServerException",
    }
}
