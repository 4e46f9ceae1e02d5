//! What an error answer means: the rows of `failure.md`'s table that a status and a body decide.
//!
//! In: status, retry-after, body, the provider's own phrases. Out: [`CallFailure`]. Invariant: total;
//! the body's text is looked at, never kept; what the provider's row says comes before the general
//! words. The codes are OpenAI's; the phrases are those of compatible servers (2025).

use serde_json::Value;

use super::super::Answered;
use crate::domain::{FailureClass, Usage};
use crate::providers::call::CallFailure;
use crate::providers::quirks::Quirks;

/// An error's words are read up to here; a longer message quotes the prompt.
const WORDS_BYTES_MAX: usize = 2_000;
/// Of a list of errors so many are read: one names the cause.
const LISTED_MAX: usize = 8;
/// Where errors say what they are.
const FIELDS: [&str; 6] = ["code", "type", "status", "message", "detail", "msg"];

const QUOTA: [&str; 5] = [
    "insufficient_quota",
    "exceeded your current quota",
    "billing_hard_limit",
    "insufficient balance",
    "insufficient credits",
];
const RATE: [&str; 5] = ["rate limit", "rate_limit", "ratelimit", "too many requests", "throttl"];
const CONTEXT: [&str; 7] = [
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "context length",
    "context size",
    "prompt is too long",
    "input is too long",
];
const FILTER: [&str; 6] = [
    "content_filter",
    "content_policy",
    "content management policy",
    "responsibleaipolicy",
    "safety system",
    "flagged",
];
const KEY: [&str; 3] = ["invalid_api_key", "incorrect api key", "api key not valid"];
const LACKING: [&str; 9] = [
    "unsupported_",
    "unsupported parameter",
    "unsupported value",
    "not supported",
    "does not support",
    "that support",
    "unknown_parameter",
    "unrecognized request argument",
    "extra inputs are not permitted",
];
const MODEL: [&str; 4] =
    ["model_not_found", "model not found", "no such model", "is not a valid model"];
const ILL: [&str; 4] = ["overloaded", "over capacity", "server_error", "internal error"];

/// The failure that an error answer stands for; also a 200 whose body is an error.
pub(super) fn classify(answered: &Answered<'_>, quirks: &Quirks) -> CallFailure {
    let told = Told::read(answered.body);
    let own = quirks.errors.iter().find(|(phrase, _)| told.says(&[phrase.as_str()]));
    let class = own.map_or_else(|| class(answered, &told), |(_, class)| *class);
    answered.failed(class, Usage::default())
}

fn class(answered: &Answered<'_>, told: &Told) -> FailureClass {
    // OpenRouter puts the upstream's status into the body of a 200.
    let inner = told.status.filter(|_| answered.status < 300);
    let status = inner.unwrap_or(answered.status);
    if told.says(&QUOTA) {
        return FailureClass::Auth;
    }
    match status {
        429 => FailureClass::RateLimited,
        // Overloaded, but one that says when to come back is obeyed.
        529 if answered.retry_after.is_some() => FailureClass::RateLimited,
        500.. => FailureClass::Overloaded,
        401 | 402 => FailureClass::Auth,
        // The provider gave up waiting, or met a conflict of its own: not the caller's error.
        408 | 409 | 425 => FailureClass::Overloaded,
        _ => by_words(status, told),
    }
}

/// Statuses that mean different things with different providers: 200, 400, 403, 404, 413, 422.
fn by_words(status: u16, told: &Told) -> FailureClass {
    let rules: [(&[&str], FailureClass); 7] = [
        (&CONTEXT, FailureClass::ContextTooLong),
        (&FILTER, FailureClass::ContentFiltered),
        (&RATE, FailureClass::RateLimited),
        (&KEY, FailureClass::Auth),
        (&MODEL, FailureClass::ModelMissing),
        (&LACKING, FailureClass::Unsupported),
        (&ILL, FailureClass::Overloaded),
    ];
    if let Some((_, class)) = rules.into_iter().find(|(phrases, _)| told.says(phrases)) {
        return class;
    }
    match status {
        403 => FailureClass::Auth,
        404 => FailureClass::ModelMissing,
        413 => FailureClass::ContextTooLong,
        // An error inside a 200 that names no cause is the provider's own.
        200..300 => FailureClass::Overloaded,
        // Redirects are not followed; whatever answered is no chat endpoint.
        ..400 => FailureClass::Malformed,
        400.. => FailureClass::InvalidRequest,
    }
}

/// What an error body tells: its code, type and message in lower case, and a status inside it.
struct Told {
    words: String,
    status: Option<u16>,
}

impl Told {
    /// Reads `{"error": {...}}`, `{"error": "..."}`, `[{"error": ...}]` (Gemini), `{"message": ..}`
    /// (vLLM), `{"detail": ..}` and `{"detail": [{"msg": ..}]}` (FastAPI), also one inside another
    /// (Mistral); anything else tells nothing.
    fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let outer = body.get(0).unwrap_or(&body);
        let error = outer.get("error").filter(|it| !it.is_null()).unwrap_or(outer);
        let mut words = String::new();
        let details = |it: &Value| it.get("detail").and_then(Value::as_array).cloned();
        let message = error.get("message").unwrap_or(&Value::Null);
        let listed: Vec<Value> =
            [error, message].into_iter().filter_map(details).flatten().take(LISTED_MAX).collect();
        for told in std::iter::once(error).chain(&listed) {
            let named = FIELDS.into_iter().filter_map(|it| told.get(it)?.as_str());
            named.chain(told.as_str()).for_each(|it| add(&mut words, it));
        }
        let code = error.get("code").and_then(Value::as_u64);
        let status = code.and_then(|it| u16::try_from(it).ok());
        Self { words, status: status.filter(|it| (400..600).contains(it)) }
    }

    fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|it| self.words.contains(it))
    }
}

/// Adds a text, as far as there is room.
fn add(words: &mut String, text: &str) {
    let room = WORDS_BYTES_MAX.saturating_sub(words.len());
    words.extend(text.chars().take(room).map(|it| it.to_ascii_lowercase()));
    words.push('\n');
}
