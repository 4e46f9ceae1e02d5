//! `pointsman-train`: makes and judges router artifacts.
//!
//! In: the command line. Out: figures on standard output, progress and errors on standard error.
//! Invariant: nothing is computed here. Not here: everything else (see the library).

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use pointsman_training::dataset::Dataset;
use pointsman_training::evaluate::Figures;
use pointsman_training::split::{Cut, Split};

/// Trains and judges Pointsman's router artifacts.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judges the controls on held-out questions of a labelled table.
    Evaluate(Evaluate),
}

#[derive(Args)]
struct Evaluate {
    /// The labelled table: .parquet, .csv or .jsonl.
    #[arg(long)]
    data: PathBuf,
    /// The share of questions to hold out, above 0 and below 1.
    #[arg(long, default_value_t = Cut::default().held_out, value_parser = share)]
    held_out: f64,
    /// Another seed holds out other questions.
    #[arg(long, default_value_t = Cut::default().seed)]
    seed: String,
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

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Evaluate(asked) => evaluate(asked),
    }
}

fn evaluate(asked: Evaluate) -> anyhow::Result<()> {
    let data = Dataset::read(&asked.data)?;
    let cut = Cut { held_out: asked.held_out, seed: asked.seed };
    let (train, held_out) = Split::new(&data.prompts, &cut).labels(&data);
    let mut figures = Figures::new(&data, &cut, &held_out);
    figures
        .judge_plain_controls(&data, &train, &held_out)
        .context("the table has too few questions to hold some out")?;
    match asked.format {
        Format::Table => print!("{figures}"),
        Format::Json => println!("{}", serde_json::to_string_pretty(&figures)?),
    }
    Ok(())
}
