//! The body of a Converse answer as an answer, or as the way in which it failed.
//!
//! In: status and body. Out: [`ChatResponse`] or [`CallFailure`] with the usage that is paid anyway.
//! Invariant: an unknown reason to stop is malformed; blocks of other kinds are passed over.

use serde::Deserialize;
use serde_json::Value;

use super::super::anthropic::{Pieces, Stop};
use super::super::{Answered, Asking, whole};
use super::classify::classify;
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
    // An exception, by whatever stands in front of the service.
    if body.output.is_none() && body.message.is_some() {
        return Err(classify(answered, asking.quirks));
    }
    let usage = body.usage.map(Usage::from).unwrap_or_default();
    let content = body.output.and_then(|it| it.message).map(|it| it.content).unwrap_or_default();
    let read = || {
        let (mut pieces, mut out) = (Pieces::new(asking), Vec::new());
        for (at, block) in (0..).zip(content) {
            read_block(&mut pieces, at, block, &mut out)?;
            pieces.close(at, &mut out);
        }
        let end = pieces.end(stop(body.stop_reason.as_deref()), usage, &mut out)?;
        Ok(whole::assembled(&out, end))
    };
    read().map_err(|class| answered.failed(class, usage))
}

fn read_block(
    pieces: &mut Pieces,
    at: u64,
    block: BlockBody,
    out: &mut Vec<Delta>,
) -> Result<(), FailureClass> {
    if let Some(text) = block.text {
        pieces.text(&text, out)?;
    }
    if let Some(call) = block.tool_use {
        let input = call.input.to_string();
        pieces.call(at, (call.tool_use_id, call.name), Some(input), out)?;
    }
    match block.reasoning_content {
        Some(ReasoningBody { reasoning_text: Some(thought), .. }) => {
            pieces.thought(at, &thought.text, out)?;
            pieces.signature(at, &thought.signature.unwrap_or_default())?;
        }
        Some(ReasoningBody { redacted_content: Some(data), .. }) => pieces.secret(data, out),
        Some(_) | None => {}
    }
    Ok(())
}

/// Reads the reason to stop.
pub(super) fn stop(reason: Option<&str>) -> Stop {
    match reason {
        Some("end_turn" | "stop_sequence" | "tool_use") => Stop::Done,
        Some("max_tokens" | "model_context_window_exceeded") => Stop::Limit,
        Some("guardrail_intervened" | "content_filtered" | "refusal") => Stop::Refused,
        Some("pause_turn") => Stop::Paused,
        // `malformed_model_output` and `malformed_tool_use` are among them.
        Some(_) | None => Stop::Broken,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    output: Option<OutputBody>,
    stop_reason: Option<String>,
    usage: Option<UsageBody>,
    /// What an exception has.
    message: Option<Value>,
}

#[derive(Deserialize)]
struct OutputBody {
    message: Option<MessageBody>,
}

#[derive(Deserialize)]
struct MessageBody {
    #[serde(default)]
    content: Vec<BlockBody>,
}

/// A union: one of these, or another that was not asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockBody {
    text: Option<String>,
    tool_use: Option<CallBody>,
    reasoning_content: Option<ReasoningBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallBody {
    tool_use_id: String,
    name: String,
    #[serde(default)]
    input: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningBody {
    reasoning_text: Option<ThoughtBody>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ThoughtBody {
    #[serde(default)]
    text: String,
    signature: Option<String>,
}

/// Tokens as Converse counts them: cached ones apart from the other input, thinking not at all.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageBody {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

impl From<UsageBody> for Usage {
    fn from(body: UsageBody) -> Self {
        let read = body.cache_read_input_tokens.unwrap_or(0);
        let written = body.cache_write_input_tokens.unwrap_or(0);
        let fresh = body.input_tokens.unwrap_or(0);
        Self {
            input_tokens: fresh.saturating_add(read).saturating_add(written),
            cached_tokens: read,
            cache_written_tokens: written,
            output_tokens: body.output_tokens.unwrap_or(0),
            reasoning_tokens: 0,
        }
    }
}
