//! What operators are told of requests and of the whole: figures, one line per request, the end.
//!
//! In: requests that ended. Out: counts, a log line without content, the text of `/metrics`.
//! Invariant: changes no decision. Not here: what the figures are called (see [`crate::telemetry`]).

use std::time::Duration;

use super::{Decision, Pipeline, Works};
use crate::dispatch::Dispatched;
use crate::dispatch::health::Condition;
use crate::outcome::OutcomeRecord;
use crate::telemetry::{Delivery, Exposition, Metrics, Seen, Standing, States};

impl Works {
    /// Counts a request that ended, and tells the log of it.
    pub(super) fn observe(
        &self,
        decision: &Decision,
        dispatched: Option<&Dispatched>,
        record: &OutcomeRecord,
        delivery: Delivery,
    ) {
        self.metrics.ended(&Seen {
            ranking: decision.verdict.as_ref().ok(),
            dispatched,
            end: &record.end,
            delivery,
            total_ms: record.total_ms,
            decide_us: decision.decide_us,
            encoder_exit: decision.encoder_exit,
        });
        if let Some(dispatched) = dispatched.filter(|_| record.cached.is_none()) {
            self.expected.note(decision, dispatched);
        }
        let served = record.served.as_ref().map_or("none", |it| it.as_str());
        tracing::info!(
            decision = %decision.id,
            end = record.end,
            served,
            attempts = record.attempts.len(),
            total_ms = record.total_ms,
            cost_usd = record.cost_usd.get(),
            cached = record.cached.is_some(),
            "request"
        );
    }
}

impl Pipeline {
    /// The figures, to be counted into by whoever takes requests.
    pub fn metrics(&self) -> &Metrics {
        &self.works.metrics
    }

    /// The figures as text, with how everything stands now; `ready` is whether work is wanted.
    pub fn metrics_text(&self, ready: bool, format: Exposition) -> String {
        let judge = &self.works.judge;
        let (log_queue, log_queue_max) = self.works.log.waiting();
        let states = States {
            fleet: self.standings(),
            encoder_queue: judge.encoder_queue(),
            log_queue,
            log_queue_max,
            retries_left: judge.health.retries_left(judge.health.now()),
            ready,
        };
        self.works.metrics.text(&states, format)
    }

    fn standings(&self) -> Vec<Standing> {
        let (conditions, _) = self.conditions();
        let availability = self.availability();
        let standing = |it: Condition| {
            let fleet = self.fleet().deployments().iter();
            let deployment = fleet.into_iter().find(|of| of.id == it.deployment)?;
            Some(Standing {
                deployment: it.deployment.to_string(),
                model: deployment.model.name.to_string(),
                phase: it.phase,
                available: availability.of(&it.deployment).is_none(),
            })
        };
        conditions.into_iter().filter_map(standing).collect()
    }

    /// Ends every request under way: its call is dropped, its caller told, its outcome recorded.
    pub fn cut(&self) {
        self.works.cut.cancel();
    }

    /// Waits until every request under way has ended and its outcome is on disk, for `patience` at
    /// most; then says how many have not.
    pub async fn settle(&self, patience: Duration) -> usize {
        self.tasks.close();
        // What is over is told by the number.
        let _ = tokio::time::timeout(patience, self.tasks.wait()).await;
        self.tasks.len()
    }
}
