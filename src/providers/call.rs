//! One call to one deployment, as a seam: what comes back, and who makes it.
//!
//! In: a deployment, a request, the time it may take. Out: [`Reply`], a [`DeltaStream`], or
//! [`CallFailure`]. Invariant: a failure carries facts only (class, status, pause, usage), never a
//! body. Not here: retries, and when a stream is too slow.

use std::future::Future;
use std::time::Duration;

use crate::catalog::Deployment;
use crate::domain::{ChatRequest, ChatResponse, Delta, FailureClass, StreamEnd, Usage};

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What the model gave back.
    pub response: ChatResponse,
    /// The HTTP status.
    pub status: u16,
    /// Time to the first content, where it was seen; an answer that comes in one piece has none.
    pub ttft: Option<Duration>,
    /// Parameters that the provider lacks and was not sent, by their names in OpenAI's dialect.
    pub dropped: Vec<String>,
}

/// A call that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// In which way.
    pub class: FailureClass,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// How long the provider asks to wait, if it asks.
    pub retry_after: Option<Duration>,
    /// Tokens it used all the same: a filtered or malformed answer is paid for.
    pub usage: Usage,
    /// What cannot be sent to this provider, where that is why; never anything of the request.
    pub detail: Option<&'static str>,
    /// Whether the provider cannot have seen it, so that it bills nothing: no connection was made.
    pub unsent: bool,
}

impl CallFailure {
    /// A failure without status, pause or usage: nothing came back.
    pub fn of(class: FailureClass) -> Self {
        let (status, retry_after, detail) = (None, None, None);
        Self { class, status, retry_after, usage: Usage::default(), detail, unsent: false }
    }
}

/// An answer that was begun and is to be gone on with.
#[derive(Clone, Copy)]
pub struct Begun<'a> {
    /// Its text so far, exactly as a reader has it; not empty.
    pub text: &'a str,
    /// What is left of the limit on output tokens, where there is one.
    pub max_output_tokens: Option<u64>,
}

/// What comes next in a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// A piece of the answer.
    Delta(Delta),
    /// The answer is whole: the protocol's end mark was there, and what it must satisfy it does.
    End(StreamEnd),
}

/// An answer that comes in pieces. Dropping it ends the call; nothing is read that is not asked
/// for, so a slow reader slows the provider down.
pub trait DeltaStream: Send {
    /// The next piece. After [`StreamItem::End`] or a failure there is none.
    ///
    /// # Errors
    /// [`CallFailure`], with [`FailureClass::StreamCut`] when it ended without its end mark.
    fn next(&mut self) -> impl Future<Output = Result<StreamItem, CallFailure>> + Send;

    /// Tokens used so far, as far as the provider told.
    fn usage(&self) -> Usage;

    /// Bytes of the answer that came so far, passed on or not: text, thinking and arguments.
    fn received_bytes(&self) -> u64;

    /// The HTTP status.
    fn status(&self) -> u16;

    /// Parameters that the provider lacks and was not sent.
    fn dropped(&self) -> &[String];
}

/// Whoever can call a deployment: the HTTP sender, or a script in tests.
pub trait Caller: Send + Sync {
    /// An answer in pieces.
    type Stream: DeltaStream;

    /// Calls `deployment` once for an answer in one piece. Dropping the future ends the call.
    ///
    /// # Errors
    /// [`CallFailure`], with [`FailureClass::Deadline`] when `timeout` ran out.
    fn call(
        &self,
        deployment: &Deployment,
        request: &ChatRequest,
        timeout: Duration,
    ) -> impl Future<Output = Result<Reply, CallFailure>> + Send;

    /// Calls `deployment` once for an answer in pieces; returns when its headers are there.
    ///
    /// # Errors
    /// [`CallFailure`] when it refuses, or cannot be reached.
    fn open(
        &self,
        deployment: &Deployment,
        request: &ChatRequest,
    ) -> impl Future<Output = Result<Self::Stream, CallFailure>> + Send;

    /// Whether `deployment` can go on with an answer to this request that was begun elsewhere.
    fn continues(&self, _deployment: &Deployment, _request: &ChatRequest) -> bool {
        false
    }

    /// As [`Caller::open`], for what follows `begun` and nothing else. What the answer must satisfy
    /// is held against the whole.
    ///
    /// # Errors
    /// As [`Caller::open`], and [`FailureClass::Unsupported`] where it does not
    /// [`Caller::continues`].
    fn resume(
        &self,
        _deployment: &Deployment,
        _request: &ChatRequest,
        _begun: Begun<'_>,
    ) -> impl Future<Output = Result<Self::Stream, CallFailure>> + Send {
        std::future::ready(Err(CallFailure::of(FailureClass::Unsupported)))
    }
}
