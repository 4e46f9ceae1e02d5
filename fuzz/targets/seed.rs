//! Writes a corpus to begin with: `seed CASSETTES TARGET FOLDER` makes inputs of the recorded
//! answers, errors and streams of a protocol, and of streams for a target that only cuts.
//!
//! In: `tests/cassettes`. Out: files, each three bytes of plan (see `src/providers/fuzzing.rs`)
//! and then the recorded bytes. Not here: anything that is random.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Header;
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
        let recorded = entry.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let request = target == "requests" && recorded.starts_with("request_");
        let own = entry.parent().is_some_and(|it| it.ends_with(target));
        let inputs = match only_cuts {
            Some(wanted) if wanted == ending => plain(&fs::read(&entry)?),
            Some(_) => vec![],
            // Providers' requests are in the dialects of callers too: OpenAI's and Anthropic's.
            None if request => {
                let body = fs::read(&entry)?;
                (0..3).map(|it| [&[it], body.as_slice()].concat()).collect()
            }
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

/// Frames of a recorded event stream as the target takes them: each its name, a newline, its data,
/// and a zero byte. Read here, since the server's own reader is compiled with counters that this
/// program, which fuzzes nothing, has no room for.
fn event_lines(recorded: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let (mut left, mut lines) = (recorded, Vec::new());
    while !left.is_empty() {
        let message = read_message_from(&mut left)?;
        let named = |it: &&_| [":event-type", ":exception-type"].contains(&name(it));
        let event = message.headers().iter().find(named);
        let event = event.and_then(|it| it.value().as_string().ok());
        lines.extend_from_slice(event.map_or("", |it| it.as_str()).as_bytes());
        lines.push(b'\n');
        lines.extend_from_slice(message.payload());
        lines.push(0);
    }
    Ok(lines)
}

fn name(header: &Header) -> &str {
    header.name().as_str()
}

fn plain(bytes: &[u8]) -> Vec<Vec<u8>> {
    SPLITS.iter().map(|split| [&[0, *split, 0], bytes].concat()).collect()
}

fn inputs(bytes: &[u8], ending: &str) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let (how, bytes) = match ending {
        "sse" | "ndjson" => (0, bytes.to_vec()),
        "bin" => (0, event_lines(bytes)?),
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
