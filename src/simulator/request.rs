//! What of a chat request the simulator heeds.
//!
//! In: the body's bytes. Out: a [`ChatAsk`], or the [`Rejection`] that OpenAI would answer.
//! Invariant: nothing of the prompt is kept beyond its size and what kind of answer it wants.

use serde::Deserialize;
use serde_json::{Value, json};

/// Largest request body, in bytes: some images, as providers take them; more is refused with 413.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What an image counts for, in tokens: OpenAI's price of a low-detail image.
const IMAGE_TOKENS: u64 = 85;

/// A request that never reaches a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejection {
    /// Larger than [`BODY_BYTES_MAX`].
    TooLarge,
    /// The body ended too early.
    Unreadable,
    /// Not JSON, or not the JSON of a chat request.
    NotAChatRequest,
    /// No messages.
    NoMessages,
    /// A limit on the answer of less than one token.
    NoRoomToAnswer,
    /// `stream: true`, which the simulator does not speak yet.
    Streaming,
    /// `tool_choice` asks for a tool that is not among `tools`.
    UnknownTool,
    /// No such model.
    UnknownModel(String),
    /// No such path or method.
    NoSuchPath,
}

/// The kind of answer wanted.
#[derive(Clone, PartialEq)]
pub(super) enum Wanted {
    /// Prose.
    Text,
    /// JSON that satisfies this schema.
    Json(Value),
    /// A call of this tool, with arguments that satisfy this schema.
    ToolCall(String, Value),
}

/// What is asked of a model.
#[derive(Clone, PartialEq)]
pub(super) struct ChatAsk {
    pub(super) model_id: String,
    pub(super) prompt_tokens: u64,
    /// Longest answer, in tokens.
    pub(super) limit: Option<usize>,
    pub(super) wanted: Wanted,
}

#[derive(Deserialize)]
struct Body {
    model: String,
    messages: Vec<Value>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Value,
    #[serde(default)]
    response_format: Value,
    stream: Option<bool>,
}

impl ChatAsk {
    /// Reads a body. Limits above `max_tokens` lose against it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        let body: Body = serde_json::from_slice(bytes).map_err(|_| Rejection::NotAChatRequest)?;
        if body.messages.is_empty() {
            return Err(Rejection::NoMessages);
        }
        if body.stream == Some(true) {
            return Err(Rejection::Streaming);
        }
        let limit = match body.max_tokens.into_iter().chain(body.max_completion_tokens).min() {
            Some(limit) if limit < 1 => return Err(Rejection::NoRoomToAnswer),
            limit => limit.and_then(|it| usize::try_from(it).ok()),
        };
        let wanted = wanted(&body)?;
        Ok(Self { prompt_tokens: prompt_tokens(&body), model_id: body.model, limit, wanted })
    }
}

fn wanted(body: &Body) -> Result<Wanted, Rejection> {
    let tools = body.tools.as_deref().unwrap_or_default();
    let tool = match body.tool_choice.as_str() {
        Some("none") => None,
        Some("required") => tools.first(),
        _ => match body.tool_choice.pointer("/function/name") {
            Some(name) => {
                let named = tools.iter().find(|it| it.pointer("/function/name") == Some(name));
                Some(named.ok_or(Rejection::UnknownTool)?)
            }
            None => asked_for(tools, &body.messages),
        },
    };
    Ok(match tool {
        Some(tool) => Wanted::ToolCall(
            tool_name(tool).to_owned(),
            tool.pointer("/function/parameters").cloned().unwrap_or_else(|| json!({})),
        ),
        None => match body.response_format["type"].as_str() {
            Some("json_object") => Wanted::Json(json!({
                "type": "object",
                "properties": {"answer": {"type": "string"}},
                "required": ["answer"],
            })),
            Some("json_schema") => {
                Wanted::Json(body.response_format["json_schema"]["schema"].clone())
            }
            _ => Wanted::Text,
        },
    })
}

/// The tool whose name stands in the last message, if a user wrote that.
fn asked_for<'a>(tools: &'a [Value], messages: &[Value]) -> Option<&'a Value> {
    let last = messages.last().filter(|it| it["role"] == "user")?;
    let text = texts(last).collect::<Vec<_>>().join(" ").to_lowercase();
    let stands = |tool: &&Value| {
        let name = tool_name(tool).to_lowercase();
        !name.is_empty() && text.contains(&name)
    };
    tools.iter().find(stands)
}

fn tool_name(tool: &Value) -> &str {
    tool.pointer("/function/name").and_then(Value::as_str).unwrap_or_default()
}

fn texts(message: &Value) -> impl Iterator<Item = &str> {
    let parts = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    message["content"].as_str().into_iter().chain(parts.iter().filter_map(|it| it["text"].as_str()))
}

fn prompt_tokens(body: &Body) -> u64 {
    let bytes: usize = body.messages.iter().flat_map(texts).map(str::len).sum();
    let tools: usize = body.tools.iter().flatten().map(|it| it.to_string().len()).sum();
    let parts = body.messages.iter().filter_map(|it| it["content"].as_array()).flatten();
    let images = parts.filter(|it| it["type"] == "image_url").count() as u64;
    ((bytes + tools) as u64).div_ceil(4) + images * IMAGE_TOKENS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(more: Value) -> Result<ChatAsk, Rejection> {
        let mut body = json!({
            "model": "m",
            "messages": [{"role": "user", "content": "Weather in Oslo? Use get_weather."}],
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ChatAsk::parse(body.to_string().as_bytes())
    }

    #[test]
    fn the_kind_of_answer_follows_the_request() {
        let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
        let check = |more: Value, wanted: &str| {
            let got = match ask(more.clone()).unwrap().wanted {
                Wanted::Text => "text".to_owned(),
                Wanted::Json(schema) => schema["type"].as_str().unwrap_or("any").to_owned(),
                Wanted::ToolCall(name, _) => name,
            };
            assert_eq!(got, wanted, "{more}");
        };
        let tools = json!([tool("find"), tool("get_weather")]);
        check(json!({}), "text");
        check(json!({"tools": tools}), "get_weather");
        check(json!({"tools": [tool("find")]}), "text");
        check(json!({"tools": tools, "tool_choice": "none"}), "text");
        check(json!({"tools": tools, "tool_choice": "required"}), "find");
        check(json!({"tools": tools, "tool_choice": tool("get_weather")}), "get_weather");
        check(json!({"response_format": {"type": "json_object"}}), "object");
        let format = json!({"type": "json_schema", "json_schema": {"schema": {"type": "array"}}});
        check(json!({"response_format": format}), "array");
        let seen = json!([{"role": "tool", "content": "get_weather"}]);
        check(json!({"tools": tools, "messages": seen}), "text");
    }

    #[test]
    fn bad_requests_are_rejected_and_sizes_counted() {
        let check = |more: Value, wanted: Rejection| {
            assert_eq!(ask(more.clone()).err(), Some(wanted), "{more}");
        };
        check(json!({"messages": []}), Rejection::NoMessages);
        check(json!({"messages": 3}), Rejection::NotAChatRequest);
        check(json!({"stream": true}), Rejection::Streaming);
        check(json!({"max_tokens": 0}), Rejection::NoRoomToAnswer);
        check(json!({"tool_choice": {"function": {"name": "x"}}}), Rejection::UnknownTool);
        let both = ask(json!({"max_tokens": 9, "max_completion_tokens": 7})).unwrap();
        assert_eq!((both.limit, both.prompt_tokens), (Some(7), 9));
    }
}
