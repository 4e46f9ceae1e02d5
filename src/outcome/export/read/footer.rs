//! What the end of an exported file tells of all of it.
//!
//! In: a place, a file's name. Out: how many rows, and between which values a column lies. Invariant:
//! the file itself is not read. Not here: its rows.

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;

use super::super::ExportError;
use super::super::destination::Destination;

/// Read of a file's end at first: a file of ours has some 20 KB there for each 16 MB of rows.
const GUESS_BYTES: u64 = 64 << 10;

/// The end of a file.
pub(super) struct Footer(ParquetMetaData);

impl Footer {
    /// Reads it; twice where it is longer than is usual.
    pub(super) async fn read(place: &Destination, file: &str) -> Result<Self, ExportError> {
        let failed = |source| ExportError::Parquet { file: file.to_owned(), source };
        let (mut end, size) = place.end(file, GUESS_BYTES).await?;
        let mut reader = ParquetMetaDataReader::new();
        let mut parsed = reader.try_parse_sized(&end, size);
        if let Err(ParquetError::NeedMoreData(bytes)) = parsed {
            (end, _) = place.end(file, bytes as u64).await?;
            parsed = reader.try_parse_sized(&end, size);
        }
        parsed.and_then(|()| reader.finish()).map(Self).map_err(failed)
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        usize::try_from(self.0.file_metadata().num_rows()).unwrap_or(0)
    }

    /// A text that no value of the column lies before, and one that none lies behind; `None` where the
    /// file does not tell.
    pub(super) fn ends(&self, column: &str) -> Option<(String, String)> {
        let mut found: Option<(String, String)> = None;
        for group in self.0.row_groups() {
            let mut chunks = group.columns().iter();
            let chunk = chunks.find(|it| it.column_path().string() == column)?;
            let Statistics::ByteArray(of) = chunk.statistics()? else { return None };
            let text = |it: &parquet::data_type::ByteArray| it.as_utf8().ok().map(str::to_owned);
            let (least, most) = (text(of.min_opt()?)?, text(of.max_opt()?)?);
            found = Some(match found {
                None => (least, most),
                Some((first, last)) => (first.min(least), last.max(most)),
            });
        }
        found
    }
}
