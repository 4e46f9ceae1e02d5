//! Panels over scripted models: what is asked, what is paid, what is believed.
//!
//! In: scripts. Out: nothing. Time is paused.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman::catalog::Deployment;
use pointsman::domain::{FailureClass, Usd};
use pointsman::providers::CallFailure;

use super::check::{self, Graded};
use super::events::State;
use super::grade::agreement::AGREEMENT_MIN;
use super::grade::{Grader, Judge};
use super::run::{Panel, Ran, Settings, Unanswered, run};
use super::summary::Summary;
use super::table;
use super::testing::{Script, Scripted, panel, tokens};

/// `dear` is always right, `cheap` is for even numbers.
fn answers(model: &str, prompt: &str, _: usize) -> Result<String, CallFailure> {
    let number: usize = prompt.trim_start_matches("prompt ").parse().unwrap_or_default();
    let right = model == "dear" || number.is_multiple_of(2);
    Ok(if right { format!("Answer: {number}") } else { "no idea".to_owned() })
}

fn exact(_: Arc<Deployment>) -> Grader {
    Grader::Exact
}

fn with(panel: Arc<Panel<Scripted>>, settings: Settings) -> Arc<Panel<Scripted>> {
    let panel = Arc::into_inner(panel).unwrap();
    Arc::new(Panel { settings, ..panel })
}

