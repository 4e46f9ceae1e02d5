//! A conversation as turns of Converse's content blocks.
//!
//! In: our messages. Out: `system` and `messages`. Invariant: as in Anthropic's turns; no block is
//! blank. Not here: cache points (see [`super::encode`]).

use serde_json::{Value, json};

use super::super::anthropic::{
    ASSISTANT, Turns, USER, arguments, image_format, note_detail, own_thought, tool_id, trim_last,
};
use super::super::{Asking, Dropped, Unsupported};
use crate::domain::{Image, ImageSource, Message, Part, ProviderName, Reasoning, ToolCall};
use crate::providers::quirks::Parameter;

/// What a tool gave back that gave back nothing: Converse wants content, and none that is blank.
const NO_OUTPUT: &str = "(no output)";

/// The system blocks and the turns.
pub(super) fn conversation(
    asking: &Asking<'_>,
    dropped: &mut Dropped,
) -> Result<(Vec<Value>, Vec<Value>), Unsupported> {
    let (mut system, mut turns) = (Vec::new(), Turns::default());
    for message in &asking.request.messages {
        match message {
            Message::System(text) => system.extend(text_block(text.as_str())),
            Message::User(parts) => turns.push(USER, content(parts, dropped)?),
            Message::Assistant { reasoning, text, tool_calls } => {
                let provider = &asking.deployment.provider;
                let mut blocks = thoughts(reasoning, provider, dropped);
                blocks.extend(text.iter().filter_map(|it| text_block(it.as_str())));
                blocks.extend(tool_calls.iter().map(tool_use));
                turns.push(ASSISTANT, blocks);
            }
            Message::ToolResult { tool_call_id, parts, failed } => {
                let mut content = content(parts, dropped)?;
                if content.is_empty() {
                    content.push(json!({ "text": NO_OUTPUT }));
                }
                let mut result = json!({ "toolUseId": tool_id(tool_call_id), "content": content });
                if *failed {
                    result["status"] = "error".into();
                }
                turns.push(USER, vec![json!({ "toolResult": result })]);
            }
        }
    }
    let mut turns = turns.finish(|it| it.get("toolResult").is_some());
    trim_last(&mut turns);
    if turns.first().is_some_and(|(role, _)| *role == ASSISTANT) {
        return Err(Unsupported("a conversation that an answer begins"));
    }
    let messages =
        turns.into_iter().map(|(role, content)| json!({ "role": role, "content": content }));
    Ok((system, messages.collect()))
}

fn text_block(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({ "text": text }))
}

fn content(parts: &[Part], dropped: &mut Dropped) -> Result<Vec<Value>, Unsupported> {
    let mut blocks = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => blocks.extend(text_block(text.as_str())),
            Part::Image(it) => blocks.push(image(it, dropped)?),
        }
    }
    Ok(blocks)
}

fn image(image: &Image, dropped: &mut Dropped) -> Result<Value, Unsupported> {
    note_detail(image, dropped);
    match &image.source {
        ImageSource::Url(_) => Err(Unsupported("an image by URL")),
        ImageSource::Base64 { media_type, data } => {
            let format = image_format(media_type)?;
            Ok(json!({ "image": { "format": format, "source": { "bytes": data } } }))
        }
    }
}

fn thoughts(reasoning: &[Reasoning], provider: &ProviderName, dropped: &mut Dropped) -> Vec<Value> {
    let blocks = reasoning.iter().filter_map(|it| {
        let Some((words, seal)) = own_thought(it, provider) else {
            dropped.parameter(Parameter::PastReasoning);
            return None;
        };
        let inner = match words {
            Some(words) => json!({ "reasoningText": { "text": words, "signature": seal } }),
            None => json!({ "redactedContent": seal }),
        };
        Some(json!({ "reasoningContent": inner }))
    });
    blocks.collect()
}

fn tool_use(call: &ToolCall) -> Value {
    let (id, input) = (tool_id(&call.id), arguments(call));
    json!({ "toolUse": { "toolUseId": id, "name": call.name, "input": input } })
}
