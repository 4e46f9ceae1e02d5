//! From a prompt to one prediction per deployment.
//!
//! In: features, an encoded prompt, deployments, live speeds and the time. Out: predictions in the order of the
//! deployments. Invariant: pure and bounded: one pass through the trunk per request, some hundred
//! multiplications per deployment. A model that the artifact knows (by `learned_as`, else by its own
//! name) is predicted by its own head; any other starts at the prior over models, moved to its `quality_prior`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::artifact::Artifact;
use super::belief::Belief;
use super::forecast::{CachedInput, Forecast, LogNormal, Prediction};
use super::head::{HEAD, QualityHead, TokensHead, packed_len, with_one};
use super::known::Known;
use super::live::{LiveStats, Pace};
use super::manifest::{ArtifactError, Manifest};
use super::trunk::{LATENT, Trunk};
use crate::catalog::{Deployment, Model, Speed};
use crate::domain::Probability;
use crate::encoder::{Encoded, Encoder};
use crate::features::Features;

/// A prompt as the predictor sees it.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// What was counted.
    pub features: &'a Features,
    /// What was read.
    pub encoded: &'a Encoded,
    /// The most output tokens, if the caller said.
    pub max_output_tokens: Option<u64>,
}

/// A prompt after the trunk, as the heads see it.
#[derive(Debug, Clone, Copy)]
pub struct Digest {
    /// The abilities it asks for, with a 1 for the intercept.
    pub latent: [f32; HEAD],
    /// Its size in tokens.
    pub input_tokens: f64,
    /// The most output tokens; `u64::MAX` where the caller did not say.
    pub max_output_tokens: u64,
}

/// A loaded artifact, ready to predict.
#[derive(Debug)]
pub struct Predictor {
    pub(super) artifact: Artifact,
    rows: HashMap<String, usize>,
    prior_shift: PriorShift,
}

impl Predictor {
    /// The artifact in this binary.
    ///
    /// # Errors
    /// [`ArtifactError`]; never for the files that were shipped, which a test reads.
    pub fn shipped(encoder: &Encoder) -> Result<Self, ArtifactError> {
        Artifact::shipped(encoder).map(Self::new)
    }

    /// The artifact in a folder.
    ///
    /// # Errors
    /// [`ArtifactError`], which names the file and what is wrong with it.
    pub fn open(folder: &Path, encoder: &Encoder) -> Result<Self, ArtifactError> {
        Artifact::open(folder, encoder).map(Self::new)
    }

    /// A predictor on an artifact.
    pub fn new(artifact: Artifact) -> Self {
        let names = artifact.manifest.models.iter().enumerate();
        let rows = names.map(|(row, it)| (it.name.clone(), row)).collect();
        let prior_shift = PriorShift::new(&artifact);
        Self { artifact, rows, prior_shift }
    }

    /// The artifact's own name.
    pub fn version(&self) -> &str {
        &self.artifact.manifest.version
    }

    /// The encoder's exits that the artifact was trained for; 0 is always among them.
    pub fn exits(&self) -> &[u8] {
        &self.artifact.manifest.exits
    }

    /// How many floats it predicts from: the encoder's and the features.
    pub fn inputs(&self) -> usize {
        self.artifact.trunks.first().map_or(0, |it| it.input_mean.len())
    }

