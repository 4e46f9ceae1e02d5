//! The system prompt and the turns of Anthropic's Messages API.
//!
//! In: `system` and `messages`. Out: our own messages. Invariant: a person's turn that holds
//! results of tools becomes one message for each result, then one with the rest, order kept; what
//! is wrong leaves a stand-in, so that it is reported once.

use super::read::Reader;
use crate::api::http::alike::{self, call_seal, stand_in, thought_seal};
use crate::api::http::fields::{Fields, Placed};
use crate::domain::{Image, Message, Part, Reasoning, ToolCall};

/// Whose signatures are that do not say whose they are.
const ANTHROPIC: &str = "anthropic";

#[derive(Clone, Copy)]
enum Role {
    User,
    Assistant,
    System,
}

const ROLES: [(&str, Role); 3] =
    [("user", Role::User), ("assistant", Role::Assistant), ("system", Role::System)];

#[derive(Clone, Copy)]
enum Source {
    Value,
    Url,
}

const SOURCES: [(&str, Source); 2] = [("base64", Source::Value), ("url", Source::Url)];

/// The whole conversation, the system prompt first.
pub(super) fn messages(body: &mut Fields, reader: &mut Reader<'_>) -> Vec<Message> {
    let mut read = Vec::new();
    if let Some(system) = body.place("system") {
        let text = texts(system, reader);
        if !text.is_empty() {
            read.push(Message::System(text.into()));
        }
    }
    let Some(turns) = body.needed("messages", reader.found) else { return read };
    for place in turns.elements(reader.found) {
        turn(place, reader, &mut read);
    }
    read
}

fn turn(place: Placed, reader: &mut Reader<'_>, read: &mut Vec<Message>) {
    let Some(mut turn) = reader.block(place) else { return };
    let role = turn.needed_choice("role", &ROLES, reader.found);
    let content = turn.needed("content", reader.found);
    let (Some(role), Some(content)) = (role, content) else { return };
    match role {
        Role::System => read.push(Message::System(texts(content, reader).into())),
        Role::User => user(content, reader, read),
        Role::Assistant => read.push(assistant(content, reader)),
    }
}

/// A text, or the texts of blocks that can be nothing else.
fn texts(content: Placed, reader: &mut Reader<'_>) -> String {
    let parts = parts(content, "the system prompt", reader);
    let mut texts = Vec::with_capacity(parts.len());
    for (path, part) in parts {
        match part {
            Part::Text(text) => texts.push(text.into_string()),
            Part::Image(_) => reader.wrong(path, "a system prompt is text only"),
        }
    }
    texts.join("\n")
}

/// A text, or blocks of text and images, each with its path.
fn parts(content: Placed, place_name: &str, reader: &mut Reader<'_>) -> Vec<(String, Part)> {
    let mut read = Vec::new();
    for (mut block, kind) in blocks(content, reader) {
        let path = block.path().to_owned();
        let part = match kind.as_str() {
            "text" => Part::Text(block.needed_text("text", reader.found).into()),
            "image" => image(block, reader),
            _ => {
                stray(path.clone(), place_name, reader);
                stand_in()
            }
        };
        read.push((path, part));
    }
    read
}

/// The blocks of a content, each with its type; a plain text is one block.
fn blocks(content: Placed, reader: &mut Reader<'_>) -> Vec<(Fields, String)> {
    let content = match content {
        Placed { path, value: serde_json::Value::String(text) } => {
            let block = serde_json::json!([{"type": "text", "text": text}]);
            Placed { path, value: block }
        }
        other => other,
    };
    let mut read = Vec::new();
    for place in content.elements(reader.found) {
        let Some(mut block) = reader.block(place) else { continue };
        let kind = block.needed("type", reader.found).and_then(|it| it.text(reader.found));
        read.extend(kind.map(|kind| (block, kind)));
    }
    read
}

