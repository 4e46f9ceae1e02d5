//! The command line of `pointsman-train panel`.
//!
//! In: arguments. Out: a table in a file, figures on standard output. Invariant: a table that rests on a
//! judge who is not to be believed is not written, unless that is asked for. Not here: what is computed
//! (see the files beside this one).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use pointsman::config::{self, Config};
use pointsman::domain::{ModelName, Text, Usd};
use pointsman::encoder::{Encoder, TOKENIZER_FILE};
use pointsman::prediction::Predictor;
use pointsman::providers::HttpCaller;

use super::ask::{self, Ask};
use super::call::Manner;
use super::candidates::{Candidate, candidates, cheapest};
use super::check;
use super::events::State;
use super::grade::agreement::{AGREEMENT_MIN, Agreement};
use super::grade::{CommandGrader, Grader, Judge};
use super::plan::{Drawing, Mind, grading};
use super::run::{Panel, Settings, Unanswered, run};
use super::spend::Spend;
use super::summary::{Plan, Summary};
use super::table;
use super::work::{Sampled, Work, write_whole};
use crate::outcomes;

/// Most prompts of one panel: everything about their answers is in memory, some 5 KB each.
const PROMPTS_MAX: u64 = 20_000;
/// Most calls under way at a time: more than a provider takes from one key.
const CONCURRENCY_MAX: u64 = 256;
/// Before a second call.
const PAUSE: Duration = Duration::from_secs(1);
/// Threads that wait for providers; hardly anything is computed there.
const THREADS: usize = 2;
/// Where the work folder keeps how far the judge agreed.
const AGREEMENT_FILE: &str = "agreement.json";

/// The judge's grades do not agree well enough with others of the same answers.
#[derive(Debug, thiserror::Error)]
#[error("no table was written: {why} (--force writes it all the same)")]
pub struct Unbelieved {
    why: String,
}

/// Arguments of `panel`.
#[derive(Debug, Args)]
pub struct PanelArgs {
    /// The server's config file: models, providers, keys and prices are its own. Without it, whatever the
    /// environment has keys for.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The outcomes to draw prompts from: an SQLite file, the folder of an export, or its URL; kept with
    /// `prompts = "full"`.
    #[arg(long, conflicts_with = "prompt_file")]
    outcomes: Option<String>,
    /// Draw prompts from this file instead: lines, or .jsonl or .csv with the column `prompt` and, if
    /// wanted, `reference`, `task`, `source`.
    #[arg(long)]
    prompt_file: Option<PathBuf>,
    /// Draw from so many of the newest prompts of the log.
    #[arg(long, default_value_t = 10_000)]
    newest: usize,
    /// How many prompts to ask.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=PROMPTS_MAX))]
    prompts: u64,
    /// Draw prompts out of so many clusters of meaning.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    clusters: u64,
    /// Seeds clusters and draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ask only these models, by their names in the config, with commas between; all by default.
    #[arg(long, value_delimiter = ',', value_parser = model)]
    models: Vec<ModelName>,
    /// The most that may be spent in USD, grading and earlier runs in the same --work included.
    #[arg(long, value_parser = usd)]
    max_cost_usd: Usd,
    /// The folder for the prompts drawn and every answer. A second run in it goes on where the first
    /// stopped.
    #[arg(long)]
    work: PathBuf,
    /// Where to write the table; a Parquet file.
    #[arg(long, default_value = "panel.parquet")]
    out: PathBuf,
    /// Only tell what would be asked and what that would cost.
    #[arg(long)]
    dry_run: bool,
    /// The most output tokens of an answer, thinking included. Answers that it cuts are left out.
    #[arg(long, default_value_t = 2_048, value_parser = clap::value_parser!(u64).range(1..=128_000))]
    max_output_tokens: u64,
    /// Calls under way at a time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=CONCURRENCY_MAX))]
    concurrency: u64,
    /// The longest that one call may take, in seconds.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout_s: u64,
    /// Ask models once more what they did not answer in an earlier run.
    #[arg(long)]
    ask_again: bool,
    #[command(flatten)]
    grading: GradingArgs,
    /// The folder of the artifact whose doubts guide the draw; the config's, or the one in this program, by
    /// default.
    #[arg(long)]
    artifact: Option<PathBuf>,
    /// The encoder's folder; the config's, the artifact's, or the one in this program by default.
    #[arg(long)]
    encoder: Option<PathBuf>,
}

