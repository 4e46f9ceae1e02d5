//! Gemini's answers, in one piece or in many: each piece is a `GenerateContentResponse`.
//!
//! In: status and body, or frames. Out: [`ChatResponse`], [`Delta`]s, or a failure with the usage
//! that is paid anyway. Invariant: only an answer with a finish reason that is an end passes. There
//! is no end mark beside it: a stream ends with its connection. Not here: errors (see
//! [`super::classify`]) and the fields' names (see [`super::wire`]).

use serde_json::Value;

use super::super::call_ids::CallIds;
use super::super::{ANSWER_TOOL, Answered, Asking, Decode, Progress, whole};
use super::answers_by_tool;
use super::classify::{class_in_stream, classify};
use super::wire::{Body, Candidate, FunctionCall, PartBody};
use crate::domain::{
    ChatResponse, Delta, FailureClass, FinishReason, ProviderName, Seal, StreamEnd, Usage,
};
use crate::providers::call::CallFailure;
use crate::providers::framing::Frame;
use crate::providers::quirks::Quirks;

/// Reads what came back.
///
/// # Errors
/// [`CallFailure`] with the class of `failure.md`'s table.
pub(in super::super) fn decode(
    answered: &Answered<'_>,
    asking: &Asking<'_>,
) -> Result<ChatResponse, CallFailure> {
    // A stream that was not asked for as server-sent events comes as a list of its pieces.
    let pieces = match whole::body(answered, asking, classify)? {
        Value::Array(pieces) => pieces,
        piece => vec![piece],
    };
    if pieces.iter().any(|it| it.get("error").is_some_and(|it| !it.is_null())) {
        return Err(classify(answered, asking.quirks));
    }
    whole::as_stream(Decoder::new(asking), answered, |decoder, deltas| {
        pieces.into_iter().try_for_each(|it| decoder.piece(it, deltas))
    })
}

/// Reads one answer.
pub(in super::super) struct Decoder {
    provider: ProviderName,
    quirks: Quirks,
    by_tool: bool,
    ids: CallIds,
    calls: usize,
    /// Words of a thought were passed on and it has not ended.
    thinking: bool,
    /// There was text that is more than white space.
    has_text: bool,
    blocked: bool,
    finish: Option<String>,
    usage: Usage,
}

impl Decoder {
    /// Begins an answer.
    pub(in super::super) fn new(asking: &Asking<'_>) -> Self {
        Self {
            provider: asking.deployment.provider.clone(),
            quirks: asking.quirks.clone(),
            by_tool: answers_by_tool(asking),
            ids: CallIds::after(asking.request),
            calls: 0,
            thinking: false,
            has_text: false,
            blocked: false,
            finish: None,
            usage: Usage::default(),
        }
    }

    fn piece(&mut self, piece: Value, out: &mut Vec<Delta>) -> Result<(), FailureClass> {
        let body: Body = serde_json::from_value(piece).map_err(|_| FailureClass::Malformed)?;
        if let Some(told) = body.usage_metadata {
            self.usage = larger(self.usage, told.into());
        }
        let reason = body.prompt_feedback.and_then(|it| it.block_reason);
        self.blocked |= reason.is_some_and(|it| it != "BLOCKED_REASON_UNSPECIFIED");
        match body.candidates.unwrap_or_default().into_iter().next() {
            Some(candidate) => self.candidate(candidate, out),
            None => Ok(()),
        }
    }

    fn candidate(
        &mut self,
        candidate: Candidate,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        let parts = candidate.content.and_then(|it| it.parts).unwrap_or_default();
        parts.into_iter().try_for_each(|it| self.part(it, out))?;
        let logprobs = candidate.logprobs_result.and_then(|it| it.into_openai());
        out.extend(logprobs.map(Delta::Logprobs));
        let finish = candidate.finish_reason.filter(|it| it != "FINISH_REASON_UNSPECIFIED");
        self.finish = finish.or_else(|| self.finish.take());
        Ok(())
    }

