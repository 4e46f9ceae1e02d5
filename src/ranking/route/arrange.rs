//! A ranking, brought into the order of a route.
//!
//! In: a ranking by everything learned, the route and its facts, the seed of the draws. Out: the ranking
//! of the route's targets, or a refusal. Invariant: pure; nobody comes in who was excluded; a
//! deployment stands at the first stop that means it, and behind all others while it is shut. Not
//! here: what follows a failure (see [`super::stop`]).

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::availability::Unavailable;
use super::super::exclusion::Exclusion;
use super::super::order;
use super::super::policy::Candidates;
use super::super::strategy::Strategy;
use super::super::ties::unit;
use super::super::verdict::{Excluded, Ranked, Ranking, Refusal};
use super::facts::{Fact, Value};
use super::stop::{Exit, Stop, Taken};
use super::tree::{Leg, Node, OnRoute, Share, Step, Target, Who};
use super::trigger::Failed;
use crate::catalog::Deployment;
use crate::domain::{FailureClass, Probability};

/// Cuts a ranking to a route, and orders it so.
pub(in crate::ranking) fn arrange(
    mut of: Ranking,
    on: &OnRoute,
    candidates: &Candidates,
) -> Result<Ranking, Refusal> {
    let seed = on.session_seed.unwrap_or(of.ties.seed);
    let (stops, branch) = (Vec::new(), Vec::new());
    let mut way = Way { on, ranking: &of, seed, stops, branch, chance: 1.0, draws: 0, kept: 0 };
    way.lay(&on.route.root, "");
    let Way { mut stops, branch, chance, .. } = way;
    let start = start(&stops, &of);
    if let Some(start) = start {
        open(&mut stops, start);
    }
    let kept_by: Vec<_> = stops.iter().map(|it| it.kept_by.clone()).collect();
    for exit in stops.iter_mut().flat_map(|it| &mut it.exits) {
        exit.kept_by = kept_by.get(exit.to).cloned().unwrap_or_default();
    }
    let stops: Vec<_> = stops.into_iter().map(Arc::new).collect();
    let reached = reached(&stops, start);
    let stop_of = |it: &Deployment| stops.iter().position(|stop| stop.who.means(it));
    let mut entries = Vec::with_capacity(of.entries.len());
    for entry in std::mem::take(&mut of.entries) {
        match stop_of(&entry.deployment).filter(|it| reached[*it]) {
            Some(at) => entries.push(Ranked { stop: Some(Arc::clone(&stops[at])), ..entry }),
            None => of.excluded.push(Excluded {
                deployment: entry.deployment.id.clone(),
                reasons: vec![Exclusion::NotOnRoute],
                prediction: entry.prediction,
            }),
        }
    }
    if entries.is_empty() {
        return Err(Refusal { excluded: of.excluded });
    }
    // Stable: within a stop the order stays, but that a model that is named has its strategy.
    let place = |it: &Ranked| (it.shut.is_some(), it.stop.as_ref().map(|it| it.place));
    entries.sort_by(|a, b| {
        let within = || match is_of_model(a) {
            true => order::of_one_model(a, b, candidates, of.ties),
            false => Ordering::Equal,
        };
        place(a).cmp(&place(b)).then_with(within)
    });
    first(&mut entries, chance, candidates);
    let taken = Some(Taken { route: on.route.name.clone(), branch });
    Ok(Ranking { entries, taken, ..of })
}

/// A request on its way through the tree.
struct Way<'a> {
    on: &'a OnRoute,
    ranking: &'a Ranking,
    seed: u64,
    stops: Vec<Stop>,
    branch: Vec<String>,
    /// The chance of the draws that decided who comes first.
    chance: f64,
    /// How many draws there were, so that each is another.
    draws: u64,
    /// How many branches there were that are kept for certain failures.
    kept: usize,
}

/// How well a branch can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Nobody,
    OnlyShut,
    Open,
}

