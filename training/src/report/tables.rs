//! The tables of a report, once for the terminal and the page.
//!
//! In: [`Report`]. Out: [`Sheet`]s of text cells. Invariant: a cell without a value is a dash. Not
//! here: how a table is drawn.

use super::Report;
use crate::choose::{FIGURES, PoolReport};
use crate::evaluate::Quantity;
use crate::metrics::Figure;

/// A table: a heading, column names, rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sheet {
    pub(super) title: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Sheet {
    pub(super) fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|it| (*it).to_owned()).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new() }
    }
}

/// Tables about single predictions.
pub(super) fn predictions(report: &Report) -> Vec<Sheet> {
    let Some(figures) = &report.figures else { return Vec::new() };
    let mut overall =
        Sheet::new("Quality, mean over sources", &["predictor", "AUC", "Brier", "ECE"]);
    for row in &figures.rows {
        let it = &row.intervals;
        overall.rows.push(vec![row.name.clone(), text(&it.auc), text(&it.brier), text(&it.ece)]);
    }
    let columns = ["predictor", "source", "labels", "models", "AUC", "Brier", "ECE"];
    let mut sources = Sheet::new("Quality per source", &columns);
    for row in &figures.per_source {
        let it = &row.intervals;
        sources.rows.push(vec![
            row.name.clone(),
            row.source.clone(),
            row.labels.to_string(),
            row.models.to_string(),
            text(&it.auc),
            text(&it.brier),
            text(&it.ece),
        ]);
    }
    let mut models = Sheet::new("Quality per model", &["model", "AUC", "Brier", "ECE"]);
    for row in &figures.per_model {
        let it = &row.intervals;
        models.rows.push(vec![row.model.clone(), text(&it.auc), text(&it.brier), text(&it.ece)]);
    }
    vec![overall, sources, models, forecasts(report)]
}

fn forecasts(report: &Report) -> Sheet {
    let columns = ["quantity", "labels", "median error", "model's median", "in 50 %", "in 90 %"];
    let mut sheet = Sheet::new("Output tokens and latency", &columns);
    for it in report.figures.iter().flat_map(|it| &it.forecasts) {
        let name = match it.quantity {
            Quantity::OutputTokens => "output tokens",
            Quantity::Latency => "latency, speed known",
        };
        let figures = [&it.error, &it.plain_error, &it.coverage_50, &it.coverage_90];
        let mut row = vec![name.to_owned(), it.labels.to_string()];
        row.extend(figures.map(text));
        sheet.rows.push(row);
    }
    sheet
}

/// The table of one pool.
pub(super) fn pool(pool: &PoolReport) -> Sheet {
    let title = format!("Pool {}: every chooser", pool.name);
    let columns = [&["chooser"], &FIGURES[..], &["router's AIQ less this one's"]].concat();
    let mut sheet = Sheet::new(&title, &columns);
    for it in &pool.choosers {
        let mut row = vec![it.name.clone()];
        row.extend(it.figures.iter().map(text));
        row.push(it.router_less.first().map(text).unwrap_or_default());
        sheet.rows.push(row);
    }
    sheet
}

/// The router's cost beside the best task-blind control's.
pub(super) fn savings(report: &Report) -> Sheet {
    let columns = [
        "pool",
        "of always-best's quality",
        "router's cost",
        "best task-blind control",
        "its cost",
        "router / control",
    ];
    let title = "Cost at equal quality, as a share of always-best's cost";
    let mut sheet = Sheet::new(title, &columns);
    let levels = [(1, "95 %"), (2, "99 %"), (3, "100 %")];
    for (pool, (level, name)) in report.pools.iter().flat_map(|it| levels.map(|level| (it, level)))
    {
        let (Some(router), Some(control)) = (pool.choosers.first(), pool.best_control(level))
        else {
            continue;
        };
        sheet.rows.push(vec![
            pool.name.clone(),
            name.to_owned(),
            text(&router.figures[level]),
            control.name.clone(),
            text(&control.figures[level]),
            text(&control.cost_ratio[level - 1]),
        ]);
    }
    for ((_, name), ratio) in levels.iter().zip(&report.cost_ratios) {
        let dash = || "-".to_owned();
        let ratio = text(&Figure::plain(*ratio));
        let all = "geometric mean over pools".to_owned();
        sheet.rows.push(vec![all, (*name).to_owned(), dash(), dash(), dash(), ratio]);
    }
    sheet
}

/// Budgets, stability and differences.
pub(super) fn rest(report: &Report) -> Vec<Sheet> {
    let columns = [
        "pool",
        "budget, USD",
        "chooser",
        "quality",
        "regret",
        "refused",
        "overrun",
        "limits broken",
    ];
    let mut budgets = Sheet::new("Best quality inside a budget per request", &columns);
    for (pool, it) in report.budgets.iter().flat_map(|it| it.rows.iter().map(|row| (&it.pool, row)))
    {
        budgets.rows.push(vec![
            pool.clone(),
            format!("{:.6}", it.budget_usd),
            it.name.clone(),
            text(&it.quality),
            text(&it.regret),
            text(&it.refused),
            text(&it.overrun),
            format!("{:.4}", it.broken),
        ]);
    }
    let columns = ["pool", "change", "requests", "choices changed", "quality", "quality before"];
    let mut stability = Sheet::new("Stability (always the same model: 0 changed)", &columns);
    for it in &report.stability {
        stability.rows.push(vec![
            it.pool.clone(),
            it.change.clone(),
            it.requests.to_string(),
            text(&it.changed),
            text(&it.quality),
            text(&it.quality_before),
        ]);
    }
    let mut differences = Sheet::new("This artifact less the other", &["figure", "difference"]);
    let rows = report.differences.iter().map(|it| vec![it.name.clone(), text(&it.figure)]);
    differences.rows.extend(rows);
    vec![budgets, stability, differences]
}

/// `0.731 [0.722, 0.740]`.
pub(super) fn text(figure: &Figure) -> String {
    figure.to_string()
}
