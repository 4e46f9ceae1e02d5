//! An artifact beside every control, on the same held-out rows.
//!
//! In: a table, an encoder, a predictor. Out: [`Figures`] and a model card. Both `fit` and
//! `evaluate` call this, so that a card and a later check agree.

use anyhow::{Context, Result};
use pointsman::encoder::WIDTH;
use pointsman::prediction::Predictor;

use crate::controls::{Control, Knn, Pair, Ridge, Vectors};
use crate::dataset::Dataset;
use crate::evaluate::Figures;
use crate::fit::Inputs;
use crate::split::{Cut, Split};

/// Measures the controls and, where given, an artifact.
///
/// # Errors
/// When nothing is held out.
pub fn judge(
    data: &Dataset,
    inputs: &[Inputs],
    cut: &Cut,
    predictor: Option<&Predictor>,
) -> Result<Figures> {
    let (train, held_out) = Split::new(&data.prompts, cut).labels(data);
    let mut figures = Figures::new(data, cut, &held_out);
    figures
        .judge_plain_controls(data, &train, &held_out)
        .context("the table has too few questions to hold some out")?;
    for inputs in inputs {
        let embeddings = inputs.embeddings();
        let vectors = || Vectors::new(&embeddings, data.prompts.len(), WIDTH);
        let predicted = |it: &dyn Control| {
            let pairs: Vec<Pair> = held_out.iter().map(Pair::from).collect();
            (format!("{} (exit {})", it.name(), inputs.exit), it.predict(&pairs))
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
        for inputs in inputs.iter().filter(|it| predictor.exits().contains(&it.exit)) {
            figures.judge_artifact(predictor, data, inputs, (&train, &held_out))?;
        }
    }
    Ok(figures)
}
