//! Choosers on questions that they did not learn from: one cut, or cross-fitted over folds.
//!
//! In: a table, pools, and something that trains a router on what a [`Split`] leaves. Out: the rows
//! and a [`Field`] per pool. Invariant: every chooser, router and control alike, is asked only about
//! questions that it was not trained on. Not here: the training (see [`crate::fit`]).

use anyhow::{Result, ensure};
use pointsman::prediction::Predictor;

use super::choosers::{ROUTER, Table, controls, router};
use super::verdict::{Field, best_single};
use super::{Chooser, PoolRows};
use crate::progress::Progress;
use crate::split::Split;

/// The routers of one cut, by name; the first is judged.
pub type Routers<'a> = [(&'a str, &'a Predictor)];

/// The field on the held-out rows of one pool.
///
/// # Errors
/// When a vector is not finite.
pub fn field(
    table: Table<'_>,
    routers: &Routers<'_>,
    train: &PoolRows,
    test: &PoolRows,
    seed: u64,
) -> Result<Field> {
    let mut choosers: Vec<Chooser> =
        routers.iter().map(|(name, it)| router(name, it, table, train, test)).collect();
    choosers.extend(controls(table, train, test, seed)?);
    Ok(Field { choosers, best_single: best_single(train, test) })
}

/// The field on all rows of each pool, each question from the fold in which it was held out.
///
/// # Errors
/// When a fold leaves too little to learn from.
pub fn cross_fitted(
    table: Table<'_>,
    pools: &[PoolRows],
    folds: (usize, &str),
    train: impl Fn(&Split) -> Result<Predictor>,
) -> Result<Vec<Field>> {
    let (of, seed) = folds;
    ensure!(of >= 2, "at least 2 folds are needed, {of} were asked for");
    let mut fields: Vec<Option<Field>> = pools.iter().map(|_| None).collect();
    let progress = Progress::start("folds", of as u64);
    for at in 0..of {
        let split = Split::fold(&table.data.prompts, seed, at, of);
        let predictor = train(&split)?;
        for (pool, whole) in pools.iter().zip(&mut fields) {
            let (learn, _) = pool.keep(|it| !split.is_held_out(it));
            let (test, places) = pool.keep(|it| split.is_held_out(it));
            if test.rows.is_empty() {
                continue;
            }
            ensure!(!learn.rows.is_empty(), "pool `{}`: a fold holds all rows", pool.pool.name);
            let part = field(table, &[(ROUTER, &predictor)], &learn, &test, at as u64 + 1)?;
            let whole = whole.get_or_insert_with(|| blank(&part, pool));
            for (to, from) in whole.choosers.iter_mut().zip(&part.choosers) {
                to.scatter(from, &places);
            }
            let held_out = pool.rows.iter().enumerate().filter(|it| split.is_held_out(it.1.prompt));
            for ((row, _), cell) in held_out.zip(&part.best_single) {
                whole.best_single[row] = places[*cell];
            }
        }
        progress.advance(1);
    }
    Ok(fields.into_iter().map(|it| it.unwrap_or_else(empty)).collect())
}

fn blank(part: &Field, pool: &PoolRows) -> Field {
    let cells = pool.cells.len();
    Field {
        choosers: part.choosers.iter().map(|it| Chooser::empty(&it.name, it.kind, cells)).collect(),
        best_single: vec![0; pool.rows.len()],
    }
}

fn empty() -> Field {
    Field { choosers: Vec::new(), best_single: Vec::new() }
}
