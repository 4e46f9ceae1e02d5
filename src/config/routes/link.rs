//! Routes as meant: names looked up, references followed, terms handed down.
//!
//! In: routes and fallbacks as written, the deployments there are. Out: [`Routes`]. Invariant: every
//! tree is whole in itself and within its bounds; whatever is wrong was reported with its place. Not
//! here: single values (see [`super::words`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::problems::{Fault, Place, nearest};
use super::super::section::{At, Field, Ledger};
use super::{RawFallbacks, RawKind, RawNode, RawRoute, RouteFault, Strategy};
use crate::catalog::Deployment;
use crate::domain::{FailureClass, ModelName, RouteName};
use crate::ranking::route::{
    Cause, DEPTH_MAX, Leg, NODES_MAX, Node, Route, Routes, Rule, Share, Step, Target, Terms,
    Trigger, Who,
};

/// A model and its fallbacks.
pub(in crate::config) type Named = (At<ModelName>, RawFallbacks);

/// What names are looked up in.
struct Linker<'a> {
    routes: BTreeMap<RouteName, &'a RawNode>,
    models: &'a [Named],
    deployments: &'a [Deployment],
    ledger: &'a Ledger<'a>,
}

/// A way down from a named route.
struct Trail {
    /// The routes that named each other, outermost first.
    names: Vec<RouteName>,
    /// Nodes so far.
    nodes: usize,
}

/// Links everything; `default` is the route of requests that leave the choice open.
pub(in crate::config) fn link(
    raw: &[RawRoute],
    models: &[Named],
    default: &Field<RouteName>,
    deployments: &[Deployment],
    ledger: &Ledger<'_>,
) -> Routes {
    let mut linker = Linker { routes: BTreeMap::new(), models, deployments, ledger };
    for route in raw {
        linker.name(route);
    }
    let mut routes = Routes::default();
    for route in raw {
        let Some(At { value: name, place }) = route.name.as_given() else { continue };
        let mut trail = Trail { names: vec![name.clone()], nodes: 0 };
        let Some(root) = linker.node(&route.node, &Terms::default(), &mut trail) else { continue };
        if linker.fits(&root, place) {
            let route = Arc::new(Route { name: name.clone(), root });
            routes.named.entry(name.clone()).or_insert(route);
        }
    }
    for (model, fallbacks) in models.iter().filter(|it| !it.1.are_absent()) {
        if let Some(route) = linker.of_model(model, fallbacks) {
            routes.of_model.insert(model.value.clone(), Arc::new(route));
        }
    }
    if let Some(At { value, place }) = default.as_given() {
        routes.default = routes.named.get(value).cloned();
        if !linker.routes.contains_key(value) {
            ledger.report(place, linker.unknown_route(value));
        }
    }
    routes
}

impl<'a> Linker<'a> {
    fn name(&mut self, route: &'a RawRoute) {
        let Some(At { value, place }) = route.name.as_given() else { return };
        if value.as_str() == "none" {
            self.ledger.report(place, Fault::Route(RouteFault::ReservedName));
        }
        if self.routes.insert(value.clone(), &route.node).is_some() {
            let twice = Fault::Duplicate { noun: "route", name: value.to_string() };
            self.ledger.report(place, twice);
        }
    }

    fn report(&self, place: &Place, fault: RouteFault) {
        self.ledger.report(place, Fault::Route(fault));
    }

    /// Whether a tree is within its bounds. Told once, of its root.
    fn fits(&self, root: &Node, place: &Place) -> bool {
        let (nodes, depth) = root.size();
        if nodes > NODES_MAX {
            self.report(place, RouteFault::TooLarge);
        }
        if depth > DEPTH_MAX {
            self.report(place, RouteFault::TooDeep);
        }
        nodes <= NODES_MAX && depth <= DEPTH_MAX
    }

