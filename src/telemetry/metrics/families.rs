//! Every metric there is, with its name and what it tells.
//!
//! In: the fleet. Out: [`Metrics`], everything at zero. Invariant: what can be known beforehand is
//! there from the start, since a rate needs a zero to begin with. Not here: when they change.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::labels::{
    Delivery, FORETOLD, Face, OfClass, OfDelivery, OfDeployment, OfDuration, OfEnd, OfExit, OfFace,
    OfFallback, OfForetold, OfLimit, OfModel, OfQuantity, OfReason, OfResult, OfState, OfTokens,
    OfVersion,
};
use crate::catalog::Fleet;

/// From a cached answer to the longest that anyone waits, seconds.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// What happens inside this process, seconds.
const SHORT_SECONDS: [f64; 12] =
    [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5];
/// What was measured over what was predicted: 1 where the prediction was right.
const RATIOS: [f64; 12] = [0.1, 0.25, 0.5, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0, 4.0, 10.0];

/// Why callers are refused: those of [`crate::access::Unauthenticated`], then what a key may not do.
const AUTH_REFUSALS: [&str; 9] = [
    "missing",
    "unknown",
    "forged",
    "expired",
    "revoked",
    "model",
    "policy",
    "not_admin",
    "other_team",
];
/// The limits of keys and teams.
const LIMITS: [&str; 6] = [
    "requests_per_minute",
    "tokens_per_minute",
    "key_spend_per_day",
    "key_spend_per_month",
    "team_spend_per_day",
    "team_spend_per_month",
];

/// A histogram of one of the scales above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale(&'static [f64]);

impl MetricConstructor<Histogram> for Scale {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type Counters<L> = Family<L, Counter>;
type Histograms<L> = Family<L, Histogram, Scale>;
/// Of what need not be whole.
type Sum = Counter<f64, AtomicU64>;

/// The figures of one pipeline.
pub struct Metrics {
    pub(super) registry: Registry,
    pub(super) received: Counters<OfFace>,
    pub(super) rejected: Counters<OfFace>,
    pub(super) auth_refusals: Counters<OfReason>,
    pub(super) limit_refusals: Counters<OfLimit>,
    pub(super) requests: Counters<OfEnd>,
    pub(super) duration: Histograms<OfDuration>,
    pub(super) first_token: Histograms<OfDeployment>,
    pub(super) in_flight: Family<OfDelivery, Gauge>,
    pub(super) attempts: Counters<OfClass>,
    pub(super) attempt_duration: Histograms<OfDeployment>,
    pub(super) fallbacks: Counters<OfFallback>,
    pub(super) hedges: Counters<OfResult>,
    pub(super) cache_lookups: Counters<OfResult>,
    pub(super) cache_answers: Gauge,
    pub(super) cache_bytes: Gauge,
    pub(super) tokens: Counters<OfTokens>,
    pub(super) cost: Family<OfDeployment, Sum>,
    pub(super) ratio: Histograms<OfQuantity>,
    pub(super) predicted: Family<OfForetold, Sum>,
    pub(super) realised: Family<OfForetold, Sum>,
    pub(super) compared: Counters<OfForetold>,
    pub(super) decision: Histogram,
    pub(super) exits: Counters<OfExit>,
    pub(super) encoder_wait: Histogram,
    pub(super) encoder_queue: Gauge,
    pub(super) log_append: Histogram,
    pub(super) log_failures: Counter,
    pub(super) log_queue: Gauge,
    pub(super) log_queue_max: Gauge,
    pub(super) breaker: Family<OfState, Gauge>,
    pub(super) available: Family<OfModel, Gauge>,
    pub(super) retries_left: Gauge,
    pub(super) ready: Gauge,
}

impl Metrics {
    /// Everything at zero.
    pub fn new(fleet: &Fleet) -> Self {
        let mut metrics = Self::unregistered();
        let mut registry = Registry::with_prefix("pointsman");
        metrics.register_requests(&mut registry);
        metrics.register_calls(&mut registry);
        metrics.register_own(&mut registry);
        metrics.registry = registry;
        metrics.begin(fleet);
        metrics
    }

    fn unregistered() -> Self {
        let [seconds, short] = [Scale(&SECONDS), Scale(&SHORT_SECONDS)];
        Self {
            registry: Registry::default(),
            received: Family::default(),
            rejected: Family::default(),
            auth_refusals: Family::default(),
            limit_refusals: Family::default(),
            requests: Family::default(),
            duration: Family::new_with_constructor(seconds),
            first_token: Family::new_with_constructor(seconds),
            in_flight: Family::default(),
            attempts: Family::default(),
            attempt_duration: Family::new_with_constructor(seconds),
            fallbacks: Family::default(),
            hedges: Family::default(),
            cache_lookups: Family::default(),
            cache_answers: Gauge::default(),
            cache_bytes: Gauge::default(),
            tokens: Family::default(),
            cost: Family::default(),
            ratio: Family::new_with_constructor(Scale(&RATIOS)),
            predicted: Family::default(),
            realised: Family::default(),
            compared: Family::default(),
            decision: short.new_metric(),
            exits: Family::default(),
            encoder_wait: short.new_metric(),
            encoder_queue: Gauge::default(),
            log_append: short.new_metric(),
            log_failures: Counter::default(),
            log_queue: Gauge::default(),
            log_queue_max: Gauge::default(),
            breaker: Family::default(),
            available: Family::default(),
            retries_left: Gauge::default(),
            ready: Gauge::default(),
        }
    }

