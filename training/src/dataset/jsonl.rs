//! Rows of a file with one JSON object per line.
//!
//! In: UTF-8 lines; blank ones are skipped but counted, unknown fields are not read. Out: rows to
//! the [`Collector`]. Invariant: one line is in memory at a time. Not here: range checks.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::collect::{Collector, Row};
use super::error::{Column, DataError, Problem};
use crate::progress::Progress;

/// Longest line, in bytes: the longest prompt (4 MiB) with every byte escaped, and the rest.
const LINE_BYTES_MAX: u64 = 32 << 20;

/// Hands every row to `rows`.
pub(super) fn read(path: &Path, rows: &mut Collector) -> Result<(), DataError> {
    let file = super::open(path)?;
    let bytes = file.metadata().map_err(|it| super::unreadable(path, it))?.len();
    let progress = Progress::start("reading bytes", bytes);
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut row = 0;
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|it| super::unreadable(path, it))? as u64;
        if read == 0 {
            return Ok(());
        }
        row += 1;
        if read > LINE_BYTES_MAX {
            return Err(DataError::LongLine { file: rows.file(), row, max: LINE_BYTES_MAX });
        }
        progress.advance(read);
        if line.trim_ascii().is_empty() {
            continue;
        }
        let object: Map<String, Value> = serde_json::from_slice(&line)
            .map_err(|source| DataError::Json { file: rows.file(), row, source })?;
        let found = row_of(&object);
        let found = found.map_err(|(column, problem)| rows.wrong(row, column, problem))?;
        rows.push(row, &found)?;
    }
}

fn row_of(object: &Map<String, Value>) -> Result<Row<'_>, (Column, Problem)> {
    let value = |it: Column| object.get(it.as_str()).filter(|it| !it.is_null());
    let wrong = |column: Column| (column, Problem::Kind { wanted: column.kind() });
    let text = |column| match value(column) {
        None => Ok(None),
        Some(it) => it.as_str().map(Some).ok_or_else(|| wrong(column)),
    };
    let number = |column| match value(column) {
        None => Ok(None),
        Some(it) => it.as_f64().map(Some).ok_or_else(|| wrong(column)),
    };
    let tokens_est = match value(Column::TokensEst) {
        None => None,
        Some(it) => Some(it.as_bool().ok_or_else(|| wrong(Column::TokensEst))?),
    };
    Ok(Row {
        source: text(Column::Source)?,
        task: text(Column::Task)?,
        prompt: text(Column::Prompt)?,
        model: text(Column::Model)?,
        quality: number(Column::Quality)?,
        input_tokens: number(Column::InputTokens)?,
        output_tokens: number(Column::OutputTokens)?,
        cost_usd: number(Column::CostUsd)?,
        latency_s: number(Column::LatencyS)?,
        tokens_est,
    })
}
