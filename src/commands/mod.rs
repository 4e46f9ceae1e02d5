//! What a person types: `pointsman serve | check | rank | route | export | outcomes | keys | ...`.
//!
//! In: [`args::Cli`]. Out: an exit code, text on standard output, logs and errors on standard
//! error. Invariant: the topmost layer: nothing imports it but `main.rs`; it puts parts together
//! and prints, and decides nothing about requests. Keys and prompts are never printed.

pub mod args;
mod artifact;
mod assemble;
mod catalog;
mod check;
mod chores;
mod client;
pub mod demo;
mod error;
mod export;
mod faults;
mod keys;
mod models;
mod operator;
mod outcomes;
pub mod paint;
mod rank;
mod route;
mod running;
mod scratch;
mod serve;
mod simulate;
mod stop;
mod stream;
mod verdict;

use std::io::Write;
use std::process::ExitCode;

use args::{Cli, Command};
pub use assemble::log_form;
pub use error::CommandError;
use paint::Paint;

/// Runs one command to its end. What it has to say goes to `out`.
///
/// # Errors
/// [`CommandError`]: what could not be read, started, reached or answered.
pub async fn run(cli: Cli, out: &mut dyn Write, paint: Paint) -> Result<ExitCode, CommandError> {
    match cli.command {
        Command::Serve(it) => serve::serve(&it, out).await.map(|()| ExitCode::SUCCESS),
        Command::Check(it) => check::check(&it, out),
        Command::Rank(it) => rank::rank(&it, out, paint).await,
        Command::Route(it) => route::route(&it, out, paint).await,
        Command::Export(it) => export::export(&it, out).await.map(|()| ExitCode::SUCCESS),
        Command::Outcomes(it) => outcomes::outcomes(&it, out).await.map(|()| ExitCode::SUCCESS),
        Command::Faults(it) => faults::faults(&it, out).await.map(|()| ExitCode::SUCCESS),
        Command::Artifact(it) => artifact::artifact(&it, out).await.map(|()| ExitCode::SUCCESS),
        Command::Keys(it) => keys::keys(&it, out).map(|()| ExitCode::SUCCESS),
        Command::Catalog(it) => catalog::catalog(&it, out).map(|()| ExitCode::SUCCESS),
        Command::Models(it) => models::models(&it, out).await,
        Command::Simulate(it) => simulate::simulate(&it, out).await.map(|()| ExitCode::SUCCESS),
        Command::Demo(it) => demo::demo(&it, out, paint).await.map(|()| ExitCode::SUCCESS),
    }
}
