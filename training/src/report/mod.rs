//! `pointsman-train evaluate` and `frontier`: every figure in one report.
//!
//! In: a table, an artifact or a way to train some. Out: [`Report`], as text through `Display`, as
//! JSON through serde, as one self-contained page through [`html`]; and a log of outcomes through
//! [`log_html`]. Invariant: what has no value is
//! a dash, never a 0; every figure of a difference is a paired one. Not here: the figures themselves
//! (see [`crate::evaluate`] and [`crate::choose`]).

mod build;
mod html;
mod log;
mod plots;
mod svg;
mod tables;
mod text;

pub use build::{Job, Options, evaluate, frontier};
pub use html::html;
pub use log::log_html;
use serde::{Deserialize, Serialize};

use crate::choose::{BudgetReport, PoolReport, StabilityReport};
use crate::evaluate::Figures;
use crate::metrics::Figure;

/// All that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was judged, in words.
    pub title: String,
    /// SHA-256 of the table, in hex.
    pub data_sha256: String,
    /// Single predictions; none in a cross-fitted report.
    pub figures: Option<Figures>,
    /// How often what was foretold came true.
    pub calibration: Vec<CalibrationBin>,
    /// The artifact's figures less those of the one to compare with.
    pub differences: Vec<Difference>,
    /// Choosing, per pool.
    pub pools: Vec<PoolReport>,
    /// Over the pools, the geometric mean of the router's cost over that of the best task-blind
    /// control, at 95, 99 and 100 % of always-best's quality.
    pub cost_ratios: Vec<Option<f64>>,
    /// Choosing inside a budget, per pool.
    pub budgets: Vec<PoolBudgets>,
    /// What typos and politeness do.
    pub stability: Vec<StabilityReport>,
}

/// Predictions of about one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Labels in it.
    pub labels: usize,
    /// Mean prediction.
    pub predicted: f64,
    /// Mean quality.
    pub quality: f64,
}

/// One paired difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Of what.
    pub name: String,
    /// This artifact's less the other's.
    pub figure: Figure,
}

/// The budgets of one pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolBudgets {
    /// The pool.
    pub pool: String,
    /// Choosers and budgets.
    pub rows: Vec<BudgetReport>,
}

#[cfg(test)]
mod tests;
