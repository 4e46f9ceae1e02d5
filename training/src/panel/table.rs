//! The labelled table that a panel makes, as `fit --data` reads it.
//!
//! In: what is in the work folder. Out: a Parquet file. Invariant: a row is a whole answer with a grade;
//! rows stand in the order of the draw and then of the panel, so that the same answers give the same
//! table; only the owner may read it. Not here: reading it (see [`crate::dataset`]).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pointsman::domain::Usage;

use super::ask::Ask;
use super::events::Answer;
use super::run::Panel;
use super::work::write_whole;

/// zstd's own default.
const LEVEL: i32 = 3;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    /// The prompt.
    pub ask: &'a Ask,
    /// The answer to it.
    pub answer: Answer,
    /// What that is worth, 0 to 1.
    pub quality: f64,
}

/// Every answer that is whole and graded.
pub fn rows<C>(panel: &Panel<C>) -> Vec<Row<'_>> {
    let each = panel
        .sampled
        .iter()
        .flat_map(|it| (0..panel.candidates.len()).map(move |candidate| (&it.ask, candidate)));
    let row = |(ask, candidate)| {
        let pair = panel.pair(ask, candidate);
        panel.work.with(|state| {
            let answer = state.answers.get(&pair).filter(|it| it.cut_at.is_none())?.clone();
            let quality = panel.grader.quality(state, &pair)?;
            Some(Row { ask, answer, quality })
        })
    };
    each.filter_map(row).collect()
}

/// Writes a table; one that is there already is replaced as a whole.
///
/// # Errors
/// When it cannot be written.
pub fn write(rows: &[Row<'_>], path: &Path) -> Result<()> {
    let batch = batch(rows).with_context(|| path.display().to_string())?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_created_by("pointsman-train panel".to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    write_whole(path, &writer.into_inner()?)
}

fn batch(rows: &[Row<'_>]) -> Result<RecordBatch> {
    // A provider that counts nothing has not said that there was nothing.
    let counted =
        |it: &Row<'_>, tokens: u64| (it.answer.usage != Usage::default()).then_some(tokens);
    let texts = |of: fn(&Row<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let floats = |of: fn(&Row<'_>) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(of)))
    };
    let input = rows.iter().map(|it| counted(it, it.answer.usage.input_tokens));
    let output = rows.iter().map(|it| counted(it, it.answer.usage.output_tokens));
    let cost = rows
        .iter()
        .map(|it| (it.answer.usage != Usage::default()).then_some(it.answer.cost_usd.get()));
    let columns: [(&str, ArrayRef); 10] = [
        ("source", texts(|it| Some(it.ask.source.clone()))),
        ("task", texts(|it| it.ask.task.clone())),
        ("prompt", texts(|it| Some(it.ask.prompt.as_str().to_owned()))),
        ("model", texts(|it| Some(it.answer.model.clone()))),
        ("quality", floats(|it| it.quality)),
        ("input_tokens", Arc::new(input.collect::<UInt64Array>())),
        ("output_tokens", Arc::new(output.collect::<UInt64Array>())),
        ("cost_usd", Arc::new(cost.collect::<Float64Array>())),
        ("latency_s", floats(|it| it.answer.latency_s)),
        ("tokens_est", Arc::new(BooleanArray::from(vec![false; rows.len()]))),
    ];
    let nullable = |it: &str| matches!(it, "task" | "input_tokens" | "output_tokens" | "cost_usd");
    let columns = columns.map(|(name, values)| (name, values, nullable(name)));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}
