//! Choosing inside a budget: regret to the oracle, and how often the budget is overrun.
//!
//! In: rows, choosers. Out: per chooser and budget a [`BudgetReport`]. The budget is a cost per
//! request; a chooser may take what it believes to stay inside with a chance of 0.9, and takes the
//! best of that. Invariant: requests that not even the oracle could serve do not count; a refusal
//! has quality 0. Not here: other limits.

use serde::{Deserialize, Serialize};

use super::sweep::best;
use super::{Chooser, Kind, PoolRows};
use crate::metrics::{Bootstrap, Figure, quantile};

/// Budgets, as quantiles of the costs of all calls in the pool.
const BUDGETS: [f64; 3] = [0.25, 0.5, 0.75];
const PER_QUESTION: usize = 5;

/// One chooser inside one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetReport {
    /// The chooser.
    pub name: String,
    /// USD per request.
    pub budget_usd: f64,
    /// Mean quality; refusals count as 0.
    pub quality: Figure,
    /// The oracle's mean quality less this.
    pub regret: Figure,
    /// Share of requests refused although the oracle could serve them.
    pub refused: Figure,
    /// Share of served requests that cost more than the budget; 0.1 was accepted.
    pub overrun: Figure,
    /// Share of choices that the chooser itself believed outside its limit: 0, or a defect.
    pub broken: f64,
}

/// What a chooser takes: the best of the cells inside the budget, if any.
fn take(rows: &PoolRows, chooser: &Chooser, budget: f64, row: (usize, u64)) -> Option<usize> {
    let (at, seed) = row;
    let inside = |cell: usize| chooser.cost_high[cell] <= budget;
    let utility = |cell: usize| match inside(cell) {
        true => f64::from(chooser.quality[cell]),
        false => f64::NEG_INFINITY,
    };
    Some(best(rows.rows[at].cells.clone(), utility, seed, at)).filter(|it| inside(*it))
}

/// Measures every chooser inside every budget; `boot.seed` breaks ties.
pub fn budgets(rows: &PoolRows, choosers: &[Chooser], boot: &Bootstrap) -> Vec<BudgetReport> {
    let costs: Vec<f64> = rows.cells.iter().map(|it| it.cost).collect();
    let limits = BUDGETS.iter().filter_map(|it| quantile(&costs, *it).ok());
    limits.flat_map(|limit| choosers.iter().map(move |it| one(rows, it, limit, boot))).collect()
}

fn one(rows: &PoolRows, chooser: &Chooser, budget: f64, boot: &Bootstrap) -> BudgetReport {
    let oracle = Chooser {
        quality: rows.cells.iter().map(|it| it.label.quality).collect(),
        cost_high: rows.cells.iter().map(|it| it.cost).collect(),
        ..Chooser::empty("oracle", Kind::Oracle, rows.cells.len())
    };
    let mut sums = vec![[0.0; PER_QUESTION]; rows.questions];
    let (mut served, mut broken) = (0.0_f64, 0.0);
    for (at, row) in rows.rows.iter().enumerate() {
        let Some(ideal) = take(rows, &oracle, budget, (at, boot.seed)) else { continue };
        let quality = |it: usize| f64::from(rows.cells[it].label.quality);
        let sum = &mut sums[row.question as usize];
        sum[0] += 1.0;
        sum[1] += quality(ideal);
        if let Some(taken) = take(rows, chooser, budget, (at, boot.seed)) {
            sum[2] += quality(taken);
            sum[3] += 1.0;
            sum[4] += f64::from(u8::from(rows.cells[taken].cost > budget));
            served += 1.0;
            broken += f64::from(u8::from(chooser.cost_high[taken] > budget));
        }
    }
    let measure = |weights: &[u32]| {
        let mut all = [0.0; PER_QUESTION];
        for (own, weight) in sums.iter().zip(weights) {
            all.iter_mut().zip(own).for_each(|(sum, it)| *sum += f64::from(*weight) * it);
        }
        let [count, ideal, quality, served, over] = all;
        vec![quality / count, (ideal - quality) / count, 1.0 - served / count, over / served]
    };
    let figures = boot.figures(rows.questions, measure);
    BudgetReport {
        name: chooser.name.clone(),
        budget_usd: budget,
        quality: figures[0],
        regret: figures[1],
        refused: figures[2],
        overrun: figures[3],
        broken: broken / served.max(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::testing;

    #[test]
    fn the_oracle_has_no_regret_and_an_optimist_overruns() {
        let data = testing::dataset(100);
        let rows = PoolRows::new(&testing::pool(), &data, &(0..100).collect::<Vec<_>>());
        let truth = Chooser {
            quality: rows.cells.iter().map(|it| it.label.quality).collect(),
            cost_high: rows.cells.iter().map(|it| it.cost).collect(),
            ..Chooser::empty("oracle", Kind::Oracle, rows.cells.len())
        };
        let optimist = Chooser { cost_high: vec![0.0; 200], name: "o".into(), ..truth.clone() };
        let miser = Chooser { cost_high: vec![1e9; 200], name: "m".into(), ..truth.clone() };
        let boot = Bootstrap { draws: 20, seed: 1 };
        let found = budgets(&rows, &[truth, optimist, miser], &boot);
        assert_eq!(found.len(), 9);
        for (at, it) in found.iter().enumerate() {
            assert_eq!(it.broken, 0.0, "{it:?}");
            match at % 3 {
                0 => assert_eq!((it.regret.value, it.overrun.value), (Some(0.0), Some(0.0))),
                1 => assert!(it.refused.value == Some(0.0) && it.overrun.value >= Some(0.0)),
                _ => assert_eq!((it.refused.value, it.quality.value), (Some(1.0), Some(0.0))),
            }
        }
        assert!(found[1].overrun.value > Some(0.3), "{:?}", found[1]);
    }
}
