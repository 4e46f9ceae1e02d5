//! The turns of a conversation as Gemini's `contents`.
//!
//! In: messages. Out: [`Contents`]. Invariant: roles alternate, no turn and no text is empty, and
//! only this provider's own seals are sent. Not here: everything beside the turns.

use serde_json::{Value, json};

use super::super::call_ids::CallNames;
use super::super::{Asking, Dropped, Unsupported};
use crate::domain::{Image, ImageDetail, ImageSource, Message, Part, Reasoning, Text, ToolCall};
use crate::providers::quirks::Parameter;

/// MIME types of the images that Gemini takes (2025), by the endings of their URLs.
const MIME_TYPES: [(&str, &str); 6] = [
    (".png", "image/png"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".webp", "image/webp"),
    (".heic", "image/heic"),
    (".heif", "image/heif"),
];

/// A conversation in Gemini's words.
pub(super) struct Contents {
    /// Parts of the system instruction.
    pub(super) system: Vec<Value>,
    /// Turns of `user` and `model`.
    pub(super) turns: Vec<Value>,
}

impl Contents {
    /// Writes the conversation.
    ///
    /// # Errors
    /// [`Unsupported`] for an image that cannot be sent, and a tool's result without its call.
    pub(super) fn of(asking: &Asking<'_>, dropped: &mut Dropped) -> Result<Self, Unsupported> {
        let mut writer = Writer { asking, dropped, names: CallNames::default(), turns: vec![] };
        asking.request.messages.iter().try_for_each(|it| writer.message(it))?;
        let turns = writer.turns;
        let system: Vec<_> = asking.request.system_texts().filter_map(text_part).collect();
        // The API wants a turn; a prompt may be instructions only.
        if turns.is_empty() && !system.is_empty() {
            let turns = vec![json!({ "role": "user", "parts": system })];
            return Ok(Self { system: vec![], turns });
        }
        let turn = |(role, parts)| json!({ "role": role, "parts": parts });
        Ok(Self { system, turns: turns.into_iter().map(turn).collect() })
    }
}

struct Writer<'a, 'b> {
    asking: &'b Asking<'a>,
    dropped: &'b mut Dropped,
    names: CallNames<'a>,
    turns: Vec<(&'static str, Vec<Value>)>,
}

impl<'a> Writer<'a, '_> {
    fn message(&mut self, message: &'a Message) -> Result<(), Unsupported> {
        let (role, parts) = match message {
            Message::System(_) => return Ok(()),
            Message::User(parts) => ("user", self.user(parts)?),
            Message::Assistant { reasoning, text, tool_calls } => {
                self.names.note(tool_calls);
                let mut parts = self.thoughts(reasoning, text.as_ref());
                for call in tool_calls {
                    parts.push(self.call(call)?);
                }
                ("model", parts)
            }
            Message::ToolResult { tool_call_id, parts, failed } => {
                let name = self.names.of(tool_call_id);
                let name = name.ok_or(Unsupported("a tool's result without its call"))?;
                let response = response(parts, *failed)?;
                let answer = json!({ "id": tool_call_id, "name": name, "response": response });
                ("user", vec![json!({ "functionResponse": answer })])
            }
        };
        match self.turns.last_mut() {
            _ if parts.is_empty() => {}
            Some((last, all)) if *last == role => all.extend(parts),
            Some(_) | None => self.turns.push((role, parts)),
        }
        Ok(())
    }

