//! How long an attempt may take, and how long to pause before it.
//!
//! In: predicted medians, what is left of the deadline, a seed. Out: durations. Invariant: never
//! longer than what is left; NaN and infinite forecasts are treated as zero and as too long.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::domain::Timeouts;
use crate::ranking::Ranked;

/// The shortest pause before an ill deployment is asked again.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest: a second wait costs the caller more than the next candidate does.
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// A pause asked for by a provider is kept only up to this (`failure.md`).
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);

/// A deployment that is shut is waited for up to this, the longest that counted failures shut one.
/// Who is shut for longer has a wrong key, lacks the model or asked for a long pause: the caller is
/// told at once when to come back, and can do something about it.
pub(super) const SHUT_WAIT_MAX: Duration = Duration::from_secs(15);

/// Whether an attempt is a request's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Later,
}

/// What a call has given once it is a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The first content of an answer that comes in pieces.
    FirstToken,
    /// An answer in one piece.
    WholeAnswer,
}

/// Kept free on top of the next candidate's median: timers fire late, and a call takes a moment to
/// start. Without it the next candidate would always be a hair too slow for what is left.
const SLACK: Duration = Duration::from_millis(50);

/// Pauses with decorrelated jitter (M. Brooker, "Exponential Backoff and Jitter", 2015): each is
/// drawn between the shortest and three times the one before.
#[derive(Debug)]
pub(super) struct Backoff {
    random: ChaCha8Rng,
    last: Duration,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), last: BACKOFF_MIN }
    }

    /// A number in 0..1, for those of whom only a share may call.
    pub(super) fn share(&mut self) -> f64 {
        self.random.random_range(0.0..1.0)
    }

    /// The next pause, 50 to 500 ms.
    pub(super) fn draw(&mut self) -> Duration {
        let longest = (self.last * 3).min(BACKOFF_MAX);
        self.last = self.random.random_range(BACKOFF_MIN..=longest);
        self.last
    }
}

