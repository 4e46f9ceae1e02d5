//! From trained weights to beliefs: a Gaussian per model, and the prior over models.
//!
//! In: the trained heads and the latent vectors of the training rows. Out: [`Heads`], in the packed
//! shapes of [`pointsman::prediction`]. The prior is the mean and covariance of the models' weights;
//! a model's covariance is Laplace's: the inverse of the prior's precision plus the curvature of its
//! own labels. A model with few labels so keeps the spread of the prior.

use anyhow::{Context, Result};
use nalgebra::{DMatrix, DVector};
use pointsman::prediction::{HEAD, LATENT, QualityHead, packed_len, with_one};

use super::network::Network;
use super::targets::TargetRow;

/// Variance that every direction of the prior has at least: 32 directions from some hundred models.
const PRIOR_VARIANCE_MIN: f64 = 0.05;
/// How many labels a model needs to have a say in the prior.
const PRIOR_LABELS_MIN: usize = 300;
/// Weight of the pooled deviation of log tokens, in rows.
const SIGMA_WEIGHT: f64 = 20.0;
/// Scales of the quality weights that are tried.
const TEMPERATURES: [f32; 9] = [0.85, 0.9, 0.95, 1.0, 1.03, 1.06, 1.1, 1.15, 1.2];
/// Where the normal distribution reaches 0.95.
pub(super) const NORMAL_95: f64 = 1.644_853_6;
/// A model whose few validation answers are all of one length is not that sure.
const SIGMA_MIN: f64 = 0.05;

/// Means and covariances, packed as the artifact holds them.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    pub quality_mean: Vec<f32>,
    pub quality_covariance: Vec<f32>,
    pub tokens_mean: Vec<f32>,
    pub tokens_sigma: Vec<f32>,
    pub prior_quality_mean: Vec<f32>,
    pub prior_quality_covariance: Vec<f32>,
    pub prior_tokens_mean: Vec<f32>,
    pub prior_tokens_sigma: f32,
}

/// What the beliefs are made from.
pub(crate) struct Evidence<'a> {
    /// `[P, 32]`, the latent vectors of all prompts, for each exit, the deepest last.
    pub latents: &'a [Vec<[f32; LATENT]>],
    pub train: &'a [TargetRow],
    pub validation: &'a [TargetRow],
    /// Per model: mean and standard deviation of log tokens.
    pub token_scale: &'a [(f32, f32)],
}

/// Makes the beliefs.
///
/// # Errors
/// When a matrix that must have an inverse has none, which would be a defect.
pub(crate) fn believe(network: &Network, evidence: &Evidence<'_>) -> Result<Heads> {
    let quality = columns(&network.quality_weight.to_vec2()?, &network.quality_bias.to_vec1()?);
    let tokens = token_weights(network, evidence.token_scale)?;
    let (labels, token_labels) = label_counts(evidence);
    let (prior_mean, prior_covariance) = moments(&quality, &labels);
    let (prior_tokens, _) = moments(&tokens, &token_labels);
    let curvature = curvatures(&quality, evidence);
    let precision = inverse(&prior_covariance).context("the prior's covariance")?;
    let (sigmas, pooled_sigma) = sigmas(&tokens, evidence);
    let mut heads = Heads {
        prior_quality_mean: floats(prior_mean.as_slice()),
        prior_quality_covariance: packed(&prior_covariance),
        prior_tokens_mean: floats(prior_tokens.as_slice()),
        // A model never seen may write twice as much as the mean model, or half.
        prior_tokens_sigma: pooled_sigma.hypot(std::f64::consts::LN_2) as f32,
        ..Heads::default()
    };
    for model in 0..quality.len() {
        let covariance =
            inverse(&(&precision + &curvature[model])).context("a model's covariance")?;
        heads.quality_mean.extend(floats(&quality[model]));
        heads.quality_covariance.extend(packed(&covariance));
        let known = token_labels[model] >= 30;
        let weights = if known { floats(&tokens[model]) } else { heads.prior_tokens_mean.clone() };
        heads.tokens_mean.extend(weights);
        let sigma = if known { sigmas[model] as f32 } else { heads.prior_tokens_sigma };
        heads.tokens_sigma.push(sigma);
    }
    calibrate(&mut heads, evidence);
    Ok(heads)
}

/// Scales the quality weights, models' and prior's, so that the beliefs, doubt included, fit the
/// validation rows best: one temperature for all, since more would fit chance.
fn calibrate(heads: &mut Heads, evidence: &Evidence<'_>) {
    let loss = |scale: f32| -> f64 {
        let scaled: Vec<f32> = heads.quality_mean.iter().map(|it| it * scale).collect();
        let models = scaled.chunks_exact(HEAD);
        let models: Vec<QualityHead<'_>> = models
            .zip(heads.quality_covariance.chunks_exact(packed_len()))
            .map(|(mean, covariance)| QualityHead { mean, covariance })
            .collect();
        let both = evidence.latents.iter().flat_map(|it| {
            evidence.validation.iter().map(move |row| (row, with_one(&it[row.prompt])))
        });
        both.flat_map(|(row, latent)| row.labels.iter().map(move |label| (label, latent)))
            .map(|((model, quality, _), latent)| {
                let p = models[*model].estimate(&latent, 0.0).mean.get().clamp(1e-6, 1.0 - 1e-6);
                let q = f64::from(*quality);
                -(q * p.ln() + (1.0 - q) * (1.0 - p).ln())
            })
            .sum()
    };
    let losses: Vec<(f32, f64)> = TEMPERATURES.iter().map(|it| (*it, loss(*it))).collect();
    let best = losses.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(1.0, |it| it.0);
    heads.quality_mean.iter_mut().for_each(|it| *it *= best);
    heads.prior_quality_mean.iter_mut().for_each(|it| *it *= best);
}

