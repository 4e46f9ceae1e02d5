//! `pointsman-train panel`: recent prompts, asked of every model, graded, as a labelled table.
//!
//! In: prompts (a file, or a log that keeps them), the server's own config, an amount of money. Out: a
//! Parquet table for `fit --data`. Invariant: never more is spent than was said; what was paid for is
//! never lost, and never paid for twice. The only part of training that calls anybody: the models, through
//! [`pointsman::providers`]. Not here: what is learned from the table (see [`crate::fit`]).

pub mod ask;
pub mod call;
pub mod candidates;
pub mod check;
mod cli;
mod clusters;
pub mod events;
pub mod grade;
pub mod money;
pub mod plan;
mod rows;
pub mod run;
#[cfg(test)]
mod run_tests;
pub mod sample;
pub mod spend;
pub mod summary;
pub mod table;
#[cfg(test)]
mod testing;
pub mod work;

pub use cli::{PanelArgs, Unbelieved};
