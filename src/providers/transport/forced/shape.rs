//! Failures in the words of each protocol.
//!
//! In: a protocol, what is wrong. Out: bodies and frames as that protocol's servers send them
//! (`tests/cassettes` has the originals). Invariant: pure; nothing of the request is in them. Not
//! here: when they are sent. The simulator has its own such bodies, so that neither is proved by the
//! other.

use std::time::Duration;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};

use super::super::super::provider::Protocol;

/// What is sent in one piece.
pub(super) const JSON: &str = "application/json";
/// Says of a failure that nothing is wrong with the provider.
const FORCED: &str = "This failure was asked for.";

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// An error status.
    Status(u16),
    /// A prompt that is too long.
    ContextTooLong,
    /// A prompt that the filter refuses.
    ContentFilter,
    /// A model that is not there.
    WrongModel,
    /// A wrong key.
    Auth,
    /// An account that is used up.
    Quota,
    /// A parameter that the model lacks.
    Unsupported,
}

/// Why an answer says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// For no reason.
    Empty,
    /// It was filtered.
    Filtered,
}

/// The `content-type` of a stream.
pub(super) fn stream_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenAi | Protocol::Anthropic | Protocol::Gemini => "text/event-stream",
        Protocol::Ollama => "application/x-ndjson",
        Protocol::Bedrock => "application/vnd.amazon.eventstream",
    }
}

/// Status and body of a refusal.
pub(super) fn refusal(
    protocol: Protocol,
    why: &Why,
    retry_after: Option<Duration>,
) -> (u16, Value) {
    match protocol {
        Protocol::OpenAi => openai(why),
        Protocol::Anthropic => anthropic(why),
        Protocol::Gemini => gemini(why, retry_after),
        Protocol::Ollama => ollama(why),
        Protocol::Bedrock => bedrock(why),
    }
}

fn openai(why: &Why) -> (u16, Value) {
    let (status, code, message) = match why {
        Why::Status(status) => (*status, None, FORCED),
        Why::ContextTooLong => {
            let message = "This model's maximum context length is exceeded.";
            (400, Some("context_length_exceeded"), message)
        }
        Why::ContentFilter => {
            let message = "The prompt triggered the content management policy.";
            (400, Some("content_filter"), message)
        }
        Why::WrongModel => (404, Some("model_not_found"), "The model does not exist."),
        Why::Auth => (401, Some("invalid_api_key"), "Incorrect API key provided."),
        Why::Quota => {
            let message = "You exceeded your current quota, please check your plan.";
            (429, Some("insufficient_quota"), message)
        }
        Why::Unsupported => {
            let message = "Unsupported parameter: 'temperature' is not supported with this model.";
            (400, Some("unsupported_parameter"), message)
        }
    };
    let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    (status, json!({"error": error}))
}

fn anthropic(why: &Why) -> (u16, Value) {
    let invalid = "invalid_request_error";
    let (status, kind, message) = match why {
        Why::Status(status) => {
            let kind = match status {
                401 => "authentication_error",
                402 => "billing_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                503 | 529 => "overloaded_error",
                500.. => "api_error",
                _ => invalid,
            };
            (*status, kind, FORCED)
        }
        Why::ContextTooLong => (400, invalid, "prompt is too long: 2 tokens > 1 maximum"),
        Why::ContentFilter => (400, invalid, "Output blocked by content filtering policy"),
        Why::WrongModel => (404, "not_found_error", "model: forced"),
        Why::Auth => (401, "authentication_error", "invalid x-api-key"),
        Why::Quota => (400, invalid, "Your credit balance is too low to access the Anthropic API."),
        Why::Unsupported => (400, invalid, "`temperature` is not supported by this model."),
    };
    let error = json!({"type": kind, "message": message});
    (status, json!({"type": "error", "error": error, "request_id": "forced"}))
}

