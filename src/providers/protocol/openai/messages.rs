//! The turns of a conversation in OpenAI's words.
//!
//! In: [`Asking`]. Out: the `messages` array. Invariant: a seal is in it only where this provider
//! made it. Not here: tools and the answer's shape (see [`super::shape`]).

use serde_json::{Value, json};

use super::super::{Asking, Dropped, Unsupported};
use super::thinking;
use crate::domain::{
    Image, ImageDetail, ImageSource, Message, Part, ProviderName, Reasoning, Seal, Text, ToolCall,
};
use crate::providers::quirks::{Parameter, Quirks};

/// Every turn, oldest first.
///
/// # Errors
/// [`Unsupported`] for a picture that this provider cannot be given.
pub(super) fn encode(asking: &Asking<'_>, dropped: &mut Dropped) -> Result<Value, Unsupported> {
    let Asking { request, deployment, quirks, .. } = *asking;
    let mut writer = Writer { provider: &deployment.provider, quirks, dropped };
    request.messages.iter().map(|it| writer.message(it)).collect()
}

struct Writer<'a> {
    provider: &'a ProviderName,
    quirks: &'a Quirks,
    dropped: &'a mut Dropped,
}

impl Writer<'_> {
    fn message(&mut self, message: &Message) -> Result<Value, Unsupported> {
        Ok(match message {
            Message::System(text) => json!({ "role": "system", "content": text }),
            Message::User(parts) => json!({ "role": "user", "content": self.content(parts)? }),
            Message::Assistant { reasoning, text, tool_calls } => {
                self.assistant(reasoning, text.as_ref(), tool_calls)
            }
            // There is no field for a failure: the text says it.
            Message::ToolResult { tool_call_id, parts, failed: _ } => {
                if message.has_image() {
                    return Err(Unsupported("an image in a tool's result"));
                }
                let content = self.content(parts)?;
                json!({ "role": "tool", "tool_call_id": tool_call_id, "content": content })
            }
        })
    }

    /// A plain string where it can be one: not every compatible server takes a list of parts.
    fn content(&mut self, parts: &[Part]) -> Result<Value, Unsupported> {
        match parts {
            [] => Ok("".into()),
            [Part::Text(text)] => Ok(text.as_str().into()),
            _ => parts.iter().map(|it| self.part(it)).collect(),
        }
    }

    fn part(&mut self, part: &Part) -> Result<Value, Unsupported> {
        let Image { source, detail } = match part {
            Part::Text(text) => return Ok(json!({ "type": "text", "text": text })),
            Part::Image(image) => image,
        };
        let url = match source {
            ImageSource::Url(_) if self.quirks.image_urls == Some(false) => {
                return Err(Unsupported("an image by URL"));
            }
            ImageSource::Url(url) => url.as_str().to_owned(),
            ImageSource::Base64 { media_type, data } => {
                format!("data:{media_type};base64,{}", data.as_str())
            }
        };
        let mut image = json!({ "url": url });
        if let Some(detail) = self.dropped.keep(Parameter::ImageDetail, *detail, self.quirks) {
            image["detail"] = detail_name(detail).into();
        }
        Ok(json!({ "type": "image_url", "image_url": image }))
    }

    fn assistant(
        &mut self,
        reasoning: &[Reasoning],
        text: Option<&Text>,
        tool_calls: &[ToolCall],
    ) -> Value {
        // A turn that says nothing at all is still text; null stands only beside tool calls.
        let empty = || if tool_calls.is_empty() { Value::from("") } else { Value::Null };
        let content = text.map_or_else(empty, |it| it.as_str().into());
        let mut message = json!({ "role": "assistant", "content": content });
        if !tool_calls.is_empty() {
            message["tool_calls"] = tool_calls.iter().map(|it| self.tool_call(it)).collect();
        }
        if self.quirks.past_reasoning == Some(true) {
            self.spoken(reasoning, &mut message);
        } else {
            self.sealed(reasoning, &mut message);
        }
        message
    }

    /// Past thinking in words, for those who want their own back that way.
    fn spoken(&mut self, reasoning: &[Reasoning], message: &mut Value) {
        if reasoning.iter().any(|it| it.text.is_none()) {
            self.dropped.parameter(Parameter::PastReasoning);
        }
        let words: Vec<_> =
            reasoning.iter().filter_map(|it| Some(it.text.as_ref()?.as_str())).collect();
        if !words.is_empty() {
            message["reasoning_content"] = words.join("\n").into();
        }
    }

    /// Past thinking that its maker knows again, in OpenRouter's words.
    fn sealed(&mut self, reasoning: &[Reasoning], message: &mut Value) {
        let details: Vec<Value> =
            reasoning.iter().filter_map(|it| thinking::sent_back(it, self.provider)).collect();
        if details.len() < reasoning.len() {
            self.dropped.parameter(Parameter::PastReasoning);
        }
        if !details.is_empty() {
            message["reasoning_details"] = details.into();
        }
    }

    fn tool_call(&mut self, call: &ToolCall) -> Value {
        let function = json!({ "name": call.name, "arguments": call.arguments });
        let mut value = json!({ "id": call.id, "type": "function", "function": function });
        match call.seal.as_ref().map(|it: &Seal| it.for_provider(self.provider)) {
            Some(Some(signature)) => {
                value["extra_content"] = json!({ "google": { "thought_signature": signature } });
            }
            Some(None) => self.dropped.parameter(Parameter::PastReasoning),
            None => {}
        }
        value
    }
}

fn detail_name(detail: ImageDetail) -> &'static str {
    match detail {
        ImageDetail::Auto => "auto",
        ImageDetail::Low => "low",
        ImageDetail::High => "high",
    }
}
