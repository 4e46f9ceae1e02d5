//! Which part of a request is read: both ends of the last user turn, the start of the system prompt.
//!
//! In: a [`ChatRequest`]. Out: token ids per window. Invariant: text is cut by bytes *before* it is
//! tokenized, so no prompt costs more than [`USER_BYTES`] of tokenizing, and no window has more
//! tokens than the encoder has positions, and never more than [`TOKENS_MAX`].

use std::borrow::Cow;

use super::tokens::{TokenizerError, WordPiece};
use crate::domain::{ChatRequest, Message, Text};

/// Positions of the shipped encoder: tokens of a window, the two marks included. Of an encoder with more,
/// no more are used.
pub const TOKENS_MAX: usize = 512;
/// Bytes of the user's turn that are tokenized, both ends together: some 800 tokens of English.
const USER_BYTES: usize = 3_072;
/// Of a turn that does not fit, the share that comes from its start, where the task is usually put.
const HEAD_SHARE: f32 = 2.0 / 3.0;
/// Bytes of the system prompt that are tokenized.
const SYSTEM_BYTES: usize = 1_024;
/// Weight of the system prompt in the vector. It says what kind of work is done, but it is the same
/// for thousands of requests; the labels that were trained on have none.
pub(super) const SYSTEM_SHARE: f32 = 0.2;
/// What a picture costs, in tokens: a 1024 x 1024 picture at OpenAI's and Anthropic's rules takes
/// 765 to 1,400.
const IMAGE_TOKENS: u64 = 1_000;
/// What each message adds around its text, in tokens (OpenAI's cookbook counts 3 to 4).
const MESSAGE_TOKENS: u64 = 4;

/// The parts of a request that are read, cut to size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts<'a> {
    /// The user's turn, or its start.
    head: Cow<'a, str>,
    /// Its end, where it does not fit.
    tail: Cow<'a, str>,
    /// The start of the system prompt.
    system: Cow<'a, str>,
}

/// What the parts are read as.
#[derive(Debug)]
pub(super) struct Windows {
    /// Ids of the user's turn, with marks; never empty.
    pub(super) user: Vec<u32>,
    /// Ids of the system prompt, with marks; empty without one.
    pub(super) system: Vec<u32>,
    /// How many tokens a byte of this prompt has.
    pub(super) tokens_per_byte: f64,
}

impl<'a> Texts<'a> {
    /// Cuts a request.
    pub(super) fn of(request: &'a ChatRequest) -> Self {
        let user = joined(request.last_user_texts());
        let system = joined(request.system_texts());
        let system_end = system.floor_char_boundary(SYSTEM_BYTES);
        let system = cut(&system, 0..system_end);
        if user.len() <= USER_BYTES {
            return Self { head: user, tail: Cow::Borrowed(""), system };
        }
        let head_bytes = (USER_BYTES as f32 * HEAD_SHARE) as usize;
        let head_end = user.floor_char_boundary(head_bytes);
        let tail_start = user.ceil_char_boundary(user.len() - (USER_BYTES - head_bytes));
        let (head, tail) = (cut(&user, 0..head_end), cut(&user, tail_start..user.len()));
        Self { head, tail, system }
    }

    /// The same, for keeps.
    pub(super) fn into_owned(self) -> Texts<'static> {
        let own = |it: Cow<'_, str>| Cow::Owned(it.into_owned());
        Texts { head: own(self.head), tail: own(self.tail), system: own(self.system) }
    }

    /// The parts, in a fixed order; two requests with the same parts are read alike.
    pub(super) fn parts(&self) -> [&str; 3] {
        [&self.head, &self.tail, &self.system]
    }

    /// About how many tokens they are, before that is known: four bytes each, as in English.
    pub(super) fn tokens_expected(&self) -> usize {
        self.parts().map(str::len).iter().sum::<usize>() / 4 + 2
    }

    /// Tokenizes them, for windows of so many tokens.
    pub(super) fn read(
        &self,
        tokenizer: &WordPiece,
        tokens_max: usize,
    ) -> Result<Windows, TokenizerError> {
        let user = framed(tokenizer, (&self.head, &self.tail), tokens_max)?;
        let system = match self.system.is_empty() {
            true => Vec::new(),
            false => framed(tokenizer, (&self.system, ""), tokens_max)?,
        };
        let read_bytes = (self.head.len() + self.tail.len()).max(1) as f64;
        let tokens_per_byte = ((user.len() as f64 - 2.0).max(1.0) / read_bytes).clamp(0.1, 2.0);
        Ok(Windows { user, system, tokens_per_byte })
    }
}

/// A part of a text, borrowed where the text is.
fn cut<'a>(text: &Cow<'a, str>, range: std::ops::Range<usize>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    }
}

/// One text as it is, several with a line break between them.
fn joined<'a>(texts: impl Iterator<Item = &'a Text>) -> Cow<'a, str> {
    let mut joined = Cow::Borrowed("");
    for text in texts {
        if joined.is_empty() {
            joined = Cow::Borrowed(text.as_str());
        } else {
            let whole = joined.to_mut();
            whole.push('\n');
            whole.push_str(text.as_str());
        }
    }
    joined
}

/// Both ends between the marks; of more tokens than there are positions, the middle goes.
fn framed(
    tokenizer: &WordPiece,
    (head, tail): (&str, &str),
    tokens_max: usize,
) -> Result<Vec<u32>, TokenizerError> {
    let (open, close) = tokenizer.marks();
    let mut ids = vec![open];
    tokenizer.append(head, &mut ids)?;
    tokenizer.append(tail, &mut ids)?;
    let room = tokens_max.saturating_sub(1);
    if ids.len() > room {
        let head_tokens = (room as f32 * HEAD_SHARE) as usize;
        ids.drain(head_tokens..ids.len() - (room - head_tokens));
    }
    ids.push(close);
    Ok(ids)
}

/// The whole request's tokens, estimated.
pub(super) fn whole_tokens(request: &ChatRequest, tokens_per_byte: f64) -> u64 {
    let text: usize = request.messages.iter().map(Message::text_bytes).sum();
    let tools: usize = request.tools.iter().map(tool_bytes).sum();
    let images = request.messages.iter().filter(|it| it.has_image()).count() as u64;
    // JSON of tools has about four bytes a token at every vendor.
    let counted = text as f64 * tokens_per_byte + tools as f64 / 4.0;
    counted.ceil() as u64 + images * IMAGE_TOKENS + request.messages.len() as u64 * MESSAGE_TOKENS
}

fn tool_bytes(tool: &crate::domain::Tool) -> usize {
    tool.name.len() + tool.description.len() + json_bytes(tool.parameters.value(), 0)
}

/// About how long a JSON value is when written, without writing it.
fn json_bytes(value: &serde_json::Value, depth: usize) -> usize {
    use serde_json::Value;
    if depth > 32 {
        return 0;
    }
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 6,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => {
            items.iter().map(|it| json_bytes(it, depth + 1) + 1).sum::<usize>() + 2
        }
        Value::Object(fields) => {
            let sizes = fields.iter().map(|(name, it)| name.len() + 4 + json_bytes(it, depth + 1));
            sizes.sum::<usize>() + 2
        }
    }
}
