//! A chat request as the body of `POST /chat/completions`.
//!
//! In: [`ChatRequest`], [`Deployment`]. Out: JSON. Invariant: a field that the caller left open is
//! not in the body, so that the provider's default holds. Not here: whether the model is able to
//! do what is asked (ranking saw to that).

use serde_json::{Map, Value, json};

use super::super::{Asking, Encoded, Unsupported};
use crate::catalog::Deployment;
use crate::domain::{
    Image, ImageSource, Message, Part, ResponseFormat, Sampling, Tool, ToolCall, ToolChoice,
};

/// OpenAI itself takes only `max_completion_tokens` for its reasoning models and deprecates
/// `max_tokens`; most others (2025) know only `max_tokens`. So the provider's name decides.
const TAKES_MAX_COMPLETION_TOKENS: &str = "openai";

/// The body that asks for one answer in one piece.
pub(in super::super) fn encode(asking: &Asking<'_>) -> Result<Encoded, Unsupported> {
    let Asking { request, deployment, .. } = *asking;
    let mut body = Map::new();
    body.insert("model".into(), deployment.model_id.as_str().into());
    body.insert("messages".into(), request.messages.iter().map(message).collect());
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
        body.extend(tool_choice(&request.tool_choice).map(|it| ("tool_choice".into(), it)));
    }
    let format = response_format(&request.response_format);
    body.extend(format.map(|it| ("response_format".into(), it)));
    body.extend(sampling(&request.sampling, deployment));
    let path = "/chat/completions".to_owned();
    Ok(Encoded { path, headers: vec![], body: Value::Object(body), dropped: vec![] })
}

fn message(message: &Message) -> Value {
    match message {
        Message::System(text) => json!({ "role": "system", "content": text }),
        Message::User(parts) => json!({ "role": "user", "content": user_content(parts) }),
        Message::Assistant { text, tool_calls, .. } if tool_calls.is_empty() => {
            json!({ "role": "assistant", "content": text })
        }
        Message::Assistant { text, tool_calls, .. } => {
            let calls: Value = tool_calls.iter().map(tool_call).collect();
            json!({ "role": "assistant", "content": text, "tool_calls": calls })
        }
        Message::ToolResult { tool_call_id, parts, .. } => {
            json!({ "role": "tool", "tool_call_id": tool_call_id, "content": user_content(parts) })
        }
    }
}

/// A plain string where it can be one: not every compatible server takes a list of parts.
fn user_content(parts: &[Part]) -> Value {
    if let [Part::Text(text)] = parts {
        return text.as_str().into();
    }
    parts.iter().map(part).collect()
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image(Image { source: ImageSource::Url(url), .. }) => {
            json!({ "type": "image_url", "image_url": { "url": url } })
        }
        Part::Image(Image { source: ImageSource::Base64 { media_type, data }, .. }) => {
            let url = format!("data:{media_type};base64,{}", data.as_str());
            json!({ "type": "image_url", "image_url": { "url": url } })
        }
    }
}

fn tool_call(call: &ToolCall) -> Value {
    let function = json!({ "name": call.name, "arguments": call.arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({ "name": tool.name, "parameters": tool.parameters });
    if !tool.description.is_empty() {
        function["description"] = tool.description.as_str().into();
    }
    json!({ "type": "function", "function": function })
}

fn tool_choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Tool(name) => Some(json!({ "type": "function", "function": { "name": name } })),
    }
}

fn response_format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!({ "type": "json_object" })),
        ResponseFormat::JsonSchema { name, schema, .. } => {
            let strict = takes_strict(schema.value());
            let inner = json!({ "name": name, "schema": schema, "strict": strict });
            Some(json!({ "type": "json_schema", "json_schema": inner }))
        }
    }
}

/// Whether OpenAI's strict mode takes this schema: every object closed, every property required.
/// Others are sent without strict, where they guide the model, rather than come back as a 400.
fn takes_strict(schema: &Value) -> bool {
    match schema {
        // serde_json reads at most 128 levels, which bounds this recursion.
        Value::Object(fields) => closed(fields) && fields.values().all(takes_strict),
        Value::Array(items) => items.iter().all(takes_strict),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn closed(fields: &Map<String, Value>) -> bool {
    if fields.get("type").and_then(Value::as_str) != Some("object") {
        return true;
    }
    let required = fields.get("required").and_then(Value::as_array);
    let named = |key: &String| {
        required.is_some_and(|names| names.iter().any(|it| it.as_str() == Some(key.as_str())))
    };
    let properties = fields.get("properties").and_then(Value::as_object);
    fields.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.is_none_or(|it| it.keys().all(named))
}

fn sampling(sampling: &Sampling, deployment: &Deployment) -> Vec<(String, Value)> {
    let limit = match deployment.provider.as_str() {
        TAKES_MAX_COMPLETION_TOKENS => "max_completion_tokens",
        _ => "max_tokens",
    };
    let stop = (!sampling.stop.is_empty()).then(|| Value::from(sampling.stop.clone()));
    let fields = [
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        (limit, sampling.max_output_tokens.map(Value::from)),
        ("stop", stop),
        ("seed", sampling.seed.map(Value::from)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
