//! Tools, their choice, and the shape of the answer.
//!
//! In: fields of a chat completion. Out: our own. Invariant: what only OpenAI's own models could do
//! (custom tools, allowed tools) is refused by name, never dropped.

use serde_json::{Value, json};

use crate::api::http::fields::{Fields, mismatch};
use crate::domain::{ResponseFormat, Tool, ToolChoice, Violation};

type Found = Vec<Violation>;

/// `tools`.
pub(super) fn read(fields: &mut Fields, found: &mut Found) -> Vec<Tool> {
    let items = fields.list("tools", found).unwrap_or_default().into_iter().enumerate();
    items.filter_map(|(at, it)| tool(&format!("tools[{at}]"), it, found)).collect()
}

fn tool(path: &str, value: Value, found: &mut Found) -> Option<Tool> {
    let mut fields = Fields::of(path, value, found)?;
    let before = found.len();
    if fields.needed("type", found) != "function" {
        if found.len() == before {
            let message = "only tools of type function are taken";
            found.push(Violation::new(fields.at("type"), message));
        }
        return None;
    }
    let Some(mut function) = fields.object("function", found) else {
        found.push(Violation::new(fields.at("function"), "this field is needed"));
        return None;
    };
    let none = || json!({ "type": "object", "properties": {} });
    Some(Tool {
        // Validation tells that it is missing.
        name: function.text("name", found).unwrap_or_default(),
        description: function.text("description", found).unwrap_or_default().into(),
        parameters: function.take("parameters").unwrap_or_else(none).into(),
        strict: function.flag("strict", found),
    })
}

/// `tool_choice`.
pub(super) fn choice(fields: &mut Fields, found: &mut Found) -> ToolChoice {
    match fields.take("tool_choice") {
        None => ToolChoice::Auto,
        Some(Value::String(mode)) => match mode.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => {
                let message = "there are auto, none, required, or a function by its name";
                found.push(Violation::new("tool_choice", message));
                ToolChoice::Auto
            }
        },
        Some(value @ Value::Object(_)) => named(value, found).unwrap_or_default(),
        Some(other) => {
            mismatch("tool_choice", "a string or an object", &other, found);
            ToolChoice::Auto
        }
    }
}

fn named(value: Value, found: &mut Found) -> Option<ToolChoice> {
    let mut fields = Fields::of("tool_choice", value, found)?;
    let before = found.len();
    if fields.needed("type", found) != "function" {
        if found.len() == before {
            let message = "only the type function is taken";
            found.push(Violation::new("tool_choice.type", message));
        }
        return None;
    }
    let Some(mut function) = fields.object("function", found) else {
        found.push(Violation::new("tool_choice.function", "this field is needed"));
        return None;
    };
    let before = found.len();
    let name = function.needed("name", found);
    (found.len() == before).then_some(ToolChoice::Tool(name))
}

/// `response_format`.
pub(super) fn format(fields: &mut Fields, found: &mut Found) -> ResponseFormat {
    let Some(mut format) = fields.object("response_format", found) else {
        return ResponseFormat::Text;
    };
    match format.needed("type", found).as_str() {
        "" | "text" => ResponseFormat::Text,
        "json_object" => ResponseFormat::JsonObject,
        "json_schema" => schema(&mut format, found),
        _ => {
            let message = "there are text, json_object and json_schema";
            found.push(Violation::new("response_format.type", message));
            ResponseFormat::Text
        }
    }
}

fn schema(format: &mut Fields, found: &mut Found) -> ResponseFormat {
    let before = found.len();
    let Some(mut inner) = format.object("json_schema", found) else {
        if found.len() == before {
            found.push(Violation::new("response_format.json_schema", "this field is needed"));
        }
        return ResponseFormat::Text;
    };
    let name = inner.needed("name", found);
    let mut schema = inner.take("schema").unwrap_or_else(|| json!({ "type": "object" }));
    // Other protocols have no place for a description but the schema itself.
    if let (Some(words), Value::Object(fields)) = (inner.text("description", found), &mut schema) {
        fields.entry("description").or_insert(words.into());
    }
    ResponseFormat::JsonSchema { name, schema: schema.into(), strict: inner.flag("strict", found) }
}
