//! A logged decision, made again from its own record.
//!
//! In: an [`OutcomeRecord`], nothing else. Out: the verdict of [`crate::ranking::rank()`] on what
//! the record holds, and where it differs from what was logged; the cost of every attempt by the
//! price in the record. Invariant: for a record of this version nothing differs, to the last bit of
//! every utility and the last picodollar.

use std::sync::Arc;

use super::facts::{CandidateFacts, Choice};
use super::record::OutcomeRecord;
use crate::catalog::{Deployment, Model, QualityPrior, Source};
use crate::domain::{DeploymentId, Price, Timeouts, Usd};
use crate::prediction::Prediction;
use crate::ranking::{Availability, Candidate, Ranking, Refusal, Ties, rank};

/// A way in which a recomputed decision is not the logged one.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// Another order, or others in it.
    Order {
        /// As logged.
        logged: Vec<DeploymentId>,
        /// As recomputed.
        replayed: Vec<DeploymentId>,
    },
    /// Another utility.
    Utility {
        /// Whose.
        deployment: DeploymentId,
        /// As logged.
        logged: f64,
        /// As recomputed.
        replayed: f64,
    },
    /// Another chance of being first.
    Propensity(DeploymentId),
    /// Another branch of the route.
    Route,
    /// Others excluded, or for other reasons.
    Exclusions,
    /// Another cost than the price and the tokens in the record make.
    Cost {
        /// Whose; `None` for the sum of all attempts.
        deployment: Option<DeploymentId>,
        /// As logged.
        logged: Usd,
        /// As recomputed.
        replayed: Usd,
    },
}

/// Ranks the record's candidates again.
///
/// # Errors
/// The [`Refusal`], when the decision was to refuse.
pub fn replay(record: &OutcomeRecord) -> Result<Ranking, Refusal> {
    replay_with(record, |_, facts| facts.prediction.clone())
}

/// Ranks the record's candidates as they would have been with other predictions.
///
/// # Errors
/// The [`Refusal`], when nobody passes with these.
pub fn replay_with(
    record: &OutcomeRecord,
    predict: impl Fn(&Deployment, &CandidateFacts) -> Prediction,
) -> Result<Ranking, Refusal> {
    let mut availability = Availability::default();
    for facts in &record.candidates {
        availability.count(facts.deployment.clone(), facts.in_flight);
        availability.note(facts.deployment.clone(), facts.recent);
        if let Some(why) = &facts.unavailable {
            availability.mark(facts.deployment.clone(), why.clone());
        }
    }
    let candidate = |facts: &CandidateFacts| {
        let deployment = Arc::new(deployment(facts));
        let prediction = predict(&deployment, facts);
        Candidate { deployment, prediction }
    };
    let candidates = record.candidates.iter().map(candidate).collect();
    let ties = Ties { seed: record.seed, step: record.tie_step };
    rank(candidates, &record.policy, &record.need, &availability, ties)
}

/// Where the decision made again differs from the logged one; empty when it does not.
pub fn differences(record: &OutcomeRecord) -> Vec<Difference> {
    let verdict = replay(record);
    let replayed = Choice::of(&[], &Availability::default(), &verdict);
    let mut found = Vec::new();
    if verdict.as_ref().ok().and_then(|it| it.taken.as_ref()) != record.route.as_ref() {
        found.push(Difference::Route);
    }
    let logged_order: Vec<_> = record.ranked.iter().map(|it| it.deployment.clone()).collect();
    let replayed_order: Vec<_> = replayed.ranked.iter().map(|it| it.deployment.clone()).collect();
    if logged_order != replayed_order {
        found.push(Difference::Order { logged: logged_order, replayed: replayed_order });
    } else {
        for (logged, replayed) in record.ranked.iter().zip(&replayed.ranked) {
            let deployment = logged.deployment.clone();
            if logged.propensity != replayed.propensity {
                found.push(Difference::Propensity(deployment.clone()));
            }
            let (logged, replayed) = (logged.utility, replayed.utility);
            if logged.to_bits() != replayed.to_bits() {
                found.push(Difference::Utility { deployment, logged, replayed });
            }
        }
    }
    if record.excluded != replayed.excluded {
        found.push(Difference::Exclusions);
    }
    found.extend(mispriced(record));
    found
}

