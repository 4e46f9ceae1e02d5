//! What an artifact says of itself, and what can be wrong with one.
//!
//! In: `manifest.json`. Out: [`Manifest`]. Invariant: a manifest that was accepted fits this
//! program: its format, its feature schema, its encoder, and its weights' checksum.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Version of the artifact's layout; raised when an older program could not read a newer artifact.
/// 2: a trunk for each exit. 3: it may tell its lineage.
pub const FORMAT_VERSION: u32 = 3;
/// The oldest layout that is still read. 1: one trunk, for exit 0.
pub const FORMAT_VERSION_MIN: u32 = 1;

/// What an artifact is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the layout, [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The artifact's own name; stands in every decision.
    pub version: String,
    /// Which list of features it was trained on.
    pub feature_schema: u32,
    /// SHA-256, in hex, of the encoder's weights that it was trained on, as far as its exits read.
    pub encoder_sha256: String,
    /// What that encoder is called; nothing for the shipped kind, so that older programs, too, read
    /// what they can use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// The encoder's exits that it was trained for, ascending, in the order of its trunks; an artifact
    /// that does not say knows only 0.
    #[serde(default = "first_exit")]
    pub exits: Vec<u8>,
    /// SHA-256 of its own weights, in hex.
    pub weights_sha256: String,
    /// The models it knows, in the order of the rows of its heads.
    pub models: Vec<LearnedModel>,
    /// What it was trained on.
    pub data: DataFacts,
    /// The seed of the training run.
    pub seed: u64,
    /// Standard deviation of log latency beside that of the tokens, so that 90 % intervals held 90 % of
    /// the validation rows.
    pub latency_sigma: f64,
    /// How well it does on held-out rows; of one that learned from outcomes, what the first of its line did.
    pub figures: Figures,
    /// Where it comes from, if it learned from outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
}

/// Where an artifact comes from that learned from outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The version of the first of its line, which was trained on a table.
    pub root: String,
    /// The version of the one that it was before.
    pub parent: String,
    /// How often its line has learned from outcomes, this time included.
    pub generation: u32,
    /// The newest decision that it learned from, milliseconds since 1970 UTC; the next one begins
    /// behind it, so that nothing is learned twice.
    pub outcomes_until_unix_ms: u64,
    /// Scores that it learned from this time.
    pub scores: u64,
    /// Answers whose tokens it learned from this time.
    pub answers: u64,
}

fn first_exit() -> Vec<u8> {
    vec![0]
}

/// A model that was seen in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedModel {
    /// Its name in the training table; the catalog's `learned_as` points here.
    pub name: String,
    /// How many labels of quality it has.
    pub labels: u32,
    /// Mean quality over them.
    pub quality: f64,
    /// How many of them tell output tokens.
    pub token_labels: u32,
}

/// What an artifact was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFacts {
    /// SHA-256 of the labelled table, in hex.
    pub sha256: String,
    /// Labels.
    pub labels: u64,
    /// Distinct prompts.
    pub prompts: u64,
    /// Where the labels come from.
    pub sources: Vec<String>,
}

/// How well an artifact predicts, on rows held out by question text.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Mean over sources of the mean per-model AUC of quality.
    pub auc: f64,
    /// Mean over sources of the mean per-model Brier score.
    pub brier: f64,
    /// Mean over sources of the expected calibration error, 15 bins.
    pub ece: f64,
    /// Median relative error of the predicted median of output tokens.
    pub tokens_error: f64,
    /// Share of held-out output tokens inside the central 90 % interval.
    pub tokens_coverage_90: f64,
}

/// An artifact that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A file that cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A manifest that is not what it should be.
    #[error("{}: not an artifact's manifest: {source}", path.display())]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// What and where.
        source: serde_json::Error,
    },
    /// An artifact of another layout.
    #[error(
        "{}: format_version is {found}, this program reads {FORMAT_VERSION_MIN} to {FORMAT_VERSION}",
        path.display()
    )]
    Format {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// An artifact of other features.
    #[error(
        "{}: feature_schema is {found}, this program extracts schema {wanted}: train it again",
        path.display()
    )]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// This program's.
        wanted: u32,
    },
    /// An artifact of another encoder.
    #[error(transparent)]
    Encoder(Box<OtherEncoder>),
    /// An artifact for exits that the encoder does not have, or without the first.
    #[error("{}: exits is {found:?}: 0 must be the first of them, and the encoder must have each", path.display())]
    Exits {
        /// Which file.
        path: PathBuf,
        /// Its exits.
        found: Vec<u8>,
    },
    /// Weights that are not the ones the manifest names: cut short, or changed.
    #[error("{}: SHA-256 is {found}, the manifest says {wanted}: the file is corrupt", path.display())]
    Checksum {
        /// Which file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// Weights that are not safetensors.
    #[error("{}: not a safetensors file: {source}", path.display())]
    Weights {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that is missing or of another shape.
    #[error("{}: the tensor `{tensor}` must be f32 {wanted}", path.display())]
    Tensor {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        tensor: String,
        /// Its shape.
        wanted: String,
    },
    /// A tensor with NaN or infinity in it.
    #[error("{}: the tensor `{tensor}` holds a number that is not finite", path.display())]
    NotFinite {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        tensor: String,
    },
}

/// An artifact and an encoder that do not belong together.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: encoder_sha256 is {found} ({found_name}), the encoder in use has {wanted} ({wanted_name}): \
     give it the encoder that it was trained on, or train it again",
    path.display()
)]
pub struct OtherEncoder {
    /// The manifest.
    pub path: PathBuf,
    /// SHA-256 of the encoder that the artifact was trained on.
    pub found: String,
    /// What that one is called.
    pub found_name: String,
    /// SHA-256 of the encoder in use, as far as the artifact's exits read.
    pub wanted: String,
    /// What that one is called.
    pub wanted_name: String,
}