fn gemini(why: &Why, retry_after: Option<Duration>) -> (u16, Value) {
    let invalid = "INVALID_ARGUMENT";
    let (status, name, message) = match why {
        Why::Status(status) => {
            let name = match status {
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                429 => "RESOURCE_EXHAUSTED",
                503 => "UNAVAILABLE",
                504 => "DEADLINE_EXCEEDED",
                500.. => "INTERNAL",
                _ => invalid,
            };
            (*status, name, FORCED)
        }
        Why::ContextTooLong => {
            (400, invalid, "The input token count (2) exceeds the maximum number of tokens (1).")
        }
        Why::ContentFilter => (400, invalid, "The prompt was blocked."),
        Why::WrongModel => (404, "NOT_FOUND", "The model is not found for API version v1beta."),
        Why::Auth => (400, invalid, "API key not valid. Please pass a valid API key."),
        Why::Quota => (403, "PERMISSION_DENIED", "Billing is not enabled for this project."),
        Why::Unsupported => (400, invalid, "The parameter is not supported by this model."),
    };
    let mut error = json!({"code": status, "message": message, "status": name});
    if let Some(pause) = retry_after {
        let kind = "type.googleapis.com/google.rpc.RetryInfo";
        let delay = format!("{}s", pause.as_secs_f64());
        error["details"] = json!([{"@type": kind, "retryDelay": delay}]);
    }
    (status, json!({"error": error}))
}

fn ollama(why: &Why) -> (u16, Value) {
    let (status, message) = match why {
        Why::Status(status) => (*status, FORCED),
        Why::ContextTooLong => (400, "the input length exceeds the context length"),
        Why::ContentFilter => (400, "the prompt was blocked by the content filter"),
        Why::WrongModel => (404, "model 'forced' not found"),
        Why::Auth => (401, "unauthorized"),
        Why::Quota => (402, "the account is used up"),
        Why::Unsupported => (400, "the model does not support this parameter"),
    };
    (status, json!({"error": message}))
}

fn bedrock(why: &Why) -> (u16, Value) {
    let invalid = Some("ValidationException");
    let (status, name, message) = match why {
        Why::Status(status) => {
            let name = match status {
                400 => invalid,
                403 => Some("AccessDeniedException"),
                404 => Some("ResourceNotFoundException"),
                408 => Some("ModelTimeoutException"),
                424 => Some("ModelErrorException"),
                429 => Some("ThrottlingException"),
                500 => Some("InternalServerException"),
                503 => Some("ServiceUnavailableException"),
                // Bedrock has no name for it.
                _ => None,
            };
            (*status, name, FORCED)
        }
        Why::ContextTooLong => (400, invalid, "Input is too long for requested model."),
        Why::ContentFilter => (400, invalid, "The prompt was blocked by the content filter."),
        Why::WrongModel => (400, invalid, "The provided model identifier is invalid."),
        Why::Auth => {
            let message = "The security token included in the request is invalid.";
            (403, Some("UnrecognizedClientException"), message)
        }
        Why::Quota => (403, Some("AccessDeniedException"), "Your account is not enabled."),
        Why::Unsupported => (400, invalid, "This model doesn't support the parameter."),
    };
    let mut body = json!({"message": message});
    if let Some(name) = name {
        body["__type"] = json!(name);
    }
    (status, body)
}

/// An error that comes with status 200, as aggregators send it.
pub(super) fn inside_200(protocol: Protocol) -> Value {
    let mut body = refusal(protocol, &Why::Status(503), None).1;
    if protocol == Protocol::OpenAi {
        body["error"]["code"] = json!(503);
    }
    body
}

/// An answer in one piece that says nothing.
pub(super) fn whole(protocol: Protocol, model_id: &str, silence: Silence) -> Value {
    let filtered = silence == Silence::Filtered;
    let either = |yes: &'static str, no: &'static str| if filtered { yes } else { no };
    match protocol {
        Protocol::OpenAi => {
            let message = json!({"role": "assistant", "content": ""});
            let finish = either("content_filter", "stop");
            let choice = json!({"index": 0, "message": message, "finish_reason": finish});
            let usage = json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0});
            json!({
                "id": "forced", "object": "chat.completion", "created": 0, "model": model_id,
                "choices": [choice], "usage": usage,
            })
        }
        Protocol::Anthropic => json!({
            "id": "forced", "type": "message", "role": "assistant", "model": model_id,
            "content": [], "stop_reason": either("refusal", "end_turn"), "stop_sequence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }),
        Protocol::Gemini if filtered => json!({"promptFeedback": {"blockReason": "SAFETY"}}),
        Protocol::Gemini => {
            let content = json!({"parts": [{"text": ""}], "role": "model"});
            let candidate = json!({"content": content, "finishReason": "STOP", "index": 0});
            json!({"candidates": [candidate], "modelVersion": model_id})
        }
        Protocol::Ollama => json!({
            "model": model_id, "created_at": "2025-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": ""},
            "done": true, "done_reason": "stop", "prompt_eval_count": 0, "eval_count": 0,
        }),
        Protocol::Bedrock => json!({
            "output": {"message": {"role": "assistant", "content": []}},
            "stopReason": either("content_filtered", "end_turn"),
            "usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0},
            "metrics": {"latencyMs": 0},
        }),
    }
}

