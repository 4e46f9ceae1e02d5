//! Scores that change the choice while the server runs.
#![allow(clippy::unwrap_used, reason = "a test may stop on the first surprise")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use pointsman::api::proto::{Decision, FeedbackKind, FeedbackRequest, RankRequest};
use pointsman::config;
use pointsman::domain::ChatRequest;
use pointsman::outcome::{OutcomeReader, differences};
use pointsman::pipeline::{LearningState, Pipeline};
use pointsman::ranking::Policy;
use pointsman::simulator::Simulator;
use support::{House, ask, config_text, instant_models, prompt};

/// Scores of 0 until the best is not preferred any more.
const SCORES: usize = 30;

/// A server whose outcomes stay at `store`; `learning` is the end of its config.
async fn house(store: &Path, learning: &'static str) -> House {
    let store = store.to_owned();
    let config = move |simulator: &Simulator, listen: SocketAddr, _: &Path| {
        config_text(&simulator.base_url(), listen, &store) + learning
    };
    House::with(instant_models(), config).await
}

const ONLINE: &str = "[learning]\nonline = true\n";

/// Read as deeply as can be: a busy machine may read a prompt less deeply at first, and remembers it.
async fn ranked(house: &mut House, number: usize) -> Decision {
    let began = Instant::now();
    loop {
        let request = RankRequest { request: Some(ask(&prompt(number))) };
        let ranked = house.client.rank(request).await.unwrap().into_inner();
        let decision = ranked.decision.unwrap();
        if decision.encoder_exit > 0 {
            return decision;
        }
        assert!(began.elapsed() < support::PATIENCE);
    }
}

