//! How far latency strays when the tokens are known.
//!
//! In: labels with a latency, beliefs about output tokens. Out: a line of latency over tokens per model,
//! and the one spread that, with that of the tokens, makes 90 % intervals hold 90 %. The spread is
//! split conformal prediction's (Vovk, Gammerman, Shafer 2005) on the validation rows: where latency
//! strays is not how a normal distribution does, so its deviation would miss. Not here: how the
//! forecast is then judged (see [`crate::evaluate`]).

use pointsman::prediction::{HEAD, LATENT, TokensHead, with_one};

use super::heads::{Heads, NORMAL_95};
use crate::dataset::{Dataset, Label};

/// Fewer rows say nothing of a model's speed.
const ROWS_MIN: u32 = 100;
/// What is assumed where no table tells latencies.
const SIGMA_DEFAULT: f64 = 0.5;
/// The widest that is believed: where a tenth of all answers comes before the line even begins, no
/// spread would hold them.
const SIGMA_MAX: f64 = 1.5;

/// A model's time to start, seconds, and seconds per token.
pub(crate) type Speed = (f64, f64);

/// `latency = start + per token * tokens` per model, by least squares of relative errors.
pub(crate) fn speeds<'a>(
    models: usize,
    labels: impl Iterator<Item = &'a Label>,
) -> Vec<Option<Speed>> {
    let mut sums = vec![([0.0; 5], 0); models];
    for label in labels {
        let (Some(tokens), Some(latency)) = (label.output_tokens.map(f64::from), latency(label))
        else {
            continue;
        };
        // The errors that are squared are relative ones.
        let weight = 1.0 / (latency * latency);
        let terms = [1.0, tokens, tokens * tokens, latency, tokens * latency];
        let (own, count) = &mut sums[usize::from(label.model)];
        own.iter_mut().zip(terms).for_each(|(sum, it)| *sum += weight * it);
        *count += 1;
    }
    let solve = |([n, t, tt, l, tl], count): ([f64; 5], u32)| {
        let slope = ((n * tl - t * l) / (n * tt - t * t).max(1e-12)).max(0.0);
        (count >= ROWS_MIN).then(|| (((l - slope * t) / n).max(1e-3), slope))
    };
    sums.into_iter().map(solve).collect()
}

/// A label's latency, seconds, where it has one.
pub(crate) fn latency(label: &Label) -> Option<f64> {
    label.latency_s.map(f64::from).filter(|it| *it > 0.0)
}

/// What latencies are foretold from.
pub(crate) struct Foretold<'a> {
    pub dataset: &'a Dataset,
    pub heads: &'a Heads,
    /// `[P, 32]`, for each exit.
    pub latents: &'a [Vec<[f32; LATENT]>],
}

impl Foretold<'_> {
    /// The spread, from lines over the labels of the prompts to train on and misses on those to
    /// validate on.
    pub(crate) fn latency_sigma(
        &self,
        train: impl Fn(usize) -> bool,
        validation: impl Fn(usize) -> bool,
    ) -> f64 {
        let labels = || self.dataset.labels.iter();
        let speeds =
            speeds(self.dataset.models.len(), labels().filter(|it| train(it.prompt as usize)));
        let kept = labels().filter(|it| validation(it.prompt as usize));
        let needed =
            kept.flat_map(|it| self.latents.iter().filter_map(|at| self.needed(it, &speeds, at)));
        conformal(needed.collect())
    }

    /// The least spread with which the central 90 % hold this label.
    fn needed(
        &self,
        label: &Label,
        speeds: &[Option<Speed>],
        latents: &[[f32; LATENT]],
    ) -> Option<f64> {
        let model = usize::from(label.model);
        let (start, per_token) = (*speeds.get(model)?)?;
        let mean = self.heads.tokens_mean.get(model * HEAD..(model + 1) * HEAD)?;
        let sigma = f64::from(*self.heads.tokens_sigma.get(model)?);
        let latent = with_one(latents.get(label.prompt as usize)?);
        let mu = TokensHead { mean, sigma }.mu(&latent);
        Some(spread_for(latency(label)?, (start, per_token), (mu, sigma)))
    }
}

/// The spread of the speed with which an interval around `start + per_token * exp(mu)` just reaches a
/// latency, the tokens' own being `sigma`; infinite for what is before the start.
fn spread_for(latency: f64, (start, per_token): Speed, (mu, sigma): (f64, f64)) -> f64 {
    if latency <= start || per_token <= 0.0 {
        return f64::INFINITY;
    }
    let away = (((latency - start) / per_token).ln() - mu).abs() / NORMAL_95;
    (away * away - sigma * sigma).max(0.0).sqrt()
}

/// The spread that is enough for nine in ten, counting one more than there are.
fn conformal(mut needed: Vec<f64>) -> f64 {
    if needed.is_empty() {
        return SIGMA_DEFAULT;
    }
    needed.sort_unstable_by(f64::total_cmp);
    let rank = (0.9 * (needed.len() + 1) as f64).ceil() as usize;
    let enough = needed.get(rank.saturating_sub(1)).or(needed.last());
    enough.map_or(SIGMA_DEFAULT, |it| it.min(SIGMA_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_of_latency_is_found() {
        let data = crate::choose::testing::dataset(150);
        let (start, per_token) = speeds(2, data.labels.iter())[1].unwrap();
        assert!((start - 0.5).abs() < 1e-4 && (per_token - 0.01).abs() < 1e-4, "{start}");
        assert_eq!(speeds(3, data.labels[..20].iter()), [None, None, None]);
    }

    #[test]
    fn the_spread_is_just_enough_for_nine_in_ten() {
        let (speed, tokens) = ((0.5, 0.01), (5.0, 0.3));
        let at = |sigmas: f64, spread: f64| {
            let sigma = f64::hypot(0.3, spread);
            0.5 + 0.01 * (5.0 + sigmas * NORMAL_95 * sigma).exp()
        };
        for spread in [0.0, 0.2, 1.0] {
            for side in [1.0, -1.0] {
                let found = spread_for(at(side, spread), speed, tokens);
                assert!((found - spread).abs() < 1e-6, "{found}, not {spread}");
            }
        }
        assert_eq!(spread_for(at(0.5, 0.0), speed, tokens), 0.0);
        assert_eq!(spread_for(0.4, speed, tokens), f64::INFINITY);
        assert_eq!(conformal((1..=99).map(|it| f64::from(it) / 100.0).collect()), 0.9);
        assert_eq!(conformal(vec![f64::INFINITY; 9]), SIGMA_MAX);
        assert_eq!(conformal(Vec::new()), SIGMA_DEFAULT);
    }
}
