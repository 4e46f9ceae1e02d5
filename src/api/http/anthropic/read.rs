//! A body of Anthropic's Messages API, read.
//!
//! In: the JSON. Out: [`Said`]. Invariant: fields that only tune Anthropic's own service
//! (`service_tier`, `betas`, `inference_geo`, `context_management`) are ignored; those that would
//! change the answer and cannot be served are problems. Not here: the turns (see [`super::prompt`]).

use serde_json::{Map, Value};

use super::prompt;
use crate::api::http::alike::{self, EFFORTS};
use crate::api::http::dialect::{Delivery, Said};
use crate::api::http::fields::{Fields, Placed, report};
use crate::api::http::provider;
use crate::domain::{ChatRequest, Effort, ResponseFormat, Sampling, Tool, ToolChoice, Violation};

/// What is read alongside everything else.
pub(super) struct Reader<'a> {
    /// Problems.
    pub(super) found: &'a mut Vec<Violation>,
    /// Whether `cache_control` stood anywhere.
    pub(super) cached: bool,
}

impl Reader<'_> {
    /// Reads an object that may carry `cache_control`.
    pub(super) fn block(&mut self, place: Placed) -> Option<Fields> {
        let mut block = place.object(self.found)?;
        self.cached |= block.take("cache_control").is_some();
        Some(block)
    }

    /// Reports a problem.
    pub(super) fn wrong(&mut self, path: impl Into<String>, message: impl Into<String>) {
        report(self.found, path, message);
    }
}

/// Reads a body.
pub(super) fn read(body: Map<String, Value>, found: &mut Vec<Violation>) -> Said {
    let mut body = Fields::body(body);
    let mut reader = Reader { found, cached: body.take("cache_control").is_some() };
    refuse(&mut body, &mut reader);
    let model = body.needed("model", reader.found).and_then(|it| it.text(reader.found));
    let messages = prompt::messages(&mut body, &mut reader);
    let tools = body.list("tools", reader.found);
    let tools = tools.into_iter().filter_map(|it| tool(it, &mut reader)).collect();
    let (tool_choice, parallel_tool_calls) = tool_choice(&mut body, &mut reader);
    let (effort, response_format) = thinking_and_output(&mut body, &mut reader);
    let user = body.object("metadata", reader.found);
    let user = user.and_then(|mut it| it.text("user_id", reader.found)).map(Into::into);
    let sampling = sampling(&mut body, &mut reader);
    let stream = body.flag("stream", reader.found).unwrap_or_default();
    let chat = ChatRequest {
        messages,
        tools,
        tool_choice,
        parallel_tool_calls,
        response_format,
        sampling,
        effort,
        cache_prompt: reader.cached,
        user,
        ..ChatRequest::default()
    };
    Said {
        chat,
        model: model.unwrap_or_default(),
        models: body.texts("models", reader.found),
        delivery: if stream { Delivery::Stream } else { Delivery::Whole },
        extension: body.take("pointsman"),
        provider: body.take(provider::NAME),
        allowed: provider::plugins(&mut body, reader.found).0,
        ..Said::default()
    }
}

/// What only Anthropic's servers can do.
fn refuse(body: &mut Fields, reader: &mut Reader<'_>) {
    let empty = |it: &Value| it.as_array().is_some_and(Vec::is_empty);
    if body.take("mcp_servers").is_some_and(|it| !empty(&it)) {
        reader.wrong("mcp_servers", "this server calls no MCP servers");
    }
    if body.take("container").is_some() {
        reader.wrong("container", "this server runs no containers");
    }
}

fn sampling(body: &mut Fields, reader: &mut Reader<'_>) -> Sampling {
    Sampling {
        temperature: body.number("temperature", reader.found),
        top_p: body.number("top_p", reader.found),
        top_k: body.count("top_k", reader.found),
        max_output_tokens: body.count("max_tokens", reader.found),
        stop: body.texts("stop_sequences", reader.found),
        ..Sampling::default()
    }
}

fn tool(place: Placed, reader: &mut Reader<'_>) -> Option<Tool> {
    let mut tool = reader.block(place)?;
    let kind = tool.text("type", reader.found);
    if kind.is_some_and(|it| it != "custom") {
        let message = "this is a tool of Anthropic's own: only `custom` ones are served";
        reader.wrong(tool.at("type"), message);
        return None;
    }
    let name = tool.needed_text("name", reader.found);
    let description = tool.text("description", reader.found).unwrap_or_default().into();
    let strict = tool.flag("strict", reader.found);
    let parameters = alike::schema(&mut tool, "input_schema", reader.found)?;
    Some(Tool { name, description, parameters, strict })
}

fn tool_choice(body: &mut Fields, reader: &mut Reader<'_>) -> (ToolChoice, Option<bool>) {
    let Some(mut wire) = body.object("tool_choice", reader.found) else {
        return (ToolChoice::Auto, None);
    };
    let kinds = [
        ("auto", ToolChoice::Auto),
        ("any", ToolChoice::Required),
        ("none", ToolChoice::None),
        ("tool", ToolChoice::Tool(String::new())),
    ];
    let choice = match wire.choice("type", &kinds, reader.found) {
        Some(ToolChoice::Tool(_)) => ToolChoice::Tool(wire.needed_text("name", reader.found)),
        Some(choice) => choice,
        None => ToolChoice::Auto,
    };
    let parallel = wire.flag("disable_parallel_tool_use", reader.found).map(|it| !it);
    (choice, parallel)
}

#[derive(Clone, Copy)]
enum Thinking {
    Enabled,
    Adaptive,
    Disabled,
}

/// `thinking` and `output_config` say together how hard to think: a budget goes before a word.
fn thinking_and_output(
    body: &mut Fields,
    reader: &mut Reader<'_>,
) -> (Option<Effort>, ResponseFormat) {
    let mut output = body.object("output_config", reader.found);
    let word = output.as_mut().and_then(|it| it.choice("effort", &EFFORTS, reader.found));
    let format = output.as_mut().and_then(|it| it.place("format"));
    // The name that this had as a beta (2025).
    let format = format.or_else(|| body.place("output_format"));
    let format = format.map_or(ResponseFormat::Text, |it| json_schema(it, reader));
    let Some(mut thinking) = body.object("thinking", reader.found) else { return (word, format) };
    let kinds = [
        ("enabled", Thinking::Enabled),
        ("adaptive", Thinking::Adaptive),
        ("disabled", Thinking::Disabled),
    ];
    let effort = match thinking.choice("type", &kinds, reader.found) {
        Some(Thinking::Enabled) => {
            let budget = thinking.count("budget_tokens", reader.found);
            if budget.is_none() {
                reader.wrong("thinking.budget_tokens", "a whole number of tokens is needed");
            }
            budget.map(Effort::Tokens)
        }
        Some(Thinking::Adaptive) => word.or(Some(Effort::Medium)),
        Some(Thinking::Disabled) => Some(Effort::Off),
        None => word,
    };
    (effort, format)
}

fn json_schema(place: Placed, reader: &mut Reader<'_>) -> ResponseFormat {
    let Some(mut format) = place.object(reader.found) else { return ResponseFormat::Text };
    if format.choice("type", &[("json_schema", ())], reader.found).is_none() {
        return ResponseFormat::Text;
    }
    // Anthropic guarantees the schema, so it is strict; it has no name there.
    let (name, strict) = ("answer".to_owned(), Some(true));
    alike::schema(&mut format, "schema", reader.found)
        .map_or(ResponseFormat::Text, |schema| ResponseFormat::JsonSchema { name, schema, strict })
}
