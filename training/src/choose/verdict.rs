//! The figures of choosing on one pool, with intervals, the router beside every control.
//!
//! In: a pool's rows and a [`Field`] of choosers. Out: [`PoolReport`]. Invariant: all figures of one
//! report come from the same draws, so every difference is a paired one. To each hull the cheapest
//! model of each fleet is added, which any chooser could always take; a quality that a chooser never
//! reaches costs what always-best costs, which it could take too. Not here: budgets.

use serde::{Deserialize, Serialize};

use super::sweep::{Totals, settings};
use super::{Chooser, Kind, PoolRows};
use crate::metrics::{Bootstrap, Call, Figure, Hull, PairCurve, Point, apgr, arena_score, cpt};

/// The figures of a chooser, in the order of [`ChooserReport::figures`]. Costs are shares of
/// always-best's cost, at shares of its quality; RouterArena's score is that of the best setting.
pub const FIGURES: [&str; 8] = [
    "AIQ",
    "cost at 95 %",
    "cost at 99 %",
    "cost at 100 %",
    "RouterArena",
    "APGR",
    "CPT(50 %)",
    "CPT(80 %)",
];
/// Shares of always-best's quality, in the order above.
const LEVELS: [f64; 3] = [0.95, 0.99, 1.0];

/// All that are compared on a pool.
#[derive(Debug, Clone)]
pub struct Field {
    /// The choosers; the first is the router.
    pub choosers: Vec<Chooser>,
    /// Per row the cell of the best single model on the training rows.
    pub best_single: Vec<usize>,
}

/// One pool's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolReport {
    /// The pool's name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Requests judged on.
    pub requests: usize,
    /// Questions among them.
    pub questions: usize,
    /// The model of each fleet that is best over these rows, in hindsight.
    pub best_models: Vec<String>,
    /// Always the cheapest model of the fleet.
    pub always_cheapest: Point,
    /// Always the best, in hindsight.
    pub always_best: Point,
    /// The cost range of AIQ, USD: the cheapest and the dearest single model's mean.
    pub range: (f64, f64),
    /// The choosers, the router first.
    pub choosers: Vec<ChooserReport>,
}

/// One chooser's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChooserReport {
    /// Its name.
    pub name: String,
    /// What it knows.
    pub kind: Kind,
    /// The corners of its hull.
    pub hull: Vec<Point>,
    /// In the order of [`FIGURES`]; costs are shares of always-best's.
    pub figures: Vec<Figure>,
    /// The router's figures less these, paired.
    pub router_less: Vec<Figure>,
    /// The router's cost over this one's at 95, 99 and 100 %, paired.
    pub cost_ratio: Vec<Figure>,
}

/// A chooser, ready to be measured under weights.
struct Contender {
    name: String,
    kind: Kind,
    totals: Totals,
    pairs: Option<PairCurve>,
}

/// Places of the cheapest, best and dearest model in each fleet.
struct Singles {
    cheapest: Vec<usize>,
    best: Vec<usize>,
    dearest: Vec<usize>,
}

/// Measures a field; `None` without rows.
pub fn verdict(
    rows: &PoolRows,
    field: &Field,
    names: &[String],
    boot: &Bootstrap,
) -> Option<PoolReport> {
    if rows.rows.is_empty() || field.choosers.is_empty() {
        return None;
    }
    let singles = Singles::of(rows);
    let fixed = |places: &[usize]| chosen(rows, places);
    let references = Totals::new(
        rows,
        &[fixed(&singles.cheapest), fixed(&singles.best), fixed(&singles.dearest)],
    );
    let contenders = contenders(rows, field, &singles, boot.seed);
    let measure = |weights: &[u32]| {
        let references = references.means(weights);
        let each: Vec<Vec<f64>> =
            contenders.iter().map(|it| it.values(weights, &references)).collect();
        let router = &each[0];
        let mut all = Vec::new();
        for own in &each {
            all.extend(own);
            all.extend(router.iter().zip(own).map(|(a, b)| a - b));
            all.extend((1..4).map(|it| router[it] / own[it]));
        }
        all
    };
    let figures = boot.figures(rows.questions, measure);
    let weights = vec![1; rows.questions];
    let [always_cheapest, always_best, dearest] = references.means(&weights)[..] else {
        return None;
    };
    let width = 2 * FIGURES.len() + LEVELS.len();
    let report = |(it, own): (&Contender, &[Figure])| ChooserReport {
        name: it.name.clone(),
        kind: it.kind,
        hull: it.hull(&weights, always_cheapest).corners().to_vec(),
        figures: own[..FIGURES.len()].to_vec(),
        router_less: own[FIGURES.len()..2 * FIGURES.len()].to_vec(),
        cost_ratio: own[2 * FIGURES.len()..].to_vec(),
    };
    let name = |(fleet, place): (usize, &usize)| {
        let row = rows.rows.iter().find(|it| it.fleet == fleet)?;
        let model = rows.cells[row.cells.start + place].label.model;
        names.get(usize::from(model)).cloned()
    };
    Some(PoolReport {
        name: rows.pool.name.clone(),
        about: rows.pool.about.clone(),
        requests: rows.rows.len(),
        questions: rows.questions,
        best_models: singles.best.iter().enumerate().filter_map(name).collect(),
        always_cheapest,
        always_best,
        range: (always_cheapest.cost, dearest.cost),
        choosers: contenders.iter().zip(figures.chunks_exact(width)).map(report).collect(),
    })
}

