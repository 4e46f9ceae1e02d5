//! Ways through the fleet that an operator wrote down: named trees of fallback, weights and conditions.
//!
//! In: a [`Route`], [`Facts`] of a request, a ranking by everything that was learned. Out: the same
//! ranking cut to the route's targets and in their order, each entry with its [`Stop`]. Invariant:
//! pure, so that a decision can be made again from its record; no limit is loosened: who is excluded
//! stays so, whatever a route says. Not here: how routes are written (see [`crate::config`]), and the
//! calls (see [`crate::dispatch`]).

mod arrange;
mod condition;
mod facts;
mod overrides;
mod pattern;
mod stop;
#[cfg(test)]
mod tests;
mod tree;
mod trigger;

pub(super) use arrange::arrange;
pub use condition::{Condition, Test};
pub use facts::{Fact, Facts, Sources, UnknownFact, Value};
pub use overrides::Overrides;
pub use pattern::{BadPattern, Pattern};
pub use stop::{Exit, Stop, Taken};
pub use tree::{
    DEPTH_MAX, Leg, NODES_MAX, Node, OnRoute, Retry, RetryRule, Route, Routes, Rule, Share, Step,
    Target, Terms, Who,
};
pub use trigger::{Cause, Failed, Trigger, UnknownCause};
