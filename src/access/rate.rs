//! How often a key may ask, and for how many tokens: two buckets that fill up over a minute.
//!
//! In: [`RateLimits`], requests, tokens. Out: leave, or [`OverRate`] with the time to come back.
//! Invariant: what an answer took beyond what was counted beforehand is owed, and paid before the next
//! request passes; nothing is ever given back, so that no quiet hour makes a loud minute. A bucket
//! holds one minute's worth. Buckets are in memory: a restart fills them. The arithmetic is
//! `governor`'s (GCRA), on tokio's clock.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::limits::RateLimits;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
}

impl Rate {
    /// The limit's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests_per_minute",
            Self::Tokens => "tokens_per_minute",
        }
    }
}

/// A key has asked for more than its share of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this key's limit of {limit} {} is used up", .rate.as_str().replace('_', " "))]
pub struct OverRate {
    /// Of what.
    pub rate: Rate,
    /// Its share.
    pub limit: u32,
    /// When to come back; `None` for a request that is larger than a whole minute's share.
    pub retry_in: Option<Duration>,
}

/// How full a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Of what.
    pub rate: Rate,
    /// What it holds when it is full.
    pub limit: u32,
    /// What it holds.
    pub remaining: u32,
    /// When it is full again.
    pub reset_in: Duration,
}

/// Both buckets of one key.
#[derive(Debug)]
pub(super) struct Meter {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// Tokens that answers took and that no request has paid yet.
    owed: Mutex<u64>,
}

impl Meter {
    /// Full buckets.
    pub(super) fn new(limits: RateLimits) -> Self {
        let RateLimits { requests_per_minute, tokens_per_minute } = limits;
        Self {
            requests: requests_per_minute.map(|it| Bucket::new(Rate::Requests, it)),
            tokens: tokens_per_minute.map(|it| Bucket::new(Rate::Tokens, it)),
            owed: Mutex::new(0),
        }
    }

    /// Counts a request.
    pub(super) fn take_request(&self) -> Result<(), OverRate> {
        self.requests.as_ref().map_or(Ok(()), |it| it.take(NonZeroU32::MIN))
    }

    /// Counts the tokens of a prompt, and what is owed for answers before it.
    pub(super) fn take_tokens(&self, prompt: u64) -> Result<(), OverRate> {
        let Some(bucket) = &self.tokens else { return Ok(()) };
        let most = u64::from(bucket.limit.get());
        if prompt > most {
            return Err(bucket.over(None));
        }
        let mut owed = self.owed();
        let wanted = prompt.saturating_add(*owed);
        // A debt of more than one minute is paid in parts.
        let now = u32::try_from(wanted.min(most)).ok().and_then(NonZeroU32::new);
        if let Some(now) = now {
            bucket.take(now)?;
        }
        *owed = wanted.saturating_sub(most);
        Ok(())
    }

    /// Tokens that an answer took beyond those of its prompt.
    pub(super) fn owe(&self, tokens: u64) {
        if self.tokens.is_some() {
            let mut owed = self.owed();
            *owed = owed.saturating_add(tokens);
        }
    }

    /// How full the buckets are.
    pub(super) fn standing(&self) -> Vec<Standing> {
        [&self.requests, &self.tokens].into_iter().flatten().map(Bucket::standing).collect()
    }

    /// A plain number, whole after every step.
    fn owed(&self) -> MutexGuard<'_, u64> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, StateInformationMiddleware>;

/// One bucket.
struct Bucket {
    rate: Rate,
    limit: NonZeroU32,
    limiter: Limiter,
    /// What was left after the last look, and when that was.
    seen: Mutex<(u32, Instant)>,
}

impl Bucket {
    fn new(rate: Rate, limit: NonZeroU32) -> Self {
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(limit), TokioClock::new())
            .with_middleware::<StateInformationMiddleware>();
        Self { rate, limit, limiter, seen: Mutex::new((limit.get(), Instant::now())) }
    }

