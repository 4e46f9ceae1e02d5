//! Failures that somebody asked for, at the place where a request would be sent.
//!
//! In: a [`Fault`], a request ready to be sent. Out: a [`Response`], which the very same code reads
//! that reads a provider's. Invariant: a fault that shows nothing of an answer contacts nobody and
//! costs nothing; one that does asks the provider, and delays or cuts what it says. Every wait ends.
//! Not here: which call is struck (see [`crate::providers::Drill`]).

mod shape;
mod spoil;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::time::sleep;

use super::super::call::CallFailure;
use super::super::protocol::{Answered, Asking, Delivery, Encoded};
use super::super::provider::Protocol;
use super::{Line, whole_body};
use crate::domain::{FailureClass, Fault};
use shape::{Silence, Why};
use spoil::{Break, Spoil, Spoiled};

/// The longest that a forced silence lasts before the line breaks: above every limit that an attempt
/// has unless the operator sets another, so that it is those limits that are seen at work.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long each token of a dripping answer takes; the simulator's pace.
const DRIP_EVERY: Duration = Duration::from_secs(1);
/// Tokens after which a reset strikes inside a body: enough that the answer has begun.
const RESET_AFTER_TOKENS: u64 = 8;

/// The line broke.
#[derive(Debug)]
pub(super) struct Broken;

/// What came back: a provider's response, or what a fault made of it.
pub(super) struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

enum Body {
    Real(reqwest::Response),
    Spoiled(Box<Spoiled>),
    Made(VecDeque<Bytes>, Ending),
}

/// What follows a made body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Reset,
}

impl Response {
    /// As the provider sent it.
    pub(super) fn real(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: Body::Real(response) }
    }

    fn made(status: u16, kind: &'static str, body: Vec<u8>, ending: Ending) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Self { status, headers, body: Body::Made(VecDeque::from([body.into()]), ending) }
    }

    fn refused(protocol: Protocol, why: &Why, retry_after: Option<Duration>) -> Self {
        let (status, body) = shape::refusal(protocol, why, retry_after);
        let body = body.to_string().into_bytes();
        let mut response = Self::made(status, shape::JSON, body, Ending::Whole);
        if let Some(pause) = retry_after {
            let exact = HeaderName::from_static("retry-after-ms");
            response.headers.insert(exact, number(pause.as_millis()));
            response.headers.insert(RETRY_AFTER, number(pause.as_millis().div_ceil(1_000)));
        }
        response
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn content_length(&self) -> Option<u64> {
        match &self.body {
            Body::Real(response) => response.content_length(),
            Body::Spoiled(_) | Body::Made(..) => None,
        }
    }

    /// The next bytes of the body; `None` after the last.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        match &mut self.body {
            Body::Real(response) => response.chunk().await.map_err(|_| Broken),
            Body::Spoiled(spoiled) => spoiled.chunk().await,
            Body::Made(pieces, ending) => match (pieces.pop_front(), ending) {
                (Some(piece), _) => Ok(Some(piece)),
                (None, Ending::Whole) => Ok(None),
                (None, Ending::Reset) => Err(Broken),
            },
        }
    }
}

fn number(number: u128) -> HeaderValue {
    HeaderValue::from(u64::try_from(number).unwrap_or(u64::MAX))
}

/// What a fault does to a call.
enum Effect {
    /// Nobody is asked, and this comes back.
    Answer(Box<Response>),
    /// Nobody is asked, and there is no answer: at once, or after a long silence.
    Break(Duration),
    /// The provider is asked so much later.
    Late(Duration),
    /// The provider is asked, and its stream, or its whole answer, is spoiled.
    Spoil(Spoil),
}

/// Makes a call fail as `fault` says.
///
/// # Errors
/// [`CallFailure`] where no headers come back.
pub(super) async fn play(
    line: &Line,
    asking: &Asking<'_>,
    encoded: &Encoded,
    fault: Fault,
) -> Result<Response, CallFailure> {
    match effect(fault, line.provider.protocol, asking) {
        Effect::Answer(response) => Ok(*response),
        Effect::Break(silence) => {
            sleep(silence).await;
            Err(CallFailure::of(FailureClass::Connection))
        }
        Effect::Late(late) => {
            sleep(late.min(SILENCE_MAX)).await;
            line.send(encoded).await
        }
        Effect::Spoil(spoil) => {
            let response = line.send(encoded).await?;
            match asking.delivery {
                Delivery::Stream => Ok(spoiled(response, line.provider.protocol, asking, spoil)),
                Delivery::Whole => drip(response, line.provider.protocol, asking).await,
            }
        }
    }
}

/// Whether a fault contacts nobody.
pub(super) fn asks_nobody(fault: Fault, delivery: Delivery) -> bool {
    match fault {
        Fault::SlowFirstToken(_) | Fault::Drip => false,
        Fault::ResetInBody
        | Fault::Stall { .. }
        | Fault::CutAfter { .. }
        | Fault::NoEndMark
        | Fault::MalformedChunk { .. }
        | Fault::ErrorInStream { .. } => matches!(delivery, Delivery::Whole),
        Fault::Status { .. }
        | Fault::Reset
        | Fault::Hang
        | Fault::Empty
        | Fault::Malformed
        | Fault::ErrorInside200
        | Fault::ContextTooLong
        | Fault::ContentFilter
        | Fault::WrongModel
        | Fault::Auth
        | Fault::Quota
        | Fault::Unsupported => true,
    }
}

fn answer(response: Response) -> Effect {
    Effect::Answer(Box::new(response))
}

