//! The loop closed around a server that runs: callers route and score over gRPC, the log is exported,
//! `pointsman-train` learns from the export and promotes, the server reloads; and again.
//!
//! In: a world that the shipped artifact is wrong about. Out: nothing, unless it is not served better
//! and better. Invariant: the server is never stopped; what is trained on is the export alone. The
//! short form routes [`REQUESTS`] a round and scores each; `CLOSED_LOOP_REQUESTS=20000` routes more and
//! scores as many, one in ten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pointsman::api::proto::{
    FeedbackKind, FeedbackRequest, Message, Part, Role, RouteRequest, part::Content,
};
use pointsman::domain::Probability;
use pointsman::encoder::Encoder;
use pointsman::prediction::Artifact;
use pointsman::ranking::Preference;
use pointsman_training::course::Course;
use pointsman_training::drift::Drift;
use pointsman_training::make::save;
use pointsman_training::outcomes::{self, OutcomeSource, Visit};
use pointsman_training::relearn::{Lessons, Served, learn};
use pointsman_training::report::log_html;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::house::House;
use crate::prompts::{self, KINDS};
use crate::world::{Critic, MODELS, Quality, honest, quality, swapped};

/// Requests of a round, in the short form.
const REQUESTS: u64 = 2_000;
/// Scores of a round, in either form: a tenth of 20,000.
const SCORES: f64 = 2_000.0;
/// Rounds of route, export, retrain, promote, reload.
const ROUNDS: usize = 3;
/// What a request gives up to learn, in units of quality: enough where the served artifact holds the
/// models to be nearly alike.
const GIVEN_UP: f64 = 0.03;
/// The same where it may be sure of the wrong ones.
const GIVEN_UP_LATER: f64 = 0.05;
/// Until a world turned upside down is served well again: four to seven rounds, since now and then a
/// candidate is refused for want of evidence, and a round goes by.
const RECOVERY_ROUNDS_MAX: usize = 12;
/// Callers at the same time.
const CALLERS: usize = 16;
/// Standard error of a round's mean utility: qualities of one round deviate by some 0.25.
const ERROR: f64 = 0.25;

/// Callers, what they asked so far, and what it took.
struct Town {
    house: House,
    prompts: Arc<Vec<(usize, String)>>,
    requests: u64,
    rounds: u64,
    exported: u64,
    /// By kind and model: answers, and what their cost and time were worth.
    spent: [[(f64, f64); MODELS.len()]; KINDS],
}

/// One answer.
struct Answered {
    kind: usize,
    model: usize,
    /// What its cost and its time were worth, in units of quality.
    spent: f64,
}

impl Town {
    async fn new(given_up: f64) -> Self {
        let asked = std::env::var("CLOSED_LOOP_REQUESTS").ok().and_then(|it| it.parse().ok());
        let (house, prompts) = (House::start(given_up).await, Arc::new(prompts::all()));
        let requests = asked.unwrap_or(REQUESTS);
        Self { house, prompts, requests, rounds: 0, exported: 0, spent: Default::default() }
    }

    /// Routes a round's requests, and scores some; the mean true utility of the answers.
    async fn route(&mut self, quality: &Quality, critic: Critic) -> f64 {
        self.rounds += 1;
        let (next, seed) = (Arc::new(AtomicU64::new(0)), self.rounds << 32);
        let callers = (0..CALLERS).map(|_| {
            let (client, prompts) = (self.house.client.clone(), Arc::clone(&self.prompts));
            let caller = Caller { client, prompts, quality: *quality, critic };
            tokio::spawn(caller.calls(Arc::clone(&next), (self.requests, seed)))
        });
        let (mut sum, mut count) = (0.0, 0.0);
        for caller in callers.collect::<Vec<_>>() {
            for it in caller.await.expect("every request is answered") {
                let place = &mut self.spent[it.kind][it.model];
                *place = (place.0 + 1.0, place.1 + it.spent);
                sum += quality[it.kind][it.model] - it.spent;
                count += 1.0;
            }
        }
        sum / count
    }

