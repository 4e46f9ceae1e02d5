//! Rows of a Parquet file, in batches.
//!
//! In: a file whose columns may have any number, string (also dictionary) and boolean types. Out:
//! rows to the [`Collector`]. Invariant: one batch is in memory at a time. Not here: range checks.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::collect::{Collector, Row};
use super::error::{Column, DataError, Kind};
use crate::progress::Progress;

/// Rows in memory at once: with prompts of 600 bytes about 5 MB.
const BATCH_ROWS: usize = 8_192;

/// Hands every row to `rows`.
pub(super) fn read(path: &Path, rows: &mut Collector) -> Result<(), DataError> {
    let file = super::open(path)?;
    let parquet = |source| DataError::Parquet { file: path.display().to_string(), source };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet)?;
    let schema = builder.schema().clone();
    let mut roots = Vec::new();
    for column in Column::ALL {
        let found = schema.fields().iter().position(|it| it.name() == column.as_str());
        match found {
            Some(root) => {
                check_type(rows, column, schema.field(root).data_type())?;
                roots.push(root);
            }
            None if column.is_required() => {
                return Err(DataError::NoColumn { file: rows.file(), column });
            }
            None => {}
        }
    }
    let total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    let progress = Progress::start("reading rows", total);
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let batches =
        builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(parquet)?;
    let mut row = 0;
    for batch in batches {
        let failed = |source| DataError::Batch { file: path.display().to_string(), row, source };
        let batch = batch.map_err(failed)?;
        let columns = cast_columns(&batch).map_err(failed)?;
        for at in 0..batch.num_rows() {
            rows.push(row + at as u64 + 1, &row_at(&columns, at))?;
        }
        row += batch.num_rows() as u64;
        progress.advance(batch.num_rows() as u64);
    }
    Ok(())
}

fn check_type(rows: &Collector, column: Column, found: &DataType) -> Result<(), DataError> {
    let value = match found {
        DataType::Dictionary(_, value) => value.as_ref(),
        plain => plain,
    };
    let fits = match column.kind() {
        Kind::String => {
            matches!(value, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        }
        Kind::Number => value.is_numeric(),
        Kind::Bool => matches!(value, DataType::Boolean),
    };
    // A column without any value comes as the null type.
    if fits || (value.is_null() && !column.is_required()) {
        return Ok(());
    }
    let (file, wanted) = (rows.file(), column.kind());
    Err(DataError::ColumnType { file, column, found: found.to_string(), wanted })
}

/// The batch's columns by [`Column`], each in the one type that is read.
fn cast_columns(
    batch: &RecordBatch,
) -> Result<[Option<ArrayRef>; Column::ALL.len()], arrow::error::ArrowError> {
    let mut columns = [const { None }; Column::ALL.len()];
    for column in Column::ALL {
        let wanted = match column.kind() {
            Kind::String => DataType::LargeUtf8,
            Kind::Number => DataType::Float64,
            Kind::Bool => DataType::Boolean,
        };
        if let Some(found) = batch.column_by_name(column.as_str()) {
            columns[column as usize] = Some(if found.data_type() == &wanted {
                Arc::clone(found)
            } else {
                cast(found, &wanted)?
            });
        }
    }
    Ok(columns)
}

fn row_at(columns: &[Option<ArrayRef>; Column::ALL.len()], at: usize) -> Row<'_> {
    let valid = |it: Column| columns[it as usize].as_ref().filter(|it| it.is_valid(at));
    let text = |it| Some(valid(it)?.as_string_opt::<i64>()?.value(at));
    let number = |it| Some(valid(it)?.as_primitive_opt::<Float64Type>()?.value(at));
    Row {
        source: text(Column::Source),
        task: text(Column::Task),
        prompt: text(Column::Prompt),
        model: text(Column::Model),
        quality: number(Column::Quality),
        input_tokens: number(Column::InputTokens),
        output_tokens: number(Column::OutputTokens),
        cost_usd: number(Column::CostUsd),
        latency_s: number(Column::LatencyS),
        tokens_est: valid(Column::TokensEst).and_then(|it| Some(it.as_boolean_opt()?.value(at))),
    }
}
