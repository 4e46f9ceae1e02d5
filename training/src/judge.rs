//! An artifact beside every control, on the same held-out rows.
//!
//! In: a table, an encoder, a predictor. Out: [`Figures`] and a model card. Both `fit` and
//! `evaluate` call this, so that a card and a later check agree.

use anyhow::{Context, Result};
use pointsman::prediction::Predictor;

use crate::controls::{Control, Knn, Pair, Ridge, Vectors};
use crate::dataset::Dataset;
use crate::evaluate::{Figures, at_exit};
use crate::fit::Inputs;
use crate::metrics::Bootstrap;
use crate::split::{Cut, Split};

/// Measures the controls and, where given, an artifact.
///
/// # Errors
/// When nothing is held out.
pub fn judge(
    data: &Dataset,
    inputs: &Inputs,
    cut: &Cut,
    predictor: Option<&Predictor>,
) -> Result<Figures> {
    judge_with(data, inputs, cut, predictor, Bootstrap::default())
}

/// As [`judge`], with intervals drawn otherwise.
///
/// # Errors
/// When nothing is held out.
pub fn judge_with(
    data: &Dataset,
    inputs: &Inputs,
    cut: &Cut,
    predictor: Option<&Predictor>,
    boot: Bootstrap,
) -> Result<Figures> {
    let (train, held_out) = Split::new(&data.prompts, cut).labels(data);
    let mut figures = Figures::new(data, cut, &held_out).with_bootstrap(boot);
    figures
        .judge_plain_controls(data, &train, &held_out)
        .context("the table has too few questions to hold some out")?;
    let deepest = inputs.exits.last().map_or(0, |it| it.exit);
    for inputs in &inputs.exits {
        let embeddings = inputs.embeddings();
        let vectors = || Vectors::new(&embeddings, data.prompts.len(), inputs.width());
        let predicted = |it: &dyn Control| {
            let pairs: Vec<Pair> = held_out.iter().map(Pair::from).collect();
            (at_exit(it.name(), inputs.exit, deepest), it.predict(&pairs))
        };
        let controls = [
            predicted(&Knn::fit(data, &train, vectors()?)),
            predicted(&Ridge::fit(data, &train, vectors()?)),
        ];
        for (name, predicted) in controls {
            figures.judge(&name, data, &held_out, &predicted)?;
        }
    }
    if let Some(predictor) = predictor {
        figures.judge_artifact(predictor, data, inputs, (&train, &held_out))?;
    }
    Ok(figures)
}
