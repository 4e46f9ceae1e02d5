//! `pointsman-train ope` and `pointsman-train promote`.
//!
//! In: the command line. Out: a table or JSON, and for `promote` an artifact in another's place.
//! Invariant: without `--force` nothing is promoted that the gate does not let through. Not here: what
//! is computed (see the files beside this one).

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use pointsman::catalog::Catalog;
use pointsman::domain::ModelName;
use pointsman::encoder::Encoder;
use pointsman::prediction::Predictor;
use pointsman::ranking::Preference;
use serde::Serialize;

use super::gate::{Evidence, gate};
use super::labelled::{Compared, compare};
use super::promote::{put_in_place, recover};
use super::records::{Known, Log, Pair};
use super::report::Report;
use crate::dataset::Dataset;
use crate::drift::Drift;
use crate::fit::encode_prompts;
use crate::outcomes;
use crate::split::Cut;

/// Arguments of `ope`.
#[derive(Debug, Args)]
pub struct OpeArgs {
    /// Where the outcomes are: a server's SQLite file, the folder of an export, or its URL; only read.
    #[arg(long, alias = "outcomes", default_value = "data/outcomes.db")]
    log: String,
    /// The artifact to judge.
    #[arg(long)]
    artifact: PathBuf,
    /// The artifact to judge it against; the one in this program by default.
    #[arg(long)]
    against: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Arguments of `promote`.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// The folder of the artifact that would like to serve.
    #[arg(long)]
    candidate: PathBuf,
    /// The folder of the artifact that serves; the candidate takes its place.
    #[arg(long)]
    incumbent: PathBuf,
    /// The outcomes to judge by: an SQLite file, the folder of an export, or its URL.
    #[arg(long, alias = "outcomes", required_unless_present = "labels")]
    log: Option<String>,
    /// Judge by this table instead: it tells what several models made of the same prompts.
    #[arg(long, conflicts_with = "log")]
    labels: Option<PathBuf>,
    /// With --labels: what an answer going from wrong to right is worth, USD.
    #[arg(long, default_value_t = Preference::BALANCED.cost_per_quality_usd, value_parser = price)]
    cost_per_quality: f64,
    /// Promote whatever the gate says; what is overridden is printed.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What all that read a log are told.
#[derive(Debug, Args)]
pub(crate) struct Shared {
    #[command(flatten)]
    pub(crate) aliases: Aliases,
    /// The encoder's folder: encoder.safetensors and tokenizer.json, or a BERT-shaped sentence encoder;
    /// the one in this program by default.
    #[arg(long)]
    encoder: Option<PathBuf>,
}

/// Names in training.
#[derive(Debug, Args)]
pub struct Aliases {
    /// A model's name in training, where the log does not tell it: MODEL=NAME; may be given often.
    #[arg(long, value_parser = alias)]
    learned_as: Vec<(ModelName, String)>,
}

/// What `ope` prints.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    report: Report,
    drift: Drift,
}

fn alias(text: &str) -> Result<(ModelName, String), String> {
    let (model, name) = text.split_once('=').ok_or("MODEL=NAME is needed")?;
    let model = ModelName::new(model).map_err(|it| it.to_string())?;
    Ok((model, name.to_owned()))
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|it| it.is_finite() && *it > 0.0);
    price.ok_or_else(|| "a number of USD above 0 is needed".to_owned())
}

impl Aliases {
    /// What is known of models beside the log.
    ///
    /// # Errors
    /// Never for the catalog that was shipped, which a test reads.
    pub fn known(&self) -> Result<Known> {
        let mut known = Known::of(&Catalog::shipped()?);
        self.learned_as.iter().for_each(|(model, name)| known.set(model.clone(), name.clone()));
        Ok(known)
    }
}

impl Shared {
    pub(crate) fn encoder(&self) -> Result<Encoder> {
        Ok(match &self.encoder {
            Some(folder) => Encoder::open(folder)?,
            None => Encoder::shipped()?,
        })
    }