    /// A node; `None` where something of it was reported.
    fn node(&self, raw: &RawNode, above: &Terms, trail: &mut Trail) -> Option<Node> {
        trail.nodes += 1;
        // Where routes name each other a tree can grow without end; its root is told.
        if trail.nodes > 2 * NODES_MAX {
            self.report(&raw.place, RouteFault::TooLarge);
            return None;
        }
        let Terms { retry, timeout, overrides } = raw.terms.clone();
        let terms = Terms {
            retry: retry.or_else(|| above.retry.clone()),
            timeout: timeout.or(above.timeout),
            overrides: overrides.or(&above.overrides),
        };
        let target = |who: Who| Node::Target(Target { who, terms: terms.clone() });
        match &raw.kind {
            RawKind::Bad => None,
            RawKind::Model(at) => self.has_model(at).then(|| target(Who::Model(at.value.clone()))),
            RawKind::Auto(models) => {
                let known: Vec<_> = models.iter().filter(|it| self.has_model(it)).collect();
                let names = known.iter().map(|it| it.value.clone()).collect();
                (known.len() == models.len()).then(|| target(Who::Auto(names)))
            }
            RawKind::Deployment(at) => {
                let known = self.deployments.iter().any(|it| it.id == at.value);
                if !known {
                    let ids = self.deployments.iter().map(|it| it.id.as_str());
                    let fault = unknown("deployment", at.value.as_str(), ids);
                    self.ledger.report(&at.place, fault);
                }
                known.then(|| target(Who::Deployment(at.value.clone())))
            }
            RawKind::Route(at) => self.named(at, &terms, trail),
            RawKind::Branch { strategy, on, targets } => {
                let legs = self.legs(targets, &terms, trail)?;
                match strategy {
                    Strategy::Fallback => self.fallback(on, targets, legs),
                    Strategy::Loadbalance => self.loadbalance(&raw.place, targets, legs),
                    Strategy::Conditional => self.conditional(targets, legs),
                }
            }
        }
    }

    fn named(&self, at: &At<RouteName>, terms: &Terms, trail: &mut Trail) -> Option<Node> {
        let Some(raw) = self.routes.get(&at.value) else {
            self.ledger.report(&at.place, self.unknown_route(&at.value));
            return None;
        };
        if trail.names.contains(&at.value) {
            let mut way: Vec<_> = trail.names.iter().map(RouteName::as_str).collect();
            way.push(at.value.as_str());
            self.report(&at.place, RouteFault::Circle(way.join(" > ")));
            return None;
        }
        trail.names.push(at.value.clone());
        let node = self.node(raw, terms, trail);
        trail.names.pop();
        node
    }

    /// Every branch, so that all that is wrong is told; `None` where anything was.
    fn legs(&self, raw: &[RawNode], terms: &Terms, trail: &mut Trail) -> Option<Vec<Leg>> {
        let legs = raw.iter().enumerate().map(|(at, it)| {
            let node = self.node(it, terms, trail)?;
            Some(Leg { label: label(it, at), node })
        });
        let legs: Vec<_> = legs.collect();
        legs.into_iter().collect()
    }

    fn fallback(&self, on: &Trigger, raw: &[RawNode], legs: Vec<Leg>) -> Option<Node> {
        if let Some(At { place, .. }) = raw.first().and_then(|it| it.after.as_given()) {
            self.report(place, RouteFault::AfterNothing);
        }
        let steps = raw.iter().zip(legs).map(|(raw, leg)| {
            let own = raw.after.as_given().map(|it| it.value.clone());
            Step { kept: own.is_some(), on: own.unwrap_or_else(|| on.clone()), leg }
        });
        Some(Node::Fallback(steps.collect()))
    }

    fn loadbalance(&self, place: &Place, raw: &[RawNode], legs: Vec<Leg>) -> Option<Node> {
        let weight = |it: &RawNode| it.weight.as_given().map_or(1.0, |it| it.value);
        let all = raw.iter().zip(legs).map(|(raw, leg)| Share { weight: weight(raw), leg });
        let drawn: Vec<_> = all.filter(|it| it.weight > 0.0).collect();
        if drawn.is_empty() {
            self.report(place, RouteFault::NoWeight);
            return None;
        }
        Some(Node::Loadbalance(drawn))
    }

