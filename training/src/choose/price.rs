//! What a call will cost, from prices that the table implies.
//!
//! In: training cells with cost and tokens. Out: per model the USD of an input and of an output
//! token, by least squares of relative errors, and how many output tokens it writes. Invariant: no
//! price is negative; a model whose tokens are unknown costs its mean, whatever is asked. An
//! operator knows these prices; the table states only what calls cost. Not here: list prices of
//! models that are not in the table (see `models/catalog.toml`).

use super::PoolRows;
use crate::dataset::Label;

/// Fewer rows with tokens imply no price.
const ROWS_MIN: usize = 20;

/// Prices per model id.
#[derive(Debug, Clone)]
pub struct Prices(Vec<ModelPrice>);

/// One model's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ModelPrice {
    /// USD per input and per output token; `None` where they cannot be told.
    pub per_token: Option<(f64, f64)>,
    /// Mean cost of a call, USD.
    pub mean_cost: f64,
    /// The cost that nine of ten calls stay below, USD.
    pub high_cost: f64,
    /// Mean output tokens.
    pub mean_tokens: f64,
    /// The output tokens that nine of ten calls stay below.
    pub high_tokens: f64,
    /// The most output tokens seen.
    pub most_tokens: f64,
}

impl Prices {
    /// Fits every model of a pool; `models` is how many ids the table has.
    pub fn fit(models: usize, train: &PoolRows) -> Self {
        let mut rows: Vec<Vec<&Label>> = vec![Vec::new(); models];
        for cell in &train.cells {
            rows[usize::from(cell.label.model)].push(&cell.label);
        }
        Self(rows.iter().map(|it| ModelPrice::fit(it)).collect())
    }

    /// A model's prices.
    pub fn of(&self, model: u16) -> ModelPrice {
        self.0.get(usize::from(model)).copied().unwrap_or_default()
    }
}

impl ModelPrice {
    fn fit(rows: &[&Label]) -> Self {
        let costs = sorted(rows.iter().filter_map(|it| it.cost_usd));
        let tokens = sorted(rows.iter().filter_map(|it| it.output_tokens.map(f64::from)));
        Self {
            per_token: per_token(rows),
            mean_cost: mean(&costs),
            high_cost: nine_of_ten(&costs),
            mean_tokens: mean(&tokens),
            high_tokens: nine_of_ten(&tokens),
            most_tokens: tokens.last().copied().unwrap_or(f64::INFINITY),
        }
    }

    /// The cost of a call that writes so many tokens; `otherwise` where no price is known.
    pub fn cost(&self, label: &Label, output_tokens: f64, otherwise: f64) -> f64 {
        match (self.per_token, label.input_tokens) {
            (Some((input, output)), Some(tokens)) => {
                input * f64::from(tokens) + output * output_tokens
            }
            _ => otherwise,
        }
    }
}

/// Least squares of `cost / cost = 1` on tokens over cost; a negative price is set to 0.
fn per_token(rows: &[&Label]) -> Option<(f64, f64)> {
    let (mut ii, mut io, mut oo, mut i1, mut o1, mut count) = (0.0, 0.0, 0.0, 0.0, 0.0, 0);
    for row in rows {
        let (Some(cost), Some(input), Some(output)) =
            (row.cost_usd.filter(|it| *it > 0.0), row.input_tokens, row.output_tokens)
        else {
            continue;
        };
        let (i, o) = (f64::from(input) / cost, f64::from(output) / cost);
        ii += i * i;
        io += i * o;
        oo += o * o;
        i1 += i;
        o1 += o;
        count += 1;
    }
    if count < ROWS_MIN || ii <= 0.0 || oo <= 0.0 {
        return None;
    }
    let determinant = ii * oo - io * io;
    let input = (i1 * oo - o1 * io) / determinant;
    let output = (o1 * ii - i1 * io) / determinant;
    // Tokens in one fixed proportion tell no two prices apart.
    if determinant <= 1e-9 * ii * oo || output <= 0.0 {
        return Some((i1 / ii, 0.0));
    }
    if input <= 0.0 { Some((0.0, o1 / oo)) } else { Some((input, output)) }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn nine_of_ten(sorted: &[f64]) -> f64 {
    sorted.get((sorted.len() * 9 / 10).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::testing;

    #[test]
    fn prices_are_found_and_missing_tokens_are_no_error() {
        let mut data = testing::dataset(200);
        let rows = |data: &_| PoolRows::new(&testing::pool(), data, &(0..200).collect::<Vec<_>>());
        let dear = Prices::fit(2, &rows(&data)).of(1);
        let (input, output) = dear.per_token.unwrap();
        assert!((input / 1e-5 - 1.0).abs() < 1e-6 && (output / 2e-5 - 1.0).abs() < 1e-6);
        let label = data.labels[1];
        let cost = dear.cost(&label, f64::from(label.output_tokens.unwrap()), 0.0);
        assert!((cost / label.cost_usd.unwrap() - 1.0).abs() < 1e-6);
        data.labels.iter_mut().for_each(|it| it.output_tokens = None);
        let blind = Prices::fit(2, &rows(&data)).of(1);
        assert_eq!((blind.per_token, blind.cost(&label, 9.0, 0.25)), (None, 0.25));
        assert!(blind.mean_cost > 0.0 && blind.high_cost >= blind.mean_cost);
        assert_eq!(Prices::fit(0, &rows(&data).keep(|_| false).0).of(7), ModelPrice::default());
    }
}
