//! How long answers took, beside how long they were expected to take.
//!
//! In: the answers of past decisions. Out: [`LatencyFigures`] of everyone and of each. Invariant: the
//! predicted quantile is that of the mixture of all predictions, so both sides tell the same kind of
//! figure. Pure.

use super::Glance;
use super::past::Answer;
use crate::domain::DeploymentId;

/// The quantiles told.
pub const LATENCY_QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
/// Halvings until a quantile of the mixture is found: to a millionth of its upper end.
const HALVINGS: usize = 20;
/// No prediction of ours reaches further: the chance beyond is one in ten thousand.
const FAR: f64 = 0.9999;

/// Times of answers, milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyFigures {
    /// Whose; `None`: everyone's.
    pub deployment: Option<DeploymentId>,
    /// How many answers.
    pub answers: usize,
    /// What was expected, at [`LATENCY_QUANTILES`].
    pub predicted_ms: [f64; 3],
    /// What it was.
    pub real_ms: [f64; 3],
    /// The share of answers inside their own predicted 90 %.
    pub within_p90: f64,
}

impl Glance {
    /// Everyone first, then each who answered, in the fleet's order.
    pub fn latencies(&self) -> Vec<LatencyFigures> {
        let all: Vec<Answer> = self.past.iter().filter_map(|it| it.answer).collect();
        let each = self.names.iter().zip(0_u16..).map(|(name, who)| {
            let own: Vec<_> = all.iter().filter(|it| it.who == who).copied().collect();
            figures(Some(name.clone()), &own)
        });
        std::iter::once(figures(None, &all)).chain(each).flatten().collect()
    }
}

fn figures(deployment: Option<DeploymentId>, of: &[Answer]) -> Option<LatencyFigures> {
    if of.is_empty() {
        return None;
    }
    let mut real: Vec<_> = of.iter().map(|it| it.took_ms).collect();
    real.sort_by(f64::total_cmp);
    let nearest = |p: f64| {
        let rank = (p * real.len() as f64).ceil() as usize;
        real[rank.clamp(1, real.len()) - 1]
    };
    let within = |it: &&Answer| it.took_ms <= it.expected_s.quantile(0.9) * 1_000.0;
    Some(LatencyFigures {
        deployment,
        answers: of.len(),
        predicted_ms: LATENCY_QUANTILES.map(|p| mixture_quantile_s(of, p) * 1_000.0),
        real_ms: LATENCY_QUANTILES.map(nearest),
        within_p90: of.iter().filter(within).count() as f64 / of.len() as f64,
    })
}

/// The time that a share `p` of what was expected stays below, seconds.
fn mixture_quantile_s(of: &[Answer], p: f64) -> f64 {
    let far = of.iter().map(|it| it.expected_s.quantile(FAR));
    let (mut low, mut high) = (0.0, far.fold(0.0, f64::max));
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        let chance: f64 = of.iter().map(|it| it.expected_s.chance_within(middle)).sum();
        if chance >= p * of.len() as f64 { high = middle } else { low = middle }
    }
    high
}