/// How answers are graded.
#[derive(Debug, Args)]
struct GradingArgs {
    /// Who grades.
    #[arg(long, value_enum, default_value_t = By::Exact)]
    grade: By,
    /// With --grade command: a program and its arguments, divided at white space. It is given JSON on
    /// standard input and prints a number from 0 to 1.
    #[arg(long, required_if_eq("grade", "command"))]
    grade_command: Option<String>,
    /// With --grade command: the longest that it may take for one answer, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    grade_timeout_s: u64,
    /// With --grade judge: a model of the config.
    #[arg(long, required_if_eq("grade", "judge"), value_parser = model)]
    judge: Option<ModelName>,
    /// With --grade judge: a file that says what a good answer is.
    #[arg(long)]
    rubric: Option<PathBuf>,
    /// With --grade judge: check it against these graded answers (.csv or .jsonl with the columns `prompt`,
    /// `answer`, `quality` and, if wanted, `reference`) before anything else is bought. Without it, the
    /// judge grades every answer twice, in two wordings, and is checked against itself.
    #[arg(long)]
    judge_check: Option<PathBuf>,
    /// With --grade judge: the least quadratic-weighted kappa of that check.
    #[arg(long, default_value_t = AGREEMENT_MIN)]
    agreement_min: f64,
    /// Write the table however the check ends.
    #[arg(long)]
    force: bool,
}

/// Who grades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Whether an answer says what `reference` says; prompts without one are not asked.
    Exact,
    /// A program of yours.
    Command,
    /// A model, by a rubric.
    Judge,
}

fn model(text: &str) -> Result<ModelName, String> {
    ModelName::new(text).map_err(|it| it.to_string())
}

fn usd(text: &str) -> Result<Usd, String> {
    let amount =
        text.parse().map_err(|_| "a number of USD is needed, for instance 5".to_owned())?;
    Usd::new(amount).map_err(|it| it.to_string())
}

impl GradingArgs {
    fn grader(&self, config: &Config) -> Result<Grader> {
        Ok(match (self.grade, &self.grade_command, &self.judge) {
            (By::Command, Some(line), _) => {
                let timeout = Duration::from_secs(self.grade_timeout_s);
                Grader::Command(CommandGrader { line: line.clone(), timeout })
            }
            (By::Judge, _, Some(model)) => {
                let deployment = cheapest(&config.fleet, &config.availability, model)?;
                let rubric = self.rubric.as_ref().map(|path| {
                    let text = std::fs::read_to_string(path);
                    text.map(Text::from).with_context(|| path.display().to_string())
                });
                let passes = if self.judge_check.is_some() { 1 } else { 2 };
                Grader::Judge(Judge::new(deployment, rubric.transpose()?, passes))
            }
            (By::Exact | By::Command | By::Judge, _, _) => Grader::Exact,
        })
    }
}

impl PanelArgs {
    /// Draws, asks, grades and writes the table.
    ///
    /// # Errors
    /// [`Unbelieved`]; and when a file cannot be read or written, or nothing came of it.
    pub fn run(&self) -> Result<()> {
        let config = self.config()?;
        let panel = candidates(&config.fleet, &config.availability, &self.models)?;
        let grader = self.grading.grader(&config)?;
        let work = (!self.dry_run || self.work.exists()).then(|| Work::open(&self.work));
        let work = work.transpose()?;
        let sampled = self.sampled(&config, &panel, (&grader, work.as_ref()))?;
        let Some(work) = work.filter(|_| !self.dry_run) else { return Ok(()) };
        let spent = work.with(State::spent);
        if spent > Usd::ZERO {
            println!("spent here before: {spent}");
        }
        let spend = Spend::new(self.max_cost_usd, spent);
        let (caller, settings) = (HttpCaller::new(config.providers)?, self.settings());
        let panel = Panel { candidates: panel, sampled, grader, caller, work, spend, settings };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_all()
            .build()
            .context("no threads")?;
        runtime.block_on(self.held(&Arc::new(panel)))
    }

    fn config(&self) -> Result<Config> {
        let env = |name: &str| std::env::var(name).ok();
        let Some(path) = &self.config else { return Ok(config::discover(&env)?) };
        let place = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(place)?;
        config::from_toml(&text, &env).with_context(place)
    }

    fn settings(&self) -> Settings {
        let timeout = Duration::from_secs(self.timeout_s);
        Settings {
            max_output_tokens: self.max_output_tokens,
            concurrency: usize::try_from(self.concurrency).unwrap_or(1),
            manner: Manner { timeout, pause: PAUSE },
            unanswered: if self.ask_again { Unanswered::AskedAgain } else { Unanswered::Left },
        }
    }

