//! How many labels a model needs that training never saw.
//!
//! In: a labelled table, how many models to leave out. Out: [`Holdout`]: for each of them the AUC on
//! held-out questions after 0, 10, 30, 100 and 300 labels, beside that of an artifact trained with all
//! its labels. Invariant: the labels drawn are of questions to learn from, the AUC is of questions
//! held out, and the artifact that adds the model saw no label of any model left out.

use std::fmt;

use anyhow::{Result, ensure};
use pointsman::encoder::Encoder;
use pointsman::prediction::{HEAD, Predictor, QualityHead};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Lesson, posterior, starting_belief};
use crate::dataset::{Dataset, Label};
use crate::fit::{FitSettings, Inputs, encode_prompts, fit};
use crate::metrics::{mean_over_sources, per_source};
use crate::split::{Cut, Split};

/// The numbers of labels.
pub const HOLDOUT_STEPS: [usize; 5] = [0, 10, 30, 100, 300];
/// A model is left out only where this many labels are there to draw from, twice the most drawn, and
/// a quarter as many to judge on.
const LABELS_MIN: usize = 600;
const JUDGED_MIN: usize = 150;

/// How it is measured.
#[derive(Debug, Clone)]
pub struct HoldoutSettings {
    /// Models left out.
    pub models: usize,
    /// Draws of each number of labels.
    pub draws: usize,
    /// Which questions are held out.
    pub cut: Cut,
    /// How both artifacts are trained.
    pub fit: FitSettings,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// One row per model left out.
    pub rows: Vec<HoldoutRow>,
}

/// A model left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldoutRow {
    /// Its name.
    pub model: String,
    /// AUC after each of [`HOLDOUT_STEPS`], mean over the draws.
    pub auc: Vec<f64>,
    /// AUC of the artifact that was trained with its labels.
    pub full: f64,
}

impl Default for HoldoutSettings {
    fn default() -> Self {
        Self { models: 8, draws: 3, cut: Cut::default(), fit: FitSettings::default() }
    }
}

/// Measures.
///
/// # Errors
/// When fewer models than asked for have labels enough, or training fails.
pub fn holdout(data: &Dataset, encoder: &Encoder, settings: &HoldoutSettings) -> Result<Holdout> {
    let inputs = encode_prompts(data, encoder)?;
    let split = Split::new(&data.prompts, &settings.cut);
    let mut random = ChaCha8Rng::seed_from_u64(settings.fit.seed);
    let parts = split.labels(data);
    let mut able = able(data, &parts);
    let (found, asked) = (able.len(), settings.models);
    ensure!(found >= asked, "{found} models have labels enough to be left out, not {asked}");
    able.shuffle(&mut random);
    able.truncate(asked);
    let without = Dataset {
        labels: data.labels.iter().filter(|it| !able.contains(&it.model)).copied().collect(),
        ..data.clone()
    };
    let full = Predictor::new(fit(data, &inputs, &split, encoder, &settings.fit)?);
    let without = Predictor::new(fit(&without, &inputs, &split, encoder, &settings.fit)?);
    let mut rows = Vec::new();
    for model in able {
        let name = &data.models[usize::from(model)];
        let own = |it: &[Label]| it.iter().filter(|it| it.model == model).copied().collect();
        let judged = Judged { labels: own(&parts.1), inputs: &inputs };
        let train: Vec<Label> = own(&parts.0);
        let mut auc = Vec::new();
        for step in HOLDOUT_STEPS {
            let draws = if step == 0 { 1 } else { settings.draws };
            let mut sum = 0.0;
            for _ in 0..draws {
                let mut drawn = train.clone();
                drawn.shuffle(&mut random);
                sum += after(&without, &drawn[..step], &judged)? / draws as f64;
            }
            auc.push(sum);
        }
        let full = judged.auc(&full, full.heads(Some(name)).0)?;
        rows.push(HoldoutRow { model: name.clone(), auc, full });
    }
    Ok(Holdout { rows })
}

/// Models with labels enough on both sides, by id.
fn able(data: &Dataset, (train, held_out): &(Vec<Label>, Vec<Label>)) -> Vec<u16> {
    let counts = |labels: &[Label]| {
        let mut counts = vec![0_usize; data.models.len()];
        labels.iter().for_each(|it| counts[usize::from(it.model)] += 1);
        counts
    };
    let (train, judged) = (counts(train), counts(held_out));
    let enough =
        |it: &u16| train[usize::from(*it)] >= LABELS_MIN && judged[usize::from(*it)] >= JUDGED_MIN;
    (0..data.models.len() as u16).filter(enough).collect()
}

