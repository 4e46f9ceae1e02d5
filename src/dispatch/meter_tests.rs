//! Deployments that take only so much in a minute, under a paused clock.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::fixtures::{Figures, Script, answers, fails, ranking};
use super::{BreakerSettings, ChainEnd, ChainFailure, Dispatched, Health, PerMinute, Plan, run};
use crate::domain::{ChatRequest, FailureClass};
use crate::ranking::{Policy, Ranking};

const FIGURES: Figures =
    Figures { latency_s: 1.0, cost_usd: 0.001, window: 8_000, last_resort: false };

struct Town {
    ranking: Ranking,
    health: Health,
    policy: Policy,
}

impl Town {
    /// Two deployments, of which each takes so many calls in a minute.
    fn of(calls: [u64; 2]) -> Self {
        let ranking = ranking(&[FIGURES; 2]);
        let ids = || ranking.entries.iter().map(|it| it.deployment.id.clone());
        let limits = calls.map(|it| PerMinute { calls: Some(it), tokens: None });
        let health = Health::new(ids(), BreakerSettings::default()).metered(ids().zip(limits));
        Self { health, ranking, policy: Policy::default() }
    }

    async fn ask(&self, script: &Script) -> Dispatched {
        let request = &ChatRequest::from_prompt("hello");
        let (ranking, policy, health) = (&self.ranking, &self.policy, &self.health);
        let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
        let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
        run(plan, script, 7, std::future::pending()).await
    }

    fn used(&self) -> Vec<u64> {
        self.health.used(self.health.now()).iter().map(|it| it.calls).collect()
    }
}

fn end(of: &Dispatched) -> Result<&str, ChainFailure> {
    match &of.end {
        ChainEnd::Served { deployment, .. } => Ok(&deployment.model_id),
        ChainEnd::Broken { .. } => Err(ChainFailure::Exhausted),
        ChainEnd::Failed(failure) => Err(*failure),
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_one_is_passed_over_and_comes_back_after_its_minute() {
    let town = Town::of([2, 1]);
    let script = Script::new(vec![vec![answers()], vec![answers()]]);
    for wanted in ["m0", "m0", "m1"] {
        assert_eq!(end(&town.ask(&script).await), Ok(wanted));
    }
    let told = town.ask(&script).await;
    assert!(matches!(end(&told), Err(ChainFailure::AllShut { .. })), "{told}");
    assert!(told.attempts.is_empty());
    assert!(told.retry_in.is_some_and(|it| it > Duration::from_secs(30)), "{:?}", told.retry_in);
    advance(Duration::from_secs(61)).await;
    assert_eq!(end(&town.ask(&script).await), Ok("m0"));
}

/// Failed calls, second calls and fallbacks count like any other.
#[tokio::test(start_paused = true)]
async fn every_attempt_counts() {
    let town = Town::of([9, 9]);
    let ill = fails(FailureClass::Malformed);
    let script = Script::new(vec![vec![ill, answers()], vec![answers()]]);
    let told = town.ask(&script).await;
    assert_eq!(end(&told), Ok("m1"));
    assert_eq!(town.used(), [1, 1]);
    assert_eq!(told.attempts.len(), 2);
}

/// Those who were ranked before anyone was full are counted when they call.
#[tokio::test(start_paused = true)]
async fn many_at_once_never_pass_the_limit() {
    let town = Town::of([7, 5]);
    let script = Script::new(vec![vec![answers()], vec![answers()]]);
    let asked = (0..200).map(|_| town.ask(&script));
    let told = futures_util::future::join_all(asked).await;
    let served = |name: &str| told.iter().filter(|it| end(it) == Ok(name)).count();
    assert_eq!((served("m0"), served("m1")), (7, 5));
    assert_eq!(town.used(), [7, 5]);
    let shut = told.iter().filter(|it| matches!(end(it), Err(ChainFailure::AllShut { .. })));
    assert_eq!(shut.count(), 188);
}
