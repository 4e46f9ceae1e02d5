//! Gemini's `generateContent` and `streamGenerateContent?alt=sse`, `v1beta` as of 2025.
//!
//! In: a body, the model and the method from the path. Out: `GenerateContentResponse`s, one or a
//! stream of them, and Google's errors. Invariant: tool calls come whole and without ids, as the
//! API sends them; a stream's last response says why it ends, and that is its only end mark.

use serde_json::{Map, Value, json};

use super::{Dialect, Event, Reply, Spot, Target, Voice, items, sse, texts};
use crate::simulator::{
    answer::{self, Block, Finish},
    refusal::{ErrorBody, Refusal, Why},
    request::{Choice, Reading, Rejection, Tool, ToolResult, Turn, Who, any_object},
};

/// What Google takes in place of a thought's signature (documented in 2025).
const SEALS_OF_NOBODY: [&str; 2] =
    ["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"];

pub(super) struct Gemini;

impl Voice for Gemini {
    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn read<'a>(&self, body: &'a Value, target: &'a Target) -> Result<Reading<'a>, Rejection> {
        let Some(contents) = body["contents"].as_array() else {
            return Err(Rejection::NotAChatRequest);
        };
        let mut turns = Vec::new();
        let system = either(body, "systemInstruction", "system_instruction");
        if !system.is_null() {
            turns.push(Turn::of(Who::System, texts(&system["parts"])));
        }
        for content in contents {
            turns.push(turn(content)?);
        }
        let config = &body["generationConfig"];
        let calling = &body["toolConfig"]["functionCallingConfig"];
        let allowed = items(&calling["allowedFunctionNames"]);
        let declared = items(&body["tools"]).iter();
        let declared = declared.flat_map(|it| items(&it["functionDeclarations"]));
        Ok(Reading {
            turns,
            tools: declared.filter_map(tool).collect(),
            choice: match (calling["mode"].as_str(), allowed) {
                (Some("NONE"), _) => Choice::Never,
                (Some("ANY"), [Value::String(name)]) => Choice::Named(name),
                (Some("ANY"), _) => Choice::Any,
                _ => Choice::Auto,
            },
            schema: schema(config),
            limit: config["maxOutputTokens"].as_i64(),
            thinks: config["thinkingConfig"]["includeThoughts"] == true,
            streamed: target.streamed,
            ..Reading::of(&target.model_id)
        })
    }

    fn whole(&self, reply: &Reply) -> Value {
        if reply.content.finish == Finish::Filtered {
            return blocked(reply);
        }
        let blocks = reply.content.blocks.iter();
        let mut call = 0;
        let mut parts = Vec::new();
        for (at, block) in blocks.enumerate() {
            let spot = Spot { at, call, block };
            call += usize::from(matches!(block, Block::Call { .. }));
            parts.push(part(reply, spot, block.text()));
        }
        if let (Some(last), true) = (parts.last_mut(), seals_at_end(reply)) {
            last["thoughtSignature"] = json!(seal(reply));
        }
        response(reply, parts, Some(finish_reason(reply)))
    }

    fn event(&self, reply: &Reply, event: Event<'_>, out: &mut Vec<u8>) {
        let parts = match event {
            Event::Start | Event::Open(_) => return,
            Event::Part(spot, text) => match spot.block {
                Block::Call { .. } => return,
                Block::Thinking(_) | Block::Text(_) => vec![part(reply, spot, text)],
            },
            Event::Close(spot) => match spot.block {
                Block::Call { .. } => vec![part(reply, spot, "")],
                Block::Thinking(_) | Block::Text(_) => return,
            },
            Event::End if reply.content.finish == Finish::Filtered => {
                return sse(out, None, &blocked(reply));
            }
            Event::End => {
                let last = match seals_at_end(reply) {
                    true => json!({"text": "", "thoughtSignature": seal(reply)}),
                    false => json!({"text": ""}),
                };
                return sse(out, None, &response(reply, vec![last], Some(finish_reason(reply))));
            }
            Event::Overloaded => return sse(out, None, &self.inside_200()),
            Event::Broken => {
                return out.extend_from_slice(b"data: {\"candidates\": [{\"content\": {\"pa\n\n");
            }
        };
        sse(out, None, &response(reply, parts, None));
    }

    fn error(&self, refusal: &Refusal) -> ErrorBody {
        let (status, name) = match &refusal.why {
            Why::Status(code) => (*code, of_status(*code)),
            // Google answers 400 to a wrong key.
            Why::Auth
            | Why::ContextTooLong(_)
            | Why::ContentFilter
            | Why::Unsupported
            | Why::Bad(_) => (400, "INVALID_ARGUMENT"),
            Why::Unsigned | Why::Quota => (403, "PERMISSION_DENIED"),
            Why::WrongModel(_) | Why::NoSuchPath => (404, "NOT_FOUND"),
            Why::TooLarge => (413, "INVALID_ARGUMENT"),
        };
        let message = match &refusal.why {
            Why::Auth => "API key not valid. Please pass a valid API key.".to_owned(),
            Why::ContextTooLong(tokens) => format!(
                "The input token count ({tokens}) exceeds the maximum number of tokens allowed \
                 ({}).",
                tokens.saturating_sub(1)
            ),
            Why::WrongModel(name) => format!(
                "models/{name} is not found for API version v1beta, or is not supported for \
                 generateContent. Call ListModels to see the list of available models and their \
                 supported methods."
            ),
            Why::Status(429) => "You exceeded your current quota, please check your plan and \
                                 billing details."
                .to_owned(),
            other => other.sentence(),
        };
        let mut error = json!({"code": status, "message": message, "status": name});
        if refusal.why == Why::Auth {
            let kind = "type.googleapis.com/google.rpc.ErrorInfo";
            let (reason, domain) = ("API_KEY_INVALID", "googleapis.com");
            error["details"] = json!([{"@type": kind, "reason": reason, "domain": domain}]);
        }
        if let Some(pause) = refusal.retry_after {
            let kind = "type.googleapis.com/google.rpc.RetryInfo";
            let delay = format!("{}s", pause.as_secs_f64());
            error["details"] = json!([{"@type": kind, "retryDelay": delay}]);
        }
        let body = json!({"error": error});
        ErrorBody { status, body, amazon_type: None, retry_after: None }
    }
}

