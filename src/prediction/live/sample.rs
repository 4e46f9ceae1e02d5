//! What one call says of its deployment's speed.
//!
//! In: an attempt, how its answer came, what was foretold. Out: [`SpeedSample`], ratios to the speed
//! that the deployment was believed to have before anything was measured. Invariant: a call that
//! failed at once says nothing, one that ran out of time says "at least", and none is taken for
//! fast because a number is missing. Not here: what is made of it (see [`super::LiveStats`]).

use crate::catalog::Speed;
use crate::domain::{Attempt, FailureClass};
use crate::prediction::forecast::Prediction;

/// Fewer tokens say little of how fast tokens come: they arrive in bunches.
const TOKENS_MIN: u64 = 8;

/// How an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// In one piece: only its whole time is seen.
    Whole,
    /// In pieces: its first content is seen too.
    Streamed,
}

/// A time, as a ratio to what was believed beforehand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Took {
    /// So long.
    Exactly(f64),
    /// So long, and then it was given up: right-censored. Counts as the median of what is believed of
    /// those that take longer still, which is never less.
    AtLeast {
        /// How long it was waited for.
        ratio: f64,
        /// The log-normal spread of what was foretold.
        sigma: f64,
    },
}

/// What one call says of its deployment's speed.
///
/// Ratios, not times: the forecast that they correct may know the prompt's size and the model, so a
/// ratio learned from short prompts holds for long ones, and short and long answers can share a sketch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SpeedSample {
    /// Time to the first content.
    pub first: Option<Took>,
    /// Time per output token after the first.
    pub token: Option<f64>,
    /// Time of the whole answer, for as many tokens as it turned out to have.
    pub whole: Option<Took>,
    /// Whether the whole time lay in the central 90 % of its forecast; `None` where that says nothing.
    pub inside: Option<bool>,
}

impl SpeedSample {
    /// Reads an attempt at a deployment of this `speed` of which `foretold` was expected.
    pub fn of(attempt: &Attempt, manner: Manner, speed: Speed, foretold: &Prediction) -> Self {
        match attempt.failure {
            None => Self::of_answer(attempt, speed, foretold),
            Some(class) => Self::of_failure(attempt, (class, manner), speed, foretold),
        }
    }

    fn of_answer(attempt: &Attempt, speed: Speed, foretold: &Prediction) -> Self {
        let tokens = attempt.usage.output_tokens;
        let whole = attempt.total_ms / whole_ms(speed, tokens as f64);
        let first = attempt.ttft_ms.map(|it| Took::Exactly(it / speed.ttft_ms));
        let rest = attempt.ttft_ms.filter(|_| tokens >= TOKENS_MIN);
        let rest = rest.map(|it| (attempt.total_ms - it) / (tokens as f64 - 1.0));
        Self {
            first,
            token: rest.map(|it| it * speed.tokens_per_s / 1_000.0),
            whole: Some(Took::Exactly(whole)),
            inside: inside(attempt.total_ms / 1_000.0, foretold),
        }
    }

    /// A call that was waited for in vain took at least as long as it was waited for.
    fn of_failure(
        attempt: &Attempt,
        (class, manner): (FailureClass, Manner),
        speed: Speed,
        foretold: &Prediction,
    ) -> Self {
        use FailureClass::{Cancelled, Deadline, FirstTokenLate, Stalled};
        let seen = attempt.ttft_ms.map(|it| Took::Exactly(it / speed.ttft_ms));
        let late =
            Took::AtLeast { ratio: attempt.total_ms / speed.ttft_ms, sigma: foretold.ttft_sigma };
        let likely = foretold.output_tokens.median();
        let long = Took::AtLeast {
            ratio: attempt.total_ms / whole_ms(speed, likely),
            sigma: foretold.latency_s.tokens.sigma,
        };
        let over = attempt.total_ms / 1_000.0 > foretold.latency_s.quantile(0.95);
        let missed = over.then_some(false);
        let nothing = Self::default();
        match (class, manner, seen) {
            (Deadline | Cancelled, Manner::Whole, _) => {
                Self { whole: Some(long), inside: missed, ..nothing }
            }
            (Deadline | Stalled, Manner::Streamed, Some(_)) => {
                Self { first: seen, whole: Some(long), inside: missed, ..nothing }
            }
            (Deadline | Cancelled | FirstTokenLate, Manner::Streamed, None) => {
                Self { first: Some(late), ..nothing }
            }
            // Its first content was as late as it was, however it ended.
            (_, Manner::Streamed, Some(_)) => Self { first: seen, ..nothing },
            _ => nothing,
        }
    }
}

fn whole_ms(speed: Speed, tokens: f64) -> f64 {
    speed.ttft_ms + 1_000.0 * tokens / speed.tokens_per_s
}

/// Where the limit on tokens cuts the forecast there is no upper end to miss, and no spread would help.
fn inside(took_s: f64, foretold: &Prediction) -> Option<bool> {
    let forecast = &foretold.latency_s;
    let cut = forecast.tokens.quantile(0.95) >= forecast.tokens.cap;
    let within = forecast.quantile(0.05)..=forecast.quantile(0.95);
    (took_s.is_finite() && !cut).then(|| within.contains(&took_s))
}
