//! Who stands before whom, once the limits are passed.
//!
//! In: two candidates, what was asked, ties. Out: their order. Invariant: total, and the same whoever
//! else is ranked. From the first to the last: those that can be called now before those that cannot;
//! others before last resorts; the models in their given order; the providers in theirs; the figure to
//! sort by; the strategy of the model; then utility, load, seed.

use std::cmp::Ordering;

use super::exclusion::Exclusion;
use super::policy::{Candidates, Policy};
use super::preferences::{Fallbacks, Partition, Sort};
use super::strategy::Strategy;
use super::ties::Ties;
use super::verdict::{Excluded, Ranked};
use crate::domain::{ModelName, Probability};

/// Who stands before whom.
pub(super) fn compare(a: &Ranked, b: &Ranked, candidates: &Candidates, ties: Ties) -> Ordering {
    let group = |it: &Ranked| group(it, candidates);
    group(a)
        .cmp(&group(b))
        .then_with(|| wanted(a, b, candidates, ties))
        .then_with(|| ties.step_of(b.utility).total_cmp(&ties.step_of(a.utility)))
        .then_with(|| a.in_flight.cmp(&b.in_flight))
        .then_with(|| ties.draw(&a.deployment.id).cmp(&ties.draw(&b.deployment.id)))
        .then_with(|| a.deployment.id.cmp(&b.deployment.id))
}

/// Where a candidate stands whatever is expected of it: shut, and until when; a last resort; its model's
/// place; its provider's.
pub(super) fn group(of: &Ranked, candidates: &Candidates) -> (bool, u64, bool, usize, usize) {
    let together = candidates.provider.sort.is_some_and(|it| it.partition == Partition::None);
    let models = candidates.models_in_order().filter(|_| !together).unwrap_or_default();
    let opens = opens_in_ms(of);
    let (model, place) = (position(models, of), candidates.provider.place(&of.deployment));
    (of.shut.is_some(), opens, of.deployment.last_resort, model, place)
}

/// In how many milliseconds a deployment may be called again; 0 for all that may be called now.
pub(super) fn opens_in_ms(of: &Ranked) -> u64 {
    of.shut.as_ref().and_then(|it| it.opens_in_ms()).unwrap_or(0)
}

/// By the figure that was asked for; else, where models are named, by the strategy of theirs. Those of
/// one group are then of one model.
fn wanted(a: &Ranked, b: &Ranked, candidates: &Candidates, ties: Ties) -> Ordering {
    if let Some(Sort { by, .. }) = candidates.provider.sort {
        return by.of(&a.prediction).total_cmp(&by.of(&b.prediction));
    }
    if candidates.models_in_order().is_none() {
        return Ordering::Equal;
    }
    by_strategy(a, b, candidates, ties)
}

fn by_strategy(a: &Ranked, b: &Ranked, candidates: &Candidates, ties: Ties) -> Ordering {
    let strategy = candidates.strategies.of(&a.deployment.model.name);
    let [first, second] = [strategy.keys(a, ties), strategy.keys(b, ties)];
    first[0].total_cmp(&second[0]).then_with(|| first[1].total_cmp(&second[1]))
}

/// Who stands before whom of one model's deployments, where a route names the model: the strategy holds
/// as if the caller had. What it leaves alike stays as it was.
pub(super) fn of_one_model(
    a: &Ranked,
    b: &Ranked,
    candidates: &Candidates,
    ties: Ties,
) -> Ordering {
    if candidates.provider.sort.is_some() {
        return Ordering::Equal;
    }
    group(a, candidates)
        .cmp(&group(b, candidates))
        .then_with(|| by_strategy(a, b, candidates, ties))
}

/// A model's place in an order; where there is none, all have the same.
fn position(models: &[ModelName], of: &Ranked) -> usize {
    models.iter().position(|it| *it == of.deployment.model.name).unwrap_or(models.len())
}

/// Where nobody but the first may be tried, everyone behind him.
pub(super) fn behind_the_first(entries: &mut Vec<Ranked>, policy: &Policy) -> Vec<Excluded> {
    let provider = &policy.candidates.provider;
    if provider.fallbacks == Fallbacks::Allowed || !provider.order.is_empty() || entries.is_empty()
    {
        return Vec::new();
    }
    let reasons = || vec![Exclusion::Fallback];
    let excluded = |it: Ranked| Excluded {
        deployment: it.deployment.id.clone(),
        reasons: reasons(),
        prediction: it.prediction,
    };
    entries.drain(1..).map(excluded).collect()
}

/// Sets everyone's chance of being first, where a strategy draws; `false` where none does.
pub(super) fn drawn(entries: &mut [Ranked], candidates: &Candidates) -> bool {
    candidates.models_in_order().is_some() && drawn_of_one_model(entries, candidates)
}

/// As [`drawn`], where the first one's model is named.
pub(super) fn drawn_of_one_model(entries: &mut [Ranked], candidates: &Candidates) -> bool {
    let sorted = candidates.provider.sort.is_some();
    let Some(first) = entries.first().filter(|it| !sorted && it.shut.is_none()) else {
        return false;
    };
    let strategy = candidates.strategies.of(&first.deployment.model.name);
    let (head, failing) = (group(first, candidates), first.recent.failing);
    let alike = |it: &&Ranked| {
        group(it, candidates) == head
            && (it.recent.failing == failing || strategy != Strategy::Spread)
    };
    let count = entries.iter().take_while(alike).count();
    let Some(chances) = entries.get(..count).and_then(|it| strategy.chances(it)) else {
        return false;
    };
    let rest = std::iter::repeat(Probability::ZERO);
    for (entry, chance) in entries.iter_mut().zip(chances.into_iter().chain(rest)) {
        entry.propensity = chance;
    }
    true
}
