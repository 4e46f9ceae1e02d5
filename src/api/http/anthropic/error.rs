//! Problems in Anthropic's words.
//!
//! In: a [`Problem`]. Out: an error body, the same in an answer and in a stream. Invariant: the
//! type follows from the status, as Anthropic's documentation pairs them (2026).

use serde_json::{Value, json};

use crate::api::http::dialect::Problem;

/// The body of an error. Our own reason, which has no place in Anthropic's shape, joins the
/// `pointsman` object.
pub(super) fn body(problem: &Problem) -> Value {
    let mut details = match &problem.details {
        Value::Null => json!({}),
        details => details.clone(),
    };
    if let Value::Object(fields) = &mut details {
        fields.entry("reason").or_insert_with(|| problem.reason.clone().into());
    }
    json!({
        "type": "error",
        "error": {"type": kind(problem.status), "message": problem.message},
        "pointsman": details,
    })
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}
