//! Exported files read back, each decision with what was said of it.
//!
//! In: a folder or a URL that was exported to. Out: every [`Logged`] decision, file by file. Invariant:
//! one file is in memory at a time, and no more than [`SAID_MAX`] scores: where there are more, the
//! outcomes are gone through as often as it takes, each time with another share of the decisions. An
//! error names the file, and the row where it is one row's. Blocks; not for async code.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use arrow::array::{
    Array, AsArray, Float32Array, Float64Array, Int32Array, ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use tokio::runtime::{Builder, Runtime};

use super::ExportError;
use super::destination::Destination;
use crate::domain::DecisionId;
use crate::outcome::reader::{Logged, Said, SaidRow};
use crate::outcome::sqlite::decoded;

/// Most scores in memory: some 200 bytes each, so below half a gigabyte.
const SAID_MAX: usize = 2_000_000;
/// Rows decoded at once.
const BATCH_ROWS: usize = 512;

/// A place that was exported to.
pub struct ExportReader {
    place: Destination,
    runtime: Runtime,
    said_max: usize,
}

/// The decisions of one pass: those whose id falls into this share.
#[derive(Debug, Clone, Copy)]
struct Share {
    at: u64,
    of: u64,
}

impl Share {
    fn has(self, decision: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        decision.hash(&mut hasher);
        hasher.finish() % self.of == self.at
    }
}

