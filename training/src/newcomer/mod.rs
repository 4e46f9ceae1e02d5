//! A model that training never saw, from a few labels, in seconds.
//!
//! In: an [`Artifact`], labels of one model, and what its mean quality is believed to be. Out: the
//! artifact with a row more. Invariant: the trunk, the prior and every other model's row stay as they
//! were, bit by bit. Not here: training (see [`crate::fit`]).

mod cli;
mod holdout;
mod map;

use anyhow::{Context, Result, ensure};
use pointsman::domain::{Probability, sha256_hex};
use pointsman::prediction::{Artifact, Belief, HEAD, LATENT, LearnedModel, Predictor};

pub use cli::{AddModelArgs, HoldoutArgs};
pub use holdout::{HOLDOUT_STEPS, Holdout, HoldoutRow, HoldoutSettings, holdout};
pub use map::{Lesson, posterior, posterior_weighted};

/// Weight of the prior's spread of log tokens, in labels; as in training.
const SIGMA_WEIGHT: f64 = 20.0;
/// Variance between models of the intercept of log tokens: twice as much as the mean model, or half.
const TOKENS_VARIANCE: f64 = std::f64::consts::LN_2 * std::f64::consts::LN_2;

/// What is known of a model to be added.
#[derive(Debug, Clone, Default)]
pub struct Newcomer {
    /// Its name; what the catalog's `learned_as` will say.
    pub name: String,
    /// What its mean quality over everyday prompts is believed to be, if anything.
    pub quality_prior: Option<Probability>,
    /// Its labels of quality.
    pub lessons: Vec<Lesson>,
    /// Its labels of output tokens: what the prompt asks for, and the logarithm of the tokens.
    pub token_lessons: Vec<([f32; HEAD], f64)>,
}

/// The belief before any label: the prior over models, moved to the quality believed.
pub fn starting_belief(predictor: &Predictor, quality_prior: Option<Probability>) -> Belief {
    let shift = quality_prior.map_or(0.0, |it| predictor.prior_shift(it));
    predictor.heads(None).0.shifted(shift)
}

/// The artifact with the model in it. Its version says so: `VERSION+NAME`.
///
/// # Errors
/// When the artifact knows the model already, or is not sound.
pub fn add(artifact: &Artifact, newcomer: &Newcomer) -> Result<Artifact> {
    let name = newcomer.name.as_str();
    let known = artifact.manifest.models.iter().find(|it| it.name == name);
    ensure!(
        known.is_none(),
        "the artifact knows `{name}` already, from {} labels",
        known.map_or(0, |it| it.labels)
    );
    let predictor = Predictor::new(artifact.clone());
    let prior = starting_belief(&predictor, newcomer.quality_prior);
    let belief = posterior(&prior, &newcomer.lessons)?;
    let (tokens_mean, tokens_sigma) = tokens(&predictor, &newcomer.token_lessons);
    let mut added = artifact.clone();
    added.quality_mean.extend(belief.mean);
    added.quality_covariance.extend(belief.covariance);
    added.tokens_mean.extend(tokens_mean);
    added.tokens_sigma.push(tokens_sigma);
    let sum: f64 = newcomer.lessons.iter().map(|it| f64::from(it.quality)).sum();
    added.manifest.models.push(LearnedModel {
        name: name.to_owned(),
        labels: newcomer.lessons.len() as u32,
        quality: sum / newcomer.lessons.len().max(1) as f64,
        token_labels: newcomer.token_lessons.len() as u32,
    });
    added.manifest.data.labels += newcomer.lessons.len() as u64;
    added.manifest.version = format!("{}+{name}", artifact.manifest.version);
    let weights = added.weights().context("the weights do not fit together")?;
    added.manifest.weights_sha256 = sha256_hex(&weights);
    Ok(added)
}

