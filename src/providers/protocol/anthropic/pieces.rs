//! Content blocks as pieces of an answer, whether they come one by one or all at once.
//!
//! In: what blocks say. Out: [`Delta`]s and a [`StreamEnd`]. Invariant: a whole answer and the same
//! answer in pieces come to the same. Where [`ANSWER_TOOL`] was asked for, its arguments are the
//! text, and words beside it are none. Not here: the wire formats of Anthropic and Bedrock.

use std::collections::BTreeMap;

use super::super::ANSWER_TOOL;
use super::super::Asking;
use super::turns::reasoning_seal;
use crate::domain::{
    Delta, FailureClass, FinishReason, ProviderName, ResponseFormat, Seal, StreamEnd, Usage,
};

/// Blocks of one answer that may be open at once: the APIs open one after the other.
const OPEN_BLOCKS_MAX: usize = 64;
/// Text and signatures held back: far above what the longest answer needs.
const HELD_BYTES_MAX: usize = 8 << 20;

/// Why a model stopped, in the words that Anthropic and Bedrock share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Stop {
    /// It was done, or asks for tools.
    Done,
    /// It reached a limit.
    Limit,
    /// It was withheld.
    Refused,
    /// The provider paused; nothing is to come but what is there.
    Paused,
    /// What it wrote makes no answer, or it did not say.
    Broken,
}

/// An answer that is being read.
#[derive(Debug)]
pub(in super::super) struct Pieces {
    provider: ProviderName,
    /// Whether the answer comes as arguments of our tool.
    by_tool: bool,
    /// Whether it did.
    told: bool,
    /// Words that are the answer only if our tool is not called.
    held: String,
    open: BTreeMap<u64, Block>,
    calls: usize,
    has_text: bool,
}

#[derive(Debug)]
enum Block {
    /// A call; arguments that came with its start count only if no others follow.
    Call { to: To, given: Option<String> },
    /// Thinking.
    Thought { has_words: bool, signature: String },
}

/// What arguments are.
#[derive(Debug, Clone, Copy)]
enum To {
    Text,
    Call(usize),
}

impl Pieces {
    /// An answer to what is asked.
    pub(in super::super) fn new(asking: &Asking<'_>) -> Self {
        let request = asking.request;
        let by_tool = request.response_format != ResponseFormat::Text
            && request.tools.iter().all(|it| it.name != ANSWER_TOOL);
        Self {
            provider: asking.deployment.provider.clone(),
            by_tool,
            told: false,
            held: String::new(),
            open: BTreeMap::new(),
            calls: 0,
            has_text: false,
        }
    }

    /// More text.
    pub(in super::super) fn text(
        &mut self,
        text: &str,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        if text.is_empty() {
            return Ok(());
        }
        if self.by_tool {
            return extend(&mut self.held, text);
        }
        self.has_text |= !text.trim().is_empty();
        out.push(Delta::Text(text.into()));
        Ok(())
    }

    /// A call begins; `given` are arguments that come with its start.
    pub(in super::super) fn call(
        &mut self,
        block: u64,
        (id, name): (String, String),
        given: Option<String>,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        if name.is_empty() {
            return Err(FailureClass::Malformed);
        }
        let to = if self.by_tool && name == ANSWER_TOOL {
            self.told = true;
            To::Text
        } else {
            let index = self.calls;
            self.calls += 1;
            out.push(Delta::ToolCall { index, id, name, seal: None });
            To::Call(index)
        };
        self.insert(block, Block::Call { to, given })
    }

    /// More arguments of an open call.
    pub(in super::super) fn arguments(
        &mut self,
        block: u64,
        fragment: &str,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        let Some(Block::Call { to, given }) = self.open.get_mut(&block) else {
            return Err(FailureClass::Malformed);
        };
        if fragment.is_empty() {
            return Ok(());
        }
        *given = None;
        let to = *to;
        self.write(to, fragment, out);
        Ok(())
    }

