//! What an error of Ollama means: the rows of `failure.md`'s table that a status and a body decide.
//!
//! In: status, retry-after, body, the provider's own words. Out: [`CallFailure`]. Invariant: total;
//! the body's text is looked at, never kept. The phrases are those of its server (2025).

use serde_json::Value;

use super::super::Answered;
use crate::domain::{FailureClass, Usage};
use crate::providers::call::CallFailure;
use crate::providers::quirks::Quirks;

/// An error's words are read up to here; a longer message quotes the request.
const WORDS_BYTES_MAX: usize = 2_000;

const CONTEXT: [&str; 5] = [
    "context length",
    "context size",
    "context window",
    "input length exceeds",
    "prompt is too long",
];
const LACKING: [&str; 4] =
    ["does not support", "not supported", "required for image input", "unsupported"];
const MODEL: [&str; 2] = ["not found, try pulling", "model not found"];
const BROKEN_CALL: [&str; 1] = ["error parsing tool call"];
const BUSY: [&str; 3] = ["server busy", "overloaded", "requires more system memory"];
const LIMIT: [&str; 3] = ["rate limit", "too many requests", "usage limit"];

/// The failure that an error answer stands for.
pub(super) fn classify(answered: &Answered<'_>, quirks: &Quirks) -> CallFailure {
    let body: Value = serde_json::from_slice(answered.body).unwrap_or_default();
    let words = words(body.get("error").unwrap_or(&body));
    answered.failed(class(&words, answered.status, quirks), Usage::default())
}

/// What the `error` of a line in a stream, or of a 200, means: it has no status of its own, and one
/// that names no cause is the server's.
pub(super) fn class_in_stream(error: &Value, quirks: &Quirks) -> FailureClass {
    class(&words(error), 500, quirks)
}

fn class(words: &str, status: u16, quirks: &Quirks) -> FailureClass {
    let own = quirks.errors.iter().find(|(phrase, _)| words.contains(phrase.as_str()));
    if let Some((_, class)) = own {
        return *class;
    }
    match status {
        429 => return FailureClass::RateLimited,
        // Models in Ollama's cloud ask for an account.
        401..=403 => return FailureClass::Auth,
        ..400 => return FailureClass::Malformed,
        400.. => {}
    }
    let rules: [(&[&str], FailureClass); 6] = [
        (&BROKEN_CALL, FailureClass::Malformed),
        (&CONTEXT, FailureClass::ContextTooLong),
        (&LACKING, FailureClass::Unsupported),
        (&MODEL, FailureClass::ModelMissing),
        (&BUSY, FailureClass::Overloaded),
        (&LIMIT, FailureClass::RateLimited),
    ];
    let says = |phrases: &[&str]| phrases.iter().any(|it| words.contains(it));
    if let Some((_, class)) = rules.into_iter().find(|(phrases, _)| says(phrases)) {
        return class;
    }
    match status {
        404 => FailureClass::ModelMissing,
        413 => FailureClass::ContextTooLong,
        408 | 409 | 425 | 499 | 500.. => FailureClass::Overloaded,
        _ => FailureClass::InvalidRequest,
    }
}

/// `"..."` or, from proxies before it, `{"message": "..."}`, in lower case.
fn words(error: &Value) -> String {
    let text = error.as_str().or_else(|| error.get("message")?.as_str()).unwrap_or_default();
    text.chars().take(WORDS_BYTES_MAX).map(|it| it.to_ascii_lowercase()).collect()
}