/// The cell at a place of each row's fleet.
fn chosen(rows: &PoolRows, places: &[usize]) -> Vec<usize> {
    rows.rows.iter().map(|it| it.cells.start + places[it.fleet]).collect()
}

/// Per row, the cell of the model with the highest mean quality over `train` in the row's fleet.
pub fn best_single(train: &PoolRows, rows: &PoolRows) -> Vec<usize> {
    chosen(rows, &Singles::of(train).best)
}

fn contenders(rows: &PoolRows, field: &Field, singles: &Singles, seed: u64) -> Vec<Contender> {
    let prices = settings(rows);
    let moving = |it: &Chooser| Contender {
        name: it.name.clone(),
        kind: it.kind,
        totals: Totals::sweep(rows, it, &prices, seed),
        pairs: Some(singles.pair_curve(rows, it)),
    };
    let fixed = |name: &str, cells: Vec<usize>| Contender {
        name: name.to_owned(),
        kind: Kind::TaskBlind,
        totals: Totals::new(rows, &[cells]),
        pairs: None,
    };
    let mut all: Vec<Contender> = field.choosers.iter().map(moving).collect();
    all.push(fixed("always-cheapest", chosen(rows, &singles.cheapest)));
    all.push(fixed("always-best", chosen(rows, &singles.best)));
    all.push(fixed("best single on the training rows", field.best_single.clone()));
    all
}

impl Contender {
    fn hull(&self, weights: &[u32], cheapest: Point) -> Hull {
        let mut points = self.totals.means(weights);
        points.push(cheapest);
        Hull::new(&points)
    }

    /// The figures in the order of [`FIGURES`]; `references` are cheapest, best, dearest.
    fn values(&self, weights: &[u32], references: &[Point]) -> Vec<f64> {
        let (cheapest, best, dearest) = (references[0], references[1], references[2]);
        let hull = self.hull(weights, cheapest);
        let share = |level: f64| {
            let cost = hull.cost_at(level * best.quality).unwrap_or(best.cost);
            cost.min(best.cost) / best.cost
        };
        let arena = |it: &Point| arena_score(it.quality, 1_000.0 * it.cost);
        let arena = self.totals.means(weights).iter().map(arena).fold(f64::NAN, f64::max);
        let corners = self.pairs.as_ref().map(|it| it.corners(weights)).unwrap_or_default();
        let mut values = vec![hull.aiq(cheapest.cost, dearest.cost)];
        values.extend(LEVELS.map(share));
        values.extend([arena, apgr(&corners), cpt(&corners, 0.5), cpt(&corners, 0.8)]);
        values
    }
}

impl Singles {
    fn of(rows: &PoolRows) -> Self {
        let fleets = rows.pool.fleets.iter().enumerate();
        let means: Vec<Vec<Point>> = fleets
            .map(|(fleet, it)| {
                let mut sums = vec![Point { cost: 0.0, quality: 0.0 }; it.models.len()];
                for row in rows.rows.iter().filter(|it| it.fleet == fleet) {
                    for (sum, cell) in sums.iter_mut().zip(&rows.cells[row.cells.clone()]) {
                        sum.cost += cell.cost;
                        sum.quality += f64::from(cell.label.quality);
                    }
                }
                sums
            })
            .collect();
        let of = |key: fn(&Point) -> f64| -> Vec<usize> {
            let most = |it: &Vec<Point>| {
                let order =
                    |a: &(usize, &Point), b: &(usize, &Point)| key(a.1).total_cmp(&key(b.1));
                it.iter().enumerate().max_by(order).map_or(0, |it| it.0)
            };
            means.iter().map(most).collect()
        };
        Self { cheapest: of(|it| -it.cost), best: of(|it| it.quality), dearest: of(|it| it.cost) }
    }

