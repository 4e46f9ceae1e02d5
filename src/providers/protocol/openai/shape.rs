//! Tools and the shape of the answer in OpenAI's words.
//!
//! In: [`Asking`]. Out: fields of the body. Invariant: a schema that is asked for by a tool is asked
//! for under the name [`ANSWER_TOOL`], and the readers turn that call into text. Not here: whether
//! the answer satisfies it (see [`crate::providers::check`]).

use serde_json::{Map, Value, json};

use super::super::{ANSWER_TOOL, Asking, Dropped};
use crate::domain::{Json, ResponseFormat, Tool, ToolChoice};
use crate::providers::quirks::{Parameter, Quirks, SchemaBy};

/// The tool whose arguments are the answer.
const ANSWER_TOOL_DOES: &str = "Gives the final answer. Call it once, when the answer is complete.";

/// Whether the answer is asked for as the arguments of [`ANSWER_TOOL`]. A caller that insists on a
/// tool of its own gets that call, which no schema of the answer binds.
pub(super) fn answers_by_tool(asking: &Asking<'_>) -> bool {
    let request = asking.request;
    let schema = matches!(request.response_format, ResponseFormat::JsonSchema { .. });
    let free = match request.tool_choice {
        ToolChoice::Auto | ToolChoice::None => true,
        ToolChoice::Required | ToolChoice::Tool(_) => request.tools.is_empty(),
    };
    asking.quirks.json_schema == Some(SchemaBy::Tool) && schema && free
}

/// Adds `tools`, `tool_choice`, `parallel_tool_calls` and `response_format`.
pub(super) fn encode(asking: &Asking<'_>, body: &mut Map<String, Value>, dropped: &mut Dropped) {
    let Asking { request, quirks, .. } = *asking;
    let by_tool = answers_by_tool(asking);
    let mut tools: Vec<_> = request.tools.iter().map(|it| tool(it, quirks, dropped)).collect();
    let mut choice = if tools.is_empty() { None } else { tool_choice(&request.tool_choice) };
    if !tools.is_empty() {
        let parallel = request.parallel_tool_calls.map(Value::from);
        let parallel = dropped.keep(Parameter::ParallelToolCalls, parallel, quirks);
        body.extend(parallel.map(|it| ("parallel_tool_calls".into(), it)));
    }
    match &request.response_format {
        ResponseFormat::JsonSchema { schema, .. } if by_tool => {
            let own = !tools.is_empty() && request.tool_choice == ToolChoice::Auto;
            choice = Some(if own { "required".into() } else { named(ANSWER_TOOL) });
            tools.push(function(ANSWER_TOOL, ANSWER_TOOL_DOES, schema));
        }
        format => {
            let format = response_format(format);
            body.extend(format.map(|it| ("response_format".into(), it)));
        }
    }
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
    }
    body.extend(choice.map(|it| ("tool_choice".into(), it)));
}

fn tool(tool: &Tool, quirks: &Quirks, dropped: &mut Dropped) -> Value {
    let mut value = function(&tool.name, tool.description.as_str(), &tool.parameters);
    if let Some(strict) = dropped.keep(Parameter::StrictTools, tool.strict, quirks) {
        value["function"]["strict"] = strict.into();
    }
    value
}

fn function(name: &str, description: &str, parameters: &Json) -> Value {
    let mut function = json!({ "name": name, "parameters": parameters });
    if !description.is_empty() {
        function["description"] = description.into();
    }
    json!({ "type": "function", "function": function })
}

fn tool_choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Tool(name) => Some(named(name)),
    }
}

fn named(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name } })
}

fn response_format(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => Some(json!({ "type": "json_object" })),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            let strict = strict.unwrap_or_else(|| takes_strict(schema.value()));
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