/// A stream, with its end mark, that says nothing.
pub(super) fn stream(protocol: Protocol, model_id: &str, silence: Silence) -> Vec<u8> {
    let mut answer = whole(protocol, model_id, silence);
    match protocol {
        Protocol::Gemini | Protocol::Ollama => frame(protocol, "", &answer.to_string()),
        Protocol::OpenAi => {
            let finish = answer["choices"][0]["finish_reason"].take();
            answer["object"] = json!("chat.completion.chunk");
            answer["choices"] = json!([{"index": 0, "delta": {}, "finish_reason": finish}]);
            let end = frame(protocol, "", "[DONE]");
            [frame(protocol, "", &answer.to_string()), end].concat()
        }
        Protocol::Anthropic => {
            let stop = answer["stop_reason"].take();
            let usage = json!({"output_tokens": 0});
            let delta = json!({"stop_reason": stop, "stop_sequence": null});
            let events = [
                ("message_start", json!({"type": "message_start", "message": answer})),
                ("message_delta", json!({"type": "message_delta", "delta": delta, "usage": usage})),
                ("message_stop", json!({"type": "message_stop"})),
            ];
            events.map(|(name, event)| frame(protocol, name, &event.to_string())).concat()
        }
        Protocol::Bedrock => {
            let told = json!({"usage": answer["usage"], "metrics": answer["metrics"]});
            let events = [
                ("messageStart", json!({"role": "assistant"})),
                ("messageStop", json!({"stopReason": answer["stopReason"]})),
                ("metadata", told),
            ];
            events.map(|(name, event)| frame(protocol, name, &event.to_string())).concat()
        }
    }
}

/// The frame with which a provider gives up.
pub(super) fn overloaded(protocol: Protocol) -> Vec<u8> {
    let name = match protocol {
        Protocol::Bedrock => "serviceUnavailableException",
        Protocol::Anthropic => "error",
        Protocol::OpenAi | Protocol::Gemini | Protocol::Ollama => "",
    };
    frame(protocol, name, &inside_200(protocol).to_string())
}

/// A frame that does not parse.
pub(super) fn torn(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::OpenAi => frame(protocol, "", "{\"choices\": [{\"delta\": {\"con"),
        Protocol::Anthropic => frame(protocol, "content_block_delta", "{\"type\": \"content_bl"),
        Protocol::Gemini => frame(protocol, "", "{\"candidates\": [{\"cont"),
        Protocol::Ollama => frame(protocol, "", "{\"message\": {\"cont"),
        Protocol::Bedrock => frame(protocol, "contentBlockDelta", "{\"contentBlockIn"),
    }
}

fn frame(protocol: Protocol, name: &str, data: &str) -> Vec<u8> {
    match protocol {
        Protocol::OpenAi | Protocol::Anthropic | Protocol::Gemini if name.is_empty() => {
            format!("data: {data}\n\n").into_bytes()
        }
        Protocol::OpenAi | Protocol::Anthropic | Protocol::Gemini => {
            format!("event: {name}\ndata: {data}\n\n").into_bytes()
        }
        Protocol::Ollama => format!("{data}\n").into_bytes(),
        Protocol::Bedrock => event(name, data),
    }
}

/// A message of an AWS event stream.
fn event(name: &str, payload: &str) -> Vec<u8> {
    let failed = name.ends_with("Exception");
    let (kind, which) =
        if failed { ("exception", ":exception-type") } else { ("event", ":event-type") };
    let header = |name: &'static str, value: &str| {
        Header::new(name, HeaderValue::String(value.to_owned().into()))
    };
    let message = Message::new(payload.as_bytes().to_vec())
        .add_header(header(which, name))
        .add_header(header(":content-type", JSON))
        .add_header(header(":message-type", kind));
    let mut out = Vec::new();
    // Fails only for frames of 16 MB and more; these have some hundred bytes.
    let _ = write_message_to(&message, &mut out);
    out
}