impl ExportReader {
    /// A folder, or `s3://...`, `gs://...`, `az://...`.
    ///
    /// # Errors
    /// [`ExportError::Destination`] for what is no place.
    pub fn open(from: &str) -> Result<Self, ExportError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let failed = |source| ExportError::Folder { folder: from.to_owned(), source };
        let place = Destination::open(from)?;
        Ok(Self { place, runtime: runtime.map_err(failed)?, said_max: SAID_MAX })
    }

    /// Hands every decision to `visit`; one that cannot be read as an error that names its file and
    /// row, after which the next ones follow.
    ///
    /// # Errors
    /// [`ExportError`] for a file that cannot be read as a whole.
    pub fn for_each(
        &self,
        mut visit: impl FnMut(Result<Logged, ExportError>),
    ) -> Result<(), ExportError> {
        let outcomes = self.runtime.block_on(self.place.files("outcomes"))?;
        let feedback = self.runtime.block_on(self.place.files("feedback"))?;
        let mut count = 0;
        for file in &feedback {
            let builder = self.builder(file)?;
            count += usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        }
        let of = count.div_ceil(self.said_max).max(1) as u64;
        for at in 0..of {
            let share = Share { at, of };
            let mut said = HashMap::new();
            for file in &feedback {
                self.batches(file, |batch, _| add_said(batch, file, share, &mut said))?;
            }
            for file in &outcomes {
                self.batches(file, |batch, first| {
                    let columns = Columns::of(batch, file)?;
                    let own = |it: &usize| share.has(columns.decision.value(*it));
                    for row in (0..batch.num_rows()).filter(own) {
                        let named = |source| failed_row(file, first + row, source);
                        let read = columns.read(row).map_err(named);
                        visit(read.map(|it| it.said(&mut said)));
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn builder(
        &self,
        file: &str,
    ) -> Result<ParquetRecordBatchReaderBuilder<bytes::Bytes>, ExportError> {
        let bytes = self.runtime.block_on(self.place.get(file))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes);
        builder.map_err(|source| ExportError::Parquet { file: file.to_owned(), source })
    }

    /// Hands every batch of a file on, with the number of its first row.
    fn batches(
        &self,
        file: &str,
        mut visit: impl FnMut(&RecordBatch, usize) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let failed = |source: ParquetError| ExportError::Parquet { file: file.to_owned(), source };
        let reader = self.builder(file)?.with_batch_size(BATCH_ROWS).build().map_err(failed)?;
        let mut first = 0;
        for batch in reader {
            let batch = batch.map_err(|it| failed(it.into()))?;
            visit(&batch, first)?;
            first += batch.num_rows();
        }
        Ok(())
    }
}

fn failed_row(file: &str, row: usize, source: Option<crate::outcome::OutcomeError>) -> ExportError {
    ExportError::Row { file: file.to_owned(), row, source }
}

/// A record, for whose decision something may have been said.
struct ReadRow(crate::outcome::OutcomeRecord);

impl ReadRow {
    fn said(self, said: &mut HashMap<String, Said>) -> Logged {
        said.remove(&self.0.decision.to_string()).unwrap_or_default().of(self.0)
    }
}

/// The columns that a record is made of.
struct Columns<'a> {
    decision: &'a StringArray,
    version: &'a Int32Array,
    record: &'a StringArray,
    features: &'a ListArray,
    embedding: &'a ListArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch, file: &str) -> Result<Self, ExportError> {
        let list = |name: &'static str| {
            let list = batch.column_by_name(name).and_then(|it| it.as_list_opt::<i32>());
            let floats = |it: &&ListArray| it.values().as_primitive_opt::<Float32Type>().is_some();
            list.filter(floats).ok_or_else(|| no_column(file, name))
        };
        let name = "record_version";
        let version = batch.column_by_name(name).and_then(|it| it.as_primitive_opt::<Int32Type>());
        Ok(Self {
            decision: text(batch, file, "decision_id")?,
            version: version.ok_or_else(|| no_column(file, name))?,
            record: text(batch, file, "record")?,
            features: list("features")?,
            embedding: list("embedding")?,
        })
    }

    /// One record; an error without a cause where the id is none.
    fn read(&self, row: usize) -> Result<ReadRow, Option<crate::outcome::OutcomeError>> {
        let decision = DecisionId::parse(self.decision.value(row)).ok_or(None)?;
        let vectors = [self.features, self.embedding].map(|it| {
            let values: Option<Float32Array> =
                it.value(row).as_primitive_opt::<Float32Type>().cloned();
            values.map(|it| it.values().to_vec()).unwrap_or_default()
        });
        let version = i64::from(self.version.value(row));
        let record = decoded(decision, version, self.record.value(row), vectors);
        record.map(ReadRow).map_err(Some)
    }
}

fn add_said(
    batch: &RecordBatch,
    file: &str,
    share: Share,
    said: &mut HashMap<String, Said>,
) -> Result<(), ExportError> {
    let decision = text(batch, file, "decision_id")?;
    let kind = text(batch, file, "kind")?;
    let (signal, about) = (text(batch, file, "signal")?, text(batch, file, "about")?);
    let (score, weight) = (number(batch, file, "score")?, number(batch, file, "weight")?);
    for row in (0..batch.num_rows()).filter(|it| share.has(decision.value(*it))) {
        let given = |of: &StringArray| {
            if of.is_null(row) { String::new() } else { of.value(row).to_owned() }
        };
        let (signal, about) = (given(signal), given(about));
        let (score, weight) = (score.value(row), weight.value(row));
        let (kind, signal, about) = (kind.value(row), signal.as_str(), about.as_str());
        let known = said.entry(decision.value(row).to_owned()).or_default();
        known.add(&SaidRow { kind, signal, about, score, weight });
    }
    Ok(())
}

fn text<'a>(
    batch: &'a RecordBatch,
    file: &str,
    name: &'static str,
) -> Result<&'a StringArray, ExportError> {
    let column = batch.column_by_name(name).and_then(|it| it.as_string_opt::<i32>());
    column.ok_or_else(|| no_column(file, name))
}

fn number<'a>(
    batch: &'a RecordBatch,
    file: &str,
    name: &'static str,
) -> Result<&'a Float64Array, ExportError> {
    let column = batch.column_by_name(name).and_then(|it| it.as_primitive_opt::<Float64Type>());
    column.ok_or_else(|| no_column(file, name))
}

fn no_column(file: &str, column: &'static str) -> ExportError {
    ExportError::Column { file: file.to_owned(), column }
}

#[cfg(test)]
mod tests;
