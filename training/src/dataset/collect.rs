//! Turns rows, as a reader found them, into checked labels with interned names.
//!
//! In: [`Row`]s in the file's order. Out: [`Dataset`]. Invariant: memory grows with labels (about
//! 64 bytes each) and unique texts, not with the file. Not here: how a format writes a row.

use std::collections::HashMap;
use std::path::Path;

use pointsman::domain::{PROMPT_BYTES_MAX, Text};

use super::error::{Column, DataError, Excess, Problem};
use super::{Dataset, Label};

/// The name of what has none.
const UNNAMED: &str = "unnamed";
/// Longest name of a source, task or model, in bytes: names are printed in tables.
const NAME_BYTES_MAX: usize = 512;
/// Prompts, sources, tasks and models have ids of 32 or 16 bits.
const PROMPTS_MAX: usize = u32::MAX as usize;
const NAMES_MAX: usize = u16::MAX as usize;

/// One row as the file has it; `None` is a null or a missing column, NaN counts as null.
#[derive(Clone, Copy, Default)]
pub(super) struct Row<'a> {
    pub(super) source: Option<&'a str>,
    pub(super) task: Option<&'a str>,
    pub(super) prompt: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    pub(super) quality: Option<f64>,
    pub(super) input_tokens: Option<f64>,
    pub(super) output_tokens: Option<f64>,
    pub(super) cost_usd: Option<f64>,
    pub(super) latency_s: Option<f64>,
    pub(super) tokens_est: Option<bool>,
}

/// What has been read so far.
pub(super) struct Collector {
    file: String,
    prompts: Ids,
    sources: Ids,
    tasks: Ids,
    models: Ids,
    labels: Vec<Label>,
}

/// Names with numbers, counted up from 0.
#[derive(Default)]
struct Ids(HashMap<Box<str>, u32>);

impl Ids {
    fn id(&mut self, name: &str, max: usize) -> Option<u32> {
        if let Some(id) = self.0.get(name) {
            return Some(*id);
        }
        let id = u32::try_from(self.0.len()).ok().filter(|_| self.0.len() < max)?;
        self.0.insert(name.into(), id);
        Some(id)
    }

    fn into_names(self) -> Vec<String> {
        let mut names: Vec<(u32, Box<str>)> = self.0.into_iter().map(|(k, v)| (v, k)).collect();
        names.sort_unstable_by_key(|it| it.0);
        names.into_iter().map(|it| it.1.into_string()).collect()
    }
}

impl Collector {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            file: path.display().to_string(),
            prompts: Ids::default(),
            sources: Ids::default(),
            tasks: Ids::default(),
            models: Ids::default(),
            labels: Vec::new(),
        }
    }

    /// The file's name for errors.
    pub(super) fn file(&self) -> String {
        self.file.clone()
    }

    /// An error at a value.
    pub(super) fn wrong(&self, row: u64, column: Column, problem: Problem) -> DataError {
        DataError::Value { file: self.file(), row, column, problem }
    }

    /// An error at a value of one model's columns in a wide table.
    pub(super) fn wrong_of(
        &self,
        row: u64,
        column: Column,
        model: &str,
        problem: Problem,
    ) -> DataError {
        self.wrong(row, column, problem).of_model(model)
    }

    /// Checks and keeps the row with the number `row`.
    pub(super) fn push(&mut self, row: u64, found: &Row<'_>) -> Result<(), DataError> {
        let at = |column| move |problem| (column, problem);
        let checked = (|| {
            let text = |column, value, max| text(value, max).map_err(at(column));
            let number = |column, value, high| number(value, high).map_err(at(column));
            let quality = number(Column::Quality, found.quality, 1.0)?;
            let label = Label {
                prompt: 0,
                model: 0,
                source: 0,
                task: 0,
                quality: quality.ok_or((Column::Quality, Problem::Missing))? as f32,
                input_tokens: count(found.input_tokens).map_err(at(Column::InputTokens))?,
                output_tokens: count(found.output_tokens).map_err(at(Column::OutputTokens))?,
                cost_usd: number(Column::CostUsd, found.cost_usd, f64::MAX)?,
                latency_s: number(Column::LatencyS, found.latency_s, f64::from(f32::MAX))?
                    .map(|it| it as f32),
                tokens_est: found.tokens_est.unwrap_or_default(),
            };
            let prompt = text(Column::Prompt, found.prompt, PROMPT_BYTES_MAX)?;
            let model = text(Column::Model, found.model, NAME_BYTES_MAX)?;
            text(Column::Source, Some(or_unnamed(found.source)), NAME_BYTES_MAX)?;
            text(Column::Task, Some(or_unnamed(found.task)), NAME_BYTES_MAX)?;
            Ok((label, prompt, model))
        })();
        let (label, prompt, model) =
            checked.map_err(|(column, problem)| self.wrong(row, column, problem))?;
        let file = &self.file;
        let excess = |what, max| DataError::TooMany { file: file.clone(), row, what, max };
        let name = |ids: &mut Ids, name: &str, what| {
            let id = ids.id(name, NAMES_MAX).and_then(|it| u16::try_from(it).ok());
            id.ok_or_else(|| excess(what, NAMES_MAX))
        };
        let prompt = self.prompts.id(prompt, PROMPTS_MAX);
        self.labels.push(Label {
            prompt: prompt.ok_or_else(|| excess(Excess::Prompts, PROMPTS_MAX))?,
            model: name(&mut self.models, model, Excess::Models)?,
            source: name(&mut self.sources, or_unnamed(found.source), Excess::Sources)?,
            task: name(&mut self.tasks, or_unnamed(found.task), Excess::Tasks)?,
            ..label
        });
        Ok(())
    }

    /// The table, when all rows are in.
    pub(super) fn finish(self, digest: String) -> Result<Dataset, DataError> {
        if self.labels.is_empty() {
            return Err(DataError::Empty { file: self.file });
        }
        Ok(Dataset {
            prompts: self.prompts.into_names().into_iter().map(Text::from).collect(),
            sources: self.sources.into_names(),
            tasks: self.tasks.into_names(),
            models: self.models.into_names(),
            labels: self.labels,
            digest,
        })
    }
}

fn or_unnamed(name: Option<&str>) -> &str {
    name.filter(|it| !it.is_empty()).unwrap_or(UNNAMED)
}

fn text(value: Option<&str>, max: usize) -> Result<&str, Problem> {
    let value = value.filter(|it| !it.is_empty()).ok_or(Problem::Missing)?;
    if value.len() > max {
        return Err(Problem::TooLong { bytes: value.len(), max });
    }
    Ok(value)
}

/// A number from 0 to `high`.
fn number(value: Option<f64>, high: f64) -> Result<Option<f64>, Problem> {
    let value = value.filter(|it| !it.is_nan());
    match value.filter(|it| !(0.0..=high).contains(it)) {
        Some(value) => Err(Problem::Range { value, low: 0.0, high }),
        None => Ok(value),
    }
}

/// A whole number; tables from pandas hold nullable counts as floats.
fn count(value: Option<f64>) -> Result<Option<u32>, Problem> {
    let value = number(value, f64::from(u32::MAX))?;
    match value.filter(|it| it.fract() != 0.0) {
        Some(value) => Err(Problem::Fraction { value }),
        None => Ok(value.map(|it| it as u32)),
    }
}
