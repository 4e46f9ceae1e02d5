//! What is looked up when somebody scrapes, instead of being counted.
//!
//! In: [`States`]. Out: the whole text. Invariant: scraping changes nothing but gauges, and two at the
//! same time set them to the same.

use super::families::Metrics;
use super::figures::Figures;
use super::labels::{OfModel, OfState};
use super::text::{self, Exposition};
use crate::dispatch::health::Phase;

/// How a deployment stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its id.
    pub deployment: String,
    /// The model that it serves.
    pub model: String,
    /// Where its breaker stands.
    pub phase: Phase,
    /// Whether it can be called now.
    pub available: bool,
}

/// How the server stands.
#[derive(Debug, Clone)]
pub struct States {
    /// Everyone of the fleet.
    pub fleet: Vec<Standing>,
    /// Prompts that wait for the encoder.
    pub encoder_queue: usize,
    /// Outcomes that wait to be written.
    pub log_queue: usize,
    /// The most of them that may wait.
    pub log_queue_max: usize,
    /// Second calls that may still be made.
    pub retries_left: u64,
    /// Whether new work is wanted.
    pub ready: bool,
}

/// The states of a breaker, by their names in `PointsmanAdmin.ListAvailability`.
const STATES: [&str; 4] = ["closed", "open", "half_open", "ramping"];

fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Closed => "closed",
        Phase::Open(_) => "open",
        Phase::Due | Phase::Probing(_) => "half_open",
        Phase::Ramping(_) => "ramping",
    }
}

impl Metrics {
    /// Everything as text.
    pub fn text(&self, states: &States, format: Exposition) -> String {
        self.take_in(states);
        text::write(&self.registry, format)
    }

    /// The same, one by one.
    pub fn figures(&self, states: &States) -> Figures {
        Figures::read(&self.text(states, Exposition::OpenMetrics))
    }

    fn take_in(&self, states: &States) {
        for it in &states.fleet {
            self.stand(it);
        }
        self.encoder_queue.set(count(states.encoder_queue));
        self.log_queue.set(count(states.log_queue));
        self.log_queue_max.set(count(states.log_queue_max));
        self.retries_left.set(i64::try_from(states.retries_left).unwrap_or(i64::MAX));
        self.ready.set(states.ready.into());
    }

    fn stand(&self, it: &Standing) {
        for name in STATES {
            let label = OfState { deployment: it.deployment.clone(), state: name };
            self.breaker.get_or_create(&label).set((name == state(it.phase)).into());
        }
        let label = OfModel { deployment: it.deployment.clone(), model: it.model.clone() };
        self.available.get_or_create(&label).set(it.available.into());
    }
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