    fn user(&mut self, parts: &[Part]) -> Result<Vec<Value>, Unsupported> {
        let mut written = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::Text(text) => written.extend(text_part(text)),
                Part::Image(image) => written.push(self.image(image)?),
            }
        }
        Ok(written)
    }

    fn image(&mut self, image: &Image) -> Result<Value, Unsupported> {
        match image.detail {
            Some(ImageDetail::Low | ImageDetail::High) => {
                self.dropped.parameter(Parameter::ImageDetail);
            }
            Some(ImageDetail::Auto) | None => {}
        }
        match &image.source {
            ImageSource::Base64 { media_type, data } => {
                Ok(json!({ "inlineData": { "mimeType": media_type, "data": data } }))
            }
            ImageSource::Url(_) if self.asking.quirks.image_urls == Some(false) => {
                Err(Unsupported("an image by URL"))
            }
            ImageSource::Url(url) => {
                let mut file = json!({ "fileUri": url });
                if let Some(mime_type) = mime_type(url.as_str()) {
                    file["mimeType"] = mime_type.into();
                }
                Ok(json!({ "fileData": file }))
            }
        }
    }

    /// What a model thought and said. A seal without words is that of the text, where there is
    /// one: Gemini 3 seals the part it ends with (2025).
    fn thoughts(&mut self, reasoning: &'a [Reasoning], text: Option<&'a Text>) -> Vec<Value> {
        let (mut parts, mut of_text) = (Vec::new(), None);
        for thought in reasoning {
            let seal = thought.seal.as_ref();
            let Some(seal) = seal.and_then(|it| self.own(it)) else {
                self.dropped.parameter(Parameter::PastReasoning);
                continue;
            };
            match &thought.text {
                Some(words) => {
                    let part = json!({ "text": words, "thought": true, "thoughtSignature": seal });
                    parts.push(part);
                }
                None => parts.extend(of_text.replace(seal).map(sealed)),
            }
        }
        match (text.and_then(text_part), of_text) {
            (Some(mut part), Some(seal)) => {
                part["thoughtSignature"] = seal.as_str().into();
                parts.push(part);
            }
            (part, seal) => parts.extend(part.or_else(|| seal.map(sealed))),
        }
        parts
    }

    fn call(&mut self, call: &ToolCall) -> Result<Value, Unsupported> {
        let args = arguments(call.arguments.as_str())?;
        let mut part =
            json!({ "functionCall": { "id": call.id, "name": call.name, "args": args } });
        if let Some(seal) = &call.seal {
            match self.own(seal) {
                Some(seal) => part["thoughtSignature"] = seal.as_str().into(),
                None => self.dropped.parameter(Parameter::PastReasoning),
            }
        }
        Ok(part)
    }

    /// The seal, if this provider made it and takes it back.
    fn own<'c>(&self, seal: &'c crate::domain::Seal) -> Option<&'c Text> {
        let lacks = self.asking.quirks.lacks.contains(&Parameter::PastReasoning);
        seal.for_provider(&self.asking.deployment.provider).filter(|_| !lacks)
    }
}

/// A part with nothing but a seal, as streams end with one.
fn sealed(seal: &Text) -> Value {
    json!({ "text": "", "thoughtSignature": seal })
}

/// The API refuses empty texts.
fn text_part(text: &Text) -> Option<Value> {
    (!text.is_empty()).then(|| json!({ "text": text }))
}

fn arguments(text: &str) -> Result<Value, Unsupported> {
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    let value = serde_json::from_str(text).ok().filter(Value::is_object);
    value.ok_or(Unsupported("a tool call whose arguments are no JSON object"))
}

/// A tool's output as the object that the API wants.
fn response(parts: &[Part], failed: bool) -> Result<Value, Unsupported> {
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Text(text) => texts.push(text.as_str()),
            Part::Image(_) => return Err(Unsupported("an image in a tool's result")),
        }
    }
    let text = texts.join("\n");
    if failed {
        return Ok(json!({ "error": text }));
    }
    let object = serde_json::from_str(&text).ok().filter(Value::is_object);
    Ok(object.unwrap_or_else(|| json!({ "result": text })))
}

fn mime_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?.to_ascii_lowercase();
    let known = MIME_TYPES.iter().find(|(ending, _)| path.ends_with(ending));
    known.map(|(_, mime_type)| *mime_type)
}