    fn register_requests(&self, to: &mut Registry) {
        put(
            to,
            "received_requests",
            "Requests for an answer, by the way they came",
            &self.received,
        );
        put(to, "rejected_requests", "Those that did not pass their checks", &self.rejected);
        let help = "Calls that were refused for want of a right, by what was wrong";
        put(to, "auth_refusals", help, &self.auth_refusals);
        let help = "Calls that were refused because a limit of the key or its team was used up";
        put(to, "limit_refusals", help, &self.limit_refusals);
        put(
            to,
            "requests",
            "Requests by how they ended and which model served them",
            &self.requests,
        );
        put(to, "request_duration_seconds", "From arrival to the end", &self.duration);
        let help = "Streams: from arrival to the first content, by the deployment that gave it";
        put(to, "time_to_first_token_seconds", help, &self.first_token);
        put(to, "requests_in_flight", "Requests under way", &self.in_flight);
        let help = "Answers by another deployment than the one ranked first, and how that failed";
        put(to, "fallbacks", help, &self.fallbacks);
        let help =
            "Requests that a kept answer was looked for: the same was there, a near one, none";
        put(to, "cache_lookups", help, &self.cache_lookups);
        put(to, "cache_answers", "Answers kept to be given again", &self.cache_answers);
        put(to, "cache_bytes", "Their bytes", &self.cache_bytes);
        put(to, "hedges", "Hedged calls that answered first (won) or not (lost)", &self.hedges);
    }

    fn register_calls(&self, to: &mut Registry) {
        put(to, "attempts", "Calls of deployments, by how they ended", &self.attempts);
        put(to, "attempt_duration_seconds", "Calls, whole", &self.attempt_duration);
        let help = "Tokens billed; cached and cache_written are part of input, reasoning of output";
        put(to, "tokens", help, &self.tokens);
        put(to, "cost_usd", "What calls cost, failed ones included, in USD", &self.cost);
        let help = "What an answer took over what was predicted of it: 1 is right";
        put(to, "prediction_ratio", help, &self.ratio);
        let help =
            "Sum of what was predicted of the answers compared: USD, tokens, seconds, quality";
        put(to, "predicted", help, &self.predicted);
        put(to, "realised", "Sum of what came of the same answers", &self.realised);
        let help = "Answers whose prediction was compared with what came, of quality by a score";
        put(to, "compared_answers", help, &self.compared);
        put(to, "breaker_state", "1 for the state that a breaker is in", &self.breaker);
        let help = "Whether a deployment can be called now";
        put(to, "deployment_available", help, &self.available);
        let help = "Second calls of a deployment that may still be made in these ten seconds";
        put(to, "retry_budget_left", help, &self.retries_left);
    }

    fn register_own(&self, to: &mut Registry) {
        put(to, "decision_duration_seconds", "Reading, predicting and ranking", &self.decision);
        put(
            to,
            "encoder_exits",
            "Prompts by how deep the encoder read: 0 is the first exit",
            &self.exits,
        );
        let help = "Waiting for the encoder's deep exit and being read by it";
        put(to, "encoder_wait_seconds", help, &self.encoder_wait);
        put(to, "encoder_queue_length", "Prompts that wait for it", &self.encoder_queue);
        put(to, "outcome_append_seconds", "Until an outcome was on disk", &self.log_append);
        put(
            to,
            "outcome_append_failures",
            "Outcomes that the log did not take",
            &self.log_failures,
        );
        put(to, "outcome_queue_length", "Outcomes that wait to be written", &self.log_queue);
        put(to, "outcome_queue_limit", "The most that may wait", &self.log_queue_max);
        put(to, "ready", "Whether new work is wanted here", &self.ready);
        let build: Family<OfVersion, Gauge> = Family::default();
        build.get_or_create(&OfVersion { version: env!("CARGO_PKG_VERSION") }).set(1);
        put(to, "build_info", "The version that runs", &build);
    }

    /// Makes what is known to come.
    fn begin(&self, fleet: &Fleet) {
        for face in Face::ALL {
            let _ = self.received.get_or_create(&OfFace { face });
            let _ = self.rejected.get_or_create(&OfFace { face });
        }
        for reason in AUTH_REFUSALS {
            let _ = self.auth_refusals.get_or_create(&OfReason { reason });
        }
        for limit in LIMITS {
            let _ = self.limit_refusals.get_or_create(&OfLimit { limit });
        }
        for result in ["hit", "near_hit", "miss"] {
            let _ = self.cache_lookups.get_or_create(&OfResult { result });
        }
        for result in ["won", "lost"] {
            let _ = self.hedges.get_or_create(&OfResult { result });
        }
        for delivery in Delivery::ALL {
            let _ = self.in_flight.get_or_create(&OfDelivery { delivery });
        }
        for it in fleet.deployments() {
            let (deployment, model) = (it.id.to_string(), it.model.name.to_string());
            for quantity in FORETOLD {
                let label = OfForetold { model: model.clone(), quantity };
                let _ = self.predicted.get_or_create(&label);
                let _ = self.realised.get_or_create(&label);
                let _ = self.compared.get_or_create(&label);
            }
            let _ = self.requests.get_or_create(&OfEnd { end: "served".to_owned(), model });
            let _ = self.cost.get_or_create(&OfDeployment { deployment: deployment.clone() });
            let _ = self.attempts.get_or_create(&OfClass { deployment, class: "answered" });
        }
    }
}

fn put(to: &mut Registry, name: &str, help: &str, metric: &(impl Metric + Clone)) {
    to.register(name, help, metric.clone());
}
