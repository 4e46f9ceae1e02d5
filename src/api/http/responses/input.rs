//! The input of OpenAI's Responses API: a text, or items.
//!
//! In: `input`. Out: our own messages. Invariant: items that one answer of a model left behind
//! (reasoning, a message, function calls) become one assistant's turn again. What is wrong is
//! reported once, and a stand-in is read in its place.

use serde_json::Value;

use crate::api::http::alike::{DETAILS, call_seal, image_by_url, stand_in, thought_seal};
use crate::api::http::fields::{Fields, Placed, report};
use crate::domain::{Image, Message, Part, Reasoning, ToolCall, Violation};

/// Whose ciphertexts are that do not say whose they are.
const OPENAI: &str = "openai";

#[derive(Clone, Copy)]
enum Role {
    System,
    User,
    Assistant,
}

const ROLES: [(&str, Role); 4] = [
    ("user", Role::User),
    ("assistant", Role::Assistant),
    ("system", Role::System),
    ("developer", Role::System),
];

/// Reads `input` to the end of `messages`.
pub(super) fn read(body: &mut Fields, found: &mut Vec<Violation>, messages: &mut Vec<Message>) {
    let Some(input) = body.needed("input", found) else { return };
    if let Value::String(text) = input.value {
        messages.push(Message::User(vec![Part::Text(text.into())]));
        return;
    }
    let mut answer = Answer::default();
    for place in input.elements(found) {
        if let Some(item) = place.object(found) {
            self::item(item, found, &mut answer, messages);
        }
    }
    answer.end(messages);
}

/// An assistant's turn whose items are still coming.
#[derive(Default)]
struct Answer {
    reasoning: Vec<Reasoning>,
    texts: Vec<String>,
    tool_calls: Vec<ToolCall>,
}

impl Answer {
    fn end(&mut self, messages: &mut Vec<Message>) {
        let Self { reasoning, texts, tool_calls } = std::mem::take(self);
        if reasoning.is_empty() && texts.is_empty() && tool_calls.is_empty() {
            return;
        }
        let text = (!texts.is_empty()).then(|| texts.join("\n").into());
        messages.push(Message::Assistant { reasoning, text, tool_calls });
    }
}

fn item(
    mut item: Fields,
    found: &mut Vec<Violation>,
    answer: &mut Answer,
    messages: &mut Vec<Message>,
) {
    let kind = item.text("type", found).unwrap_or_else(|| "message".to_owned());
    match kind.as_str() {
        "message" => message(item, found, answer, messages),
        "function_call" => answer.tool_calls.push(function_call(item, found)),
        "reasoning" => answer.reasoning.extend(reasoning(item, found)),
        "function_call_output" => {
            answer.end(messages);
            let tool_call_id = item.needed_text("call_id", found);
            let output = item.needed("output", found);
            let parts = output.map(|it| parts(it, found)).unwrap_or_default();
            messages.push(Message::ToolResult { tool_call_id, parts, failed: false });
        }
        "item_reference" => {
            let message = "this server keeps no state: send the item itself";
            report(found, item.path(), message);
        }
        _ => {
            report(found, item.path(), "an item of this type is not served");
        }
    }
}

fn message(
    mut item: Fields,
    found: &mut Vec<Violation>,
    answer: &mut Answer,
    messages: &mut Vec<Message>,
) {
    let role = item.needed_choice("role", &ROLES, found);
    let content = item.needed("content", found);
    let (Some(role), Some(content)) = (role, content) else { return };
    match role {
        Role::Assistant => {
            let path = content.path.clone();
            answer.texts.push(texts(&path, parts(content, found), found));
        }
        Role::User => {
            answer.end(messages);
            messages.push(Message::User(parts(content, found)));
        }
        Role::System => {
            answer.end(messages);
            let path = content.path.clone();
            let text = texts(&path, parts(content, found), found);
            messages.push(Message::System(text.into()));
        }
    }
}

fn texts(path: &str, parts: Vec<Part>, found: &mut Vec<Violation>) -> String {
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Text(text) => texts.push(text.into_string()),
            Part::Image(_) => report(found, path, "an image has its place in a user's turn only"),
        }
    }
    texts.join("\n")
}

/// A text, or a list of texts and images.
fn parts(content: Placed, found: &mut Vec<Violation>) -> Vec<Part> {
    if let Value::String(text) = content.value {
        return vec![Part::Text(text.into())];
    }
    let list = content.elements(found).into_iter();
    list.map(|it| part(it, found).unwrap_or_else(stand_in)).collect()
}

/// One part; `None` where it was reported.
fn part(place: Placed, found: &mut Vec<Violation>) -> Option<Part> {
    let mut part = place.object(found)?;
    let kind = part.needed("type", found)?.text(found)?;
    match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            Some(Part::Text(part.needed_text("text", found).into()))
        }
        "refusal" => Some(Part::Text(part.needed_text("refusal", found).into())),
        "input_image" => image(part, found).map(Part::Image),
        _ => {
            report(found, part.path(), "content of this type is not served");
            None
        }
    }
}

fn image(mut part: Fields, found: &mut Vec<Violation>) -> Option<Image> {
    let detail = part.choice("detail", &DETAILS, found);
    if part.take("file_id").is_some() {
        report(found, part.at("file_id"), "this server keeps no files: send an image_url");
        return None;
    }
    let url = part.needed("image_url", found)?.text(found)?;
    let source = image_by_url(url).map_err(|why| report(found, part.at("image_url"), why)).ok()?;
    Some(Image { source, detail })
}

fn function_call(mut item: Fields, found: &mut Vec<Violation>) -> ToolCall {
    let id = item.needed_text("call_id", found);
    let name = item.needed_text("name", found);
    let arguments = item.text("arguments", found).filter(|it| !it.trim().is_empty());
    let arguments = arguments.unwrap_or_else(|| "{}".to_owned()).into();
    ToolCall { id, name, arguments, seal: call_seal(&mut item, found) }
}

/// An earlier thought; `None` where the item says nothing.
fn reasoning(mut item: Fields, found: &mut Vec<Violation>) -> Option<Reasoning> {
    let mut texts = Vec::new();
    for name in ["content", "summary"] {
        // The summary is a summary of the content: the content goes first where both are there.
        for place in item.list(name, found) {
            if let Some(mut part) = place.object(found) {
                texts.push((name, part.needed_text("text", found)));
            }
        }
    }
    let first = texts.first().map(|(name, _)| *name);
    let texts = texts.into_iter().filter(|(name, _)| Some(*name) == first).map(|(_, text)| text);
    let text = texts.collect::<Vec<_>>().join("\n\n");
    let text = (!text.is_empty()).then(|| text.into());
    let seal = item.text("encrypted_content", found).and_then(|it| thought_seal(&it, OPENAI));
    (text.is_some() || seal.is_some()).then_some(Reasoning { text, seal })
}
