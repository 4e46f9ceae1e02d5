//! What a call that has ended is billed for, as far as anybody can know.
//!
//! In: the provider's rule, what it told, how far the call came, what was expected of it. Out: a
//! [`Bill`]. Invariant: what the provider told wins; whatever a rule bills is never counted as
//! nothing. Pure. Not here: prices (see [`crate::domain::Price`]), and which provider has which rule
//! (see `providers/builtin.toml`).

use crate::domain::{Billing, FailureClass, Usage};
use crate::prediction::Prediction;

/// Bytes of a token: OpenAI's own estimate for English (help.openai.com, 2024). Other scripts have
/// more bytes and more tokens for each letter.
const TOKEN_BYTES: u64 = 4;
/// An opening count is far below what was received since (Anthropic tells 1 token with the first
/// event, 2025); a running one is near it, whatever the bytes of a token.
const RUNNING_SHARE: u64 = 2;

/// What was seen of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// Asked for in one piece: it is made at the provider before anything of it is seen.
    Unseen,
    /// Asked for in pieces: so many bytes of text, thinking and arguments.
    Bytes(u64),
}

/// What a whole answer is expected to use, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) input: u64,
    /// Never above what the request and the model allow.
    pub(super) output: u64,
}

impl Expected {
    /// What was predicted; the mean of an answer's length.
    pub(super) fn of(prediction: &Prediction) -> Self {
        let tokens = |it: f64| it.max(0.0).ceil() as u64;
        let output = tokens(prediction.output_tokens.mean());
        Self { input: tokens(prediction.input_tokens), output }
    }
}

/// About how many tokens so many bytes are.
pub(super) fn tokens_of(bytes: u64) -> u64 {
    bytes.div_ceil(TOKEN_BYTES)
}

/// A call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// How it failed; `None` when it answered.
    pub(super) failure: Option<FailureClass>,
    /// The HTTP status, where there was one.
    pub(super) status: Option<u16>,
    /// Whether the provider cannot have seen it.
    pub(super) unsent: bool,
    /// What the provider told; zeros where it did not.
    pub(super) told: Usage,
    /// What was seen of the answer.
    pub(super) received: Received,
}

/// What a call is billed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bill {
    pub(super) usage: Usage,
    /// Whether any of it is not the provider's own count.
    pub(super) estimated: bool,
}

/// How far a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// No model answered.
    Nothing,
    /// No model answered, after the prompt was read.
    Prompt,
    /// An answer was begun, or may have been.
    Part,
    /// The answer came to its own end.
    End,
}

/// What is billed of a call.
pub(super) fn bill(rule: Billing, ended: &Ended, expected: Expected) -> Bill {
    let told = ended.told;
    let exact = |usage| Bill { usage, estimated: false };
    let estimate = |output_tokens: u64| {
        let input_tokens = if told.input_tokens > 0 { told.input_tokens } else { expected.input };
        let usage = Usage { input_tokens, output_tokens, ..told };
        Bill { usage, estimated: usage != told }
    };
    match (reached(ended), rule) {
        (Reached::Nothing, _) => exact(told),
        (Reached::Prompt, Billing::WhatWasProcessed) => estimate(told.output_tokens),
        (Reached::Prompt, Billing::Nothing | Billing::WhatWasGenerated | Billing::WholeAnswer) => {
            exact(told)
        }
        (Reached::End, _) => estimate(seen(ended).unwrap_or(expected.output)),
        (Reached::Part, Billing::Nothing) => exact(Usage::default()),
        (Reached::Part, Billing::WhatWasGenerated | Billing::WhatWasProcessed) => {
            estimate(seen(ended).unwrap_or(expected.output))
        }
        (Reached::Part, Billing::WholeAnswer) => {
            estimate(seen(ended).unwrap_or_default().max(expected.output))
        }
    }
}

/// Output tokens, by the provider's count or by the bytes; `None` where nothing can be seen.
fn seen(ended: &Ended) -> Option<u64> {
    let told = ended.told.output_tokens;
    match (ended.failure, ended.received) {
        // Nothing was said; or the provider itself broke the line, and most likely no model ran.
        (Some(FailureClass::EmptyAnswer), _)
        | (Some(FailureClass::Connection), Received::Unseen) => Some(told),
        (_, Received::Unseen) => (told > 0).then_some(told),
        (_, Received::Bytes(bytes)) => {
            let counted = tokens_of(bytes);
            // The count of an answer that came to its end is whole, however few the bytes.
            let whole = told > 0 && reached(ended) == Reached::End;
            let running = told.saturating_mul(RUNNING_SHARE) >= counted;
            Some(if whole || running { told } else { counted })
        }
    }
}

/// How far a call came, as far as its end tells.
fn reached(ended: &Ended) -> Reached {
    use FailureClass as F;
    let content = matches!(ended.received, Received::Bytes(1..));
    match ended.failure {
        None => Reached::End,
        Some(_) if ended.unsent => Reached::Nothing,
        // It came whole, with its count, and something else is wrong with it.
        Some(_) if ended.received == Received::Unseen && ended.told.output_tokens > 0 => {
            Reached::End
        }
        // An error in the middle of an answer.
        Some(
            F::RateLimited
            | F::Overloaded
            | F::Auth
            | F::ModelMissing
            | F::ContextTooLong
            | F::Unsupported
            | F::ContentFiltered
            | F::InvalidRequest,
        ) if content => Reached::Part,
        Some(F::ContextTooLong | F::ContentFiltered) => Reached::Prompt,
        Some(
            F::RateLimited
            | F::Overloaded
            | F::Auth
            | F::ModelMissing
            | F::Unsupported
            | F::InvalidRequest
            | F::OverBudget,
        ) => Reached::Nothing,
        // Nobody answers with anything but 200, and whoever came so far was answered.
        Some(F::Malformed | F::StreamCut) if ended.status.is_some_and(|it| it >= 400) => {
            Reached::Nothing
        }
        // A whole answer that says nothing.
        Some(F::EmptyAnswer) => Reached::End,
        Some(
            F::Connection
            | F::FirstTokenLate
            | F::Stalled
            | F::Deadline
            | F::Malformed
            | F::StreamCut
            | F::Cancelled,
        ) => Reached::Part,
    }
}