    /// The utility of the best model for each kind, told in hindsight; what nobody ever tried costs
    /// nothing here.
    fn best(&self, quality: &Quality) -> f64 {
        let of = |(quality, spent): (&[f64; MODELS.len()], &[(f64, f64); MODELS.len()])| {
            let each = quality.iter().zip(spent).map(|(it, spent)| it - spent.1 / spent.0.max(1.0));
            each.fold(f64::NEG_INFINITY, f64::max)
        };
        quality.iter().zip(&self.spent).map(of).sum::<f64>() / KINDS as f64
    }

    /// Exports, retrains from the export, and reloads; whether another artifact serves.
    async fn learn(&mut self) -> bool {
        self.exported += self.house.export().await.outcomes;
        assert_eq!(self.exported, self.rounds * self.requests, "each record once");
        let (export, live) = (self.house.place("export"), self.house.place("live"));
        let args = ["retrain", "--outcomes", &export, "--incumbent", &live];
        let trained = self.house.train(&args).await;
        let (changed, version) = self.house.reload().await;
        match trained.code {
            Some(0) => {
                assert!(trained.told.contains(&format!("promoted {version}")), "{trained:?}")
            }
            Some(3) => {
                let why = trained.told.lines().filter(|it| it.starts_with("  - "));
                why.for_each(|it| println!("{it}"));
            }
            _ => panic!("{}", trained.told),
        }
        assert_eq!(changed, trained.code == Some(0), "what is promoted serves, and nothing else");
        changed
    }

    /// How far two means of rounds may be apart by chance.
    fn slack(&self) -> f64 {
        3.0 * ERROR * (2.0 / self.requests as f64).sqrt()
    }
}

struct Caller {
    client: pointsman::api::proto::pointsman_client::PointsmanClient<tonic::transport::Channel>,
    prompts: Arc<Vec<(usize, String)>>,
    quality: Quality,
    critic: Critic,
}

impl Caller {
    async fn calls(mut self, next: Arc<AtomicU64>, (requests, seed): (u64, u64)) -> Vec<Answered> {
        let mut all = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= requests {
                return all;
            }
            let mut random = ChaCha8Rng::seed_from_u64(seed + at);
            all.push(
                self.call(random.random_bool((SCORES / requests as f64).min(1.0)), &mut random)
                    .await,
            );
        }
    }

    async fn call(&mut self, scored: bool, random: &mut ChaCha8Rng) -> Answered {
        let (kind, text) = self.prompts[random.random_range(0..self.prompts.len())].clone();
        let part = Part { content: Some(Content::Text(text)) };
        let messages = vec![Message { role: Role::User.into(), parts: vec![part] }];
        let request = RouteRequest { messages, ..RouteRequest::default() };
        let answer = self.client.route(request).await.expect("an answer").into_inner();
        assert!(answer.outcome_recorded);
        let model = MODELS.iter().position(|it| *it == answer.served_model).expect("a model");
        if scored {
            let score = (self.critic)(self.quality[kind][model], random);
            let request = FeedbackRequest {
                decision_id: answer.decision.expect("a decision").id,
                score: Some(score),
                kind: FeedbackKind::Explicit.into(),
                comment: None,
                idempotency_key: None,
            };
            self.client.feedback(request).await.expect("it is taken");
        }
        let Preference { cost_per_quality_usd, latency_per_quality_ms } = Preference::BALANCED;
        let cost = answer.cost_usd / cost_per_quality_usd;
        Answered { kind, model, spent: cost + answer.total_ms / latency_per_quality_ms }
    }
}

/// Scores that were turned upside down on their way.
struct Corrupted(Box<dyn OutcomeSource>);

impl OutcomeSource for Corrupted {
    fn each(&self, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        self.0.each(&mut |it| {
            visit(it.map(|mut logged| {
                let opposite = |it: Probability| Probability::clamped(1.0 - it.get());
                logged.scores.iter_mut().for_each(|it| it.1 = opposite(it.1));
                logged
            }));
        })
    }
}

