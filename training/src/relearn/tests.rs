//! What decisions teach, and what learning leaves alone. How well it learns is shown in
//! `tests/closed_loop`.

use pointsman::domain::{Attempt, DeploymentId, FailureClass, Probability, Seam};
use pointsman::encoder::Encoder;
use pointsman::outcome::{FeedbackKind, Logged};
use pointsman::prediction::{Artifact, HEAD};

use super::*;
use crate::offpolicy::records_tests::Bench;

fn told(bench: &Bench, change: impl FnOnce(&mut Logged)) -> Result<Taught, Mute> {
    let mut logged = bench.logged(1);
    logged.record.attempts[0].usage.output_tokens = 90;
    change(&mut logged);
    taught(&logged, &bench.predictor)
}

#[test]
fn a_score_belongs_to_who_answered() {
    let bench = Bench::new();
    let plain = told(&bench, |_| {}).unwrap();
    let (lesson, weight) = plain.lesson.unwrap();
    assert_eq!((lesson.quality, weight, plain.log_tokens), (1.0, 1.0, Some(90_f64.ln())));
    let (mut first, mut second) = (String::new(), String::new());
    let name = |it: &Logged, id: &DeploymentId| {
        let facts = it.record.candidates.iter().find(|facts| facts.deployment == *id).unwrap();
        facts.learned_as.clone().unwrap_or_else(|| facts.model.as_str().to_owned())
    };
    let fallen = told(&bench, |it| {
        let other = it.record.ranked[1].deployment.clone();
        (first, second) = (name(it, &it.record.ranked[0].deployment), name(it, &other));
        let next = Attempt { deployment: other.clone(), ..it.record.attempts[0].clone() };
        it.record.attempts[0].failure = Some(FailureClass::Overloaded);
        it.record.attempts.push(next);
        it.record.served = Some(other);
    });
    assert_eq!((plain.name, fallen.unwrap().name), (first, second));
}

#[test]
fn the_surest_kind_decides_and_how_much_it_counts() {
    let bench = Bench::new();
    let check = |scores: &[(FeedbackKind, f64)], wanted: Option<(f32, f64)>| {
        let found = told(&bench, |it| {
            it.scores = scores.iter().map(|it| (it.0, Probability::clamped(it.1))).collect();
        });
        let found = found.unwrap().lesson.map(|(it, weight)| (it.quality, weight));
        assert_eq!(found, wanted, "{scores:?}");
    };
    check(&[], None);
    check(&[(FeedbackKind::Implicit, 0.0)], Some((0.0, 0.2)));
    check(&[(FeedbackKind::Implicit, 0.0), (FeedbackKind::Judge, 0.75)], Some((0.75, 0.5)));
    check(&[(FeedbackKind::Judge, 0.0), (FeedbackKind::Explicit, 1.0)], Some((1.0, 1.0)));
}

#[test]
fn what_is_nobodys_teaches_nothing() {
    let bench = Bench::new();
    let check = |change: &dyn Fn(&mut Logged), wanted: Mute| {
        assert_eq!(told(&bench, change).err(), Some(wanted));
    };
    check(&|it| it.record.features.truncate(3), Mute::OtherInputs);
    check(&|it| it.record.end = "broken".into(), Mute::Unanswered);
    check(&|it| it.record.served = None, Mute::Unanswered);
    let seam = |it: &mut Logged| {
        let deployment = it.record.ranked[1].deployment.clone();
        it.record.seams = vec![Seam { deployment, at_bytes: 3 }];
    };
    check(&seam, Mute::Unanswered);
    let forced = |it: &mut Logged| it.record.attempts[0].detail = Some("forced: timeout".into());
    check(&forced, Mute::Forced);
    let silent = |it: &mut Logged| {
        it.scores.clear();
        it.record.attempts[0].usage_estimated = true;
    };
    check(&silent, Mute::Nothing);
    let cut = |it: &mut Logged| {
        it.scores.clear();
        it.record.need.max_output_tokens = Some(90);
    };
    check(&cut, Mute::Nothing);
}

#[test]
fn only_those_who_answered_move_and_nothing_is_learned_twice() {
    let bench = Bench::new();
    let artifact = Artifact::shipped(&Encoder::shipped().unwrap()).unwrap();
    let served = Served::new(artifact);
    let log: Vec<Logged> = (0..40).map(|at| bench.logged(at)).collect();
    let (learned, counts) = learn(&log, &served, &Lessons::default()).unwrap();
    assert_eq!((counts.decisions, counts.mute.len()), (40, 0));
    let before = &served.artifact;
    assert_eq!((&learned.trunks, &learned.reference), (&before.trunks, &before.reference));
    let names: Vec<String> =
        (0..40).map(|at| taught(&log[at], &served.predictor).unwrap().name).collect();
    for (row, model) in before.manifest.models.iter().enumerate() {
        let own = row * HEAD..(row + 1) * HEAD;
        let moved = learned.quality_mean[own.clone()] != before.quality_mean[own];
        assert_eq!(moved, names.contains(&model.name), "{}", model.name);
    }
    let lineage = learned.manifest.lineage.clone().unwrap();
    assert_eq!((lineage.scores, lineage.outcomes_until_unix_ms), (40, 39));
    assert_eq!(lineage.root, before.manifest.version);
    assert!(learned.manifest.version.starts_with(&format!("{}.1-", lineage.root)));
    let again = Served::new(learned);
    let (same, counts) = learn(&log, &again, &Lessons::default()).unwrap();
    assert_eq!((counts.decisions, counts.mute[&Mute::OtherTime]), (0, 40));
    assert_eq!(same.quality_mean, again.artifact.quality_mean);
    assert_eq!(same.manifest.lineage.unwrap().generation, 2);
    let young = Lessons { until_unix_ms: 9, ..Lessons::default() };
    assert_eq!(learn(&log, &served, &young).unwrap().1.decisions, 10);
}
