//! Exported files read back, each decision with what was said of it, in the order of decisions.
//!
//! In: a folder or a URL that was exported to. Out: every [`Logged`] decision, by its id, which is the
//! order in time, whoever exported it. Invariant: in memory are only files whose decisions overlap in
//! time (one or two of each server that exports there), and no more than about [`SAID_MAX`] scores:
//! where there are more, the decisions are gone through in as many shares, one after another. An error
//! names the file, and the row where it is one row's. Blocks; not for async code.

mod footer;
mod merge;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use tokio::runtime::{Builder, Runtime};

use super::ExportError;
use super::destination::Destination;
use crate::outcome::reader::{Logged, Said, SaidRow};
use footer::Footer;
use merge::Span;

/// Most scores in memory: some 200 bytes each, so below half a gigabyte.
const SAID_MAX: usize = 2_000_000;
/// Of so many scores one is looked at to find where a share ends: then none is larger than it should
/// be by more than a few in a hundred.
const SAID_PER_LOOK: usize = 1_000;
/// Rows decoded at once.
const BATCH_ROWS: usize = 512;

const DECISION: &str = "decision_id";
const SAID_COLUMNS: [&str; 6] = [DECISION, "kind", "signal", "about", "score", "weight"];

/// A place that was exported to.
pub struct ExportReader {
    place: Destination,
    runtime: Runtime,
    said_max: usize,
}

/// The decisions of one pass: those from this id on, up to another.
#[derive(Debug, Clone, PartialEq)]
struct Share {
    from: String,
    /// Not itself.
    to: Option<String>,
}

impl Share {
    fn has(&self, decision: &str) -> bool {
        decision >= self.from.as_str() && self.to.as_deref().is_none_or(|to| decision < to)
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

    /// Whether any decision was exported there.
    ///
    /// # Errors
    /// [`ExportError::Place`] when it cannot be reached.
    pub fn is_empty(&self) -> Result<bool, ExportError> {
        Ok(self.files("outcomes")?.is_empty())
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
        let outcomes = self.files("outcomes")?.into_iter().map(|it| self.span(it));
        let mut outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        outcomes.sort();
        let feedback = self.files("feedback")?;
        for share in self.shares(&feedback)? {
            let mut said = HashMap::new();
            for file in &feedback {
                let add = |batch: RecordBatch| add_said(&batch, file, &share, &mut said);
                self.batches(file, &SAID_COLUMNS, add)?;
            }
            self.in_order(&outcomes, &share, &mut |read| {
                visit(read.map(|record| {
                    let said = said.remove(&record.decision.to_string()).unwrap_or_default();
                    said.of(record)
                }));
            })?;
        }
        Ok(())
    }

    fn files(&self, folder: &str) -> Result<Vec<String>, ExportError> {
        self.runtime.block_on(self.place.files(folder))
    }

    fn footer(&self, file: &str) -> Result<Footer, ExportError> {
        self.runtime.block_on(Footer::read(&self.place, file))
    }

    fn span(&self, file: String) -> Result<Span, ExportError> {
        let (first, last) = self.footer(&file)?.ends(DECISION).unzip();
        Ok(Span { first: first.unwrap_or_default(), last, file })
    }

    /// Shares of which none has many more scores than may be in memory.
    fn shares(&self, feedback: &[String]) -> Result<Vec<Share>, ExportError> {
        let mut count = 0;
        for file in feedback {
            count += self.footer(file)?.rows();
        }
        let mut bounds = Vec::new();
        if count > self.said_max {
            let every = (self.said_max / SAID_PER_LOOK).max(1);
            let mut looks = self.looks(feedback, every)?;
            looks.sort_unstable();
            let each = (self.said_max / every).max(1);
            bounds.extend(looks.into_iter().step_by(each).skip(1));
            bounds.dedup();
        }
        let from = std::iter::once(String::new()).chain(bounds.iter().cloned());
        let to = bounds.iter().cloned().map(Some).chain([None]);
        Ok(from.zip(to).map(|(from, to)| Share { from, to }).collect())
    }

    /// The decision of every so manieth score.
    fn looks(&self, feedback: &[String], every: usize) -> Result<Vec<String>, ExportError> {
        let (mut found, mut at) = (Vec::new(), 0_usize);
        for file in feedback {
            self.batches(file, &[DECISION], |batch| {
                let decision = text(&batch, file, DECISION)?;
                let own = (0..batch.num_rows()).filter(|row| (at + row).is_multiple_of(every));
                found.extend(own.map(|row| decision.value(row).to_owned()));
                at += batch.num_rows();
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Hands every batch of some columns of a file on. A column that it lacks is not in them.
    fn batches(
        &self,
        file: &str,
        columns: &[&str],
        mut visit: impl FnMut(RecordBatch) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let failed = |source: ParquetError| ExportError::Parquet { file: file.to_owned(), source };
        let bytes = self.runtime.block_on(self.place.get(file))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(failed)?;
        let wanted = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let builder = builder.with_projection(wanted).with_batch_size(BATCH_ROWS);
        for batch in builder.build().map_err(failed)? {
            visit(batch.map_err(|it| failed(it.into()))?)?;
        }
        Ok(())
    }
}

fn add_said(
    batch: &RecordBatch,
    file: &str,
    share: &Share,
    said: &mut HashMap<String, Said>,
) -> Result<(), ExportError> {
    let decision = text(batch, file, DECISION)?;
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
