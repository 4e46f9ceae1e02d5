//! The chain and the health of those it calls, under a paused clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::fixtures::{Figures, Script, Turn, answers, fails, hangs, health, limited, ranking};
use super::health::Phase;
use super::{ChainEnd, ChainFailure, Dispatched, Health, Plan, run};
use crate::domain::{ChatRequest, FailureClass, ProviderName};
use crate::ranking::{Policy, Ranking};

const FIGURES: Figures =
    Figures { latency_s: 1.0, cost_usd: 0.001, window: 8_000, last_resort: false };

fn seconds(it: u64) -> Duration {
    Duration::from_secs(it)
}

/// Requests to one fleet, whose health is remembered from one to the next.
struct Town {
    ranking: Ranking,
    health: Health,
    policy: Policy,
}

impl Town {
    fn of(count: usize) -> Self {
        let ranking = ranking(&vec![FIGURES; count]);
        Self { health: health(&ranking), ranking, policy: Policy::default() }
    }

    async fn ask(&self, script: &Script) -> Dispatched {
        let request = &ChatRequest::from_prompt("hello");
        let (ranking, policy, health) = (&self.ranking, &self.policy, &self.health);
        let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
        let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
        run(plan, script, 7, std::future::pending()).await
    }

    fn phase(&self, at: usize) -> Phase {
        self.health.conditions(self.health.now())[at].phase
    }
}

fn served(dispatched: &Dispatched) -> Option<String> {
    match &dispatched.end {
        ChainEnd::Served { deployment, .. } => Some(deployment.model_id.clone()),
        ChainEnd::Broken { .. } | ChainEnd::Failed(_) => None,
    }
}

fn failure(dispatched: &Dispatched) -> Option<ChainFailure> {
    match &dispatched.end {
        ChainEnd::Failed(failure) => Some(*failure),
        ChainEnd::Served { .. } | ChainEnd::Broken { .. } => None,
    }
}

fn calls(script: &Script, model: &str) -> usize {
    script.models().iter().filter(|it| *it == model).count()
}

fn dead(count: usize) -> Vec<Turn> {
    let ill = fails(FailureClass::Malformed);
    [vec![ill; count], vec![answers()]].concat()
}

#[tokio::test(start_paused = true)]
async fn a_dead_primary_is_left_alone_and_comes_back() {
    let town = Town::of(2);
    let script = Script::new(vec![dead(6)]);
    for _ in 0..40 {
        assert_eq!(served(&town.ask(&script).await).as_deref(), Some("m1"));
        if calls(&script, "m0") == 5 {
            break;
        }
    }
    assert!(matches!(town.phase(0), Phase::Open(_)));
    for _ in 0..10 {
        assert_eq!(served(&town.ask(&script).await).as_deref(), Some("m1"));
    }
    assert_eq!(calls(&script, "m0"), 5, "nobody calls it while it is open");
    // A probe fails, a second one succeeds, and all traffic is back within 30 s.
    let recovered = Instant::now();
    advance(seconds(2)).await;
    assert_eq!(served(&town.ask(&script).await).as_deref(), Some("m1"));
    assert_eq!(calls(&script, "m0"), 6);
    advance(seconds(4)).await;
    assert_eq!(served(&town.ask(&script).await).as_deref(), Some("m0"));
    advance(seconds(5)).await;
    for _ in 0..10 {
        assert_eq!(served(&town.ask(&script).await).as_deref(), Some("m0"));
    }
    assert_eq!(town.phase(0), Phase::Closed);
    assert!(recovered.elapsed() < seconds(30));
}

#[tokio::test(start_paused = true)]
async fn a_ramp_sends_the_rest_elsewhere_but_never_away() {
    let check = async |count: usize, all: bool| {
        let town = Town::of(count);
        let script = Script::new(vec![dead(5)]);
        for _ in 0..5 {
            town.ask(&script).await;
        }
        advance(seconds(2)).await;
        assert_eq!(served(&town.ask(&script).await).as_deref(), Some("m0"), "the probe");
        assert!(matches!(town.phase(0), Phase::Ramping(_)));
        let before = calls(&script, "m0");
        for _ in 0..10 {
            assert!(served(&town.ask(&script).await).is_some());
        }
        assert_eq!(calls(&script, "m0") - before == 10, all);
    };
    // The draw of a plan is fixed by its seed, 7: it is not among the first tenth.
    check(2, false).await;
    check(1, true).await;
}

