//! A route as its operator meant it: a tree whose leaves are models, deployments, or the ranking itself.
//!
//! In: a checked config, or a record. Out: plain values. Invariant: references between routes are
//! gone: a tree is whole in itself, so that a record can hold it; its size is bounded where it is made
//! ([`NODES_MAX`], [`DEPTH_MAX`]). Not here: which way a request takes (see [`super::arrange`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::condition::Condition;
use super::facts::{Fact, Facts};
use super::overrides::Overrides;
use super::trigger::{Cause, Failed, Trigger};
use crate::catalog::Deployment;
use crate::domain::{DeploymentId, ModelName, RouteName};

/// Most nodes of a tree, all that it names included: a record holds the whole tree.
pub const NODES_MAX: usize = 128;
/// Most levels of a tree: each is one recursion, and nobody reads more.
pub const DEPTH_MAX: usize = 8;

/// A named way through the fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: RouteName,
    /// Where it begins.
    pub root: Node,
}

/// A branching, or an end of branches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// Who is asked.
    Target(Target),
    /// One after another, as failures lead on; never empty.
    Fallback(Vec<Step>),
    /// One of them, drawn by weight; never empty.
    Loadbalance(Vec<Share>),
    /// The first whose condition holds.
    Conditional {
        /// In the order in which they are looked at.
        rules: Vec<Rule>,
        /// Where none holds.
        otherwise: Box<Leg>,
    },
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// What the log calls it.
    pub label: String,
    /// Where it leads.
    pub node: Node,
}

/// A branch of a fallback.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The failures of an earlier branch that lead here.
    pub on: Trigger,
    /// Whether it is kept for these failures: it is not for whoever merely could not be called.
    pub kept: bool,
    /// The branch.
    pub leg: Leg,
}

/// A branch that is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Its chance is this, of the sum of all; above zero.
    pub weight: f64,
    /// The branch.
    pub leg: Leg,
}

/// A branch with a condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// When it is taken.
    pub when: Condition,
    /// The branch.
    pub leg: Leg,
}

/// Who is asked, and on which terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Who.
    pub who: Who,
    /// How.
    #[serde(default)]
    pub terms: Terms,
}

/// Whom a target means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A model, wherever it is served.
    Model(ModelName),
    /// One deployment.
    Deployment(DeploymentId),
    /// Whoever is best: the learned ranking, of these models where there are any.
    Auto(Vec<ModelName>),
}

/// How a target is called.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// How often it is called again; `None`: by the usual rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The longest that a call may take; `None`: as everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Parameters in place of the caller's.
    #[serde(default, skip_serializing_if = "Overrides::are_none")]
    pub overrides: Overrides,
}

/// How often a target is called again after failures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Retry(pub Vec<RetryRule>);

/// So many calls more after failures of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRule {
    /// After which.
    pub on: Cause,
    /// How many.
    pub attempts: usize,
}

impl Retry {
    /// How many calls more this failure allows, of all calls of a target: the first rule that means it.
    pub fn attempts(&self, failed: Failed) -> usize {
        self.0.iter().find(|it| it.on.means(failed)).map_or(0, |it| it.attempts)
    }
}

impl Who {
    /// Whether a deployment is meant.
    pub fn means(&self, deployment: &Deployment) -> bool {
        match self {
            Self::Model(name) => deployment.model.name == *name,
            Self::Deployment(id) => deployment.id == *id,
            Self::Auto(models) => models.is_empty() || models.contains(&deployment.model.name),
        }
    }
}

impl Node {
    /// The branches that lead on from it.
    pub fn legs(&self) -> Vec<&Leg> {
        match self {
            Self::Target(_) => Vec::new(),
            Self::Fallback(steps) => steps.iter().map(|it| &it.leg).collect(),
            Self::Loadbalance(shares) => shares.iter().map(|it| &it.leg).collect(),
            Self::Conditional { rules, otherwise } => {
                rules.iter().map(|it| &it.leg).chain([&**otherwise]).collect()
            }
        }
    }

    /// How many nodes it has, itself and the tests of conditions included, and how many levels.
    pub fn size(&self) -> (usize, usize) {
        let tests = match self {
            Self::Conditional { rules, .. } => rules.iter().map(|it| it.when.size()).sum(),
            Self::Target(_) | Self::Fallback(_) | Self::Loadbalance(_) => 0,
        };
        let below = self.legs().into_iter().map(|it| it.node.size());
        below.fold((1 + tests, 1), |(nodes, depth), (more, levels)| {
            (nodes + more, depth.max(levels + 1))
        })
    }

    fn reads(&self, facts: &mut BTreeSet<Fact>) {
        if let Self::Conditional { rules, .. } = self {
            rules.iter().for_each(|it| it.when.reads(facts));
        }
        self.legs().into_iter().for_each(|it| it.node.reads(facts));
    }
}

impl Route {
    /// What its conditions look at.
    pub fn reads(&self) -> BTreeSet<Fact> {
        let mut facts = BTreeSet::new();
        self.root.reads(&mut facts);
        facts
    }
}

/// A request on a route: everything that decides which way it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnRoute {
    /// The route.
    #[serde(serialize_with = "plain", deserialize_with = "shared")]
    pub route: Arc<Route>,
    /// What its conditions look at.
    #[serde(default)]
    pub facts: Facts,
    /// What draws by weight, where a session is to stay where it was; else the decision's own seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_seed: Option<u64>,
}

fn plain<S: Serializer>(route: &Arc<Route>, to: S) -> Result<S::Ok, S::Error> {
    Route::serialize(route, to)
}

fn shared<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Route>, D::Error> {
    Route::deserialize(from).map(Arc::new)
}

/// Every route of a config.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Routes {
    /// By name.
    pub named: BTreeMap<RouteName, Arc<Route>>,
    /// What a request takes that names just this model: its fallbacks.
    pub of_model: BTreeMap<ModelName, Arc<Route>>,
    /// What a request takes that leaves the choice open.
    pub default: Option<Arc<Route>>,
}
