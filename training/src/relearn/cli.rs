//! `pointsman-train fit --outcomes` and `pointsman-train retrain`.
//!
//! In: the command line. Out: an artifact in a folder; for `retrain`, in the served one's place, or
//! [`Refused`]. Invariant: what serves is touched only after the gate let the candidate through. Not
//! here: what is computed (see the files beside this one).

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;
use pointsman::encoder::Encoder;
use pointsman::prediction::Artifact;

use super::{DRIFT, Lessons, Served, learn, relearn, told};
use crate::make::{CARD_FILE, save};
use crate::offpolicy::{Aliases, Shared, beside, put_in_place, recover};
use crate::outcomes;

/// The candidate was not let through; the served artifact is as it was.
#[derive(Debug, thiserror::Error)]
#[error("refused:\n  - {}\n(the candidate is in {})", .reasons.join("\n  - "), .candidate.display())]
pub struct Refused {
    /// Every reason.
    pub reasons: Vec<String>,
    /// Where the candidate is.
    pub candidate: PathBuf,
}

/// How to learn from outcomes.
#[derive(Debug, Args)]
pub struct RelearnArgs {
    /// How far models are believed to have moved since they were learned last, in the variance with
    /// which models differ from each other: 0 trusts the served artifact, 1 forgets it.
    #[arg(long, default_value_t = DRIFT, value_parser = drift)]
    drift: f64,
    /// Leave the decisions of the last so many minutes for the next time: their scores are still to come.
    #[arg(long, default_value_t = 0)]
    settle_min: u64,
}

/// Arguments of `retrain`.
#[derive(Debug, Args)]
pub struct RetrainArgs {
    /// Where the outcomes are: a server's SQLite file, the folder of an export, or its URL; only read.
    #[arg(long, default_value = "data/outcomes.db")]
    outcomes: String,
    /// The folder of the artifact that serves; the candidate takes its place.
    #[arg(long)]
    incumbent: PathBuf,
    /// Where to write the candidate; beside the incumbent by default, as NAME.candidate.
    #[arg(long)]
    candidate: Option<PathBuf>,
    #[command(flatten)]
    how: RelearnArgs,
    #[command(flatten)]
    shared: Shared,
}

fn drift(text: &str) -> Result<f64, String> {
    let drift = text.parse::<f64>().ok().filter(|it| (0.0..=1.0).contains(it));
    drift.ok_or_else(|| "a number from 0 to 1 is needed".to_owned())
}

impl RelearnArgs {
    fn lessons(&self, aliases: &Aliases) -> Result<Lessons> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let settle_ms = self.settle_min.saturating_mul(60_000);
        let until_unix_ms = match settle_ms {
            0 => u64::MAX,
            _ => u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_sub(settle_ms),
        };
        Ok(Lessons { drift: self.drift, until_unix_ms, known: aliases.known()? })
    }
}

/// `fit --outcomes`: writes a candidate, and judges nothing.
///
/// # Errors
/// When a file cannot be read or written, or the log teaches nothing.
pub fn fit(
    (outcomes, out): (&str, &Path),
    artifact: Option<&Path>,
    encoder: &Encoder,
    (how, aliases): (&RelearnArgs, &Aliases),
) -> Result<()> {
    let served = match artifact {
        Some(folder) => Served::new(Artifact::open(folder, encoder)?),
        None => Served::new(Artifact::shipped(encoder)?),
    };
    let source = outcomes::open(outcomes)?;
    let (candidate, counts) = learn(source.as_ref(), &served, &how.lessons(aliases)?)?;
    print!("{counts}");
    ensure!(counts.decisions > 0, "{outcomes}: nothing to learn from");
    write(&candidate, artifact, out)
}

impl RetrainArgs {
    /// Learns, judges, and puts the candidate in place.
    ///
    /// # Errors
    /// [`Refused`]; and when a file cannot be read or written.
    pub fn run(&self) -> Result<()> {
        if recover(&self.incumbent)? {
            println!("{}: put back after a promotion that was cut short", self.incumbent.display());
        }
        let encoder = self.shared.encoder()?;
        let served = Served::new(Artifact::open(&self.incumbent, &encoder)?);
        let source = outcomes::open(&self.outcomes)?;
        let lessons = self.how.lessons(&self.shared.aliases)?;
        let found = relearn(source.as_ref(), &served, &lessons)?;
        print!("{}", found.counts);
        if found.counts.decisions == 0 {
            println!("nothing new: {} stays", served.predictor.version());
            return Ok(());
        }
        let candidate = self.candidate.clone();
        let candidate = candidate.unwrap_or_else(|| beside(&self.incumbent, ".candidate"));
        write(&found.artifact, Some(&self.incumbent), &candidate)?;
        print!("\n{}", found.report);
        if !found.reasons().is_empty() {
            return Err(Refused { reasons: found.reasons().to_vec(), candidate }.into());
        }
        let previous = put_in_place(&candidate, &self.incumbent)?;
        println!(
            "promoted {} to {}; the one before is {}",
            found.artifact.manifest.version,
            self.incumbent.display(),
            previous.display()
        );
        Ok(())
    }
}

fn write(candidate: &Artifact, from: Option<&Path>, out: &Path) -> Result<()> {
    let path = from.map(|it| it.join(CARD_FILE)).filter(|it| it.exists());
    let before =
        path.map(|it| std::fs::read_to_string(&it).with_context(|| it.display().to_string()));
    let before = before.transpose()?.unwrap_or_default();
    // One paragraph, however often its line has learned.
    let (before, _) = before.split_once(HEADING).unwrap_or((&before, ""));
    let lineage = candidate.manifest.lineage.as_ref().map(told).unwrap_or_default();
    save(candidate, &format!("{before}{HEADING}{lineage}\n"), out)?;
    println!("{}: wrote {}", candidate.manifest.version, out.display());
    Ok(())
}

/// Over what the card says of learning from outcomes.
const HEADING: &str = "\n## Learned from outcomes\n\n";
