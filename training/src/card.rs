//! The model card: what an artifact is, what it was trained on, how well it does, what it is not for.
//!
//! In: a manifest and [`Figures`]. Out: Markdown. Invariant: every figure comes from the report that
//! it is given, and the command that makes it again stands beside it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pointsman::prediction::Manifest;

use crate::controls::TaskMeans;
use crate::evaluate::{ControlRow, Figures, at_exit};

/// Writes the card.
pub fn card(manifest: &Manifest, figures: &Figures) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_card(&mut out, manifest, figures);
    out
}

fn write_purpose(out: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let deepest = manifest.exits.last().copied().unwrap_or(0);
    writeln!(out, "# Router artifact `{}`\n", manifest.version)?;
    writeln!(
        out,
        "Predicts, for a prompt and each of {} models seen in training, the quality (0 to 1) and the \
         output tokens of the answer, both with a spread; any other model starts at a Gaussian prior \
         over those. For each exit, a small trunk reads {} after that many of its layers \
         (0: the embedding layer) and {} counted features (schema {}); the heads are shared.\n",
        manifest.models.len(),
        reads(manifest),
        pointsman::features::COUNT,
        manifest.feature_schema
    )?;
    writeln!(
        out,
        "## Intended use\n\nTo rank language models for one request at a time, by expected quality, cost and \
         time. A prompt is read at exit {deepest} as a rule, and at exit 0 where the encoder's queue would \
         break the deadline; figures without an exit are those of exit {deepest}.\n"
    )
}

/// What a trunk reads.
fn reads(manifest: &Manifest) -> String {
    match &manifest.encoder {
        None => "the mean of MiniLM".to_owned(),
        Some(name) => format!("the vector of {name}"),
    }
}

fn write_card(out: &mut String, manifest: &Manifest, figures: &Figures) -> std::fmt::Result {
    let exits: Vec<_> = manifest.exits.iter().map(ToString::to_string).collect();
    let exits = exits.join(" and ");
    let data = &manifest.data;
    write_purpose(out, manifest)?;
    writeln!(out, "## Made from\n")?;
    writeln!(
        out,
        "- {} labels on {} prompts from {} sources: {}. Table SHA-256 `{}`.",
        data.labels,
        data.prompts,
        data.sources.len(),
        data.sources.join(", "),
        data.sha256
    )?;
    let encoder = match &manifest.encoder {
        None => "`sentence-transformers/all-MiniLM-L6-v2` (Apache-2.0), in int8,".to_owned(),
        Some(name) => format!("`{name}` (BERT-shaped, its own licence applies), in f32,"),
    };
    writeln!(
        out,
        "- Encoder: {encoder} read at exits {exits}; SHA-256 of the weights that this reads `{}`.",
        manifest.encoder_sha256
    )?;
    writeln!(
        out,
        "- Seed {}; the same table, seed and program give the same bytes.\n",
        manifest.seed
    )?;
    writeln!(out, "## Figures\n")?;
    writeln!(
        out,
        "On {} labels of questions that were held out by their text ({} %, seed `{}`). Each figure is \
         the mean over sources; AUC and Brier are means over the models with at least 60 held-out \
         labels of both classes there. Made again by `pointsman-train evaluate --data <table>`.\n",
        figures.held_out_labels,
        100.0 * figures.cut.held_out,
        figures.cut.seed
    )?;
    writeln!(out, "| predictor | AUC | Brier | ECE |\n|---|---|---|---|")?;
    for row in &figures.rows {
        let it = &row.quality;
        let (auc, brier, ece) = (number(it.auc), number(it.brier), number(it.ece));
        writeln!(out, "| {} | {auc} | {brier} | {ece} |", row.name)?;
    }
    write_sources(out, figures, &manifest.exits)?;
    if let Some(tokens) = &figures.tokens {
        writeln!(
            out,
            "\nOutput tokens, {} held-out labels: median relative error {:.3} (the model's own median: \
             {:.3}); {:.1} % lie inside the central 90 % interval.",
            tokens.labels,
            tokens.median_relative_error,
            tokens.model_median_relative_error,
            100.0 * tokens.coverage_90
        )?;
    }
    write_limits(out)
}

fn write_limits(out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n## Limits\n")?;
    writeln!(
        out,
        "Most prompts are benchmark questions in English, and most models are of 2023 to 2025. The \
         table that knows the task's name is a reference, not a rival: a request does not name its \
         task. Models that were not seen in training are told apart only by their `quality_prior`. \
         Not meant for judging people, or models in themselves."
    )
}

fn write_sources(out: &mut String, figures: &Figures, exits: &[u8]) -> std::fmt::Result {
    let deepest = exits.last().copied().unwrap_or(0);
    let names: Vec<String> =
        exits.iter().map(|it| at_exit(Figures::ARTIFACT, *it, deepest)).collect();
    for name in &names {
        writeln!(out, "\n{name}, by source:\n\n| source | labels | models | AUC | Brier | ECE |")?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        for row in figures.per_source.iter().filter(|it| it.name == *name) {
            let it = &row.quality;
            let (auc, brier, ece) = (number(it.auc), number(it.brier), number(it.ece));
            let (labels, models) = (row.labels, row.models);
            writeln!(out, "| {} | {labels} | {models} | {auc} | {brier} | {ece} |", row.source)?;
        }
    }
    write_rivals(out, figures)
}

/// AUC of everyone, source by source: where a control is better, the card shows it.
fn write_rivals(out: &mut String, figures: &Figures) -> std::fmt::Result {
    writeln!(
        out,
        "\nAUC of every predictor, by source; bold: the best that does not know the task:\n"
    )?;
    let sources = figures.per_source.iter().filter(|it| it.quality.auc.is_some());
    let sources: BTreeSet<&str> = sources.map(|it| it.source.as_str()).collect();
    let names = sources.iter().copied().collect::<Vec<_>>().join(" | ");
    writeln!(out, "| predictor | {names} |\n|---|{}", "---|".repeat(sources.len()))?;
    let of = |name: &str, source: &str| {
        let mut rows = figures.per_source.iter();
        rows.find(|it| it.name == name && it.source == source).and_then(|it| it.quality.auc)
    };
    let blind = |it: &&ControlRow| it.name != TaskMeans::NAME;
    for row in &figures.rows {
        write!(out, "| {} |", row.name)?;
        for source in &sources {
            let own = of(&row.name, source);
            let rivals = figures.rows.iter().filter(blind).filter_map(|it| of(&it.name, source));
            let best = rivals.fold(0.0, f64::max);
            let bold = if blind(&row) && own == Some(best) { "**" } else { "" };
            write!(out, " {bold}{}{bold} |", number(own))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| format!("{it:.3}"))
}
