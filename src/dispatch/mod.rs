//! The walk down the ranking: calls deployments in turn until one answers or a limit is met.
//!
//! In: a [`Plan`] (ranking, policy, request, clock) and a [`Caller`](crate::providers::Caller).
//! Out: [`Dispatched`]: the answer or the named failure, and every attempt made. Invariant: no
//! attempt starts that cannot be expected to finish inside the time and the money left; the chain
//! never invents a candidate. Not here: the network, the choice itself, the log.

mod billing;
#[cfg(test)]
mod billing_tests;
mod chain;
#[cfg(test)]
mod fixtures;
pub mod health;
#[cfg(test)]
mod health_tests;
#[cfg(test)]
mod hedge_tests;
#[cfg(test)]
mod meter_tests;
#[cfg(test)]
mod money_tests;
mod next;
mod passage;
#[cfg(test)]
mod purse_tests;
mod resume;
#[cfg(test)]
mod resume_tests;
mod run;
mod stream;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
mod timing;
mod way;
mod worded;
mod worst;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::access::{Exceeded, Purse};
use crate::catalog::Deployment;
use crate::domain::{Attempt, ChatRequest, ChatResponse, FailureClass, Seam, Usage, Usd};
use crate::ranking::{Policy, Ranking};

pub use health::{BreakerSettings, Health, PerMinute, Used};
pub use passage::{Answering, ChainEvent, EVENTS_MAX};
pub use run::run;
pub use stream::stream;

/// What is to be done, and within which limits.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Who is called, in which order.
    pub ranking: &'a Ranking,
    /// How far down the ranking, for how long, for how much.
    pub policy: &'a Policy,
    /// What is asked.
    pub request: &'a ChatRequest,
    /// Who may be called now; it hears how calls end.
    pub health: &'a Health,
    /// When the request came in: the zero of every time in the attempts.
    pub arrived: tokio::time::Instant,
    /// The longest that everything since `arrived` may take.
    pub max_latency: Duration,
    /// What calls are paid from, each before it is made; `None` where nobody counts.
    pub purse: Option<&'a Purse>,
}

/// When to come back where nobody said: past the shortest of breakers and windows.
pub const COME_BACK_AFTER: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatched {
    /// How it ended.
    pub end: ChainEnd,
    /// Every call that was made, in order.
    pub attempts: Vec<Attempt>,
    /// Parameters that whoever answered lacks and was not sent, by their names in OpenAI's dialect.
    pub dropped: Vec<String>,
    /// After a chain that failed: when the first of those tried may be asked again.
    pub retry_in: Option<Duration>,
    /// Where a stream that broke off was gone on with, in order.
    pub seams: Vec<Seam>,
}

/// How a chain of attempts ends.
#[derive(Debug, Clone, PartialEq)]
pub enum ChainEnd {
    /// With an answer.
    Served {
        /// Whose.
        deployment: Arc<Deployment>,
        /// The answer.
        response: ChatResponse,
    },
    /// With a part of an answer, which a reader was already given: the rest did not come.
    Broken {
        /// Whose.
        deployment: Arc<Deployment>,
        /// How it failed.
        class: FailureClass,
        /// What was passed on.
        partial: ChatResponse,
    },
    /// Without one.
    Failed(ChainFailure),
}

/// Why a chain ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFailure {
    /// Everyone who may be called has failed.
    #[error("every candidate that may be tried has failed")]
    Exhausted,
    /// Nobody was called: everyone failed so much lately that nobody calls them for now.
    #[error("every candidate is shut after failures or full; the first opens in {} ms", .retry_in.as_millis())]
    AllShut {
        /// When the first of them may be called.
        retry_in: Duration,
    },
    /// The time is gone, or too little is left for any other candidate.
    #[error("the deadline leaves no time for another attempt")]
    Deadline,
    /// The money left is too little for any other candidate.
    #[error("the budget leaves no money for another attempt")]
    OverBudget,
    /// What is left of a limit on spending of the caller's key or team pays no other candidate.
    #[error(transparent)]
    SpendLimit(Exceeded),
    /// The caller left before the answer was there.
    #[error("the caller left")]
    Cancelled,
    /// The operator's route leads nowhere after a call that failed so.
    #[error("the route goes on after no such failure: {}", .0.as_str())]
    RouteEnds(FailureClass),
    /// The request itself is at fault: no other candidate would do better.
    #[error("the request was not accepted: {}", .0.as_str())]
    CallerError(FailureClass),
}

impl ChainFailure {
    /// Its name in answers, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::AllShut { .. } => "all_shut",
            Self::Deadline => "deadline",
            Self::OverBudget => "over_budget",
            Self::SpendLimit(_) => "spend_limit",
            Self::Cancelled => "cancelled",
            Self::RouteEnds(_) => "route_ends",
            Self::CallerError(_) => "caller_error",
        }
    }
}

impl Dispatched {
    /// What all attempts cost, failed ones included.
    pub fn cost_usd(&self) -> Usd {
        self.attempts.iter().map(|it| it.cost_usd).sum()
    }

    /// What all attempts used, failed ones included.
    pub fn usage(&self) -> Usage {
        self.attempts.iter().map(|it| it.usage).fold(Usage::default(), Usage::plus)
    }
}

impl fmt::Display for Dispatched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            ChainEnd::Served { deployment, .. } => write!(out, "served by {}", deployment.id)?,
            ChainEnd::Broken { deployment, class, .. } => {
                write!(out, "cut off by {} ({})", deployment.id, class.as_str())?;
            }
            ChainEnd::Failed(failure) => write!(out, "{failure}")?,
        }
        write!(out, " after {} attempts for {}", self.attempts.len(), self.cost_usd())
    }
}
