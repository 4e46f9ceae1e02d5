//! The command line.
//!
//! In: what was typed. Out: [`Cli`]. Invariant: every value is checked where it is declared. Not
//! here: what the commands do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::artifact::ArtifactCommand;
pub use super::catalog::args::CatalogCommand;
pub use super::keys::args::KeysCommand;
pub use super::models::args::ModelsCommand;
use super::operator::AtServer;
pub use super::outcomes::{OutcomesCommand, OutcomesDeleteArgs, OutcomesSummaryArgs};
use crate::ranking::Preference;
use crate::simulator::{
    Fault, FaultRates, Flap, InvalidScript, parse_fault, parse_flap, parse_rates, parse_script,
};

/// Picks the right LLM for every request, falls back along the learned ranking, learns from
/// outcomes.
#[derive(Debug, Parser)]
#[command(name = "pointsman", version, arg_required_else_help = true)]
pub struct Cli {
    /// Write logs as JSON, one object per line.
    #[arg(long, global = true)]
    pub log_json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve, with a config file or with whatever the environment has API keys for.
    Serve(ServeArgs),
    /// Tell every problem of a config, or what it would serve.
    Check(CheckArgs),
    /// Show which model a prompt would go to, and why. Calls nobody, spends nothing.
    Rank(RankArgs),
    /// Send a prompt through a running server and show what happened on the way.
    Route(RouteArgs),
    /// Write the outcome log as Parquet files, for whoever learns or counts; only what is new.
    Export(ExportArgs),
    /// Look after the outcome log.
    #[command(subcommand)]
    Outcomes(OutcomesCommand),
    /// Make calls of a running server fail, to see its fallback at work.
    #[command(subcommand)]
    Faults(FaultsCommand),
    /// See, reload or roll back the router artifact of a running server.
    #[command(subcommand)]
    Artifact(ArtifactCommand),
    /// Make, show and revoke the API keys of callers.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Take over the configs and price lists of other gateways.
    #[command(subcommand)]
    Catalog(CatalogCommand),
    /// Fetch and check sentence encoders other than the one in this binary.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Run made-up models that misbehave on request, for staging.
    Simulate(SimulateArgs),
    /// See it work: four made-up models, a real server, no keys needed.
    Demo(DemoArgs),
}

/// For `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The config file; without one, the environment is searched for API keys.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen, instead of where the config says.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Where operators look (/metrics, health, drills), instead of where the config says; `off`: nowhere.
    #[arg(long, value_name = "ADDR|off", value_parser = admin_listen)]
    pub admin_listen: Option<AdminListen>,
}

/// Where operators look; `None`: nowhere.
#[derive(Debug, Clone, Copy)]
pub struct AdminListen(pub Option<SocketAddr>);

/// For `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The config file; without one, the environment is searched for API keys.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is wanted of whoever answers.
#[derive(Debug, Args)]
pub struct WishArgs {
    /// quality, balanced, cost or latency.
    #[arg(long, value_name = "P", value_parser = preset)]
    pub preference: Option<String>,
    /// The most that all attempts together may cost, USD.
    #[arg(long, value_name = "X")]
    pub max_cost_usd: Option<f64>,
    /// The longest that everything together may take, milliseconds.
    #[arg(long, value_name = "N")]
    pub max_latency_ms: Option<f64>,
    /// Only these models, by their names here; may be given often, or with commas.
    #[arg(long, value_name = "MODEL", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// The route of the config that the request takes; `none`: no route.
    #[arg(long, value_name = "NAME")]
    pub route: Option<String>,
}

/// For `rank`.
#[derive(Debug, Args)]
pub struct RankArgs {
    /// The prompt; `-` reads standard input.
    pub prompt: String,
    /// The config file; without one, the environment is searched for API keys.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub config: Option<PathBuf>,
    /// Ask this running server, for instance http://127.0.0.1:8080, instead of ranking here.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// What is wanted.
    #[command(flatten)]
    pub wish: WishArgs,
    /// How many places to show.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub top: usize,
    /// Write JSON, whole.
    #[arg(long)]
    pub json: bool,
}

/// For `route`.
#[derive(Debug, Args)]
pub struct RouteArgs {
    /// The prompt; `-` reads standard input.
    pub prompt: String,
    /// The running server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// What is wanted.
    #[command(flatten)]
    pub wish: WishArgs,
    /// The most output tokens.
    #[arg(long, value_name = "N")]
    pub max_output_tokens: Option<u64>,
    /// Show the answer as it is written.
    #[arg(long)]
    pub stream: bool,
    /// Make calls of this request fail: "gpt-4o-mini=status:503"; may be given often.
    #[arg(long = "fault", value_name = "TARGET=FAULT", value_parser = forced)]
    pub faults: Vec<Forced>,
}