    fn report(&self, log: &str, pair: Pair<'_>) -> Result<Report> {
        let source = outcomes::open(log)?;
        Ok(Report::new(&Log::read(source.as_ref(), pair, &self.aliases.known()?)?, pair))
    }
}

impl OpeArgs {
    /// Prints what the log says.
    ///
    /// # Errors
    /// When the log or an artifact cannot be read.
    pub fn run(&self) -> Result<()> {
        let encoder = self.shared.encoder()?;
        let candidate = Predictor::open(&self.artifact, &encoder)?;
        let incumbent = match &self.against {
            Some(folder) => Predictor::open(folder, &encoder)?,
            None => Predictor::shipped(&encoder)?,
        };
        let pair = Pair { candidate: &candidate, incumbent: &incumbent };
        let report = self.shared.report(&self.log, pair)?;
        let drift = Drift::of(outcomes::open(&self.log)?.as_ref())?;
        let told = Told { report, drift };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&told)?);
        } else {
            print!("{}\n{}", told.report, told.drift);
        }
        Ok(())
    }
}

impl PromoteArgs {
    /// Applies the gate and, if it lets the candidate through or is overridden, promotes it.
    ///
    /// # Errors
    /// Every reason of the gate; and when a file cannot be read or written.
    pub fn run(&self) -> Result<()> {
        if recover(&self.incumbent)? {
            println!("{}: put back after a promotion that was cut short", self.incumbent.display());
        }
        let evidence = self.evidence()?;
        let reasons: Vec<String> = gate(&evidence).iter().map(ToString::to_string).collect();
        if !reasons.is_empty() {
            let list = reasons.join("\n  - ");
            ensure!(self.force, "not promoted:\n  - {list}\n(--force overrides this)");
            println!("--force overrides:\n  - {list}");
        }
        let previous = put_in_place(&self.candidate, &self.incumbent)?;
        println!(
            "promoted {} to {}; the one before is {}",
            self.candidate.display(),
            self.incumbent.display(),
            previous.display()
        );
        Ok(())
    }

    fn evidence(&self) -> Result<Evidence> {
        let encoder = self.shared.encoder()?;
        let candidate = Predictor::open(&self.candidate, &encoder)?;
        let incumbent = Predictor::open(&self.incumbent, &encoder)?;
        let pair = Pair { candidate: &candidate, incumbent: &incumbent };
        match (&self.labels, &self.log) {
            (Some(path), _) => {
                let data = Dataset::read(path)?;
                let inputs = encode_prompts(&data, &encoder)?;
                let worth = self.cost_per_quality;
                let found = compare((&data, &inputs), pair, &Cut::default(), worth)
                    .with_context(|| path.display().to_string())?;
                tell(&found);
                Ok(found.evidence)
            }
            (None, Some(log)) => {
                let report = self.shared.report(log, pair)?;
                print!("{report}");
                Ok(report.evidence)
            }
            (None, None) => bail!("--log or --labels is needed"),
        }
    }
}

fn tell(found: &Compared) {
    let part = if found.held_out { "held-out prompts" } else { "prompts" };
    println!("{} {part} with two models or more; candidate less incumbent:", found.rows);
    let of = |name: &str, mean: f64, low: f64, high: f64| {
        println!("{name:10} {mean:>+12.6} [{low:+.6}, {high:+.6}]");
    };
    of("quality", found.quality.mean, found.quality.low, found.quality.high);
    of("cost_usd", found.cost_usd.mean, found.cost_usd.low, found.cost_usd.high);
    if let Some(it) = found.evidence.difference {
        of("utility", it.mean, it.low, it.high);
    }
    if let Some(it) = found.evidence.ece {
        println!("{:10} {:>12.4} against {:.4}", "ECE", it.candidate, it.incumbent);
    }
}
