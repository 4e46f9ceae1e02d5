//! What measured speeds change about choosing: who slows down loses the requests that are in a hurry,
//! and has them back when it is as it was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::advance;

use super::artifacts::Draw;
use super::consider::{Asked, Considered, Judge};
use super::{ArtifactPlaces, Artifacts, Learning};
use crate::catalog::{Catalog, Deployment, Fleet, Model, Speed};
use crate::dispatch::{BreakerSettings, ChainEnd, ChainFailure, Dispatched};
use crate::domain::{Attempt, ChatRequest, DeploymentId, FailureClass, ProviderName, Usage, Usd};
use crate::prediction::Manner;
use crate::ranking::{Availability, Policy, Preference, Ranked};

/// One model at two providers, of which the first is believed to be a little faster.
struct House {
    judge: Judge,
    quick: DeploymentId,
    other: DeploymentId,
    asked: u32,
}

impl House {
    fn new() -> Self {
        let catalog = Catalog::shipped().unwrap();
        let model = Arc::new(Model::clone(catalog.models().next().unwrap()));
        let at = |provider: &str, ttft_ms: f64, tokens_per_s: f64| {
            let provider = ProviderName::new(provider).unwrap();
            let speed = Speed { ttft_ms, tokens_per_s };
            Deployment { speed, ..Deployment::new(&model, &provider, "id".into()) }
        };
        let (quick, other) = (at("quick", 300.0, 70.0), at("other", 600.0, 50.0));
        let ids = (quick.id.clone(), other.id.clone());
        let fleet = Fleet::new(vec![quick, other]).unwrap();
        let artifacts = Arc::new(Artifacts::open(ArtifactPlaces::default()).unwrap());
        let (open, breakers) = (Availability::default(), BreakerSettings::default());
        let judge = Judge::new(fleet, open, breakers, artifacts, Learning::Off);
        Self { judge, quick: ids.0, other: ids.1, asked: 0 }
    }

    fn considered(&mut self) -> Considered {
        self.asked += 1;
        let request = ChatRequest::from_prompt(format!("What is {} plus one?", self.asked));
        let policy = Policy { preference: Preference::LATENCY, ..Policy::default() };
        let arrived = tokio::time::Instant::now();
        let (lineup, draw) = (self.judge.artifacts.now(), Draw::Served);
        let (request, policy, lineup) = (&request, &policy, &lineup);
        let asked = Asked { request, policy, session: None, arrived, lineup, draw };
        self.judge.consider(&asked, (Instant::now(), None)).unwrap()
    }

    /// Who is asked first.
    fn first(&mut self) -> DeploymentId {
        chosen(&self.considered()).deployment.id.clone()
    }

    /// Asks the first for a whole answer of 100 tokens, which takes so many times what was believed
    /// of the quick one; one second later the next may come.
    async fn ask(&mut self, slower: f64) -> DeploymentId {
        let considered = self.considered();
        let Ranked { deployment, .. } = chosen(&considered);
        let slower = if deployment.id == self.quick { slower } else { 1.0 };
        let Speed { ttft_ms, tokens_per_s } = deployment.speed;
        let total_ms = slower * (ttft_ms + 100.0 * 1_000.0 / tokens_per_s);
        self.learn(&considered, total_ms, None);
        advance(Duration::from_secs(1)).await;
        deployment.id.clone()
    }

    fn learn(&self, considered: &Considered, total_ms: f64, failure: Option<FailureClass>) {
        let attempt = Attempt {
            deployment: chosen(considered).deployment.id.clone(),
            failure,
            status: None,
            start_ms: 1.0,
            total_ms,
            ttft_ms: None,
            usage: Usage { output_tokens: 100, ..Usage::default() },
            usage_estimated: false,
            cost_usd: Usd::ZERO,
            detail: None,
        };
        let dispatched = Dispatched {
            // Learning reads the attempts alone.
            end: ChainEnd::Failed(ChainFailure::Exhausted),
            attempts: vec![attempt],
            dropped: vec![],
            retry_in: None,
            seams: vec![],
        };
        self.judge.learn(considered, &dispatched, Manner::Whole);
    }
}

fn chosen(considered: &Considered) -> &Ranked {
    &considered.decision.verdict.as_ref().unwrap().entries[0]
}

#[tokio::test(start_paused = true)]
async fn who_slows_down_loses_the_hurried_and_gets_them_back() {
    let mut house = House::new();
    for _ in 0..60 {
        assert_eq!(house.ask(1.0).await, house.quick, "as believed");
    }
    let mut slow_calls = 0_u32;
    while house.ask(3.0).await == house.quick {
        slow_calls += 1;
        assert!(slow_calls <= 20, "it is still asked");
    }
    assert!(slow_calls > 1, "one slow answer moves nobody");
    // A few slow answers may be chance: it is tried now and then, until it is sure.
    for _ in 0..60 {
        slow_calls += u32::from(house.ask(3.0).await == house.quick);
    }
    assert!(slow_calls <= 20, "{slow_calls} of 60 more");
    assert_eq!(house.first(), house.other);
    // It is as it was, and nobody knows. What was seen fades.
    advance(Duration::from_secs(15 * 60)).await;
    assert_eq!(house.first(), house.quick);
    for _ in 0..60 {
        assert_eq!(house.ask(1.0).await, house.quick, "and stays");
    }
    let figures = house.judge.speed_figures(&house.quick);
    assert_eq!(figures.samples, 120 + u64::from(slow_calls));
}

#[tokio::test(start_paused = true)]
async fn who_runs_out_of_time_is_slow() {
    let mut house = House::new();
    for _ in 0..20 {
        let considered = house.considered();
        if chosen(&considered).deployment.id == house.other {
            return;
        }
        house.learn(&considered, 15_000.0, Some(FailureClass::Deadline));
    }
    panic!("a deployment that never answers in time is still asked first");
}
