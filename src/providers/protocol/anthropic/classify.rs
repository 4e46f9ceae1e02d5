//! What an error answer means: the rows of `failure.md`'s table that a status and a body decide.
//!
//! In: status, retry-after, body, or an error inside a stream. Out: [`CallFailure`] or its class.
//! Invariant: total; the body's text is looked at, never kept. The types are those of Anthropic's
//! page on errors, the phrases are its messages (2026).

use serde_json::Value;

use super::super::Answered;
use crate::domain::{FailureClass, Usage};
use crate::providers::call::CallFailure;
use crate::providers::quirks::Quirks;

/// An error's words are read up to here; a longer message quotes the prompt.
const WORDS_BYTES_MAX: usize = 2_000;

const RULES: [(&[&str], FailureClass); 6] = [
    (&["rate limit", "too many requests", "throttl"], FailureClass::RateLimited),
    (
        &["credit balance", "usage limit", "spend limit", "has been disabled", "billing"],
        FailureClass::Auth,
    ),
    (
        &[
            "prompt is too long",
            "exceed context limit",
            "exceeds the context",
            "context window",
            "context length",
            "too many tokens",
            "input is too long",
        ],
        FailureClass::ContextTooLong,
    ),
    (
        &["content filtering", "content filter", "usage policy", "blocked by"],
        FailureClass::ContentFiltered,
    ),
    (
        &["model not found", "no such model", "model identifier is invalid", "unknown model"],
        FailureClass::ModelMissing,
    ),
    (
        &[
            "not supported",
            "not support",
            "unsupported",
            "isn't supported",
            "deprecated for this model",
            "not available",
            "may not be enabled",
            "cannot both be specified",
            "prefill",
            "extra inputs are not permitted",
        ],
        FailureClass::Unsupported,
    ),
];

/// The failure that an error answer stands for; also a 200 whose body is an error.
pub(super) fn classify(answered: &Answered<'_>, quirks: &Quirks) -> CallFailure {
    let body: Value = serde_json::from_slice(answered.body).unwrap_or_default();
    let class = class(answered, body.get("error").unwrap_or(&body), quirks);
    answered.failed(class, Usage::default())
}

/// The class of an error that came inside a stream, where there is no status any more.
pub(super) fn told_in_stream(error: &Value, quirks: &Quirks) -> FailureClass {
    let answered = Answered { status: 200, retry_after: None, body: &[] };
    class(&answered, error, quirks)
}

fn class(answered: &Answered<'_>, error: &Value, quirks: &Quirks) -> FailureClass {
    let kind = error.get("type").and_then(Value::as_str).unwrap_or_default();
    let told = words(error);
    if let Some(class) = quirk(&told, quirks) {
        return class;
    }
    match kind {
        "authentication_error" | "permission_error" | "billing_error" => FailureClass::Auth,
        "not_found_error" => FailureClass::ModelMissing,
        "request_too_large" => FailureClass::ContextTooLong,
        "rate_limit_error" => FailureClass::RateLimited,
        "overloaded_error" => overloaded(answered),
        "api_error" | "timeout_error" | "gateway_timeout_error" => FailureClass::Overloaded,
        _ => by_status(answered, &told),
    }
}

fn by_status(answered: &Answered<'_>, told: &str) -> FailureClass {
    match answered.status {
        429 => FailureClass::RateLimited,
        500.. => overloaded(answered),
        401..=403 => FailureClass::Auth,
        408 | 409 | 425 => FailureClass::Overloaded,
        404 => FailureClass::ModelMissing,
        413 => FailureClass::ContextTooLong,
        status => by_words(told).unwrap_or(match status {
            // An error inside a 200 that names no cause is the provider's own.
            200..300 => FailureClass::Overloaded,
            // Redirects are not followed; whatever answered is no such endpoint.
            ..400 => FailureClass::Malformed,
            400.. => FailureClass::InvalidRequest,
        }),
    }
}

/// What the words of a refused request say, in lower case.
pub(in super::super) fn by_words(told: &str) -> Option<FailureClass> {
    let says = |phrases: &[&str]| phrases.iter().any(|it| told.contains(it));
    RULES.into_iter().find(|(phrases, _)| says(phrases)).map(|(_, class)| class)
}

/// What the operator's config says of an error's words.
pub(in super::super) fn quirk(told: &str, quirks: &Quirks) -> Option<FailureClass> {
    quirks.errors.iter().find(|(phrase, _)| told.contains(phrase.as_str())).map(|(_, it)| *it)
}

/// An error's texts, in lower case.
pub(in super::super) fn words(error: &Value) -> String {
    let fields = ["__type", "type", "message", "Message"];
    let mut words = String::new();
    for text in fields.into_iter().filter_map(|it| error.get(it)?.as_str()).chain(error.as_str()) {
        let room = WORDS_BYTES_MAX.saturating_sub(words.len());
        words.extend(text.chars().take(room).map(|it| it.to_ascii_lowercase()));
        words.push('\n');
    }
    words
}

/// One that says when to come back is obeyed.
fn overloaded(answered: &Answered<'_>) -> FailureClass {
    if answered.status == 529 && answered.retry_after.is_some() {
        return FailureClass::RateLimited;
    }
    FailureClass::Overloaded
}
