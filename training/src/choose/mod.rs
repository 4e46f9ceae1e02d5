//! Judges choosing: what a router's choices cost and yield, beside every control.
//!
//! In: a labelled table with costs, artifacts or a way to train them. Out: a [`PoolReport`] per
//! pool: frontier, AIQ, cost at equal quality, two-model pairs, RouterArena's score; budgets;
//! stability. Invariant: nobody chooses on a question that it learned from, and all figures of a
//! pool come from the same draws. Not here: how well single predictions are (see
//! [`crate::evaluate`]).

mod budget;
mod choosers;
mod folds;
mod pool;
mod price;
mod stability;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;
mod verdict;

pub use budget::{BudgetReport, budgets};
pub use choosers::{AGAINST, Chooser, Kind, ROUTER, Table, controls, router};
pub use folds::{Routers, cross_fitted, field};
pub use pool::{Cell, Fleet, Pool, PoolRow, PoolRows};
pub use price::{ModelPrice, Prices};
pub use stability::{StabilityReport, stability};
pub use sweep::{Totals, best, choose, settings};
pub use verdict::{
    ChooserReport, FIGURES, Field, PoolReport, best_single, overall_cost_ratio, verdict,
};
