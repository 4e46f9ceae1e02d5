//! Which models there are, and who serves them at what price.
//!
//! In: `models/catalog.toml` and the operator's own entries. Out: [`Catalog`] (models) and
//! [`Fleet`] (the deployments this server may use). Invariant: both are validated once, when made;
//! no later layer meets an unknown model or a window of zero. Not here: keys and URLs of providers
//! (see [`crate::providers`]), and how good a model is on a request (see [`crate::prediction`]).

mod builtin;
mod deployment;
mod model;
mod terms;

pub use builtin::{Catalog, CatalogError};
pub use deployment::{Deployment, Fleet, FleetError};
pub use model::{Model, QualityPrior, Source, Speed};
pub use terms::{DataCollection, Quantization, Terms};
