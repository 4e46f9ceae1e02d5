//! Puts a report together.
//!
//! In: a [`Job`]: table, inputs, encoder, options. Out: [`Report`]. Invariant: the artifact, the one
//! to compare with and every control are judged on the same rows and the same draws. Not here: any
//! figure's own arithmetic.

use anyhow::{Context, Result, ensure};
use pointsman::encoder::Encoder;
use pointsman::prediction::Predictor;

use super::{CalibrationBin, Difference, PoolBudgets, Report};
use crate::choose::{
    AGAINST, FIGURES, Field, Pool, PoolRows, ROUTER, Table, budgets, cross_fitted, field,
    overall_cost_ratio, stability, verdict,
};
use crate::dataset::{Dataset, Label};
use crate::evaluate::{Figures, Forecasts, Parts, Quantity, predictions};
use crate::fit::{FitSettings, Inputs, fit};
use crate::judge::judge_with;
use crate::metrics::{Bootstrap, ECE_BINS};
use crate::split::{Cut, Split, questions};

/// What is judged on.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The table.
    pub data: &'a Dataset,
    /// What an artifact sees of its prompts.
    pub inputs: &'a Inputs,
    /// Who read them.
    pub encoder: &'a Encoder,
    /// How to judge.
    pub options: &'a Options,
}

/// How to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What is held out.
    pub cut: Cut,
    /// How intervals are drawn.
    pub boot: Bootstrap,
    /// Where choosing is judged.
    pub pools: Vec<Pool>,
}

/// Judges an artifact on held-out questions, and beside it another.
///
/// # Errors
/// When nothing is held out.
pub fn evaluate(job: Job<'_>, artifact: &Predictor, against: Option<&Predictor>) -> Result<Report> {
    let Job { data, inputs, encoder, options } = job;
    let split = Split::new(&data.prompts, &options.cut);
    let figures = judge_with(data, inputs, &options.cut, Some(artifact), options.boot)?;
    let embeddings = inputs.embeddings();
    let table = Table { data, inputs, embeddings: &embeddings };
    let mut routers = vec![(ROUTER, artifact)];
    routers.extend(against.map(|it| (AGAINST, it)));
    let (_, held_out) = split.labels(data);
    let mut report = Report {
        calibration: calibration(&held_out, &predictions(artifact, data, inputs, &held_out)),
        figures: Some(figures),
        ..empty(format!("Router artifact {} on held-out questions", artifact.version()), data)
    };
    for rows in pool_rows(data, &options.pools) {
        let (train, _) = rows.keep(|it| !split.is_held_out(it));
        let (test, _) = rows.keep(|it| split.is_held_out(it));
        if train.rows.is_empty() || test.rows.is_empty() {
            continue;
        }
        let field = field(table, &routers, &train, &test, options.boot.seed)?;
        add_pool(&mut report, &test, &field, (data, &options.boot));
        let models = (artifact, encoder);
        report.stability.extend(stability(table, models, &train, &test, &options.boot)?);
    }
    if let Some(other) = against {
        report.differences = differences(job, &split, (artifact, other))?;
        report.differences.extend(pool_differences(&report));
    }
    Ok(finish(report))
}

/// Judges choosing on all questions: each is chosen on by a router, and by controls, that were
/// trained on the other folds.
///
/// # Errors
/// When a fold leaves too little to learn from, or no pool has rows in the table.
pub fn frontier(job: Job<'_>, folds: usize, settings: &FitSettings) -> Result<Report> {
    let Job { data, inputs, encoder, options } = job;
    let embeddings = inputs.embeddings();
    let table = Table { data, inputs, embeddings: &embeddings };
    let pools = pool_rows(data, &options.pools);
    ensure!(!pools.is_empty(), "the table has no row on which all models of a pool have a cost");
    let train = |split: &Split| {
        let artifact = fit(data, inputs, split, encoder, settings)?;
        Ok(Predictor::new(artifact))
    };
    let fields = cross_fitted(table, &pools, (folds, &options.cut.seed), train)?;
    let title = format!("Routers trained by `fit`, {folds}-fold by question text");
    let mut report = empty(title, data);
    for (rows, field) in pools.iter().zip(&fields) {
        add_pool(&mut report, rows, field, (data, &options.boot));
    }
    Ok(finish(report))
}

fn empty(title: String, data: &Dataset) -> Report {
    Report {
        title,
        data_sha256: data.digest.clone(),
        figures: None,
        calibration: Vec::new(),
        differences: Vec::new(),
        pools: Vec::new(),
        cost_ratios: Vec::new(),
        budgets: Vec::new(),
        stability: Vec::new(),
    }
}

