//! What `pointsman outcomes` is told.
//!
//! In: words. Out: checked arguments.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::commands::args::{LogArgs, pair};
use crate::outcome::Dimension;

/// What of `outcomes`.
#[derive(Debug, Subcommand)]
pub enum OutcomesCommand {
    /// Delete every outcome with this metadata, and its scores; for ever.
    Delete(OutcomesDeleteArgs),
    /// What requests cost, took and were worth, by model, team, day or any property.
    Summary(OutcomesSummaryArgs),
}

/// For `outcomes delete`.
#[derive(Debug, Args)]
pub struct OutcomesDeleteArgs {
    /// Whose: a key and a value of the requests' metadata, for instance user=42.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub metadata: (String, String),
    /// Which log.
    #[command(flatten)]
    pub at: LogArgs,
    /// Ask this running server, by its admin address, for instance http://127.0.0.1:8081, instead of opening
    /// the log here.
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "log"])]
    pub server: Option<String>,
    /// Write what was deleted as JSON.
    #[arg(long)]
    pub json: bool,
}

/// For `outcomes summary`.
#[derive(Debug, Args)]
pub struct OutcomesSummaryArgs {
    /// By what: model, deployment, end, session, key, team, day, or metadata.NAME.
    #[arg(long, value_name = "WHAT", default_value = "model")]
    pub by: Dimension,
    /// Only requests with this value, for instance team=blue or metadata.user=42; may be given often.
    #[arg(long = "where", value_name = "WHAT=VALUE", value_parser = wanted)]
    pub wanted: Vec<(Dimension, String)>,
    /// Only the last ones, for instance 7d.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub since: Option<Duration>,
    /// Show so many, the dearest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub top: usize,
    /// Which log.
    #[command(flatten)]
    pub at: LogArgs,
    /// Read an export instead: a folder, s3://..., gs://... or az://....
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["config", "log"])]
    pub export: Option<String>,
    /// Write it as JSON.
    #[arg(long)]
    pub json: bool,
}

fn wanted(text: &str) -> Result<(Dimension, String), String> {
    let (by, value) = text.split_once('=').ok_or("WHAT=VALUE is wanted")?;
    let by = by.parse().map_err(|it: crate::outcome::NoDimension| it.to_string())?;
    Ok((by, value.to_owned()))
}
