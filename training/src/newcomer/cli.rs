//! `pointsman-train add-model` and `pointsman-train holdout`.
//!
//! In: the command line. Out: an artifact in a folder, or a table of figures. Not here: what is
//! computed (see the files beside this one).

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use pointsman::domain::Probability;
use pointsman::encoder::Encoder;
use pointsman::prediction::{Artifact, Predictor};

use super::{HoldoutSettings, Lesson, Newcomer, add, holdout};
use crate::dataset::Dataset;
use crate::fit::{FitSettings, encode_prompts};
use crate::make::{CARD_FILE, save};
use crate::split::Cut;

/// Arguments of `add-model`.
#[derive(Debug, Args)]
pub struct AddModelArgs {
    /// The artifact's folder; the one in this program by default.
    #[arg(long)]
    artifact: Option<PathBuf>,
    /// The model's name: in the table's column `model`, and in `learned_as` of the config.
    #[arg(long)]
    name: String,
    /// Its labels: .csv, .jsonl or .parquet with the columns prompt, model, quality; rows of other
    /// models are passed over. Without it the model starts at the prior.
    #[arg(long)]
    labels: Option<PathBuf>,
    /// What its mean quality over everyday prompts is believed to be, 0 to 1.
    #[arg(long, value_parser = probability)]
    quality_prior: Option<Probability>,
    /// Where to write the artifact; may be the folder that it came from.
    #[arg(long)]
    out: PathBuf,
    /// The encoder's folder: encoder.safetensors and tokenizer.json, or a BERT-shaped sentence encoder;
    /// the one in this program by default.
    #[arg(long)]
    encoder: Option<PathBuf>,
}

/// Arguments of `holdout`.
#[derive(Debug, Args)]
pub struct HoldoutArgs {
    /// The labelled table: .parquet, .csv or .jsonl.
    #[arg(long)]
    data: PathBuf,
    /// How many models to leave out.
    #[arg(long, default_value_t = HoldoutSettings::default().models)]
    models: usize,
    /// How often each number of labels is drawn; the figures are means over the draws.
    #[arg(long, default_value_t = HoldoutSettings::default().draws)]
    draws: usize,
    /// Seeds the training, the choice of models and the draws.
    #[arg(long, default_value_t = FitSettings::default().seed)]
    seed: u64,
    /// Most passes over the table in training.
    #[arg(long, default_value_t = FitSettings::default().epochs)]
    epochs: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The encoder's folder: encoder.safetensors and tokenizer.json, or a BERT-shaped sentence encoder;
    /// the one in this program by default.
    #[arg(long)]
    encoder: Option<PathBuf>,
}

fn probability(text: &str) -> Result<Probability, String> {
    let value = text.parse().map_err(|_| "a number from 0 to 1 is needed".to_owned())?;
    Probability::new(value).map_err(|it| it.to_string())
}

fn open_encoder(folder: Option<&PathBuf>) -> Result<Encoder> {
    Ok(match folder {
        Some(folder) => Encoder::open(folder)?,
        None => Encoder::shipped()?,
    })
}

impl AddModelArgs {
    /// Adds the model and writes the artifact.
    ///
    /// # Errors
    /// When a file cannot be read or written, the table has no row of the model, or the artifact
    /// knows it already.
    pub fn run(&self) -> Result<()> {
        let encoder = open_encoder(self.encoder.as_ref())?;
        let artifact = match &self.artifact {
            Some(folder) => Artifact::open(folder, &encoder)?,
            None => Artifact::shipped(&encoder)?,
        };
        let newcomer = self.newcomer(&Predictor::new(artifact.clone()), &encoder)?;
        let added = add(&artifact, &newcomer)?;
        save(&added, &self.card(&newcomer)?, &self.out)?;
        println!(
            "{}: `{}` from {} labels of quality and {} of output tokens; wrote {}",
            added.manifest.version,
            self.name,
            newcomer.lessons.len(),
            newcomer.token_lessons.len(),
            self.out.display()
        );
        println!("in the config: learned_as = \"{}\"", self.name);
        Ok(())
    }

    fn newcomer(&self, predictor: &Predictor, encoder: &Encoder) -> Result<Newcomer> {
        let (name, quality_prior) = (self.name.clone(), self.quality_prior);
        let mut newcomer = Newcomer { name, quality_prior, ..Newcomer::default() };
        let Some(path) = &self.labels else { return Ok(newcomer) };
        let data = Dataset::read(path)?;
        let inputs = encode_prompts(&data, encoder)?;
        let own = data.models.iter().position(|it| *it == self.name);
        ensure!(own.is_some(), "{}: no row has the model `{}`", path.display(), self.name);
        for label in data.labels.iter().filter(|it| Some(usize::from(it.model)) == own) {
            let latent = inputs.latent(predictor, label.prompt as usize);
            newcomer.lessons.push(Lesson { latent, quality: label.quality });
            if let Some(tokens) = label.output_tokens {
                newcomer.token_lessons.push((latent, f64::from(tokens.max(1)).ln()));
            }
        }
        Ok(newcomer)
    }

    /// The card that was there, with a paragraph on the model.
    fn card(&self, newcomer: &Newcomer) -> Result<String> {
        let before = match &self.artifact {
            Some(folder) if folder.join(CARD_FILE).exists() => {
                let path = folder.join(CARD_FILE);
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?
            }
            Some(_) | None => String::new(),
        };
        let prior = self.quality_prior.map_or_else(
            || "the prior over models".to_owned(),
            |it| format!("the prior over models, moved to a mean quality of {}", it.get()),
        );
        Ok(format!(
            "{before}\n## Added: `{}`\n\nFrom {} labels of quality and {} of output tokens, by MAP from \
             {prior} (`pointsman-train add-model`). The figures above were measured before.\n",
            self.name,
            newcomer.lessons.len(),
            newcomer.token_lessons.len()
        ))
    }
}

impl HoldoutArgs {
    /// Trains twice and prints the table.
    ///
    /// # Errors
    /// When the table cannot be read or has too few labels.
    pub fn run(&self) -> Result<()> {
        let encoder = open_encoder(self.encoder.as_ref())?;
        let data = Dataset::read(&self.data)?;
        let settings = HoldoutSettings {
            models: self.models,
            draws: self.draws,
            cut: Cut::default(),
            fit: FitSettings { seed: self.seed, epochs: self.epochs, ..FitSettings::default() },
        };
        let found = holdout(&data, &encoder, &settings)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&found)?);
        } else {
            print!("{found}");
        }
        Ok(())
    }
}
