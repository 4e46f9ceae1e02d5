//! What the newest requests were like, kept in memory for whoever looks at the dashboard.
//!
//! In: requests that ended, scores. Out: [`Glance`]: traffic by the second, what the newest decisions
//! had to choose from, predicted against real times, predicted against realised quality. Invariant:
//! bounded by constants here, whatever comes; no prompt, answer, key, id or metadata of a request is in
//! it; it begins empty with the process. Not here: sums since the start (see [`super::Metrics`]).

mod calibration;
mod frontier;
mod latency;
mod past;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Seen;
use crate::catalog::Fleet;
use crate::dispatch::ChainEnd;
use crate::domain::DeploymentId;
use calibration::Bins;
pub use calibration::CalibrationBin;
pub use frontier::{Alone, Frontier, Point, Step};
pub use latency::{LATENCY_QUANTILES, LatencyFigures};
use past::Past;
use traffic::Traffic;
pub use traffic::{SECONDS_MAX, Second};

/// Decisions that are remembered, the newest: enough for a p99, some 2 MB at the most candidates that
/// are kept of each.
const DECISIONS_MAX: usize = 1_024;

/// The newest requests of one pipeline.
pub struct History {
    /// Everyone's place in the fleet.
    places: HashMap<DeploymentId, u16>,
    names: Arc<[DeploymentId]>,
    kept: Mutex<Kept>,
}

struct Kept {
    traffic: Traffic,
    past: VecDeque<Arc<Past>>,
    bins: Bins,
}

/// The newest requests at one moment.
pub struct Glance {
    names: Arc<[DeploymentId]>,
    past: Vec<Arc<Past>>,
    /// Requests by the second they ended in, oldest first; the last is the second asked for.
    pub seconds: Vec<Second>,
    /// Scored answers by what was expected of them, each tenth of quality.
    pub calibration: Vec<CalibrationBin>,
}

impl History {
    /// Nothing yet.
    pub fn new(fleet: &Fleet) -> Self {
        let names: Arc<[_]> = fleet.deployments().iter().map(|it| it.id.clone()).collect();
        let places = names.iter().cloned().zip(0..).collect();
        let (traffic, bins) = (Traffic::new(), Bins::default());
        let past = VecDeque::with_capacity(DECISIONS_MAX);
        Self { places, names, kept: Mutex::new(Kept { traffic, past, bins }) }
    }

    /// A request ended, at a moment in milliseconds since 1970 UTC.
    pub fn ended(&self, seen: &Seen<'_>, at_unix_ms: u64) {
        let past = Past::of(seen, &self.places).map(Arc::new);
        let second = second_of(seen);
        let mut kept = self.kept();
        kept.traffic.note(at_unix_ms / 1_000, second);
        let Some(past) = past else { return };
        if kept.past.len() == DECISIONS_MAX {
            kept.past.pop_front();
        }
        kept.past.push_back(past);
    }

    /// Somebody scored an answer of which this quality was expected.
    pub fn scored(&self, expected: f64, score: f64) {
        self.kept().bins.note(expected, score);
    }

    /// How it is now, with so many seconds of traffic, at most [`SECONDS_MAX`].
    pub fn glance(&self, now_unix_ms: u64, seconds: usize) -> Glance {
        let kept = self.kept();
        Glance {
            names: Arc::clone(&self.names),
            past: kept.past.iter().cloned().collect(),
            seconds: kept.traffic.until(now_unix_ms / 1_000, seconds),
            calibration: kept.bins.told(),
        }
    }

    /// Nothing panics while it holds the lock, so what a poisoned one holds is whole.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request as traffic counts it. A fallback is what `pointsman_fallbacks_total` counts.
fn second_of(seen: &Seen<'_>) -> Second {
    let first = seen.ranking.and_then(|it| it.entries.first());
    let called = seen.dispatched.is_some_and(|it| !it.attempts.is_empty());
    let (answered, fell_back) = match seen.dispatched.map(|it| &it.end) {
        Some(ChainEnd::Served { deployment, .. }) => {
            (true, called && first.is_some_and(|it| it.deployment.id != deployment.id))
        }
        Some(ChainEnd::Broken { .. } | ChainEnd::Failed(_)) | None => (false, false),
    };
    Second { ended: 1, answered: answered.into(), fell_back: fell_back.into() }
}
