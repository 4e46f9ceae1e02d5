//! Routes over rankings made by hand: who comes first, who is left out, where failures lead.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::catalog::{Deployment, Model};
use crate::domain::{DeploymentId, FailureClass, ModelName, Probability, ProviderName, RouteName};
use crate::prediction::{CachedInput, Forecast, LogNormal, Prediction, QualityEstimate};
use crate::ranking::{
    Availability, Candidate, Exclusion, Need, Order, Policy, Ranking, Refusal, Unavailable, rank,
};

fn name(it: &str) -> ModelName {
    ModelName::new(it).unwrap()
}

/// `a` to `d`, each the better the earlier; `b` is served twice. `a`'s window holds 100 tokens.
fn candidates() -> Vec<Candidate> {
    let of = |model: &str, provider: &str, quality: f64| {
        let window = if model == "a" { 100 } else { 8_000 };
        let text = format!(
            "name = \"{model}\"\nvendor = \"v\"\ncontext_window = {window}\n\
             max_output_tokens = 50\nprice = {{ input = 1.0, output = 1.0 }}\n\
             released = \"2025-01\"\nsource = {{ page = \"p\", as_of = \"2025-01\" }}\n"
        );
        let model: Arc<Model> = Arc::new(toml::from_str(&text).unwrap());
        let provider = ProviderName::new(provider).unwrap();
        let deployment = Arc::new(Deployment::new(&model, &provider, "id".into()));
        let tokens = LogNormal { mu: 0.0, sigma: 0.0, cap: 50.0 };
        let forecast = Forecast { fixed: 0.0, per_token: 0.0, tokens };
        let prediction = Prediction {
            deployment: deployment.id.clone(),
            quality: QualityEstimate { mean: Probability::clamped(quality), spread: 0.1 },
            input_tokens: 10.0,
            output_tokens: tokens,
            cost_usd: forecast,
            cached: CachedInput::NONE,
            ttft_ms: 1.0,
            ttft_sigma: 0.0,
            latency_s: forecast,
        };
        Candidate { deployment, prediction }
    };
    vec![
        of("a", "p", 0.9),
        of("b", "p", 0.8),
        of("b", "q", 0.7),
        of("c", "p", 0.6),
        of("d", "p", 0.5),
    ]
}

fn leg(model: &str) -> Leg {
    let who = Who::Model(name(model));
    Leg { label: model.into(), node: Node::Target(Target { who, terms: Terms::default() }) }
}

fn step(on: Trigger, leg: Leg) -> Step {
    Step { kept: false, on, leg }
}

fn kept(class: FailureClass, leg: Leg) -> Step {
    Step { kept: true, on: Trigger::Listed(vec![Cause::Class(class)]), leg }
}

fn fallback(models: &[&str]) -> Node {
    Node::Fallback(models.iter().map(|it| step(Trigger::Usual, leg(it))).collect())
}

fn policy(root: Node) -> Policy {
    let route = Arc::new(Route { name: RouteName::new("r").unwrap(), root });
    let on = OnRoute { route, facts: Facts::default(), session_seed: None };
    Policy { route: Some(on), ..Policy::default() }
}

fn ranked(policy: &Policy, seed: u64) -> Result<Ranking, Refusal> {
    rank(candidates(), policy, &Need::default(), &Availability::default(), seed)
}

fn order(ranking: &Ranking) -> Vec<&str> {
    ranking.entries.iter().map(|it| it.deployment.id.as_str()).collect()
}

fn places(ranking: &Ranking) -> Vec<usize> {
    ranking.entries.iter().map(|it| it.stop.as_ref().unwrap().place).collect()
}

fn failed(class: FailureClass, status: Option<u16>) -> Failed {
    Failed { class, status, goes_on: true }
}

#[test]
fn a_fallback_orders_its_targets_and_leaves_out_the_others() {
    let ranking = ranked(&policy(fallback(&["c", "b"])), 1).unwrap();
    assert_eq!(order(&ranking), ["c@p", "b@p", "b@q"], "a model's deployments as learned");
    assert_eq!(places(&ranking), [0, 1, 1]);
    assert_eq!(ranking.entries[0].propensity, Probability::ONE);
    let out: BTreeMap<_, _> =
        ranking.excluded.iter().map(|it| (it.deployment.as_str(), it.reasons.clone())).collect();
    assert_eq!(out.keys().copied().collect::<Vec<_>>(), ["a@p", "d@p"]);
    assert!(out.values().all(|it| *it == [Exclusion::NotOnRoute]));
    let auto = Node::Target(Target { who: Who::Auto(vec![]), terms: Terms::default() });
    let root = Node::Fallback(vec![
        step(Trigger::Usual, leg("d")),
        step(Trigger::Usual, Leg { label: "auto".into(), node: auto }),
    ]);
    let ranking = ranked(&policy(root), 1).unwrap();
    assert_eq!(order(&ranking), ["d@p", "a@p", "b@p", "b@q", "c@p"]);
}

