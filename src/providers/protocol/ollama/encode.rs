//! A chat request as the body of `POST /api/chat`.
//!
//! In: [`Asking`]. Out: [`Encoded`]. Invariant: a field that the caller left open is not in the
//! body, so that the model's own default holds. Not here: how long the context is, which the
//! operator sets on the server.

use serde_json::{Map, Value, json};

use super::super::call_ids::CallNames;
use super::super::{Asking, Delivery, Dropped, Encoded, Unsupported};
use crate::domain::{
    ChatRequest, Effort, ImageDetail, ImageSource, Message, Part, Reasoning, ResponseFormat,
    Sampling, Text, Tool, ToolCall, ToolChoice,
};
use crate::providers::quirks::{Parameter, Quirks, SchemaBy};

/// The only family for which the server takes levels of thinking; for others it refuses them
/// (2025), so those are told to think or not to.
const TAKES_LEVELS: &str = "gpt-oss";

/// The request that asks for one answer.
///
/// # Errors
/// [`Unsupported`] for images by URL, calls that must be made, and the like.
pub(in super::super) fn encode(asking: &Asking<'_>) -> Result<Encoded, Unsupported> {
    let Asking { request, deployment, quirks, delivery } = *asking;
    let mut dropped = Dropped::default();
    let mut body = Map::new();
    body.insert("model".into(), deployment.model_id.as_str().into());
    body.insert("messages".into(), messages(asking, &mut dropped)?.into());
    body.insert("stream".into(), (delivery == Delivery::Stream).into());
    let tools = tools(request)?;
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
    }
    body.extend(format(asking)?.map(|it| ("format".into(), it)));
    let effort = dropped.keep(Parameter::ReasoningEffort, request.effort, quirks);
    body.extend(effort.map(|it| ("think".into(), think(it, &deployment.model_id))));
    let options = options(&request.sampling, quirks, &mut dropped);
    if !options.is_empty() {
        body.insert("options".into(), options.into());
    }
    if let Some(alternatives) = dropped.keep(Parameter::Logprobs, request.sampling.logprobs, quirks)
    {
        body.insert("logprobs".into(), true.into());
        body.extend((alternatives > 0).then(|| ("top_logprobs".into(), alternatives.into())));
    }
    dropped.beyond_sampling(request);
    let (path, body, dropped) = ("/api/chat".to_owned(), Value::Object(body), dropped.into_names());
    Ok(Encoded { path, headers: vec![], body, dropped })
}

fn messages(asking: &Asking<'_>, dropped: &mut Dropped) -> Result<Vec<Value>, Unsupported> {
    let mut names = CallNames::default();
    let mut written = Vec::with_capacity(asking.request.messages.len());
    for message in &asking.request.messages {
        written.push(match message {
            Message::System(text) => json!({ "role": "system", "content": text }),
            Message::User(parts) => user(parts, dropped)?,
            Message::Assistant { reasoning, text, tool_calls } => {
                names.note(tool_calls);
                let thinking = thinking(asking, reasoning, dropped);
                assistant(thinking, text.as_ref(), tool_calls)?
            }
            Message::ToolResult { tool_call_id, parts, failed: _ } => {
                let content = result(parts)?;
                let mut message =
                    json!({ "role": "tool", "content": content, "tool_call_id": tool_call_id });
                if let Some(name) = names.of(tool_call_id) {
                    message["tool_name"] = name.into();
                }
                message
            }
        });
    }
    Ok(written)
}

fn user(parts: &[Part], dropped: &mut Dropped) -> Result<Value, Unsupported> {
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for part in parts {
        let image = match part {
            Part::Text(text) => {
                texts.push(text.as_str());
                continue;
            }
            Part::Image(image) => image,
        };
        match image.detail {
            Some(ImageDetail::Low | ImageDetail::High) => {
                dropped.parameter(Parameter::ImageDetail);
            }
            Some(ImageDetail::Auto) | None => {}
        }
        match &image.source {
            ImageSource::Url(_) => return Err(Unsupported("an image by URL")),
            ImageSource::Base64 { media_type: _, data } => images.push(Value::from(data.as_str())),
        }
    }
    let mut message = json!({ "role": "user", "content": texts.join("\n") });
    if !images.is_empty() {
        message["images"] = images.into();
    }
    Ok(message)
}

