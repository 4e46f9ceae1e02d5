//! The loop closed in a world that is known: route, score, learn, promote, and again.
//!
//! In: the shipped artifact, which is wrong about this world. Out: nothing, unless the world is served worse
//! than the log allows. Invariant: seeded and bounded; half a minute on two cores. The same around a
//! server that runs is in [`served`].
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper may stop on the first surprise"
)]

mod house;
mod prompts;
mod served;
mod world;

use std::path::Path;

use pointsman::prediction::{Artifact, Predictor};
use pointsman_training::make::save;
use pointsman_training::offpolicy::{
    Known, Log, Measure, Pair, Report, Target, cross_fitted, estimate, put_in_place,
};
use pointsman_training::relearn::{Lessons, Relearned, Served, learn, relearn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use world::{Bench, Critic, Quality, careless, honest, quality, swapped, upside_down};

/// Requests of one round.
const ROUND: u64 = 20_000;
/// Until a world turned upside down is served well again.
const RECOVERY_ROUNDS_MAX: usize = 6;

/// A server's artifact folder, its log, and the clock.
struct Loop<'a> {
    bench: &'a Bench,
    folder: tempfile::TempDir,
    served: Served,
    log: Vec<pointsman::outcome::Logged>,
    now_unix_ms: u64,
}