/// Every cost that is not what the record's own prices make of its tokens.
fn mispriced(record: &OutcomeRecord) -> Vec<Difference> {
    let price = |it: &DeploymentId| {
        let facts = record.candidates.iter().find(|facts| facts.deployment == *it);
        facts.map_or(Price::FREE, |facts| facts.price)
    };
    let attempts = record.attempts.iter().map(|it| {
        let replayed = price(&it.deployment).cost(&it.usage);
        (Some(it.deployment.clone()), it.cost_usd, replayed)
    });
    let sum = record.attempts.iter().map(|it| it.cost_usd).sum();
    let all = attempts.chain([(None, record.cost_usd, sum)]);
    let wrong = all.filter(|(_, logged, replayed)| logged != replayed);
    let cost = |(deployment, logged, replayed)| Difference::Cost { deployment, logged, replayed };
    wrong.map(cost).collect()
}

/// The deployment as it was. What ranking does not read (vendor, release date, sources) is empty.
fn deployment(facts: &CandidateFacts) -> Deployment {
    let model = Model {
        name: facts.model.clone(),
        vendor: String::new(),
        context_window: facts.context_window,
        max_output_tokens: facts.max_output_tokens,
        abilities: facts.abilities,
        price: facts.price,
        released: String::new(),
        source: Source { page: String::new(), as_of: String::new() },
        served_by: std::collections::BTreeMap::new(),
        learned_as: facts.learned_as.clone(),
        quality_prior: facts.quality_prior.map(|value| QualityPrior {
            value,
            source: String::new(),
            as_of: String::new(),
        }),
        speed: facts.speed,
    };
    Deployment {
        id: facts.deployment.clone(),
        model: Arc::new(model),
        provider: facts.provider.clone(),
        model_id: facts.model_id.clone(),
        price: facts.price,
        billing: facts.billing,
        speed: facts.speed,
        last_resort: facts.last_resort,
        timeouts: Timeouts::default(),
        terms: facts.terms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Ability, AbilitySet, Billing, ModelName, Probability};
    use crate::outcome::samples;
    use crate::ranking::{
        Exploration, Figure, Need, Order, Partition, Policy, Sort, Strategy, UtilityGivenUp,
    };

    /// Through JSON first: the record alone must do.
    fn check(record: &OutcomeRecord) {
        let json = serde_json::to_string(record).unwrap();
        let read: OutcomeRecord = serde_json::from_str(&json).unwrap();
        assert_eq!(read, *record);
        assert_eq!(differences(&read), []);
        assert_eq!(replay(&read).is_ok(), !record.ranked.is_empty());
    }

    #[test]
    fn every_logged_decision_can_be_recomputed_from_its_own_record() {
        let (mut refused, mut partly) = (0, 0);
        for seed in 0..200 {
            for (policy, need) in wishes() {
                let record = samples::decided(seed, policy, need);
                check(&record);
                refused += usize::from(record.ranked.is_empty());
                partly += usize::from(!record.ranked.is_empty() && !record.excluded.is_empty());
            }
        }
        assert!(refused > 100 && partly > 100, "{refused} refused, {partly} partly");
    }

    #[test]
    fn a_record_that_was_tampered_with_differs() {
        let tampered = |change: &dyn Fn(&mut OutcomeRecord)| {
            let mut record = samples::decided(7, Policy::default(), Need::default());
            assert!(record.ranked.len() > 1 && !record.excluded.is_empty());
            change(&mut record);
            differences(&record)
        };
        let order = tampered(&|it| it.ranked.swap(0, 1));
        assert!(matches!(order.as_slice(), [Difference::Order { .. }]), "{order:?}");
        let utility = tampered(&|it| it.ranked[0].utility = it.ranked[0].utility.next_up());
        assert!(matches!(utility.as_slice(), [Difference::Utility { .. }]), "{utility:?}");
        let propensity = tampered(&|it| it.ranked[0].propensity = Probability::ZERO);
        assert!(matches!(propensity.as_slice(), [Difference::Propensity(_)]), "{propensity:?}");
        let excluded = tampered(&|it| it.excluded.clear());
        assert_eq!(excluded, [Difference::Exclusions]);
        let busy = tampered(&|it| {
            let first = it.ranked[0].deployment.clone();
            let mut all = it.candidates.iter_mut();
            all.find(|it| it.deployment == first).unwrap().prediction.cached.saves_usd += 0.001;
        });
        assert!(matches!(busy.as_slice(), [Difference::Utility { .. }]), "{busy:?}");
        let sum = tampered(&|it| it.cost_usd += Usd::new(1e-12).unwrap());
        assert!(matches!(sum.as_slice(), [Difference::Cost { deployment: None, .. }]), "{sum:?}");
    }

    /// The price of every kind of token is in the record, and nothing else is needed.
    #[test]
    fn the_cost_of_an_attempt_follows_from_the_record_alone() {
        let record = samples::decided(7, Policy::default(), Need::default());
        assert_eq!(record.cost_usd, Usd::new(0.0005025).unwrap());
        let json = serde_json::to_value(&record).unwrap();
        let first = json["candidates"].as_array().unwrap().iter().position(|it| {
            it["deployment"].as_str() == Some(record.attempts[0].deployment.as_str())
        });
        for kind in ["input", "cached", "cache_written", "output", "reasoning"] {
            let mut json = json.clone();
            json["candidates"][first.unwrap()]["price"][kind] = 100.0.into();
            let found = differences(&serde_json::from_value(json).unwrap());
            let attempts =
                |it: &Difference| matches!(it, Difference::Cost { deployment: Some(_), .. });
            assert!(matches!(found.as_slice(), [it] if attempts(it)), "{kind}: {found:?}");
        }
    }

    #[test]
    fn who_was_shut_then_is_shut_in_the_replay() {
        for seed in 0..100 {
            for (policy, need) in wishes() {
                for shut in [&[0][..], &[0, 3], &[0, 1, 2, 3, 5]] {
                    check(&samples::shut(seed, policy.clone(), need, shut));
                }
            }
        }
    }

    /// A record of version 1: before usage was estimated, and with three prices.
    #[test]
    fn a_record_of_the_first_version_still_loads() {
        let record = samples::decided(3, Policy::default(), Need::default());
        let mut json = serde_json::to_value(&record).unwrap();
        json["version"] = 1.into();
        let mut took = |key: &str, of: &str| {
            let all = json[of].as_array_mut().unwrap().iter_mut();
            all.filter_map(|it| it.as_object_mut().unwrap().remove(key)).count()
        };
        assert_eq!(took("usage_estimated", "attempts"), record.attempts.len());
        assert_eq!(took("billing", "candidates"), record.candidates.len());
        for candidate in json["candidates"].as_array_mut().unwrap() {
            let price = candidate["price"].as_object_mut().unwrap();
            assert!(price.remove("cache_written").is_some() && price.remove("reasoning").is_some());
        }
        let mut old: OutcomeRecord = serde_json::from_value(json).unwrap();
        assert!(old.attempts.iter().all(|it| !it.usage_estimated));
        assert!(old.candidates.iter().all(|it| it.billing == Billing::WhatWasGenerated));
        // As it was counted then.
        let old_price = old.candidates[0].price;
        old.attempts.iter_mut().for_each(|it| it.cost_usd = old_price.cost(&it.usage));
        old.cost_usd = old.attempts.iter().map(|it| it.cost_usd).sum();
        assert_eq!(differences(&old), []);
    }

    /// Two equals, of which the one that is not busy is first: without the count they would turn round
    /// for some seeds; and a record from before there were steps goes by the utility alone.
    #[test]
    fn how_busy_everyone_was_is_part_of_the_record() {
        let (mut ranked, mut turned) = (0, 0);
        for seed in 0..100 {
            let mut record = samples::busy(seed, &[3]);
            check(&record);
            let place =
                |name: &str| record.ranked.iter().position(|it| it.deployment.as_str() == name);
            let Some((busy, idle)) = place("m0@local").zip(place("m1@local")) else { continue };
            assert!(idle < busy, "{seed}");
            record.candidates[0].in_flight = 0;
            ranked += 1;
            turned += usize::from(!differences(&record).is_empty());
        }
        assert!(ranked > 50 && (ranked / 4..ranked * 3 / 4).contains(&turned), "{turned}/{ranked}");
        let record = samples::busy(1, &[]);
        let mut json = serde_json::to_value(&record).unwrap();
        json.as_object_mut().unwrap().remove("tie_step");
        for candidate in json["candidates"].as_array_mut().unwrap() {
            candidate.as_object_mut().unwrap().remove("in_flight");
        }
        let old: OutcomeRecord = serde_json::from_value(json).unwrap();
        assert_eq!((old.tie_step, differences(&old)), (0.0, vec![]));
    }

    /// A record of version 2: the time to the first token had no spread, and its limit was kept by the
    /// median.
    #[test]
    fn a_record_of_the_second_version_is_decided_as_it_was() {
        let mut hasty = Policy::default();
        hasty.budget.max_ttft = Some(std::time::Duration::from_millis(400));
        let (mut in_time, mut late) = (0, 0);
        for seed in 0..50 {
            let record = samples::decided(seed, hasty.clone(), Need::default());
            let mut json = serde_json::to_value(&record).unwrap();
            json["version"] = 2.into();
            for candidate in json["candidates"].as_array_mut().unwrap() {
                let prediction = candidate["prediction"].as_object_mut().unwrap();
                assert!(prediction.remove("ttft_sigma").is_some());
            }
            let old: OutcomeRecord = serde_json::from_value(json).unwrap();
            for facts in &old.candidates {
                let within = replay(&old).is_ok_and(|it| {
                    it.entries.iter().any(|it| it.deployment.id == facts.deployment)
                });
                let no_key = facts.unavailable.is_some();
                let soon = facts.prediction.ttft_ms <= 400.0;
                let other = old.excluded.iter().any(|it| {
                    let limits = it.reasons.iter().any(|it| it.limit() == "context_window");
                    it.deployment == facts.deployment && limits
                });
                assert_eq!(within, soon && !no_key && !other, "{facts:?}");
                in_time += u32::from(soon);
                late += u32::from(!soon);
            }
        }
        assert!(in_time > 50 && late > 50, "{in_time} {late}");
        // As its reasons were written then.
        let then = serde_json::json!({"ttft": {"likely_ms": 700.0}});
        let then: crate::ranking::Exclusion = serde_json::from_value(then).unwrap();
        let wanted =
            crate::ranking::Exclusion::Ttft { chance: Probability::ZERO, likely_ms: 700.0 };
        assert_eq!(then, wanted);
    }

    /// A record of the time before anyone was shut.
    #[test]
    fn an_older_record_still_loads() {
        let record = samples::decided(3, Policy::default(), Need::default());
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(
            json["candidates"][4]["unavailable"],
            serde_json::json!({"no_key": "M4_API_KEY"})
        );
        assert!(json["candidates"][0]["unavailable"].is_null());
        let shut = samples::shut(3, Policy::default(), Need::default(), &[0]);
        let told = &serde_json::to_value(&shut).unwrap()["candidates"][0]["unavailable"];
        let wanted = serde_json::json!({"shut": {"for_ms": 1_000, "class": "overloaded"}});
        assert_eq!(*told, wanted);
        assert_eq!(record.version, shut.version, "one reader for both");
    }

    fn wishes() -> Vec<(Policy, Need)> {
        let mut dear = Policy::default();
        dear.budget.max_cost_usd = Usd::new(0.001).ok();
        let good = Policy { min_quality: Probability::new(0.5).ok(), ..Policy::default() };
        let mut ordered = Policy::default();
        let names = ["m3", "m1", "m0"].map(|it| ModelName::new(it).unwrap());
        ordered.candidates.order = Order::Given(names.to_vec());
        let impossible = Policy { min_quality: Some(Probability::ONE), ..Policy::default() };
        let drawn = UtilityGivenUp::new(0.1).map(Exploration::Drawn);
        let explored = Policy { exploration: drawn.unwrap(), ..Policy::default() };
        let abilities = AbilitySet::EMPTY.with(Ability::Tools);
        let tools = Need { abilities, max_output_tokens: Some(500), ..Need::default() };
        let mut hasty = Policy::default();
        hasty.budget.max_ttft = Some(std::time::Duration::from_millis(900));
        let mut spread = ordered.clone();
        spread.candidates.strategies.default = Strategy::Spread;
        let mut sorted = ordered.clone();
        let (by, partition) = (Figure::Ttft, Partition::None);
        sorted.candidates.provider.sort = Some(Sort { by, partition });
        vec![
            (hasty, Need::default()),
            (spread, Need::default()),
            (sorted, Need::default()),
            (Policy::default(), Need::default()),
            (dear, tools),
            (good, Need::default()),
            (ordered, Need::default()),
            (explored, tools),
            (impossible, tools),
        ]
    }
}
