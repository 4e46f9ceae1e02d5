//! A conversation as turns of content blocks that alternate between user and assistant.
//!
//! In: our messages. Out: Anthropic's `system` blocks and `messages`. Invariant: results of parallel
//! calls stand together, before anything else of their turn; no block is blank, which the API
//! refuses; a seal goes to its maker only. Not here: cache marks (see [`super::encode`]).

use serde_json::{Value, json};

use super::super::{Asking, Dropped, Unsupported};
use crate::domain::{
    Image, ImageDetail, ImageSource, Message, Part, ProviderName, Reasoning, ToolCall, sha256_hex,
};
use crate::providers::quirks::{Parameter, Quirks};

/// Longest id of a call that Bedrock takes; Anthropic takes more.
const ID_BYTES_MAX: usize = 64;
/// So much of a hash tells the calls of one conversation apart.
const ID_HASH_CHARS: usize = 32;
/// What stands before a signature of thinking whose words were left out: without words, a seal is
/// otherwise the ciphertext of a redacted block, and the API takes neither for the other. Both are
/// base64, which has no colon.
const WORDLESS: &str = "signature:";

/// Who speaks.
pub(in super::super) const USER: &str = "user";
/// Who answers.
pub(in super::super) const ASSISTANT: &str = "assistant";

/// Turns of alternating roles.
#[derive(Debug, Default)]
pub(in super::super) struct Turns(Vec<(&'static str, Vec<Value>)>);

impl Turns {
    /// Adds to the conversation: a turn of the same role goes on, a turn without blocks is none.
    pub(in super::super) fn push(&mut self, role: &'static str, blocks: Vec<Value>) {
        if blocks.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some((last, content)) if *last == role => content.extend(blocks),
            _ => self.0.push((role, blocks)),
        }
    }

    /// The turns, each with those blocks first that are results of tools.
    pub(in super::super) fn finish(
        self,
        is_result: fn(&Value) -> bool,
    ) -> Vec<(&'static str, Vec<Value>)> {
        let mut turns = self.0;
        turns.iter_mut().for_each(|(_, blocks)| blocks.sort_by_key(|it| !is_result(it)));
        turns
    }
}

/// The system blocks and the turns.
pub(super) fn conversation(
    asking: &Asking<'_>,
    dropped: &mut Dropped,
) -> Result<(Vec<Value>, Vec<Value>), Unsupported> {
    let (mut system, mut turns) = (Vec::new(), Turns::default());
    for message in &asking.request.messages {
        match message {
            Message::System(text) => system.extend(text_block(text.as_str())),
            Message::User(parts) => turns.push(USER, content(parts, asking.quirks, dropped)?),
            Message::Assistant { reasoning, text, tool_calls } => {
                let provider = &asking.deployment.provider;
                let mut blocks = thoughts(reasoning, provider, dropped);
                blocks.extend(text.iter().filter_map(|it| text_block(it.as_str())));
                blocks.extend(tool_calls.iter().map(tool_use));
                turns.push(ASSISTANT, blocks);
            }
            Message::ToolResult { tool_call_id, parts, failed } => {
                let content = content(parts, asking.quirks, dropped)?;
                let id = tool_id(tool_call_id);
                let mut block = json!({ "type": "tool_result", "tool_use_id": id });
                if !content.is_empty() {
                    block["content"] = content.into();
                }
                if *failed {
                    block["is_error"] = true.into();
                }
                turns.push(USER, vec![block]);
            }
        }
    }
    let mut turns = turns.finish(|it| it["type"] == "tool_result");
    trim_last(&mut turns);
    let messages =
        turns.into_iter().map(|(role, content)| json!({ "role": role, "content": content }));
    Ok((system, messages.collect()))
}

/// An answer that the model goes on with must not end in white space (a 400).
pub(in super::super) fn trim_last(turns: &mut [(&'static str, Vec<Value>)]) {
    if let Some((ASSISTANT, blocks)) = turns.last_mut()
        && let Some(text) = blocks.last_mut().and_then(|it| it.get_mut("text"))
        && let Some(trimmed) = text.as_str().map(|it| Value::from(it.trim_end()))
    {
        *text = trimmed;
    }
}

fn text_block(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }))
}

