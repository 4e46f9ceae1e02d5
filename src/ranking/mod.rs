//! Which deployment serves a request, and which ones come next: the learned order of fallback.
//!
//! In: predictions, a [`Policy`], what the request [`Need`]s, [`Availability`] and a seed. Out: a
//! [`Ranking`], or a [`Refusal`] that says which limit excluded whom. Invariant: pure, total and
//! replayable; no limit is ever quietly broken (see [`invariants`]). Not here: the network.

mod explore;
pub mod invariants;
mod policy;
#[cfg(test)]
mod properties;
mod rank;
pub mod route;
mod verdict;

pub use policy::{
    Availability, Budget, Candidates, Exploration, FallbackPolicy, Need, NotGivenUp,
    OnStreamFailure, Order, Policy, Preference, TIE_STEP, Ties, Unavailable, UtilityGivenUp,
};
pub use rank::{Candidate, rank};
pub use route::{OnRoute, Routes, Stop};
pub use verdict::{Excluded, Exclusion, Ranked, Ranking, Refusal};
