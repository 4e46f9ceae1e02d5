//! `[[route]]` and the fallbacks of `[[model]]`, as written.
//!
//! In: their tables. Out: [`RawRoute`]s and [`RawFallbacks`]: each value checked by itself. Invariant:
//! keys that mean nothing where they stand are unknown there: weights belong into a `loadbalance`,
//! `when` into a `conditional`, `after` into a `fallback`. Not here: what names stand for (see
//! [`link`]).

mod fault;
mod link;
#[cfg(test)]
mod tests;
mod words;

use super::problems::{Fault, Place};
use super::section::{At, Field, Section};
use super::values;
use crate::domain::{DeploymentId, ModelName, RouteName};
use crate::ranking::route::{Condition, DEPTH_MAX, Overrides, Retry, Terms, Trigger};

pub use fault::RouteFault;
pub(super) use link::{Named, link};

/// A `[[route]]`.
pub(super) struct RawRoute {
    name: Field<RouteName>,
    node: RawNode,
}

/// A table that is a branch, or the whole route.
struct RawNode {
    place: Place,
    label: Field<String>,
    /// In a `loadbalance`.
    weight: Field<f64>,
    /// In a `fallback`.
    after: Field<Trigger>,
    /// In a `conditional`.
    when: Field<Condition>,
    terms: Terms,
    kind: RawKind,
}

/// Where a branch leads.
enum RawKind {
    /// Nowhere; it was reported.
    Bad,
    Model(At<ModelName>),
    Deployment(At<DeploymentId>),
    Auto(Vec<At<ModelName>>),
    Route(At<RouteName>),
    Branch {
        strategy: Strategy,
        on: Trigger,
        targets: Vec<RawNode>,
    },
}

/// How one of several branches is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Fallback,
    Loadbalance,
    Conditional,
}

/// What a `[[model]]` says of the time after it failed.
#[derive(Default)]
pub(super) struct RawFallbacks {
    pub(super) usual: Field<Vec<At<ModelName>>>,
    pub(super) context_window: Field<Vec<At<ModelName>>>,
    pub(super) content_policy: Field<Vec<At<ModelName>>>,
    pub(super) retry: Field<Retry>,
}

impl RawFallbacks {
    /// Reads them out of a `[[model]]`.
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            usual: section.list("fallbacks", values::model_name),
            context_window: section.list("context_window_fallbacks", values::model_name),
            content_policy: section.list("content_policy_fallbacks", values::model_name),
            retry: section.field("retry", words::retry),
        }
    }

    fn are_absent(&self) -> bool {
        let lists = [&self.usual, &self.context_window, &self.content_policy];
        lists.iter().all(|it| it.is_absent()) && self.retry.is_absent()
    }
}

/// Reads every `[[route]]`.
pub(super) fn read(root: &mut Section<'_>) -> Vec<RawRoute> {
    let route = |mut section: Section<'_>| {
        let why = "requests name their route";
        let name = section.required("name", why, values::route_name);
        let node = node(&mut section, None, 1);
        section.done();
        RawRoute { name, node }
    };
    root.sections("route").into_iter().map(route).collect()
}

/// Reads a table; its place in the tree says which keys it may have.
fn node(section: &mut Section<'_>, inside: Option<Strategy>, depth: usize) -> RawNode {
    let within = |wanted: Strategy| inside == Some(wanted);
    let label =
        if inside.is_some() { section.field("name", values::string) } else { Field::Absent };
    let weight = match within(Strategy::Loadbalance) {
        true => section.field("weight", words::weight),
        false => Field::Absent,
    };
    let after = match within(Strategy::Fallback) {
        true => section.field("after", words::trigger),
        false => Field::Absent,
    };
    let when = match within(Strategy::Conditional) {
        true => section.field("when", words::condition),
        false => Field::Absent,
    };
    let terms = Terms {
        retry: section.field("retry", words::retry).given(),
        timeout: section.field("timeout", values::duration).given(),
        overrides: overrides(section),
    };
    let kind = kind(section, depth);
    RawNode { place: section.place.clone(), label, weight, after, when, terms, kind }
}

fn kind(section: &mut Section<'_>, depth: usize) -> RawKind {
    let strategy = section.field("strategy", words::strategy);
    if !strategy.is_absent() {
        return match strategy {
            Field::Given(At { value, .. }) => branch(section, value, depth),
            Field::Absent | Field::Bad => {
                section.sections("target");
                RawKind::Bad
            }
        };
    }
    let model = section.field("model", values::model_name);
    let deployment = section.field("deployment", values::deployment_id);
    let route = section.field("route", values::route_name);
    let candidates = section.list("candidates", values::model_name);
    let given = [!model.is_absent(), !deployment.is_absent(), !route.is_absent()];
    if given.iter().filter(|it| **it).count() != 1 {
        section.report(Fault::Route(RouteFault::NoOneTarget));
        return RawKind::Bad;
    }
    match (model, deployment, route) {
        (Field::Given(it), ..) if it.value.as_str() == words::AUTO => {
            RawKind::Auto(candidates.given().unwrap_or_default())
        }
        (_, _, _) if !candidates.is_absent() => {
            section.report(Fault::Route(RouteFault::CandidatesNotAuto));
            RawKind::Bad
        }
        (Field::Given(it), ..) => RawKind::Model(it),
        (_, Field::Given(it), _) => RawKind::Deployment(it),
        (_, _, Field::Given(it)) => RawKind::Route(it),
        (_, _, _) => RawKind::Bad,
    }
}

fn branch(section: &mut Section<'_>, strategy: Strategy, depth: usize) -> RawKind {
    let on = match strategy {
        Strategy::Fallback => section.field("on", words::trigger).given().unwrap_or_default(),
        Strategy::Loadbalance | Strategy::Conditional => Trigger::Usual,
    };
    let tables = section.sections("target");
    if tables.is_empty() {
        section.report(Fault::Route(RouteFault::NoTarget));
        return RawKind::Bad;
    }
    if depth >= DEPTH_MAX {
        section.report(Fault::Route(RouteFault::TooDeep));
        return RawKind::Bad;
    }
    let mut targets = Vec::new();
    for mut table in tables {
        targets.push(node(&mut table, Some(strategy), depth + 1));
        table.done();
    }
    RawKind::Branch { strategy, on, targets }
}

fn overrides(section: &mut Section<'_>) -> Overrides {
    let read = section.nested("override", |own| {
        Some(Overrides {
            temperature: own.field("temperature", values::number).given(),
            top_p: own.field("top_p", values::number).given(),
            max_output_tokens: own.field("max_output_tokens", values::tokens).given(),
            stop: own
                .list("stop", values::string)
                .given()
                .map(|all| all.into_iter().map(|it| it.value).collect()),
            seed: own.field("seed", words::integer).given(),
            top_k: own.field("top_k", values::tokens).given(),
            frequency_penalty: own.field("frequency_penalty", values::number).given(),
            presence_penalty: own.field("presence_penalty", values::number).given(),
        })
    });
    let Field::Given(At { value, place }) = read else { return Overrides::default() };
    // The same bounds as for a caller's own.
    let stand_in = value.applied_to(&crate::domain::ChatRequest::from_prompt("-"));
    for found in stand_in.validate().err().unwrap_or_default() {
        let own = found.field.strip_prefix("sampling.").unwrap_or(&found.field);
        let place = Place { path: format!("{}.{own}", place.path), ..place.clone() };
        section.report_at(&place, Fault::Route(RouteFault::Override(found.message)));
    }
    value
}