/// What was learned from corrupted scores, judged by the true ones, is refused, and nothing changes.
async fn corrupted_scores_are_refused(town: &mut Town) {
    town.exported += town.house.export().await.outcomes;
    let (export, live) = (town.house.place("export"), town.house.path("live"));
    let (candidate, from) = (town.house.path("corrupted"), export.clone());
    let learned = tokio::task::spawn_blocking(move || {
        let encoder = Encoder::shipped().expect("an encoder");
        let served = Served::new(Artifact::open(&live, &encoder).expect("it is read"));
        let source = Corrupted(outcomes::open(&from).expect("an export"));
        let (learned, counts) = learn(&source, &served, &Lessons::default()).expect("it learns");
        save(&learned, "", &candidate).expect("it is written");
        counts.decisions
    });
    assert!(learned.await.expect("no panic") > 0);
    let (candidate, live) = (town.house.place("corrupted"), town.house.place("live"));
    let args = ["promote", "--log", &export, "--candidate", &candidate, "--incumbent", &live];
    let judged = town.house.train(&args).await;
    assert!(judged.code == Some(1) && judged.told.contains("not promoted"), "{judged:?}");
    assert!(!town.house.reload().await.0, "the one before goes on serving");
}

/// The page of the log, as `evaluate` writes it and with what is known here alone.
async fn the_page_has_a_dot_for_each_artifact(town: &Town, artifacts: usize, best: f64) {
    let (export, page) = (town.house.place("export"), town.house.place("log.html"));
    let told = town.house.train(&["evaluate", "--outcomes", &export, "--html", &page]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let dots = |page: &str| page.matches("<circle").count();
    assert_eq!(dots(&std::fs::read_to_string(&page).expect("a page")), artifacts);
    let page = tokio::task::spawn_blocking(move || {
        let source = outcomes::open(&export).expect("an export");
        let course = Course::of(source.as_ref()).expect("it is read");
        let course = course.against("the best model for each kind, in hindsight", best);
        log_html(&course, &Drift::of(source.as_ref()).expect("it is read"))
    });
    let page = page.await.expect("no panic");
    assert!(dots(&page) == artifacts && page.contains("in hindsight"));
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/closed_loop.html");
    std::fs::write(path, page).expect("it is written");
    println!("the plot is in {path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_learns_serves_its_world_better_and_better() {
    let (mut town, truth) = (Town::new(GIVEN_UP).await, quality());
    let mut worth = vec![town.route(&truth, honest).await];
    let mut artifacts = 1;
    for round in 0..ROUNDS {
        let promoted = town.learn().await;
        artifacts += usize::from(promoted);
        worth.push(town.route(&truth, honest).await);
        println!("round {round}: {worth:.3?} of {:.3}, promoted: {promoted}", town.best(&truth));
        // The first has everything to gain; what is refused later, for want of evidence, changes
        // nothing.
        let slack = if round == 0 { 0.0 } else { town.slack() };
        assert!(worth[round + 1] > worth[round] - slack, "{worth:?}");
    }
    let best = town.best(&truth);
    let way = (worth[ROUNDS] - worth[0]) / (best - worth[0]);
    assert!(way >= 0.8, "{worth:?} of {best}: {way}");
    corrupted_scores_are_refused(&mut town).await;
    the_page_has_a_dot_for_each_artifact(&town, artifacts, best).await;
    town.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_models_swap_abilities_recovers() {
    let (mut town, after) = (Town::new(GIVEN_UP_LATER).await, swapped(quality()));
    for _ in 0..2 {
        town.route(&quality(), honest).await;
        town.learn().await;
    }
    let mut worth = vec![town.route(&after, honest).await];
    let way = |worth: &[f64], best: f64| (worth[worth.len() - 1] - worth[0]) / (best - worth[0]);
    while worth.len() <= RECOVERY_ROUNDS_MAX && way(&worth, town.best(&after)) < 0.8 {
        let promoted = town.learn().await;
        worth.push(town.route(&after, honest).await);
        println!("after the swap: {worth:.3?} of {:.3}, promoted: {promoted}", town.best(&after));
    }
    assert!(way(&worth, town.best(&after)) >= 0.8, "{worth:?} of {}", town.best(&after));
    town.house.stop().await;
}