fn turn(content: &Value) -> Result<Turn<'_>, Rejection> {
    let who = match content["role"].as_str() {
        Some("model") => Who::Assistant,
        Some("user" | "function") | None => Who::User,
        Some(_) => return Err(Rejection::NotAChatRequest),
    };
    let mut turn = Turn::new(who);
    for part in items(&content["parts"]) {
        let seal = either(part, "thoughtSignature", "thought_signature");
        if !seal.as_str().is_some_and(|it| SEALS_OF_NOBODY.contains(&it)) {
            Dialect::Gemini.check_seal(seal)?;
        }
        if part["thought"] == true {
            continue;
        }
        turn.texts.extend(part["text"].as_str());
        let image =
            [either(part, "inlineData", "inline_data"), either(part, "fileData", "file_data")];
        turn.images += image.into_iter().filter(|it| !it.is_null()).count();
        // Calls are known by their names here: ids are a matter between caller and server.
        turn.call_ids.extend(either(part, "functionCall", "function_call")["name"].as_str());
        let result = either(part, "functionResponse", "function_response");
        if !result.is_null() {
            let mut texts = Vec::new();
            strings(&result["response"], &mut texts);
            turn.results.push(ToolResult { call_id: result["name"].as_str(), texts });
        }
    }
    Ok(turn)
}

/// All strings in a value: what a tool said, under whatever name.
fn strings<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => into.push(text),
        Value::Array(items) => items.iter().for_each(|it| strings(it, into)),
        Value::Object(fields) => fields.values().for_each(|it| strings(it, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn tool(declared: &Value) -> Option<Tool<'_>> {
    let json_schema = declared.get("parametersJsonSchema").cloned();
    let parameters = json_schema.or_else(|| declared.get("parameters").map(plain));
    Some(Tool { name: declared["name"].as_str()?, parameters: parameters.unwrap_or(json!({})) })
}

fn schema(config: &Value) -> Option<Value> {
    let json_schema = either(config, "responseJsonSchema", "_responseJsonSchema");
    if !json_schema.is_null() {
        return Some(json_schema.clone());
    }
    if let Some(schema) = config.get("responseSchema") {
        return Some(plain(schema));
    }
    (config["responseMimeType"] == "application/json").then(any_object)
}

/// Google's schema as a JSON schema: its types are in upper case.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let value = match (name.as_str(), value) {
                    ("type", Value::String(kind)) => json!(kind.to_lowercase()),
                    (_, value) => plain(value),
                };
                (name.clone(), value)
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn either<'a>(value: &'a Value, name: &str, other: &str) -> &'a Value {
    value.get(name).unwrap_or(&value[other])
}

fn part(reply: &Reply, spot: Spot<'_>, text: &str) -> Value {
    match spot.block {
        Block::Thinking(_) => json!({"text": text, "thought": true}),
        Block::Text(_) => json!({"text": text}),
        Block::Call { name, arguments, .. } => {
            let call = json!({"name": name, "args": answer::object(arguments)});
            let mut part = json!({"functionCall": call});
            // Of parallel calls the first carries the signature.
            if reply.thinks && spot.call == 0 {
                part["thoughtSignature"] = json!(seal(reply));
            }
            part
        }
    }
}

/// Whether the last part is to carry the signature: where thoughts end in text.
fn seals_at_end(reply: &Reply) -> bool {
    reply.content.thought().is_some() && reply.content.calls().next().is_none()
}

fn seal(reply: &Reply) -> String {
    Dialect::Gemini.seal(reply.number)
}

fn response(reply: &Reply, parts: Vec<Value>, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    let mut response = head(reply);
    response["candidates"] = json!([candidate]);
    response
}

/// A prompt that the filter refuses: no candidate at all.
fn blocked(reply: &Reply) -> Value {
    let mut response = head(reply);
    response["promptFeedback"] = json!({"blockReason": "SAFETY"});
    response
}

fn head(reply: &Reply) -> Value {
    let thoughts = reply.content.thinking_tokens();
    let mut usage = json!({
        "promptTokenCount": reply.prompt_tokens,
        "candidatesTokenCount": reply.tokens() - thoughts,
        "totalTokenCount": reply.prompt_tokens + reply.tokens(),
    });
    if thoughts > 0 {
        usage["thoughtsTokenCount"] = json!(thoughts);
    }
    json!({
        "usageMetadata": usage,
        "modelVersion": reply.model_id,
        "responseId": format!("sim{}", reply.number),
    })
}

fn finish_reason(reply: &Reply) -> &'static str {
    match reply.content.finish {
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filtered => "SAFETY",
    }
}

/// Google's name of a status.
fn of_status(code: u16) -> &'static str {
    match code {
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        402 | 412 => "FAILED_PRECONDITION",
        400..=499 => "INVALID_ARGUMENT",
        503 | 529 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}
