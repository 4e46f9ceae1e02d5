//! Rows of a wide CSV table, as RouterBench publishes them: one row per prompt, two columns per model.
//!
//! In: a header with `prompt`, for each model the columns `NAME` (score, 0 to 1) and
//! `NAME|total_cost` (USD), and optionally `eval_name` (the task) and `source`; other columns
//! (`sample_id`, `NAME|model_response`, ...) are not read. Out: one row per model to the
//! [`Collector`]; an empty score says that the model was not asked. Invariant: a header is wide only
//! where it has no column `model` and at least one pair. Not here: RouterBench's pickled files.

use std::collections::HashMap;

use super::collect::{Collector, Row};
use super::error::{Column, DataError, Kind, Problem};

/// What stands behind a model's name in the header of its costs.
const COST: &str = "|total_cost";

/// Where the columns of a wide table stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wide {
    prompt: usize,
    task: Option<usize>,
    source: Option<usize>,
    models: Vec<Pair>,
}

/// One model's columns.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    name: String,
    score: usize,
    cost: usize,
}

impl Wide {
    /// Reads a header; `None` where it is that of a long table.
    pub(super) fn find(header: &csv::StringRecord) -> Option<Self> {
        let trimmed = |it: &'_ str| it.trim_start_matches('\u{feff}').trim().to_owned();
        let names: HashMap<String, usize> =
            header.iter().enumerate().map(|(at, it)| (trimmed(it), at)).collect();
        let mut models = Vec::new();
        for (cost, name) in header.iter().enumerate() {
            let Some(name) = trimmed(name).strip_suffix(COST).map(str::to_owned) else { continue };
            if let Some(score) = names.get(&name).copied() {
                models.push(Pair { name, score, cost });
            }
        }
        if models.is_empty() || names.contains_key(Column::Model.as_str()) {
            return None;
        }
        let at = |it: &str| names.get(it).copied();
        let task = at("eval_name").or_else(|| at(Column::Task.as_str()));
        Some(Self {
            prompt: at(Column::Prompt.as_str())?,
            task,
            source: at(Column::Source.as_str()),
            models,
        })
    }

    /// Hands the models of one row to `rows`.
    pub(super) fn push(
        &self,
        row: u64,
        record: &csv::StringRecord,
        rows: &mut Collector,
    ) -> Result<(), DataError> {
        let text = |it: usize| record.get(it).filter(|it| !it.trim().is_empty());
        for pair in &self.models {
            let number = |at: usize, column| match text(at).map(|it| it.trim().parse::<f64>()) {
                None => Ok(None),
                Some(Ok(value)) => Ok(Some(value)),
                Some(Err(_)) => {
                    let problem = Problem::Kind { wanted: Kind::Number };
                    Err(rows.wrong_of(row, column, &pair.name, problem))
                }
            };
            let quality = number(pair.score, Column::Quality)?;
            let cost_usd = number(pair.cost, Column::CostUsd)?;
            if quality.is_none_or(f64::is_nan) {
                continue;
            }
            let found = Row {
                source: self.source.and_then(text),
                task: self.task.and_then(text),
                prompt: text(self.prompt),
                model: Some(&pair.name),
                quality,
                cost_usd,
                ..Row::default()
            };
            rows.push(row, &found).map_err(|error| error.of_model(&pair.name))?;
        }
        Ok(())
    }
}
