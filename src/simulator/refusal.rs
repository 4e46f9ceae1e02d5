//! Error bodies as OpenAI writes them, for faults and for requests that reach no model.
//!
//! In: a fault that is an error status, or a [`Rejection`]. Out: status, body, pause. Invariant:
//! no text of the request but the model's name is repeated. Not here: broken connections.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::request::{BODY_BYTES_MAX, Rejection};

/// Longest part of an unknown model's name that is repeated, in characters.
const NAME_CHARS_MAX: usize = 200;

/// An error as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, error: Value) -> Self {
        Self { status, body: json!({ "error": error }), retry_after: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body)).into_response();
        if let Some(pause) = self.retry_after {
            let whole_s = pause.as_millis().div_ceil(1000);
            for (name, value) in [("retry-after", whole_s), ("retry-after-ms", pause.as_millis())] {
                if let Ok(value) = value.to_string().parse() {
                    response.headers_mut().insert(name, value);
                }
            }
        }
        response
    }
}

/// The error of a status fault.
pub(super) fn of_status(code: u16, retry_after: Option<Duration>) -> Refusal {
    let code = if (400..=599).contains(&code) { code } else { 500 };
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (kind, code, message) = match status.as_u16() {
        401 => return auth(),
        402 => (
            "insufficient_quota",
            Some("insufficient_quota"),
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        403 => (
            "invalid_request_error",
            Some("unsupported_country_region_territory"),
            "Country, region, or territory not supported",
        ),
        408 => ("server_error", None, "Request timed out."),
        429 => (
            "requests",
            Some("rate_limit_exceeded"),
            "Rate limit reached for requests. Please try again later.",
        ),
        400..=499 => ("invalid_request_error", None, "The request was refused."),
        503 | 529 => (
            "server_error",
            Some("server_overloaded"),
            "The engine is currently overloaded, please try again later.",
        ),
        _ => (
            "server_error",
            None,
            "The server had an error while processing your request. Sorry about that!",
        ),
    };
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    Refusal { retry_after, ..Refusal::new(status, error) }
}

/// 401, a wrong key.
pub(super) fn auth() -> Refusal {
    let message = "Incorrect API key provided. You can find your API key at \
                   https://platform.openai.com/account/api-keys.";
    invalid(StatusCode::UNAUTHORIZED, message, None, Some("invalid_api_key"))
}

/// 400, a prompt longer than the model takes.
pub(super) fn context_too_long(prompt_tokens: u64) -> Refusal {
    let message = format!(
        "This model's maximum context length is {} tokens. However, your messages resulted in \
         {prompt_tokens} tokens. Please reduce the length of the messages.",
        prompt_tokens.saturating_sub(1)
    );
    let code = Some("context_length_exceeded");
    invalid(StatusCode::BAD_REQUEST, &message, Some("messages"), code)
}

/// 400, a prompt that the filter refuses (the shape of OpenAI's models on Azure).
pub(super) fn content_filter() -> Refusal {
    let message = "The response was filtered due to the prompt triggering content management \
                   policy. Please modify your prompt and retry.";
    invalid(StatusCode::BAD_REQUEST, message, Some("prompt"), Some("content_filter"))
}

/// 404, a model that is not there.
pub(super) fn wrong_model(model_id: &str) -> Refusal {
    let name: String = model_id.chars().take(NAME_CHARS_MAX).collect();
    let message = format!("The model `{name}` does not exist or you do not have access to it.");
    invalid(StatusCode::NOT_FOUND, &message, None, Some("model_not_found"))
}

/// An error object that comes with status 200, as aggregators send it.
pub(super) fn inside_200() -> Value {
    json!({"error": {
        "message": "Provider returned error",
        "type": "server_error",
        "param": null,
        "code": 502,
    }})
}

/// The error for a request that reaches no model.
pub(super) fn of_rejection(rejection: &Rejection) -> Refusal {
    let bad = StatusCode::BAD_REQUEST;
    match rejection {
        Rejection::TooLarge => {
            let message = format!("The body exceeds the limit of {BODY_BYTES_MAX} bytes.");
            invalid(StatusCode::PAYLOAD_TOO_LARGE, &message, None, None)
        }
        Rejection::Unreadable => invalid(bad, "The body could not be read.", None, None),
        Rejection::NotAChatRequest => {
            let message = "We could not parse the JSON body of your request as a chat request.";
            invalid(bad, message, None, None)
        }
        Rejection::NoMessages => {
            let message = "Invalid 'messages': empty array. Expected at least one message.";
            invalid(bad, message, Some("messages"), Some("empty_array"))
        }
        Rejection::NoRoomToAnswer => {
            let message = "Invalid 'max_tokens': integer below minimum value. Expected at least 1.";
            invalid(bad, message, Some("max_tokens"), Some("integer_below_min_value"))
        }
        Rejection::Streaming => {
            let message =
                "Unsupported value: 'stream' must be false, the simulator does not stream.";
            invalid(bad, message, Some("stream"), Some("unsupported_value"))
        }
        Rejection::UnknownTool => {
            let message = "Invalid value for 'tool_choice': the tool is not among 'tools'.";
            invalid(bad, message, Some("tool_choice"), None)
        }
        Rejection::UnknownModel(model_id) => wrong_model(model_id),
        Rejection::NoSuchPath => invalid(StatusCode::NOT_FOUND, "Invalid URL", None, None),
    }
}

fn invalid(status: StatusCode, message: &str, param: Option<&str>, code: Option<&str>) -> Refusal {
    let kind = "invalid_request_error";
    Refusal::new(status, json!({"message": message, "type": kind, "param": param, "code": code}))
}
