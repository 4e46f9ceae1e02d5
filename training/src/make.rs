//! `pointsman-train fit`: table in, artifact with figures and card out.
//!
//! In: a table's path, the encoder, the cut, settings. Out: `manifest.json`, `router.safetensors` and
//! `model-card.md` in a folder. Invariant: each file is written beside its place and then moved
//! there, so a run that is killed leaves no half-written file.

use std::path::Path;

use anyhow::{Context, Result};
use pointsman::encoder::Encoder;
use pointsman::prediction::{self, Artifact, MANIFEST_FILE, Predictor, WEIGHTS_FILE};

use crate::card::card;
use crate::dataset::Dataset;
use crate::evaluate::Figures;
use crate::fit::{FitSettings, Inputs, encode_prompts_kept, fit};
use crate::judge::judge;
use crate::split::{Cut, Split};

/// The model card's file name.
pub const CARD_FILE: &str = "model-card.md";

/// What an artifact is made from.
#[derive(Debug)]
pub struct Materials {
    data: Dataset,
    /// At every exit of the encoder.
    inputs: Inputs,
}

impl Materials {
    /// Reads a table and encodes its prompts. `vectors`: see [`encode_prompts_kept`].
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn read(table: &Path, encoder: &Encoder, vectors: Option<&Path>) -> Result<Self> {
        let data = Dataset::read(table)?;
        let inputs = encode_prompts_kept(&data, encoder, vectors)?;
        Ok(Self { data, inputs })
    }
}

/// Trains an artifact for every exit of the encoder, judges it, and writes it where `out` says.
///
/// # Errors
/// When the table is too small, or a file cannot be written.
pub fn artifact(
    Materials { data, inputs }: &Materials,
    encoder: &Encoder,
    cut: &Cut,
    settings: &FitSettings,
    out: Option<&Path>,
) -> Result<Figures> {
    let split = Split::new(&data.prompts, cut);
    let mut artifact = fit(data, inputs, &split, encoder, settings)?;
    let figures = judge(data, inputs, cut, Some(&Predictor::new(artifact.clone())))?;
    artifact.manifest.figures = measured(&figures);
    if let Some(out) = out {
        write(&artifact, &figures, out)?;
    }
    Ok(figures)
}

/// The figures at the exit at which prompts are read as a rule.
fn measured(figures: &Figures) -> prediction::Figures {
    let row = figures.rows.iter().find(|it| it.name == Figures::ARTIFACT);
    let quality = row.map(|it| it.quality).unwrap_or_default();
    prediction::Figures {
        auc: quality.auc.unwrap_or_default(),
        brier: quality.brier.unwrap_or_default(),
        ece: quality.ece.unwrap_or_default(),
        tokens_error: figures.tokens.map(|it| it.median_relative_error).unwrap_or_default(),
        tokens_coverage_90: figures.tokens.map(|it| it.coverage_90).unwrap_or_default(),
    }
}

fn write(artifact: &Artifact, figures: &Figures, out: &Path) -> Result<()> {
    save(artifact, &card(&artifact.manifest, figures), out)
}

/// Writes an artifact and its card to a folder, which is made where there is none.
///
/// # Errors
/// When a file cannot be written.
pub fn save(artifact: &Artifact, card: &str, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut manifest = serde_json::to_string_pretty(&artifact.manifest)?;
    manifest.push('\n');
    let files = [
        (WEIGHTS_FILE, artifact.weights()?),
        (MANIFEST_FILE, manifest.into_bytes()),
        (CARD_FILE, card.as_bytes().to_vec()),
    ];
    for (name, bytes) in files {
        let (place, beside) = (out.join(name), out.join(format!(".{name}.part")));
        std::fs::write(&beside, bytes).with_context(|| beside.display().to_string())?;
        std::fs::rename(&beside, &place).with_context(|| place.display().to_string())?;
    }
    Ok(())
}
