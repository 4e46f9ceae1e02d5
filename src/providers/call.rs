//! One call to one deployment, as a seam: what comes back, and who makes it.
//!
//! In: a deployment, a request, the time it may take. Out: [`Reply`] or [`CallFailure`]. Invariant:
//! a failure carries facts only (class, status, pause, usage), never a body. Not here: retries.

use std::future::Future;
use std::time::Duration;

use crate::catalog::Deployment;
use crate::domain::{ChatRequest, ChatResponse, FailureClass, Usage};

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What the model gave back.
    pub response: ChatResponse,
    /// The HTTP status.
    pub status: u16,
    /// Time to the first content, where it was seen; an answer that comes in one piece has none.
    pub ttft: Option<Duration>,
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
}

impl CallFailure {
    /// A failure without status, pause or usage: nothing came back.
    pub fn of(class: FailureClass) -> Self {
        Self { class, status: None, retry_after: None, usage: Usage::default() }
    }
}

/// Whoever can call a deployment: the HTTP sender, or a script in tests.
pub trait Caller: Send + Sync {
    /// Calls `deployment` once. Dropping the future ends the call.
    ///
    /// # Errors
    /// [`CallFailure`], with [`FailureClass::Deadline`] when `timeout` ran out.
    fn call(
        &self,
        deployment: &Deployment,
        request: &ChatRequest,
        timeout: Duration,
    ) -> impl Future<Output = Result<Reply, CallFailure>> + Send;
}
