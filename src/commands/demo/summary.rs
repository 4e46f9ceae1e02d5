//! What the demo's rows add up to.
//!
//! In: rows. Out: [`Summary`]. Invariant: pure. What always asking the model of the best predicted
//! quality would have cost is a prediction, and failures would come on top of it.

use std::time::Duration;

use super::play::{Place, Row};

/// A model's or a failure's count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Whose.
    pub name: String,
    /// How many.
    pub count: usize,
}

/// The demo in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Prompts routed.
    pub requests: usize,
    /// Those that got an answer.
    pub answered: usize,
    /// Those whose outcome is durably in the log.
    pub recorded: usize,
    /// Those that were answered by another than their first choice.
    pub fell_back: usize,
    /// Calls that failed, by class, most first.
    pub failures: Vec<Share>,
    /// Answers by model, most first.
    pub served: Vec<Share>,
    /// What all calls cost, USD.
    pub cost_usd: f64,
    /// What the model of the best predicted quality for each prompt is expected to cost, USD.
    pub best_cost_usd: f64,
    /// Mean predicted quality of the models that answered; 0 when none did.
    pub quality: f64,
    /// Mean predicted quality of the best models, for the same prompts.
    pub best_quality: f64,
    /// Half of the decisions took less, in milliseconds.
    pub decide_ms_p50: f64,
    /// The slowest decision, in milliseconds.
    pub decide_ms_max: f64,
    /// How long it all took.
    pub took: Duration,
}

impl Summary {
    /// Adds up.
    pub(super) fn of(rows: &[Row], took: Duration) -> Self {
        let calls = rows.iter().flat_map(|it| &it.attempts);
        let failures = calls.filter_map(|it| it.failure.as_deref());
        let decisions = sorted(rows.iter().map(|it| it.decide_ms).collect());
        let answered: Vec<_> = rows.iter().filter_map(|it| Some((it, server_of(it)?))).collect();
        let bests = || rows.iter().filter_map(best);
        Self {
            requests: rows.len(),
            answered: rows.iter().filter(|it| it.served.is_some()).count(),
            recorded: rows.iter().filter(|it| it.recorded).count(),
            fell_back: answered.iter().filter(|(row, it)| first(row) != Some(*it)).count(),
            failures: counted(failures),
            served: counted(rows.iter().filter_map(|it| it.served.as_deref())),
            cost_usd: rows.iter().map(|it| it.cost_usd).sum(),
            best_cost_usd: bests().map(|it| it.cost_usd).sum(),
            quality: mean(answered.iter().map(|(_, it)| it.quality)),
            best_quality: mean(answered.iter().filter_map(|(it, _)| best(it)).map(|it| it.quality)),
            decide_ms_p50: decisions.get(decisions.len() / 2).copied().unwrap_or(0.0),
            decide_ms_max: decisions.last().copied().unwrap_or(0.0),
            took,
        }
    }

    /// The share of the cost of always asking the best that was not spent; negative when more was.
    pub fn saved(&self) -> f64 {
        if self.best_cost_usd > 0.0 { 1.0 - self.cost_usd / self.best_cost_usd } else { 0.0 }
    }
}

fn server_of(row: &Row) -> Option<&Place> {
    let served = row.served.as_ref()?;
    row.ranking.iter().find(|it| it.model == *served)
}

fn first(row: &Row) -> Option<&Place> {
    row.ranking.first()
}

fn best(row: &Row) -> Option<&Place> {
    row.ranking.iter().max_by(|a, b| a.quality.total_cmp(&b.quality))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = values.collect();
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn counted<'n>(names: impl Iterator<Item = &'n str>) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for name in names {
        match shares.iter_mut().find(|it| it.name == name) {
            Some(share) => share.count += 1,
            None => shares.push(Share { name: name.to_owned(), count: 1 }),
        }
    }
    shares.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    shares
}

#[cfg(test)]
mod tests {
    use super::super::play::Called;
    use super::*;

    fn place(model: &str, quality: f64, cost_usd: f64) -> Place {
        Place { model: model.into(), quality, cost_usd }
    }

    fn row(served: Option<&str>, failures: &[&str], decide_ms: f64) -> Row {
        let failed = failures
            .iter()
            .map(|it| Called { model: "small".into(), failure: Some((*it).to_owned()) });
        Row {
            kind: "maths",
            ranking: vec![place("small", 0.7, 0.001), place("large", 0.9, 0.01)],
            attempts: failed.collect(),
            served: served.map(str::to_owned),
            cost_usd: if served == Some("large") { 0.012 } else { 0.001 },
            total_ms: 100.0,
            decide_ms,
            recorded: true,
        }
    }

    #[test]
    fn rows_add_up() {
        let rows = [
            row(Some("small"), &[], 1.0),
            row(Some("small"), &["overloaded"], 3.0),
            row(Some("large"), &["overloaded", "connection"], 2.0),
            row(None, &["connection", "overloaded"], 9.0),
        ];
        let it = Summary::of(&rows, Duration::from_secs(2));
        assert_eq!((it.requests, it.answered, it.recorded, it.fell_back), (4, 3, 4, 1));
        let share = |name: &str, count| Share { name: name.into(), count };
        assert_eq!(it.failures, [share("overloaded", 3), share("connection", 2)]);
        assert_eq!(it.served, [share("small", 2), share("large", 1)]);
        assert!((it.cost_usd - 0.015).abs() < 1e-12 && (it.best_cost_usd - 0.04).abs() < 1e-12);
        assert!((it.saved() - 0.625).abs() < 1e-9);
        assert!((it.quality - 2.3 / 3.0).abs() < 1e-9 && (it.best_quality - 0.9).abs() < 1e-9);
        assert_eq!((it.decide_ms_p50, it.decide_ms_max), (3.0, 9.0));
    }

    #[test]
    fn nothing_adds_up_to_nothing() {
        let it = Summary::of(&[], Duration::ZERO);
        assert_eq!((it.saved(), it.quality, it.decide_ms_p50), (0.0, 0.0, 0.0));
    }
}
