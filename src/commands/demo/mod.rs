//! `pointsman demo`: the whole thing at work in under a minute, without a key.
//!
//! In: how many prompts, a seed. Out: a live table and a summary; then a server to try things on.
//! Invariant: a real server, a real client and real HTTP calls; only the four models are made up
//! (see `cast`), and every figure shown was predicted, measured or billed on the way.

mod cast;
mod play;
mod prompts;
mod screen;
mod stage;
mod summary;

use std::io::Write;
use std::net::SocketAddr;

use super::args::DemoArgs;
use super::paint::Paint;
use super::{CommandError, stop};
use screen::Screen;
use stage::Stage;
pub use summary::{Share, Summary};

/// What is to be shown.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// How many prompts are routed.
    pub requests: usize,
    /// Seeds times, lengths and faults of the made-up models.
    pub seed: u64,
    /// Where the server listens; `None`: 127.0.0.1:8080 if it is free, else any port.
    pub listen: Option<SocketAddr>,
}

pub(super) async fn demo(
    args: &DemoArgs,
    out: &mut dyn Write,
    paint: Paint,
) -> Result<(), CommandError> {
    let requests = usize::try_from(args.requests).unwrap_or(usize::MAX);
    let show = Show { requests, seed: args.seed, listen: args.listen };
    let (stage, _) = perform(show, out, paint).await?;
    if !args.exit {
        Screen { out, paint }.what_to_try(stage.address(), stage.admin())?;
        stop::signal().await?;
    }
    stage.clear().await
}

/// Sets the stage, plays, sums up, and clears the stage.
///
/// # Errors
/// [`CommandError`]: a file, a port, or the server's own faults; failing models are part of it.
pub async fn run(
    show: Show,
    out: &mut (dyn Write + '_),
    paint: Paint,
) -> Result<Summary, CommandError> {
    let (stage, summary) = perform(show, out, paint).await?;
    stage.clear().await?;
    Ok(summary)
}

async fn perform(
    show: Show,
    out: &mut (dyn Write + '_),
    paint: Paint,
) -> Result<(Stage, Summary), CommandError> {
    let prompts = prompts::all();
    let mut stage = Stage::set(&show, &prompts).await?;
    let mut screen = Screen { out, paint };
    screen.opening(&stage)?;
    let began = tokio::time::Instant::now();
    let mut rows = Vec::with_capacity(show.requests);
    for (at, prompt) in prompts.iter().cycle().take(show.requests).enumerate() {
        let row = play::one(stage.client(), prompt).await?;
        screen.row(at + 1, &row)?;
        rows.push(row);
    }
    let summary = Summary::of(&rows, began.elapsed());
    screen.closing(&summary, &stage.log_path())?;
    Ok((stage, summary))
}
