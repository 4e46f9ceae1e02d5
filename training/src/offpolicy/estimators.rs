//! What a policy would have earned, from what another one did.
//!
//! In: [`Row`]s of logged choices with their chances, a [`Target`] policy's chances on them, and an
//! outcome model's guesses. Out: [`Estimates`] with 95 % intervals. Estimators as in Dudik, Langford
//! and Li (2011, arXiv 1103.4601): the direct method, inverse propensities, the same normalised by
//! their weights (Swaminathan and Joachims 2015), doubly robust. Invariant: pure; an estimator by
//! weights has no value where the log does not cover the target. Not here: how rows are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A quantile of the normal distribution: 95 % lie within this many deviations.
const NORMAL_95: f64 = 1.959_964;
/// The most of a target's choices that a log may never make: above, weighting speaks of another
/// policy than the target. As in the promotion gate.
pub const UNSUPPORTED_MAX: f64 = 0.01;

/// What is measured of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The score of the answer, 0 to 1.
    Quality,
    /// Cost of all attempts, USD.
    Cost,
    /// From arrival to the end, seconds.
    Latency,
    /// quality - cost / worth - latency / worth, by the request's own policy.
    Utility,
    /// 1 where a limit of cost or latency was broken, else 0.
    Broken,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 5] =
        [Self::Quality, Self::Cost, Self::Latency, Self::Utility, Self::Broken];

    /// Its name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quality => "quality",
            Self::Cost => "cost_usd",
            Self::Latency => "latency_s",
            Self::Utility => "utility",
            Self::Broken => "limits broken",
        }
    }
}

/// One number for each [`Measure`], in the order of [`Measure::ALL`].
pub type Measures = [f64; Measure::ALL.len()];

/// Someone who could be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Who, across rows.
    pub id: usize,
    /// The chance with which the log chose it.
    pub logged: f64,
    /// What was expected of it before anything was seen.
    pub guess: Measures,
}

/// One logged choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Rows of one group may depend on each other: they fall in one fold, and count together in the
    /// width of intervals.
    pub group: u64,
    /// What the outcome model sees of the prompt; the same length in every row.
    pub context: Vec<f64>,
    /// Everyone.
    pub arms: Vec<Arm>,
    /// Who of them was chosen, an index.
    pub chosen: usize,
    /// What came of it.
    pub reward: Measures,
}

/// A policy's chances: per row, one for each arm. They sum to 1, or to 0 where it refuses; who
/// refuses earns 0.
pub type Target = Vec<Vec<f64>>;
/// An outcome model's guesses for one measure: per row, one for each arm.
pub type Guesses = Vec<Vec<f64>>;

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What a target is worth by one measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// Direct method: the outcome model alone. Its interval knows nothing of the model's own error.
    pub dm: Estimate,
    /// Inverse propensity scores.
    pub ips: Option<Estimate>,
    /// The same, divided by the sum of the weights.
    pub snips: Option<Estimate>,
    /// Doubly robust.
    pub dr: Option<Estimate>,
}

/// How well a log covers a target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cover {
    /// Rows.
    pub rows: usize,
    /// (sum of weights)^2 / sum of squared weights: so many rows of the target's own would say as
    /// much.
    pub effective: f64,
    /// Share of the target's choices that the log could not make.
    pub unsupported: f64,
}

impl Cover {
    /// Whether estimators by weights have a value.
    pub fn is_enough(&self) -> bool {
        self.rows > 0 && self.effective > 0.0 && self.unsupported <= UNSUPPORTED_MAX
    }
}

/// How well a log covers a target.
pub fn cover(rows: &[Row], target: &Target) -> Cover {
    let weights = || rows.iter().zip(target).map(|(row, chances)| weight(row, chances));
    let (sum, squares) =
        weights().fold((0.0, 0.0), |(sum, squares), it| (sum + it, squares + it * it));
    let never = rows.iter().zip(target).map(|(row, chances)| {
        let arms = row.arms.iter().zip(chances).filter(|(arm, _)| arm.logged <= 0.0);
        arms.map(|(_, chance)| chance).sum::<f64>()
    });
    Cover {
        rows: rows.len(),
        effective: if squares > 0.0 { sum * sum / squares } else { 0.0 },
        // An empty sum of floats is -0.
        unsupported: never.fold(0.0, |sum, it| sum + it) / rows.len().max(1) as f64,
    }
}