impl Way<'_> {
    fn lay(&mut self, node: &Node, label: &str) {
        match node {
            Node::Target(target) => self.stop(target, label),
            Node::Fallback(steps) => self.fall(steps),
            Node::Loadbalance(shares) => {
                if let Some(leg) = self.draw(shares) {
                    self.take(leg);
                }
            }
            Node::Conditional { .. } => {
                if let Some(leg) = self.chosen(node) {
                    self.take(leg);
                }
            }
        }
    }

    fn take(&mut self, leg: &Leg) {
        self.branch.push(leg.label.clone());
        self.lay(&leg.node, &leg.label);
    }

    fn stop(&mut self, target: &Target, label: &str) {
        let Target { who, terms } = target.clone();
        let (place, label) = (self.stops.len(), label.to_owned());
        let (exits, kept_by) = (Vec::new(), Vec::new());
        self.stops.push(Stop { place, label, who, terms, exits, kept_by });
    }

    fn fall(&mut self, steps: &[Step]) {
        let begin = self.stops.len();
        let mut starts = Vec::with_capacity(steps.len());
        for step in steps {
            let start = self.stops.len();
            starts.push(start);
            self.lay(&step.leg.node, &step.leg.label);
            if step.kept {
                self.kept += 1;
                let kept = self.kept;
                self.stops[start..].iter_mut().for_each(|it| it.kept_by.push(kept));
            }
        }
        for place in begin..self.stops.len() {
            let later = starts.iter().zip(steps).filter(|(start, _)| **start > place);
            let exit = |(start, step): (&usize, &Step)| Exit {
                on: step.on.clone(),
                to: *start,
                kept_by: Vec::new(),
            };
            let exits: Vec<_> = later.map(exit).collect();
            self.stops[place].exits.extend(exits);
        }
    }

    /// The branch of a conditional whose rule holds.
    fn chosen<'n>(&self, node: &'n Node) -> Option<&'n Leg> {
        let Node::Conditional { rules, otherwise } = node else { return None };
        let known = |fact: &Fact| match fact {
            Fact::Quality(_) => self.quality(fact),
            other => self.on.facts.get(other).cloned(),
        };
        let rule = rules.iter().find(|it| it.when.holds(&known));
        Some(rule.map_or(otherwise, |it| &it.leg))
    }

    /// The best quality that is predicted for a model, wherever it is served.
    fn quality(&self, fact: &Fact) -> Option<Value> {
        let Fact::Quality(model) = fact else { return None };
        let ranked = self.ranking.entries.iter().filter(|it| it.deployment.model.name == *model);
        let ranked = ranked.map(|it| &it.prediction);
        let named = |it: &&Excluded| model_of(it) == model.as_str();
        let out = self.ranking.excluded.iter().filter(named);
        let all = ranked.chain(out.map(|it| &it.prediction)).map(|it| it.quality.mean.get());
        all.reduce(f64::max).map(Value::Number)
    }

    /// Draws a branch by weight among those that can be served best.
    fn draw<'n>(&mut self, shares: &'n [Share]) -> Option<&'n Leg> {
        let standing = |it: &Share| self.standing(&it.leg.node);
        let best = shares.iter().map(standing).max()?;
        let able: Vec<_> = shares.iter().filter(|it| standing(it) == best).collect();
        let sum: f64 = able.iter().map(|it| it.weight).sum();
        self.draws += 1;
        let mut point = unit(self.seed ^ self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)) * sum;
        let found = able.iter().find(|it| {
            point -= it.weight;
            point < 0.0
        });
        // The weights may sum to a bit less than their sum.
        let share = found.or(able.last())?;
        if self.stops.is_empty() && sum > 0.0 {
            self.chance *= share.weight / sum;
        }
        Some(&share.leg)
    }

    /// How well a branch can be served, by whoever of it the request may meet.
    fn standing(&self, node: &Node) -> Standing {
        match node {
            Node::Target(target) => {
                let own = self.ranking.entries.iter().filter(|it| target.who.means(&it.deployment));
                let each = own.map(|it| match it.shut {
                    None => Standing::Open,
                    Some(_) => Standing::OnlyShut,
                });
                each.max().unwrap_or(Standing::Nobody)
            }
            Node::Fallback(_) | Node::Loadbalance(_) => {
                let each = node.legs().into_iter().map(|it| self.standing(&it.node));
                each.max().unwrap_or(Standing::Nobody)
            }
            Node::Conditional { .. } => {
                self.chosen(node).map_or(Standing::Nobody, |it| self.standing(&it.node))
            }
        }
    }
}

/// Where the way begins: the first stop where somebody is. Whom a limit excludes leads on as if he had
/// been called and had failed so, and else to the next.
fn start(stops: &[Stop], of: &Ranking) -> Option<usize> {
    let mut at = 0;
    loop {
        let stop = stops.get(at)?;
        if of.entries.iter().any(|it| stop.who.means(&it.deployment)) {
            return Some(at);
        }
        let failed = of.excluded.iter().filter(|it| is_of(it, stop)).find_map(would_fail);
        let exit = failed.and_then(|it| stop.exit(it)).map(|it| it.to);
        let next = || stops.iter().find(|it| stop.passes_to(it)).map(|it| it.place);
        at = exit.or_else(next)?;
    }
}

fn is_of(excluded: &Excluded, stop: &Stop) -> bool {
    let model = model_of(excluded);
    match &stop.who {
        Who::Model(name) => name.as_str() == model,
        Who::Deployment(own) => *own == excluded.deployment,
        Who::Auto(models) => models.is_empty() || models.iter().any(|it| it.as_str() == model),
    }
}

/// The model in `model@provider`.
fn model_of(excluded: &Excluded) -> &str {
    excluded.deployment.as_str().rsplit_once('@').map_or("", |it| it.0)
}

