//! Problems in OpenAI's words.
//!
//! In: a [`Problem`]. Out: an error body; the error inside a response that failed in a stream.
//! Invariant: the type follows from the status; the code is our own reason in lower case.

use serde_json::{Value, json};

use crate::api::http::dialect::Problem;

/// The body of an error.
pub(super) fn body(problem: &Problem) -> Value {
    json!({
        "error": {
            "message": problem.message,
            "type": kind(problem.status),
            "param": problem.param,
            "code": problem.reason.to_ascii_lowercase(),
        },
        "pointsman": problem.details,
    })
}

/// The `error` of a failed response: SDKs know only a few codes there.
pub(super) fn inside(problem: &Problem) -> Value {
    let code = match problem.status {
        429 => "rate_limit_exceeded",
        400..=499 => "invalid_prompt",
        _ => "server_error",
    };
    json!({"code": code, "message": problem.message})
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}