/// `[32, M]` and `[M]` as one vector of 33 per model.
fn columns(weight: &[Vec<f32>], bias: &[f32]) -> Vec<Vec<f64>> {
    let of = |model: usize| {
        let own = weight.iter().map(|row| f64::from(row[model]));
        own.chain([f64::from(bias[model])]).collect()
    };
    (0..bias.len()).map(of).collect()
}

fn token_weights(network: &Network, scale: &[(f32, f32)]) -> Result<Vec<Vec<f64>>> {
    let mut all = columns(&network.tokens_weight.to_vec2()?, &network.tokens_bias.to_vec1()?);
    for (weights, (mean, deviation)) in all.iter_mut().zip(scale) {
        weights.iter_mut().for_each(|it| *it *= f64::from(*deviation));
        weights[LATENT] += f64::from(*mean);
    }
    Ok(all)
}

fn label_counts(evidence: &Evidence<'_>) -> (Vec<usize>, Vec<usize>) {
    let models = evidence.token_scale.len();
    let (mut labels, mut token_labels) = (vec![0; models], vec![0; models]);
    for (model, _, tokens) in evidence.train.iter().flat_map(|it| &it.labels) {
        labels[*model] += 1;
        token_labels[*model] += usize::from(tokens.is_some());
    }
    (labels, token_labels)
}

/// Mean and covariance over the models that have labels enough.
fn moments(weights: &[Vec<f64>], labels: &[usize]) -> (DVector<f64>, DMatrix<f64>) {
    let enough = |least: usize| -> Vec<DVector<f64>> {
        let kept = weights.iter().zip(labels).filter(|(_, count)| **count >= least);
        kept.map(|(it, _)| DVector::from_column_slice(it)).collect()
    };
    let mut used = enough(PRIOR_LABELS_MIN);
    if used.len() < 2 {
        used = enough(1);
    }
    let count = used.len().max(1) as f64;
    let mean = used.iter().fold(DVector::zeros(HEAD), |sum, it| sum + it) / count;
    let mut covariance = DMatrix::identity(HEAD, HEAD) * PRIOR_VARIANCE_MIN;
    for own in &used {
        let off = own - &mean;
        covariance += &off * off.transpose() / count;
    }
    (mean, covariance)
}

/// Per model, the sum over its labels of `p (1 - p) z z'`, at the deepest exit, at which prompts are
/// read as a rule.
fn curvatures(quality: &[Vec<f64>], evidence: &Evidence<'_>) -> Vec<DMatrix<f64>> {
    let mut all = vec![DMatrix::zeros(HEAD, HEAD); quality.len()];
    let Some(latents) = evidence.latents.last() else { return all };
    for row in evidence.train {
        let latent = extended(&latents[row.prompt]);
        let square = &latent * latent.transpose();
        for (model, _, _) in &row.labels {
            let logit: f64 = quality[*model].iter().zip(latent.iter()).map(|(a, z)| a * z).sum();
            let p = 1.0 / (1.0 + (-logit).exp());
            all[*model] += &square * (p * (1.0 - p));
        }
    }
    all
}

/// Spread of log tokens around the prediction, per model and pooled: conformal, so that the central
/// 90 % interval of the log-normal holds 90 % of the validation rows. (On training rows it would come
/// out too small; the standard deviation too large, for the tails are heavier than normal.)
fn sigmas(tokens: &[Vec<f64>], evidence: &Evidence<'_>) -> (Vec<f64>, f64) {
    let mut misses = vec![Vec::new(); tokens.len()];
    for (row, latents) in
        evidence.validation.iter().flat_map(|row| evidence.latents.iter().map(move |it| (row, it)))
    {
        let latent = extended(&latents[row.prompt]);
        for (model, _, seen) in &row.labels {
            let Some(seen) = seen else { continue };
            let wanted: f64 = tokens[*model].iter().zip(latent.iter()).map(|(a, z)| a * z).sum();
            misses[*model].push((f64::from(*seen) - wanted).abs());
        }
    }
    let pooled = sigma_of(misses.concat()).unwrap_or(1.0);
    let own = |it: Vec<f64>| {
        let rows = it.len() as f64 / evidence.latents.len().max(1) as f64;
        let own = sigma_of(it).unwrap_or(pooled);
        (rows * own + SIGMA_WEIGHT * pooled) / (rows + SIGMA_WEIGHT)
    };
    (misses.into_iter().map(own).collect(), pooled)
}

/// The deviation of the normal distribution whose central 90 % holds 90 % of these absolute misses;
/// split conformal prediction's rank (Vovk et al. 2005), which counts one miss more than there are.
fn sigma_of(mut misses: Vec<f64>) -> Option<f64> {
    misses.sort_unstable_by(f64::total_cmp);
    let rank = (0.9 * (misses.len() + 1) as f64).ceil() as usize;
    let at = misses.get(rank.saturating_sub(1)).or(misses.last())?;
    Some((at / NORMAL_95).max(SIGMA_MIN))
}

fn extended(latent: &[f32; LATENT]) -> DVector<f64> {
    DVector::from_iterator(HEAD, latent.iter().map(|it| f64::from(*it)).chain([1.0]))
}

pub(crate) fn inverse(matrix: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    matrix.clone().cholesky().map(|it| it.inverse())
}

pub(crate) fn packed(matrix: &DMatrix<f64>) -> Vec<f32> {
    let cells = (0..HEAD).flat_map(|row| (0..=row).map(move |column| (row, column)));
    cells.map(|cell| matrix[cell] as f32).collect()
}

fn floats(values: &[f64]) -> Vec<f32> {
    values.iter().map(|it| *it as f32).collect()
}