#[test]
fn limits_hold_for_every_target() {
    let mut policy = policy(fallback(&["c", "d"]));
    policy.candidates.deny = vec![name("c")];
    assert_eq!(order(&ranked(&policy, 1).unwrap()), ["d@p"]);
    policy.candidates.permitted = Some(vec![name("a")]);
    let refusal = ranked(&policy, 1).unwrap_err();
    let of = |id: &str| refusal.excluded.iter().find(|it| it.deployment.as_str() == id).unwrap();
    assert_eq!(of("c@p").reasons, [Exclusion::NotAllowed, Exclusion::NotPermitted]);
    assert_eq!(of("a@p").reasons, [Exclusion::NotOnRoute]);
}

#[test]
fn who_is_shut_stands_behind_the_others_of_the_route() {
    let mut availability = Availability::default();
    let shut = Unavailable::Shut { for_ms: 1_000, class: FailureClass::Overloaded };
    availability.mark(DeploymentId::new("c@p").unwrap(), shut);
    let policy = policy(fallback(&["c", "b", "d"]));
    let ranking = rank(candidates(), &policy, &Need::default(), &availability, 1).unwrap();
    assert_eq!(order(&ranking), ["b@p", "b@q", "d@p", "c@p"]);
    assert_eq!(places(&ranking), [1, 1, 2, 0]);
    assert_eq!(ranking.entries[0].propensity, Probability::ONE);
}

#[test]
fn draws_follow_the_weights_and_their_chances_are_told() {
    let share = |weight: f64, model: &str| Share { weight, leg: leg(model) };
    let policy = policy(Node::Loadbalance(vec![share(7.0, "c"), share(3.0, "d")]));
    let mut drawn = BTreeMap::<String, u32>::new();
    for seed in 0..10_000 {
        let ranking = ranked(&policy, seed).unwrap();
        let first = &ranking.entries[0];
        assert_eq!(ranking.entries.len(), 1);
        let wanted = if first.deployment.id.as_str() == "c@p" { 0.7 } else { 0.3 };
        assert!((first.propensity.get() - wanted).abs() < 1e-9);
        assert_eq!(ranking.taken.unwrap().branch, [first.stop.as_ref().unwrap().label.clone()]);
        *drawn.entry(first.deployment.id.to_string()).or_default() += 1;
    }
    let share = f64::from(drawn["c@p"]) / 10_000.0;
    assert!((share - 0.7).abs() < 0.02, "{drawn:?}");
    let again = |seed| order(&ranked(&policy, seed).unwrap()).join(" ");
    assert_eq!(again(5), again(5));
    // A session is drawn as one, whatever the decision's seed.
    let mut policy = policy;
    policy.route.as_mut().unwrap().session_seed = Some(99);
    let all: Vec<_> = (0..50).map(|it| order(&ranked(&policy, it).unwrap()).join(" ")).collect();
    assert!(all.iter().all(|it| *it == all[0]), "{all:?}");
}

#[test]
fn who_cannot_be_called_is_not_drawn() {
    let share = |weight: f64, model: &str| Share { weight, leg: leg(model) };
    let mut policy = policy(Node::Loadbalance(vec![share(99.0, "c"), share(1.0, "d")]));
    policy.candidates.deny = vec![name("c")];
    for seed in 0..50 {
        let ranking = ranked(&policy, seed).unwrap();
        assert_eq!(order(&ranking), ["d@p"]);
        assert_eq!(ranking.entries[0].propensity, Probability::ONE);
    }
}