    /// More thinking.
    pub(in super::super) fn thought(
        &mut self,
        block: u64,
        words: &str,
        out: &mut Vec<Delta>,
    ) -> Result<(), FailureClass> {
        let (has_words, _) = self.thinking(block)?;
        if !words.is_empty() {
            *has_words = true;
            out.push(Delta::Reasoning(words.into()));
        }
        Ok(())
    }

    /// More of the signature of thinking.
    pub(in super::super) fn signature(
        &mut self,
        block: u64,
        part: &str,
    ) -> Result<(), FailureClass> {
        let (_, signature) = self.thinking(block)?;
        extend(signature, part)
    }

    /// A block of thinking that was kept secret.
    pub(in super::super) fn secret(&self, data: String, out: &mut Vec<Delta>) {
        let seal = Seal { provider: self.provider.clone(), value: data.into() };
        out.push(Delta::ReasoningEnd(Some(seal)));
    }

    /// A block ends; one of text was never opened.
    pub(in super::super) fn close(&mut self, block: u64, out: &mut Vec<Delta>) {
        match self.open.remove(&block) {
            Some(Block::Call { to, given: Some(given) }) => self.write(to, &given, out),
            Some(Block::Thought { has_words, signature }) => {
                let seal = (!signature.is_empty()).then(|| Seal {
                    provider: self.provider.clone(),
                    value: reasoning_seal(signature, has_words).into(),
                });
                if has_words || seal.is_some() {
                    out.push(Delta::ReasoningEnd(seal));
                }
            }
            Some(Block::Call { given: None, .. }) | None => {}
        }
    }

    /// The answer ends; words that were held back go to `out`.
    pub(in super::super) fn end(
        &mut self,
        stop: Stop,
        usage: Usage,
        out: &mut Vec<Delta>,
    ) -> Result<StreamEnd, FailureClass> {
        let held = std::mem::take(&mut self.held);
        if !self.told && !held.trim().is_empty() {
            self.has_text = true;
            out.push(Delta::Text(held.into()));
        }
        let empty = !self.has_text && self.calls == 0;
        let finish = match stop {
            Stop::Refused => return Err(FailureClass::ContentFiltered),
            Stop::Broken => return Err(FailureClass::Malformed),
            Stop::Paused if empty => return Err(FailureClass::Malformed),
            Stop::Limit => FinishReason::Length,
            Stop::Done if empty => return Err(FailureClass::EmptyAnswer),
            Stop::Done | Stop::Paused if self.calls > 0 => FinishReason::ToolCalls,
            Stop::Done | Stop::Paused => FinishReason::Stop,
        };
        Ok(StreamEnd { finish, usage })
    }

    fn write(&mut self, to: To, fragment: &str, out: &mut Vec<Delta>) {
        match to {
            To::Text => {
                self.has_text |= !fragment.trim().is_empty();
                out.push(Delta::Text(fragment.into()));
            }
            To::Call(index) => out.push(Delta::Arguments { index, fragment: fragment.into() }),
        }
    }

    /// The open thinking of this block, which needs no start of its own.
    fn thinking(&mut self, block: u64) -> Result<(&mut bool, &mut String), FailureClass> {
        if !self.open.contains_key(&block) {
            let thought = Block::Thought { has_words: false, signature: String::new() };
            self.insert(block, thought)?;
        }
        match self.open.get_mut(&block) {
            Some(Block::Thought { has_words, signature }) => Ok((has_words, signature)),
            Some(Block::Call { .. }) | None => Err(FailureClass::Malformed),
        }
    }

    fn insert(&mut self, at: u64, block: Block) -> Result<(), FailureClass> {
        let twice = self.open.insert(at, block).is_some();
        if twice || self.open.len() > OPEN_BLOCKS_MAX {
            return Err(FailureClass::Malformed);
        }
        Ok(())
    }
}

fn extend(text: &mut String, part: &str) -> Result<(), FailureClass> {
    if text.len() + part.len() > HELD_BYTES_MAX {
        return Err(FailureClass::Malformed);
    }
    text.push_str(part);
    Ok(())
}
