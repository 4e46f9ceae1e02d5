//! What is counted when something happened.
//!
//! In: a request that ended, with its decision and its attempts. Out: nothing. Invariant: every
//! request is counted under exactly one end, every attempt under exactly one class. Not here: how it
//! ended (see [`crate::pipeline`]).

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use super::families::Metrics;
use super::labels::{
    Delivery, Face, OfClass, OfDelivery, OfDeployment, OfDuration, OfEnd, OfExit, OfFace,
    OfFallback, OfForetold, OfLimit, OfQuantity, OfReason, OfResult, OfTokens, QUALITY,
};
use crate::dispatch::{ChainEnd, Dispatched};
use crate::domain::{Attempt, FailureClass, Usage};
use crate::ranking::{Ranked, Ranking};

/// The end of a request that was not even decided, through a fault of ours.
const NOT_DECIDED: &str = "internal_error";
/// Why another answered, where whoever was ranked first was not called: shut by the time its turn came,
/// or too dear or too slow for what was left.
const NOT_CALLED: &str = "not_called";
/// Why another answered, where it was called beside the first and was faster.
const HEDGED: &str = "hedged";

/// A request that ended.
pub struct Seen<'a> {
    /// The order, where there was one.
    pub ranking: Option<&'a Ranking>,
    /// What was tried; `None` after a refusal.
    pub dispatched: Option<&'a Dispatched>,
    /// How it ended, by its name in the log.
    pub end: &'a str,
    /// How it was wanted.
    pub delivery: Delivery,
    /// From arrival to the end, milliseconds.
    pub total_ms: f64,
    /// What choosing took, microseconds.
    pub decide_us: f64,
    /// How deep the encoder read.
    pub encoder_exit: u8,
}

/// A request under way, counted as long as this lives.
pub struct InFlight {
    gauge: Gauge,
    /// How it is wanted.
    pub delivery: Delivery,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

impl Metrics {
    /// A request came.
    pub fn received(&self, face: Face) {
        self.received.get_or_create(&OfFace { face }).inc();
    }

    /// It did not pass its checks.
    pub fn rejected(&self, face: Face) {
        self.rejected.get_or_create(&OfFace { face }).inc();
    }

    /// A call was refused for want of a right.
    pub fn auth_refused(&self, reason: &'static str) {
        self.auth_refusals.get_or_create(&OfReason { reason }).inc();
    }

    /// A call was refused because a limit is used up.
    pub fn limit_refused(&self, limit: &'static str) {
        self.limit_refusals.get_or_create(&OfLimit { limit }).inc();
    }

    /// A request begins.
    pub fn begun(&self, delivery: Delivery) -> InFlight {
        let gauge = self.in_flight.get_or_create_owned(&OfDelivery { delivery });
        gauge.inc();
        InFlight { gauge, delivery }
    }

    /// A request could not be decided.
    pub fn not_decided(&self) {
        self.end(NOT_DECIDED, None);
    }

    /// A prompt was read, or there was no time for it, after waiting so long.
    pub fn waited_for_encoder(&self, waited: Duration) {
        self.encoder_wait.observe(waited.as_secs_f64());
    }

    /// The log answered after so long.
    pub fn appended<E>(&self, result: &Result<(), E>, took: Duration) {
        self.log_append.observe(took.as_secs_f64());
        if result.is_err() {
            self.log_failures.inc();
        }
    }

    /// A request ended.
    pub fn ended(&self, seen: &Seen<'_>) {
        let served = seen.dispatched.and_then(served);
        self.end(seen.end, served.map(|it| it.deployment.model.name.as_str()));
        let duration = OfDuration { end: seen.end.to_owned(), delivery: seen.delivery };
        self.duration.get_or_create(&duration).observe(seen.total_ms / 1_000.0);
        self.decision.observe(seen.decide_us / 1e6);
        self.exits.get_or_create(&OfExit { exit: seen.encoder_exit.into() }).inc();
        let Some(dispatched) = seen.dispatched else { return };
        for attempt in &dispatched.attempts {
            self.attempt(attempt, seen.ranking);
        }
        self.hedge(&dispatched.attempts);
        let begun = dispatched.attempts.iter().find_map(|it| Some((it, it.ttft_ms?)));
        if let Some((attempt, ttft_ms)) = begun {
            let seconds = (attempt.start_ms + ttft_ms) / 1_000.0;
            self.first_token.get_or_create(&of(attempt)).observe(seconds);
        }
        if let (Some(ranking), Some(Whose { whole: true, deployment })) = (seen.ranking, served) {
            self.fallback(ranking, deployment.id.as_str(), &dispatched.attempts);
        }
    }

    fn end(&self, end: &str, model: Option<&str>) {
        let (end, model) = (end.to_owned(), model.unwrap_or("none").to_owned());
        self.requests.get_or_create(&OfEnd { end, model }).inc();
    }

