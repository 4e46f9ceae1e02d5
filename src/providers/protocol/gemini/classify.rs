//! What an error of Gemini means: the rows of `failure.md`'s table that a status and a body decide.
//!
//! In: status, retry-after, body, the provider's own words. Out: [`CallFailure`]. Invariant: total;
//! the body's text is looked at, never kept. Statuses are those of `google.rpc.Code`, phrases those
//! of the Gemini API (2025).

use std::time::Duration;

use serde_json::Value;

use super::super::Answered;
use crate::domain::{FailureClass, Usage};
use crate::providers::call::CallFailure;
use crate::providers::quirks::Quirks;

/// An error's words are read up to here; a longer message quotes the request.
const WORDS_BYTES_MAX: usize = 2_000;
/// Details that are looked at; the API sends three.
const DETAILS_MAX: usize = 16;

const KEY: [&str; 5] =
    ["api key not valid", "api_key_invalid", "api key not found", "api key expired", "billing"];
const CONTEXT: [&str; 4] = [
    "exceeds the maximum number of tokens",
    "token count exceeds",
    "context is too long",
    "context length",
];
const LACKING: [&str; 10] = [
    "not supported",
    "unsupported",
    "does not support",
    "is not enabled for",
    "only works in thinking mode",
    "thinking budget",
    "thought_signature",
    "thought signature",
    "cannot find field",
    "cannot fetch content",
];

/// The failure that an error answer stands for; also a 200 whose body is an error.
pub(super) fn classify(answered: &Answered<'_>, quirks: &Quirks) -> CallFailure {
    let body: Value = serde_json::from_slice(answered.body).unwrap_or_default();
    let told = Told::read(&body);
    let class = told.class(Some(answered.status), quirks);
    let retry_after = answered.retry_after.or(told.retry_after);
    CallFailure { retry_after, ..answered.failed(class, Usage::default()) }
}

/// The failure that a piece of a stream tells, if it is one.
pub(super) fn class_in_stream(piece: &Value, quirks: &Quirks) -> Option<FailureClass> {
    error_of(piece).map(|_| Told::read(piece).class(None, quirks))
}

/// `{"error": ...}`, also as the first of a list, as streams without SSE begin.
fn error_of(body: &Value) -> Option<&Value> {
    let outer = body.get(0).unwrap_or(body);
    outer.get("error").filter(|it| !it.is_null())
}

/// What an error body tells: its words in lower case, its code, and when to come back.
#[derive(Default)]
struct Told {
    words: String,
    code: Option<u16>,
    retry_after: Option<Duration>,
}

impl Told {
    fn read(body: &Value) -> Self {
        let Some(error) = error_of(body) else { return Self::default() };
        let details = error.get("details").and_then(Value::as_array);
        let details: Vec<_> = details.into_iter().flatten().take(DETAILS_MAX).collect();
        let fields = [error.get("status"), error.get("message"), Some(error)];
        let reasons = details.iter().map(|it| it.get("reason"));
        let mut words = String::new();
        for text in reasons.chain(fields).flatten().filter_map(Value::as_str) {
            let room = WORDS_BYTES_MAX.saturating_sub(words.len());
            words.extend(text.chars().take(room).map(|it| it.to_ascii_lowercase()));
            words.push('\n');
        }
        let delay = details.iter().find_map(|it| it.get("retryDelay")?.as_str());
        let code = error.get("code").and_then(Value::as_u64);
        let named = error.get("status").and_then(Value::as_str).and_then(status_of);
        let code = code.and_then(|it| u16::try_from(it).ok()).or(named);
        Self { words, code, retry_after: delay.and_then(seconds) }
    }

    fn class(&self, status: Option<u16>, quirks: &Quirks) -> FailureClass {
        let own = quirks.errors.iter().find(|(words, _)| self.words.contains(words.as_str()));
        if let Some((_, class)) = own {
            return *class;
        }
        let refused = status.filter(|it| *it >= 300);
        match refused.or(self.code) {
            // The words speak of quota there too, be it per minute or per day.
            Some(429) => FailureClass::RateLimited,
            Some(401..=403) => FailureClass::Auth,
            Some(404) => FailureClass::ModelMissing,
            Some(413) => FailureClass::ContextTooLong,
            // Given up, cancelled or in conflict on their side: not the caller's error.
            Some(408 | 409 | 425 | 499 | 500..) => FailureClass::Overloaded,
            Some(400..) => self.by_words(),
            // Redirects are not followed; whatever answered is no API.
            Some(300..400) => FailureClass::Malformed,
            // An error inside a 200 that names no cause is the provider's own.
            Some(_) | None => FailureClass::Overloaded,
        }
    }

    fn by_words(&self) -> FailureClass {
        let rules: [(&[&str], FailureClass); 3] = [
            (&KEY, FailureClass::Auth),
            (&CONTEXT, FailureClass::ContextTooLong),
            (&LACKING, FailureClass::Unsupported),
        ];
        let says = |phrases: &[&str]| phrases.iter().any(|it| self.words.contains(it));
        let rule = rules.into_iter().find(|(phrases, _)| says(phrases));
        rule.map_or(FailureClass::InvalidRequest, |(_, class)| class)
    }
}

/// HTTP's number for a name of `google.rpc.Code`.
fn status_of(name: &str) -> Option<u16> {
    match name {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => Some(400),
        "UNAUTHENTICATED" => Some(401),
        "PERMISSION_DENIED" => Some(403),
        "NOT_FOUND" => Some(404),
        "RESOURCE_EXHAUSTED" => Some(429),
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" => Some(500),
        "UNAVAILABLE" => Some(503),
        "DEADLINE_EXCEEDED" => Some(504),
        _ => None,
    }
}

/// Protobuf's JSON for a duration: `34.07s`.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
