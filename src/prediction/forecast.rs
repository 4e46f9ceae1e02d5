//! Distributions, small enough to log: log-normal output tokens, and what follows from them.
//!
//! In: the trunk's means and spreads, prices, speeds. Out: [`Prediction`] with means, quantiles and
//! the chance of staying inside a limit. Invariant: `chance_within` is monotone in its limit and
//! never NaN. Cost and latency are both `fixed + per_token * tokens`, so one type serves both.

use serde::{Deserialize, Serialize};

use crate::domain::{DeploymentId, Price, Probability};

/// Log-normal number of output tokens, cut at the most the request allows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogNormal {
    /// Mean of the natural logarithm.
    pub mu: f64,
    /// Standard deviation of the natural logarithm; at least 0.
    pub sigma: f64,
    /// No draw is larger than this.
    pub cap: f64,
}

impl LogNormal {
    /// The expected number of tokens, `E[min(X, cap)]`.
    pub fn mean(&self) -> f64 {
        if self.sigma <= 0.0 {
            return self.mu.exp().min(self.cap);
        }
        let at_cap = (self.cap.ln() - self.mu) / self.sigma;
        let whole = (self.mu + self.sigma * self.sigma / 2.0).exp();
        let below = whole * normal_cdf(at_cap - self.sigma);
        let above = if self.cap.is_finite() { self.cap * (1.0 - normal_cdf(at_cap)) } else { 0.0 };
        (below + above).min(self.cap)
    }

    /// The number of tokens that is exceeded half of the time.
    pub fn median(&self) -> f64 {
        self.mu.exp().min(self.cap)
    }

    /// The number of tokens that is not exceeded with probability `p`.
    pub fn quantile(&self, p: f64) -> f64 {
        (self.mu + self.sigma * normal_quantile(p)).exp().min(self.cap)
    }

    /// The chance of at most `tokens`.
    pub fn chance_within(&self, tokens: f64) -> f64 {
        if tokens.is_nan() || tokens < 0.0 {
            return 0.0;
        }
        if tokens >= self.cap {
            return 1.0;
        }
        if self.sigma <= 0.0 {
            return f64::from(u8::from(self.mu.exp() <= tokens));
        }
        normal_cdf((tokens.ln() - self.mu) / self.sigma)
    }
}

/// A quantity that grows with the output tokens: USD, or seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// What is due before the first token.
    pub fixed: f64,
    /// What each output token adds.
    pub per_token: f64,
    /// The output tokens, with the spread that belongs to this quantity.
    pub tokens: LogNormal,
}

impl Forecast {
    /// Its expected value.
    pub fn mean(&self) -> f64 {
        self.fixed + self.per_token * self.tokens.mean()
    }

    /// The value that is exceeded half of the time.
    pub fn median(&self) -> f64 {
        self.fixed + self.per_token * self.tokens.median()
    }

    /// The value not exceeded with probability `p`.
    pub fn quantile(&self, p: f64) -> f64 {
        self.fixed + self.per_token * self.tokens.quantile(p)
    }

    /// The chance of staying at or below `limit`.
    pub fn chance_within(&self, limit: f64) -> f64 {
        if self.per_token <= 0.0 {
            return f64::from(u8::from(self.fixed <= limit));
        }
        self.tokens.chance_within((limit - self.fixed) / self.per_token)
    }
}

/// How good an answer is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QualityEstimate {
    /// Expected quality, 0 to 1.
    pub mean: Probability,
    /// Standard deviation of what is believed of that expectation (not of single answers).
    pub spread: f64,
}

/// Input that a provider is expected to read from its prompt cache, and not anew.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CachedInput {
    /// Tokens, counted as [`Prediction::input_tokens`] are.
    pub tokens: f64,
    /// What they cost less there than read anew, USD.
    pub saves_usd: f64,
}

impl CachedInput {
    /// None: what is expected where nothing is known of a session.
    pub const NONE: Self = Self { tokens: 0.0, saves_usd: 0.0 };

    fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// What one deployment is expected to do with one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Whose.
    pub deployment: DeploymentId,
    /// How good.
    pub quality: QualityEstimate,
    /// Input tokens, estimated for this model.
    pub input_tokens: f64,
    /// Output tokens.
    pub output_tokens: LogNormal,
    /// Cost of the answer, USD, with all input read anew: a cache is never certain, so limits go by this.
    pub cost_usd: Forecast,
    /// What its provider's prompt cache is expected to hold; records from before it was known have none.
    #[serde(default, skip_serializing_if = "CachedInput::is_none")]
    pub cached: CachedInput,
    /// Time to the first token, milliseconds, median.
    pub ttft_ms: f64,
    /// Standard deviation of its natural logarithm; at least 0. Records from before it was kept have 0:
    /// what was decided then was decided by the median alone.
    #[serde(default)]
    pub ttft_sigma: f64,
    /// Time to the whole answer, seconds.
    pub latency_s: Forecast,
}

impl Prediction {
    /// Cost of the answer, USD, expected: what is hoped of the cache is taken off.
    pub fn expected_cost_usd(&self) -> f64 {
        self.cost_usd.mean() - self.cached.saves_usd
    }

