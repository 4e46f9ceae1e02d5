//! The messages of a chat completion.
//!
//! In: JSON. Out: [`Message`]s, and every [`Violation`] with the path in the caller's body.
//! Invariant: one message of the body is one of ours, so that validation's paths fit; what is wrong
//! leaves a stand-in. `name` and fields that are not known are passed over.

use serde_json::Value;

use crate::api::http::fields::{Fields, mismatch};
use crate::domain::{
    Image, ImageDetail, ImageSource, Message, Part, Reasoning, Seal, Text, ToolCall, Violation,
};

type Found = Vec<Violation>;

/// Reads all of them.
pub(super) fn read(items: Vec<Value>, found: &mut Found) -> Vec<Message> {
    let items = items.into_iter().enumerate();
    items.map(|(at, it)| message(&format!("messages[{at}]"), it, found)).collect()
}

/// What stands for a part that was reported already.
fn stand_in() -> Part {
    Part::Text("?".into())
}

fn message(path: &str, value: Value, found: &mut Found) -> Message {
    let stand_in = || Message::User(vec![stand_in()]);
    let Some(mut fields) = Fields::of(path, value, found) else { return stand_in() };
    let before = found.len();
    let role = fields.needed("role", found);
    match role.as_str() {
        "system" | "developer" => Message::System(text_of(&mut fields, found)),
        "user" => Message::User(parts(&mut fields, found)),
        "assistant" => assistant(fields, found),
        "tool" => Message::ToolResult {
            tool_call_id: fields.text("tool_call_id", found).unwrap_or_default(),
            parts: parts(&mut fields, found),
            failed: false,
        },
        _ => {
            if found.len() == before {
                let message = match role.as_str() {
                    "function" => "functions gave way to tools in 2023; use the role `tool`",
                    _ => "the role must be system, developer, user, assistant or tool",
                };
                found.push(Violation::new(fields.at("role"), message));
            }
            stand_in()
        }
    }
}

/// `content`: a string, or a list of parts; nothing where it is absent.
fn parts(fields: &mut Fields, found: &mut Found) -> Vec<Part> {
    let path = fields.at("content");
    match fields.take("content") {
        None => {
            found.push(Violation::new(path, "this field is needed"));
            vec![stand_in()]
        }
        Some(Value::String(text)) => vec![Part::Text(text.into())],
        Some(Value::Array(items)) => {
            let items = items.into_iter().enumerate();
            items.map(|(at, it)| part(&format!("{path}[{at}]"), it, found)).collect()
        }
        Some(other) => {
            mismatch(&path, "a string or a list of parts", &other, found);
            vec![stand_in()]
        }
    }
}

/// `content` where only text has a place.
fn text_of(fields: &mut Fields, found: &mut Found) -> Text {
    let path = fields.at("content");
    joined(&path, parts(fields, found), found)
}

fn joined(path: &str, parts: Vec<Part>, found: &mut Found) -> Text {
    let mut texts = Vec::with_capacity(parts.len());
    for (at, part) in parts.into_iter().enumerate() {
        match part {
            Part::Text(text) => texts.push(text.into_string()),
            Part::Image(_) => {
                let message = "a message of this role holds only text";
                found.push(Violation::new(format!("{path}[{at}]"), message));
            }
        }
    }
    texts.join("\n").into()
}

fn part(path: &str, value: Value, found: &mut Found) -> Part {
    let Some(mut fields) = Fields::of(path, value, found) else { return stand_in() };
    match fields.needed("type", found).as_str() {
        // An empty type is told already.
        "" => stand_in(),
        "text" => Part::Text(fields.needed("text", found).into()),
        "refusal" => Part::Text(fields.needed("refusal", found).into()),
        "image_url" => image(fields, found).map_or_else(stand_in, Part::Image),
        "input_audio" | "file" => {
            let message = "audio and files are not taken; text and image_url are";
            found.push(Violation::new(fields.at("type"), message));
            stand_in()
        }
        _ => {
            found.push(Violation::new(fields.at("type"), "the type must be text or image_url"));
            stand_in()
        }
    }
}

fn image(mut fields: Fields, found: &mut Found) -> Option<Image> {
    let path = fields.at("image_url");
    let (path, url, detail) = match fields.take("image_url") {
        // Not OpenAI's, but common.
        Some(Value::String(url)) => (path, url, None),
        Some(value) => {
            let mut inner = Fields::of(&path, value, found)?;
            let detail = inner.text("detail", found);
            let detail = detail.and_then(|it| detail_of(&inner.at("detail"), &it, found));
            (inner.at("url"), inner.needed("url", found), detail)
        }
        None => {
            found.push(Violation::new(path, "this field is needed"));
            return None;
        }
    };
    if url.is_empty() {
        // `needed` told it, unless it was there and empty.
        let told = found.last().is_some_and(|it| it.field == path);
        if !told {
            found.push(Violation::new(path, "the URL is empty"));
        }
        return None;
    }
    match source(url) {
        Ok(source) => Some(Image { source, detail }),
        Err(message) => {
            found.push(Violation::new(path, message));
            None
        }
    }
}