    /// What the artifact says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.artifact.manifest
    }

    /// As [`Self::predict_with`], where nothing is known but speeds; `now` is on the clock of `live`.
    pub fn predict(
        &self,
        prompt: &Prompt<'_>,
        fleet: &[Arc<Deployment>],
        live: &LiveStats,
        now: Duration,
    ) -> Vec<Prediction> {
        self.predict_with(prompt, fleet, Known::of(live, now))
    }

    /// What each deployment would do, in the order given.
    pub fn predict_with(
        &self,
        prompt: &Prompt<'_>,
        fleet: &[Arc<Deployment>],
        known: Known<'_>,
    ) -> Vec<Prediction> {
        let digest = Digest {
            latent: self.latent(prompt.features, prompt.encoded),
            input_tokens: prompt.encoded.tokens as f64,
            max_output_tokens: prompt.max_output_tokens.unwrap_or(u64::MAX),
        };
        let sigma = self.artifact.manifest.latency_sigma;
        let each = fleet.iter().map(|it| {
            let pace = known.live.pace(&it.id, sigma, known.now);
            known.refine(it, &digest, self.predict_one(it, &digest, &pace))
        });
        each.collect()
    }

    /// The abilities a prompt asks for, with a 1 for the intercept, `[33]`.
    pub fn latent(&self, features: &Features, encoded: &Encoded) -> [f32; HEAD] {
        let Some(trunk) = self.trunk(encoded.exit) else { return with_one(&[0.0; LATENT]) };
        let inputs = trunk.standardise(encoded.embedding.as_slice(), features.as_slice());
        with_one(&trunk.latent(&inputs))
    }

    /// As [`Self::latent`], from the two as one row of floats and the number of the encoder's exit.
    pub fn latent_of(&self, exit: u8, row: &[f32]) -> [f32; HEAD] {
        let Some(trunk) = self.trunk(exit) else { return with_one(&[0.0; LATENT]) };
        with_one(&trunk.latent(&trunk.standardise(row, &[])))
    }

    /// The trunk for an exit. A prompt is read only at the artifact's own exits; for any other, the
    /// deepest trunk that is not deeper.
    fn trunk(&self, exit: u8) -> Option<&Trunk> {
        let deep = self.exits().partition_point(|it| *it <= exit);
        self.artifact.trunks.get(deep.saturating_sub(1))
    }

    /// The heads of a model by its name in training; the prior's for any other.
    pub fn heads(&self, learned_as: Option<&str>) -> (QualityHead<'_>, TokensHead<'_>) {
        let it = &self.artifact;
        let Some(row) = learned_as.and_then(|name| self.rows.get(name).copied()) else {
            let quality = QualityHead {
                mean: &it.prior_quality_mean,
                covariance: &it.prior_quality_covariance,
            };
            let sigma = f64::from(it.prior_tokens_sigma.first().copied().unwrap_or(1.0));
            return (quality, TokensHead { mean: &it.prior_tokens_mean, sigma });
        };
        let quality = QualityHead {
            mean: &it.quality_mean[row * HEAD..(row + 1) * HEAD],
            covariance: &it.quality_covariance[row * packed_len()..(row + 1) * packed_len()],
        };
        let mean = &it.tokens_mean[row * HEAD..(row + 1) * HEAD];
        (quality, TokensHead { mean, sigma: f64::from(it.tokens_sigma[row]) })
    }

    /// What is believed of a model's quality before any score.
    pub fn start(&self, model: &Model) -> Belief {
        self.heads(model.learned_as.as_deref()).0.shifted(self.shift(model))
    }

    /// What one deployment of this pace would do.
    pub fn predict_one(&self, deployment: &Deployment, digest: &Digest, pace: &Pace) -> Prediction {
        let model = &deployment.model;
        let (quality, tokens) = self.heads(Some(model.name_in_training()));
        let quality = quality.estimate(&digest.latent, self.shift(model));
        let cap = digest.max_output_tokens.min(model.max_output_tokens) as f64;
        let output_tokens = LogNormal { mu: tokens.mu(&digest.latent), sigma: tokens.sigma, cap };
        let input_tokens = digest.input_tokens;
        let speed = deployment.speed;
        let ttft_ms = speed.ttft_ms * pace.first;
        Prediction {
            deployment: deployment.id.clone(),
            quality,
            input_tokens,
            output_tokens,
            cost_usd: Forecast {
                fixed: input_tokens * deployment.price.input.usd_per_token(),
                per_token: deployment.price.output.usd_per_token(),
                tokens: output_tokens,
            },
            cached: CachedInput::NONE,
            ttft_ms,
            ttft_sigma: pace.ttft_sigma,
            latency_s: Forecast {
                fixed: ttft_ms / 1_000.0,
                per_token: pace.token / speed.tokens_per_s,
                // How long it takes is less certain than how much it writes.
                tokens: LogNormal {
                    sigma: output_tokens.sigma.hypot(pace.speed_sigma) * pace.width,
                    ..output_tokens
                },
            },
        }
    }

    /// The pace that a logged prediction was made with, for a deployment then believed to be of this
    /// `speed`. What of its spread was live and what the artifact's is not logged: all beyond this
    /// artifact's own is taken for live.
    pub fn logged_pace(&self, of: &Prediction, speed: Speed) -> Pace {
        let prior = Pace::prior(self.artifact.manifest.latency_sigma);
        let own = of.output_tokens.sigma.hypot(prior.speed_sigma);
        let width = of.latency_s.tokens.sigma / own;
        Pace {
            first: of.ttft_ms / speed.ttft_ms,
            token: of.latency_s.per_token * speed.tokens_per_s,
            ttft_sigma: of.ttft_sigma,
            width: if width.is_finite() { width } else { prior.width },
            ..prior
        }
    }

    /// How far the prior's intercept moves, in log odds, so that a model's mean quality over everyday
    /// prompts is `quality`.
    pub fn prior_shift(&self, quality: Probability) -> f64 {
        self.prior_shift.to(quality.get())
    }

    /// How far the prior's intercept moves so that a model's mean quality is what its entry says.
    pub(super) fn shift(&self, model: &Model) -> f64 {
        let learned = self.rows.contains_key(model.name_in_training());
        match &model.quality_prior {
            Some(prior) if !learned => self.prior_shift(prior.value),
            Some(_) | None => 0.0,
        }
    }
}

/// Mean quality of the prior over the reference prompts, for each shift of its intercept.
#[derive(Debug)]
struct PriorShift(Vec<(f64, f64)>);

impl PriorShift {
    fn new(artifact: &Artifact) -> Self {
        let head = QualityHead {
            mean: &artifact.prior_quality_mean,
            covariance: &artifact.prior_quality_covariance,
        };
        let (rows, _) = artifact.reference.as_chunks::<LATENT>();
        let latents: Vec<_> = rows.iter().map(with_one).collect();
        let mean_at = |shift: f64| {
            let sum: f64 = latents.iter().map(|it| head.estimate(it, shift).mean.get()).sum();
            sum / latents.len().max(1) as f64
        };
        // 12 either way covers 0.001 to 0.999 whatever the prior's own mean is.
        Self((-48..=48).map(|it| f64::from(it) / 4.0).map(|it| (it, mean_at(it))).collect())
    }

    /// The shift at which the mean quality is `wanted`, between grid points linearly.
    fn to(&self, wanted: f64) -> f64 {
        let above = self.0.partition_point(|(_, mean)| *mean < wanted);
        let last = self.0.len().saturating_sub(1);
        let (low, high) = (self.0[above.saturating_sub(1).min(last)], self.0[above.min(last)]);
        if high.1 <= low.1 {
            return low.0;
        }
        low.0 + (high.0 - low.0) * ((wanted - low.1) / (high.1 - low.1)).clamp(0.0, 1.0)
    }
}