#[test]
fn rules_are_looked_at_in_their_order() {
    let rule = |fact: &str, test: Test, model: &str| Rule {
        when: Condition::Fact(fact.parse().unwrap(), test),
        leg: leg(model),
    };
    let root = Node::Conditional {
        rules: vec![
            rule("metadata.plan", Test::Eq(Value::Text("paid".into())), "b"),
            rule("quality.a", Test::Lt(Value::Number(0.5)), "c"),
            rule("quality.a", Test::Gt(Value::Number(0.8)), "d"),
        ],
        otherwise: Box::new(leg("a")),
    };
    let facts =
        |plan: &str| serde_json::from_value(serde_json::json!({ "metadata.plan": plan })).unwrap();
    let mut policy = policy(root);
    assert_eq!(order(&ranked(&policy, 1).unwrap()), ["d@p"]);
    policy.route.as_mut().unwrap().facts = facts("paid");
    assert_eq!(order(&ranked(&policy, 1).unwrap()), ["b@p", "b@q"]);
    policy.route.as_mut().unwrap().facts = facts("free");
    let taken = ranked(&policy, 1).unwrap().taken.unwrap();
    assert_eq!((taken.route.as_str(), taken.branch.as_slice()), ("r", &["d".to_owned()][..]));
}

#[test]
fn failures_lead_out_of_the_nearest_branch_that_names_them() {
    let inner = Node::Fallback(vec![
        step(Trigger::Usual, leg("a")),
        step(Trigger::Listed(vec![Cause::Status(429)]), leg("b")),
    ]);
    let root = Node::Fallback(vec![
        step(Trigger::Usual, Leg { label: "inner".into(), node: inner }),
        step(Trigger::Listed(vec![Cause::Hundred(5)]), leg("c")),
    ]);
    let ranking = ranked(&policy(root), 1).unwrap();
    assert_eq!(order(&ranking), ["a@p", "b@p", "b@q", "c@p"]);
    let stop = |at: usize| ranking.entries[at].stop.clone().unwrap();
    let leads = |from: usize, class, status| {
        let from = stop(from);
        let exit = from.exit(failed(class, status))?;
        (0..4).find(|at| exit.leads_to(&stop(*at)))
    };
    assert_eq!(leads(0, FailureClass::RateLimited, Some(429)), Some(1));
    assert_eq!(leads(0, FailureClass::Overloaded, Some(503)), Some(3));
    assert_eq!(leads(0, FailureClass::Auth, Some(401)), None);
    assert_eq!(leads(1, FailureClass::RateLimited, Some(429)), None);
    assert_eq!(leads(1, FailureClass::Connection, None), Some(3));
    assert!(stop(0).passes_to(&stop(1)) && stop(0).passes_to(&stop(3)));
    assert!(!stop(3).passes_to(&stop(0)));
}

/// As LiteLLM's three lists: larger windows, other filters, and everything else.
fn model_fallbacks() -> Node {
    Node::Fallback(vec![
        step(Trigger::Usual, leg("a")),
        kept(FailureClass::ContextTooLong, leg("b")),
        kept(FailureClass::ContentFiltered, leg("c")),
        step(Trigger::Usual, leg("d")),
    ])
}

#[test]
fn targets_kept_for_a_failure_are_passed_over() {
    let ranking = ranked(&policy(model_fallbacks()), 1).unwrap();
    assert_eq!(order(&ranking), ["a@p", "b@p", "b@q", "c@p", "d@p"]);
    let stop = |at: usize| ranking.entries[at].stop.clone().unwrap();
    let (first, last) = (stop(0), stop(4));
    assert!(first.passes_to(&last) && !first.passes_to(&stop(1)) && !first.passes_to(&stop(3)));
    let exit = |class| first.exit(failed(class, None)).unwrap();
    assert!(exit(FailureClass::ContextTooLong).leads_to(&stop(1)));
    assert!(!exit(FailureClass::ContextTooLong).leads_to(&stop(3)));
    assert!(exit(FailureClass::ContentFiltered).leads_to(&stop(3)));
    assert!(exit(FailureClass::Overloaded).leads_to(&last));
    assert!(!exit(FailureClass::Overloaded).leads_to(&stop(1)));
}

#[test]
fn whom_a_limit_excludes_leads_on_as_if_he_had_failed_so() {
    // 60 output tokens do not fit `a`'s window beside 10 of input; the others' hold them.
    let need = Need { max_output_tokens: Some(99), ..Need::default() };
    let mut all = candidates();
    for it in &mut all {
        it.prediction.input_tokens = 60.0;
    }
    let on_route = policy(model_fallbacks());
    let ranking = rank(all.clone(), &on_route, &need, &Availability::default(), 1).unwrap();
    assert_eq!(order(&ranking), ["b@p", "b@q", "c@p", "d@p"]);
    let stop = |at: usize| ranking.entries[at].stop.clone().unwrap();
    assert!(stop(0).passes_to(&stop(3)) && !stop(0).passes_to(&stop(2)));
    let mut denied = on_route;
    denied.candidates.deny = vec![name("a")];
    let ranking =
        rank(candidates(), &denied, &Need::default(), &Availability::default(), 1).unwrap();
    assert_eq!(order(&ranking), ["d@p"], "nothing failed, so nobody kept for failures is met");
}

