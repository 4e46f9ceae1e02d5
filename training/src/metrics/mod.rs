//! How good predictions are.
//!
//! In: what was and what was predicted, in the same order. Out: numbers. Invariant: a NaN is an
//! error, never a rank or a part of a mean; every measure agrees with a naive reference. Not here:
//! who predicts (see [`crate::controls`]) and how figures are shown ([`crate::evaluate`]).

mod arena;
mod bootstrap;
mod calibration;
mod frontier;
mod groups;
mod pairs;
mod ranks;
mod scorecard;
mod tokens;

pub use arena::arena_score;
pub use bootstrap::{Bootstrap, Figure};
pub use calibration::{ECE_BINS, brier, ece};
pub use frontier::{Hull, Point};
pub use groups::{GROUP_ROWS_MIN, Quality, SourceQuality, mean_over_sources, per_source};
pub use pairs::{Call, PairCurve, apgr, cpt};
pub use ranks::{POSITIVE_FROM, auc};
pub use scorecard::{Scorecard, Scores};
pub use tokens::{interval_coverage, quantile, relative_errors};

/// Why a measure has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// Nothing to measure.
    #[error("there are no rows to measure")]
    Empty,
    /// Only right, or only wrong answers: there is no pair to rank.
    #[error("all rows are of one class")]
    OneClass,
    /// A NaN.
    #[error("row {at} is not a number")]
    NotANumber {
        /// The row, from 0.
        at: usize,
    },
    /// As many predictions as truths are needed.
    #[error("{predicted} predictions for {rows} rows")]
    Lengths {
        /// Rows there are.
        rows: usize,
        /// Predictions there are.
        predicted: usize,
    },
}

/// Both of one length, at least one row, no NaN.
fn check(truth: &[f32], predicted: &[f32]) -> Result<(), MetricError> {
    if truth.len() != predicted.len() {
        return Err(MetricError::Lengths { rows: truth.len(), predicted: predicted.len() });
    }
    if truth.is_empty() {
        return Err(MetricError::Empty);
    }
    match truth.iter().zip(predicted).position(|(t, p)| t.is_nan() || p.is_nan()) {
        Some(at) => Err(MetricError::NotANumber { at }),
        None => Ok(()),
    }
}
