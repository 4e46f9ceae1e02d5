//! `pointsman-train`: makes and judges router artifacts.
//!
//! In: the command line. Out: figures on standard output, progress and errors on standard error.
//! Invariant: nothing is computed here. Not here: everything else (see the library).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use pointsman::encoder::Encoder;
use pointsman::prediction::Predictor;
use pointsman_training::alike::AlikeArgs;
use pointsman_training::choose::Pool;
use pointsman_training::course::Course;
use pointsman_training::dataset::Dataset;
use pointsman_training::drift::Drift;
use pointsman_training::encoder::Origin;
use pointsman_training::fit::{FitSettings, encode_prompts_kept};
use pointsman_training::make::Materials;
use pointsman_training::metrics::Bootstrap;
use pointsman_training::newcomer::{AddModelArgs, HoldoutArgs};
use pointsman_training::offpolicy::{Aliases, OpeArgs, PromoteArgs};
use pointsman_training::panel::{PanelArgs, Unbelieved};
use pointsman_training::relearn::{Refused, RelearnArgs, RetrainArgs};
use pointsman_training::report::{Job, Options, Report, html, log_html};
use pointsman_training::seeds::Spread;
use pointsman_training::split::Cut;
use pointsman_training::{encoder, make, outcomes, relearn, report};
use serde::Serialize;

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
    /// Trains an artifact on a labelled table and judges it on the part held out; or, with --outcomes,
    /// moves a served one by what a log says.
    Fit(FitArgs),
    /// Learns from a log, judges, and takes the served artifact's place: for cron. Exit code 3 when the
    /// candidate is refused.
    Retrain(RetrainArgs),
    /// Judges an artifact and the controls on held-out questions of a labelled table; or, with
    /// --outcomes, tells what the answers of a log were worth and how far it has drifted.
    Evaluate(EvaluateArgs),
    /// Trains routers on folds of a labelled table and judges what their choices cost and yield.
    Frontier(FrontierArgs),
    /// Adds a model to an artifact from a few labels, without training.
    AddModel(AddModelArgs),
    /// Trains without some models and measures how few labels bring each of them back.
    Holdout(HoldoutArgs),
    /// Asks all models some recent prompts within a stated spend, grades the answers, and writes the
    /// labelled table. Exit code 3 when its judge is not to be believed.
    Panel(Box<PanelArgs>),
    /// Measures how often the answer cache would mistake one question for another.
    Alike(AlikeArgs),
    /// Tells from an outcome log what an artifact would have earned.
    Ope(OpeArgs),
    /// Lets an artifact take another's place, if it is surely better.
    Promote(PromoteArgs),
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
    data: Option<PathBuf>,
    /// The share of questions to hold out, above 0 and below 1.
    #[arg(long, default_value_t = Cut::default().held_out, value_parser = share)]
    held_out: f64,
    /// Another seed holds out other questions.
    #[arg(long, default_value_t = Cut::default().seed)]
    split_seed: String,
    /// The encoder's folder: encoder.safetensors and tokenizer.json, or a BERT-shaped sentence encoder;
    /// the one in this program by default.
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
    /// Learn from these outcomes instead of a table: an SQLite file, the folder of an export, or its URL.
    #[arg(long, conflicts_with = "data")]
    outcomes: Option<String>,
    /// With --outcomes: the folder of the artifact that serves; the one in this program by default.
    #[arg(long)]
    artifact: Option<PathBuf>,
    #[command(flatten)]
    how: RelearnArgs,
    #[command(flatten)]
    aliases: Aliases,
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
    /// Tell what these outcomes were worth and how far they have drifted, instead of judging on a table:
    /// an SQLite file, the folder of an export, or its URL.
    #[arg(long, conflicts_with_all = ["data", "artifact", "against"])]
    outcomes: Option<String>,
    /// The artifact's folder; the one in this program by default.
    #[arg(long)]
    artifact: Option<PathBuf>,
    /// Another artifact's folder: paired differences of every figure are printed.
    #[arg(long)]
    against: Option<PathBuf>,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Args)]
struct FrontierArgs {
    #[command(flatten)]
    table: TableArgs,
    /// Each question is chosen on by routers trained on the other folds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=50))]
    folds: u64,
    /// Seeds every draw of the training.
    #[arg(long, default_value_t = FitSettings::default().seed)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Args)]
struct ReportArgs {
    /// How to print the figures.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Writes the figures to a JSON file as well.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes a page with plots that needs nothing else.
    #[arg(long)]
    html: Option<PathBuf>,
    /// A pool to choose on, may be repeated: routerbench, api, mixed, or one's own as
    /// `source+source:model,model`. All three by default.
    #[arg(long, value_parser = pool)]
    pool: Vec<Pool>,
    /// How often questions are resampled for the intervals.
    #[arg(long, default_value_t = Bootstrap::default().draws)]
    draws: usize,
    /// Another seed draws other intervals and breaks ties otherwise.
    #[arg(long, default_value_t = Bootstrap::default().seed)]
    bootstrap_seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

fn pool(text: &str) -> Result<Pool, String> {
    let shipped = Pool::shipped().into_iter().find(|it| it.name == text);
    let known = || "routerbench, api, mixed or `source+source:model,model` is needed".to_owned();
    shipped.or_else(|| Pool::parse(text)).ok_or_else(known)
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|it| *it > 0.0 && *it < 1.0);
    share.ok_or_else(|| "a number above 0 and below 1 is needed, for instance 0.15".to_owned())
}

impl TableArgs {
    fn data(&self) -> Result<&Path> {
        self.data.as_deref().context("--data is needed: a labelled table")
    }

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

impl ReportArgs {
    fn options(&self, table: &TableArgs) -> Options {
        let pools = if self.pool.is_empty() { Pool::shipped() } else { self.pool.clone() };
        let boot = Bootstrap { draws: self.draws, seed: self.bootstrap_seed };
        Options { cut: table.cut(), boot, pools }
    }