/// The prior's weights of log tokens with an intercept of its own, and the spread around them. The
/// artifact keeps no covariance of token weights, so nothing else of them moves.
fn tokens(predictor: &Predictor, lessons: &[([f32; HEAD], f64)]) -> (Vec<f32>, f32) {
    let (_, head) = predictor.heads(None);
    // The prior's spread holds that between models; what is left is that within one.
    let within = (head.sigma * head.sigma - TOKENS_VARIANCE).max(0.01);
    let count = lessons.len() as f64;
    let misses: Vec<f64> = lessons.iter().map(|(latent, seen)| seen - head.mu(latent)).collect();
    let shift = misses.iter().sum::<f64>() / (count + within / TOKENS_VARIANCE);
    let squares: f64 = misses.iter().map(|it| (it - shift).powi(2)).sum();
    let own = (squares + SIGMA_WEIGHT * within) / (count + SIGMA_WEIGHT);
    // How little the intercept itself is known, beside it: with no label this is the prior's spread.
    let doubt = 1.0 / (1.0 / TOKENS_VARIANCE + count / within);
    let mut mean = head.mean.to_vec();
    mean[LATENT] += shift as f32;
    (mean, (own + doubt).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use pointsman::encoder::Encoder;
    use pointsman::prediction::with_one;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn shipped() -> Artifact {
        Artifact::shipped(&Encoder::shipped().unwrap()).unwrap()
    }

    /// Labels drawn as a model of the artifact would earn them, on its own reference prompts.
    fn newcomer(artifact: &Artifact, like: &str, count: usize) -> Newcomer {
        let predictor = Predictor::new(artifact.clone());
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut draw = |latent: [f32; HEAD]| {
            let (quality, tokens) = predictor.heads(Some(like));
            let right = random.random_bool(quality.estimate(&latent, 0.0).mean.get());
            let seen = tokens.mu(&latent) + random.random_range(-0.5..0.5);
            (Lesson { latent, quality: f32::from(right) }, (latent, seen))
        };
        let (rows, _) = artifact.reference.as_chunks::<LATENT>();
        let drawn = rows.iter().cycle().take(count).map(|it| draw(with_one(it)));
        let (lessons, token_lessons) = drawn.unzip();
        Newcomer { name: "new".into(), quality_prior: None, lessons, token_lessons }
    }

    fn mean_quality(artifact: &Artifact, name: &str) -> f64 {
        let predictor = Predictor::new(artifact.clone());
        let (head, _) = predictor.heads(Some(name));
        let (rows, _) = artifact.reference.as_chunks::<LATENT>();
        let sum: f64 = rows.iter().map(|it| head.estimate(&with_one(it), 0.0).mean.get()).sum();
        sum / rows.len() as f64
    }

    #[test]
    fn labels_bring_a_newcomer_to_the_model_it_is_like() {
        let artifact = shipped();
        for like in ["o3-mini", "gemma-2-2b-it"] {
            let wanted = mean_quality(&artifact, like);
            let gap = |count| {
                let added = add(&artifact, &newcomer(&artifact, like, count)).unwrap();
                (mean_quality(&added, "new") - wanted).abs()
            };
            let (none, many) = (gap(0), gap(300));
            assert!(many < 0.06 && many < none, "{like}: {none} before, {many} after");
        }
    }

    #[test]
    fn nothing_else_changes_and_the_version_says_so() {
        let artifact = shipped();
        let added = add(&artifact, &newcomer(&artifact, "o3-mini", 50)).unwrap();
        let models = artifact.manifest.models.len();
        assert_eq!(added.quality_mean[..models * HEAD], artifact.quality_mean);
        assert_eq!((&added.trunks, &added.reference), (&artifact.trunks, &artifact.reference));
        assert_eq!(added.manifest.version, format!("{}+new", artifact.manifest.version));
        let last = added.manifest.models.last().unwrap();
        assert_eq!((last.name.as_str(), last.labels, last.token_labels), ("new", 50, 50));
        let again = add(&added, &newcomer(&artifact, "o3-mini", 5)).unwrap_err();
        assert!(again.to_string().contains("from 50 labels"), "{again}");
    }

    #[test]
    fn the_prior_counts_while_there_are_no_labels() {
        let artifact = shipped();
        for prior in [0.3, 0.7] {
            let quality_prior = Some(Probability::clamped(prior));
            let name = "new".to_owned();
            let added = add(&artifact, &Newcomer { name, quality_prior, ..Newcomer::default() });
            let found = mean_quality(&added.unwrap(), "new");
            assert!((found - prior).abs() < 0.01, "{prior}: {found}");
        }
    }

    #[test]
    fn tokens_follow_the_labels() {
        let artifact = shipped();
        let added = add(&artifact, &newcomer(&artifact, "o3-mini", 200)).unwrap();
        let models = artifact.manifest.models.len();
        assert!(added.tokens_sigma[models] < artifact.prior_tokens_sigma[0]);
        let bare = add(&artifact, &newcomer(&artifact, "o3-mini", 0)).unwrap();
        let gap = bare.tokens_sigma[models] - artifact.prior_tokens_sigma[0];
        assert!(gap.abs() < 0.01, "{gap}");
    }
}