/// Which outcome log.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The config file that says where the log is; without one, as `serve` does without one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The log itself, an SQLite file, instead of where the config says.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// For `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A folder, or s3://bucket/path, gs://bucket/path, az://container/path, with keys from the
    /// environment; by default where the config says under `export`.
    #[arg(long, value_name = "PLACE")]
    pub to: Option<String>,
    /// Which log.
    #[command(flatten)]
    pub at: LogArgs,
    /// Write what was exported as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What of `faults`.
#[derive(Debug, Subcommand)]
pub enum FaultsCommand {
    /// Make calls of every request fail, instead of those set before, until the time is over.
    Set(FaultsSetArgs),
    /// Show which calls are made to fail, and how many have.
    List(AtServer),
    /// Let all be well again.
    Clear(AtServer),
}

/// For `faults set`.
#[derive(Debug, Args)]
pub struct FaultsSetArgs {
    /// Whose calls (a deployment, a model, a provider or *) fail how: "gpt-4o-mini@openai=status:503".
    #[arg(value_name = "TARGET=FAULT", required = true, value_parser = forced)]
    pub faults: Vec<Forced>,
    /// When all is well again at the latest, at most 24h.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// Each strikes so many calls, and then no more.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: Option<u32>,
    /// The chance with which a call is struck.
    #[arg(long, value_name = "P")]
    pub probability: Option<f64>,
    /// Where.
    #[command(flatten)]
    pub at: AtServer,
}

/// A failure that is asked for.
#[derive(Debug, Clone)]
pub struct Forced {
    /// Whose calls.
    pub target: String,
    /// How they fail.
    pub fault: Fault,
}

/// For `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8089")]
    pub listen: SocketAddr,
    /// Names of the models; may be given often, or with commas.
    #[arg(long, alias = "model", value_name = "A,B", value_delimiter = ',', required = true)]
    pub models: Vec<String>,
    /// Median time to the first token.
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = humantime::parse_duration)]
    pub ttft: Duration,
    /// Median speed.
    #[arg(long, value_name = "N", default_value_t = 80.0, value_parser = positive)]
    pub tokens_per_s: f64,
    /// Median length of the answers, in tokens.
    #[arg(long, value_name = "N", default_value_t = 120.0, value_parser = positive)]
    pub output_tokens: f64,
    /// Share of calls that fail, by fault: "status:503=0.02, reset=0.01".
    #[arg(long, value_name = "RATES", default_value = "", value_parser = rates)]
    pub faults: FaultRates,
    /// Faults of each model's first calls, in order: "reset*3, status:429:2s, stall:20".
    #[arg(long, value_name = "FAULTS", default_value = "", value_parser = script)]
    pub script: Script,
    /// Every model comes and goes: so many calls as usual, then so many 503s, for instance 10:5.
    #[arg(long, value_name = "HEALTHY:FAILING", value_parser = flap)]
    pub flap: Option<Flap>,
    /// Another seed, other answers, times and faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Faults in the order of the calls they befall.
#[derive(Debug, Clone)]
pub struct Script(pub Vec<Fault>);

/// For `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many prompts to route.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub requests: u32,
    /// Another seed, other times and faults.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// End after the summary instead of staying up.
    #[arg(long)]
    pub exit: bool,
    /// Where to listen; by default 127.0.0.1:8080, or any free port.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

fn preset(name: &str) -> Result<String, String> {
    let names = Preference::PRESETS.map(|(it, _)| it);
    let known = names.contains(&name).then(|| name.to_owned());
    known.ok_or_else(|| format!("the preferences are {}", names.join(", ")))
}

fn admin_listen(text: &str) -> Result<AdminListen, std::net::AddrParseError> {
    if text == "off" { Ok(AdminListen(None)) } else { text.parse().map(|it| AdminListen(Some(it))) }
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("must be above zero".into()) }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or("must be KEY=VALUE, such as user=42")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn forced(text: &str) -> Result<Forced, String> {
    let wanted = "must be TARGET=FAULT, such as gpt-4o-mini=status:503";
    let (target, fault) = text.split_once('=').ok_or(wanted)?;
    let fault = parse_fault(fault).map_err(|it| it.to_string())?;
    Ok(Forced { target: target.to_owned(), fault })
}

fn rates(text: &str) -> Result<FaultRates, InvalidScript> {
    parse_rates(text)
}

fn flap(text: &str) -> Result<Flap, InvalidScript> {
    parse_flap(text)
}

fn script(text: &str) -> Result<Script, InvalidScript> {
    parse_script(text).map(Script)
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