    fn show(&self, report: &Report) -> Result<()> {
        let json = || serde_json::to_string_pretty(report);
        match self.format {
            Format::Table => print!("{report}"),
            Format::Json => println!("{}", json()?),
        }
        if let Some(path) = &self.json {
            std::fs::write(path, json()?).with_context(|| path.display().to_string())?;
        }
        if let Some(path) = &self.html {
            std::fs::write(path, html(report)).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

/// What a log says without an artifact to judge.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    drift: Drift,
    course: Course,
}

impl ReportArgs {
    fn log(&self, told: &Told) -> Result<()> {
        let json = || serde_json::to_string_pretty(told);
        match self.format {
            Format::Table => print!("{}\n{}", told.course, told.drift),
            Format::Json => println!("{}", json()?),
        }
        if let Some(path) = &self.json {
            std::fs::write(path, json()?).with_context(|| path.display().to_string())?;
        }
        if let Some(path) = &self.html {
            let page = log_html(&told.course, &told.drift);
            std::fs::write(path, page).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

/// A candidate that was refused is no failure of this program, and cron may want to tell them apart.
const REFUSED: u8 = 3;

fn main() -> ExitCode {
    let Err(error) = run(Cli::parse().command) else { return ExitCode::SUCCESS };
    if error.is::<Refused>() || error.is::<Unbelieved>() {
        eprintln!("{error}");
        return ExitCode::from(REFUSED);
    }
    eprintln!("Error: {error:?}");
    ExitCode::FAILURE
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Encoder(asked) => {
            let origin = if asked.any_weights { Origin::Any } else { Origin::Official };
            encoder::make(&asked.weights, &asked.out, origin)
        }
        Command::Fit(asked) => fit(asked),
        Command::Retrain(asked) => asked.run(),
        Command::Evaluate(asked) => evaluate(asked),
        Command::Frontier(asked) => frontier(asked),
        Command::AddModel(asked) => asked.run(),
        Command::Holdout(asked) => asked.run(),
        Command::Panel(asked) => asked.run(),
        Command::Alike(asked) => asked.run(),
        Command::Ope(asked) => asked.run(),
        Command::Promote(asked) => asked.run(),
    }
}

fn fit(asked: FitArgs) -> Result<()> {
    let encoder = asked.table.encoder()?;
    if let Some(outcomes) = &asked.outcomes {
        let (served, how) = (asked.artifact.as_deref(), (&asked.how, &asked.aliases));
        return relearn::fit((outcomes, &asked.out), served, &encoder, how);
    }
    let kept = asked.table.vectors.as_deref();
    let materials = Materials::read(asked.table.data()?, &encoder, kept)?;
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
            if let Some(folder) = asked.table.encoder.as_ref().filter(|_| !encoder.is_early_exit())
            {
                println!("it needs its encoder: [encoder] path = \"{}\"", folder.display());
            }
        }
    }
    if asked.seeds > 1 {
        print!("{spread}");
    }
    Ok(())
}

fn evaluate(asked: EvaluateArgs) -> Result<()> {
    if let Some(path) = &asked.outcomes {
        let source = outcomes::open(path)?;
        let (drift, course) = (Drift::of(source.as_ref())?, Course::of(source.as_ref())?);
        return asked.report.log(&Told { drift, course });
    }
    let encoder = asked.table.encoder()?;
    let predictor = match &asked.artifact {
        Some(folder) => Predictor::open(folder, &encoder)?,
        None => Predictor::shipped(&encoder)?,
    };
    let against = asked.against.as_ref().map(|it| Predictor::open(it, &encoder)).transpose()?;
    let options = asked.report.options(&asked.table);
    let table = asked.table.data()?;
    let data = Dataset::read(table)?;
    let inputs = encode_prompts_kept(&data, &encoder, asked.table.vectors.as_deref())?;
    let job = Job { data: &data, inputs: &inputs, encoder: &encoder, options: &options };
    let report = report::evaluate(job, &predictor, against.as_ref())
        .with_context(|| table.display().to_string())?;
    asked.report.show(&report)
}

fn frontier(asked: FrontierArgs) -> Result<()> {
    let encoder = asked.table.encoder()?;
    let options = asked.report.options(&asked.table);
    let settings = FitSettings { seed: asked.seed, ..FitSettings::default() };
    let table = asked.table.data()?;
    let data = Dataset::read(table)?;
    let inputs = encode_prompts_kept(&data, &encoder, asked.table.vectors.as_deref())?;
    let job = Job { data: &data, inputs: &inputs, encoder: &encoder, options: &options };
    let report = report::frontier(job, asked.folds as usize, &settings)
        .with_context(|| table.display().to_string())?;
    asked.report.show(&report)
}
