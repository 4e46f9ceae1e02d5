//! Texts in columns, out of a file of lines, of JSON lines or of CSV.
//!
//! In: a path (its extension tells the form) and the columns wanted. Out: rows of texts. Invariant: size
//! and number are bounded; an error names the row, never what stands in it. Not here: what columns mean.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use pointsman::domain::Text;
use serde_json::{Map, Value};

/// Largest file of prompts, in bytes: it is read whole, and 256 MiB are some 100,000 long prompts.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The values of one row, in the order of the columns asked for; an empty one is absent.
pub(super) type Row = Vec<Option<Text>>;

/// Every row of a file. The first column must have a value in each; a file that is neither `.csv` nor
/// `.jsonl` is lines, each of them the first column.
///
/// # Errors
/// When the file cannot be read, is too large, or a row is not as it should be.
pub(super) fn read(path: &Path, columns: &[&str]) -> Result<Vec<Row>> {
    let place = || path.display().to_string();
    let mut text = String::new();
    let file = File::open(path).with_context(place)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).with_context(place)?;
    ensure!(text.len() as u64 <= FILE_BYTES_MAX, "{}: over {FILE_BYTES_MAX} bytes", place());
    // Excel writes a byte order mark.
    let text = text.trim_start_matches('\u{feff}');
    let extension = path.extension().and_then(|it| it.to_str()).map(str::to_lowercase);
    let rows = match extension.as_deref() {
        Some("csv") => csv_rows(text, columns),
        Some("jsonl" | "ndjson") => json_rows(text, columns),
        Some(_) | None => Ok(line_rows(text, columns)),
    };
    let rows = rows.with_context(place)?;
    for (at, row) in rows.iter().enumerate() {
        let filled = row.first().is_some_and(Option::is_some);
        ensure!(filled, "{}: row {} has no `{}`", place(), at + 1, columns[0]);
    }
    Ok(rows)
}

fn line_rows(text: &str, columns: &[&str]) -> Vec<Row> {
    let lines = text.lines().filter(|it| !it.trim().is_empty());
    let row = |it: &str| {
        let mut row = vec![None; columns.len()];
        row[0] = Some(Text::from(it));
        row
    };
    lines.map(row).collect()
}

fn json_rows(text: &str, columns: &[&str]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, it)| !it.trim().is_empty()) {
        // serde's own message repeats what it found.
        let Ok(object) = serde_json::from_str::<Map<String, Value>>(line) else {
            bail!("line {} is not a JSON object", at + 1);
        };
        let value = |name: &&str| match object.get(*name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(Text::from(text.as_str()))),
            Some(it @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(Text::from(it.to_string()))),
            Some(Value::Array(_) | Value::Object(_)) => {
                bail!("line {}: `{name}` is neither a text nor a number", at + 1)
            }
        };
        rows.push(columns.iter().map(value).collect::<Result<Row>>()?);
    }
    Ok(rows)
}

fn csv_rows(text: &str, columns: &[&str]) -> Result<Vec<Row>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().context("no header")?.clone();
    let places: Vec<Option<usize>> =
        columns.iter().map(|name| header.iter().position(|it| it.trim() == *name)).collect();
    ensure!(places[0].is_some(), "there is no column `{}`", columns[0]);
    let mut rows = Vec::new();
    for (at, record) in reader.records().enumerate() {
        let Ok(record) = record else { bail!("row {} is not as wide as the header", at + 1) };
        let value = |place: &Option<usize>| record.get((*place)?).filter(|it| !it.is_empty());
        rows.push(places.iter().map(|it| value(it).map(Text::from)).collect());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 2] = ["prompt", "reference"];

    fn read_as(name: &str, content: &str) -> Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read(&path, &COLUMNS)
    }

    #[test]
    fn every_form_gives_the_same_rows() {
        let check = |name: &str, content: &str, wanted: &[(&str, Option<&str>)]| {
            let text = |it: &Option<Text>| it.as_ref().map(|it| it.as_str().to_owned());
            let rows = read_as(name, content).unwrap();
            let rows: Vec<_> = rows.iter().map(|it| (text(&it[0]), text(&it[1]))).collect();
            let wanted: Vec<_> =
                wanted.iter().map(|(a, b)| (Some((*a).to_owned()), b.map(str::to_owned))).collect();
            assert_eq!(rows, wanted, "{name}");
        };
        check("p.txt", "one\n\n two \n", &[("one", None), (" two ", None)]);
        let csv = "\u{feff}reference,other,prompt\n1,x,\"one, or\nmore\"\n,,two\n";
        check("p.csv", csv, &[("one, or\nmore", Some("1")), ("two", None)]);
        let jsonl = "{\"prompt\":\"one\",\"reference\":1}\n\n{\"prompt\":\"two\",\"x\":[]}\n";
        check("p.jsonl", jsonl, &[("one", Some("1")), ("two", None)]);
    }

    #[test]
    fn errors_name_the_row_and_not_its_content() {
        let check = |name: &str, content: &str, wanted: &str| {
            let error = format!("{:#}", read_as(name, content).unwrap_err());
            assert!(error.contains(wanted) && error.contains(name), "{error}");
            assert!(!error.contains("secret"), "{error}");
        };
        check("p.jsonl", "{\"prompt\":\"x\"}\n\"secret\"\n", "line 2");
        check("p.jsonl", "{\"prompt\":[\"secret\"]}\n", "line 1: `prompt`");
        check("p.jsonl", "{\"reference\":\"secret\"}\n", "row 1 has no `prompt`");
        check("p.csv", "prompt\nsecret,secret\n", "row 1");
        check("p.csv", "secret\nx\n", "no column `prompt`");
        assert!(read(Path::new("/nowhere.csv"), &COLUMNS).is_err());
    }
}
