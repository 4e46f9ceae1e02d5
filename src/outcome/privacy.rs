//! How much of a prompt is kept.
//!
//! In: a request and the operator's [`PromptPrivacy`]. Out: [`RecordedPrompt`]. Invariant: text
//! stands in `Full` only, behind a `Debug` that tells its size; a picture's bytes stand nowhere,
//! only their hash. Not here: answers, which are never kept.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::{ChatRequest, Image, ImageSource, Message, Part, Text, ToolCall, sha256_hex};

/// How much of a prompt the operator lets us keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptPrivacy {
    /// Nothing.
    None,
    /// A hash: enough to see that two prompts were the same, and the default.
    #[default]
    Hash,
    /// The messages as JSON, pictures as hashes.
    Full,
}

/// What is kept of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedPrompt {
    /// Nothing.
    None,
    /// SHA-256 of the text that `Full` would hold, in hex.
    Hash(String),
    /// The messages, a JSON list.
    Full(Text),
}

impl RecordedPrompt {
    /// What may be kept of this request's messages. Reads every byte of it (a millisecond per
    /// megabyte or so), so call it while nobody waits.
    pub fn of(request: &ChatRequest, privacy: PromptPrivacy) -> Self {
        match privacy {
            PromptPrivacy::None => Self::None,
            PromptPrivacy::Hash => Self::Hash(sha256_hex(canonical(request).as_bytes())),
            PromptPrivacy::Full => Self::Full(canonical(request).into()),
        }
    }
}

/// The messages as JSON. Keys stand in alphabetical order, so that the text, and with it the hash,
/// is the same whether or not `serde_json` was built to keep their order.
fn canonical(request: &ChatRequest) -> String {
    request.messages.iter().map(message).collect::<Value>().to_string()
}

fn message(message: &Message) -> Value {
    match message {
        Message::System(text) => json!({ "role": "system", "text": text.as_str() }),
        Message::User(parts) => {
            let parts: Value = parts.iter().map(part).collect();
            json!({ "parts": parts, "role": "user" })
        }
        Message::Assistant { reasoning, text, tool_calls } => {
            let calls: Value = tool_calls.iter().map(tool_call).collect();
            let text = text.as_ref().map(Text::as_str);
            let thoughts = reasoning.iter().filter_map(|it| Some(it.text.as_ref()?.as_str()));
            let thoughts: Value = thoughts.collect();
            json!({ "reasoning": thoughts, "role": "assistant", "text": text, "tool_calls": calls })
        }
        Message::ToolResult { tool_call_id, parts, failed } => {
            let parts: Value = parts.iter().map(part).collect();
            json!({ "failed": failed, "parts": parts, "role": "tool", "tool_call_id": tool_call_id })
        }
    }
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "text": text.as_str() }),
        Part::Image(Image { source: ImageSource::Url(url), .. }) => {
            json!({ "image_url": url.as_str() })
        }
        Part::Image(Image { source: ImageSource::Base64 { media_type, data }, .. }) => {
            let sha256 = sha256_hex(data.as_str().as_bytes());
            json!({ "image_sha256": sha256, "media_type": media_type })
        }
    }
}

fn tool_call(call: &ToolCall) -> Value {
    json!({ "arguments": call.arguments.as_str(), "id": call.id, "name": call.name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(image: &str) -> ChatRequest {
        let data = Text::from(image);
        let source = ImageSource::Base64 { media_type: "image/png".into(), data };
        let mut request = ChatRequest::from_prompt("the secret word");
        request.messages.push(Message::User(vec![Part::Image(Image::new(source))]));
        request.messages.push(Message::Assistant {
            reasoning: vec![],
            text: None,
            tool_calls: vec![ToolCall {
                id: "1".into(),
                name: "f".into(),
                arguments: "{}".into(),
                seal: None,
            }],
        });
        request
    }

    #[test]
    fn text_is_kept_only_when_full() {
        let check = |privacy, holds_text: bool| {
            let kept = RecordedPrompt::of(&request("AAAA"), privacy);
            let json = serde_json::to_string(&kept).unwrap();
            assert_eq!(json.contains("secret"), holds_text, "{privacy:?}");
            assert!(!json.contains("AAAA"), "{privacy:?}");
            assert!(!format!("{kept:?}").contains("secret"), "{privacy:?}");
            assert_eq!(serde_json::from_str::<RecordedPrompt>(&json).unwrap(), kept);
        };
        check(PromptPrivacy::None, false);
        check(PromptPrivacy::Hash, false);
        check(PromptPrivacy::Full, true);
        assert_eq!(PromptPrivacy::default(), PromptPrivacy::Hash);
    }

    #[test]
    fn the_hash_is_of_the_whole_prompt_and_stable() {
        let hash = |image| RecordedPrompt::of(&request(image), PromptPrivacy::Hash);
        assert_eq!(hash("AAAA"), hash("AAAA"));
        assert_ne!(hash("AAAA"), hash("BBBB"));
        let hello = RecordedPrompt::of(&ChatRequest::from_prompt("hello"), PromptPrivacy::Full);
        let wanted = r#"[{"parts":[{"text":"hello"}],"role":"user"}]"#;
        assert_eq!(hello, RecordedPrompt::Full(wanted.into()));
        assert_eq!(sha256_hex(b""), EMPTY_SHA256);
    }

    /// FIPS 180-4's test vector for the empty message.
    const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
}
