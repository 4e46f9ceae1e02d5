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
use crate::fit::{FitSettings, encode_prompts, fit};
use crate::judge::judge;
use crate::split::{Cut, Split};

/// The model card's file name.
pub const CARD_FILE: &str = "model-card.md";

/// Trains an artifact, judges it, and writes it to `out`.
///
/// # Errors
/// When the table cannot be read or is too small, or a file cannot be written.
pub fn artifact(
    table: &Path,
    encoder: &Encoder,
    cut: &Cut,
    settings: &FitSettings,
    out: &Path,
) -> Result<Figures> {
    let data = Dataset::read(table)?;
    let inputs = encode_prompts(&data, encoder)?;
    let split = Split::new(&data.prompts, cut);
    let mut artifact = fit(&data, &inputs, &split, encoder, settings)?;
    let figures = judge(&data, &inputs, cut, Some(&Predictor::new(artifact.clone())))?;
    artifact.manifest.figures = measured(&figures);
    write(&artifact, &figures, out)?;
    Ok(figures)
}

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
