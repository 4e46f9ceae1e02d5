//! What an exception of Bedrock means: the rows of `failure.md`'s table.
//!
//! In: status, retry-after, body, or an exception inside a stream. Out: [`CallFailure`] or its
//! class. Invariant: total; the body's text is looked at, never kept. The exception's name is in a
//! header that is not seen here, and only sometimes in the body: the status says the same.

use serde_json::Value;

use super::super::Answered;
use super::super::anthropic::{by_words, quirk, words};
use crate::domain::{FailureClass, Usage};
use crate::providers::call::CallFailure;
use crate::providers::quirks::Quirks;

/// Words of a refused request that name the model rather than what is asked of it (2025).
const MODEL: [&str; 4] = [
    "model identifier is invalid",
    "on-demand throughput isn",
    "end of its life",
    "model use case details",
];
/// Converse's own words for what a model lacks (2025).
const LACKING: [&str; 4] = ["doesn't support", "isn't supported", "not allowed", "extraneous key"];

/// The failure that an error answer stands for; also a 200 whose body is an exception.
pub(super) fn classify(answered: &Answered<'_>, quirks: &Quirks) -> CallFailure {
    let body: Value = serde_json::from_slice(answered.body).unwrap_or_default();
    let told = words(&body);
    let named = body.get("__type").and_then(Value::as_str).map(by_name);
    let class = quirk(&told, quirks)
        .unwrap_or_else(|| named.flatten().unwrap_or_else(|| by_status(answered.status)).of(&told));
    answered.failed(class, Usage::default())
}

/// The class of an exception that came inside a stream.
pub(super) fn told_in_stream(name: &str, data: &[u8], quirks: &Quirks) -> FailureClass {
    let body: Value = serde_json::from_slice(data).unwrap_or_default();
    let told = words(&body);
    // What breaks off a stream under a name of its own is the provider's doing.
    let kind = by_name(name).unwrap_or(Kind::Is(FailureClass::Overloaded));
    quirk(&told, quirks).unwrap_or_else(|| kind.of(&told))
}

/// What a name or a status says.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// All of it.
    Is(FailureClass),
    /// Something is wrong with the request; the words say what.
    Refused,
}

impl Kind {
    fn of(self, told: &str) -> FailureClass {
        let says = |phrases: &[&str]| phrases.iter().any(|it| told.contains(it));
        match self {
            Self::Is(class) => class,
            Self::Refused if says(&MODEL) => FailureClass::ModelMissing,
            Self::Refused => by_words(told).unwrap_or(if says(&LACKING) {
                FailureClass::Unsupported
            } else {
                FailureClass::InvalidRequest
            }),
        }
    }
}

/// By the exception's name, with or without a namespace, in either case of its first letter.
fn by_name(name: &str) -> Option<Kind> {
    let name = name.rsplit('#').next().unwrap_or(name).to_ascii_lowercase();
    let name = name.split(':').next().unwrap_or(&name);
    let class = match name {
        "throttlingexception" | "modelnotreadyexception" | "servicequotaexceededexception" => {
            FailureClass::RateLimited
        }
        "accessdeniedexception"
        | "unrecognizedclientexception"
        | "expiredtokenexception"
        | "invalidsignatureexception"
        | "incompletesignatureexception" => FailureClass::Auth,
        "resourcenotfoundexception" => FailureClass::ModelMissing,
        "serviceunavailableexception"
        | "internalserverexception"
        | "modeltimeoutexception"
        | "modelerrorexception"
        | "modelstreamerrorexception" => FailureClass::Overloaded,
        "validationexception" => return Some(Kind::Refused),
        _ => return None,
    };
    Some(Kind::Is(class))
}

fn by_status(status: u16) -> Kind {
    Kind::Is(match status {
        429 => FailureClass::RateLimited,
        401..=403 => FailureClass::Auth,
        404 => FailureClass::ModelMissing,
        413 => FailureClass::ContextTooLong,
        // The model itself failed, or was too slow.
        408 | 424 => FailureClass::Overloaded,
        500.. => FailureClass::Overloaded,
        // An exception inside a 200 that names no cause is the provider's own.
        200..300 => FailureClass::Overloaded,
        ..400 => FailureClass::Malformed,
        400.. => return Kind::Refused,
    })
}
