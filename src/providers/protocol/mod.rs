//! Wire formats, pure: a request becomes a body, a status and a body become an answer or a failure.
//!
//! In: [`ChatRequest`] and the bytes of [`Answered`]. Out: JSON, [`ChatResponse`] or
//! [`CallFailure`]. Invariant: no IO and no clock. Not here: URLs' hosts, keys, time limits.

mod openai;

use std::time::Duration;

use super::call::CallFailure;
use super::provider::Protocol;
use crate::catalog::Deployment;
use crate::domain::{ChatRequest, ChatResponse, ResponseFormat};

/// What an HTTP server gave back, as far as a protocol reads it.
pub(super) struct Answered<'a> {
    /// The HTTP status.
    pub(super) status: u16,
    /// What `retry-after` or `retry-after-ms` said.
    pub(super) retry_after: Option<Duration>,
    /// The whole body.
    pub(super) body: &'a [u8],
}

impl Protocol {
    /// The path of its chat endpoint, appended to the provider's base URL.
    pub(super) fn chat_path(self) -> &'static str {
        match self {
            Self::OpenAi => "/chat/completions",
        }
    }

    /// The body that asks `deployment` for an answer in one piece.
    pub(super) fn encode(
        self,
        request: &ChatRequest,
        deployment: &Deployment,
    ) -> serde_json::Value {
        match self {
            Self::OpenAi => openai::encode(request, deployment),
        }
    }

    /// The answer, or how it failed. `format` is what the request asked for.
    pub(super) fn decode(
        self,
        answered: &Answered<'_>,
        format: &ResponseFormat,
    ) -> Result<ChatResponse, CallFailure> {
        match self {
            Self::OpenAi => openai::decode(answered, format),
        }
    }
}
