//! Writes a corpus to begin with: `seed CASSETTES TARGET FOLDER` makes inputs of the recorded
//! answers, errors and streams of a protocol, and of streams for a target that only cuts.
//!
//! In: `tests/cassettes`. Out: files, each three bytes of plan (see `pointsman::providers::fuzzing`)
//! and then the recorded bytes. Not here: anything that is random.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use pointsman::providers::fuzzing;
use serde_json::Value;

/// What the second byte of a plan is: as one piece, and split.
const SPLITS: [u8; 2] = [0, 77];
/// What the third byte of a plan is: nothing wanted; schema; tools; schema by a tool.
const WANTS: [u8; 4] = [0, 1, 6, 9];
/// The first byte of a plan for each status (see `fuzzing::STATUSES`); 0 is a stream.
const HOWS: [u64; 15] = [200, 201, 204, 301, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 529];

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<_> = std::env::args().skip(1).collect();
    let [cassettes, target, folder] = given.as_slice() else {
        return Err("usage: seed CASSETTES TARGET FOLDER".into());
    };
    let (cassettes, folder) = (Path::new(cassettes), Path::new(folder));
    fs::create_dir_all(folder)?;
    let mut written = 0;
    let only_cuts = match target.as_str() {
        "sse" => Some("sse"),
        "ndjson" => Some("ndjson"),
        "event_stream" => Some("bin"),
        _ => None,
    };
    for entry in files(cassettes)? {
        let ending = entry.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let own = entry.parent().is_some_and(|it| it.ends_with(target));
        let inputs = match only_cuts {
            Some(wanted) if wanted == ending => plain(&fs::read(&entry)?),
            Some(_) => vec![],
            None if own => inputs(&fs::read(&entry)?, ending)?,
            None => vec![],
        };
        for input in inputs {
            fs::write(folder.join(format!("seed-{written}")), input)?;
            written += 1;
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

fn plain(bytes: &[u8]) -> Vec<Vec<u8>> {
    SPLITS.iter().map(|split| [&[0, *split, 0], bytes].concat()).collect()
}

fn inputs(bytes: &[u8], ending: &str) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let (how, bytes) = match ending {
        "sse" | "ndjson" => (0, bytes.to_vec()),
        "bin" => (0, fuzzing::event_lines(bytes)),
        "json" => {
            let cassette: Value = serde_json::from_slice(bytes)?;
            // A request that we send has no status.
            let Some(status) = cassette["status"].as_u64() else { return Ok(vec![]) };
            let body = match &cassette["body"] {
                Value::String(text) => text.clone().into_bytes(),
                other => other.to_string().into_bytes(),
            };
            let how = HOWS.iter().position(|it| *it == status).map_or(14, |it| it + 1);
            (u8::try_from(how)?, body)
        }
        _ => return Ok(vec![]),
    };
    Ok(WANTS.iter().map(|wants| [&[how, SPLITS[1], *wants], bytes.as_slice()].concat()).collect())
}