/// The predicted median time to the whole answer.
pub(super) fn median(ranked: &Ranked) -> Duration {
    let seconds = ranked.prediction.latency_s.median().max(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The shortest and the longest patience with a deployment that is silent (`failure.md`).
const PATIENCE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(15);
/// The longest that the first call of a request, and each later one, may take where nobody named a
/// limit (`failure.md`).
const FIRST_ATTEMPT: Duration = Duration::from_secs(15);
const FALLBACK: Duration = Duration::from_secs(10);
/// The share of first tokens that may come in time and be waited for (`failure.md`: p99), and the one
/// after which a second candidate may start beside the first (p95).
const FIRST_TOKENS: f64 = 0.99;
const BEFORE_HEDGE: f64 = 0.95;
/// A second candidate never starts sooner: the calls themselves take a moment.
const HEDGE_MIN: Duration = Duration::from_millis(50);
/// The longest silence inside an answer: models pause before tool calls and after thinking, and
/// nothing predicts it; the ceiling of [`PATIENCE`].
const STALL: Duration = Duration::from_secs(15);

/// The time that one answer in a hundred is predicted to exceed.
pub(super) fn p99(ranked: &Ranked) -> Duration {
    let seconds = ranked.prediction.latency_s.quantile(0.99).max(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// How long an attempt may take: the request's first, or a later one.
pub(super) fn attempt_limit(ranked: &Ranked, asked: Timeouts, turn: Turn) -> Duration {
    let limits = asked.or(ranked.deployment.timeouts);
    let (asked, limit, usual) = match turn {
        Turn::First => (asked.first_attempt, limits.first_attempt, FIRST_ATTEMPT),
        Turn::Later => (asked.fallback, limits.fallback, FALLBACK),
    };
    // A target's own limit stands for the deployment's; the request's only tightens it.
    match ranked.stop.as_ref().and_then(|it| it.terms.timeout) {
        Some(own) => asked.map_or(own, |it| it.min(own)),
        None => limit.unwrap_or(usual),
    }
}

/// How long a deployment may take until the first content of its answer.
pub(super) fn first_token_limit(ranked: &Ranked, asked: Timeouts) -> Duration {
    let predicted = || first_token(ranked, FIRST_TOKENS);
    let named = asked.or(ranked.deployment.timeouts).first_token;
    named.unwrap_or_else(|| predicted().clamp(*PATIENCE.start(), *PATIENCE.end()))
}

/// How long a deployment may be silent after its answer began.
pub(super) fn stall_limit(ranked: &Ranked, asked: Timeouts) -> Duration {
    asked.or(ranked.deployment.timeouts).stall.unwrap_or(STALL)
}

/// How long to wait for what a call is to give before a second candidate starts beside it.
pub(super) fn hedge_delay(ranked: &Ranked, awaited: Awaited) -> Duration {
    let predicted = match awaited {
        Awaited::FirstToken => first_token(ranked, BEFORE_HEDGE),
        Awaited::WholeAnswer => {
            let seconds = ranked.prediction.latency_s.quantile(BEFORE_HEDGE).max(0.0);
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
        }
    };
    predicted.max(HEDGE_MIN)
}

fn first_token(ranked: &Ranked, share: f64) -> Duration {
    let ms = ranked.prediction.ttft_quantile_ms(share).max(0.0);
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or(Duration::MAX)
}

/// The time an attempt gets: at most `longest`, and of what is left so much that the next
/// candidate could still answer; where that is too little for this one, all that is left.
pub(super) fn share(
    longest: Duration,
    left: Duration,
    own: Duration,
    next: Option<Duration>,
) -> Duration {
    let kept = next.map_or(Duration::ZERO, |it| it.saturating_add(SLACK));
    let rest = left.saturating_sub(kept);
    longest.min(if rest >= own { rest } else { left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_in_range_and_repeat_with_the_seed() {
        let draws = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..50).map(|_| backoff.draw()).collect::<Vec<_>>()
        };
        assert!(draws(7).iter().all(|it| (BACKOFF_MIN..=BACKOFF_MAX).contains(it)));
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }

    /// 4.5 and 2.9 medians where nothing was measured; by what was measured, where it was.
    #[test]
    fn patience_follows_the_spread_of_first_tokens() {
        let mut ranking = super::super::fixtures::ranking(&[Default::default()]);
        let ranked = &mut ranking.entries[0];
        let mut check = |median_ms: f64, sigma: f64, limit_ms: u128, hedge_ms: u128| {
            (ranked.prediction.ttft_ms, ranked.prediction.ttft_sigma) = (median_ms, sigma);
            let limit = first_token_limit(ranked, Timeouts::default()).as_millis();
            let hedge = hedge_delay(ranked, Awaited::FirstToken).as_millis();
            assert_eq!((limit, hedge), (limit_ms, hedge_ms), "{median_ms} {sigma}");
        };
        check(1_000.0, 0.65, 4_536, 2_912);
        check(1_000.0, 0.1, 1_261, 1_178);
        check(1_000.0, 0.0, 1_000, 1_000);
        check(20.0, 0.65, 1_000, 58);
        check(10_000.0, 0.65, 15_000, 29_129);
        check(f64::NAN, 0.65, 1_000, 50);
        check(f64::INFINITY, 0.65, 15_000, u128::from(u64::MAX) * 1_000 + 999);
    }

    #[test]
    fn an_attempt_leaves_time_for_the_next_where_it_can() {
        let check = |left: u64, own: u64, next: Option<u64>, wanted_ms: u64| {
            let seconds = Duration::from_secs;
            let given = share(seconds(15), seconds(left), seconds(own), next.map(seconds));
            assert_eq!(given, Duration::from_millis(wanted_ms), "{left} {own} {next:?}");
        };
        check(60, 2, Some(3), 15_000);
        check(10, 2, Some(3), 6_950);
        check(10, 2, None, 10_000);
        check(4, 2, Some(3), 4_000);
        check(2, 2, Some(9), 2_000);
    }
}
