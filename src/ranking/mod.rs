//! Which deployment serves a request, and which ones come next: the learned order of fallback.
//!
//! In: predictions, a [`Policy`], what the request [`Need`]s, [`Availability`] and a seed. Out: a
//! [`Ranking`], or a [`Refusal`] that says which limit excluded whom. Invariant: pure, total and
//! replayable; no limit is ever quietly broken (see [`invariants`]). Not here: the network.

mod availability;
mod exclusion;
mod explore;
pub mod invariants;
mod limits;
mod order;
mod policy;
mod preferences;
#[cfg(test)]
mod properties;
mod rank;
pub mod route;
mod strategy;
mod ties;
mod verdict;

pub use availability::{Availability, Recent, Unavailable};
pub use exclusion::Exclusion;
pub use policy::{
    Budget, Candidates, Exploration, FallbackPolicy, Need, NotGivenUp, OnStreamFailure, Order,
    Policy, Preference, UtilityGivenUp,
};
pub use preferences::{
    Fallbacks, Figure, MaxPrice, Parameters, Partition, ProviderWishes, Retention, Sort, Whose,
};
pub use rank::{Candidate, rank};
pub use route::{OnRoute, Routes, Stop};
pub use strategy::{Strategies, Strategy};
pub use ties::{TIE_STEP, Ties};
pub use verdict::{Excluded, Ranked, Ranking, Refusal};