/// What a target is worth; `None` without rows.
pub fn estimate(
    rows: &[Row],
    target: &Target,
    guesses: &Guesses,
    measure: Measure,
) -> Option<Estimates> {
    let groups: Vec<u64> = rows.iter().map(|it| it.group).collect();
    let dm = interval(&direct(target, guesses), &groups)?;
    if !cover(rows, target).is_enough() {
        return Some(Estimates { dm, ips: None, snips: None, dr: None });
    }
    let weights: Vec<f64> = rows.iter().zip(target).map(|(row, it)| weight(row, it)).collect();
    let reward = |row: &Row| row.reward[measure as usize];
    let weighted: Vec<f64> = weights.iter().zip(rows).map(|(w, row)| w * reward(row)).collect();
    let robust = doubly_robust(rows, target, guesses, measure);
    Some(Estimates {
        dm,
        ips: interval(&weighted, &groups),
        snips: normalised(&weights, rows, measure, &groups),
        dr: interval(&robust, &groups),
    })
}

/// The doubly robust mean of one target less that of another, row by row, so that what both share
/// cancels; `None` where the log does not cover both.
pub fn difference(
    rows: &[Row],
    (of, against): (&Target, &Target),
    guesses: &Guesses,
    measure: Measure,
) -> Option<Estimate> {
    if !(cover(rows, of).is_enough() && cover(rows, against).is_enough()) {
        return None;
    }
    let of = doubly_robust(rows, of, guesses, measure);
    let against = doubly_robust(rows, against, guesses, measure);
    let gaps: Vec<f64> = of.iter().zip(&against).map(|(a, b)| a - b).collect();
    let groups: Vec<u64> = rows.iter().map(|it| it.group).collect();
    interval(&gaps, &groups)
}

/// The mean of some values with its normal interval; values of one group count as one draw. `None`
/// without values.
pub fn interval(values: &[f64], groups: &[u64]) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
    for (value, group) in values.iter().zip(groups) {
        *sums.entry(*group).or_default() += value - mean;
    }
    let drawn = sums.len() as f64;
    // With one group nothing is known of the spread between groups.
    let scale = if drawn > 1.0 { drawn / (drawn - 1.0) } else { f64::INFINITY };
    let squares: f64 = sums.values().map(|it| it * it).sum();
    let error = if drawn > 1.0 { (scale * squares).sqrt() / count } else { scale };
    Some(Estimate { mean, error, low: mean - NORMAL_95 * error, high: mean + NORMAL_95 * error })
}

/// How much more often the target makes the logged choice than the log did.
fn weight(row: &Row, chances: &[f64]) -> f64 {
    let logged = row.arms.get(row.chosen).map_or(0.0, |it| it.logged);
    let wanted = chances.get(row.chosen).copied().unwrap_or_default();
    if logged > 0.0 { wanted / logged } else { 0.0 }
}

fn direct(target: &Target, guesses: &Guesses) -> Vec<f64> {
    let mean = |(chances, guesses): (&Vec<f64>, &Vec<f64>)| -> f64 {
        chances.iter().zip(guesses).map(|(chance, guess)| chance * guess).sum()
    };
    target.iter().zip(guesses).map(mean).collect()
}

fn doubly_robust(rows: &[Row], target: &Target, guesses: &Guesses, measure: Measure) -> Vec<f64> {
    let missed = rows.iter().zip(target).zip(guesses).map(|((row, chances), guesses)| {
        let guess = guesses.get(row.chosen).copied().unwrap_or_default();
        weight(row, chances) * (row.reward[measure as usize] - guess)
    });
    direct(target, guesses)
        .into_iter()
        .zip(missed)
        .map(|(direct, missed)| direct + missed)
        .collect()
}

fn normalised(weights: &[f64], rows: &[Row], measure: Measure, groups: &[u64]) -> Option<Estimate> {
    let sum: f64 = weights.iter().sum();
    let reward = |row: &Row| row.reward[measure as usize];
    let mean = weights.iter().zip(rows).map(|(w, row)| w * reward(row)).sum::<f64>() / sum;
    // The delta method: a ratio of means moves by w (r - mean) / mean weight.
    let scale = weights.len() as f64 / sum;
    let moves: Vec<f64> =
        weights.iter().zip(rows).map(|(w, row)| scale * w * (reward(row) - mean)).collect();
    let error = interval(&moves, groups)?.error;
    Some(Estimate { mean, error, low: mean - NORMAL_95 * error, high: mean + NORMAL_95 * error })
}