/// Thinking in words. Ollama seals nothing, so a seal says that it was another provider's.
fn thinking(asking: &Asking<'_>, reasoning: &[Reasoning], dropped: &mut Dropped) -> Option<String> {
    let provider = &asking.deployment.provider;
    let lacks = asking.quirks.lacks.contains(&Parameter::PastReasoning);
    let mut words = Vec::with_capacity(reasoning.len());
    for thought in reasoning {
        let is_own = thought.seal.as_ref().is_none_or(|it| it.for_provider(provider).is_some());
        match &thought.text {
            Some(text) if is_own && !lacks => words.push(text.as_str()),
            Some(_) | None => dropped.parameter(Parameter::PastReasoning),
        }
    }
    (!words.is_empty()).then(|| words.join("\n"))
}

fn assistant(
    thinking: Option<String>,
    text: Option<&Text>,
    calls: &[ToolCall],
) -> Result<Value, Unsupported> {
    let content = text.map(Text::as_str).unwrap_or_default();
    let mut message = json!({ "role": "assistant", "content": content });
    if let Some(thinking) = thinking {
        message["thinking"] = thinking.into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.iter().map(call).collect::<Result<_, _>>()?;
    }
    Ok(message)
}

fn call(call: &ToolCall) -> Result<Value, Unsupported> {
    let text = call.arguments.as_str();
    let text = if text.trim().is_empty() { "{}" } else { text };
    let arguments: Option<Value> = serde_json::from_str(text).ok().filter(Value::is_object);
    let arguments =
        arguments.ok_or(Unsupported("a tool call whose arguments are no JSON object"))?;
    Ok(json!({ "id": call.id, "function": { "name": call.name, "arguments": arguments } }))
}

fn result(parts: &[Part]) -> Result<String, Unsupported> {
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Text(text) => texts.push(text.as_str()),
            Part::Image(_) => return Err(Unsupported("an image in a tool's result")),
        }
    }
    Ok(texts.join("\n"))
}

/// The tools, as OpenAI writes them. The protocol has no word for whether they are called.
fn tools(request: &ChatRequest) -> Result<Vec<Value>, Unsupported> {
    match &request.tool_choice {
        ToolChoice::Auto => Ok(request.tools.iter().map(tool).collect()),
        ToolChoice::None => Ok(vec![]),
        ToolChoice::Required | ToolChoice::Tool(_) => Err(Unsupported("a forced tool call")),
    }
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({ "name": tool.name, "parameters": tool.parameters });
    if !tool.description.is_empty() {
        function["description"] = tool.description.as_str().into();
    }
    json!({ "type": "function", "function": function })
}

fn format(asking: &Asking<'_>) -> Result<Option<Value>, Unsupported> {
    match (&asking.request.response_format, asking.quirks.json_schema) {
        (ResponseFormat::Text, _) => Ok(None),
        (ResponseFormat::JsonObject, _) => Ok(Some("json".into())),
        (ResponseFormat::JsonSchema { schema, .. }, Some(SchemaBy::Native) | None) => {
            Ok(Some(schema.value().clone()))
        }
        (ResponseFormat::JsonSchema { .. }, Some(SchemaBy::Tool)) => {
            Err(Unsupported("a forced tool call"))
        }
    }
}

fn think(effort: Effort, model_id: &str) -> Value {
    let level = match effort {
        Effort::Off => return false.into(),
        Effort::Tokens(_) => None,
        Effort::Minimal | Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
    };
    let level = level.filter(|_| model_id.contains(TAKES_LEVELS));
    level.map_or(Value::Bool(true), Value::from)
}

fn options(sampling: &Sampling, quirks: &Quirks, dropped: &mut Dropped) -> Map<String, Value> {
    use Parameter as P;
    let mut keep = |parameter, value: Option<Value>| dropped.keep(parameter, value, quirks);
    let penalties = (sampling.frequency_penalty, sampling.presence_penalty);
    let stop = (!sampling.stop.is_empty()).then(|| Value::from(sampling.stop.clone()));
    let fields = [
        ("temperature", keep(P::Temperature, sampling.temperature.map(Value::from))),
        ("top_p", keep(P::TopP, sampling.top_p.map(Value::from))),
        ("top_k", keep(P::TopK, sampling.top_k.map(Value::from))),
        ("num_predict", sampling.max_output_tokens.map(Value::from)),
        ("stop", keep(P::Stop, stop)),
        ("seed", keep(P::Seed, sampling.seed.map(Value::from))),
        ("frequency_penalty", keep(P::FrequencyPenalty, penalties.0.map(Value::from))),
        ("presence_penalty", keep(P::PresencePenalty, penalties.1.map(Value::from))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
