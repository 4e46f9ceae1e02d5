//! The program: arguments, logs, one command.
//!
//! In: the command line, `RUST_LOG`. Out: an exit code. Invariant: logs go to standard error, what
//! a command has to say to standard output. Not here: everything else (see [`pointsman::commands`]).

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use pointsman::commands::args::{Cli, Command};
use pointsman::commands::{self, paint::Paint};
use pointsman::config::LogForm;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // The causes, one a line; no backtrace: these are told to a person, not to us.
            for (depth, cause) in error.chain().enumerate() {
                eprintln!("{} {cause}", if depth == 0 { "error:" } else { "  because:" });
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    start_logs(&cli);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = std::io::stdout();
    let code = runtime.block_on(commands::run(cli, &mut out, Paint::for_stdout()))?;
    out.flush()?;
    Ok(code)
}

/// `RUST_LOG` says what is logged; by default `info` when serving, and else only what is wrong.
fn start_logs(cli: &Cli) {
    let usual = if matches!(cli.command, Command::Serve(_)) { "info" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match commands::log_form(cli) {
        LogForm::Json => logs.json().init(),
        LogForm::Pretty => logs.init(),
    }
}