    fn attempt(&self, attempt: &Attempt, ranking: Option<&Ranking>) {
        let class = attempt.failure.map_or("answered", FailureClass::as_str);
        let deployment = attempt.deployment.to_string();
        self.attempts.get_or_create(&OfClass { deployment, class }).inc();
        self.attempt_duration.get_or_create(&of(attempt)).observe(attempt.total_ms / 1_000.0);
        self.cost.get_or_create(&of(attempt)).inc_by(attempt.cost_usd.get());
        self.use_tokens(attempt);
        let entries = ranking.map(|it| it.entries.as_slice()).unwrap_or_default();
        let ranked = entries.iter().find(|it| it.deployment.id == attempt.deployment);
        if let (Some(ranked), None) = (ranked, attempt.failure) {
            self.compare(attempt, ranked);
        }
    }

    fn use_tokens(&self, attempt: &Attempt) {
        let Usage { input_tokens, cached_tokens, cache_written_tokens, .. } = attempt.usage;
        let Usage { output_tokens, reasoning_tokens, .. } = attempt.usage;
        for (kind, count) in [
            ("input", input_tokens),
            ("cached", cached_tokens),
            ("cache_written", cache_written_tokens),
            ("output", output_tokens),
            ("reasoning", reasoning_tokens),
        ] {
            if count > 0 {
                let deployment = attempt.deployment.to_string();
                self.tokens.get_or_create(&OfTokens { deployment, kind }).inc_by(count);
            }
        }
    }

    /// What an answer took beside what was predicted. An estimate of ours says nothing of a prediction
    /// of ours, nor does a call that was made slow.
    fn compare(&self, attempt: &Attempt, ranked: &Ranked) {
        if attempt.usage_estimated || attempt.is_forced() {
            return;
        }
        let it = &ranked.prediction;
        for (quantity, real, predicted) in [
            ("cost", attempt.cost_usd.get(), it.cost_usd.mean()),
            ("output_tokens", attempt.usage.output_tokens as f64, it.output_tokens.mean()),
            ("latency", attempt.total_ms / 1_000.0, it.latency_s.mean()),
        ] {
            self.foretold(ranked.deployment.model.name.as_str(), (quantity, predicted), real);
            let ratio = real / predicted;
            if ratio.is_finite() {
                let deployment = attempt.deployment.to_string();
                self.ratio.get_or_create(&OfQuantity { deployment, quantity }).observe(ratio);
            }
        }
    }

    /// Somebody scored an answer of a model, of which this quality was expected.
    pub fn scored(&self, model: &str, expected: f64, score: f64) {
        self.foretold(model, (QUALITY, expected), score);
    }

    /// Sums tell drift where ratios do not: their quotient is that of the means.
    fn foretold(&self, model: &str, (quantity, predicted): (&'static str, f64), real: f64) {
        if !(predicted.is_finite() && real.is_finite()) {
            return;
        }
        let label = OfForetold { model: model.to_owned(), quantity };
        self.predicted.get_or_create(&label).inc_by(predicted);
        self.realised.get_or_create(&label).inc_by(real);
        self.compared.get_or_create(&label).inc();
    }

    /// A kept answer was looked for; `near`: one was found, and whether to a question that is only like
    /// this one.
    pub fn looked_in_cache(&self, near: Option<bool>) {
        let result = match near {
            Some(false) => "hit",
            Some(true) => "near_hit",
            None => "miss",
        };
        self.cache_lookups.get_or_create(&OfResult { result }).inc();
    }

    /// So many answers are kept, of so many bytes.
    pub fn cache_holds(&self, answers: usize, bytes: u64) {
        self.cache_answers.set(i64::try_from(answers).unwrap_or(i64::MAX));
        self.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Of a hedged pair one was dropped: the later one lost, or the earlier one did.
    fn hedge(&self, attempts: &[Attempt]) {
        let Some(loser) = attempts.iter().find(|it| it.is_hedge_loser()) else { return };
        let winner = attempts.iter().rev().find(|it| it.failure.is_none());
        let won = winner.is_some_and(|it| it.start_ms > loser.start_ms);
        let result = if won { "won" } else { "lost" };
        self.hedges.get_or_create(&OfResult { result }).inc();
    }

    fn fallback(&self, ranking: &Ranking, served: &str, attempts: &[Attempt]) {
        let Some(first) = ranking.entries.first() else { return };
        let first = &first.deployment.id;
        if first.as_str() == served {
            return;
        }
        let failed = attempts.iter().find(|it| it.deployment == *first);
        let why = match failed {
            None => NOT_CALLED,
            Some(it) if it.is_hedge_loser() => HEDGED,
            Some(it) => it.failure.map_or(NOT_CALLED, FailureClass::as_str),
        };
        self.fallbacks.get_or_create(&OfFallback { first: first.to_string(), why }).inc();
    }
}

/// Whose answer it was, and whether it was whole.
#[derive(Clone, Copy)]
struct Whose<'a> {
    deployment: &'a crate::catalog::Deployment,
    whole: bool,
}

fn served(dispatched: &Dispatched) -> Option<Whose<'_>> {
    match &dispatched.end {
        ChainEnd::Served { deployment, .. } => Some(Whose { deployment, whole: true }),
        ChainEnd::Broken { deployment, .. } => Some(Whose { deployment, whole: false }),
        ChainEnd::Failed(_) => None,
    }
}

fn of(attempt: &Attempt) -> OfDeployment {
    OfDeployment { deployment: attempt.deployment.to_string() }
}