    /// The same with so many input tokens expected from the cache, at the price that they have there;
    /// where the price list names none, they cost what others do. The time to the first token stays:
    /// it is not predicted by the length of the prompt, and vendors only say by how much a cache may
    /// shorten it at most (OpenAI: up to 80 %, prompt caching guide, 2026-03).
    pub fn reusing(self, tokens: f64, price: &Price) -> Self {
        let (anew, again) = (price.input, price.cached.unwrap_or(price.input));
        let saves = (anew.usd_per_token() - again.usd_per_token()).max(0.0);
        let tokens = tokens.clamp(0.0, self.input_tokens.max(0.0));
        Self { cached: CachedInput { tokens, saves_usd: tokens * saves }, ..self }
    }

    /// The time to the first token that is not exceeded with probability `p`, milliseconds.
    pub fn ttft_quantile_ms(&self, p: f64) -> f64 {
        if self.ttft_sigma <= 0.0 {
            return self.ttft_ms;
        }
        self.ttft_ms * (self.ttft_sigma * normal_quantile(p)).exp()
    }

    /// The chance that the first token comes within `limit_ms`.
    pub fn ttft_chance_within(&self, limit_ms: f64) -> f64 {
        if self.ttft_sigma <= 0.0 || self.ttft_ms <= 0.0 {
            return f64::from(u8::from(self.ttft_ms <= limit_ms));
        }
        let ttft = LogNormal { mu: self.ttft_ms.ln(), sigma: self.ttft_sigma, cap: f64::INFINITY };
        ttft.chance_within(limit_ms)
    }
}

/// The standard normal distribution function; absolute error below 1e-7.
fn normal_cdf(x: f64) -> f64 {
    // Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.2.17.
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let tail = series.iter().rev().fold(0.0, |sum, it| (sum + it) * t);
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x >= 0.0 { 1.0 - density * tail } else { density * tail }
}

/// The inverse of [`normal_cdf`], by bisection of [-8, 8]; `p` outside (0, 1) gives the ends.
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    // 50 halvings of 16 leave 1e-14, far below the error of the distribution function itself.
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if normal_cdf(middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::TokenPrice;

    #[test]
    fn the_normal_distribution_matches_its_table() {
        for (x, wanted) in
            [(0.0, 0.5), (1.0, 0.841_344_746), (-1.959_964, 0.025), (3.0, 0.998_650_1)]
        {
            assert!((normal_cdf(x) - wanted).abs() < 1e-6, "{x}");
        }
        for p in [0.01, 0.3, 0.5, 0.9, 0.999] {
            assert!((normal_cdf(normal_quantile(p)) - p).abs() < 1e-6, "{p}");
        }
    }

    #[test]
    fn the_capped_mean_matches_a_sum_over_quantiles() {
        for cap in [f64::INFINITY, 400.0, 100.0] {
            let tokens = LogNormal { mu: 5.0, sigma: 0.8, cap };
            let steps = 20_000;
            let sum: f64 = (0..steps)
                .map(|it| tokens.quantile((f64::from(it) + 0.5) / f64::from(steps)))
                .sum();
            let naive = sum / f64::from(steps);
            assert!((tokens.mean() / naive - 1.0).abs() < 2e-3, "{cap}: {} {naive}", tokens.mean());
        }
    }

    #[test]
    fn a_cache_lowers_what_is_expected_and_no_limit() {
        let price = |usd| TokenPrice::per_million(usd).unwrap();
        let tokens = LogNormal { mu: 5.0, sigma: 0.0, cap: 1_000.0 };
        let cost_usd = Forecast { fixed: 0.003, per_token: 0.0, tokens };
        let plain = Prediction {
            deployment: DeploymentId::new("m@p").unwrap(),
            quality: QualityEstimate { mean: Probability::ONE, spread: 0.0 },
            input_tokens: 3_000.0,
            output_tokens: tokens,
            cost_usd,
            cached: CachedInput::NONE,
            ttft_ms: 1.0,
            ttft_sigma: 0.0,
            latency_s: cost_usd,
        };
        let check = |tokens: f64, cached: Option<f64>, wanted: (f64, f64)| {
            let price =
                Price { cached: cached.map(price), ..Price::of(price(1.0), TokenPrice::FREE) };
            let found = plain.clone().reusing(tokens, &price);
            let figures = (found.cached.tokens, found.expected_cost_usd());
            assert!((figures.1 - wanted.1).abs() < 1e-12, "{tokens} {cached:?}: {figures:?}");
            assert_eq!((figures.0, found.cost_usd), (wanted.0, cost_usd));
        };
        check(2_000.0, Some(0.1), (2_000.0, 0.003 - 0.0018));
        check(9_000.0, Some(0.1), (3_000.0, 0.0003));
        check(2_000.0, None, (2_000.0, 0.003));
        check(2_000.0, Some(5.0), (2_000.0, 0.003));
        assert_eq!(plain.expected_cost_usd(), 0.003);
    }

    #[test]
    fn chances_hold_at_the_edges() {
        let tokens = LogNormal { mu: 5.0, sigma: 0.8, cap: 1000.0 };
        let cost = Forecast { fixed: 1.0, per_token: 0.01, tokens };
        assert_eq!(cost.chance_within(0.5), 0.0);
        assert_eq!(cost.chance_within(11.0), 1.0);
        assert!((cost.chance_within(cost.quantile(0.9)) - 0.9).abs() < 1e-6);
        let free = Forecast { fixed: 0.0, per_token: 0.0, tokens };
        assert_eq!(free.chance_within(0.0), 1.0);
        assert_eq!(cost.chance_within(f64::NAN), 0.0);
    }
}
