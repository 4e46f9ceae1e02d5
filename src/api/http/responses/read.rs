//! A body of OpenAI's Responses API, read.
//!
//! In: the JSON. Out: [`Said`]. Invariant: what needs a state that this server does not keep, or a
//! tool that only OpenAI runs, is a problem; what only tunes OpenAI's own service (`truncation`,
//! `prompt_cache_retention`, `context_management`) is ignored. Not here: the items of the input
//! (see [`super::input`]).

use serde_json::{Map, Value};

use super::input;
use crate::api::http::alike::{self, EFFORTS, FORMATS, Format};
use crate::api::http::dialect::{Delivery, Said};
use crate::api::http::fields::{Fields, Placed, report};
use crate::api::http::provider;
use crate::domain::{
    ChatRequest, Effort, Json, Message, ResponseFormat, Sampling, Tool, Violation,
};

/// Fields that chat completions have by the same name: providers of that protocol are given them.
const PASSED_ON: [&str; 2] = ["prompt_cache_key", "service_tier"];
/// What asks for log-probabilities without saying how many.
const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a body.
pub(super) fn read(body: Map<String, Value>, found: &mut Vec<Violation>) -> Said {
    let mut body = Fields::body(body);
    refuse(&mut body, found);
    let model = body.needed("model", found).and_then(|it| it.text(found)).unwrap_or_default();
    let mut messages = Vec::new();
    if let Some(instructions) = body.text("instructions", found) {
        messages.push(Message::System(instructions.into()));
    }
    input::read(&mut body, found, &mut messages);
    let tools = body.list("tools", found);
    let tools = tools.into_iter().filter_map(|it| tool(it, found)).collect();
    let (response_format, verbosity) = text(&mut body, found);
    let user = body.text("safety_identifier", found);
    let user = user.or_else(|| body.text("user", found)).map(Into::into);
    let chat = ChatRequest {
        messages,
        tools,
        tool_choice: alike::tool_choice(&mut body, found, |mut it, found| it.needed("name", found)),
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
        models: body.texts("models", found),
        delivery: if stream { Delivery::Stream } else { Delivery::Whole },
        extension: body.take("pointsman"),
        provider: body.take(provider::NAME),
        allowed: provider::plugins(&mut body, found).0,
        metadata: body.named_texts("metadata", found),
    }
}

/// What needs a state, or a service, that is not here.
fn refuse(body: &mut Fields, found: &mut Vec<Violation>) {
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
    if tool.needed("type", found)?.text(found)? != "function" {
        let message = "this is a tool of OpenAI's own: only `function` ones are served";
        report(found, tool.at("type"), message);
        return None;
    }
    Some(Tool {
        name: tool.needed_text("name", found),
        description: tool.text("description", found).unwrap_or_default().into(),
        parameters: alike::parameters(&mut tool),
        strict: tool.flag("strict", found),
    })
}

/// The format, and how wordy the answer is to be.
fn text(body: &mut Fields, found: &mut Vec<Violation>) -> (ResponseFormat, Option<Value>) {
    let Some(mut text) = body.object("text", found) else { return (ResponseFormat::Text, None) };
    let verbosity = text.take("verbosity");
    let format = text.object("format", found);
    (format.map_or(ResponseFormat::Text, |it| self::format(it, found)), verbosity)
}

fn format(mut wire: Fields, found: &mut Vec<Violation>) -> ResponseFormat {
    match wire.needed_choice("type", &FORMATS, found) {
        Some(Format::Text) | None => ResponseFormat::Text,
        Some(Format::JsonObject) => ResponseFormat::JsonObject,
        Some(Format::JsonSchema) => {
            let name = wire.needed_text("name", found);
            let strict = wire.flag("strict", found);
            let schema = alike::schema(&mut wire, "schema", found);
            schema.map_or(ResponseFormat::Text, |schema| ResponseFormat::JsonSchema {
                name,
                schema,
                strict,
            })
        }
    }
}

fn sampling(body: &mut Fields, found: &mut Vec<Violation>) -> Sampling {
    let include = body.texts("include", found);
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

fn effort(body: &mut Fields, found: &mut Vec<Violation>) -> Option<Effort> {
    body.object("reasoning", found)?.choice("effort", &EFFORTS, found)
}

fn extra(body: &mut Fields, verbosity: Option<Value>) -> Json {
    let passed = PASSED_ON.iter().filter_map(|it| Some(((*it).to_owned(), body.take(it)?)));
    let verbosity = verbosity.map(|it| ("verbosity".to_owned(), it));
    let extra: Map<String, Value> = passed.chain(verbosity).collect();
    if extra.is_empty() { Json::default() } else { Json::from(Value::Object(extra)) }
}