    /// The fleet's best model as the strong one, its cheapest as the weak one.
    fn pair_curve(&self, rows: &PoolRows, chooser: &Chooser) -> PairCurve {
        let call = |row: &super::PoolRow| {
            let strong = row.cells.start + self.best[row.fleet];
            let weak = row.cells.start + self.cheapest[row.fleet];
            let quality = |it: usize| f64::from(rows.cells[it].label.quality);
            Call {
                question: row.question,
                gain: quality(strong) - quality(weak),
                score: chooser.quality[strong] - chooser.quality[weak],
            }
        };
        PairCurve::new(rows.rows.iter().map(call).collect())
    }
}

impl PoolReport {
    /// The task-blind control with the lowest cost at a level (1: 95 %, 2: 99 %, 3: 100 %).
    pub fn best_control(&self, level: usize) -> Option<&ChooserReport> {
        let cost = |it: &&ChooserReport| it.figures[level].value.unwrap_or(f64::INFINITY);
        let blind = self.choosers.iter().filter(|it| it.kind == Kind::TaskBlind);
        blind.min_by(|a, b| cost(a).total_cmp(&cost(b)))
    }
}

/// Over pools, the geometric mean of the router's cost over the best task-blind control's.
pub fn overall_cost_ratio(pools: &[PoolReport], level: usize) -> Option<f64> {
    let of = |it: &PoolReport| it.best_control(level)?.cost_ratio[level - 1].value;
    let ratios: Vec<f64> = pools.iter().map(of).collect::<Option<_>>()?;
    let logs: f64 = ratios.iter().map(|it| it.ln()).sum();
    (!ratios.is_empty()).then(|| (logs / ratios.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::testing;

    fn report(draws: usize) -> PoolReport {
        let data = testing::dataset(400);
        let rows = PoolRows::new(&testing::pool(), &data, &(0..400).collect::<Vec<_>>());
        let of = |name: &str, kind, believed: fn(&super::super::Cell) -> f32| Chooser {
            quality: rows.cells.iter().map(believed).collect(),
            cost: rows.cells.iter().map(|it| 1e-5 + f64::from(it.label.model)).collect(),
            ..Chooser::empty(name, kind, rows.cells.len())
        };
        let choosers = vec![
            of("router", Kind::Router, |it| it.label.quality),
            of("constant", Kind::TaskBlind, |it| f32::from(it.label.model) / 2.0),
            of("oracle", Kind::Oracle, |it| it.label.quality),
        ];
        let field = Field { choosers, best_single: best_single(&rows, &rows) };
        verdict(&rows, &field, &data.models, &Bootstrap { draws, seed: 1 }).unwrap()
    }

    #[test]
    fn one_that_knows_beats_one_that_does_not() {
        let it = report(60);
        let (router, constant, oracle) = (&it.choosers[0], &it.choosers[1], &it.choosers[2]);
        assert_eq!(it.best_models, ["m-b"]);
        assert!(constant.router_less[0].is_above_zero(), "{constant:?}");
        assert_eq!(oracle.router_less[0].value, Some(0.0));
        assert_eq!((router.cost_ratio[0].value, router.cost_ratio[0].low), (Some(1.0), Some(1.0)));
        assert!(router.figures[1].value < constant.figures[1].value);
        // Half of the calls to the strong model, made blindly, close half of the gap.
        assert!((constant.figures[5].value.unwrap() - 0.5).abs() < 1e-9);
        assert!(router.figures[5].value.unwrap() > 0.7);
        // Constant: the straight line between the two models.
        let line = f64::midpoint(it.always_cheapest.quality, it.always_best.quality);
        assert!((constant.figures[0].value.unwrap() - line).abs() < 1e-9);
        assert_eq!(it.choosers[4].name, "always-best");
        assert_eq!(it.choosers[4].figures[3].value, Some(1.0));
        assert!(it.best_control(1).is_some());
        assert!(overall_cost_ratio(&[it.clone(), it], 1).unwrap() < 1.0);
        assert_eq!(report(20), report(20));
    }
}
