//! A whole training run on a small made-up table: it learns, repeats, and writes what serves.
#![expect(clippy::expect_used, reason = "a test helper may stop on the first surprise")]

mod panel;

use std::fmt::Write as _;
use std::path::Path;

use pointsman::domain::ChatRequest;
use pointsman::encoder::{Encoder, Exit, sample};
use pointsman::features;
use pointsman::prediction::{Predictor, WEIGHTS_FILE};
use pointsman_training::dataset::Dataset;
use pointsman_training::encoder::{Origin, make as make_encoder};
use pointsman_training::evaluate::Figures;
use pointsman_training::fit::{FitSettings, encode_prompts_kept};
use pointsman_training::make::{CARD_FILE, Materials, artifact};
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

/// Every exit tells the two kinds of question apart, through the code that serves.
fn serves_both_exits(served: &Predictor, encoder: &Encoder) {
    assert_eq!(served.exits(), [0, 3]);
    for exit in [Exit::First, Exit::Last] {
        for (prompt, right, wrong) in [
            ("Compute 1234 + 3703 and then 7 * 1234.", "counter", "poet"),
            ("Write verse 1234 of a ballad about bread.", "poet", "counter"),
        ] {
            let request = ChatRequest::from_prompt(prompt);
            let encoded = encoder.encode(&request, exit).expect("encoded");
            let latent = served.latent(&features::extract(&request), &encoded);
            let quality = |name| served.heads(Some(name)).0.estimate(&latent, 0.0).mean.get();
            let (right, wrong) = (quality(right), quality(wrong));
            assert!(right > wrong + 0.3, "{exit:?} {prompt}: {right} {wrong}");
        }
    }
}

#[test]
fn a_table_becomes_an_artifact_that_serves_and_repeats() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("labels.csv");
    table(&data);
    let encoder = Encoder::shipped().expect("the shipped encoder");
    let settings = FitSettings { hidden: 32, epochs: 8, ..FitSettings::default() };
    let cut = Cut { held_out: 0.3, ..Cut::default() };
    let kept = folder.path().join("vectors");
    let run = |name: &str| {
        let out = folder.path().join(name);
        // The second time, the vectors come from the file.
        let materials = Materials::read(&data, &encoder, Some(&kept)).expect("a table");
        let figures =
            artifact(&materials, &encoder, &cut, &settings, Some(&out)).expect("an artifact");
        (figures, std::fs::read(out.join(WEIGHTS_FILE)).expect("weights"))
    };
    let (figures, first) = run("first");
    let (_, second) = run("second");
    assert!(first == second, "the same table and seed give the same bytes");
    let quality = |name: &str| {
        let row = figures.rows.iter().find(|it| it.name == name);
        row.map(|it| it.quality).expect("a row")
    };
    let constant = quality("constant per model").brier.expect("a figure");
    for name in [Figures::ARTIFACT, "router artifact (exit 0)"] {
        let own = quality(name);
        assert!(own.auc.expect("a figure") > 0.8, "{figures}");
        assert!(own.brier.expect("a figure") < 0.7 * constant, "{figures}");
    }
    let tokens = figures.tokens.expect("tokens");
    assert!(tokens.median_relative_error < tokens.model_median_relative_error, "{tokens:?}");
    let served = Predictor::open(&folder.path().join("first"), &encoder).expect("it loads");
    assert_eq!(served.manifest().models.len(), 2);
    serves_both_exits(&served, &encoder);
    let card =
        std::fs::read_to_string(folder.path().join("first").join(CARD_FILE)).expect("a card");
    assert!(card.contains("nearest neighbours") && card.contains("prompt length"));
}

#[test]
fn an_artifact_is_trained_for_any_encoder_and_refused_by_every_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, bert, out) =
        (folder.path().join("labels.csv"), folder.path().join("bert"), folder.path().join("out"));
    table(&data);
    std::fs::create_dir(&bert).expect("made");
    sample::write(&bert, 7).expect("an encoder");
    let encoder = Encoder::open(&bert).expect("it opens");
    let settings = FitSettings { hidden: 32, epochs: 8, ..FitSettings::default() };
    let cut = Cut { held_out: 0.3, ..Cut::default() };
    let kept = folder.path().join("vectors");
    let materials = Materials::read(&data, &encoder, Some(&kept)).expect("a table");
    let figures = artifact(&materials, &encoder, &cut, &settings, Some(&out)).expect("an artifact");
    let row = figures.rows.iter().find(|it| it.name == Figures::ARTIFACT).expect("a row");
    assert!(row.quality.auc.expect("a figure") > 0.8, "{figures}");
    let served = Predictor::open(&out, &encoder).expect("it loads");
    assert_eq!((served.exits(), served.inputs()), (&[0, 2][..], 32 + features::COUNT));
    assert_eq!(served.manifest().encoder.as_deref(), Some("bert"));
    let card = std::fs::read_to_string(out.join(CARD_FILE)).expect("a card");
    assert!(card.contains("the vector of bert") && !card.contains("MiniLM"), "{card}");
    let shipped = Encoder::shipped().expect("the shipped encoder");
    let error = Predictor::open(&out, &shipped).expect_err("refused").to_string();
    assert!(error.contains("(bert), the encoder in use has"), "{error}");
    // Vectors that were kept of another encoder are made anew.
    let read = |encoder: &Encoder| {
        let data = Dataset::read(&data).expect("a table");
        encode_prompts_kept(&data, encoder, Some(&kept)).expect("encoded")
    };
    let own = read(&encoder);
    assert_eq!(own.exits.iter().map(|it| it.width()).collect::<Vec<_>>(), [32, 32]);
    sample::write(&bert, 8).expect("another encoder");
    assert_ne!(own, read(&Encoder::open(&bert).expect("it opens")));
}

#[test]
fn too_small_a_table_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("labels.csv");
    std::fs::write(&data, "prompt,model,quality\nhello,m,1\n").expect("written");
    let encoder = Encoder::shipped().expect("the shipped encoder");
    let materials = Materials::read(&data, &encoder, None).expect("a table");
    let made = artifact(&materials, &encoder, &Cut::default(), &FitSettings::default(), None);
    assert!(made.expect_err("refused").to_string().contains("too few"));
}

#[test]
fn kept_vectors_of_another_table_are_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, kept) = (folder.path().join("labels.csv"), folder.path().join("vectors"));
    let encoder = Encoder::shipped().expect("the shipped encoder");
    let encode = |prompt: &str| {
        std::fs::write(&data, format!("prompt,model,quality\n{prompt},m,1\n")).expect("written");
        let data = Dataset::read(&data).expect("a table");
        encode_prompts_kept(&data, &encoder, Some(&kept)).expect("encoded")
    };
    let (one, other) = (encode("one"), encode("other"));
    assert_ne!(one, other);
    assert_eq!(one, encode("one"));
    // A file cut short is made anew.
    std::fs::write(&kept, b"short").expect("written");
    assert_eq!(one, encode("one"));
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
