//! Ollama's answers, in one piece or in many: each is a JSON object, the last says `done`.
//!
//! In: status and body, or frames. Out: [`ChatResponse`], [`Delta`]s, or a failure with the usage
//! that is paid anyway. Invariant: only an answer that is done, or cut at the caller's own limit,
//! passes. Not here: what errors mean (see [`super::classify`]).

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::call_ids::CallIds;
use super::super::{Answered, Asking, Decode, Progress, whole};
use super::classify::{class_in_stream, classify};
use crate::domain::{ChatResponse, Delta, FailureClass, FinishReason, StreamEnd, Usage};
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
    if !(200..300).contains(&answered.status) {
        return Err(classify(answered, asking.quirks));
    }
    whole::as_stream(Decoder::new(asking), answered, |decoder, deltas| {
        decoder.line(answered.body, deltas).map(|_| ())
    })
}

/// Reads one answer.
pub(in super::super) struct Decoder {
    quirks: Quirks,
    ids: CallIds,
    calls: usize,
    /// Words of a thought were passed on and it has not ended.
    thinking: bool,
    /// There was text that is more than white space.
    has_text: bool,
    /// What the last line said, once there was one.
    done: Option<Option<String>>,
    usage: Usage,
}

impl Decoder {
    /// Begins an answer.
    pub(in super::super) fn new(asking: &Asking<'_>) -> Self {
        Self {
            quirks: asking.quirks.clone(),
            ids: CallIds::after(asking.request),
            calls: 0,
            thinking: false,
            has_text: false,
            done: None,
            usage: Usage::default(),
        }
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<Delta>) -> Result<Progress, FailureClass> {
        let line: Line = serde_json::from_slice(line).map_err(|_| FailureClass::Malformed)?;
        if !line.error.is_null() {
            return Err(class_in_stream(&line.error, &self.quirks));
        }
        // The server leaves out counts that are 0, as that of a prompt which is in its cache.
        let counted = |told: Option<u64>, before| told.unwrap_or(before);
        self.usage.input_tokens = counted(line.prompt_eval_count, self.usage.input_tokens);
        self.usage.output_tokens = counted(line.eval_count, self.usage.output_tokens);
        self.message(line.message.unwrap_or_default(), out)?;
        let tokens = line.logprobs.unwrap_or_default();
        if !tokens.is_empty() {
            let content: Vec<_> = tokens.into_iter().map(logprob).collect();
            out.push(Delta::Logprobs(json!({ "content": content }).into()));
        }
        if line.done != Some(true) {
            return Ok(Progress::More);
        }
        self.done = Some(line.done_reason);
        Ok(Progress::Ended)
    }

    fn message(&mut self, message: MessageBody, out: &mut Vec<Delta>) -> Result<(), FailureClass> {
        if let Some(thinking) = message.thinking.filter(|it| !it.is_empty()) {
            self.thinking = true;
            out.push(Delta::Reasoning(thinking.into()));
        }
        if let Some(text) = message.content.filter(|it| !it.is_empty()) {
            self.end_thought(out);
            self.has_text |= !text.trim().is_empty();
            out.push(Delta::Text(text.into()));
        }
        for CallBody { id, function } in message.tool_calls.unwrap_or_default() {
            self.end_thought(out);
            let arguments = match function.arguments {
                Value::Null => "{}".to_owned(),
                Value::Object(_) => function.arguments.to_string(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    return Err(FailureClass::Malformed);
                }
            };
            let name = function.name.filter(|it| !it.is_empty());
            let name = name.ok_or(FailureClass::Malformed)?;
            let (index, id) = (self.calls, self.ids.name(id));
            self.calls = self.calls.saturating_add(1);
            out.push(Delta::ToolCall { index, id, name, seal: None });
            out.push(Delta::Arguments { index, fragment: arguments.into() });
        }
        Ok(())
    }

    fn end_thought(&mut self, out: &mut Vec<Delta>) {
        if std::mem::take(&mut self.thinking) {
            out.push(Delta::ReasoningEnd(None));
        }
    }

    /// Servers before 0.3 (2024) give no reason; `load` and `unload` say that nothing was asked.
    fn end(&self, reason: Option<&str>) -> Result<FinishReason, FailureClass> {
        let is_empty = !self.has_text && self.calls == 0;
        match reason {
            Some("length") => Ok(FinishReason::Length),
            Some("stop" | "load" | "unload") | None if is_empty => Err(FailureClass::EmptyAnswer),
            Some("stop") | None if self.calls > 0 => Ok(FinishReason::ToolCalls),
            Some("stop") | None => Ok(FinishReason::Stop),
            Some(_) => Err(FailureClass::Malformed),
        }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Delta>) -> Result<Progress, FailureClass> {
        if frame.data.trim_ascii().is_empty() {
            return Ok(Progress::More);
        }
        self.line(&frame.data, out)
    }

    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<StreamEnd, FailureClass> {
        self.end_thought(out);
        let reason = self.done.as_ref().ok_or(FailureClass::StreamCut)?;
        Ok(StreamEnd { finish: self.end(reason.as_deref())?, usage: self.usage })
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

/// In OpenAI's shape, which this one nearly is.
fn logprob(token: LogprobBody) -> Value {
    let top = token.top_logprobs.unwrap_or_default();
    let one = |token: &str, logprob, bytes: &Option<Vec<u8>>| json!({ "token": token, "logprob": logprob, "bytes": bytes });
    let mut told = one(&token.token, token.logprob, &token.bytes);
    told["top_logprobs"] = top.iter().map(|it| one(&it.token, it.logprob, &it.bytes)).collect();
    told
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    error: Value,
    message: Option<MessageBody>,
    logprobs: Option<Vec<LogprobBody>>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
}

#[derive(Deserialize, Default)]
struct MessageBody {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<CallBody>>,
}

#[derive(Deserialize)]
struct CallBody {
    id: Option<String>,
    function: FunctionBody,
}

#[derive(Deserialize)]
struct FunctionBody {
    name: Option<String>,
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct LogprobBody {
    #[serde(default)]
    token: String,
    logprob: Option<f64>,
    bytes: Option<Vec<u8>>,
    top_logprobs: Option<Vec<LogprobBody>>,
}