    fn part(&mut self, part: PartBody, out: &mut Vec<Delta>) -> Result<(), FailureClass> {
        let PartBody { text, thought, thought_signature, function_call } = part;
        let value = thought_signature.filter(|it| !it.is_empty());
        let seal = value.map(|it| Seal { provider: self.provider.clone(), value: it.into() });
        let text = text.filter(|it| !it.is_empty());
        if let Some(call) = function_call {
            self.end_thought(out);
            return self.call(call, seal, out);
        }
        if thought == Some(true) {
            self.thinking |= text.is_some();
            out.extend(text.map(|it| Delta::Reasoning(it.into())));
            if seal.is_some() {
                self.thinking = false;
                out.push(Delta::ReasoningEnd(seal));
            }
            return Ok(());
        }
        if text.is_some() || seal.is_some() {
            self.end_thought(out);
        }
        // A text's own seal is kept as a thought without words, for the next turn.
        out.extend(seal.map(|it| Delta::ReasoningEnd(Some(it))));
        // Beside a call that is the answer, text is no part of it.
        if let Some(text) = text.filter(|_| !self.by_tool) {
            self.has_text |= !text.trim().is_empty();
            out.push(Delta::Text(text.into()));
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: FunctionCall,
        seal: Option<Seal>,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        let name = call.name.filter(|it| !it.is_empty()).ok_or(FailureClass::Malformed)?;
        let arguments = match call.args {
            Value::Null => "{}".to_owned(),
            Value::Object(_) => call.args.to_string(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(FailureClass::Malformed);
            }
        };
        if self.by_tool && name == ANSWER_TOOL {
            out.extend(seal.map(|it| Delta::ReasoningEnd(Some(it))));
            self.has_text = true;
            out.push(Delta::Text(arguments.into()));
            return Ok(());
        }
        let (index, id) = (self.calls, self.ids.name(call.id));
        self.calls = self.calls.saturating_add(1);
        out.push(Delta::ToolCall { index, id, name, seal });
        out.push(Delta::Arguments { index, fragment: arguments.into() });
        Ok(())
    }

    fn end_thought(&mut self, out: &mut Vec<Delta>) {
        if std::mem::take(&mut self.thinking) {
            out.push(Delta::ReasoningEnd(None));
        }
    }

    /// Reads the finish reason (the list of 2026). A reason that is not known is no end.
    fn end(&self, reason: &str) -> Result<FinishReason, FailureClass> {
        let has_calls = self.calls > 0;
        let is_empty = !self.has_text && !has_calls;
        match reason {
            "STOP" | "OTHER" if is_empty => Err(FailureClass::EmptyAnswer),
            // Google always says STOP; servers that copy it name the call (2026).
            "STOP" | "FUNCTION_CALL" if has_calls => Ok(FinishReason::ToolCalls),
            "STOP" => Ok(FinishReason::Stop),
            "MAX_TOKENS" => Ok(FinishReason::Length),
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "MODEL_ARMOR"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => Err(FailureClass::ContentFiltered),
            // The conversation came from elsewhere and lacks what this model wants to see.
            "MISSING_THOUGHT_SIGNATURE" => Err(FailureClass::Unsupported),
            // MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, TOO_MANY_TOOL_CALLS, and the like.
            _ => Err(FailureClass::Malformed),
        }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Delta>) -> Result<Progress, FailureClass> {
        if frame.data.trim_ascii().is_empty() {
            return Ok(Progress::More);
        }
        let piece: Value =
            serde_json::from_slice(&frame.data).map_err(|_| FailureClass::Malformed)?;
        if let Some(class) = class_in_stream(&piece, &self.quirks) {
            return Err(class);
        }
        self.piece(piece, out)?;
        Ok(Progress::More)
    }

    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<StreamEnd, FailureClass> {
        self.end_thought(out);
        if self.blocked {
            return Err(FailureClass::ContentFiltered);
        }
        let reason = self.finish.as_deref().ok_or(FailureClass::StreamCut)?;
        Ok(StreamEnd { finish: self.end(reason)?, usage: self.usage })
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

/// Counts of a stream grow from piece to piece; a piece may leave some out.
fn larger(one: Usage, other: Usage) -> Usage {
    Usage {
        input_tokens: one.input_tokens.max(other.input_tokens),
        cached_tokens: one.cached_tokens.max(other.cached_tokens),
        cache_written_tokens: one.cache_written_tokens.max(other.cache_written_tokens),
        output_tokens: one.output_tokens.max(other.output_tokens),
        reasoning_tokens: one.reasoning_tokens.max(other.reasoning_tokens),
    }
}
