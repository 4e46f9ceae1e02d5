//! Intervals by resampling questions.
//!
//! In: how many questions there are, and a measure of them under weights. Out: the point value and
//! a central 95 % percentile interval (Efron and Tibshirani 1993, chapter 13). Invariant: whole
//! questions are drawn, never rows, since the answers of many models to one question stand or fall
//! together; the same seed gives the same interval on any number of threads. Not here: the measures.

use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Share of draws left out at each end.
const TAIL: f64 = 0.025;
/// With fewer draws than this share of all having a value there is no interval.
const VALID_SHARE_MIN: f64 = 0.9;

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Figure {
    /// On all questions as they are; `None` where the measure has no value.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// How often, and from which seed, questions are resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// How many times.
    pub draws: usize,
    /// Another seed draws other questions.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 400 draws: the ends of an interval are then good to about a tenth of its width.
    fn default() -> Self {
        Self { draws: 400, seed: 1 }
    }
}

impl Bootstrap {
    /// Figures of a measure that gives several values at once, each NaN where it has none. The
    /// measure sees how often each question counts. Values of one draw belong together, so a
    /// difference that the measure takes itself is a paired one.
    pub fn figures(
        &self,
        questions: usize,
        measure: impl Fn(&[u32]) -> Vec<f64> + Sync,
    ) -> Vec<Figure> {
        let values = measure(&vec![1; questions]);
        let drawn: Vec<Vec<f64>> = (0..self.draws)
            .into_par_iter()
            .map(|it| measure(&self.weights(it, questions)))
            .collect();
        let one = |(at, value): (usize, &f64)| {
            let mut seen: Vec<f64> = drawn
                .iter()
                .filter_map(|it| it.get(at).copied())
                .filter(|it| it.is_finite())
                .collect();
            seen.sort_unstable_by(f64::total_cmp);
            let enough =
                !seen.is_empty() && seen.len() as f64 >= VALID_SHARE_MIN * self.draws as f64;
            let end = |q: f64| enough.then(|| seen[((seen.len() - 1) as f64 * q).round() as usize]);
            Figure {
                value: Some(*value).filter(|it| it.is_finite()),
                low: end(TAIL),
                high: end(1.0 - TAIL),
            }
        };
        values.iter().enumerate().map(one).collect()
    }

    /// How often each question counts in one draw.
    fn weights(&self, draw: usize, questions: usize) -> Vec<u32> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(draw as u64);
        let mut weights = vec![0; questions];
        for _ in 0..questions {
            weights[random.random_range(0..questions)] += 1;
        }
        weights
    }
}

impl Figure {
    /// A value of which no interval is known.
    pub fn plain(value: Option<f64>) -> Self {
        Self { value, low: None, high: None }
    }

    /// The interval moved so that the value is its middle, not below 0. For measures that resampling
    /// itself raises, such as a calibration error: each draw adds noise of its own to every bin.
    #[must_use]
    pub fn centred(self) -> Self {
        let (Some(value), Some(low), Some(high)) = (self.value, self.low, self.high) else {
            return self;
        };
        let half = (high - low) / 2.0;
        Self { low: Some((value - half).max(0.0)), high: Some(value + half), ..self }
    }

    /// Whether the whole interval lies above 0.
    pub fn is_above_zero(&self) -> bool {
        self.low.is_some_and(|it| it > 0.0)
    }
}

impl fmt::Display for Figure {
    /// `0.731 [0.722, 0.740]`, a dash where there is no value.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value, self.low, self.high) {
            (None, _, _) => out.pad("-"),
            (Some(value), Some(low), Some(high)) => {
                out.pad(&format!("{value:.4} [{low:.4}, {high:.4}]"))
            }
            (Some(value), _, _) => out.pad(&format!("{value:.4}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64], weights: &[u32]) -> f64 {
        let sum: f64 = values.iter().zip(weights).map(|(it, w)| it * f64::from(*w)).sum();
        sum / f64::from(weights.iter().sum::<u32>())
    }

    #[test]
    fn the_interval_of_a_mean_is_the_known_one() {
        let values: Vec<f64> = (0..900).map(|it| f64::from(it % 2)).collect();
        let figures = Bootstrap { draws: 2_000, seed: 3 }
            .figures(values.len(), |weights| vec![mean(&values, weights), f64::NAN]);
        // 1.96 * 0.5 / sqrt(900) either way.
        let (low, high) = (figures[0].low.unwrap(), figures[0].high.unwrap());
        assert_eq!(figures[0].value, Some(0.5));
        assert!((low - 0.4673).abs() < 0.004 && (high - 0.5327).abs() < 0.004, "{low} {high}");
        assert_eq!(figures[1], Figure::default());
        assert_eq!(figures[1].to_string(), "-");
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let values: Vec<f64> = (0..50).map(f64::from).collect();
        let run = |seed| Bootstrap { draws: 60, seed }.figures(50, |it| vec![mean(&values, it)]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(run(1), pool.install(|| run(1)));
        assert_ne!(run(1), run(2));
        // A question drawn with itself has a difference of exactly 0.
        let paired =
            Bootstrap::default().figures(50, |it| vec![mean(&values, it) - mean(&values, it)]);
        assert_eq!((paired[0].low, paired[0].high), (Some(0.0), Some(0.0)));
        assert!(!paired[0].is_above_zero());
    }

    #[test]
    fn a_centred_interval_keeps_its_width_and_stays_above_zero() {
        let figure = |low, high| Figure { value: Some(0.25), low: Some(low), high: Some(high) };
        assert_eq!(figure(0.5, 0.75).centred(), figure(0.125, 0.375));
        assert_eq!(figure(0.0, 1.0).centred(), figure(0.0, 0.75));
        assert_eq!(Figure::default().centred(), Figure::default());
    }

    #[test]
    fn no_questions_and_no_draws_are_no_panic() {
        assert_eq!(Bootstrap::default().figures(0, |_| vec![f64::NAN])[0], Figure::default());
        let none = Bootstrap { draws: 0, seed: 1 }.figures(3, |_| vec![1.0]);
        assert_eq!(none[0], Figure::plain(Some(1.0)));
    }
}
