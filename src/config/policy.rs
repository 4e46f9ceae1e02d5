//! The `[policy]` and `[exploration]` sections.
//!
//! In: their keys. Out: a [`Policy`] over the defaults of [`crate::ranking`]. Invariant: every key is
//! optional. Not here: what a request may change of it (see the API).

use super::section::{Field, Section};
use super::values;
use super::wishes::{self, RawWishes};
use crate::domain::{RouteName, Timeouts};
use crate::ranking::{Exploration, Policy};

/// What of the section is looked up later: what is wanted of providers, and the route.
#[derive(Default)]
pub(super) struct Named {
    pub(super) wishes: RawWishes,
    pub(super) route: Field<RouteName>,
}

/// Reads the section; without it, the defaults. The limits on calls stand behind those of models.
pub(super) fn read(section: Option<Section<'_>>) -> (Policy, Timeouts, Named) {
    let (mut policy, mut calls) = (Policy::default(), Timeouts::default());
    let Some(mut section) = section else { return (policy, calls, Named::default()) };

    let Policy { budget, preference, min_quality, fallback, candidates, exploration: _, route: _ } =
        &mut policy;
    section.field("preference", values::preset).fill(preference);
    let cost = section.field("cost_per_quality_usd", values::positive);
    cost.fill(&mut preference.cost_per_quality_usd);
    let latency = section.field("latency_per_quality_ms", values::positive);
    latency.fill(&mut preference.latency_per_quality_ms);
    section.field("min_quality", values::probability).fill_some(min_quality);

    section.field("max_cost_usd", values::usd).fill_some(&mut budget.max_cost_usd);
    section.field("max_latency", values::duration).fill(&mut budget.max_latency);
    section.field("max_ttft", values::duration).fill_some(&mut budget.max_ttft);
    section.field("confidence", values::probability).fill(&mut budget.confidence);
    section.field("max_inter_token", values::duration).fill_some(&mut budget.max_inter_token);
    section.field("min_throughput", values::positive).fill_some(&mut budget.min_throughput);

    section.field("strategy", values::strategy).fill(&mut candidates.strategies.default);
    let wishes = wishes::read(section.section("provider"));

    section.field("candidates_max", values::chain).fill(&mut fallback.candidates_max);
    section.field("attempts_max", values::chain).fill(&mut fallback.attempts_max);
    section.field("on_content_filter", values::flag).fill(&mut fallback.on_content_filter);
    let broken = section.field("on_stream_failure", values::on_stream_failure);
    broken.fill(&mut fallback.on_stream_failure);
    section.field("hedge", values::flag).fill(&mut fallback.hedge);
    section.nested("timeouts", timeouts).fill(&mut calls);
    let route = section.field("route", values::route_name);

    section.done();
    (policy, calls, Named { wishes, route })
}

/// Reads the section; without it nothing is given up.
pub(super) fn exploration(section: Option<Section<'_>>) -> Exploration {
    let Some(mut section) = section else { return Exploration::Off };
    let why = "it is what a request gives up to learn; leave [exploration] out to give up nothing";
    let given_up = section.required("utility_given_up", why, values::given_up).given();
    section.done();
    given_up.map_or(Exploration::Off, Exploration::Drawn)
}

/// Limits on calls: of the server, of a model, of a deployment.
pub(super) fn timeouts(section: &mut Section<'_>) -> Option<Timeouts> {
    let mut timeouts = Timeouts::default();
    let Timeouts { first_attempt, fallback, first_token, stall } = &mut timeouts;
    section.field("first_attempt", values::duration).fill_some(first_attempt);
    section.field("fallback", values::duration).fill_some(fallback);
    section.field("first_token", values::duration).fill_some(first_token);
    section.field("stall", values::duration).fill_some(stall);
    Some(timeouts)
}
