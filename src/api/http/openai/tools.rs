//! Tools, their choice, and the shape of the answer.
//!
//! In: fields of a chat completion. Out: our own. Invariant: what only OpenAI's own models could do
//! (custom tools, allowed tools) is refused by name, never dropped.

use serde_json::{Value, json};

use crate::api::http::alike::{self, FORMATS, Format};
use crate::api::http::fields::{Fields, Placed};
use crate::domain::{ResponseFormat, Tool, ToolChoice, Violation};

type Found = Vec<Violation>;

/// `tools`.
pub(super) fn read(fields: &mut Fields, found: &mut Found) -> Vec<Tool> {
    let items = fields.list("tools", found).into_iter();
    items.filter_map(|it| tool(it, found)).collect()
}

fn tool(place: Placed, found: &mut Found) -> Option<Tool> {
    let mut fields = place.object(found)?;
    if !alike::is_function(&mut fields, found) {
        return None;
    }
    let mut function = fields.needed_object("function", found)?;
    Some(Tool {
        // Validation tells that it is missing.
        name: function.text("name", found).unwrap_or_default(),
        description: function.text("description", found).unwrap_or_default().into(),
        parameters: alike::parameters(&mut function),
        strict: function.flag("strict", found),
    })
}

/// `tool_choice`.
pub(super) fn choice(fields: &mut Fields, found: &mut Found) -> ToolChoice {
    alike::tool_choice(fields, found, |mut it, found| {
        it.needed_object("function", found)?.needed("name", found)
    })
}

/// `response_format`.
pub(super) fn format(fields: &mut Fields, found: &mut Found) -> ResponseFormat {
    let Some(mut format) = fields.object("response_format", found) else {
        return ResponseFormat::Text;
    };
    match format.needed_choice("type", &FORMATS, found) {
        Some(Format::Text) | None => ResponseFormat::Text,
        Some(Format::JsonObject) => ResponseFormat::JsonObject,
        Some(Format::JsonSchema) => {
            let inner = format.needed_object("json_schema", found);
            inner.map_or(ResponseFormat::Text, |it| schema(it, found))
        }
    }
}

fn schema(mut inner: Fields, found: &mut Found) -> ResponseFormat {
    let name = inner.needed_text("name", found);
    let mut schema = inner.take("schema").unwrap_or_else(|| json!({ "type": "object" }));
    // Other protocols have no place for a description but the schema itself.
    if let (Some(words), Value::Object(fields)) = (inner.text("description", found), &mut schema) {
        fields.entry("description").or_insert(words.into());
    }
    ResponseFormat::JsonSchema { name, schema: schema.into(), strict: inner.flag("strict", found) }
}