/// AUC after some labels.
fn after(predictor: &Predictor, drawn: &[Label], judged: &Judged<'_>) -> Result<f64> {
    let lesson = |it: &Label| Lesson { latent: judged.latent(predictor, it), quality: it.quality };
    let lessons: Vec<Lesson> = drawn.iter().map(lesson).collect();
    let belief = posterior(&starting_belief(predictor, None), &lessons)?;
    judged.auc(predictor, belief.head())
}

struct Judged<'a> {
    labels: Vec<Label>,
    inputs: &'a Inputs,
}

impl Judged<'_> {
    fn latent(&self, predictor: &Predictor, label: &Label) -> [f32; HEAD] {
        self.inputs.latent(predictor, label.prompt as usize)
    }

    /// Mean over sources.
    fn auc(&self, predictor: &Predictor, head: QualityHead<'_>) -> Result<f64> {
        let quality =
            |it: &Label| head.estimate(&self.latent(predictor, it), 0.0).mean.get() as f32;
        let predicted: Vec<f32> = self.labels.iter().map(quality).collect();
        let auc = mean_over_sources(&per_source(&self.labels, &predicted)?).auc;
        // Only where no source has answers of both kinds: then nothing can be told apart.
        Ok(auc.unwrap_or(0.5))
    }
}

impl Holdout {
    /// Means over the models: after each of [`HOLDOUT_STEPS`], and fully trained.
    pub fn means(&self) -> (Vec<f64>, f64) {
        let count = self.rows.len().max(1) as f64;
        let step =
            |at: usize| self.rows.iter().filter_map(|it| it.auc.get(at)).sum::<f64>() / count;
        let full = self.rows.iter().map(|it| it.full).sum::<f64>() / count;
        ((0..HOLDOUT_STEPS.len()).map(step).collect(), full)
    }
}

impl fmt::Display for Holdout {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:40}", "AUC after so many labels")?;
        for step in HOLDOUT_STEPS {
            write!(out, " {step:>6}")?;
        }
        writeln!(out, " {:>6}", "all")?;
        let mut row = |name: &str, auc: &[f64], full: f64| {
            write!(out, "{name:40}")?;
            auc.iter().try_for_each(|it| write!(out, " {it:>6.3}"))?;
            writeln!(out, " {full:>6.3}")
        };
        self.rows.iter().try_for_each(|it| row(&it.model, &it.auc, it.full))?;
        let (auc, full) = self.means();
        row("mean", &auc, full)
    }
}

#[cfg(test)]
mod tests {
    use pointsman::domain::Text;

    use super::*;
    use crate::controls::testing;

    /// Sums and verses; two models can do sums, one can do verses, nine times in ten.
    fn table() -> Dataset {
        let any = testing::dataset(1);
        let prompt = |it: u32| match it % 2 {
            0 => format!("Compute {it} + {} and then 7 * {it}.", it * 3 + 1),
            _ => format!("Write verse {it} of a ballad about rivers and bells."),
        };
        let label = |prompt: u32, model: u16| {
            let able = u32::from(model == 2) == prompt % 2;
            let quality = f32::from(able != (prompt / 2 % 10 == 3));
            Label { prompt, model, source: 0, task: 0, quality, ..any.labels[0] }
        };
        let pairs = (0..1_200).flat_map(|prompt| (0..3).map(move |model| (prompt, model)));
        Dataset {
            prompts: (0..1_200).map(|it| Text::from(prompt(it))).collect(),
            models: ["sums", "more sums", "verses"].map(str::to_owned).to_vec(),
            labels: pairs.map(|(prompt, model)| label(prompt, model)).collect(),
            ..any
        }
    }

    #[test]
    fn a_model_left_out_comes_back_with_labels() {
        let (data, encoder) = (table(), Encoder::shipped().unwrap());
        let settings = HoldoutSettings {
            models: 1,
            draws: 1,
            cut: Cut { held_out: 0.3, ..Cut::default() },
            fit: FitSettings { hidden: 32, epochs: 8, ..FitSettings::default() },
        };
        let found = holdout(&data, &encoder, &settings).unwrap();
        let (auc, full) = found.means();
        assert_eq!(auc.len(), HOLDOUT_STEPS.len());
        assert!(full > 0.8 && auc[4] > full - 0.05, "{found}");
        assert!(found.to_string().contains("mean"));
        let too_many = HoldoutSettings { models: 4, ..settings };
        let refused = holdout(&data, &encoder, &too_many).unwrap_err().to_string();
        assert!(refused.contains("3 models"), "{refused}");
    }
}