#[tokio::test(start_paused = true)]
async fn when_all_are_shut_the_first_to_open_is_waited_for() {
    let town = Town::of(2);
    let script = Script::new(vec![
        vec![limited(seconds(9)), answers()],
        vec![limited(seconds(5)), answers()],
    ]);
    let first = town.ask(&script).await;
    assert_eq!(failure(&first), Some(ChainFailure::Exhausted));
    // The second one was asked 100 ms after the first, and takes 100 ms to say so.
    assert_eq!(first.retry_in, Some(seconds(5)));
    let began = Instant::now();
    let second = town.ask(&script).await;
    assert_eq!(served(&second).as_deref(), Some("m1"));
    assert_eq!(second.attempts.len(), 1);
    let waited = began.elapsed();
    assert!((seconds(5)..seconds(6)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn when_none_opens_in_time_the_caller_learns_when() {
    let mut town = Town::of(2);
    let script = Script::new(vec![vec![limited(seconds(9))], vec![limited(seconds(5))]]);
    town.ask(&script).await;
    town.policy.budget.max_latency = seconds(4);
    let began = Instant::now();
    let told = town.ask(&script).await;
    assert_eq!(failure(&told), Some(ChainFailure::AllShut { retry_in: seconds(5) }));
    assert_eq!((told.attempts.len(), told.retry_in), (0, Some(seconds(5))));
    assert!(began.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn one_probe_for_many_who_wait() {
    let town = Arc::new(Town::of(1));
    // It opens, its first probe fails after 100 ms, the next one succeeds.
    let script = Arc::new(Script::new(vec![dead(6)]));
    for _ in 0..5 {
        town.ask(&script).await;
    }
    let ask = || {
        let (town, script) = (Arc::clone(&town), Arc::clone(&script));
        tokio::spawn(async move { failure(&town.ask(&script).await) })
    };
    let crowd: Vec<_> = (0..50).map(|_| ask()).collect();
    let mut ends = Vec::new();
    for it in crowd {
        ends.push(it.await.unwrap());
    }
    // Whoever waited for the probe that failed waits for the next one too.
    assert_eq!(calls(&script, "m0"), 6 + 49);
    assert_eq!(ends.iter().filter(|it| it.is_none()).count(), 49);
    // Everyone who waits for a probe that succeeds is served.
    let crowd: Vec<_> = (0..50).map(|_| ask()).collect();
    for it in crowd {
        assert_eq!(it.await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_the_probe_back() {
    let town = Town::of(1);
    let script = Script::new(vec![
        [dead(5), vec![hangs()]]
            .concat()
            .into_iter()
            .filter(|it| it.result.is_err() || it.takes > seconds(9))
            .collect(),
    ]);
    for _ in 0..5 {
        town.ask(&script).await;
    }
    advance(seconds(2)).await;
    let request = &ChatRequest::from_prompt("hello");
    let (ranking, policy, health) = (&town.ranking, &town.policy, &town.health);
    let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
    let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
    let left = run(plan, &script, 7, tokio::time::sleep(seconds(1))).await;
    assert_eq!(failure(&left), Some(ChainFailure::Cancelled));
    assert_eq!(town.phase(0), Phase::Due);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_speaks_for_the_provider_puts_its_others_behind() {
    let check = async |class: FailureClass, wanted: &[&str]| {
        let mut town = Town::of(4);
        let providers = ["one", "one", "two", "two"];
        for (entry, provider) in town.ranking.entries.iter_mut().zip(providers) {
            Arc::make_mut(&mut entry.deployment).provider = ProviderName::new(provider).unwrap();
        }
        town.policy.fallback.candidates_max = 4;
        let ill = vec![fails(class)];
        let script = Script::new(vec![ill.clone(), ill.clone(), ill.clone(), ill]);
        town.ask(&script).await;
        assert_eq!(script.models(), wanted, "{class:?}");
    };
    check(FailureClass::Auth, &["m0", "m2", "m1", "m3"]).await;
    // The sixth call is the last, and goes to one that had none yet.
    check(FailureClass::Connection, &["m0", "m0", "m2", "m2", "m1", "m3"]).await;
    check(FailureClass::Malformed, &["m0", "m1", "m2", "m3"]).await;
}

#[tokio::test(start_paused = true)]
async fn without_retries_left_the_next_candidate_comes() {
    let town = Town::of(2);
    let mut models = Vec::new();
    // The breaker would open first: every second answer is an answer.
    for _ in 0..40 {
        let script = Script::new(vec![vec![fails(FailureClass::Connection), answers()]]);
        town.ask(&script).await;
        town.ask(&script).await;
        town.ask(&script).await;
        models.push(script.models());
    }
    let twice = models.iter().filter(|it| it.starts_with(&["m0".into(), "m0".into()]));
    let next = models.iter().filter(|it| it.starts_with(&["m0".into(), "m1".into()]));
    let (twice, next) = (twice.count(), next.count());
    assert_eq!(twice + next, 40);
    // 120 requests within 16 s: 20 % of the last 10 s are no more than 20.
    assert!((10..40).contains(&twice), "{twice} second calls");
    assert!(next > 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_last_is_told_by_the_soonest() {
    let town = Town::of(2);
    let never = Script::new(vec![vec![fails(FailureClass::Malformed)], vec![limited(seconds(30))]]);
    let told = town.ask(&never).await;
    assert_eq!(told.retry_in, Some(seconds(2)), "nothing is known of the first: the default");
    let auth = vec![fails(FailureClass::Auth)];
    let town = Town::of(1);
    let told = town.ask(&Script::new(vec![auth])).await;
    assert_eq!(told.retry_in, Some(seconds(60)));
}
