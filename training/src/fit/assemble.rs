//! From a table to an artifact: encode, split, train, believe, pack.
//!
//! In: a [`Dataset`], the encoder, settings. Out: an [`Artifact`], its figures still to be measured
//! (see [`crate::evaluate`]). Invariant: held-out prompts are never looked at.

use anyhow::{Context, Result, ensure};
use pointsman::domain::sha256_hex;
use pointsman::encoder::Encoder;
use pointsman::features::FEATURE_SCHEMA;
use pointsman::prediction::{
    Artifact, DataFacts, FORMAT_VERSION, Figures, LATENT, LearnedModel, Manifest, Trunk,
};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::FitSettings;
use super::heads::{Evidence, Heads, believe};
use super::inputs::{ExitInputs, Inputs};
use super::network::{Network, TrunkVars};
use super::speed::Foretold;
use super::targets::{TargetRow, rows};
use super::train::{Lessons, train};
use crate::dataset::Dataset;
use crate::split::{Cut, Split};

/// How many latent vectors stand for "everyday prompts".
const REFERENCE: usize = 512;

/// Trains an artifact on the part of the data that is not held out, for each exit that inputs are given
/// for: ascending, the first one first.
///
/// # Errors
/// When there are too few labels to learn from.
pub fn fit(
    dataset: &Dataset,
    inputs: &Inputs,
    split: &Split,
    encoder: &Encoder,
    settings: &FitSettings,
) -> Result<Artifact> {
    let mut draws = ChaCha8Rng::seed_from_u64(settings.seed);
    let inner = Split::new(&dataset.prompts, &Cut { held_out: 0.1, seed: "validation".to_owned() });
    let held_out = |it: usize| split.is_held_out(it as u32);
    let to_train = |it: usize| !held_out(it) && !inner.is_held_out(it as u32);
    let to_validate = |it: usize| !held_out(it) && inner.is_held_out(it as u32);
    let (train_rows, validation) = (rows(dataset, to_train), rows(dataset, to_validate));
    ensure!(train_rows.len() >= 20, "{} prompts are too few to learn from", train_rows.len());
    let mut trunks: Vec<Trunk> =
        inputs.exits.iter().map(|it| scale(it, &train_rows, settings.hidden)).collect();
    let pairs = trunks.iter().zip(&inputs.exits);
    let standard: Vec<Vec<f32>> = pairs.map(|(trunk, it)| standardised(trunk, it)).collect();
    let token_scale = token_scale(&train_rows, dataset.models.len());
    let log_odds = log_odds(&train_rows, dataset.models.len());
    let sizes: Vec<usize> = inputs.exits.iter().map(|it| it.size).collect();
    let network = Network::new(&sizes, settings.hidden, &log_odds, &mut draws)?;
    let lessons = Lessons {
        inputs: &standard,
        train: &train_rows,
        validation: &validation,
        token_scale: &token_scale,
        source_weight: &source_weights(&train_rows, dataset.sources.len()),
    };
    train(&network, &lessons, settings, &mut draws)?;
    trunks.iter_mut().zip(&network.trunks).try_for_each(|(to, from)| fill(to, from))?;
    let latents: Vec<Vec<[f32; LATENT]>> = trunks
        .iter()
        .zip(&standard)
        .map(|(trunk, it)| {
            it.par_chunks_exact(trunk.input_mean.len()).map(|it| trunk.latent(it)).collect()
        })
        .collect();
    let evidence = Evidence {
        latents: &latents,
        train: &train_rows,
        validation: &validation,
        token_scale: &token_scale,
    };
    let heads = believe(&network, &evidence)?;
    let deepest = latents.last().context("there are no inputs")?;
    let reference = reference(&train_rows, deepest, &mut draws);
    let foretold = Foretold { dataset, heads: &heads, latents: &latents };
    let manifest = Manifest {
        latency_sigma: foretold.latency_sigma(to_train, to_validate),
        ..manifest(dataset, encoder, inputs, settings)
    };
    pack(manifest, trunks, heads, reference)
}

/// Mean and spread of every input over the training prompts; a constant input is switched off.
fn scale(inputs: &ExitInputs, rows: &[TargetRow], hidden: usize) -> Trunk {
    let count = rows.len().max(1) as f64;
    let mut mean = vec![0.0_f64; inputs.size];
    let mut square = vec![0.0_f64; inputs.size];
    for row in rows {
        for (at, value) in inputs.row(row.prompt).iter().enumerate() {
            mean[at] += f64::from(*value) / count;
            square[at] += f64::from(*value).powi(2) / count;
        }
    }
    let deviation = |at: usize| (square[at] - mean[at] * mean[at]).max(0.0).sqrt();
    let one_over = |it: f64| if it > 1e-6 { (1.0 / it) as f32 } else { 0.0 };
    Trunk {
        input_scale: (0..inputs.size).map(|it| one_over(deviation(it))).collect(),
        input_mean: mean.iter().map(|it| *it as f32).collect(),
        hidden_weight: Vec::new(),
        hidden_bias: vec![0.0; hidden],
        latent_weight: Vec::new(),
        latent_bias: vec![0.0; LATENT],
    }
}

fn standardised(trunk: &Trunk, inputs: &ExitInputs) -> Vec<f32> {
    let rows = inputs.rows.chunks_exact(inputs.size);
    rows.flat_map(|it| trunk.standardise(it, &[])).collect()
}

