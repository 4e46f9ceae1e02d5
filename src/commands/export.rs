//! `pointsman export`: the outcome log as Parquet files.
//!
//! In: where the log is, where to. Out: progress and what was exported. Invariant: only what is not
//! there yet is exported; it may be killed at any moment, and run beside a server and beside itself.

use std::io::Write;
use std::time::{Duration, Instant};

use super::args::{ExportArgs, LogArgs};
use super::{CommandError, assemble};
use crate::outcome::{Destination, Exported, Exporter, StoreSettings};

/// How often progress is told: often enough to see that it goes on.
const TELL_EVERY: Duration = Duration::from_secs(2);

pub(super) async fn export(args: &ExportArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let (log, configured) = match (&args.at.log, &args.to) {
        (Some(log), Some(_)) => (StoreSettings::Sqlite(log.clone()), None),
        _ => {
            let config = assemble::config(args.at.config.as_deref())?;
            (log_of(&args.at, config.log.store), config.keeping.export.map(|it| it.to))
        }
    };
    let to = args.to.clone().or(configured).ok_or(CommandError::NowhereToExport)?;
    let exporter = Exporter::open(&log, Destination::open(&to)?)?;
    let mut told = Instant::now();
    let mut progress = |so_far: &Exported| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tell(so_far, &mut std::io::stderr());
        }
    };
    let exported = exporter.run(&mut progress).await?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&exported).unwrap_or_default())?;
    } else {
        writeln!(out, "{} to {to}", words(&exported))?;
    }
    Ok(())
}

/// Where the log is: as typed, or as the config says.
pub(super) fn log_of(args: &LogArgs, configured: StoreSettings) -> StoreSettings {
    args.log.clone().map_or(configured, StoreSettings::Sqlite)
}

fn tell(so_far: &Exported, out: &mut dyn Write) {
    // Whoever closed standard error does not want to be told.
    let _ = writeln!(out, "{} so far", words(so_far));
}

fn words(of: &Exported) -> String {
    let Exported { outcomes, feedback, files, bytes } = of;
    let mib = *bytes as f64 / f64::from(1 << 20);
    format!("{outcomes} outcomes and {feedback} scores in {files} files ({mib:.1} MiB)")
}
