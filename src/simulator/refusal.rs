//! Why a call is refused, for faults and for requests that reach no model.
//!
//! In: a fault that is an error status, or a [`Rejection`]. Out: a [`Refusal`], which each protocol
//! writes in its own shape, and the response made of that. Invariant: no text of the request but
//! the model's name is repeated. Not here: broken connections.

use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    protocol::Dialect,
    request::{BODY_BYTES_MAX, Rejection},
};

/// Longest part of an unknown model's name that is repeated, in characters.
const NAME_CHARS_MAX: usize = 200;

/// An error, before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: Why,
    pub(super) retry_after: Option<Duration>,
}

/// The reason of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// An error status, 400 to 599.
    Status(u16),
    /// A wrong key.
    Auth,
    /// An account that is used up.
    Quota,
    /// A parameter that the model lacks.
    Unsupported,
    /// No key at all.
    Unsigned,
    /// A prompt of so many tokens, which is too long.
    ContextTooLong(u64),
    /// A prompt that the filter refuses.
    ContentFilter,
    /// No such model.
    WrongModel(String),
    /// A body above the limit.
    TooLarge,
    /// No such path or method.
    NoSuchPath,
    /// Another fault of the request.
    Bad(Complaint),
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: &'static str,
    /// OpenAI's name of the field.
    pub(super) param: Option<&'static str>,
    /// OpenAI's code.
    pub(super) code: Option<&'static str>,
}

/// An error as its protocol writes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ErrorBody {
    pub(super) status: u16,
    pub(super) body: Value,
    /// `x-amzn-errortype`, which Bedrock sends.
    pub(super) amazon_type: Option<&'static str>,
    /// For the `retry-after` headers; `None` where the body says it.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn of(why: Why) -> Self {
        Self { why, retry_after: None }
    }

    /// The error of a status fault; what is no error status is sent as 500.
    pub(super) fn of_status(code: u16, retry_after: Option<Duration>) -> Self {
        let why = match code {
            401 => Why::Auth,
            400..=599 => Why::Status(code),
            _ => Why::Status(500),
        };
        Self { why, retry_after }
    }

    pub(super) fn wrong_model(model_id: &str) -> Self {
        Self::of(Why::WrongModel(model_id.chars().take(NAME_CHARS_MAX).collect()))
    }

    /// The error for a request that reaches no model.
    pub(super) fn of_rejection(rejection: &Rejection) -> Self {
        Self::of(match rejection {
            Rejection::TooLarge => Why::TooLarge,
            Rejection::NoSuchPath => Why::NoSuchPath,
            Rejection::Unsigned => Why::Unsigned,
            Rejection::UnknownModel(model_id) => return Self::wrong_model(model_id),
            Rejection::Unreadable => bad("The body could not be read.", None, None),
            Rejection::NotAChatRequest => {
                let message = "We could not parse the JSON body of your request as a chat request.";
                bad(message, None, None)
            }
            Rejection::NoMessages => {
                let message = "Invalid 'messages': empty array. Expected at least one message.";
                bad(message, Some("messages"), Some("empty_array"))
            }
            Rejection::NoRoomToAnswer => {
                let message =
                    "Invalid 'max_tokens': integer below minimum value. Expected at least 1.";
                bad(message, Some("max_tokens"), Some("integer_below_min_value"))
            }
            Rejection::UnknownTool => {
                let message = "Invalid value for 'tool_choice': the tool is not among 'tools'.";
                bad(message, Some("tool_choice"), None)
            }
            Rejection::UnknownCall => {
                let message = "A tool result answers no tool call of an earlier message.";
                bad(message, Some("messages"), None)
            }
            Rejection::ForeignSeal => {
                let message = "Invalid `signature` in `thinking` block: it is not from here.";
                bad(message, Some("messages"), None)
            }
            Rejection::NotServerSentEvents => {
                bad("The simulator streams this only with alt=sse.", Some("alt"), None)
            }
        })
    }

    /// The response in the shape of a protocol.
    pub(super) fn response(&self, dialect: Dialect) -> Response {
        dialect.voice().error(self).into_response()
    }

    /// The status in that protocol.
    pub(super) fn status(&self, dialect: Dialect) -> u16 {
        dialect.voice().error(self).status
    }
}

impl Why {
    /// A sentence for protocols that say no more than that.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Status(429) => "Too many requests, please wait before trying again.".to_owned(),
            Self::Status(503 | 529) => "The model is overloaded. Please try again later.".into(),
            Self::Status(400..=499) => "The request was refused.".to_owned(),
            Self::Status(_) => "The server had an error. Please try again.".to_owned(),
            Self::Auth => "The key is not valid.".to_owned(),
            Self::Quota => "Your credit balance is too low. See plans and billing.".to_owned(),
            Self::Unsupported => "`temperature` is not supported by this model.".to_owned(),
            Self::Unsigned => "Missing Authentication Token".to_owned(),
            Self::ContextTooLong(tokens) => {
                let most = tokens.saturating_sub(1);
                format!("prompt is too long: {tokens} tokens > {most} maximum")
            }
            Self::ContentFilter => "The prompt was blocked by the content filter.".to_owned(),
            Self::WrongModel(name) => format!("model '{name}' not found"),
            Self::TooLarge => format!("The body exceeds the limit of {BODY_BYTES_MAX} bytes."),
            Self::NoSuchPath => "Invalid URL".to_owned(),
            Self::Bad(complaint) => complaint.message.to_owned(),
        }
    }
}

impl IntoResponse for ErrorBody {
    fn into_response(self) -> Response {
        let internal = StatusCode::INTERNAL_SERVER_ERROR;
        let status = StatusCode::from_u16(self.status).unwrap_or(internal);
        let mut headers = HeaderMap::new();
        if let Some(name) = self.amazon_type {
            let header = HeaderName::from_static("x-amzn-errortype");
            headers.insert(header, HeaderValue::from_static(name));
        }
        if let Some(pause) = self.retry_after {
            let whole_s = pause.as_millis().div_ceil(1000);
            for (name, value) in [("retry-after", whole_s), ("retry-after-ms", pause.as_millis())] {
                if let Ok(value) = value.to_string().parse() {
                    headers.insert(name, value);
                }
            }
        }
        (status, headers, axum::Json(self.body)).into_response()
    }
}

fn bad(message: &'static str, param: Option<&'static str>, code: Option<&'static str>) -> Why {
    Why::Bad(Complaint { message, param, code })
}