fn content(
    parts: &[Part],
    quirks: &Quirks,
    dropped: &mut Dropped,
) -> Result<Vec<Value>, Unsupported> {
    let mut blocks = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => blocks.extend(text_block(text.as_str())),
            Part::Image(it) => blocks.push(image(it, quirks, dropped)?),
        }
    }
    Ok(blocks)
}

fn image(image: &Image, quirks: &Quirks, dropped: &mut Dropped) -> Result<Value, Unsupported> {
    note_detail(image, dropped);
    let source = match &image.source {
        ImageSource::Url(_) if quirks.image_urls == Some(false) => {
            return Err(Unsupported("an image by URL"));
        }
        ImageSource::Url(url) => json!({ "type": "url", "url": url }),
        ImageSource::Base64 { media_type, data } => {
            let media_type = format!("image/{}", image_format(media_type)?);
            json!({ "type": "base64", "media_type": media_type, "data": data })
        }
    };
    Ok(json!({ "type": "image", "source": source }))
}

/// Notes that nobody is told how closely to look.
pub(in super::super) fn note_detail(image: &Image, dropped: &mut Dropped) {
    match image.detail {
        Some(ImageDetail::Low | ImageDetail::High) => dropped.parameter(Parameter::ImageDetail),
        Some(ImageDetail::Auto) | None => {}
    }
}

/// One of the four kinds of pictures that Claude reads, as the second half of its media type.
pub(in super::super) fn image_format(media_type: &str) -> Result<&'static str, Unsupported> {
    match media_type.to_ascii_lowercase().as_str() {
        "image/png" => Ok("png"),
        "image/jpeg" | "image/jpg" => Ok("jpeg"),
        "image/gif" => Ok("gif"),
        "image/webp" => Ok("webp"),
        _ => Err(Unsupported("an image of this type")),
    }
}

fn thoughts(reasoning: &[Reasoning], provider: &ProviderName, dropped: &mut Dropped) -> Vec<Value> {
    let blocks = reasoning.iter().filter_map(|it| {
        let Some((words, seal)) = own_thought(it, provider) else {
            dropped.parameter(Parameter::PastReasoning);
            return None;
        };
        Some(match words {
            Some(words) => json!({ "type": "thinking", "thinking": words, "signature": seal }),
            None => json!({ "type": "redacted_thinking", "data": seal }),
        })
    });
    blocks.collect()
}

/// A block's words and signature, or its ciphertext alone; `None` where its maker is another.
pub(in super::super) fn own_thought<'a>(
    reasoning: &'a Reasoning,
    provider: &ProviderName,
) -> Option<(Option<&'a str>, &'a str)> {
    let seal = reasoning.seal.as_ref()?.for_provider(provider)?.as_str();
    let words = reasoning.text.as_ref().map(crate::domain::Text::as_str);
    match seal.strip_prefix(WORDLESS) {
        Some(signature) => Some((Some(words.unwrap_or_default()), signature)),
        None => Some((words, seal)),
    }
}

/// A signature as the value of a seal, marked where the thinking came without words.
pub(in super::super) fn reasoning_seal(signature: String, has_words: bool) -> String {
    if has_words { signature } else { format!("{WORDLESS}{signature}") }
}

fn tool_use(call: &ToolCall) -> Value {
    let input = arguments(call);
    json!({ "type": "tool_use", "id": tool_id(&call.id), "name": call.name, "input": input })
}

/// The arguments, which must be an object; what another model wrote instead is kept inside one.
pub(in super::super) fn arguments(call: &ToolCall) -> Value {
    let text = call.arguments.as_str();
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        Ok(Value::Null) => json!({}),
        Ok(other) => json!({ "arguments": other }),
        Err(_) if text.trim().is_empty() => json!({}),
        Err(_) => json!({ "arguments": text }),
    }
}

/// The id of a call, or one made from it where other providers' ids would be refused: only letters,
/// digits, `_` and `-` are taken. Call and result get the same.
pub(in super::super) fn tool_id(id: &str) -> String {
    let plain = id.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    if plain && (1..=ID_BYTES_MAX).contains(&id.len()) {
        return id.to_owned();
    }
    let hash: String = sha256_hex(id.as_bytes()).chars().take(ID_HASH_CHARS).collect();
    format!("call_{hash}")
}
