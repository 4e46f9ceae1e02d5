//! The messages of a chat completion.
//!
//! In: JSON. Out: [`Message`]s, and every [`Violation`] with the path in the caller's body.
//! Invariant: one message of the body is one of ours, so that validation's paths fit; what is wrong
//! leaves a stand-in. `name` and fields that are not known are passed over.

use serde_json::Value;

use crate::api::http::alike::{DETAILS, call_seal, image_by_url, stand_in};
use crate::api::http::fields::{Fields, Placed, report};
use crate::domain::{Image, Message, Part, Reasoning, Seal, Text, ToolCall, Violation};

type Found = Vec<Violation>;

/// Reads all of them.
pub(super) fn read(items: Vec<Placed>, found: &mut Found) -> Vec<Message> {
    let none = || Message::User(vec![stand_in()]);
    items.into_iter().map(|it| message(it, found).unwrap_or_else(none)).collect()
}

/// One message; `None` where it was reported.
fn message(place: Placed, found: &mut Found) -> Option<Message> {
    let mut fields = place.object(found)?;
    let role = fields.needed("role", found)?.text(found)?;
    let read = match role.as_str() {
        "system" | "developer" => {
            let path = fields.at("content");
            Message::System(joined(&path, content(&mut fields, found), found))
        }
        "user" => Message::User(content(&mut fields, found)),
        "assistant" => assistant(fields, found),
        "tool" => Message::ToolResult {
            tool_call_id: fields.text("tool_call_id", found).unwrap_or_default(),
            parts: content(&mut fields, found),
            failed: false,
        },
        "function" => {
            let message = "functions gave way to tools in 2023; use the role `tool`";
            report(found, fields.at("role"), message);
            return None;
        }
        _ => {
            let message = "the role must be system, developer, user, assistant or tool";
            report(found, fields.at("role"), message);
            return None;
        }
    };
    Some(read)
}

/// `content`, which must be there.
fn content(fields: &mut Fields, found: &mut Found) -> Vec<Part> {
    match fields.needed("content", found) {
        Some(place) => parts(place, found),
        None => vec![stand_in()],
    }
}

/// A string, or a list of parts.
fn parts(place: Placed, found: &mut Found) -> Vec<Part> {
    match place.value {
        Value::String(text) => vec![Part::Text(text.into())],
        Value::Array(_) => {
            let items = place.elements(found).into_iter();
            items.map(|it| part(it, found).unwrap_or_else(stand_in)).collect()
        }
        _ => {
            place.mismatch("a string or a list of parts", found);
            vec![stand_in()]
        }
    }
}

/// Parts where only text has a place.
fn joined(path: &str, parts: Vec<Part>, found: &mut Found) -> Text {
    let mut texts = Vec::with_capacity(parts.len());
    for (at, part) in parts.into_iter().enumerate() {
        match part {
            Part::Text(text) => texts.push(text.into_string()),
            Part::Image(_) => {
                let message = "a message of this role holds only text";
                report(found, format!("{path}[{at}]"), message);
            }
        }
    }
    texts.join("\n").into()
}

/// One part; `None` where it was reported.
fn part(place: Placed, found: &mut Found) -> Option<Part> {
    let mut fields = place.object(found)?;
    let message = match fields.needed("type", found)?.text(found)?.as_str() {
        "text" => return Some(Part::Text(fields.needed_text("text", found).into())),
        "refusal" => return Some(Part::Text(fields.needed_text("refusal", found).into())),
        "image_url" => return image(fields, found).map(Part::Image),
        "input_audio" | "file" => "audio and files are not taken; text and image_url are",
        _ => "the type must be text or image_url",
    };
    report(found, fields.at("type"), message);
    None
}

fn image(mut fields: Fields, found: &mut Found) -> Option<Image> {
    let place = fields.needed("image_url", found)?;
    let (url, detail) = if place.value.is_string() {
        // Not OpenAI's, but common.
        (place, None)
    } else {
        let mut inner = place.object(found)?;
        let detail = inner.choice("detail", &DETAILS, found);
        (inner.needed("url", found)?, detail)
    };
    let path = url.path.clone();
    let source = image_by_url(url.text(found)?).map_err(|why| report(found, path, why)).ok()?;
    Some(Image { source, detail })
}

fn assistant(mut fields: Fields, found: &mut Found) -> Message {
    if fields.take("function_call").is_some() {
        let message = "functions gave way to tools in 2023; use `tool_calls`";
        report(found, fields.at("function_call"), message);
    }
    let reasoning = reasoning(&mut fields, found);
    let refusal = fields.text("refusal", found);
    let path = fields.at("content");
    let text = match fields.place("content") {
        None => refusal.map(Text::from),
        Some(place) => Some(joined(&path, parts(place, found), found)),
    };
    let calls = fields.list("tool_calls", found).into_iter();
    let tool_calls = calls.filter_map(|it| tool_call(it, found)).collect();
    Message::Assistant { reasoning, text, tool_calls }
}

/// The sealed blocks where they are given, else the plain words.
fn reasoning(fields: &mut Fields, found: &mut Found) -> Vec<Reasoning> {
    let openrouter = fields.text("reasoning", found);
    let words = fields.text("reasoning_content", found).or(openrouter);
    let details = fields.list("reasoning_details", found).into_iter();
    let blocks: Vec<_> = details.filter_map(|it| detail(it, found)).collect();
    if !blocks.is_empty() {
        return blocks;
    }
    let words = words.filter(|it| !it.is_empty());
    words.map(|it| Reasoning { text: Some(it.into()), seal: None }).into_iter().collect()
}

fn detail(place: Placed, found: &mut Found) -> Option<Reasoning> {
    let mut fields = place.object(found)?;
    let text = fields.text("text", found).or_else(|| fields.text("summary", found));
    let seal = fields.text("signature", found).or_else(|| fields.text("data", found));
    // A seal that is not ours has no maker whom it could be given to.
    let seal = seal.and_then(|it| Seal::from_wire(&it));
    let block = Reasoning { text: text.map(Into::into), seal };
    (block.text.is_some() || block.seal.is_some()).then_some(block)
}

fn tool_call(place: Placed, found: &mut Found) -> Option<ToolCall> {
    let mut fields = place.object(found)?;
    // Some clients leave out the type.
    if fields.text("type", found).is_some_and(|it| it != "function") {
        report(found, fields.at("type"), "only calls of type function are taken");
        return None;
    }
    let id = fields.needed_text("id", found);
    let seal = call_seal(&mut fields, found);
    let mut function = fields.needed_object("function", found)?;
    let name = function.needed_text("name", found);
    let arguments = match function.place("arguments") {
        None => String::new(),
        Some(Placed { value: Value::String(text), .. }) => text,
        Some(Placed { value: object @ Value::Object(_), .. }) => object.to_string(),
        Some(other) => {
            other.mismatch("JSON in a string", found);
            String::new()
        }
    };
    Some(ToolCall { id, name, arguments: arguments.into(), seal })
}