    fn asks(&self, grader: &Grader) -> Result<Vec<Ask>> {
        let found = match (&self.outcomes, &self.prompt_file) {
            (Some(log), _) => ask::from_log(outcomes::open(log)?.as_ref(), self.newest)?,
            (None, Some(file)) => ask::from_file(file)?,
            (None, None) => anyhow::bail!("--outcomes or --prompt-file is needed"),
        };
        let all = found.asks.len();
        let asks: Vec<Ask> = found.asks.into_iter().filter(|it| grader.can_grade(it)).collect();
        ensure!(
            !asks.is_empty(),
            "none of {all} prompts has a reference to be graded by: give --grade command or judge"
        );
        println!("{} prompts to draw from", asks.len());
        if asks.len() < all {
            println!("passed over: {} prompts without a reference", all - asks.len());
        }
        if found.without_text + found.beyond_table + found.unreadable > 0 {
            println!(
                "passed over: {} decisions without their text, {} with more than a table holds, {} \
                 unreadable",
                found.without_text, found.beyond_table, found.unreadable
            );
        }
        Ok(asks)
    }

    /// The prompts of the work folder, or else drawn now and kept there; told with what they cost.
    fn sampled(
        &self,
        config: &Config,
        panel: &[Candidate],
        (grader, work): (&Grader, Option<&Work>),
    ) -> Result<Vec<Sampled>> {
        let wanted = usize::try_from(self.prompts)?;
        let (artifact, encoder) = self.places(config);
        let encoder = match encoder {
            Some(folder) => Encoder::open(&folder)?,
            None => Encoder::shipped()?,
        };
        let predictor = match artifact {
            Some(folder) => Predictor::open(&folder, &encoder)?,
            None => Predictor::shipped(&encoder)?,
        };
        let mind = Mind { encoder: &encoder, predictor: &predictor };
        let known = work.map(|it| it.sampled(self.seed, wanted)).transpose()?.flatten();
        let sampled = match known {
            Some(sampled) => {
                println!("going on with what was drawn for {}", self.work.display());
                sampled
            }
            None => {
                let clusters = usize::try_from(self.clusters)?;
                let drawing = Drawing { seed: self.seed, wanted, clusters };
                let (draw, sampled) =
                    mind.sample(&self.asks(grader)?, panel, drawing, self.max_output_tokens)?;
                if let Some(work) = work.filter(|_| !self.dry_run) {
                    work.keep(&draw, &sampled)?;
                }
                sampled
            }
        };
        let tokens = self.max_output_tokens;
        let models = mind.forecast(&sampled, panel, tokens)?;
        let grading = grading(grader, &sampled, panel.len(), tokens);
        print!("{}", Plan::new(&sampled, models, grading, self.max_cost_usd));
        Ok(sampled)
    }

    /// Where the artifact and its encoder are; `None`: in this program.
    fn places(&self, config: &Config) -> (Option<PathBuf>, Option<PathBuf>) {
        let artifact = self.artifact.clone().or_else(|| config.artifacts.served.clone());
        let named = self.encoder.clone().or_else(|| config.artifacts.encoder.clone());
        let beside = |folder: &Path| {
            let places = [folder.to_owned(), folder.join("encoder")];
            places.into_iter().find(|it| it.join(TOKENIZER_FILE).exists())
        };
        let encoder = named.or_else(|| artifact.as_deref().and_then(beside));
        (artifact, encoder)
    }

    async fn held(&self, panel: &Arc<Panel<HttpCaller>>) -> Result<()> {
        let before = match (&panel.grader, &self.grading.judge_check) {
            (Grader::Judge(judge), Some(path)) => {
                Some(check::against(panel, judge, check::read(path)?).await?)
            }
            (Grader::Exact | Grader::Command(_) | Grader::Judge(_), _) => None,
        };
        if let Some(agreement) = &before {
            self.believe(agreement)?;
        }
        let ran = run(panel).await?;
        print!("{}", Summary::of(panel, ran));
        if let (Grader::Judge(judge), None) = (&panel.grader, &before) {
            self.believe(&check::with_itself(panel, judge))?;
        }
        let rows = table::rows(panel);
        ensure!(!rows.is_empty(), "no answer was graded, so there is no table to write");
        table::write(&rows, &self.out)?;
        println!("wrote {} rows to {}", rows.len(), self.out.display());
        Ok(())
    }

    /// Tells how far a judge agrees, and stops where that is not enough.
    fn believe(&self, agreement: &Agreement) -> Result<()> {
        let Agreement { pairs, kappa, mean_difference } = agreement;
        let kappa = kappa.map_or_else(|| "unknown".to_owned(), |it| format!("{it:.3}"));
        println!(
            "the judge: quadratic-weighted kappa {kappa}, mean difference {mean_difference:.3}, over \
             {pairs} answers graded twice"
        );
        write_whole(&self.work.join(AGREEMENT_FILE), &serde_json::to_vec_pretty(agreement)?)?;
        match agreement.shortfall(self.grading.agreement_min) {
            Some(why) if !self.grading.force => Err(Unbelieved { why }.into()),
            Some(why) => {
                println!("--force overrides: {why}");
                Ok(())
            }
            None => Ok(()),
        }
    }
}