fn detail_of(path: &str, name: &str, found: &mut Found) -> Option<ImageDetail> {
    match name {
        "auto" => Some(ImageDetail::Auto),
        "low" => Some(ImageDetail::Low),
        "high" => Some(ImageDetail::High),
        _ => {
            found.push(Violation::new(path, "the detail must be auto, low or high"));
            None
        }
    }
}

/// A web address, or a `data:` URL (RFC 2397) in base64.
fn source(url: String) -> Result<ImageSource, &'static str> {
    let scheme = url.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => return Ok(ImageSource::Url(url.into())),
        "data" => {}
        _ => return Err("an http, https or data URL is wanted"),
    }
    let whole = url.get("data:".len()..).unwrap_or_default();
    let (head, data) = whole.split_once(',').ok_or("a data URL has a comma before its data")?;
    let media_type = head.strip_suffix(";base64").ok_or("a data URL must be in base64 here")?;
    let media_type = media_type.split(';').next().unwrap_or_default().to_ascii_lowercase();
    if !media_type.starts_with("image/") {
        return Err("the data URL's media type must be an image's");
    }
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/' | b'=');
    if data.is_empty() || !data.bytes().all(plain) {
        return Err("the data is not base64");
    }
    Ok(ImageSource::Base64 { media_type, data: data.into() })
}

fn assistant(mut fields: Fields, found: &mut Found) -> Message {
    if fields.take("function_call").is_some() {
        let message = "functions gave way to tools in 2023; use `tool_calls`";
        found.push(Violation::new(fields.at("function_call"), message));
    }
    let reasoning = reasoning(&mut fields, found);
    let refusal = fields.text("refusal", found);
    let text = match fields.take("content") {
        None => refusal.map(Text::from),
        Some(Value::String(text)) => Some(text.into()),
        Some(value) => {
            let path = fields.at("content");
            let mut again = serde_json::Map::new();
            again.insert("content".into(), value);
            let inner = Fields::of(fields.path(), Value::Object(again), found);
            inner.map(|mut it| joined(&path, parts(&mut it, found), found))
        }
    };
    let path = fields.at("tool_calls");
    let calls = fields.list("tool_calls", found).unwrap_or_default().into_iter().enumerate();
    let tool_calls = calls.filter_map(|(at, it)| tool_call(&format!("{path}[{at}]"), it, found));
    Message::Assistant { tool_calls: tool_calls.collect(), reasoning, text }
}

/// The sealed blocks where they are given, else the plain words.
fn reasoning(fields: &mut Fields, found: &mut Found) -> Vec<Reasoning> {
    let openrouter = fields.text("reasoning", found);
    let words = fields.text("reasoning_content", found).or(openrouter);
    let path = fields.at("reasoning_details");
    let details = fields.list("reasoning_details", found).unwrap_or_default();
    let details = details.into_iter().enumerate();
    let read = |(at, it)| detail(&format!("{path}[{at}]"), it, found);
    let blocks: Vec<_> = details.filter_map(read).collect();
    if !blocks.is_empty() {
        return blocks;
    }
    let words = words.filter(|it| !it.is_empty());
    words.map(|it| Reasoning { text: Some(it.into()), seal: None }).into_iter().collect()
}

fn detail(path: &str, value: Value, found: &mut Found) -> Option<Reasoning> {
    let mut fields = Fields::of(path, value, found)?;
    let text = fields.text("text", found).or_else(|| fields.text("summary", found));
    let seal = fields.text("signature", found).or_else(|| fields.text("data", found));
    // A seal that is not ours has no maker whom it could be given to.
    let seal = seal.and_then(|it| Seal::from_wire(&it));
    let block = Reasoning { text: text.map(Into::into), seal };
    (block.text.is_some() || block.seal.is_some()).then_some(block)
}

fn tool_call(path: &str, value: Value, found: &mut Found) -> Option<ToolCall> {
    let mut fields = Fields::of(path, value, found)?;
    if fields.text("type", found).is_some_and(|it| it != "function") {
        let message = "only calls of type function are taken";
        found.push(Violation::new(fields.at("type"), message));
        return None;
    }
    let id = fields.needed("id", found);
    let seal = fields.object("extra_content", found).and_then(|mut it| {
        let seal = it.object("pointsman", found)?.text("seal", found)?;
        Seal::from_wire(&seal)
    });
    let Some(mut function) = fields.object("function", found) else {
        found.push(Violation::new(fields.at("function"), "this field is needed"));
        return None;
    };
    let name = function.needed("name", found);
    let arguments = match function.take("arguments") {
        None => String::new(),
        Some(Value::String(text)) => text,
        Some(object @ Value::Object(_)) => object.to_string(),
        Some(other) => {
            mismatch(&function.at("arguments"), "JSON in a string", &other, found);
            String::new()
        }
    };
    Some(ToolCall { id, name, arguments: arguments.into(), seal })
}
