//! What a panel would cost, and what came of one, for people.
//!
//! In: forecasts; the work folder. Out: tables of text. Invariant: nothing of a prompt or an answer is in
//! them. Not here: what is measured of artifacts (see [`crate::report`]).

use std::collections::BTreeMap;
use std::fmt;

use pointsman::domain::Usd;

use super::plan::Forecast;
use super::run::{Panel, Ran};
use super::work::Sampled;

/// What a panel would cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Prompts drawn, by cluster.
    pub clusters: BTreeMap<usize, usize>,
    /// One per model.
    pub models: Vec<Forecast>,
    /// The most that grading can cost.
    pub grading: Usd,
    /// What may be spent.
    pub limit: Usd,
}

impl Plan {
    /// Of these prompts.
    pub fn new(sampled: &[Sampled], models: Vec<Forecast>, grading: Usd, limit: Usd) -> Self {
        let mut clusters = BTreeMap::new();
        for it in sampled {
            *clusters.entry(it.cluster).or_default() += 1;
        }
        Self { clusters, models, grading, limit }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prompts: usize = self.clusters.values().sum();
        let sizes: Vec<String> = self.clusters.values().map(ToString::to_string).collect();
        writeln!(out, "{prompts} prompts of {} clusters: {}", sizes.len(), sizes.join(" "))?;
        writeln!(out, "{:32} {:32} {:>12} {:>12}", "model", "called at", "expected", "at most")?;
        for Forecast { model, deployment, expected, at_most } in &self.models {
            writeln!(out, "{model:32} {:32} {expected:>12} {at_most:>12}", deployment.id.as_str())?;
        }
        let expected: Usd = self.models.iter().map(|it| it.expected).sum();
        let at_most: Usd = self.models.iter().map(|it| it.at_most).sum();
        if self.grading != Usd::ZERO {
            writeln!(out, "{:65} {:>12} {:>12}", "grading", "", self.grading)?;
        }
        writeln!(out, "{:65} {expected:>12} {:>12}", "all", at_most + self.grading)?;
        writeln!(out, "to be spent at most: {}", self.limit)
    }
}

/// What came of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// One per model.
    pub models: Vec<ModelSummary>,
    /// Prompts drawn.
    pub prompts: usize,
    /// Prompts to which every model has a graded answer.
    pub complete: usize,
    /// What the last run left out.
    pub ran: Ran,
    /// What was spent, by this run and those before it.
    pub spent: Usd,
}

/// What came of one model's answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelSummary {
    /// Its name in the table.
    pub model: String,
    /// Answers that are whole.
    pub whole: usize,
    /// Answers that the limit on output tokens has cut.
    pub cut: usize,
    /// Prompts that it did not answer, by how the last call failed.
    pub unanswered: BTreeMap<&'static str, usize>,
    /// Answers with a grade: the rows of the table.
    pub graded: usize,
    /// Of the grades.
    pub quality_sum: f64,
    /// What its answers cost.
    pub cost: Usd,
}

impl Summary {
    /// Of everything in the work folder.
    pub fn of<C>(panel: &Panel<C>, ran: Ran) -> Self {
        let models: Vec<ModelSummary> =
            (0..panel.candidates.len()).map(|it| ModelSummary::of(panel, it)).collect();
        let graded = |it: &&Sampled| {
            (0..panel.candidates.len()).all(|candidate| {
                let pair = panel.pair(&it.ask, candidate);
                panel.work.with(|state| panel.grader.quality(state, &pair)).is_some()
            })
        };
        let complete = panel.sampled.iter().filter(graded).count();
        let (prompts, spent) = (panel.sampled.len(), panel.spend.spent());
        Self { models, prompts, complete, ran, spent }
    }
}

impl ModelSummary {
    fn of<C>(panel: &Panel<C>, candidate: usize) -> Self {
        let model = panel.candidates[candidate].name.clone();
        let mut found = Self { model, ..Self::default() };
        for it in &panel.sampled {
            let pair = panel.pair(&it.ask, candidate);
            panel.work.with(|state| {
                if let Some(answer) = state.answers.get(&pair) {
                    found.cost += answer.cost_usd;
                    found.cut += usize::from(answer.cut_at.is_some());
                    found.whole += usize::from(answer.cut_at.is_none());
                    if let Some(quality) = panel.grader.quality(state, &pair) {
                        found.graded += 1;
                        found.quality_sum += quality;
                    }
                } else if let Some(class) = state.unanswered.get(&pair) {
                    *found.unanswered.entry(class.as_str()).or_default() += 1;
                }
            });
        }
        found
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:32} {:>7} {:>7} {:>8} {:>12}  {:>5} not answered",
            "model", "whole", "graded", "quality", "cost", "cut"
        )?;
        for it in &self.models {
            let quality = match it.graded {
                0 => "-".to_owned(),
                graded => format!("{:.3}", it.quality_sum / graded as f64),
            };
            let failed: Vec<String> =
                it.unanswered.iter().map(|(class, count)| format!("{count} {class}")).collect();
            writeln!(
                out,
                "{:32} {:>7} {:>7} {quality:>8} {:>12}  {:>5} {}",
                it.model,
                it.whole,
                it.graded,
                it.cost,
                it.cut,
                failed.join(", ")
            )?;
        }
        let Self { prompts, complete, ran, spent, .. } = self;
        writeln!(out, "{complete} of {prompts} prompts have a graded answer of every model")?;
        if ran.unaffordable > 0 {
            let count = ran.unaffordable;
            writeln!(out, "{count} prompts could have cost more than was left of --max-cost-usd")?;
        }
        for (why, count) in &ran.ungraded {
            writeln!(out, "{count} answers have no grade: {why}")?;
        }
        let cut: usize = self.models.iter().map(|it| it.cut).sum();
        if cut > 0 {
            writeln!(out, "{cut} answers were cut by --max-output-tokens and are left out")?;
        }
        writeln!(out, "spent so far, grading included: {spent}")
    }
}
