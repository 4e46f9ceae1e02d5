//! The command line of `pointsman catalog`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::import::Origin;

/// What of `catalog`.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// Write a config of ours out of LiteLLM's config.yaml, a Portkey config or LiteLLM's price list; what did
    /// not map is told on standard error.
    Import(ImportArgs),
}

/// For `catalog import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file.
    pub file: PathBuf,
    /// litellm, portkey or litellm-prices; by default by its looks.
    #[arg(long, value_name = "FORMAT", value_parser = origin)]
    pub from: Option<Origin>,
    /// Where to write the config; by default to standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The model that requests name, for targets of Portkey's that leave it to them.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
}

fn origin(name: &str) -> Result<Origin, String> {
    let found = Origin::NAMES.into_iter().find(|(it, _)| *it == name).map(|it| it.1);
    found.ok_or_else(|| format!("there are {}", Origin::NAMES.map(|it| it.0).join(", ")))
}
