//! What a deployment's speed has lately been, against what was believed of it beforehand.
//!
//! In: [`SpeedSample`]s, the time. Out: for each deployment a [`Pace`], which predictions are made
//! with. Invariant: a plain value, its clock an argument; a deployment of which nothing was seen has
//! the prior's pace exactly; at most six memories of 4 KiB each per deployment, and only
//! deployments of the fleet are observed. Not here: what one call says (see [`sample`]).
//!
//! Three things are measured: time to the first token, time per token, and the whole answer. Each is
//! remembered twice. The short memory says what the deployment does now; it forgets within minutes, so
//! that who was slow and is asked no more comes back. The long one says what it does as a rule: what
//! the short one fades to, instead of to a belief that was never right; and the spread.
//! Where little was seen, a belief counts as [`PRIOR_WEIGHT`] samples: the catalog's speed beside the
//! long memory, the long one beside the short; the whole answer's beside its parts', since an answer
//! in one piece shows no parts.

mod coverage;
mod memory;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::forecast::LogNormal;
use crate::domain::DeploymentId;
use coverage::Coverage;
use memory::{HalfLife, Memory, is_ratio};
pub use sample::{Manner, SpeedSample, Took};

/// What a deployment does now: the last quarter of an hour, or the last 30 samples.
const SHORT: HalfLife = HalfLife { samples: 10.0, time: Duration::from_secs(2 * 60) };
/// What it does as a rule: the last hours, or the last 300 samples.
const LONG: HalfLife = HalfLife { samples: 100.0, time: Duration::from_secs(30 * 60) };
/// Weight of a belief about how fast a deployment is, in samples: one slow answer changes little, ten
/// change most.
const PRIOR_WEIGHT: f64 = 6.0;
/// Weight of a belief about how far it strays: tails take more samples than medians do. As in training.
const SPREAD_WEIGHT: f64 = 20.0;
/// How far the time to a first token strays before anything was measured: its p99 is 4.5 medians, its
/// p95 2.9.
pub(super) const TTFT_SIGMA: f64 = 0.65;
/// No spread outside is believed: a deployment that was even for an hour can stray, and one that stood
/// still for a minute is no lottery for ever.
const SIGMA_MIN: f64 = 0.05;
const SIGMA_MAX: f64 = 1.5;
/// Where the normal distribution reaches 0.95.
const NORMAL_95: f64 = 1.644_853_6;
/// Memories per deployment: two for each of three measures.
#[cfg(test)]
const MEMORIES: usize = 6;

/// How fast a deployment is, as factors on its believed speed, and how far it strays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// On the time to the first token.
    pub first: f64,
    /// On the time per output token.
    pub token: f64,
    /// Standard deviation of the logarithm of the time to the first token.
    pub ttft_sigma: f64,
    /// The same of the whole latency when the tokens are known.
    pub speed_sigma: f64,
    /// What the spread of the whole latency is multiplied by, so that 90 % intervals hold 90 %.
    pub width: f64,
}

impl Pace {
    /// Of a deployment of which nothing was measured; `speed_sigma` is what training saw.
    pub fn prior(speed_sigma: f64) -> Self {
        Self { first: 1.0, token: 1.0, ttft_sigma: TTFT_SIGMA, speed_sigma, width: 1.0 }
    }
}

/// What was measured at a deployment: quantiles over some 150 calls, the later the heavier, fading by
/// half in half an hour.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LiveFigures {
    /// Calls that said anything of its speed since the server started.
    pub samples: u64,
    /// Time to the first token, as ratios to the believed one: p50 and p95.
    pub ttft: Option<[f64; 2]>,
    /// Time per output token, as a ratio to the believed one: p50.
    pub token: Option<f64>,
    /// Whole answers' time, as ratios to the believed time for as many tokens: p50 and p95.
    pub latency: Option<[f64; 2]>,
    /// The share of the last 100 answers or so whose time lay in the central 90 % of its forecast.
    pub coverage_90: Option<f64>,
}

/// One measure, remembered twice.
#[derive(Debug, Clone)]
struct Measure {
    short: Memory,
    long: Memory,
}

impl Default for Measure {
    fn default() -> Self {
        Self { short: Memory::new(SHORT), long: Memory::new(LONG) }
    }
}

impl Measure {
    fn add(&mut self, ratio: f64, now: Duration) {
        self.short.add(ratio, now);
        self.long.add(ratio, now);
    }

    /// The logarithm of the factor, where it is believed to be `prior`.
    fn ln_factor(&self, prior: f64, now: Duration) -> f64 {
        [&self.long, &self.short].into_iter().fold(prior, |prior, memory| {
            let seen = memory.median().map(|it| (it.ln(), memory.samples(now)));
            blend(seen, (prior, PRIOR_WEIGHT))
        })
    }

