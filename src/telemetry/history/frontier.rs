//! What the served artifact could do with the newest requests: quality against cost, for every worth
//! of a right answer, beside everyone alone and the policy in force.
//!
//! In: the offers of past decisions, a preference. Out: [`Frontier`]: means of *predicted* quality and
//! cost per request. Invariant: no limit of a request is loosened: only those are offered who passed
//! them. Pure.

use super::Glance;
use super::past::{Offer, Past};
use crate::domain::DeploymentId;
use crate::ranking::Preference;

/// Points of the curve: a right answer worth from [`WORTH_MIN_USD`] on, a third more each time.
const STEPS: i32 = 60;
/// So little that cost alone decides, whatever models cost today.
const WORTH_MIN_USD: f64 = 1e-6;
const STEP: f64 = 4.0 / 3.0;

/// A mean over requests.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// USD per request.
    pub cost_usd: f64,
    /// 0 to 1.
    pub quality: f64,
}

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// What a right answer is worth here, USD.
    pub worth_usd: f64,
    /// What comes of it.
    pub point: Point,
}

/// One deployment, as if it had answered every request that it was offered for.
#[derive(Debug, Clone, PartialEq)]
pub struct Alone {
    /// Which.
    pub deployment: DeploymentId,
    /// For how many requests it could have been chosen.
    pub offered: usize,
    /// What would have come of it.
    pub point: Point,
}

/// Quality against cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frontier {
    /// Over how many requests.
    pub requests: usize,
    /// By rising worth; equal points stand once.
    pub curve: Vec<Step>,
    /// In the fleet's order; who was never offered is left out.
    pub alone: Vec<Alone>,
    /// The policy in force; its regard for time may keep it off the curve. `None` without requests.
    pub policy: Option<Point>,
    /// Always the candidate with the highest predicted quality.
    pub always_best: Option<Point>,
}

impl Glance {
    /// What could be done with the newest requests; `preference` is the policy in force.
    pub fn frontier(&self, preference: &Preference) -> Frontier {
        let mean = |utility: &dyn Fn(&Offer) -> f64| mean(&self.past, utility);
        let Preference { cost_per_quality_usd, latency_per_quality_ms } = *preference;
        let policy = mean(&|it: &Offer| {
            it.quality - it.cost_usd / cost_per_quality_usd - it.latency_ms / latency_per_quality_ms
        });
        let step = |at: i32| {
            let worth_usd = WORTH_MIN_USD * STEP.powi(at);
            let point = mean(&|it: &Offer| it.quality - it.cost_usd / worth_usd)?;
            Some(Step { worth_usd, point })
        };
        let mut curve: Vec<_> = (0..=STEPS).filter_map(step).collect();
        curve.dedup_by(|next, before| next.point == before.point);
        let always_best = mean(&|it: &Offer| it.quality);
        Frontier { requests: self.past.len(), curve, alone: self.alone(), policy, always_best }
    }

    fn alone(&self) -> Vec<Alone> {
        let mut sums = vec![(0_usize, Point::default()); self.names.len()];
        for offer in self.past.iter().flat_map(|it| &it.offers) {
            let Some((count, sum)) = sums.get_mut(usize::from(offer.who)) else { continue };
            *count += 1;
            sum.cost_usd += offer.cost_usd;
            sum.quality += offer.quality;
        }
        let all = self.names.iter().zip(sums).filter(|(_, (count, _))| *count > 0);
        let alone = all.map(|(deployment, (offered, sum))| Alone {
            deployment: deployment.clone(),
            offered,
            point: divided(sum, offered),
        });
        alone.collect()
    }
}

fn mean(past: &[std::sync::Arc<Past>], utility: &dyn Fn(&Offer) -> f64) -> Option<Point> {
    let chosen = past
        .iter()
        .filter_map(|it| it.offers.iter().max_by(|a, b| utility(a).total_cmp(&utility(b))));
    let sum = chosen.fold(Point::default(), |sum, it| Point {
        cost_usd: sum.cost_usd + it.cost_usd,
        quality: sum.quality + it.quality,
    });
    (!past.is_empty()).then(|| divided(sum, past.len()))
}

fn divided(sum: Point, count: usize) -> Point {
    let count = count as f64;
    Point { cost_usd: sum.cost_usd / count, quality: sum.quality / count }
}
