//! Rows of a CSV file with a header.
//!
//! In: UTF-8, comma-separated, quoted as in RFC 4180; an empty field is a null; `score`, `cost` and
//! `latency` may stand for `quality`, `cost_usd` and `latency_s`; a wide table is told by its header
//! (see [`super::wide`]). Out: rows to the [`Collector`]. Invariant: one row is in memory at a time. Not here: other separators.

use std::path::Path;

use super::collect::{Collector, Row};
use super::error::{Column, DataError, Kind, Problem};
use super::wide::Wide;
use crate::progress::Progress;

/// Hands every row to `rows`.
pub(super) fn read(path: &Path, rows: &mut Collector) -> Result<(), DataError> {
    let file = super::open(path)?;
    let bytes = file.metadata().map_err(|it| super::unreadable(path, it))?.len();
    let progress = Progress::start("reading bytes", bytes);
    let mut reader = csv::Reader::from_reader(file);
    let failed = |row, source| DataError::Csv { file: path.display().to_string(), row, source };
    let header = reader.headers().map_err(|it| failed(0, it))?;
    let wide = Wide::find(header);
    let places = match &wide {
        Some(_) => [None; Column::ALL.len()],
        None => places(header, rows)?,
    };
    let mut record = csv::StringRecord::new();
    let (mut row, mut before) = (0, 0);
    while reader.read_record(&mut record).map_err(|it| failed(row + 1, it))? {
        row += 1;
        if let Some(wide) = &wide {
            wide.push(row, &record, rows)?;
        } else {
            let found = row_of(&places, &record);
            let found = found.map_err(|(column, problem)| rows.wrong(row, column, problem))?;
            rows.push(row, &found)?;
        }
        let now = reader.position().byte();
        progress.advance(now - before);
        before = now;
    }
    Ok(())
}

/// Where each column stands, by its name or its other name.
fn places(
    header: &csv::StringRecord,
    rows: &Collector,
) -> Result<[Option<usize>; Column::ALL.len()], DataError> {
    let mut places = [None; Column::ALL.len()];
    for column in Column::ALL {
        // Excel writes a byte order mark before the first name.
        let find = |wanted: &str| {
            header.iter().position(|it| it.trim_start_matches('\u{feff}').trim() == wanted)
        };
        let place = find(column.as_str()).or_else(|| column.alias().and_then(find));
        places[column as usize] = place;
        if place.is_none() && column.is_required() {
            return Err(DataError::NoColumn { file: rows.file(), column });
        }
    }
    Ok(places)
}

fn row_of<'a>(
    places: &[Option<usize>; Column::ALL.len()],
    record: &'a csv::StringRecord,
) -> Result<Row<'a>, (Column, Problem)> {
    let text = |it: Column| record.get(places[it as usize]?).filter(|it| !it.is_empty());
    let number = |column| match text(column).map(|it| it.trim().parse::<f64>()) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err((column, Problem::Kind { wanted: Kind::Number })),
    };
    let tokens_est = match text(Column::TokensEst).map(|it| it.trim().to_lowercase()).as_deref() {
        None => None,
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        Some(_) => return Err((Column::TokensEst, Problem::Kind { wanted: Kind::Bool })),
    };
    Ok(Row {
        source: text(Column::Source),
        task: text(Column::Task),
        prompt: text(Column::Prompt),
        model: text(Column::Model),
        quality: number(Column::Quality)?,
        input_tokens: number(Column::InputTokens)?,
        output_tokens: number(Column::OutputTokens)?,
        cost_usd: number(Column::CostUsd)?,
        latency_s: number(Column::LatencyS)?,
        tokens_est,
    })
}