    /// How far it strays upwards, where it is believed to stray by `prior`: limits are upper ones.
    fn sigma(&self, prior: f64, now: Duration) -> f64 {
        let (median, high) = (self.long.median(), self.long.quantile(0.95));
        let seen = median.zip(high).map(|(median, high)| {
            let sigma = (high / median).ln() / NORMAL_95;
            (sigma.clamp(SIGMA_MIN, SIGMA_MAX), self.long.samples(now))
        });
        blend(seen, (prior, SPREAD_WEIGHT))
    }

    fn p50_p95(&self) -> Option<[f64; 2]> {
        let (median, high) = (self.long.median()?, self.long.quantile(0.95)?);
        Some([median, high])
    }
}

/// The mean of what was seen and what was believed, each by its weight; the belief, to the last bit,
/// where nothing was seen.
fn blend(seen: Option<(f64, f64)>, (prior, weight): (f64, f64)) -> f64 {
    let Some((seen, samples)) = seen else { return prior };
    prior + (seen - prior) * samples / (samples + weight)
}

/// One deployment.
#[derive(Debug, Clone, Default)]
struct Entry {
    first: Measure,
    token: Measure,
    whole: Measure,
    coverage: Coverage,
    samples: u64,
}

impl Entry {
    fn pace(&self, speed_sigma: f64, now: Duration) -> Pace {
        let whole = self.whole.ln_factor(0.0, now);
        Pace {
            first: self.first.ln_factor(whole, now).exp(),
            token: self.token.ln_factor(whole, now).exp(),
            ttft_sigma: self.first.sigma(TTFT_SIGMA, now),
            speed_sigma: self.whole.sigma(speed_sigma, now),
            width: self.coverage.width(now),
        }
    }

    fn observe(&mut self, sample: &SpeedSample, now: Duration) {
        let whole = self.whole.ln_factor(0.0, now);
        let first = self.first.ln_factor(whole, now);
        let first = sample.first.map(|it| ratio(it, first));
        let all = [first, sample.token, sample.whole.map(|it| ratio(it, whole))];
        if !all.into_iter().flatten().any(is_ratio) {
            return;
        }
        self.samples = self.samples.saturating_add(1);
        for (measure, ratio) in
            [&mut self.first, &mut self.token, &mut self.whole].into_iter().zip(all)
        {
            if let Some(ratio) = ratio {
                measure.add(ratio, now);
            }
        }
        if let Some(inside) = sample.inside {
            self.coverage.observe(inside, now);
        }
    }
}

/// What a time counts as, where the logarithm of its ratio is believed to be `mu` in the median.
fn ratio(took: Took, mu: f64) -> f64 {
    match took {
        Took::Exactly(ratio) => ratio,
        // Nonsense stays nonsense, and is ignored like any other.
        Took::AtLeast { ratio, sigma: _ } if !is_ratio(ratio) => ratio,
        Took::AtLeast { ratio, sigma } => {
            let believed = LogNormal { mu, sigma, cap: f64::INFINITY };
            let longer = f64::midpoint(believed.chance_within(ratio), 1.0);
            believed.quantile(longer).max(ratio)
        }
    }
}

/// What was measured at all deployments.
#[derive(Debug, Clone, Default)]
pub struct LiveStats(BTreeMap<DeploymentId, Entry>);

impl LiveStats {
    /// Takes in what a call said; numbers that are not positive and finite are ignored. `now` is on any
    /// clock that never goes back.
    pub fn observe(&mut self, deployment: &DeploymentId, sample: &SpeedSample, now: Duration) {
        if let Some(entry) = self.0.get_mut(deployment) {
            return entry.observe(sample, now);
        }
        self.0.entry(deployment.clone()).or_default().observe(sample, now);
    }

    /// How fast a deployment is now; `speed_sigma` is how far latency strays by what training saw.
    pub fn pace(&self, deployment: &DeploymentId, speed_sigma: f64, now: Duration) -> Pace {
        let entry = self.0.get(deployment);
        entry.map_or(Pace::prior(speed_sigma), |it| it.pace(speed_sigma, now))
    }

    /// What was measured at a deployment.
    pub fn figures(&self, deployment: &DeploymentId) -> LiveFigures {
        let Some(it) = self.0.get(deployment) else { return LiveFigures::default() };
        LiveFigures {
            samples: it.samples,
            ttft: it.first.p50_p95(),
            token: it.token.p50_p95().map(|[median, _]| median),
            latency: it.whole.p50_p95(),
            coverage_90: it.coverage.share(),
        }
    }
}