/// What is expected of each model, by name.
fn qualities(of: &Decision) -> Vec<(String, f64)> {
    let quality = |it: &pointsman::api::proto::RankedCandidate| {
        (it.model.clone(), it.prediction.as_ref().unwrap().quality)
    };
    let mut all: Vec<_> = of.ranking.iter().map(quality).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn score(decision_id: &str, score: f64, kind: FeedbackKind) -> FeedbackRequest {
    FeedbackRequest {
        decision_id: decision_id.to_owned(),
        score: Some(score),
        kind: kind.into(),
        comment: None,
        idempotency_key: None,
    }
}

/// Asks the best model, and says that its answers are wrong; gives the decisions.
async fn complain(house: &mut House, scores: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..scores {
        let mut wire = ask(&prompt(number));
        wire.candidates.get_or_insert_default().allow = vec!["best".to_owned()];
        let answer = house.client.route(wire).await.unwrap().into_inner();
        ids.push(answer.decision.unwrap().id);
    }
    // The other way round: the order of scores must not matter.
    for id in ids.iter().rev() {
        house.client.feedback(score(id, 0.0, FeedbackKind::Explicit)).await.unwrap();
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_move_the_ranking_and_a_restart_keeps_it_moved() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("outcomes.db");
    let mut first = house(&store, ONLINE).await;
    let before = ranked(&mut first, 3).await;
    assert_eq!((before.ranking[0].model.as_str(), before.learned_updates), ("best", 0));
    let ids = complain(&mut first, SCORES).await;
    let after = ranked(&mut first, 3).await;
    assert_ne!(after.ranking[0].model, "best");
    assert_eq!(after.learned_updates, SCORES as u64);
    // The same again, and another score by the same kind, change nothing.
    for value in [0.0, 1.0] {
        let again = score(&ids[0], value, FeedbackKind::Explicit);
        assert!(!first.client.feedback(again).await.unwrap().into_inner().newly_stored);
    }
    // A judge beside a person neither, nor behaviour.
    for kind in [FeedbackKind::Judge, FeedbackKind::Implicit] {
        assert!(
            first.client.feedback(score(&ids[0], 1.0, kind)).await.unwrap().get_ref().newly_stored
        );
    }
    assert_eq!(qualities(&ranked(&mut first, 3).await), qualities(&after));
    first.stop().await;

    let mut second = house(&store, ONLINE).await;
    let restarted = ranked(&mut second, 3).await;
    assert_eq!(qualities(&restarted), qualities(&after));
    assert_eq!(restarted.learned_updates, SCORES as u64);
    second.stop().await;

    let mut off = house(&store, "").await;
    let plain = ranked(&mut off, 3).await;
    assert_eq!((plain.ranking[0].model.as_str(), plain.learned_updates), ("best", 0));
    assert_eq!(qualities(&plain), qualities(&before));
    off.stop().await;
    let mut records = 0;
    let reader = OutcomeReader::open(&store).unwrap();
    reader
        .for_each(|it| {
            records += 1;
            assert_eq!(differences(&it.unwrap().record), []);
        })
        .unwrap();
    assert_eq!(records, SCORES);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_online_learning_scores_are_only_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut house = house(&folder.path().join("outcomes.db"), "[learning]\nonline = false\n").await;
    let before = ranked(&mut house, 3).await;
    complain(&mut house, SCORES).await;
    let after = ranked(&mut house, 3).await;
    assert_eq!(qualities(&after), qualities(&before));
    assert_eq!((after.ranking[0].model.as_str(), after.learned_updates), ("best", 0));
    house.stop().await;
}

/// The same pipeline on a log that a server wrote.
fn reopened(store: &Path) -> Pipeline {
    let listen = SocketAddr::from(([127, 0, 0, 1], 1));
    let text = config_text("http://127.0.0.1:9", listen, store) + ONLINE;
    let key = |name: &str| name.ends_with("_KEY").then(|| "key".to_owned());
    support::pipeline_of(config::from_toml(&text, &key).map_err(|it| it.to_string()).unwrap())
}

/// How good the best is believed to be, read as deeply as can be.
fn quality(pipeline: &Pipeline) -> f64 {
    let (request, began) = (ChatRequest::from_prompt(prompt(3)), Instant::now());
    loop {
        let decision = pipeline.rank(&request, &Policy::default()).unwrap();
        assert!(began.elapsed() < support::PATIENCE);
        if decision.encoder_exit > 0 {
            let ranking = decision.verdict.unwrap();
            let mut all = ranking.entries.iter();
            let best = all.find(|it| it.deployment.model.name.as_str() == "best");
            return best.unwrap().prediction.quality.mean.get();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judge_counts_less_and_strange_records_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("outcomes.db");
    let mut house = house(&store, "").await;
    complain(&mut house, 4).await;
    house.stop().await;
    let file = rusqlite::Connection::open(&store).unwrap();
    // What the log comes to after a change: decisions learned from, and skipped, and the quality.
    let after = async |change: &str| {
        file.execute(change, []).unwrap();
        let pipeline = reopened(&store);
        let LearningState { updates, skipped } = pipeline.learning_state().unwrap();
        let found = ((updates, skipped), quality(&pipeline));
        pipeline.close().await;
        found
    };
    let said = |kind: &str| format!("UPDATE feedback SET kind = '{kind}'");
    let explicit = after(&said("explicit")).await;
    let judge = after(&said("judge")).await;
    let implicit = after(&said("implicit")).await;
    assert_eq!([explicit.0, judge.0, implicit.0], [(4, 0), (4, 0), (0, 0)]);
    assert!(explicit.1 < judge.1 && judge.1 < implicit.1, "{explicit:?} {judge:?} {implicit:?}");
    assert_eq!(after(&said("exact_match")).await, explicit);

    let oldest = "decision = (SELECT min(decision) FROM outcome)";
    for what in ["'$.encoder_exit', 2", "'$.artifact_version', 'another'", "'$.served', null"] {
        let change = format!("UPDATE outcome SET record = json_set(record, {what}) WHERE {oldest}");
        assert_eq!(after(&change).await.0, (3, 1), "{what}");
    }
    let all = "UPDATE outcome SET record = json_set(record, '$.artifact_version', 'another')";
    assert_eq!(after(all).await, ((0, 4), implicit.1));
}