fn effect(fault: Fault, protocol: Protocol, asking: &Asking<'_>) -> Effect {
    let refused = |why| answer(Response::refused(protocol, &why, None));
    match fault {
        Fault::Status { code, retry_after } => {
            answer(Response::refused(protocol, &Why::Status(code), retry_after))
        }
        Fault::ContextTooLong => refused(Why::ContextTooLong),
        Fault::WrongModel => refused(Why::WrongModel),
        Fault::Auth => refused(Why::Auth),
        Fault::Quota => refused(Why::Quota),
        Fault::Unsupported => refused(Why::Unsupported),
        Fault::ContentFilter => match protocol {
            Protocol::OpenAi | Protocol::Ollama => refused(Why::ContentFilter),
            Protocol::Anthropic | Protocol::Gemini | Protocol::Bedrock => {
                answer(silent(protocol, asking, Silence::Filtered))
            }
        },
        Fault::Empty => answer(silent(protocol, asking, Silence::Empty)),
        Fault::Reset => Effect::Break(Duration::ZERO),
        Fault::Hang => Effect::Break(SILENCE_MAX),
        Fault::SlowFirstToken(late) => Effect::Late(late),
        Fault::Drip => Effect::Spoil(Spoil::Drip),
        Fault::Malformed => broken_from_the_start(protocol, asking, Break::Malformed),
        Fault::ErrorInside200 => broken_from_the_start(protocol, asking, Break::Overloaded),
        Fault::ResetInBody => cut(protocol, asking, RESET_AFTER_TOKENS, Break::Reset),
        Fault::Stall { after_tokens } => cut(protocol, asking, after_tokens.into(), Break::Stall),
        Fault::CutAfter { tokens } => cut(protocol, asking, tokens.into(), Break::Close),
        Fault::NoEndMark => cut(protocol, asking, u64::MAX, Break::Close),
        Fault::MalformedChunk { after_tokens } => {
            cut(protocol, asking, after_tokens.into(), Break::Malformed)
        }
        Fault::ErrorInStream { after_tokens } => {
            cut(protocol, asking, after_tokens.into(), Break::Overloaded)
        }
    }
}

/// A stream that breaks after so many tokens. Of a whole answer that breaks nothing would be seen, so
/// nobody is asked for it.
fn cut(protocol: Protocol, asking: &Asking<'_>, tokens: u64, how: Break) -> Effect {
    match asking.delivery {
        Delivery::Stream => Effect::Spoil(Spoil::Break { after_tokens: tokens, how }),
        Delivery::Whole => match how {
            Break::Stall => Effect::Break(SILENCE_MAX),
            Break::Close | Break::Reset => {
                let body = shape::whole(protocol, &asking.deployment.model_id, Silence::Empty);
                let mut body = body.to_string().into_bytes();
                body.truncate(body.len() / 2);
                answer(Response::made(200, shape::JSON, body, Ending::Reset))
            }
            Break::Malformed | Break::Overloaded => broken_from_the_start(protocol, asking, how),
        },
    }
}

/// What is broken from its first frame on; nobody is asked for it.
fn broken_from_the_start(protocol: Protocol, asking: &Asking<'_>, how: Break) -> Effect {
    let body = match (asking.delivery, how) {
        (Delivery::Stream, _) => spoil::last_words(protocol, how),
        (Delivery::Whole, Break::Overloaded) => shape::inside_200(protocol).to_string().into(),
        (Delivery::Whole, _) => b"<html><body>upstream connect error</body></html>".to_vec(),
    };
    let kind = match asking.delivery {
        Delivery::Stream => shape::stream_type(protocol),
        Delivery::Whole => shape::JSON,
    };
    answer(Response::made(200, kind, body, Ending::Whole))
}

/// An answer that says nothing.
fn silent(protocol: Protocol, asking: &Asking<'_>, silence: Silence) -> Response {
    let model_id = &asking.deployment.model_id;
    let (kind, body) = match asking.delivery {
        Delivery::Whole => {
            (shape::JSON, shape::whole(protocol, model_id, silence).to_string().into_bytes())
        }
        Delivery::Stream => {
            (shape::stream_type(protocol), shape::stream(protocol, model_id, silence))
        }
    };
    Response::made(200, kind, body, Ending::Whole)
}

/// A stream, to be spoiled; what is no stream, such as the provider's own error, is left as it is.
fn spoiled(response: Response, protocol: Protocol, asking: &Asking<'_>, spoil: Spoil) -> Response {
    let Response { status, headers, body } = response;
    let whole = headers.get(CONTENT_TYPE).is_some_and(super::stream::is_plain_json);
    let body = match body {
        Body::Real(real) if status.is_success() && !whole => {
            Body::Spoiled(Box::new(Spoiled::new(real, protocol, asking, spoil)))
        }
        other => other,
    };
    Response { status, headers, body }
}

/// A whole answer, as late as if each of its tokens had dripped.
async fn drip(
    mut response: Response,
    protocol: Protocol,
    asking: &Asking<'_>,
) -> Result<Response, CallFailure> {
    let status = response.status().as_u16();
    let body = whole_body(&mut response).await;
    let body = body.map_err(|it| CallFailure { status: Some(status), ..CallFailure::of(it) })?;
    let answered = Answered { status, retry_after: None, body: &body };
    if let Ok(answer) = protocol.decode(&answered, asking) {
        let tokens = u32::try_from(answer.usage.output_tokens).unwrap_or(u32::MAX);
        sleep(DRIP_EVERY.saturating_mul(tokens).min(SILENCE_MAX)).await;
    }
    let Response { status, headers, .. } = response;
    let body = Body::Made(VecDeque::from([body.into()]), Ending::Whole);
    Ok(Response { status, headers, body })
}
