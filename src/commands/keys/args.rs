//! The command line of `pointsman keys`.
//!
//! In: what was typed. Out: [`KeysCommand`]. Not here: what it does.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::access::KeyId;
use crate::domain::{ModelName, Usd};

/// Longest name of a key or a team, in bytes.
const LABEL_BYTES_MAX: usize = 64;

/// What of `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key, and show it: this once and never again.
    Create(CreateArgs),
    /// Show the keys and what they have spent, never their secrets.
    List(ListArgs),
    /// Make a key worth nothing; running servers see it within seconds.
    Revoke(RevokeArgs),
    /// Set what all keys of a team may spend together.
    Team(TeamArgs),
}

/// Which key store.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// The config file that says where keys are kept; without one, data/keys.db.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The key store itself, an SQLite file.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub store: Option<PathBuf>,
}

/// For how much.
#[derive(Debug, Clone, Copy, Args)]
pub struct SpendArgs {
    /// The most that may be spent in a day, UTC.
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub spend_per_day: Option<Usd>,
    /// The most that may be spent in a calendar month, UTC.
    #[arg(long, value_name = "USD", value_parser = usd)]
    pub spend_per_month: Option<Usd>,
}

/// For `keys create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// What it is for: a service, a person.
    #[arg(long, value_name = "NAME", value_parser = label)]
    pub name: String,
    /// Whose it is; teams see nothing of each other's decisions, and share limits on spending.
    #[arg(long, value_name = "TEAM", value_parser = label)]
    pub team: String,
    /// Only these models, by their names here; may be given often, or with commas.
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = model)]
    pub models: Vec<ModelName>,
    /// Only these policies may be named (quality, balanced, cost, latency; `custom` for figures of
    /// one's own); naming none is always open.
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = label)]
    pub policies: Vec<String>,
    /// It opens the admin listener, too.
    #[arg(long)]
    pub admin: bool,
    /// From when on it is worth nothing, for instance 30d.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub expires: Option<Duration>,
    /// The most requests in a minute.
    #[arg(long, value_name = "N")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// The most tokens in a minute, input and output together.
    #[arg(long, value_name = "N")]
    pub tokens_per_minute: Option<NonZeroU32>,
    /// For how much.
    #[command(flatten)]
    pub spend: SpendArgs,
    /// Where.
    #[command(flatten)]
    pub at: StoreArgs,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// For `keys list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where.
    #[command(flatten)]
    pub at: StoreArgs,
    /// Write JSON.
    #[arg(long)]
    pub json: bool,
}

/// For `keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Its id, as `keys list` shows it.
    #[arg(value_name = "ID", value_parser = key_id)]
    pub id: KeyId,
    /// Where.
    #[command(flatten)]
    pub at: StoreArgs,
}

/// For `keys team`.
#[derive(Debug, Args)]
pub struct TeamArgs {
    /// Which; what is not given is not limited any more.
    #[arg(value_name = "TEAM", value_parser = label)]
    pub team: String,
    /// For how much.
    #[command(flatten)]
    pub spend: SpendArgs,
    /// Where.
    #[command(flatten)]
    pub at: StoreArgs,
}

fn label(text: &str) -> Result<String, String> {
    let fine = !text.trim().is_empty() && text.len() <= LABEL_BYTES_MAX;
    if fine && !text.contains(char::is_control) {
        return Ok(text.trim().to_owned());
    }
    Err(format!("must be 1 to {LABEL_BYTES_MAX} bytes of plain text"))
}

fn model(text: &str) -> Result<ModelName, String> {
    ModelName::new(text).map_err(|it| it.to_string())
}

fn key_id(text: &str) -> Result<KeyId, String> {
    // Never repeated: it may be a whole key.
    KeyId::parse(text).ok_or_else(|| "the id of a key is needed: `keys list` shows them".to_owned())
}

fn usd(text: &str) -> Result<Usd, String> {
    let amount: f64 = text.parse().map_err(|_| "not an amount in USD".to_owned())?;
    Usd::new(amount).map_err(|it| it.to_string())
}
