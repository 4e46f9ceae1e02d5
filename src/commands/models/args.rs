//! The command line of `pointsman models`.
//!
//! In: what was typed. Out: [`ModelsCommand`]. Not here: what it does.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::hub::Name;

/// Where encoders are kept unless another folder is named.
pub(super) const ROOT: &str = "data/encoders";

/// What of `models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Fetch a BERT-shaped sentence encoder from the Hugging Face hub, a mirror, or a folder.
    Pull(PullArgs),
    /// Show the encoders that are there.
    List(ListArgs),
    /// Compare an encoder's files with what was pulled.
    Verify(VerifyArgs),
}

/// For `models pull`.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// The repository, for instance sentence-transformers/all-MiniLM-L6-v2.
    pub name: Name,
    /// The folder to make; by default one in data/encoders.
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
    /// What the SHA-256 of model.safetensors must be, whatever the hub says.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub sha256: Option<String>,
    /// A branch, a tag or a commit.
    #[arg(long, value_name = "REV", default_value = "main")]
    pub revision: String,
    /// The hub's address; by default HF_ENDPOINT, or https://huggingface.co. A token is taken from
    /// HF_TOKEN.
    #[arg(long, value_name = "URL", conflicts_with = "from")]
    pub hub: Option<String>,
    /// Copy the files from this folder instead, and check them; asks no network.
    #[arg(long, value_name = "FOLDER", conflicts_with = "revision")]
    pub from: Option<PathBuf>,
}

/// For `models list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where to look.
    #[arg(long, value_name = "FOLDER", default_value = ROOT)]
    pub root: PathBuf,
}

/// For `models verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The encoder's folder.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

fn sha256(text: &str) -> Result<String, String> {
    let hex = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    if hex { Ok(text.to_ascii_lowercase()) } else { Err("64 hex digits are needed".to_owned()) }
}
