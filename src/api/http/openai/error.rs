//! Errors in OpenAI's shape.
//!
//! In: a [`Problem`]. Out: `{"error": {message, type, param, code}, "pointsman": {...}}`. Invariant:
//! codes that clients look for have OpenAI's own names.

use serde_json::{Value, json};

use crate::api::http::dialect::Problem;

/// The body of an error.
pub(super) fn body(problem: &Problem) -> Value {
    let mut body = json!({
        "error": {
            "message": problem.message,
            "type": kind(problem.status),
            "param": problem.param,
            "code": code(&problem.reason),
        }
    });
    if !problem.details.is_null() {
        body["pointsman"] = problem.details.clone();
    }
    body
}

fn kind(status: u16) -> &'static str {
    match status {
        402 => "budget_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        504 => "timeout_error",
        _ => "server_error",
    }
}

fn code(reason: &str) -> String {
    match reason {
        "UNKNOWN_MODEL" => "model_not_found".to_owned(),
        "CONTENT_FILTERED" => "content_filter".to_owned(),
        "CONTEXT_TOO_LONG" => "context_length_exceeded".to_owned(),
        _ => reason.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_openais_names() {
        let check = |status: u16, reason: &str, kind: &str, code: &str| {
            let (reason, message) = (reason.to_owned(), "why".to_owned());
            let param = Some("model".to_owned());
            let problem = Problem { status, reason, message, param, details: Value::Null };
            let wanted = json!({"error": {
                "message": "why", "type": kind, "param": "model", "code": code,
            }});
            assert_eq!(body(&problem), wanted);
        };
        check(404, "UNKNOWN_MODEL", "invalid_request_error", "model_not_found");
        check(400, "CONTEXT_TOO_LONG", "invalid_request_error", "context_length_exceeded");
        check(400, "CONTENT_FILTERED", "invalid_request_error", "content_filter");
        check(422, "NO_CANDIDATE", "invalid_request_error", "no_candidate");
        check(401, "INVALID_API_KEY", "invalid_request_error", "invalid_api_key");
        check(429, "RATE_LIMIT_EXCEEDED", "rate_limit_error", "rate_limit_exceeded");
        check(503, "EXHAUSTED", "server_error", "exhausted");
        check(504, "DEADLINE", "timeout_error", "deadline");
    }
}
