//! The system prompt and the turns of Anthropic's Messages API.
//!
//! In: `system` and `messages`. Out: our own messages. Invariant: a person's turn that holds
//! results of tools becomes one message for each result, then one with the rest, order kept; what
//! is wrong leaves a stand-in, so that it is reported once.

use super::read::Reader;
use crate::api::http::object::{Object, Placed, quoted, string};
use crate::domain::{
    Image, ImageSource, Message, Part, ProviderName, Reasoning, Seal, ToolCall, Violation,
};

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

/// The whole conversation, the system prompt first.
pub(super) fn messages(body: &mut Object, reader: &mut Reader<'_>) -> Vec<Message> {
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
            "text" => Part::Text(block.needed_string("text", reader.found).into()),
            "image" => image(block, reader),
            _ => {
                stray(path.clone(), &kind, place_name, reader);
                stand_in()
            }
        };
        read.push((path, part));
    }
    read
}

/// The blocks of a content, each with its type; a plain text is one block.
fn blocks(content: Placed, reader: &mut Reader<'_>) -> Vec<(Object, String)> {
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
        let kind = block.needed("type", reader.found).and_then(|it| string(it, reader.found));
        read.extend(kind.map(|kind| (block, kind)));
    }
    read
}

fn user(content: Placed, reader: &mut Reader<'_>, read: &mut Vec<Message>) {
    let (mut rest, mut results) = (Vec::new(), 0_usize);
    for (mut block, kind) in blocks(content, reader) {
        match kind.as_str() {
            "text" => rest.push(Part::Text(block.needed_string("text", reader.found).into())),
            "image" => rest.push(image(block, reader)),
            "tool_result" => {
                results += 1;
                read.push(tool_result(block, reader));
            }
            _ => {
                stray(block.path().to_owned(), &kind, "a user's turn", reader);
                rest.push(stand_in());
            }
        }
    }
    // An empty turn stays, so that it is reported.
    if results == 0 || !rest.is_empty() {
        read.push(Message::User(rest));
    }
}

fn tool_result(mut block: Object, reader: &mut Reader<'_>) -> Message {
    let tool_call_id = block.needed_string("tool_use_id", reader.found);
    let failed = block.flag("is_error", reader.found).unwrap_or_default();
    let content = block.place("content").map(|it| parts(it, "a tool's result", reader));
    let parts = content.unwrap_or_default().into_iter().map(|(_, part)| part).collect();
    Message::ToolResult { tool_call_id, parts, failed }
}

fn image(mut block: Object, reader: &mut Reader<'_>) -> Part {
    let source = block.needed("source", reader.found).and_then(|it| it.object(reader.found));
    let Some(mut source) = source else { return stand_in() };
    let kind = source.string("type", reader.found).unwrap_or_default();
    let source = match kind.as_str() {
        "base64" => ImageSource::Base64 {
            media_type: source.needed_string("media_type", reader.found),
            data: source.needed_string("data", reader.found).into(),
        },
        "url" => ImageSource::Url(source.needed_string("url", reader.found).into()),
        _ => {
            let message = format!("{} is none of: base64, url", quoted(&kind));
            reader.wrong(source.at("type"), message);
            return stand_in();
        }
    };
    Part::Image(Image::new(source))
}

fn assistant(content: Placed, reader: &mut Reader<'_>) -> Message {
    let (mut reasoning, mut texts, mut tool_calls) = (Vec::new(), Vec::new(), Vec::new());
    for (mut block, kind) in blocks(content, reader) {
        match kind.as_str() {
            "text" => texts.push(block.needed_string("text", reader.found)),
            "thinking" => {
                let text = block.needed_string("thinking", reader.found);
                let signature = block.string("signature", reader.found).unwrap_or_default();
                reasoning.push(Reasoning { text: Some(text.into()), seal: seal(&signature) });
            }
            "redacted_thinking" => {
                let data = block.needed_string("data", reader.found);
                reasoning.push(Reasoning { text: None, seal: seal(&data) });
            }
            "tool_use" => tool_calls.extend(tool_call(block, reader)),
            _ => {
                stray(block.path().to_owned(), &kind, "an assistant's turn", reader);
                texts.push("?".to_owned());
            }
        }
    }
    let text = (!texts.is_empty()).then(|| texts.join("\n").into());
    Message::Assistant { reasoning, text, tool_calls }
}

fn tool_call(mut block: Object, reader: &mut Reader<'_>) -> Option<ToolCall> {
    let id = block.needed_string("id", reader.found);
    let name = block.needed_string("name", reader.found);
    let input = block.needed("input", reader.found)?;
    if !input.value.is_object() {
        reader.wrong(input.path, "the input of a tool must be an object");
        return None;
    }
    let seal = sealed(&mut block, reader.found);
    Some(ToolCall { id, name, arguments: input.value.to_string().into(), seal })
}

/// The seal that we gave with a tool call.
fn sealed(block: &mut Object, found: &mut Vec<Violation>) -> Option<Seal> {
    let mut ours = block.object("extra_content", found)?.object("pointsman", found)?;
    ours.string("seal", found).and_then(|it| Seal::from_wire(&it))
}

/// A signature or ciphertext: ours says whose it is, any other is Anthropic's.
fn seal(text: &str) -> Option<Seal> {
    if text.is_empty() {
        return None;
    }
    let anthropics = || {
        let provider = ProviderName::new(ANTHROPIC).ok()?;
        Some(Seal { provider, value: text.into() })
    };
    Seal::from_wire(text).or_else(anthropics)
}

fn stray(path: String, kind: &str, place_name: &str, reader: &mut Reader<'_>) {
    let message = format!("a block of type {} is not served in {place_name}", quoted(kind));
    reader.wrong(path, message);
}

/// What stands for a part that was reported already.
fn stand_in() -> Part {
    Part::Text("?".into())
}
