//! A made-up model: how fast, how long, how good and how faulty it is.
//!
//! In: a description. Out: what one call draws from it. Invariant: the draws of a call come in a
//! fixed order and number, so that no fault shifts another draw. Not here: the content of answers.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::faults::{FaultRates, Flap};
use crate::domain::Fault;

/// Longest answer drawn, in tokens: above what any provider returns in one answer today.
const OUTPUT_TOKENS_MAX: f64 = 128_000.0;

/// Longest that one call is made to wait: above every client's timeout.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(600);

/// How many tokens the answers have: log-normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputTokens {
    /// Half of the answers are shorter, in tokens.
    pub median: f64,
    /// Standard deviation of the logarithm; 0 for always the median.
    pub sigma: f64,
}

/// A made-up model. Every number may be nonsense: times are clamped to ten minutes, lengths to
/// 1 to 128,000 tokens, shares to [0, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedModel {
    /// The name in the request's `model`.
    pub model_id: String,
    /// Median time until the answer begins.
    pub ttft: Duration,
    /// Median speed of the answer, in tokens per second.
    pub tokens_per_s: f64,
    /// Standard deviation of the logarithm of both times; 0 for always the median.
    pub jitter: f64,
    /// Length of its answers.
    pub output_tokens: OutputTokens,
    /// The chance of a right answer, in [0, 1]. The answer's first word says which it is.
    pub quality: f64,
    /// Faults by rate, when the script has run out.
    pub faults: FaultRates,
    /// Faults of the next calls, in order.
    pub script: Vec<Fault>,
    /// Whether it comes and goes.
    pub flap: Option<Flap>,
    /// Whether what it says depends on the conversation alone, not on the call's number: then a
    /// request that ends with a begun answer of its own gets the rest of it.
    pub continues: bool,
    /// What stands for the model's name where its words are drawn: models of one voice, and of the
    /// same length and quality, say the same, so that one goes on with what another began.
    pub voice: Option<String>,
    /// Factor on the model's own times: 1 as described, 0 for answers at once.
    pub time_scale: f64,
}

/// What one call drew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Draw {
    /// Until the answer begins, scaled.
    pub(super) first_token: Duration,
    /// For each token after that, in seconds, scaled.
    pub(super) token_s: f64,
    /// Length of the answer, were there no limit.
    pub(super) tokens: usize,
    /// Whether the answer is right.
    pub(super) right: bool,
}

impl SimulatedModel {
    /// A healthy model of ordinary speed: 300 ms and then 80 tokens per second.
    pub fn new(model_id: &str) -> Self {
        Self {
            model_id: model_id.to_owned(),
            ttft: Duration::from_millis(300),
            tokens_per_s: 80.0,
            jitter: 0.25,
            output_tokens: OutputTokens { median: 120.0, sigma: 0.6 },
            quality: 0.8,
            faults: FaultRates::none(),
            script: Vec::new(),
            flap: None,
            continues: true,
            voice: None,
            time_scale: 1.0,
        }
    }

    /// A healthy model that answers at once, for tests.
    pub fn instant(model_id: &str) -> Self {
        Self { time_scale: 0.0, ..Self::new(model_id) }
    }

    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> Draw {
        let first_s = self.ttft.as_secs_f64() * log_normal(self.jitter, rng) * self.time_scale;
        let token_s = log_normal(self.jitter, rng) / self.tokens_per_s * self.time_scale;
        let tokens = self.output_tokens.median * log_normal(self.output_tokens.sigma, rng);
        let right = rng.random::<f64>() < self.quality;
        Draw {
            first_token: seconds(first_s),
            token_s,
            tokens: tokens.clamp(1.0, OUTPUT_TOKENS_MAX).round() as usize,
            right,
        }
    }
}

/// A time in seconds as a duration between zero and [`WAIT_MAX`]; NaN is zero.
pub(super) fn seconds(time_s: f64) -> Duration {
    Duration::from_secs_f64(time_s.max(0.0).min(WAIT_MAX.as_secs_f64()))
}

/// exp(sigma z) for a standard normal z (Box and Muller, 1958): median 1.
fn log_normal(sigma: f64, rng: &mut ChaCha8Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    let normal = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
    (sigma * normal).exp()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn medians_and_shares_are_met() {
        let model = SimulatedModel::new("m");
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut draws: Vec<_> = (0..4001).map(|_| model.draw(&mut rng)).collect();
        let right = draws.iter().filter(|it| it.right).count() as f64 / 4001.0;
        assert!((right - model.quality).abs() < 0.03, "{right}");
        draws.sort_by_key(|it| it.first_token);
        assert!((draws[2000].first_token.as_secs_f64() - 0.3).abs() < 0.02);
        draws.sort_by_key(|it| it.tokens);
        assert!((draws[2000].tokens as f64 - 120.0).abs() < 10.0);
    }

    #[test]
    fn nonsense_is_clamped() {
        let check = |model: SimulatedModel| {
            let draw = model.draw(&mut ChaCha8Rng::seed_from_u64(1));
            assert!((1..=128_000).contains(&draw.tokens) || model.output_tokens.median.is_nan());
            assert!(draw.first_token <= WAIT_MAX);
            assert!(seconds(draw.token_s * 1e9) <= WAIT_MAX);
        };
        let base = SimulatedModel::new("m");
        check(SimulatedModel { tokens_per_s: 0.0, ..base.clone() });
        check(SimulatedModel { time_scale: f64::NAN, jitter: f64::INFINITY, ..base.clone() });
        let output_tokens = OutputTokens { median: f64::NAN, sigma: 1.0 };
        check(SimulatedModel { output_tokens, ..base.clone() });
        let output_tokens = OutputTokens { median: 1e300, sigma: 9.0 };
        check(SimulatedModel { output_tokens, ttft: Duration::MAX, ..base });
    }
}