fn finish(report: Report) -> Report {
    let cost_ratios = (1..4).map(|it| overall_cost_ratio(&report.pools, it)).collect();
    Report { cost_ratios, ..report }
}

fn pool_rows(data: &Dataset, pools: &[Pool]) -> Vec<PoolRows> {
    let questions = questions(&data.prompts);
    let rows = pools.iter().map(|it| PoolRows::new(it, data, &questions));
    rows.filter(|it| !it.rows.is_empty()).collect()
}

fn add_pool(report: &mut Report, rows: &PoolRows, field: &Field, by: (&Dataset, &Bootstrap)) {
    let (data, boot) = by;
    report.pools.extend(verdict(rows, field, &data.models, boot));
    let pool = rows.pool.name.clone();
    report.budgets.push(PoolBudgets { pool, rows: budgets(rows, &field.choosers, boot) });
}

fn calibration(labels: &[Label], predicted: &[f32]) -> Vec<CalibrationBin> {
    let mut bins = vec![(0_usize, 0.0, 0.0); ECE_BINS];
    for (label, predicted) in labels.iter().zip(predicted) {
        let bin = ((f64::from(*predicted) * ECE_BINS as f64) as usize).min(ECE_BINS - 1);
        bins[bin].0 += 1;
        bins[bin].1 += f64::from(*predicted);
        bins[bin].2 += f64::from(label.quality);
    }
    let bins = bins.into_iter().filter(|it| it.0 > 0);
    bins.map(|(labels, predicted, quality)| CalibrationBin {
        labels,
        predicted: predicted / labels as f64,
        quality: quality / labels as f64,
    })
    .collect()
}

/// Single predictions of two artifacts, paired.
fn differences(
    job: Job<'_>,
    split: &Split,
    artifacts: (&Predictor, &Predictor),
) -> Result<Vec<Difference>> {
    let Job { data, inputs, options, .. } = job;
    let (train, held_out) = split.labels(data);
    let report = Figures::new(data, &options.cut, &held_out);
    let count = report.question_count();
    let card = |it: &Predictor| {
        let predicted = predictions(it, data, inputs, &held_out);
        report.scorecard(&held_out, &predicted).context("predictions of an artifact")
    };
    let (own, other) = (card(artifacts.0)?, card(artifacts.1)?);
    let drawn = options.boot.figures(count, |weights| {
        let each = |it: &crate::metrics::Scorecard| -> Vec<f64> {
            let sources = it.per_source(weights).into_iter();
            [it.overall(weights)].into_iter().chain(sources).flat_map(|it| it.values()).collect()
        };
        each(&own).iter().zip(each(&other)).map(|(a, b)| a - b).collect()
    });
    let sources = own.sources().into_iter();
    let sources = sources.map(|it| data.sources.get(usize::from(it)).cloned().unwrap_or_default());
    let places = ["mean over sources".to_owned()].into_iter().chain(sources);
    let names =
        places.flat_map(|it| ["AUC", "Brier", "ECE"].map(|figure| format!("{figure}, {it}")));
    let mut found: Vec<Difference> =
        names.zip(drawn).map(|(name, figure)| Difference { name, figure }).collect();
    let parts =
        Parts { data, inputs, questions: report.questions(), train: &train, held_out: &held_out };
    for (quantity, what) in
        [(Quantity::OutputTokens, "output tokens"), (Quantity::Latency, "latency")]
    {
        let of = |it| Forecasts::new(quantity, it, &parts);
        let (Some(own), Some(other)) = (of(artifacts.0)?, of(artifacts.1)?) else { continue };
        let drawn = options.boot.figures(count, |weights| {
            own.values(weights).iter().zip(other.values(weights)).map(|(a, b)| a - b).collect()
        });
        let names = [(0, "median relative error"), (2, "50 % coverage"), (3, "90 % coverage")];
        found.extend(
            names.map(|(at, name)| Difference {
                name: format!("{what}: {name}"),
                figure: drawn[at],
            }),
        );
    }
    Ok(found)
}

/// Choosing of two artifacts, paired.
fn pool_differences(report: &Report) -> Vec<Difference> {
    let other = |it: &crate::choose::PoolReport| {
        let found = it.choosers.iter().find(|it| it.name == AGAINST)?;
        Some((it.name.clone(), found.router_less.clone()))
    };
    let named = |(pool, figures): (String, Vec<crate::metrics::Figure>)| {
        let name = move |it: &str| format!("{it}, pool {pool}");
        let rows = FIGURES.iter().zip(figures);
        rows.map(|(it, figure)| Difference { name: name(it), figure }).collect::<Vec<_>>()
    };
    report.pools.iter().filter_map(other).flat_map(named).collect()
}