#[test]
fn a_route_of_a_given_order_stays_within_it() {
    let mut policy = policy(fallback(&["c", "d"]));
    policy.candidates.order = Order::Given(vec![name("d"), name("a")]);
    assert_eq!(order(&ranked(&policy, 1).unwrap()), ["d@p"]);
}

/// Any tree over the models; its laws are checked where rankings are made.
fn any_tree(draw: &mut dyn FnMut(usize) -> usize, depth: usize) -> Node {
    let models = ["a", "b", "c", "d"];
    let kind = if depth == 0 { 0 } else { draw(5) };
    let several = |draw: &mut dyn FnMut(usize) -> usize| -> Vec<Leg> {
        let count = 1 + draw(3);
        let mut legs = Vec::new();
        for _ in 0..count {
            legs.push(Leg { label: "x".into(), node: any_tree(draw, depth - 1) });
        }
        legs
    };
    match kind {
        1 => Node::Loadbalance(
            several(draw).into_iter().map(|leg| Share { weight: 1.5, leg }).collect(),
        ),
        2 | 3 => {
            let class = [FailureClass::ContextTooLong, FailureClass::Overloaded][draw(2)];
            let legs = several(draw).into_iter().enumerate();
            let of = |(at, leg)| if at == 1 { kept(class, leg) } else { step(Trigger::Any, leg) };
            Node::Fallback(legs.map(of).collect())
        }
        4 => {
            let when = Condition::Fact(Fact::Stream, Test::Exists(draw(2) == 0));
            let otherwise = Box::new(leg(models[draw(4)]));
            let rules = several(draw).into_iter().map(|leg| Rule { when: when.clone(), leg });
            Node::Conditional { rules: rules.collect(), otherwise }
        }
        _ if draw(6) == 0 => {
            let who = Who::Auto(vec![name(models[draw(4)]), name("d")]);
            Node::Target(Target { who, terms: Terms::default() })
        }
        _ => leg(models[draw(4)]).node,
    }
}

#[test]
fn any_tree_over_any_limits_makes_a_ranking_or_a_refusal() {
    let (mut ranked_so, mut refused) = (0, 0);
    for seed in 0..2_000_u64 {
        let mut state = seed;
        let mut draw = |most: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % most
        };
        let mut policy = policy(any_tree(&mut draw, 3));
        let mut availability = Availability::default();
        for it in candidates() {
            if draw(4) == 0 {
                let why = Unavailable::Shut { for_ms: 5, class: FailureClass::Overloaded };
                availability.mark(it.deployment.id.clone(), why);
            }
            if draw(5) == 0 {
                policy.candidates.deny.push(it.deployment.model.name.clone());
            }
        }
        match rank(candidates(), &policy, &Need::default(), &availability, seed) {
            Ok(ranking) => {
                ranked_so += 1;
                assert!(crate::ranking::invariants::route_is_followed(&ranking));
                let json = serde_json::to_string(&policy).unwrap();
                let read: Policy = serde_json::from_str(&json).unwrap();
                let again = rank(candidates(), &read, &Need::default(), &availability, seed);
                assert_eq!(again.unwrap(), ranking);
            }
            Err(refusal) => {
                refused += 1;
                assert_eq!(refusal.excluded.len(), 5);
            }
        }
    }
    assert!(ranked_so > 500 && refused > 50, "{ranked_so} {refused}");
}

#[test]
fn a_request_on_a_route_reads_back_from_json() {
    let mut policy = policy(model_fallbacks());
    let retry = Retry(vec![RetryRule { on: Cause::Hundred(5), attempts: 2 }]);
    let on = policy.route.as_mut().unwrap();
    let mut route = Route::clone(&on.route);
    let Node::Fallback(steps) = &mut route.root else { panic!("no fallback") };
    let Node::Target(target) = &mut steps[0].leg.node else { panic!("no target") };
    target.terms = Terms { retry: Some(retry), ..Terms::default() };
    on.route = Arc::new(route);
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    let plain = serde_json::to_string(&Policy::default()).unwrap();
    assert!(!plain.contains("route"), "{plain}");
}
