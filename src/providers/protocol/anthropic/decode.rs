//! The body of a message as an answer, or as the way in which it failed.
//!
//! In: status and body. Out: [`ChatResponse`] or [`CallFailure`] with the usage that is paid anyway.
//! Invariant: an unknown reason to stop is malformed, not an end; blocks of kinds that were not
//! asked for (server tools) are passed over. Not here: validation against a JSON schema.

use serde::Deserialize;
use serde_json::Value;

use super::super::{Answered, Asking, whole};
use super::classify::classify;
use super::pieces::{Pieces, Stop};
use crate::domain::{ChatResponse, Delta, FailureClass, Usage};
use crate::providers::call::CallFailure;

/// Reads what came back.
///
/// # Errors
/// [`CallFailure`] with the class of `failure.md`'s table.
pub(in super::super) fn decode(
    answered: &Answered<'_>,
    asking: &Asking<'_>,
) -> Result<ChatResponse, CallFailure> {
    let body: Body = whole::body(answered, asking, classify)?;
    if !body.error.is_null() {
        return Err(classify(answered, asking.quirks));
    }
    let mut told = Told::default();
    told.update(&body.usage.unwrap_or_default());
    let usage = told.usage();
    let read = || {
        let (mut pieces, mut out) = (Pieces::new(asking), Vec::new());
        for (at, block) in (0..).zip(body.content.unwrap_or_default()) {
            begin(&mut pieces, at, block, &mut out)?;
            pieces.close(at, &mut out);
        }
        let end = pieces.end(stop(body.stop_reason.as_deref()), usage, &mut out)?;
        Ok(whole::assembled(&out, end))
    };
    read().map_err(|class| answered.failed(class, usage))
}

/// A block begins; in an answer in one piece that is all of it.
pub(super) fn begin(
    pieces: &mut Pieces,
    at: u64,
    block: BlockBody,
    out: &mut Vec<Delta>,
) -> Result<(), FailureClass> {
    match block {
        BlockBody::Text { text } => pieces.text(&text, out),
        BlockBody::Thinking { thinking, signature } => {
            pieces.thought(at, &thinking, out)?;
            pieces.signature(at, &signature.unwrap_or_default())
        }
        BlockBody::RedactedThinking { data } => {
            pieces.secret(data, out);
            Ok(())
        }
        BlockBody::ToolUse { id, name, input } => {
            let given = match input {
                Value::Null => None,
                // A stream begins every call with this; the arguments follow.
                Value::Object(fields) if fields.is_empty() => Some("{}".to_owned()),
                other => Some(other.to_string()),
            };
            pieces.call(at, (id, name), given, out)
        }
        BlockBody::Other => Ok(()),
    }
}

/// Reads the reason to stop.
pub(super) fn stop(reason: Option<&str>) -> Stop {
    match reason {
        Some("end_turn" | "stop_sequence" | "tool_use") => Stop::Done,
        Some("max_tokens" | "model_context_window_exceeded") => Stop::Limit,
        Some("refusal") => Stop::Refused,
        Some("pause_turn") => Stop::Paused,
        Some(_) | None => Stop::Broken,
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    error: Value,
    content: Option<Vec<BlockBody>>,
    stop_reason: Option<String>,
    usage: Option<UsageBody>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum BlockBody {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
        signature: Option<String>,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        #[serde(default)]
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

/// Tokens as the API counts them; in streams later counts replace earlier ones.
#[derive(Default, Deserialize)]
pub(super) struct UsageBody {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

/// The counts so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    fresh: u64,
    read: u64,
    written: u64,
    output: u64,
    thinking: u64,
}

impl Told {
    /// Takes what is said, keeps the rest.
    pub(super) fn update(&mut self, body: &UsageBody) {
        let thinking = body.output_tokens_details.as_ref().and_then(|it| it.thinking_tokens);
        let told = [
            (&mut self.fresh, body.input_tokens),
            (&mut self.read, body.cache_read_input_tokens),
            (&mut self.written, body.cache_creation_input_tokens),
            (&mut self.output, body.output_tokens),
            (&mut self.thinking, thinking),
        ];
        for (count, said) in told {
            *count = said.unwrap_or(*count);
        }
    }

    /// As we count: the API counts cached tokens apart from the other input.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.fresh.saturating_add(self.read).saturating_add(self.written),
            cached_tokens: self.read,
            cache_written_tokens: self.written,
            output_tokens: self.output,
            reasoning_tokens: self.thinking,
        }
    }
}