fn user(content: Placed, reader: &mut Reader<'_>, read: &mut Vec<Message>) {
    let (mut rest, mut results) = (Vec::new(), 0_usize);
    for (mut block, kind) in blocks(content, reader) {
        match kind.as_str() {
            "text" => rest.push(Part::Text(block.needed_text("text", reader.found).into())),
            "image" => rest.push(image(block, reader)),
            "tool_result" => {
                results += 1;
                read.push(tool_result(block, reader));
            }
            _ => {
                stray(block.path().to_owned(), "a user's turn", reader);
                rest.push(stand_in());
            }
        }
    }
    // An empty turn stays, so that it is reported.
    if results == 0 || !rest.is_empty() {
        read.push(Message::User(rest));
    }
}

fn tool_result(mut block: Fields, reader: &mut Reader<'_>) -> Message {
    let tool_call_id = block.needed_text("tool_use_id", reader.found);
    let failed = block.flag("is_error", reader.found).unwrap_or_default();
    let content = block.place("content").map(|it| parts(it, "a tool's result", reader));
    let parts = content.unwrap_or_default().into_iter().map(|(_, part)| part).collect();
    Message::ToolResult { tool_call_id, parts, failed }
}

fn image(mut block: Fields, reader: &mut Reader<'_>) -> Part {
    let source = block.needed_object("source", reader.found);
    source.and_then(|it| image_of(it, reader)).map_or_else(stand_in, Part::Image)
}

/// What shows it; `None` where it was reported.
fn image_of(mut source: Fields, reader: &mut Reader<'_>) -> Option<Image> {
    let kind = source.needed_choice("type", &SOURCES, reader.found)?;
    let mut text = |name| source.needed(name, reader.found)?.text(reader.found);
    let read = match kind {
        Source::Value => {
            let (media_type, data) = (text("media_type"), text("data"));
            alike::image_by_value(&media_type?, data?)
        }
        Source::Url => alike::image_by_url(text("url")?),
    };
    read.map(Image::new).map_err(|why| reader.wrong(source.path(), why)).ok()
}

fn assistant(content: Placed, reader: &mut Reader<'_>) -> Message {
    let (mut reasoning, mut texts, mut tool_calls) = (Vec::new(), Vec::new(), Vec::new());
    for (mut block, kind) in blocks(content, reader) {
        match kind.as_str() {
            "text" => texts.push(block.needed_text("text", reader.found)),
            "thinking" => {
                let text = block.needed_text("thinking", reader.found);
                let signature = block.text("signature", reader.found).unwrap_or_default();
                reasoning.push(Reasoning {
                    text: Some(text.into()),
                    seal: thought_seal(&signature, ANTHROPIC),
                });
            }
            "redacted_thinking" => {
                let data = block.needed_text("data", reader.found);
                reasoning.push(Reasoning { text: None, seal: thought_seal(&data, ANTHROPIC) });
            }
            "tool_use" => tool_calls.extend(tool_call(block, reader)),
            _ => {
                stray(block.path().to_owned(), "an assistant's turn", reader);
                texts.push("?".to_owned());
            }
        }
    }
    let text = (!texts.is_empty()).then(|| texts.join("\n").into());
    Message::Assistant { reasoning, text, tool_calls }
}

fn tool_call(mut block: Fields, reader: &mut Reader<'_>) -> Option<ToolCall> {
    let id = block.needed_text("id", reader.found);
    let name = block.needed_text("name", reader.found);
    let input = block.needed("input", reader.found)?;
    if !input.value.is_object() {
        reader.wrong(input.path, "the input of a tool must be an object");
        return None;
    }
    let seal = call_seal(&mut block, reader.found);
    Some(ToolCall { id, name, arguments: input.value.to_string().into(), seal })
}

fn stray(path: String, place_name: &str, reader: &mut Reader<'_>) {
    reader.wrong(path, format!("a block of this type is not served in {place_name}"));
}