    fn conditional(&self, raw: &[RawNode], mut legs: Vec<Leg>) -> Option<Node> {
        let (last, before) = raw.split_last()?;
        if !last.when.is_absent() {
            self.report(&last.place, RouteFault::NoDefault);
            return None;
        }
        let otherwise = Box::new(legs.pop()?);
        let rules = before.iter().zip(legs).map(|(raw, leg)| {
            if raw.when.is_absent() {
                self.report(&raw.place, RouteFault::AlwaysTaken);
            }
            Some(Rule { when: raw.when.as_given()?.value.clone(), leg })
        });
        let rules: Vec<_> = rules.collect();
        let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Node::Conditional { rules, otherwise })
    }

    /// The route of requests that name just this model.
    fn of_model(&self, model: &At<ModelName>, raw: &RawFallbacks) -> Option<Route> {
        let leg = |name: &ModelName, terms: Terms| {
            let who = Who::Model(name.clone());
            Leg { label: name.to_string(), node: Node::Target(Target { who, terms }) }
        };
        let own = leg(&model.value, self.terms_of(&model.value));
        let mut steps = vec![Step { on: Trigger::Usual, kept: false, leg: own }];
        let after = |class| Trigger::Listed(vec![Cause::Class(class)]);
        let lists = [
            (&raw.context_window, after(FailureClass::ContextTooLong), true),
            (&raw.content_policy, after(FailureClass::ContentFiltered), true),
            (&raw.usual, Trigger::Usual, false),
        ];
        let before = self.ledger.problems();
        for (list, on, kept) in lists {
            for name in list.as_given().iter().flat_map(|it| &it.value) {
                if name.value == model.value {
                    self.report(&name.place, RouteFault::ItsOwnFallback);
                }
                if self.has_model(name) {
                    let leg = leg(&name.value, self.terms_of(&name.value));
                    steps.push(Step { on: on.clone(), kept, leg });
                }
            }
        }
        let name = RouteName::new(&format!("model:{}", model.value)).ok()?;
        let root = Node::Fallback(steps);
        let fine = self.ledger.problems() == before && self.fits(&root, &model.place);
        fine.then_some(Route { name, root })
    }

    /// What a model says of itself holds where it is a fallback, too.
    fn terms_of(&self, model: &ModelName) -> Terms {
        let own = self.models.iter().find(|it| it.0.value == *model);
        let retry = own.and_then(|it| it.1.retry.as_given()).map(|it| it.value.clone());
        Terms { retry, ..Terms::default() }
    }

    fn has_model(&self, at: &At<ModelName>) -> bool {
        let known = self.deployments.iter().any(|it| it.model.name == at.value);
        if !known {
            let names = self.deployments.iter().map(|it| it.model.name.as_str());
            self.ledger.report(&at.place, unknown("model", at.value.as_str(), names));
        }
        known
    }

    fn unknown_route(&self, name: &RouteName) -> Fault {
        unknown("route", name.as_str(), self.routes.keys().map(RouteName::as_str))
    }
}

fn unknown<'n>(noun: &'static str, name: &str, names: impl Iterator<Item = &'n str>) -> Fault {
    let nearest = nearest(name, names);
    Fault::Unknown { noun, name: name.to_owned(), nearest, known: vec![] }
}

/// What the log calls a branch.
fn label(raw: &RawNode, at: usize) -> String {
    if let Some(own) = raw.label.as_given() {
        return own.value.clone();
    }
    match &raw.kind {
        RawKind::Model(it) => it.value.to_string(),
        RawKind::Deployment(it) => it.value.to_string(),
        RawKind::Route(it) => it.value.to_string(),
        RawKind::Auto(_) => super::words::AUTO.to_owned(),
        RawKind::Branch { .. } | RawKind::Bad => format!("target {}", at + 1),
    }
}
