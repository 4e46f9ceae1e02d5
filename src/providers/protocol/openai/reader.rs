//! An answer as it is said, whole or in chunks.
//!
//! In: [`Choice`]s. Out: [`Delta`]s and the reason why it ended. Invariant: only an answer that is
//! whole, or cut at the caller's own limit, passes: an unknown finish reason is malformed, not an
//! end. Not here: usage, errors instead of answers, validation against a JSON schema.

use serde_json::{Value, json};

use super::super::Asking;
use super::calls::Calls;
use super::thinking::{self, Thinking};
use super::wire::{self, Choice, Content, Logprobs, PartBody, Said};
use crate::domain::{Delta, FailureClass, FinishReason};

/// White space held back at most until something follows it; an answer has a few bytes of it.
const BLANK_BYTES_MAX: usize = 64 << 10;

/// Reads one answer.
pub(super) struct Reader {
    thinking: Thinking,
    calls: Calls,
    /// White space before the first word: alone it is no answer, and nobody should be shown it.
    blank: String,
    spoke: bool,
    refused: bool,
    finish: Option<FinishReason>,
}

impl Reader {
    pub(super) fn new(asking: &Asking<'_>) -> Self {
        Self {
            thinking: Thinking::new(asking.deployment.provider.clone()),
            calls: Calls::new(asking),
            blank: String::new(),
            spoke: false,
            refused: false,
            finish: None,
        }
    }

    /// Reads what was said.
    pub(super) fn take(
        &mut self,
        choice: Choice,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        // A server that streams nothing may still say all of it in one chunk.
        let whole = choice.message.filter(|_| !self.spoke);
        if let Some(said) = choice.delta.or(whole) {
            self.said(said, out)?;
        }
        out.extend(choice.logprobs.and_then(logprobs));
        // Some servers write "" until there is a reason.
        if let Some(reason) = choice.finish_reason.filter(|it| !it.is_empty()) {
            self.finish = Some(wire::finish(&reason)?);
        }
        Ok(())
    }

    /// Nothing more is said.
    ///
    /// # Errors
    /// [`FailureClass::StreamCut`] without a reason why, or the class of an answer that is none.
    pub(super) fn finish(&mut self, out: &mut Vec<Delta>) -> Result<FinishReason, FailureClass> {
        let finish = self.finish.ok_or(FailureClass::StreamCut)?;
        if self.refused || finish == FinishReason::ContentFilter {
            return Err(FailureClass::ContentFiltered);
        }
        if self.calls.any_nameless() {
            return Err(FailureClass::Malformed);
        }
        self.thinking.end(out);
        let called = self.calls.begun() > 0;
        match finish {
            FinishReason::Length => Ok(FinishReason::Length),
            // Some servers say "stop" where they ask for tools, or the other way round.
            _ if called => Ok(FinishReason::ToolCalls),
            _ if self.spoke || self.calls.answered() => Ok(FinishReason::Stop),
            FinishReason::Stop | FinishReason::ToolCalls | FinishReason::ContentFilter => {
                Err(FailureClass::EmptyAnswer)
            }
        }
    }

    fn said(&mut self, said: Said, out: &mut Vec<Delta>) -> Result<(), FailureClass> {
        self.thought(&said, out);
        match said.content {
            Some(Content::Whole(text)) => self.text(text, out)?,
            Some(Content::Parts(parts)) => {
                parts.into_iter().try_for_each(|it| self.part(it, out))?;
            }
            None => {}
        }
        self.refused |= said.refusal.is_some_and(|it| !it.is_empty());
        for call in said.tool_calls.unwrap_or_default() {
            self.thinking.end(out);
            self.calls.take(call, out)?;
        }
        Ok(())
    }

    /// OpenRouter says the words of its details a second time under `reasoning`.
    fn thought(&mut self, said: &Said, out: &mut Vec<Delta>) {
        let details = said.reasoning_details.as_array().map_or(&[][..], |it| it);
        if !details.iter().any(thinking::has_words) {
            let words = [&said.reasoning_content, &said.reasoning];
            let words = words.into_iter().filter_map(Value::as_str).find(|it| !it.is_empty());
            self.thinking.words(words.unwrap_or_default(), out);
        }
        details.iter().for_each(|it| self.thinking.detail(it, out));
    }

    fn part(&mut self, part: PartBody, out: &mut Vec<Delta>) -> Result<(), FailureClass> {
        for thought in part.thinking.unwrap_or_default() {
            self.thinking.words(&thought.text.unwrap_or_default(), out);
        }
        self.text(part.text.unwrap_or_default(), out)
    }

    fn text(&mut self, text: String, out: &mut Vec<Delta>) -> Result<(), FailureClass> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.spoke && text.trim().is_empty() {
            self.blank.push_str(&text);
            let fits = self.blank.len() <= BLANK_BYTES_MAX;
            return if fits { Ok(()) } else { Err(FailureClass::Malformed) };
        }
        self.thinking.end(out);
        self.spoke = true;
        let text =
            if self.blank.is_empty() { text } else { std::mem::take(&mut self.blank) + &text };
        out.push(Delta::Text(text.into()));
        Ok(())
    }
}

fn logprobs(logprobs: Logprobs) -> Option<Delta> {
    let content = logprobs.content.filter(|it| !it.is_empty())?;
    Some(Delta::Logprobs(json!({ "content": content }).into()))
}