impl<'a> Loop<'a> {
    fn new(bench: &'a Bench) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shipped = Artifact::shipped(&bench.encoder).expect("the shipped artifact");
        save(&shipped, "", &folder.path().join("live")).expect("it is written");
        let (served, log) = (Served::new(shipped), Vec::new());
        Self { bench, folder, served, log, now_unix_ms: 1_700_000_000_000 }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn predictor(&self) -> &Predictor {
        &self.served.predictor
    }

    /// Serves so many requests, learns, and takes over what the gate lets through.
    fn round(&mut self, quality: &Quality, critic: Critic) -> Relearned {
        let when = (ROUND, self.now_unix_ms);
        self.log.extend(self.bench.route(self.predictor(), (quality, critic), when));
        self.now_unix_ms += ROUND;
        let found = relearn(&self.log, &self.served, &Lessons::default()).expect("it learns");
        if found.reasons().is_empty() {
            self.promote(&found.artifact);
        }
        found
    }

    fn promote(&mut self, candidate: &Artifact) {
        save(candidate, "", &self.path("candidate")).expect("it is written");
        put_in_place(&self.path("candidate"), &self.path("live")).expect("it is put in place");
        self.served = Served::new(reloaded(&self.path("live"), self.bench));
    }
}

fn reloaded(folder: &Path, bench: &Bench) -> Artifact {
    Artifact::open(folder, &bench.encoder).expect("it is read")
}

#[test]
fn every_round_is_better_and_the_last_is_near_the_best() {
    let (bench, truth) = (Bench::new(), quality());
    let mut all = Loop::new(&bench);
    let best = bench.best(&truth);
    let mut worth = vec![bench.worth(all.predictor(), &truth)];
    for round in 0..3 {
        let found = all.round(&truth, honest);
        worth.push(bench.worth(all.predictor(), &truth));
        println!("after round {round}: {worth:.3?} of {best:.3}, {:?}", found.reasons());
    }
    // What the requests of each of the three rounds earned; the third candidate may be refused, there
    // being nothing left to gain.
    assert!(worth[0] < worth[1] && worth[1] < worth[2] && worth[2] <= worth[3], "{worth:?}");
    let way = (worth[3] - worth[0]) / (best - worth[0]);
    assert!(way >= 0.8, "{worth:?} of {best}: {way}");
    let lineage = all.served.artifact.manifest.lineage.as_ref().expect("a lineage");
    assert!(lineage.generation >= 2 && lineage.outcomes_until_unix_ms < all.now_unix_ms);
}

#[test]
fn a_world_whose_models_swap_abilities_recovers() {
    let (bench, before, after) = (Bench::new(), quality(), swapped(quality()));
    let mut all = Loop::new(&bench);
    for _ in 0..2 {
        all.round(&before, honest);
    }
    let (low, best) = (bench.worth(all.predictor(), &after), bench.best(&after));
    let way = |worth: f64| (worth - low) / (best - low);
    let mut worth = vec![low];
    // The gate waits for evidence: some rounds change nothing.
    while worth.len() <= RECOVERY_ROUNDS_MAX && way(worth[worth.len() - 1]) < 0.8 {
        let found = all.round(&after, honest);
        worth.push(bench.worth(all.predictor(), &after));
        println!(
            "after round {}: {worth:.3?} of {best:.3}, {:?}",
            worth.len() - 1,
            found.reasons()
        );
    }
    assert!(worth.windows(2).all(|pair| pair[0] <= pair[1]), "{worth:?}");
    assert!(way(worth[worth.len() - 1]) >= 0.8, "{worth:?} of {best}");
}

#[test]
fn what_was_learned_from_corrupted_feedback_is_refused() {
    let (bench, truth) = (Bench::new(), quality());
    let mut all = Loop::new(&bench);
    // Scores that say nothing: whoever learned from them is no better.
    let found = all.round(&truth, careless);
    assert!(!found.reasons().is_empty());
    assert_eq!(all.served.learned_until_unix_ms(), None, "the shipped artifact goes on serving");
    // Scores turned upside down on the way, judged by what was really said.
    all.log.clear();
    all.round(&truth, honest);
    let when = (ROUND, all.now_unix_ms);
    let wrong = bench.route(all.predictor(), (&truth, upside_down), when);
    let (candidate, _) = learn(&wrong, &all.served, &Lessons::default()).expect("it learns");
    let right = bench.route(all.predictor(), (&truth, honest), when);
    let candidate = Predictor::new(candidate);
    let pair = Pair { candidate: &candidate, incumbent: all.predictor() };
    let log = Log::read(&right, pair, &Known::default()).expect("it is read");
    let report = Report::new(&log, pair);
    assert!(!report.shortfalls.is_empty(), "{report}");
    let worse = report.evidence.difference.expect("a difference");
    assert!(worse.high < 0.0, "{report}");
}

/// Twenty policies that know the prompt's kind and else draw as they like.
#[test]
fn intervals_of_random_policies_cover_what_they_are_worth() {
    let (bench, truth) = (Bench::new(), quality());
    let all = Loop::new(&bench);
    let log = bench.route(all.predictor(), (&truth, honest), (2 * ROUND, 1_700_000_000_000));
    let pair = Pair { candidate: all.predictor(), incumbent: all.predictor() };
    let rows = Log::read(&log, pair, &Known::default()).expect("it is read").rows;
    let guesses = cross_fitted(&rows, Measure::Utility);
    let kinds: Vec<usize> = log.iter().map(|it| bench.template_of(&it.record).kind()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut covered = 0;
    for _ in 0..20 {
        let policy: Vec<Vec<f64>> = (0..prompts::KINDS).map(|_| chances(&mut random)).collect();
        let target: Target = kinds.iter().map(|kind| policy[*kind].clone()).collect();
        let of = |it: &world::Template| -> f64 {
            let each = policy[it.kind()].iter().enumerate();
            each.map(|(model, chance)| chance * bench.utility(it, model, &truth)).sum()
        };
        let worth = bench.templates.iter().map(of).sum::<f64>() / bench.templates.len() as f64;
        let found = estimate(&rows, &target, &guesses, Measure::Utility).and_then(|it| it.dr);
        let found = found.expect("the log covers everyone");
        covered += usize::from(found.low <= worth && worth <= found.high);
    }
    assert!(covered >= 18, "{covered} of 20");
}

/// From even to nearly certain.
fn chances(random: &mut ChaCha8Rng) -> Vec<f64> {
    let sharp = random.random_range(0.5..3.0);
    let weights: Vec<f64> =
        world::MODELS.iter().map(|_| (sharp * random.random_range(-1.0..1.0_f64)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|it| it / sum).collect()
}
