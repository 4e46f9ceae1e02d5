//! A whole training run on a small made-up table: it learns, repeats, and writes what serves.
#![expect(clippy::expect_used, reason = "a test helper may stop on the first surprise")]

use std::fmt::Write as _;
use std::path::Path;

use pointsman::encoder::Encoder;
use pointsman::prediction::{Predictor, WEIGHTS_FILE};
use pointsman_training::encoder::{Origin, make as make_encoder};
use pointsman_training::evaluate::Figures;
use pointsman_training::fit::FitSettings;
use pointsman_training::make::{CARD_FILE, artifact};
use pointsman_training::split::Cut;

/// Two models and two kinds of question; each model can do one kind.
fn table(path: &Path) {
    let mut rows = String::from("source,prompt,model,quality,output_tokens\n");
    let subjects = ["trains", "rivers", "bread", "chess", "glass", "moss", "bells", "kites"];
    for number in 0..400 {
        let subject = subjects[number % subjects.len()];
        let sum = format!("Compute {number} + {} and then 7 * {number}.", number * 3 + 1);
        let poem = format!("Write verse {number} of a ballad about {subject}.");
        for (prompt, right) in [(sum, "counter"), (poem, "poet")] {
            for model in ["counter", "poet"] {
                // One label in ten is wrong, so that certainty would be punished.
                let quality = usize::from((model == right) != (number % 10 == 3));
                let tokens = if right == "poet" { 200 + number % 50 } else { 20 + number % 5 };
                let _ = writeln!(rows, "made,{prompt},{model},{quality},{tokens}");
            }
        }
    }
    std::fs::write(path, rows).expect("the table is written");
}

#[test]
fn a_table_becomes_an_artifact_that_serves_and_repeats() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("labels.csv");
    table(&data);
    let encoder = Encoder::shipped().expect("the shipped encoder");
    let settings = FitSettings { hidden: 32, epochs_max: 8, ..FitSettings::default() };
    let cut = Cut { held_out: 0.3, ..Cut::default() };
    let run = |name: &str| {
        let out = folder.path().join(name);
        let figures = artifact(&data, &encoder, &cut, &settings, &out).expect("an artifact");
        (figures, std::fs::read(out.join(WEIGHTS_FILE)).expect("weights"))
    };
    let (figures, first) = run("first");
    let (_, second) = run("second");
    assert!(first == second, "the same table and seed give the same bytes");
    let auc = |name: &str| {
        let row = figures.rows.iter().find(|it| it.name == name);
        row.and_then(|it| it.quality.auc).expect("a figure")
    };
    assert!(auc(Figures::ARTIFACT) > 0.8, "{figures}");
    let tokens = figures.tokens.expect("tokens");
    assert!(tokens.median_relative_error < tokens.model_median_relative_error, "{tokens:?}");
    let served = Predictor::open(&folder.path().join("first"), &encoder).expect("it loads");
    assert_eq!(served.manifest().models.len(), 2);
    let card =
        std::fs::read_to_string(folder.path().join("first").join(CARD_FILE)).expect("a card");
    assert!(card.contains("nearest neighbours") && card.contains("prompt length"));
}

#[test]
fn too_small_a_table_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("labels.csv");
    std::fs::write(&data, "prompt,model,quality\nhello,m,1\n").expect("written");
    let encoder = Encoder::shipped().expect("the shipped encoder");
    let made = artifact(&data, &encoder, &Cut::default(), &FitSettings::default(), folder.path());
    assert!(made.expect_err("refused").to_string().contains("too few"));
}

#[test]
fn an_encoder_is_made_only_from_the_official_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("model.safetensors"), b"not the weights").expect("written");
    let out = folder.path().join("out");
    let official = make_encoder(folder.path(), &out, Origin::Official).expect_err("refused");
    assert!(official.to_string().contains("SHA-256"), "{official}");
    let any = make_encoder(folder.path(), &out, Origin::Any).expect_err("refused");
    assert!(any.to_string().contains("model.safetensors"), "{any}");
    assert!(!out.exists());
}