    fn take(&self, count: NonZeroU32) -> Result<(), OverRate> {
        let left = match self.limiter.check_n(count) {
            Ok(Ok(state)) => state.remaining_burst_capacity(),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(TokioClock::now_of(&self.limiter));
                return Err(self.over(Some(wait)));
            }
            Err(_) => return Err(self.over(None)),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (left, Instant::now());
        Ok(())
    }

    fn over(&self, retry_in: Option<Duration>) -> OverRate {
        OverRate { rate: self.rate, limit: self.limit.get(), retry_in }
    }

    fn standing(&self) -> Standing {
        let (left, at) = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.limit.get();
        let filled = at.elapsed().as_secs_f64() * f64::from(limit) / 60.0;
        let held = (f64::from(left) + filled).min(f64::from(limit));
        let missing = f64::from(limit) - held;
        let reset_in = Duration::from_secs_f64(missing * 60.0 / f64::from(limit));
        Standing { rate: self.rate, limit, remaining: held as u32, reset_in }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "<{} {}>", self.limit, self.rate.as_str())
    }
}

/// Tokio's clock, which tests stop.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl TokioClock {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn now_of(limiter: &Limiter) -> Duration {
        limiter.clock().now()
    }
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn meter(requests: u32, tokens: u32) -> Meter {
        let [requests_per_minute, tokens_per_minute] = [requests, tokens].map(NonZeroU32::new);
        Meter::new(RateLimits { requests_per_minute, tokens_per_minute })
    }

    fn over(rate: Rate, limit: u32, retry_ms: Option<u64>) -> Result<(), OverRate> {
        Err(OverRate { rate, limit, retry_in: retry_ms.map(Duration::from_millis) })
    }

    #[tokio::test(start_paused = true)]
    async fn requests_pass_until_the_minute_is_used_up_and_again_as_it_fills() {
        let meter = meter(3, 0);
        for left in [2, 1, 0] {
            assert_eq!(meter.take_request(), Ok(()));
            assert_eq!(meter.standing()[0].remaining, left);
        }
        assert_eq!(meter.take_request(), over(Rate::Requests, 3, Some(20_000)));
        assert_eq!(meter.standing()[0].reset_in, Duration::from_secs(60));
        advance(Duration::from_secs(20)).await;
        assert_eq!(meter.take_request(), Ok(()));
        assert_eq!(meter.take_request(), over(Rate::Requests, 3, Some(20_000)));
        advance(Duration::from_secs(3_600)).await;
        assert_eq!(meter.standing()[0].remaining, 3);
        // A quiet hour gives no more than one minute's worth.
        for _ in 0..3 {
            assert_eq!(meter.take_request(), Ok(()));
        }
        assert!(meter.take_request().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_answers_took_is_paid_by_whoever_comes_next() {
        let meter = meter(0, 600);
        assert_eq!(meter.take_tokens(100), Ok(()));
        meter.owe(700);
        // 500 are left, 800 are wanted, of which the bucket takes 600: 100 more in 10 s.
        assert_eq!(meter.take_tokens(100), over(Rate::Tokens, 600, Some(10_000)));
        advance(Duration::from_secs(10)).await;
        assert_eq!(meter.take_tokens(100), Ok(()));
        // The 200 that it did not take are still owed.
        advance(Duration::from_secs(20)).await;
        assert_eq!(meter.take_tokens(1), over(Rate::Tokens, 600, Some(100)));
        advance(Duration::from_millis(100)).await;
        assert_eq!(meter.take_tokens(1), Ok(()));
        assert_eq!(meter.take_tokens(601), over(Rate::Tokens, 600, None));
    }

    #[tokio::test(start_paused = true)]
    async fn no_limit_is_none() {
        let meter = meter(0, 0);
        meter.owe(u64::MAX);
        for _ in 0..1_000 {
            assert_eq!((meter.take_request(), meter.take_tokens(u64::MAX)), (Ok(()), Ok(())));
        }
        assert_eq!(meter.standing(), []);
    }
}
