//! Choosing, at every setting of the preference.
//!
//! In: what a chooser believes, and the rows. Out: [`Totals`]: per question and setting, what the
//! choices cost and yielded. Invariant: the choice maximises `quality - cost / price per quality`,
//! the rule of the service; ties are broken at random, by seed, never by order. Not here: limits
//! (see [`super::budget`]).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Chooser, PoolRows};
use crate::metrics::Point;

/// Settings between "the cheapest" and "the best"; twice as many change AIQ by less than 0.0005.
const STEPS: u32 = 60;

/// Prices per quality, USD: 0 (always the cheapest), a logarithmic grid, infinity (always the best).
pub fn settings(rows: &PoolRows) -> Vec<f64> {
    let costs = || rows.cells.iter().map(|it| it.cost).filter(|it| *it > 0.0);
    let least = costs().fold(f64::INFINITY, f64::min);
    let most = costs().fold(0.0, f64::max);
    if most <= 0.0 {
        return vec![0.0, f64::INFINITY];
    }
    // From "a tenth of the cheapest call for a whole answer" to "the dearest call for a hundredth".
    let (low, high) = ((least / 10.0).ln(), (most * 100.0).ln());
    let step = |it: u32| (low + (high - low) * f64::from(it) / f64::from(STEPS - 1)).exp();
    std::iter::once(0.0).chain((0..STEPS).map(step)).chain([f64::INFINITY]).collect()
}

/// The place of the chosen cell of each row, at one price per quality.
pub fn choose(rows: &PoolRows, chooser: &Chooser, usd_per_quality: f64, seed: u64) -> Vec<usize> {
    let pick = |(at, row): (usize, &super::PoolRow)| {
        let utility = |cell: usize| {
            let (quality, cost) = (f64::from(chooser.quality[cell]), chooser.cost[cell]);
            match usd_per_quality {
                0.0 => -cost,
                price if price.is_infinite() => quality,
                price => price * quality - cost,
            }
        };
        best(row.cells.clone(), utility, seed, at)
    };
    rows.rows.par_iter().enumerate().map(pick).collect()
}

/// The cell of greatest utility; of equals a random one.
pub fn best(
    cells: std::ops::Range<usize>,
    utility: impl Fn(usize) -> f64,
    seed: u64,
    row: usize,
) -> usize {
    let first = cells.start;
    let (mut found, mut most, mut ties) = (first, f64::NEG_INFINITY, 0_u32);
    let mut random = None;
    for cell in cells {
        let it = utility(cell);
        if it > most {
            (found, most, ties) = (cell, it, 1);
        } else if it == most {
            ties += 1;
            let random = random.get_or_insert_with(|| {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(row as u64);
                random
            });
            // The k-th equal replaces with chance 1 / k: each is as likely as any other.
            if random.random_range(0..ties) == 0 {
                found = cell;
            }
        }
    }
    found
}

/// What choices cost and yielded, summed per question.
#[derive(Debug, Clone)]
pub struct Totals {
    settings: usize,
    /// Rows of each question.
    rows: Vec<f64>,
    /// `[question][setting]`: cost, quality.
    sums: Vec<[f64; 2]>,
}

impl Totals {
    /// Sums choices, one list of chosen cells per setting.
    pub fn new(rows: &PoolRows, chosen: &[Vec<usize>]) -> Self {
        let settings = chosen.len();
        let mut totals = Self {
            settings,
            rows: vec![0.0; rows.questions],
            sums: vec![[0.0; 2]; rows.questions * settings],
        };
        for (at, row) in rows.rows.iter().enumerate() {
            let question = row.question as usize;
            totals.rows[question] += 1.0;
            for (setting, cells) in chosen.iter().enumerate() {
                let cell = &rows.cells[cells[at]];
                let sum = &mut totals.sums[question * settings + setting];
                sum[0] += cell.cost;
                sum[1] += f64::from(cell.label.quality);
            }
        }
        totals
    }

    /// All settings of a chooser.
    pub fn sweep(rows: &PoolRows, chooser: &Chooser, settings: &[f64], seed: u64) -> Self {
        let chosen: Vec<Vec<usize>> =
            settings.iter().map(|it| choose(rows, chooser, *it, seed)).collect();
        Self::new(rows, &chosen)
    }

    /// Mean cost and quality of each setting.
    pub fn means(&self, weights: &[u32]) -> Vec<Point> {
        let mut sums = vec![[0.0; 2]; self.settings];
        let mut all = 0.0;
        for ((own, rows), weight) in
            self.sums.chunks_exact(self.settings.max(1)).zip(&self.rows).zip(weights)
        {
            if *weight == 0 {
                continue;
            }
            let weight = f64::from(*weight);
            all += weight * rows;
            for (sum, it) in sums.iter_mut().zip(own) {
                sum[0] += weight * it[0];
                sum[1] += weight * it[1];
            }
        }
        sums.into_iter().map(|it| Point { cost: it[0] / all, quality: it[1] / all }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::{Kind, testing};

    #[test]
    fn ties_are_broken_evenly_and_by_seed() {
        let mut counts = [0; 3];
        for row in 0..3_000 {
            let it = best(5..9, |cell| if cell == 6 { 0.0 } else { 1.0 }, 1, row);
            assert_ne!(it, 6);
            counts[match it {
                5 => 0,
                7 => 1,
                _ => 2,
            }] += 1;
            assert_eq!(it, best(5..9, |cell| if cell == 6 { 0.0 } else { 1.0 }, 1, row));
        }
        assert!(counts.iter().all(|it| (900..1_100).contains(it)), "{counts:?}");
        assert_eq!(best(3..5, |_| f64::NAN, 1, 0), 3);
    }

    #[test]
    fn the_ends_are_the_cheapest_and_the_best() {
        let data = testing::dataset(40);
        let rows = PoolRows::new(&testing::pool(), &data, &(0..40).collect::<Vec<_>>());
        let truth = Chooser {
            quality: rows.cells.iter().map(|it| it.label.quality).collect(),
            cost: rows.cells.iter().map(|it| it.cost).collect(),
            ..Chooser::empty("truth", Kind::Oracle, rows.cells.len())
        };
        let prices = settings(&rows);
        let means = Totals::sweep(&rows, &truth, &prices, 1).means(&[1; 40]);
        let mean = |of: fn(&super::super::Cell) -> f64, model: usize| {
            rows.cells.iter().skip(model).step_by(2).map(of).sum::<f64>() / 40.0
        };
        assert!((means[0].cost - mean(|it| it.cost, 0)).abs() < 1e-12);
        let best = rows.cells.chunks(2).map(|it| it[0].label.quality.max(it[1].label.quality));
        let best = f64::from(best.sum::<f32>()) / 40.0;
        assert!((means.last().unwrap().quality - best).abs() < 1e-9);
        assert!(means.windows(2).skip(1).take(58).all(|it| it[0].quality <= it[1].quality + 1e-12));
        // Only the first question counts.
        let mut weights = vec![0; 40];
        weights[0] = 3;
        let one = Totals::sweep(&rows, &truth, &prices, 1).means(&weights);
        assert!((one[0].cost - rows.cells[0].cost).abs() < 1e-15);
    }
}
