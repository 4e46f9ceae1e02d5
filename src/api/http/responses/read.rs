//! A body of OpenAI's Responses API, read.
//!
//! In: the JSON. Out: [`Said`]. Invariant: what needs a state that this server does not keep, or a
//! tool that only OpenAI runs, is a problem; what only tunes OpenAI's own service (`truncation`,
//! `prompt_cache_retention`, `context_management`) is ignored. Not here: the items of the input
//! (see [`super::input`]).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::input;
use crate::api::http::dialect::{Delivery, Said};
use crate::api::http::object::{EFFORTS, Object, Placed, quoted, report, string};
use crate::domain::{
    ChatRequest, Effort, Json, Message, ResponseFormat, Sampling, Tool, ToolChoice, Violation,
};

/// Fields that chat completions have by the same name: providers of that protocol are given them.
const PASSED_ON: [&str; 2] = ["prompt_cache_key", "service_tier"];
/// What asks for log-probabilities without saying how many.
const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a body.
pub(super) fn read(body: Map<String, Value>, found: &mut Vec<Violation>) -> Said {
    let mut body = Object::root(body);
    refuse(&mut body, found);
    let model = body.needed_string("model", found);
    let mut messages = Vec::new();
    if let Some(instructions) = body.string("instructions", found) {
        messages.push(Message::System(instructions.into()));
    }
    input::read(&mut body, found, &mut messages);
    let tools = body.list("tools", found);
    let tools = tools.into_iter().filter_map(|it| tool(it, found)).collect();
    let (response_format, verbosity) = text(&mut body, found);
    let user = body.string("safety_identifier", found);
    let user = user.or_else(|| body.string("user", found)).map(Into::into);
    let chat = ChatRequest {
        messages,
        tools,
        tool_choice: tool_choice(&mut body, found),
        parallel_tool_calls: body.flag("parallel_tool_calls", found),
        response_format,
        sampling: sampling(&mut body, found),
        effort: effort(&mut body, found),
        cache_prompt: false,
        user,
        extra: extra(&mut body, verbosity),
    };
    let stream = body.flag("stream", found).unwrap_or_default();
    Said {
        chat,
        model,
        models: body.strings("models", found),
        delivery: if stream { Delivery::Stream } else { Delivery::Whole },
        extension: body.take("pointsman"),
        metadata: metadata(&mut body, found),
    }
}

/// What needs a state, or a service, that is not here.
fn refuse(body: &mut Object, found: &mut Vec<Violation>) {
    if body.flag("store", found) == Some(true) {
        let message = "this server keeps no state: answers cannot be stored, so it must be false";
        report(found, "store", message);
    }
    if body.flag("background", found) == Some(true) {
        let message = "this server keeps no state: there are no answers in the background";
        report(found, "background", message);
    }
    for name in ["previous_response_id", "conversation", "prompt"] {
        if body.take(name).is_some() {
            let message = "this server keeps no state: send the whole conversation in `input`";
            report(found, name, message);
        }
    }
}

fn tool(place: Placed, found: &mut Vec<Violation>) -> Option<Tool> {
    let mut tool = place.object(found)?;
    let kind = tool.needed_string("type", found);
    if kind != "function" {
        let kind = quoted(&kind);
        let message = format!("{kind} is a tool of OpenAI's own: only `function` ones are served");
        report(found, tool.at("type"), message);
        return None;
    }
    let parameters = tool.take("parameters");
    let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    Some(Tool {
        name: tool.needed_string("name", found),
        description: tool.string("description", found).unwrap_or_default().into(),
        parameters: parameters.into(),
        strict: tool.flag("strict", found),
    })
}

fn tool_choice(body: &mut Object, found: &mut Vec<Violation>) -> ToolChoice {
    let Some(place) = body.place("tool_choice") else { return ToolChoice::Auto };
    let message = match &place.value {
        Value::String(word) => match word.as_str() {
            "auto" => return ToolChoice::Auto,
            "none" => return ToolChoice::None,
            "required" => return ToolChoice::Required,
            word => format!("{} is none of: auto, none, required", quoted(word)),
        },
        Value::Object(fields) => match (fields.get("type"), fields.get("name")) {
            (Some(Value::String(kind)), Some(Value::String(name))) if kind == "function" => {
                return ToolChoice::Tool(name.clone());
            }
            _ => "only a function can be chosen, by its type and name".to_owned(),
        },
        _ => "a word or an object is needed".to_owned(),
    };
    report(found, place.path, message);
    ToolChoice::Auto
}

/// The format, and how wordy the answer is to be.
fn text(body: &mut Object, found: &mut Vec<Violation>) -> (ResponseFormat, Option<Value>) {
    let Some(mut text) = body.object("text", found) else { return (ResponseFormat::Text, None) };
    let verbosity = text.take("verbosity");
    let format = text.object("format", found);
    (format.map_or(ResponseFormat::Text, |it| self::format(it, found)), verbosity)
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    JsonObject,
    JsonSchema,
}

fn format(mut wire: Object, found: &mut Vec<Violation>) -> ResponseFormat {
    let kinds = [
        ("text", Kind::Text),
        ("json_object", Kind::JsonObject),
        ("json_schema", Kind::JsonSchema),
    ];
    match wire.needed_choice("type", &kinds, found) {
        Some(Kind::Text) | None => ResponseFormat::Text,
        Some(Kind::JsonObject) => ResponseFormat::JsonObject,
        Some(Kind::JsonSchema) => {
            let name = wire.needed_string("name", found);
            let strict = wire.flag("strict", found);
            match wire.needed("schema", found) {
                Some(schema) if schema.value.is_object() => {
                    ResponseFormat::JsonSchema { name, schema: schema.value.into(), strict }
                }
                Some(schema) => {
                    report(found, schema.path, "the schema must be an object");
                    ResponseFormat::Text
                }
                None => ResponseFormat::Text,
            }
        }
    }
}

fn sampling(body: &mut Object, found: &mut Vec<Violation>) -> Sampling {
    let include = body.strings("include", found);
    let included = include.iter().any(|it| it == INCLUDE_LOGPROBS).then_some(0);
    let logprobs = body.count("top_logprobs", found).or(included);
    Sampling {
        temperature: body.number("temperature", found),
        top_p: body.number("top_p", found),
        max_output_tokens: body.count("max_output_tokens", found),
        // Too large a number stays too large, and validation says so.
        logprobs: logprobs.map(|it| u8::try_from(it).unwrap_or(u8::MAX)),
        ..Sampling::default()
    }
}

fn effort(body: &mut Object, found: &mut Vec<Violation>) -> Option<Effort> {
    body.object("reasoning", found)?.choice("effort", &EFFORTS, found)
}

fn extra(body: &mut Object, verbosity: Option<Value>) -> Json {
    let passed = PASSED_ON.iter().filter_map(|it| Some(((*it).to_owned(), body.take(it)?)));
    let verbosity = verbosity.map(|it| ("verbosity".to_owned(), it));
    let extra: Map<String, Value> = passed.chain(verbosity).collect();
    if extra.is_empty() { Json::default() } else { Json::from(Value::Object(extra)) }
}

fn metadata(body: &mut Object, found: &mut Vec<Violation>) -> BTreeMap<String, String> {
    let Some(wire) = body.object("metadata", found) else { return BTreeMap::new() };
    let entries = wire.into_entries();
    entries.filter_map(|(key, place)| Some((key, string(place, found)?))).collect()
}
