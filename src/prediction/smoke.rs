//! A first look at an artifact that has just been loaded: does it predict anything at all?
//!
//! In: a [`Predictor`] and some made-up prompts, read by its encoder. Out: nothing, or the
//! [`SmokeError`]. Invariant: whatever passes predicts finite numbers in sensible ranges for every
//! model it knows, and not the same for every prompt. Not here: whether it is any good (see the
//! training crate's gate).

use super::head::HEAD;
use super::predictor::Predictor;
use crate::domain::ChatRequest;
use crate::encoder::{EncodeError, Encoded, Encoder, Exit};
use crate::features::{self, Features};

/// Made up, and as unlike each other as a few prompts can be.
const PROMPTS: [&str; 5] = [
    "Good morning! How was your weekend?",
    "Prove that there are infinitely many primes of the form 4k + 3.",
    "Write a Python function that merges two sorted lists without using sort().",
    "Translate into French: the train to the coast leaves at seven.",
    "Which of these is a noble gas?\nA. oxygen\nB. argon\nC. chlorine\nD. nitrogen",
];
/// Log odds beyond which a quality is certain to 13 digits, which nothing that was learned is.
const LOGIT_MAX: f64 = 30.0;
/// A deviation of log tokens beyond this says nothing: a factor of 22,000 either way.
const SIGMA_MAX: f64 = 10.0;
/// By how much the expected quality of some model must differ between the prompts.
const RANGE_MIN: f64 = 1e-4;

/// The made-up prompts, read.
#[derive(Debug)]
pub struct Probes(Vec<(Features, Encoded)>);

/// An artifact that loads, but predicts nonsense.
#[derive(Debug, thiserror::Error)]
pub enum SmokeError {
    /// A prediction that cannot be.
    #[error("{what} of `{model}` at exit {exit} is {value}, not within ±{most}")]
    OutOfRange {
        /// What was predicted.
        what: &'static str,
        /// For which model, by its name in training.
        model: String,
        /// For a prompt read at this exit.
        exit: u8,
        /// The prediction.
        value: f64,
        /// The largest that is believed.
        most: f64,
    },
    /// The prompt makes no difference.
    #[error("every prompt gets the same prediction at exit {exit}")]
    Constant {
        /// For prompts read at this exit.
        exit: u8,
    },
}

impl Probes {
    /// Reads the made-up prompts at every exit.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn read(encoder: &Encoder) -> Result<Self, EncodeError> {
        let deep = (encoder.number(Exit::Last) > 0).then_some(Exit::Last);
        let mut all = Vec::new();
        for exit in [Exit::First].into_iter().chain(deep) {
            for prompt in PROMPTS {
                let request = ChatRequest::from_prompt(prompt);
                all.push((features::extract(&request), encoder.encode(&request, exit)?));
            }
        }
        Ok(Self(all))
    }
}

/// Predicts for the made-up prompts, with every model that the artifact knows and one that it does
/// not, at each of its exits.
///
/// # Errors
/// The first [`SmokeError`].
pub fn smoke(predictor: &Predictor, probes: &Probes) -> Result<(), SmokeError> {
    within("the deviation of latency", ("all", 0), predictor.manifest().latency_sigma, SIGMA_MAX)?;
    for exit in predictor.exits() {
        let read = probes.0.iter().filter(|(_, encoded)| encoded.exit == *exit);
        let latents: Vec<_> = read.map(|(it, encoded)| predictor.latent(it, encoded)).collect();
        let known = predictor.manifest().models.iter().map(|it| Some(it.name.as_str()));
        let mut widest = 0.0_f64;
        for model in known.chain([None]) {
            widest = widest.max(range(predictor, model, (*exit, &latents))?);
        }
        // NaN would have been out of range.
        if widest < RANGE_MIN {
            return Err(SmokeError::Constant { exit: *exit });
        }
    }
    Ok(())
}

/// By how much a model's expected quality differs between the prompts.
fn range(
    predictor: &Predictor,
    model: Option<&str>,
    (exit, latents): (u8, &[[f32; HEAD]]),
) -> Result<f64, SmokeError> {
    let (quality, tokens) = predictor.heads(model);
    let whose = (model.unwrap_or("a model never seen"), exit);
    within("the deviation of tokens", whose, tokens.sigma, SIGMA_MAX)?;
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for latent in latents {
        within("the quality (log odds)", whose, quality.logit(latent), LOGIT_MAX)?;
        within("the doubt about quality", whose, quality.variance(latent), f64::MAX)?;
        within("the tokens (logarithm)", whose, tokens.mu(latent), f64::MAX)?;
        let mean = quality.estimate(latent, 0.0).mean.get();
        (least, most) = (least.min(mean), most.max(mean));
    }
    Ok(most - least)
}

fn within(
    what: &'static str,
    (model, exit): (&str, u8),
    value: f64,
    most: f64,
) -> Result<(), SmokeError> {
    if value.abs() <= most {
        return Ok(());
    }
    Err(SmokeError::OutOfRange { what, model: model.to_owned(), exit, value, most })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::Artifact;

    #[test]
    fn nonsense_is_refused_with_what_it_is() {
        let encoder = Encoder::shipped().expect("the shipped encoder");
        let shipped = Artifact::shipped(&encoder).expect("the shipped artifact");
        let probes = Probes::read(&encoder).expect("read");
        let check = |change: &dyn Fn(&mut Artifact), wanted: &str| {
            let mut artifact = shipped.clone();
            change(&mut artifact);
            let found = smoke(&Predictor::new(artifact), &probes);
            let found = found.map_or_else(|it| it.to_string(), |()| "fine".to_owned());
            assert!(found.contains(wanted), "`{wanted}` is not in: {found}");
        };
        check(&|_| {}, "fine");
        check(&|it| it.quality_mean[HEAD - 1] = 1e30, "the quality (log odds)");
        check(&|it| it.quality_mean.iter_mut().for_each(|it| *it = f32::MAX), "log odds");
        check(&|it| it.quality_covariance[0] = f32::INFINITY, "the doubt about quality");
        check(&|it| it.tokens_sigma[1] = 1e9, "the deviation of tokens");
        check(&|it| it.prior_tokens_sigma[0] = f32::NAN, "`a model never seen`");
        check(&|it| it.manifest.latency_sigma = -1e9, "the deviation of latency");
        let deaf = |it: &mut Artifact| {
            let heads = it.quality_mean.chunks_mut(HEAD).chain([&mut it.prior_quality_mean[..]]);
            heads.for_each(|it| it[..HEAD - 1].fill(0.0));
            it.quality_covariance.fill(0.0);
            it.prior_quality_covariance.fill(0.0);
        };
        check(&deaf, "every prompt gets the same");
    }
}
