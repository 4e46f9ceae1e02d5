//! Whole reports on a small made-up table: an artifact on held-out questions, and folds.
#![expect(clippy::expect_used, reason = "a test helper may stop on the first surprise")]

use std::fmt::Write as _;
use std::path::Path;

use pointsman::encoder::Encoder;
use pointsman::prediction::Predictor;
use pointsman_training::choose::{FIGURES, Pool};
use pointsman_training::dataset::Dataset;
use pointsman_training::fit::{FitSettings, Inputs, encode_prompts, fit};
use pointsman_training::metrics::Bootstrap;
use pointsman_training::report::{Job, Options, Report, evaluate, frontier, html};
use pointsman_training::split::{Cut, Split};

/// A cheap model that can do sums and a dear one that can do everything.
fn table(path: &Path) {
    let mut rows =
        String::from("source,prompt,model,score,input_tokens,output_tokens,cost,latency\n");
    for number in 0..300 {
        let sum = format!("Compute {number} + {} and then 7 * {number}.", number * 3 + 1);
        let poem = format!("Write verse {number} of a ballad about rivers and bread.");
        for (prompt, is_sum) in [(sum, true), (poem, false)] {
            for (model, price) in [("small", 1e-6), ("large", 2e-5)] {
                // One label in ten is wrong, so that certainty would be punished.
                let right = (model == "large" || is_sum) != (number % 10 == 3);
                let tokens = if is_sum { 20 + number % 5 } else { 200 + number % 50 };
                let cost = price * f64::from(12 + 3 * tokens);
                let latency = 0.3 + 0.01 * f64::from(tokens);
                let quality = u8::from(right);
                let _ =
                    writeln!(rows, "made,{prompt},{model},{quality},12,{tokens},{cost},{latency}");
            }
        }
    }
    std::fs::write(path, rows).expect("the table is written");
}

fn settings() -> FitSettings {
    FitSettings { hidden: 32, epochs: 6, ..FitSettings::default() }
}

fn options() -> Options {
    Options {
        cut: Cut { held_out: 0.3, ..Cut::default() },
        boot: Bootstrap { draws: 40, seed: 1 },
        pools: Pool::parse("made:small,large").into_iter().collect(),
    }
}

fn with_table(run: impl Fn(Job<'_>, &Dataset, &Inputs)) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("labels.csv");
    table(&path);
    let encoder = Encoder::shipped().expect("the shipped encoder");
    let data = Dataset::read(&path).expect("a table");
    let inputs = encode_prompts(&data, &encoder).expect("vectors");
    let options = options();
    run(Job { data: &data, inputs: &inputs, encoder: &encoder, options: &options }, &data, &inputs);
}

fn check_choosing(report: &Report) {
    let pool = report.pools.first().expect("a pool");
    let find = |name: &str| pool.choosers.iter().find(|it| it.name == name).expect("a chooser");
    let zero = find("zero router");
    assert!(zero.router_less[0].is_above_zero(), "{report}");
    let router = &pool.choosers[0];
    assert_eq!(router.figures.len(), FIGURES.len());
    // Half of the requests are sums, which are short: nearly all of the cost can be saved on them.
    let cost = router.figures[1].value.expect("a cost");
    assert!(cost < 0.95 && Some(cost) < zero.figures[1].value, "{report}");
    assert_eq!(find("oracle").router_less[0].value.map(|it| it <= 1e-9), Some(true));
    assert!(report.budgets[0].rows.iter().all(|it| it.broken == 0.0), "a limit was broken");
}

#[test]
fn an_artifact_is_judged_beside_controls_and_beside_itself() {
    with_table(|job, data, inputs| {
        let split = Split::new(&data.prompts, &job.options.cut);
        let made = fit(data, inputs, &split, job.encoder, &settings()).expect("an artifact");
        let predictor = Predictor::new(made);
        let report = evaluate(job, &predictor, Some(&predictor)).expect("a report");
        check_choosing(&report);
        let changes: Vec<_> = report.stability.iter().map(|it| it.requests).collect();
        assert_eq!(changes.len(), 4);
        let figures = report.figures.as_ref().expect("figures");
        let tokens = figures.forecasts.first().expect("output tokens");
        assert!(tokens.error.value < tokens.plain_error.value, "{tokens:?}");
        assert_eq!(figures.forecasts.len(), 2, "the table tells latency, too");
        // An artifact less itself is 0, whatever is drawn.
        assert!(report.differences.len() > FIGURES.len());
        for it in &report.differences {
            assert!(it.figure.low.unwrap_or_default() == 0.0, "{it:?}");
            assert!(it.figure.high.unwrap_or_default() == 0.0, "{it:?}");
        }
        assert!(html(&report).contains("<polyline"));
        let json = serde_json::to_string(&report).expect("json");
        let back: Report = serde_json::from_str(&json).expect("it reads back");
        assert_eq!(back.to_string(), report.to_string());
    });
}

#[test]
fn folds_judge_every_question_and_repeat() {
    with_table(|job, _, _| {
        let run = || frontier(job, 3, &settings()).expect("a report");
        let report = run();
        check_choosing(&report);
        assert_eq!((report.pools[0].requests, report.pools[0].questions), (600, 600));
        assert!(report.figures.is_none());
        assert_eq!(report.to_string(), run().to_string(), "the same seed gives the same report");
        let none = Options { pools: Pool::shipped(), ..job.options.clone() };
        let error = frontier(Job { options: &none, ..job }, 3, &settings()).expect_err("no pool");
        assert!(error.to_string().contains("no row"), "{error}");
    });
}
