//! One day of one part as a Parquet file.
//!
//! In: a source, a part, a day. Out: the file's bytes, or nothing where no row is left. Invariant: the
//! same rows make the same bytes; beside the finished file, which is compressed, only one batch of
//! rows and one row group are in memory.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::source::{ExportSource, Part, Span, Table};
use super::{ExportError, columns, feedback_columns};

/// A row group ends after so many bytes: what a reader holds at once.
const GROUP_BYTES_MAX: usize = 16 << 20;
/// zstd's own default.
const LEVEL: i32 = 3;

/// A file, whole.
pub(super) struct Made {
    pub(super) bytes: Bytes,
    pub(super) rows: u64,
}

/// Reads a day's rows and puts them together. Blocks.
pub(super) fn make(
    source: &dyn ExportSource,
    part: &Part,
    day: i64,
    file: &str,
) -> Result<Option<Made>, ExportError> {
    let failed = |source| ExportError::Parquet { file: file.to_owned(), source };
    let mut writer: Option<ArrowWriter<Vec<u8>>> = None;
    let (mut after, mut rows) = (part.first - 1, 0);
    // Ends because every batch begins after the one before it.
    loop {
        let span = Span { after, last: part.last, day: Some(day) };
        let Some((batch, last)) = next(source, part.table, span, file)? else { break };
        after = last;
        rows += batch.num_rows() as u64;
        let writer = match &mut writer {
            Some(it) => it,
            none => none.insert(start(&batch).map_err(failed)?),
        };
        writer.write(&batch).map_err(failed)?;
        if writer.in_progress_size() > GROUP_BYTES_MAX {
            writer.flush().map_err(failed)?;
        }
    }
    let Some(writer) = writer else { return Ok(None) };
    let bytes = Bytes::from(writer.into_inner().map_err(failed)?);
    Ok(Some(Made { bytes, rows }))
}

/// The next rows as a batch, and the number of the last of them.
fn next(
    source: &dyn ExportSource,
    table: Table,
    span: Span,
    file: &str,
) -> Result<Option<(RecordBatch, i64)>, ExportError> {
    let (batch, last) = match table {
        Table::Outcomes => {
            let rows = source.outcomes(span)?;
            (columns::batch(&rows), rows.last().map(|it| it.seq))
        }
        Table::Feedback => {
            let rows = source.feedback(span)?;
            (feedback_columns::batch(&rows), rows.last().map(|it| it.seq))
        }
    };
    let failed = |it: ArrowError| ExportError::Parquet { file: file.to_owned(), source: it.into() };
    last.map(|last| Ok((batch.map_err(failed)?, last))).transpose()
}

fn start(batch: &RecordBatch) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL)?))
        .set_created_by("pointsman".to_owned())
        // No two are alike.
        .set_column_dictionary_enabled("record".into(), false)
        .set_column_dictionary_enabled("decision_id".into(), false)
        .build();
    ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))
}