/// How a call would have failed that a limit keeps from being made.
fn would_fail(excluded: &Excluded) -> Option<Failed> {
    let class = excluded.reasons.iter().find_map(|it| match it {
        Exclusion::Window { .. } => Some(FailureClass::ContextTooLong),
        Exclusion::Abilities { .. } => Some(FailureClass::Unsupported),
        Exclusion::Unavailable(Unavailable::Shut { class, .. }) => Some(*class),
        Exclusion::Unavailable(Unavailable::NoKey(_)) | Exclusion::NotPermitted => {
            Some(FailureClass::Auth)
        }
        Exclusion::Unavailable(Unavailable::Full { .. }) => Some(FailureClass::RateLimited),
        Exclusion::Parameters { .. } => Some(FailureClass::Unsupported),
        Exclusion::NotAllowed
        | Exclusion::NotOnRoute
        | Exclusion::InterToken { .. }
        | Exclusion::Throughput { .. }
        | Exclusion::NotOnly
        | Exclusion::Ignored
        | Exclusion::Fallback
        | Exclusion::DataCollection { .. }
        | Exclusion::Zdr { .. }
        | Exclusion::Quantization { .. }
        | Exclusion::Price { .. }
        | Exclusion::Cost { .. }
        | Exclusion::Latency { .. }
        | Exclusion::Ttft { .. }
        | Exclusion::Quality { .. } => None,
    })?;
    Some(Failed { class, status: None, goes_on: true })
}

/// Whoever begins inside a branch that is kept for certain failures was led there.
fn open(stops: &mut [Stop], start: usize) {
    let Some(mine) = stops.get(start).map(|it| it.kept_by.clone()) else { return };
    for stop in stops {
        stop.kept_by.retain(|it| !mine.contains(it));
    }
}

/// Which stops a request may come to that begins there.
fn reached(stops: &[Arc<Stop>], start: Option<usize>) -> Vec<bool> {
    let mut reached: Vec<bool> = (0..stops.len()).map(|it| Some(it) == start).collect();
    // Ways lead forward, so one look at each in order finds all.
    for (at, stop) in stops.iter().enumerate() {
        if !reached[at] {
            continue;
        }
        for (to, later) in stops.iter().enumerate().skip(at + 1) {
            reached[to] |= stop.passes_to(later) || stop.exits.iter().any(|it| it.leads_to(later));
        }
    }
    reached
}

fn is_of_model(ranked: &Ranked) -> bool {
    ranked.stop.as_ref().is_some_and(|it| matches!(it.who, Who::Model(_)))
}

/// As [`first`], where the first stop is a model with a strategy; `false` where it is not.
fn by_strategy(entries: &mut [Ranked], chance: f64, candidates: &Candidates) -> bool {
    let Some(head) = entries.first() else { return false };
    let strategy = candidates.strategies.of(&head.deployment.model.name);
    let learned = strategy == Strategy::Learned || candidates.provider.sort.is_some();
    if learned || !is_of_model(head) {
        return false;
    }
    let (place, shut) = (head.stop.as_ref().map(|it| it.place), head.shut.is_some());
    let here =
        |it: &&Ranked| it.shut.is_some() == shut && it.stop.as_ref().map(|it| it.place) == place;
    let count = entries.iter().take_while(here).count();
    for entry in entries.iter_mut() {
        entry.propensity = Probability::ZERO;
    }
    let (own, _) = entries.split_at_mut(count);
    if !order::drawn_of_one_model(own, candidates)
        && let Some(first) = own.first_mut()
    {
        first.propensity = Probability::ONE;
    }
    for entry in own {
        entry.propensity = Probability::clamped(chance * entry.propensity.get());
    }
    true
}

/// Sets the chances of being first: of whoever stands at the first one's stop, times the chance of the
/// draws that led there. What is left is the chance of other branches.
fn first(entries: &mut [Ranked], chance: f64, candidates: &Candidates) {
    let Some(stop) = entries.first().and_then(|it| it.stop.clone()) else { return };
    if by_strategy(entries, chance, candidates) {
        return;
    }
    let here = |it: &Ranked| {
        it.shut.is_none() && it.stop.as_ref().is_some_and(|own| own.place == stop.place)
    };
    let all_shut = entries.first().is_some_and(|it| it.shut.is_some());
    let drawn: f64 = entries.iter().filter(|it| here(it)).map(|it| it.propensity.get()).sum();
    let best = entries.iter().enumerate().filter(|(_, it)| here(it));
    let best = best.max_by(|a, b| a.1.utility.total_cmp(&b.1.utility).then(b.0.cmp(&a.0)));
    // Whoever is drawn elsewhere leaves the first place here to the best.
    let explored = entries.iter().filter(|it| it.propensity > Probability::ZERO).count() > 1;
    let best = best.map(|it| it.0).filter(|_| explored).unwrap_or(0);
    for (at, entry) in entries.iter_mut().enumerate() {
        let own = if all_shut || !here(entry) { 0.0 } else { entry.propensity.get() };
        let rest =
            if at == best { (1.0 - if all_shut { 0.0 } else { drawn }).max(0.0) } else { 0.0 };
        entry.propensity = Probability::clamped(chance * (own + rest));
    }
}
