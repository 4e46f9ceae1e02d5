//! `pointsman-train`: makes and judges router artifacts.
//!
//! In: the command line. Out: figures on standard output, progress and errors on standard error.
//! Invariant: nothing is computed here. Not here: everything else (see the library).

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use pointsman::encoder::Encoder;
use pointsman::prediction::Predictor;
use pointsman_training::dataset::Dataset;
use pointsman_training::encoder::Origin;
use pointsman_training::fit::{FitSettings, encode_exits};
use pointsman_training::make::Materials;
use pointsman_training::seeds::Spread;
use pointsman_training::split::Cut;
use pointsman_training::{encoder, judge, make};

/// Trains and judges Pointsman's router artifacts.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the encoder's files from the official MiniLM files.
    Encoder(EncoderArgs),
    /// Trains an artifact on a labelled table and judges it on the part held out.
    Fit(FitArgs),
    /// Judges an artifact and the controls on held-out questions of a labelled table.
    Evaluate(EvaluateArgs),
}

#[derive(Args)]
struct EncoderArgs {
    /// The folder with model.safetensors and tokenizer.json of all-MiniLM-L6-v2.
    #[arg(long)]
    weights: PathBuf,
    /// Where to write encoder.safetensors and tokenizer.json.
    #[arg(long, default_value = "models/default")]
    out: PathBuf,
    /// Take weights of another checksum, too.
    #[arg(long)]
    any_weights: bool,
}

#[derive(Args)]
struct TableArgs {
    /// The labelled table: .parquet, .csv or .jsonl.
    #[arg(long)]
    data: PathBuf,
    /// The share of questions to hold out, above 0 and below 1.
    #[arg(long, default_value_t = Cut::default().held_out, value_parser = share)]
    held_out: f64,
    /// Another seed holds out other questions.
    #[arg(long, default_value_t = Cut::default().seed)]
    split_seed: String,
    /// A folder with encoder.safetensors and tokenizer.json; the one in this program by default.
    #[arg(long)]
    encoder: Option<PathBuf>,
    /// A file that keeps the prompts' vectors from run to run; written if it is not there.
    #[arg(long)]
    vectors: Option<PathBuf>,
}

#[derive(Args)]
struct FitArgs {
    #[command(flatten)]
    table: TableArgs,
    /// Where to write the artifact and its model card.
    #[arg(long)]
    out: PathBuf,
    /// Seeds every draw.
    #[arg(long, default_value_t = FitSettings::default().seed)]
    seed: u64,
    /// Train so many artifacts, each with the next seed, and print the mean and spread of their figures;
    /// the first is written.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=20))]
    seeds: u64,
    /// Passes over the table.
    #[arg(long, default_value_t = FitSettings::default().epochs)]
    epochs: usize,
    /// The artifact's name; made of its checksum by default.
    #[arg(long, default_value_t = String::new())]
    version: String,
}

#[derive(Args)]
struct EvaluateArgs {
    #[command(flatten)]
    table: TableArgs,
    /// The artifact's folder; the one in this program by default.
    #[arg(long)]
    artifact: Option<PathBuf>,
    /// How to print the figures.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|it| *it > 0.0 && *it < 1.0);
    share.ok_or_else(|| "a number above 0 and below 1 is needed, for instance 0.15".to_owned())
}

impl TableArgs {
    fn encoder(&self) -> Result<Encoder> {
        Ok(match &self.encoder {
            Some(folder) => Encoder::open(folder)?,
            None => Encoder::shipped()?,
        })
    }

    fn cut(&self) -> Cut {
        Cut { held_out: self.held_out, seed: self.split_seed.clone() }
    }
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Encoder(asked) => {
            let origin = if asked.any_weights { Origin::Any } else { Origin::Official };
            encoder::make(&asked.weights, &asked.out, origin)
        }
        Command::Fit(asked) => fit(asked),
        Command::Evaluate(asked) => evaluate(asked),
    }
}

fn fit(asked: FitArgs) -> Result<()> {
    let encoder = asked.table.encoder()?;
    let kept = asked.table.vectors.as_deref();
    let materials = Materials::read(&asked.table.data, &encoder, kept)?;
    let mut spread = Spread::default();
    for further in 0..asked.seeds {
        let settings = FitSettings {
            seed: asked.seed.wrapping_add(further),
            epochs: asked.epochs,
            version: asked.version.clone(),
            ..FitSettings::default()
        };
        let out = (further == 0).then_some(asked.out.as_path());
        let figures = make::artifact(&materials, &encoder, &asked.table.cut(), &settings, out)?;
        spread.add(&figures);
        if let Some(out) = out {
            println!("{figures}\nwrote {}", out.display());
        }
    }
    if asked.seeds > 1 {
        print!("{spread}");
    }
    Ok(())
}

fn evaluate(asked: EvaluateArgs) -> Result<()> {
    let encoder = asked.table.encoder()?;
    let predictor = match &asked.artifact {
        Some(folder) => Predictor::open(folder, &encoder)?,
        None => Predictor::shipped(&encoder)?,
    };
    let data = Dataset::read(&asked.table.data)?;
    let inputs = encode_exits(&data, &encoder, asked.table.vectors.as_deref())?;
    let figures = judge::judge(&data, &inputs, &asked.table.cut(), Some(&predictor))
        .with_context(|| asked.table.data.display().to_string())?;
    match asked.format {
        Format::Table => print!("{figures}"),
        Format::Json => println!("{}", serde_json::to_string_pretty(&figures)?),
    }
    Ok(())
}
