//! One question to one deployment, asked again where that may help.
//!
//! In: a request, and the money set aside for it. Out: the answer, or why there is none. Invariant: every
//! call is written down before it is made, and none is made that could cost more than is left; bounded in
//! calls and time. Not here: who is asked (see [`super::run`]), and HTTP (see [`pointsman::providers`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use pointsman::catalog::Deployment;
use pointsman::domain::{Again, ChatRequest, ChatResponse, FailureClass, Usd};
use pointsman::providers::{CallFailure, Caller};

use super::events::Event;
use super::money;
use super::spend::Reserved;
use super::work::Work;

/// Calls for one question: a passing fault is over by the third.
const CALLS_MAX: u32 = 3;
/// The longest that a provider's own wish for a pause is heeded.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How calls are made.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// The longest that one may take.
    pub timeout: Duration,
    /// Before a second call; twice that before a third.
    pub pause: Duration,
}

/// What is asked of whom.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Of whom.
    pub deployment: &'a Arc<Deployment>,
    /// What.
    pub request: &'a ChatRequest,
    /// The most that one call of it can cost.
    pub at_most: Usd,
}

/// An answer that is still to be written down.
#[derive(Debug)]
pub struct Said {
    /// The call's number in the work folder.
    pub call: u64,
    /// What was said.
    pub response: ChatResponse,
    /// What it cost.
    pub cost: Usd,
    /// From the call to the whole answer.
    pub latency: Duration,
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaid {
    /// The last call failed so.
    Failed(FailureClass),
    /// Too little was left for another call.
    NoMoney,
}

/// Asks; `held` pays the first call, further ones are paid out of what is left.
///
/// # Errors
/// When the work folder cannot be written: nothing must be spent that is not written down.
pub async fn ask<C: Caller>(
    caller: &C,
    work: &Work,
    question: Question<'_>,
    manner: Manner,
    held: &mut Reserved,
) -> Result<Result<Said, Unsaid>> {
    let mut pause = manner.pause;
    let mut last = Unsaid::NoMoney;
    for number in 1..=CALLS_MAX {
        if !held.resize(question.at_most) {
            return Ok(Err(last));
        }
        let call = work.begin(question.at_most)?;
        let began = Instant::now();
        let made = caller.call(question.deployment, question.request, manner.timeout).await;
        let failure = match made {
            Ok(reply) => {
                let usage = &reply.response.usage;
                let cost = money::answered(&question.deployment.price, usage, question.at_most);
                held.settle(cost);
                let (response, latency) = (reply.response, began.elapsed());
                return Ok(Ok(Said { call, response, cost, latency }));
            }
            Err(failure) => failure,
        };
        let cost = money::failed(question.deployment, &failure, question.at_most);
        work.record(Event::Failed { call, class: failure.class, cost_usd: cost })?;
        held.settle(cost);
        last = Unsaid::Failed(failure.class);
        let Some(wanted) = wait(&failure, pause).filter(|_| number < CALLS_MAX) else { break };
        tokio::time::sleep(wanted).await;
        pause *= 2;
    }
    Ok(Err(last))
}

/// How long to wait before asking again; `None` where it would fail alike.
fn wait(failure: &CallFailure, pause: Duration) -> Option<Duration> {
    match failure.class.handling().again {
        Again::AtOnce => Some(Duration::ZERO),
        Again::AfterBackoff => Some(pause),
        Again::AfterRetryAfter => Some(failure.retry_after.unwrap_or(pause).min(PAUSE_MAX)),
        Again::Never => match failure.class {
            // Where there is another candidate it is asked instead; here there is none.
            FailureClass::EmptyAnswer | FailureClass::Malformed | FailureClass::StreamCut => {
                Some(pause)
            }
            FailureClass::RateLimited
            | FailureClass::Overloaded
            | FailureClass::Connection
            | FailureClass::FirstTokenLate
            | FailureClass::Stalled
            | FailureClass::Deadline
            | FailureClass::Auth
            | FailureClass::ModelMissing
            | FailureClass::ContextTooLong
            | FailureClass::Unsupported
            | FailureClass::ContentFiltered
            | FailureClass::InvalidRequest
            | FailureClass::OverBudget
            | FailureClass::Cancelled => None,
        },
    }
}
