//! A target as a request meets it: its place on the way, and where failures lead from there.
//!
//! In: a tree that was walked for one request. Out: [`Stop`]s. Invariant: ways lead forward only, so
//! that every walk ends. Not here: the calls.

use serde::{Deserialize, Serialize};

use super::tree::{Terms, Who};
use super::trigger::{Failed, Trigger};
use crate::domain::RouteName;

/// A target on the way of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// Its place, from 0.
    pub place: usize,
    /// What the log calls it.
    pub label: String,
    /// Who is asked.
    pub who: Who,
    /// On which terms.
    pub terms: Terms,
    /// Where failures lead, nearest first.
    pub(super) exits: Vec<Exit>,
    /// The branches around it that are kept for certain failures.
    pub(super) kept_by: Vec<usize>,
}

/// A way on after failures.
#[derive(Debug, Clone, PartialEq)]
pub struct Exit {
    pub(super) on: Trigger,
    /// The place that it leads to.
    pub(super) to: usize,
    /// As [`Stop::kept_by`] of that place.
    pub(super) kept_by: Vec<usize>,
}

/// Which way a request took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The route.
    pub route: RouteName,
    /// Every branch that was taken, by its label, outermost first: rules and draws.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branch: Vec<String>,
}

impl Stop {
    /// The way on after a failure, if there is one.
    pub fn exit(&self, failed: Failed) -> Option<&Exit> {
        self.exits.iter().find(|it| it.on.has(failed))
    }

    /// Whether a later stop is for those who could not be called here.
    pub fn passes_to(&self, later: &Self) -> bool {
        passes((self.place, &self.kept_by), later)
    }

    /// Whether it is open to whoever begins the way.
    pub fn is_for_all(&self) -> bool {
        self.kept_by.is_empty()
    }
}

impl Exit {
    /// Whether it leads to a stop, or to one that this one is passed over for.
    pub fn leads_to(&self, stop: &Stop) -> bool {
        stop.place == self.to || passes((self.to, &self.kept_by), stop)
    }
}

/// A stop that is kept for certain failures is passed over, unless one is inside the same branch.
fn passes((place, kept_by): (usize, &[usize]), later: &Stop) -> bool {
    later.place > place && later.kept_by.iter().all(|it| kept_by.contains(it))
}
