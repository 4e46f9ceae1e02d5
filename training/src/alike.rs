//! How often the answer cache would mistake one question for another.
//!
//! In: the prompts of a table and the encoder. Out: for each similarity, how many questions would get the
//! answer of another one out of a full cache, and how many would still be known after a harmless edit.
//! Invariant: all prompts of a table are different questions, so each answer of another is counted as
//! wrong: that is the most it can be. No prompt is printed. Not here: the cache (see
//! `pointsman::pipeline`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use ndarray::{Array2, Axis};
use pointsman::domain::sha256_hex;
use pointsman::encoder::{Encoder, Exit};
use rayon::prelude::*;
use serde::Serialize;

use crate::dataset::{Dataset, prompt::request};
use crate::fit::encode_prompts_kept;

/// The similarities that are judged.
const SIMILARITIES: [f32; 7] = [0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999];
/// Questions in the cache: as many as the server compares with at most.
const KEPT: usize = 4_096;
/// Questions that are edited; each is read twice by the encoder.
const EDITED: usize = 1_000;
/// Rows of one product of matrices: 64 MiB of similarities.
const BLOCK: usize = 4_096;

/// `alike`: what is to be measured.
#[derive(Args)]
pub struct AlikeArgs {
    /// The labelled table: .parquet, .csv or .jsonl.
    #[arg(long)]
    data: PathBuf,
    /// A file that keeps the prompts' vectors from run to run; written if it is not there.
    #[arg(long)]
    vectors: Option<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What was measured at one similarity.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    similarity: f32,
    /// Share of questions that would get the answer of another.
    false_hits: f64,
    /// The same over the sources, the worst of them.
    worst_source: (String, f64),
    /// Share of edited questions that would still be known.
    edited_hits: f64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Measured {
    kept: usize,
    asked: usize,
    edited: usize,
    exit: u8,
    rows: Vec<Row>,
}

impl AlikeArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// When the table cannot be read or the encoder refuses a text.
    pub fn run(self) -> Result<()> {
        let encoder = Encoder::shipped()?;
        let data = Dataset::read(&self.data)?;
        let measured = measure(&data, &encoder, self.vectors.as_deref())
            .with_context(|| self.data.display().to_string())?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&measured)?);
        } else {
            print!("{measured}");
        }
        Ok(())
    }
}

fn measure(data: &Dataset, encoder: &Encoder, kept: Option<&std::path::Path>) -> Result<Measured> {
    // The order of their hashes: any other would do, but everybody gets the same.
    let mut order: Vec<(String, u32)> = (0..data.prompts.len() as u32)
        .map(|it| (sha256_hex(data.prompts[it as usize].as_str().as_bytes()), it))
        .collect();
    order.sort();
    ensure!(order.len() > 1, "there are no two prompts");
    let cut = KEPT.min(order.len() / 2);
    let prompts = |part: &[(String, u32)]| part.iter().map(|it| it.1 as usize).collect::<Vec<_>>();
    let (held, asked) = (prompts(&order[..cut]), prompts(&order[cut..]));
    let inputs = encode_prompts_kept(data, encoder, kept)?;
    let last = inputs.exits.last().context("the encoder has no exit")?;
    let vector = |prompt: &usize| unit(&last.row(*prompt)[..last.width()]);
    let rows = |of: &[usize]| {
        let all: Vec<f32> = of.iter().flat_map(vector).collect();
        Array2::from_shape_vec((of.len(), last.width()), all)
    };
    let held_rows = rows(&held)?;
    let nearest = nearest(&rows(&asked)?, &held_rows);
    let sources = sources(data);
    let again = edited(data, encoder, &held[..EDITED.min(held.len())])?;
    let row = |similarity: f32| {
        let hit = |it: &f32| *it >= similarity;
        let mut of: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (prompt, own) in asked.iter().zip(&nearest) {
            let counts = of.entry(sources[*prompt]).or_default();
            *counts = (counts.0 + usize::from(hit(own)), counts.1 + 1);
        }
        let share = |(hits, all): (usize, usize)| hits as f64 / all.max(1) as f64;
        let worst = of.into_iter().map(|(name, it)| (name.to_owned(), share(it)));
        Row {
            similarity,
            false_hits: share((nearest.iter().filter(|it| hit(it)).count(), nearest.len())),
            worst_source: worst.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default(),
            edited_hits: share((again.iter().filter(|it| hit(it)).count(), again.len())),
        }
    };
    Ok(Measured {
        kept: held.len(),
        asked: asked.len(),
        edited: again.len(),
        exit: last.exit,
        rows: SIMILARITIES.map(row).to_vec(),
    })
}

fn unit(floats: &[f32]) -> Vec<f32> {
    let norm = floats.iter().map(|it| it * it).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    floats.iter().map(|it| it / norm).collect()
}

/// Of each row the cosine with the most similar kept one.
fn nearest(asked: &Array2<f32>, kept: &Array2<f32>) -> Vec<f32> {
    let blocks: Vec<_> = asked.axis_chunks_iter(Axis(0), BLOCK).collect();
    let each = blocks.into_par_iter().flat_map_iter(|block| {
        let products = block.dot(&kept.t());
        let most = |row: ndarray::ArrayView1<'_, f32>| row.iter().copied().fold(-1.0, f32::max);
        products.rows().into_iter().map(most).collect::<Vec<_>>()
    });
    each.collect()
}

/// The source of each prompt.
fn sources(data: &Dataset) -> Vec<&str> {
    let mut all = vec![""; data.prompts.len()];
    for label in &data.labels {
        all[label.prompt as usize] = &data.sources[label.source as usize];
    }
    all
}

/// The cosine of each prompt with itself in small letters and without its last sign.
fn edited(data: &Dataset, encoder: &Encoder, prompts: &[usize]) -> Result<Vec<f32>> {
    let each = prompts.par_iter().map(|prompt| {
        let text = data.prompts[*prompt].as_str();
        let changed = text.to_lowercase();
        let changed = changed.trim_end_matches(|it: char| it.is_ascii_punctuation());
        let vector = |text: &str| {
            let encoded = encoder.encode(&request(text), Exit::Last)?;
            anyhow::Ok(unit(encoded.embedding.as_slice()))
        };
        let (before, after) = (vector(text)?, vector(changed)?);
        Ok(before.iter().zip(&after).map(|(a, b)| a * b).sum())
    });
    each.collect()
}

impl fmt::Display for Measured {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, asked, edited, exit, rows } = self;
        writeln!(
            out,
            "{asked} questions against {kept} kept ones, exit {exit}; {edited} edited ones"
        )?;
        writeln!(
            out,
            "similarity  answer of another  worst source              known after an edit"
        )?;
        for Row { similarity, false_hits, worst_source, edited_hits } in rows {
            let (name, worst) = worst_source;
            let [false_hits, worst, edited_hits] =
                [false_hits, worst, edited_hits].map(|it| it * 100.0);
            writeln!(
                out,
                "{similarity:10.3}  {false_hits:15.2} %  {worst:8.2} % {name:<15} {edited_hits:17.1} %"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_the_most_similar_one() {
        let rows = |all: &[[f32; 2]]| Array2::from(all.to_vec());
        let found = nearest(&rows(&[[1.0, 0.0], [0.6, 0.8]]), &rows(&[[0.0, 1.0], [0.8, 0.6]]));
        assert_eq!(found.len(), 2);
        assert!((found[0] - 0.8).abs() < 1e-6 && (found[1] - 0.96).abs() < 1e-6, "{found:?}");
        assert_eq!(unit(&[3.0, 4.0]), [0.6, 0.8]);
    }
}
