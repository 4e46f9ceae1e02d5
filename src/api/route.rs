//! Which of the operator's routes a request takes.
//!
//! In: what the request names, the routes there are, the request itself. Out: the policy with its route
//! and the facts that it looks at. Order of what wins: a route by name, then the fallbacks of the one
//! model that was named, then the default where the choice is open. Not here: which way the route leads
//! (see [`crate::ranking::route`]).

use std::sync::Arc;

use super::defaults::Defaults;
use super::policy::{nearest, policy_for};
use super::proto;
use crate::catalog::Fleet;
use crate::domain::{ChatRequest, ModelName, RouteName, Violation};
use crate::ranking::route::{Facts, OnRoute, Route, Sources};
use crate::ranking::{Order, Policy};

/// What stands before the name of a route where a model is named.
pub(super) const ROUTE: &str = "route:";
/// The name that means no route.
pub(super) const NO_ROUTE: &str = "none";

/// How a request came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Came<'a> {
    /// `model` as its caller wrote it.
    pub(super) model: &'a str,
    /// Whether the answer is to come in pieces.
    pub(super) stream: bool,
}

/// The same policy, on the route that the request takes, if it takes one.
pub(super) fn taken(
    policy: Policy,
    defaults: &Defaults,
    (wire, chat): (&proto::RouteRequest, &ChatRequest),
    came: Came<'_>,
    found: &mut Vec<Violation>,
) -> Policy {
    let Some(route) = chosen(defaults, wire, found) else { return policy };
    let metadata = |key: &str| wire.metadata.get(key).cloned();
    let Came { model, stream } = came;
    let sources = Sources { request: chat, model, stream, metadata: &metadata };
    let facts = Facts::of(&route.reads(), &sources);
    let session = wire.session_id.as_deref().filter(|it| !it.is_empty());
    let session_seed = session.map(seed_of);
    let mut policy = policy;
    if names_one_model(wire).is_some() {
        policy.candidates.order = Order::Learned;
    }
    Policy { route: Some(OnRoute { route, facts, session_seed }), ..policy }
}

/// The policy that holds for a request, on the route that it takes.
///
/// # Errors
/// Every [`Violation`] in what it wishes.
pub fn policy_on_route(
    defaults: &Defaults,
    (wire, chat): (&proto::RouteRequest, &ChatRequest),
    fleet: &Fleet,
) -> Result<Policy, Vec<Violation>> {
    let policy = policy_for(&defaults.policy, wire, fleet)?;
    let mut found = Vec::new();
    let policy = taken(policy, defaults, (wire, chat), Came::default(), &mut found);
    if found.is_empty() { Ok(policy) } else { Err(found) }
}

fn chosen(
    defaults: &Defaults,
    wire: &proto::RouteRequest,
    found: &mut Vec<Violation>,
) -> Option<Arc<Route>> {
    let routes = &defaults.routes;
    match wire.route.as_deref() {
        Some(NO_ROUTE) => None,
        Some(name) => {
            let ordered = wire.candidates.as_ref().is_some_and(|it| !it.order.is_empty());
            if ordered {
                let message = "the candidates are in an order already; leave one of both out";
                found.push(Violation::new("route", message));
            }
            let known = RouteName::new(name).ok().and_then(|it| routes.named.get(&it));
            if known.is_none() {
                found.push(Violation::new("route", unknown(name, defaults)));
            }
            known.cloned()
        }
        None => match names_one_model(wire) {
            Some(model) => routes.of_model.get(&model).cloned(),
            None if is_open(wire) => routes.default.clone(),
            None => None,
        },
    }
}

/// Whether the choice is open: no order was named.
fn is_open(wire: &proto::RouteRequest) -> bool {
    wire.candidates.as_ref().is_none_or(|it| it.order.is_empty())
}

/// The model, where just one was named.
fn names_one_model(wire: &proto::RouteRequest) -> Option<ModelName> {
    match wire.candidates.as_ref()?.order.as_slice() {
        [one] => ModelName::new(one).ok(),
        _ => None,
    }
}

fn unknown(name: &str, defaults: &Defaults) -> String {
    let names = defaults.routes.named.keys().map(RouteName::as_str);
    match nearest(name, names) {
        Some(nearest) => format!("no such route; did you mean `{nearest}`?"),
        None => "no such route is configured here".to_owned(),
    }
}

/// A number that is the same for all turns of a session: FNV-1a over its name.
fn seed_of(session: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    session
        .bytes()
        .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