/// Prompt, model and quality of every row.
fn told(panel: &Panel<Scripted>) -> Vec<(String, String, f64)> {
    let rows = table::rows(panel);
    let told = rows
        .iter()
        .map(|it| (it.ask.prompt.as_str().to_owned(), it.answer.model.clone(), it.quality));
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn everybody_is_asked_once_and_graded() {
    let folder = tempfile::tempdir().unwrap();
    let first = panel(folder.path(), (5, 1.0), exact, answers);
    assert_eq!(run(&first).await.unwrap().unaffordable, 0);
    let rows = told(&first);
    let right: BTreeMap<&str, f64> = rows.iter().fold(BTreeMap::new(), |mut sums, it| {
        *sums.entry(it.1.as_str()).or_default() += it.2;
        sums
    });
    assert_eq!((rows.len(), right["cheap"], right["dear"]), (10, 3.0, 5.0));
    let billed: Usd = (0..5)
        .map(|at| {
            let prompt = format!("prompt {at}");
            let cost = |model: &str, input: f64, output: f64| {
                let said = answers(model, &prompt, 1).unwrap();
                let usd = tokens(&prompt) as f64 * input + tokens(&said) as f64 * output;
                Usd::new(usd / 1e6).unwrap()
            };
            cost("cheap", 1.0, 2.0) + cost("dear", 10.0, 20.0)
        })
        .sum();
    assert_eq!(first.spend.spent(), billed);
    let summary = Summary::of(&first, Ran::default());
    assert_eq!((summary.complete, summary.spent), (5, billed));
    assert!(!summary.to_string().contains("no idea"));
    drop(first);
    // A second run finds nothing to do.
    let second = panel(folder.path(), (5, 1.0), exact, answers);
    run(&second).await.unwrap();
    assert_eq!(
        (second.caller.calls().len(), told(&second), second.spend.spent()),
        (0, rows, billed)
    );
}

/// The most that is set aside for one prompt here, by hand: 8 bytes and the frame at 11 USD, and 50
/// tokens at 22 USD, per million.
const AT_MOST: f64 = ((8.0 + 1_024.0) * 11.0 + 50.0 * 22.0) / 1e6;

#[tokio::test(start_paused = true)]
async fn what_fits_does_not_depend_on_how_many_call() {
    let mut found = Vec::new();
    for concurrency in [1, 3, 16] {
        let folder = tempfile::tempdir().unwrap();
        // Real answers cost a hundredth of what they could.
        let limit = AT_MOST * 1.05;
        let panel = panel(folder.path(), (9, limit), exact, answers);
        let settings = Settings { concurrency, ..panel.settings };
        let panel = with(panel, settings);
        let ran = run(&panel).await.unwrap();
        assert!(panel.spend.spent() <= Usd::new(limit).unwrap());
        let rows = told(&panel);
        assert_eq!(rows.len(), 2 * (9 - ran.unaffordable), "both or nobody");
        found.push((ran.unaffordable, panel.spend.spent(), rows));
    }
    assert!((1..9).contains(&found[0].0), "{}", found[0].0);
    assert!(found.iter().all(|it| *it == found[0]));
    // Too little for one prompt is not spent at all.
    let folder = tempfile::tempdir().unwrap();
    let poor = panel(folder.path(), (3, AT_MOST * 0.99), exact, answers);
    assert_eq!(run(&poor).await.unwrap().unaffordable, 3);
    assert_eq!((poor.caller.calls().len(), poor.spend.spent()), (0, Usd::ZERO));
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_and_then_noted() {
    fn fails(model: &str, prompt: &str, call: usize) -> Result<String, CallFailure> {
        let failure = |class, status| Err(CallFailure { status, ..CallFailure::of(class) });
        match (model, prompt) {
            ("cheap", "prompt 0") if call < 3 => failure(FailureClass::Overloaded, Some(503)),
            ("cheap", "prompt 1") => failure(FailureClass::Auth, Some(401)),
            ("cheap", "prompt 2") => failure(FailureClass::Malformed, Some(200)),
            _ => answers(model, prompt, call),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let first = panel(folder.path(), (4, 1.0), exact, fails);
    run(&first).await.unwrap();
    let calls = |panel: &Panel<Scripted>, number: usize| {
        let wanted = ("cheap".to_owned(), format!("prompt {number}"));
        panel.caller.calls().iter().filter(|it| **it == wanted).count()
    };
    assert_eq!([0, 1, 2, 3].map(|it| calls(&first, it)), [3, 1, 3, 1]);
    let summary = Summary::of(&first, Ran::default());
    let unanswered = &summary.models[0].unanswered;
    assert_eq!(unanswered, &BTreeMap::from([("auth", 1), ("malformed", 1)]));
    assert_eq!((summary.complete, told(&first).len()), (2, 6));
    // An answer that says nothing of its cost counts with all that it could have cost.
    let malformed = (8.0 + 1_024.0 + 50.0 * 2.0) / 1e6;
    assert!(first.spend.spent() > Usd::new(3.0 * malformed).unwrap());
    drop(first);
    let again = panel(folder.path(), (4, 1.0), exact, answers);
    run(&again).await.unwrap();
    assert_eq!(again.caller.calls().len(), 0);
    let settings = Settings { unanswered: Unanswered::AskedAgain, ..again.settings };
    let again = with(again, settings);
    run(&again).await.unwrap();
    assert_eq!((again.caller.calls().len(), told(&again).len()), (2, 8));
}

#[tokio::test(start_paused = true)]
async fn cut_answers_are_left_out_until_the_limit_is_raised() {
    fn long(_: &str, _: &str, _: usize) -> Result<String, CallFailure> {
        Ok(format!("{}\n0", "well, ".repeat(50)))
    }
    let folder = tempfile::tempdir().unwrap();
    let first = panel(folder.path(), (1, 1.0), exact, long);
    run(&first).await.unwrap();
    let summary = Summary::of(&first, Ran::default());
    assert_eq!((summary.models[0].cut, summary.complete, told(&first).len()), (1, 0, 0));
    let settings = Settings { max_output_tokens: 500, ..first.settings };
    let again = with(first, settings);
    run(&again).await.unwrap();
    assert_eq!((again.caller.calls().len(), told(&again).len()), (4, 2));
}

fn judged_by(passes: u8) -> impl Fn(Arc<Deployment>) -> Grader {
    move |deployment| Grader::Judge(Judge::new(deployment, None, passes))
}

fn judge_of(panel: &Panel<Scripted>) -> &Judge {
    match &panel.grader {
        Grader::Judge(judge) => judge,
        Grader::Exact | Grader::Command(_) => unreachable!("a judge grades here"),
    }
}

/// Believes what the answer says; `no idea` is worth little.
fn fair(model: &str, prompt: &str, call: usize) -> Result<String, CallFailure> {
    match model {
        "judge" => Ok(format!("so\nGrade: {}", if prompt.contains("no idea") { 1 } else { 4 })),
        _ => answers(model, prompt, call),
    }
}

/// Goes by the wording.
fn moody(model: &str, prompt: &str, call: usize) -> Result<String, CallFailure> {
    match model {
        "judge" if prompt.starts_with("Grade") => fair(model, prompt, call),
        "judge" => Ok("Grade: 0".to_owned()),
        _ => answers(model, prompt, call),
    }
}

#[tokio::test(start_paused = true)]
async fn a_judge_is_held_against_itself() {
    let check = async |script: Script, believed: bool, worst: f64| {
        let folder = tempfile::tempdir().unwrap();
        let panel = panel(folder.path(), (12, 1.0), judged_by(2), script);
        run(&panel).await.unwrap();
        let agreement = check::with_itself(&panel, judge_of(&panel));
        assert_eq!(agreement.pairs, 24);
        assert_eq!(agreement.shortfall(AGREEMENT_MIN).is_none(), believed, "{agreement:?}");
        let rows = told(&panel);
        let least = rows.iter().map(|it| it.2).fold(f64::INFINITY, f64::min);
        assert_eq!((rows.len(), least), (24, worst));
        // Three calls for each answer, all of them paid.
        assert_eq!(
            (panel.caller.calls().len(), panel.spend.spent()),
            (72, panel.work.with(State::spent))
        );
    };
    check(fair, true, 0.25).await;
    check(moody, false, 0.125).await;
}

#[tokio::test(start_paused = true)]
async fn a_judge_is_held_against_what_people_said() {
    let rows = |turned: bool| -> Vec<Graded> {
        let row = |at: usize| {
            let good = at.is_multiple_of(3);
            let ask = super::ask::Ask::new(vec![], format!("question {at}").into());
            let answer = if good { "it is so" } else { "no idea" }.into();
            Graded { ask, answer, quality: if good == turned { 0.2 } else { 0.9 } }
        };
        (0..30).map(row).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let panel = panel(folder.path(), (2, 1.0), judged_by(1), fair);
    let judge = judge_of(&panel).clone();
    let right = check::against(&panel, &judge, rows(false)).await.unwrap();
    assert_eq!((right.pairs, right.shortfall(AGREEMENT_MIN)), (30, None));
    let wrong = check::against(&panel, &judge, rows(true)).await.unwrap();
    assert!(wrong.kappa.unwrap() < 0.0 && wrong.shortfall(AGREEMENT_MIN).is_some(), "{wrong:?}");
    // The same answers are not graded twice, and the panel's are graded once.
    assert_eq!(panel.caller.calls().len(), 30);
    run(&panel).await.unwrap();
    assert_eq!((panel.caller.calls().len(), told(&panel).len()), (38, 4));
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_gives_no_grade_leaves_answers_ungraded() {
    fn silent(model: &str, prompt: &str, call: usize) -> Result<String, CallFailure> {
        if model == "judge" { Ok("hm".to_owned()) } else { answers(model, prompt, call) }
    }
    let folder = tempfile::tempdir().unwrap();
    let first = panel(folder.path(), (2, 1.0), judged_by(2), silent);
    let ran = run(&first).await.unwrap();
    // A second grade of what has no first one is not bought.
    assert_eq!((told(&first).len(), first.caller.calls().len()), (0, 8));
    assert_eq!(ran.ungraded, BTreeMap::from([("the judge named no grade".to_owned(), 4)]));
    assert!(Summary::of(&first, ran).to_string().contains("4 answers have no grade"));
    drop(first);
    // Another run asks the judge again, and nobody else.
    let again = panel(folder.path(), (2, 1.0), judged_by(2), fair);
    run(&again).await.unwrap();
    assert!(again.caller.calls().iter().all(|it| it.0 == "judge"));
    assert_eq!((again.caller.calls().len(), told(&again).len()), (8, 4));
}