/// Per model: mean and deviation of log tokens; (5, 1) where a model has too few.
fn token_scale(rows: &[TargetRow], models: usize) -> Vec<(f32, f32)> {
    let mut sums = vec![[0.0_f64; 3]; models];
    for (model, _, tokens) in rows.iter().flat_map(|it| &it.labels) {
        if let Some(tokens) = tokens.map(f64::from) {
            sums[*model]
                .iter_mut()
                .zip([1.0, tokens, tokens * tokens])
                .for_each(|(sum, it)| *sum += it);
        }
    }
    let of = |[count, sum, squares]: [f64; 3]| {
        if count < 10.0 {
            return (5.0, 1.0);
        }
        let mean = sum / count;
        (mean as f32, (squares / count - mean * mean).max(0.01).sqrt() as f32)
    };
    sums.into_iter().map(of).collect()
}

/// Per model, the log odds of being right, one right and one wrong answer added.
fn log_odds(rows: &[TargetRow], models: usize) -> Vec<f32> {
    let mut sums = vec![(1.0_f32, 2.0_f32); models];
    for (model, quality, _) in rows.iter().flat_map(|it| &it.labels) {
        sums[*model].0 += quality;
        sums[*model].1 += 1.0;
    }
    sums.into_iter().map(|(right, all)| (right / (all - right)).ln()).collect()
}

/// Sources differ a hundredfold in labels; the square root keeps the large ones from drowning the
/// small ones, without letting the smallest be learned by heart.
fn source_weights(rows: &[TargetRow], sources: usize) -> Vec<f32> {
    let mut counts = vec![0.0_f32; sources];
    rows.iter().for_each(|it| counts[it.source] += it.labels.len() as f32);
    let largest = counts.iter().fold(1.0_f32, |most, it| most.max(*it));
    counts.iter().map(|it| (largest / it.max(1.0)).sqrt().min(3.0)).collect()
}

fn fill(trunk: &mut Trunk, network: &TrunkVars) -> Result<()> {
    let flat = |it: &candle_core::Var| it.flatten_all()?.to_vec1::<f32>();
    trunk.hidden_weight = flat(&network.hidden_weight)?;
    trunk.hidden_bias = flat(&network.hidden_bias)?;
    trunk.latent_weight = flat(&network.latent_weight)?;
    trunk.latent_bias = flat(&network.latent_bias)?;
    Ok(())
}

fn reference(rows: &[TargetRow], latents: &[[f32; LATENT]], draws: &mut ChaCha8Rng) -> Vec<f32> {
    let mut prompts: Vec<usize> = rows.iter().map(|it| it.prompt).collect();
    prompts.shuffle(draws);
    prompts.truncate(REFERENCE);
    prompts.into_iter().flat_map(|it| latents[it]).collect()
}

fn manifest(
    dataset: &Dataset,
    encoder: &Encoder,
    inputs: &Inputs,
    settings: &FitSettings,
) -> Manifest {
    let exits: Vec<u8> = inputs.exits.iter().map(|it| it.exit).collect();
    let mut models: Vec<LearnedModel> = dataset
        .models
        .iter()
        .map(|name| LearnedModel { name: name.clone(), labels: 0, quality: 0.0, token_labels: 0 })
        .collect();
    for label in &dataset.labels {
        let model = &mut models[usize::from(label.model)];
        model.labels += 1;
        model.quality += f64::from(label.quality);
        model.token_labels += u32::from(label.output_tokens.is_some());
    }
    models.iter_mut().for_each(|it| it.quality /= f64::from(it.labels.max(1)));
    Manifest {
        format_version: FORMAT_VERSION,
        version: settings.version.clone(),
        feature_schema: FEATURE_SCHEMA,
        encoder: (!encoder.is_early_exit()).then(|| encoder.name().to_owned()),
        encoder_sha256: encoder.checksum(&exits).unwrap_or_default().to_owned(),
        exits,
        weights_sha256: String::new(),
        models,
        data: DataFacts {
            sha256: dataset.digest.clone(),
            labels: dataset.labels.len() as u64,
            prompts: dataset.prompts.len() as u64,
            sources: dataset.sources.clone(),
        },
        seed: settings.seed,
        latency_sigma: 0.0,
        figures: Figures::default(),
        lineage: None,
    }
}

fn pack(
    manifest: Manifest,
    trunks: Vec<Trunk>,
    heads: Heads,
    reference: Vec<f32>,
) -> Result<Artifact> {
    let mut artifact = Artifact {
        manifest,
        trunks,
        quality_mean: heads.quality_mean,
        quality_covariance: heads.quality_covariance,
        tokens_mean: heads.tokens_mean,
        tokens_sigma: heads.tokens_sigma,
        prior_quality_mean: heads.prior_quality_mean,
        prior_quality_covariance: heads.prior_quality_covariance,
        prior_tokens_mean: heads.prior_tokens_mean,
        prior_tokens_sigma: vec![heads.prior_tokens_sigma],
        reference,
    };
    let digest = sha256_hex(&artifact.weights().context("the weights do not fit together")?);
    if artifact.manifest.version.is_empty() {
        artifact.manifest.version = format!("router-{}", &digest[..12]);
    }
    artifact.manifest.weights_sha256 = digest;
    Ok(artifact)
}
